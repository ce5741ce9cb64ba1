//! Making a network, and waiting until it is what it will be.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nslab_kernel::link::{self, settled_carrier};
use nslab_kernel::neighbour::{self, ChangeNeighbour};
use nslab_kernel::netlink::{Batch, Protocol, Socket};
use nslab_kernel::{Namespace, NamespaceId, namespace, sysctl};
use nslab_snapshot::{Name, Options, Snapshot, State};

use crate::Error;
use crate::network::{BASE, Line, Listener, NEIGHBOURS, Network, Service, Stage, What};
use crate::sys;

/// Neighbours that stay as they are (`NUD_…`, `include/uapi/linux/neighbour.h`).
const PERMANENT: u16 = 0x80;
const NO_ARP: u16 = 0x40;
/// The state of a bridge's port that passes frames (`BR_STATE_FORWARDING`, `include/uapi/linux/if_bridge.h`).
const FORWARDING: u8 = 3;
/// Longer than this no network takes to settle.
const LIMIT: Duration = Duration::from_secs(20);

/// A network that was made. It goes when this is dropped.
#[derive(Debug)]
pub struct Built {
    pub(crate) spaces: Vec<Space>,
    pub(crate) programs: Vec<Program>,
}

/// A namespace of it.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) namespace: Namespace,
    pub(crate) id: NamespaceId,
    /// A routing socket of it.
    pub(crate) socket: Socket,
}

/// A program that listens.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) service: Service,
    pub(crate) socket: sys::Socket,
}

/// A snapshot of a network that was made.
#[derive(Debug)]
pub struct Taken {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Where each of the network's namespaces is in it.
    pub places: Vec<usize>,
}

impl Taken {
    /// Which of the network's namespaces is at a place of the snapshot.
    pub fn space(&self, place: usize) -> Option<usize> {
        self.places.iter().position(|&own| own == place)
    }

    /// What is in a namespace of the network.
    pub fn state(&self, space: usize) -> Option<&State> {
        self.snapshot.namespaces.get(*self.places.get(space)?)?.state()
    }
}

impl Built {
    /// Makes it, waits until it is what it will be, and looks.
    pub fn new(network: &Network) -> Result<(Self, Taken), Error> {
        let mut spaces = Vec::with_capacity(network.spaces);
        namespace::create_each(network.spaces, |_, namespace| {
            for (key, value) in BASE {
                sysctl::write(key, value)?;
            }
            let socket = Socket::open(Protocol::Route)?;
            spaces.push(Space { id: namespace.id()?, namespace, socket });
            Ok::<_, nslab_kernel::Error>(())
        })?;
        let mut built = Self { spaces, programs: Vec::new() };
        built.fill(network)?;
        let taken = built.settled(true)?;
        if network.stage(Stage::Last).next().is_none() {
            return Ok((built, taken));
        }
        built.stage(network, Stage::Last)?;
        let taken = built.settled(false)?;
        Ok((built, taken))
    }

    fn fill(&mut self, network: &Network) -> Result<(), Error> {
        let Some(first) = self.spaces.first() else { return Ok(()) };
        // Links that hang on no others are made from one place, by one program.
        let at = |line: &Line| match &line.what {
            What::Ip(text) => {
                let mut words = text.splitn(4, ' ');
                let (name, rest) = (words.nth(2).unwrap_or(""), words.next().unwrap_or(""));
                self.names(&format!("link add {name} netns @{} {rest}", line.space))
            }
            _ => String::new(),
        };
        let links: Vec<String> = network.stage(Stage::Links).map(at).collect();
        first.namespace.run(|| batch("ip", &["-force", "-batch", "-"], &links))??;
        self.stage(network, Stage::Uppers)?;
        self.stage(network, Stage::Rest)
    }

    fn stage(&mut self, network: &Network, stage: Stage) -> Result<(), Error> {
        for space in 0..self.spaces.len() {
            let lines: Vec<&Line> = network.stage(stage).filter(|line| line.space == space).collect();
            if !lines.is_empty() {
                let stay = self.spaces[space].namespace.enter()?;
                self.carry_out(&lines)?;
                drop(stay);
            }
        }
        Ok(())
    }

    /// Namespaces by the paths of their descriptors, which every program of this machine can open.
    pub(crate) fn names(&self, text: &str) -> String {
        let path = |word: &str| {
            let space = word.strip_prefix('@')?.parse::<usize>().ok()?;
            let fd = self.spaces.get(space)?.namespace.as_fd().as_raw_fd();
            Some(format!("/proc/{}/fd/{fd}", std::process::id()))
        };
        let words: Vec<String> =
            text.split(' ').map(|word| path(word).unwrap_or_else(|| word.to_owned())).collect();
        words.join(" ")
    }

