//! Programs at the kernel's tracepoints.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use aya::programs::{BtfTracePoint, RawTracePoint};
use aya::{Btf, Ebpf, EbpfLoader, Endianness};
use nslab_filter::Tuple;
use rustix::process::{Resource, Rlimit};
use rustix::time::ClockId;

use crate::btf::Types;
use crate::error::errno;
use crate::symbols::Symbols;
use crate::tuple::{self, Choice};
use crate::{Event, Filter, Hooks, Names, Symbol, Unavailable, filter};

/// The programs, as `cargo xtask bpf` builds them.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!("bpf/tracepoints.bpf.o");
/// Where the kernel tells its types.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// The one that is not put at a tracepoint.
const NAMER: &str = "name";
/// So many namespaces may come beside those that are given.
const ROOM: u32 = 1024;
/// So many can be told apart. Each takes some 64 bytes of the kernel's memory.
const MOST: u32 = 1 << 20;

/// Programs at the kernel's tracepoints. They are there until this is dropped, or its process ends, however it does.
pub struct Tracepoints {
    ring: RingBuf<MapData>,
    namespaces: HashMap<MapData, u32, u32>,
    /// So many have room.
    room: u32,
    lost: PerCpuArray<MapData, u64>,
    choice: Array<MapData, Choice>,
    names: Names,
    symbols: Symbols,
    /// The kernel can be asked for one.
    asks: bool,
    /// Holds programs and what ties them to their tracepoints.
    programs: Ebpf,
}

impl Tracepoints {
    /// Puts programs at the tracepoints of the filter's hooks.
    ///
    /// # Errors
    /// What is missing: nothing is left behind then.
    pub fn open(filter: &Filter) -> Result<Self, Unavailable> {
        let bytes = match std::fs::read(TYPES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Unavailable::NoTypes { path: TYPES });
            }
            Err(error) => return Err(Unavailable::BadTypes { path: TYPES, why: error.to_string() }),
        };
        let types =
            Types::parse(&bytes).map_err(|why| Unavailable::BadTypes { path: TYPES, why: why.to_owned() })?;
        let wanted = chosen(&types, filter.hooks)?;
        let names = Names::of(&types);
        let tracepoints = wanted.iter().map(|&(tracepoint, _)| tracepoint);
        let kernel = Btf::parse(&types.numbers_of(tracepoints), Endianness::default())
            .map_err(|error| Unavailable::BadTypes { path: TYPES, why: error.to_string() })?;
        // Until Linux 5.11 maps count as locked memory (`bpf_map_charge_init`). Where this is refused, loading is as well.
        let _ = rustix::process::setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });

        let given = filter.namespaces.as_deref().unwrap_or_default();
        let room = u32::try_from(given.len()).unwrap_or(u32::MAX).saturating_add(ROOM);
        if room > MOST {
            return Err(Unavailable::TooMany { most: MOST - ROOM });
        }
        let config = filter::config(filter);
        // It reads the kernel's types by itself, whether they are given to it or not, which takes as long as all else.
        let mut loaded = EbpfLoader::new()
            .override_global("config", &config[..], true)
            .map_max_entries("namespaces", room)
            .map_max_entries("events", filter.memory.clamp(1 << 16, 1 << 30))
            .load(PROGRAMS)
            .map_err(|error| without_ring(&error))?;
        let map = |loaded: &mut Ebpf, name: &str| {
            loaded.take_map(name).ok_or_else(|| Unavailable::Refused {
                what: format!("the map {name}"),
                why: "it is not there".to_owned(),
            })
        };
        let refused = |error: aya::maps::MapError| Unavailable::of("the maps", &error);
        let ring = RingBuf::try_from(map(&mut loaded, "events")?).map_err(refused)?;
        let namespaces = HashMap::try_from(map(&mut loaded, "namespaces")?).map_err(refused)?;
        let lost = PerCpuArray::try_from(map(&mut loaded, "lost")?).map_err(refused)?;
        let choice = Array::try_from(map(&mut loaded, "choice")?).map_err(refused)?;
        let symbols = Symbols::new(Array::try_from(map(&mut loaded, "text")?).map_err(refused)?);
        // Refused before Linux 5.13, which does not matter.
        let asks = namer(&mut loaded).is_some_and(|program| program.load().is_ok());
        let mut points =
            Self { ring, namespaces, room, lost, choice, names, symbols, asks, programs: loaded };
        for &namespace in given {
            points.watch(namespace)?;
        }
        for (tracepoint, program) in wanted {
            points.attach(tracepoint, program, &kernel)?;
        }
        Ok(points)
    }

    fn attach(&mut self, tracepoint: &str, program: &str, kernel: &Btf) -> Result<(), Unavailable> {
        let what = || format!("the program at {tracepoint}");
        let found = self.programs.program_mut(program);
        let found: Option<&mut BtfTracePoint> = found.and_then(|program| program.try_into().ok());
        let Some(found) = found else {
            return Err(Unavailable::Refused { what: what(), why: "it is not there".to_owned() });
        };
        let loaded = found.load(tracepoint, kernel).and_then(|()| found.attach());
        loaded.map(drop).map_err(|error| Unavailable::of(&what(), &error))
    }

    /// Calls `take` with all events that there are, until it breaks; how many it was called with.
    pub fn for_each(&mut self, mut take: impl FnMut(&Event<'_>) -> ControlFlow<()>) -> usize {
        let epoch = epoch();
        let mut count = 0;
        while let Some(raw) = self.ring.next() {
            let Some(event) = Event::parse(&raw, epoch) else { continue };
            count += 1;
            if take(&event).is_break() {
                break;
            }
        }
        count
    }

    /// How many events were lost since the beginning, as they were not read fast enough.
    pub fn lost(&self) -> u64 {
        self.lost.get(&0, 0).map_or(0, |counts| counts.iter().sum())
    }

    /// Adds a namespace, by the inode number of its file, if not all are watched anyway.
    ///
    /// # Errors
    /// If there is no room.
    pub fn watch(&mut self, namespace: u32) -> Result<(), Unavailable> {
        self.namespaces.insert(namespace, 1, 0).map_err(|error| match errno(&error) {
            Some(rustix::io::Errno::TOOBIG) => Unavailable::TooMany { most: self.room },
            _ => Unavailable::of("a namespace", &error),
        })
    }

    /// From here on packets of IP are not told of that are outside of all these for sure; of more than 16, or with one that is
    /// everything, all packets are. It takes [`Filter::chooses`].
    ///
    /// What is not sure to be outside is told of: what is no IP, has a VLAN tag or a header of a link that is not Ethernet's, IPv6 with
    /// extension headers, and of fragments without ports those of whatever ports.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn choose(&mut self, tuples: &[Tuple]) -> Result<(), Unavailable> {
        let choice = tuple::choice(tuples);
        self.choice.set(0, choice, 0).map_err(|error| Unavailable::of("the choice of packets", &error))
    }

    /// Takes a namespace out. It is no error if it is not there.
    pub fn unwatch(&mut self, namespace: u32) {
        let _ = self.namespaces.remove(&namespace);
    }

    /// What the kernel calls reasons.
    pub fn names(&self) -> &Names {
        &self.names
    }

    #[cfg(test)]
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }

    /// The function in which an address is, which is one that is returned to; none if the kernel does not say. Each is asked for
    /// once. Before Linux 5.13 the first takes some 300 ms, and says nothing under `kernel.kptr_restrict`.
    pub fn symbol(&self, address: u64) -> Option<Symbol> {
        let program = self.programs.program(NAMER).filter(|_| self.asks);
        self.symbols.find(program.and_then(|program| program.try_into().ok()), address)
    }
}

