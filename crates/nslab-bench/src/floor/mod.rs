//! The floor: only the system calls without which the kernel would not have these objects.
//!
//! Nothing here depends on nslab: raw system calls and hand-written netlink, so that it can be held against it. What
//! could beat the plain floor is in [`Tricks`], each to be switched on by itself.

mod fat_tree;
mod mesh;
pub mod netlink;
mod star;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::shape::Shape;
use crate::sys;

pub use netlink::{Batch, End, Socket};

/// The largest send, well below the default send buffer.
const MOST_BYTES: usize = 32 * 1024;

/// Departures from the plain floor, each of which might make it faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tricks {
    /// Threads that each make their share of the namespaces (and, with `combined`, of all else).
    pub threads: usize,
    /// Star: everything about a host in one send from its own namespace, the port being made in the switch's.
    pub combined: bool,
    /// All pins below one mount; released by one unmount.
    pub one_mount: bool,
    /// Star: the bridge comes up after its ports.
    pub switch_last: bool,
    /// Star: no IPv6 on the switch's ports.
    pub quiet_ports: bool,
    /// Hosts get no IPv6 link-local address (`addr_gen_mode none`, by netlink).
    pub quiet_hosts: bool,
    /// No IPv6 at all in hosts (`disable_ipv6`, by sysctl).
    pub no_ipv6: bool,
    /// One queue for each end.
    pub one_queue: bool,
    /// Star: teardown removes all ports by their group first.
    pub group_delete: bool,
    /// Star: ports come up one by one at the end instead of when they are made.
    pub ports_late: bool,
}

impl Tricks {
    /// The plain floor.
    pub const NONE: Self = Self {
        threads: 1,
        combined: false,
        one_mount: false,
        switch_last: false,
        quiet_ports: false,
        quiet_hosts: false,
        no_ipv6: false,
        one_queue: false,
        group_delete: false,
        ports_late: false,
    };

    /// What was found to help without changing what hosts get, together. `combined` is not among them: two threads that
    /// both wait for the kernel's one lock lose what they gain.
    pub const BEST: Self = Self {
        threads: 2,
        one_mount: true,
        switch_last: true,
        quiet_ports: true,
        one_queue: true,
        ..Self::NONE
    };

    /// Every trick by the name it has on the command line.
    pub const NAMES: [&str; 10] = [
        "threads",
        "combined",
        "one-mount",
        "switch-last",
        "quiet-ports",
        "quiet-hosts",
        "no-ipv6",
        "one-queue",
        "group-delete",
        "ports-late",
    ];

    /// With one more, by name.
    pub fn with(mut self, name: &str) -> Result<Self> {
        match name {
            "threads" => self.threads = 2,
            "combined" => self.combined = true,
            "one-mount" => self.one_mount = true,
            "switch-last" => self.switch_last = true,
            "quiet-ports" => self.quiet_ports = true,
            "quiet-hosts" => self.quiet_hosts = true,
            "no-ipv6" => self.no_ipv6 = true,
            "one-queue" => self.one_queue = true,
            "group-delete" => self.group_delete = true,
            "ports-late" => self.ports_late = true,
            _ => {
                return Err(Error::Usage(format!("no trick {name:?}; there are {}", Self::NAMES.join(", "))));
            }
        }
        Ok(self)
    }
}

/// How long each step of building took. Summed over threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// unshare(2).
    pub namespaces: Duration,
    /// Making the pin file and mounting the namespace on it.
    pub pins: Duration,
    /// Making veth pairs, as ports where there is a switch. With `combined`, all netlink.
    pub pairs: Duration,
    /// Addresses and bringing up.
    pub settings: Duration,
}

/// A built network of the floor's.
#[derive(Debug)]
pub struct Floor {
    directory: PathBuf,
    pins: Vec<PathBuf>,
    tricks: Tricks,
    /// How long the steps took.
    pub phases: Phases,
}

impl Floor {
    /// Builds it; its pins are in a new directory of this name.
    pub fn build(shape: Shape, tricks: Tricks, directory: &Path) -> Result<Self> {
        let home = own_namespace()?;
        let pins = shape.namespaces().iter().map(|name| directory.join(name)).collect();
        let mut floor = Self { directory: directory.to_owned(), pins, tricks, phases: Phases::default() };
        let built = floor.make_directory().and_then(|()| match shape {
            Shape::Star { hosts } => star::build(&mut floor, hosts),
            Shape::Mesh { routers } => mesh::build(&mut floor, routers),
            Shape::FatTree(tree) => fat_tree::build(&mut floor, tree),
        });
        // The thread has wandered through the namespaces that it made.
        sys::enter_network_namespace(home.as_fd())
            .doing(|| "return to the namespace of the start".to_owned())?;
        built.map(|()| floor)
    }