    /// In the namespace.
    fn carry_out(&mut self, mut lines: &[&Line]) -> io::Result<()> {
        while let [first, ..] = lines {
            let same = std::mem::discriminant(&first.what);
            let count = lines.iter().take_while(|line| std::mem::discriminant(&line.what) == same).count();
            let (now, rest) = lines.split_at(count);
            lines = rest;
            let texts = |pick: fn(&What) -> Option<&String>| {
                now.iter()
                    .filter_map(|line| pick(&line.what))
                    .map(|text| self.names(text))
                    .collect::<Vec<_>>()
            };
            match &first.what {
                What::Ip(_) => {
                    let lines = texts(|what| if let What::Ip(text) = what { Some(text) } else { None });
                    batch("ip", &["-force", "-batch", "-"], &lines)?;
                }
                What::Bridge(_) => {
                    let lines = texts(|what| if let What::Bridge(text) = what { Some(text) } else { None });
                    batch("bridge", &["-force", "-batch", "-"], &lines)?;
                }
                What::Tc(_) => {
                    let lines = texts(|what| if let What::Tc(text) = what { Some(text) } else { None });
                    batch("tc", &["-force", "-batch", "-"], &lines)?;
                }
                What::Nft(_) => {
                    let lines = texts(|what| if let What::Nft(text) = what { Some(text) } else { None });
                    // All or nothing: if one is refused, the others are carried out alone.
                    if !batch("nft", &["-f", "-"], &lines)? {
                        for line in lines {
                            batch("nft", &["-f", "-"], &[line])?;
                        }
                    }
                }
                What::Sysctl(..) | What::Listen(_) => {
                    for line in now {
                        match &line.what {
                            // What it is about may be missing in a network that was shrunk.
                            What::Sysctl(key, value) => drop(sysctl::write(key, value)),
                            What::Listen(listener) => self.programs.extend(Program::begin(listener)),
                            _ => {}
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until the network is what it will be, and looks. Nobody has asked for anybody then.
    fn settled(&mut self, is_first: bool) -> Result<Taken, Error> {
        self.calm(is_first)?;
        self.forget_neighbours()?;
        self.look()
    }

    /// Waits until a network that was changed is what it will be.
    pub(crate) fn wait(&mut self) -> Result<(), Error> {
        self.calm(false)
    }

    fn calm(&mut self, is_first: bool) -> Result<(), Error> {
        for space in &mut self.spaces {
            let Space { namespace, socket, .. } = space;
            namespace.run(|| -> nslab_kernel::Result<()> {
                for link in link::list(socket)? {
                    settled_carrier(socket, link.name)?;
                    for (key, value) in NEIGHBOURS {
                        for family in ["ipv4", "ipv6"] {
                            // Without IPv6 it has none of it.
                            let _ = sysctl::write(&format!("net.{family}.neigh.{}.{key}", link.name), value);
                        }
                    }
                }
                Ok(())
            })??;
        }
        let limit = Instant::now() + LIMIT;
        loop {
            let taken = self.look()?;
            match (0..self.spaces.len()).find_map(|space| unsettled(&taken, space, is_first)) {
                None => return Ok(()),
                Some(what) if Instant::now() > limit => return Err(Error::Unsettled(what)),
                Some(_) => {}
            }
            for space in &self.spaces {
                for link in taken.state_of(space.id).map_or(&[][..], |state| &state.network.links) {
                    space.namespace.run(|| settled_carrier(&space.socket, link.name))??;
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Forgets whom anybody has asked for while the network was made: some could not answer yet.
    fn forget_neighbours(&mut self) -> nslab_kernel::Result<()> {
        for space in &mut self.spaces {
            let mut batch = Batch::new();
            for entry in neighbour::list(&mut space.socket)? {
                if entry.state & (PERMANENT | NO_ARP) == 0 && !entry.proxy {
                    batch.push(&ChangeNeighbour { link: entry.link, address: entry.address, mac: None });
                }
            }
            // One that went meanwhile is gone as well.
            let _ = space.socket.execute(&mut batch)?;
        }
        Ok(())
    }

    /// It as it is now.
    pub(crate) fn look(&self) -> Result<Taken, Error> {
        self.look_with(Options::default())
    }

    /// It as it is now, with its connections.
    pub(crate) fn look_closely(&self) -> Result<Taken, Error> {
        self.look_with(Options { connections: true })
    }

    fn look_with(&self, options: Options) -> Result<Taken, Error> {
        let named = |(number, space): (usize, &Space)| {
            Ok((Name::Netns(format!("n{number}")), space.namespace.duplicate()?))
        };
        let all: Vec<_> = self.spaces.iter().enumerate().map(named).collect::<nslab_kernel::Result<_>>()?;
        let snapshot = Snapshot::of(all, options)?;
        let place =
            |space: &Space| snapshot.namespaces.iter().position(|other| other.id == space.id).unwrap_or(0);
        let places = self.spaces.iter().map(place).collect();
        Ok(Taken { snapshot, places })
    }
}

impl Taken {
    fn state_of(&self, id: NamespaceId) -> Option<&State> {
        self.snapshot.namespaces.iter().find(|namespace| namespace.id == id)?.state()
    }
}

/// What in a namespace is not yet what it will be.
fn unsettled(taken: &Taken, space: usize, is_first: bool) -> Option<String> {
    let state = taken.state(space)?;
    for link in &state.network.links {
        let wrong = |what: &str| Some(format!("n{space} {}: {what}", link.name));
        let peer = state.peer(link.index).and_then(|peer| match peer.namespace {
            nslab_snapshot::Where::Namespace(place) => {
                taken.snapshot.namespaces[place].state()?.link(peer.lower)
            }
            nslab_snapshot::Where::Unseen => None,
        });
        let mut ports = state.network.links.iter().filter(|port| port.master == Some(link.index));
        let carrier = match &link.kind {
            Some(link::LinkKind::Veth(_)) => link.up && peer.is_some_and(|peer| peer.up),
            _ if !link.up => link.carrier,
            // A port may have been disabled by hand (`br_port_state_selection`, `net/bridge/br_stp.c`).
            Some(link::LinkKind::Bridge(_)) => {
                ports.any(|port| port.bridge_port.as_ref().is_some_and(|own| own.state == FORWARDING))
            }
            Some(link::LinkKind::Macvlan(_)) => peer.is_some_and(link::Link::is_running),
            _ => link.carrier,
        };
        if link.carrier != carrier {
            return wrong("carrier");
        }
        // What was set by hand stays until the carrier changes.
        if let (true, Some(port), Some(master)) =
            (is_first, &link.bridge_port, link.master.and_then(|master| state.link(master)))
            && (link.is_running() && master.up) != (port.state == FORWARDING)
        {
            return wrong("state of the port");
        }
    }
    for address in &state.network.addresses {
        let own = address.address.addr();
        let up = state.link(address.link).is_some_and(|link| link.up && link.carrier);
        let is_routed = |own: IpAddr| {
            state
                .network
                .routes
                .iter()
                .any(|route| route.table == 255 && route.to.addr() == own && route.to.prefix_len() == 128)
        };
        if own.is_ipv6() && up && (address.tentative || !is_routed(own)) {
            return Some(format!("n{space}: {own}"));
        }
    }
    None
}

impl Program {
    /// Starts it in the namespace of the thread; none if its address is not there.
    fn begin(listener: &Listener) -> Option<Self> {
        let domain = if listener.address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        let (kind, protocol, port) = match listener.service {
            Service::Udp(port) => (libc::SOCK_DGRAM, 0, port),
            Service::Tcp(port) => (libc::SOCK_STREAM, 0, port),
            Service::Raw(number) => (libc::SOCK_RAW, i32::from(number), 0),
        };
        let open = || -> io::Result<sys::Socket> {
            let socket = sys::Socket::new(domain, kind, protocol)?;
            if listener.address.is_ipv6() && kind != libc::SOCK_RAW {
                let only = libc::c_int::from(!listener.dual);
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only)?;
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            }
            if !listener.address.is_ipv6() {
                socket.set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            }
            socket.bind(SocketAddr::new(listener.address, port))?;
            if kind == libc::SOCK_STREAM {
                socket.listen()?;
            }
            Ok(socket)
        };
        Some(Self { service: listener.service, socket: open().ok()? })
    }
}

/// Lets a program read lines; whether it took all of them. That it refuses some is no error.
fn batch(program: &'static str, arguments: &[&str], lines: &[String]) -> io::Result<bool> {
    if lines.is_empty() {
        return Ok(true);
    }
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    if std::env::var_os("NSLAB_DIFFTEST_SHOW").is_none() {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child =
        command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let mut text = lines.join("\n");
    text.push('\n');
    // It may end without having read everything.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(text.as_bytes()));
    child.wait().map(|status| status.success())
}