impl std::fmt::Debug for Tracepoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracepoints").field("room", &self.room).finish_non_exhaustive()
    }
}

impl AsFd for Tracepoints {
    /// What can be read as soon as there are events, for poll(2).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

/// The program that names places in the kernel's code.
fn namer(programs: &mut Ebpf) -> Option<&mut RawTracePoint> {
    programs.program_mut(NAMER)?.try_into().ok()
}

/// A tracepoint's programs, by how many arguments it has.
type Forms = &'static [(usize, &'static str)];

/// The programs for this kernel, with their tracepoints.
fn chosen(types: &Types<'_>, hooks: Hooks) -> Result<Vec<(&'static str, &'static str)>, Unavailable> {
    let forms: [(Hooks, &str, Forms); 4] = [
        (Hooks::DROPS, "kfree_skb", &[(2, "dropped_two"), (3, "dropped_three"), (4, "dropped_four")]),
        (Hooks::RECEIVED, "netif_receive_skb", &[(1, "received")]),
        (Hooks::SENT, "net_dev_start_xmit", &[(2, "sent")]),
        (Hooks::CONSUMED, "consume_skb", &[(1, "consumed_one"), (2, "consumed_two")]),
    ];
    let mut programs = Vec::new();
    for (hook, tracepoint, forms) in forms {
        if hooks.contains(hook) {
            let count = types.arguments(tracepoint);
            let fitting = forms.iter().find(|(arguments, _)| Some(*arguments) == count);
            let (_, program) = fitting.ok_or(Unavailable::NoTracepoint { name: tracepoint })?;
            programs.push((tracepoint, *program));
        }
    }
    Ok(programs)
}

/// An error of loading. What fails first without ring buffers is the map of that kind.
fn without_ring(error: &aya::EbpfError) -> Unavailable {
    match error {
        aya::EbpfError::MapError(aya::maps::MapError::CreateError { name, .. })
            if name == "events" && errno(error) == Some(rustix::io::Errno::INVAL) =>
        {
            Unavailable::NoRing
        }
        _ => Unavailable::of("the programs", error),
    }
}

/// How far the kernel's clock (`bpf_ktime_get_ns`, `CLOCK_MONOTONIC`) is behind the time of day, in nanoseconds.
fn epoch() -> u64 {
    let nanoseconds = |clock| {
        let time = rustix::time::clock_gettime(clock);
        i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
    };
    let before = nanoseconds(ClockId::Monotonic);
    let now = nanoseconds(ClockId::Realtime);
    let after = nanoseconds(ClockId::Monotonic);
    u64::try_from(now - i128::midpoint(before, after)).unwrap_or(0)
}