    fn make_directory(&self) -> Result<()> {
        std::fs::create_dir(&self.directory).doing(|| "make the directory of the pins".to_owned())?;
        if self.tricks.one_mount {
            sys::mount(Path::new("none"), &self.directory, "tmpfs", 0).doing(|| "mount on it".to_owned())?;
        }
        Ok(())
    }

    /// Takes it away.
    pub fn remove(self) -> Result<()> {
        if self.tricks.group_delete {
            star::delete_ports(&self)?;
        }
        if self.tricks.one_mount {
            sys::unmount(&self.directory).doing(|| "unmount the pins".to_owned())?;
        } else {
            for pin in &self.pins {
                sys::unmount(pin).doing(|| format!("unmount {}", pin.display()))?;
                std::fs::remove_file(pin).doing(|| format!("remove {}", pin.display()))?;
            }
        }
        std::fs::remove_dir(&self.directory).doing(|| "remove the directory of the pins".to_owned())
    }

    /// Makes a namespace, which the thread then is in, and pins it. Counts the time into `phases`.
    fn namespace(&self, index: usize, phases: &mut Phases) -> Result<()> {
        let start = Instant::now();
        sys::unshare(libc::CLONE_NEWNET).doing(|| "make a network namespace".to_owned())?;
        let made = Instant::now();
        let pin = self.pins.get(index).map_or(Path::new(""), PathBuf::as_path);
        File::create_new(pin).doing(|| format!("make {}", pin.display()))?;
        sys::mount(Path::new("/proc/thread-self/ns/net"), pin, "", libc::MS_BIND)
            .doing(|| format!("pin a namespace to {}", pin.display()))?;
        phases.namespaces += made - start;
        phases.pins += made.elapsed();
        Ok(())
    }
}

impl Phases {
    fn add(&mut self, other: Self) {
        self.namespaces += other.namespaces;
        self.pins += other.pins;
        self.pairs += other.pairs;
        self.settings += other.settings;
    }
}

/// The namespace that the thread is in.
pub fn own_namespace() -> Result<File> {
    File::open("/proc/thread-self/ns/net").doing(|| "open the thread's namespace".to_owned())
}

/// Writes a sysctl of the namespace that the thread is in.
fn sysctl(path: &str, value: &str) -> Result<()> {
    std::fs::write(path, value).doing(|| format!("write {path}"))
}

/// A namespace to come back to: a socket in it and the namespace itself.
#[derive(Debug)]
struct Held {
    socket: Socket,
    namespace: File,
}

impl Held {
    /// That of the thread.
    fn current() -> Result<Self> {
        Ok(Self { socket: Socket::open()?, namespace: own_namespace()? })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// Makes the namespaces of `indices` on so many threads, and holds them, in order.
fn make_all(
    floor: &mut Floor,
    indices: std::ops::Range<usize>,
    prepare: fn() -> Result<()>,
) -> Result<Vec<Held>> {
    let threads = floor.tricks.threads;
    let share = indices.len().div_ceil(threads).max(1);
    let worker = |part: Vec<usize>| -> Result<(Vec<Held>, Phases)> {
        let mut phases = Phases::default();
        let mut held = Vec::with_capacity(part.len());
        for index in part {
            floor.namespace(index, &mut phases)?;
            prepare()?;
            if floor.tricks.no_ipv6 {
                sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
            }
            held.push(Held::current()?);
        }
        Ok((held, phases))
    };
    let all: Vec<usize> = indices.collect();
    let parts = in_parallel(all.chunks(share).map(<[usize]>::to_vec).collect(), worker)?;
    let mut held = Vec::new();
    for (part, phases) in parts {
        held.extend(part);
        floor.phases.add(phases);
    }
    Ok(held)
}

/// One thread for each part; none if there is just one part.
fn in_parallel<P: Send, T: Send>(parts: Vec<P>, work: impl Fn(P) -> Result<T> + Sync) -> Result<Vec<T>> {
    if parts.len() == 1 {
        return parts.into_iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Error::Usage("a thread panicked".to_owned()))))
            .collect()
    })
}
