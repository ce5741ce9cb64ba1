//! Sockets in namespaces: set up and closed, many at once.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nslab_kernel::link::{self, IfIndex, LinkEvent, LinkMonitor};
use nslab_kernel::mark;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::packet::{Delivery, Direction, PacketSocket, Wanted, program};

use super::interfaces::Interfaces;
use super::sizes::{Room, Sizes};
use super::{Options, Source};
use crate::{Error, Result};

/// So many threads wait for the kernel at once: it makes each wait about 10 ms, whatever the others do.
const THREADS: usize = 128;
/// They do little.
const STACK: usize = 256 << 10;

/// A namespace that is ready for capturing in it.
#[derive(Debug)]
pub struct Opened {
    pub(super) name: String,
    pub(super) live: Option<Live>,
    pub(super) interfaces: Interfaces,
    /// The interfaces that were asked for by name, with their numbers while they are there.
    wanted: Option<Vec<(String, Option<IfIndex>)>>,
    /// How long its ring keeps packets back; none if it does not.
    pub(super) patience: Option<Duration>,
    /// So many packets were taken from the ring.
    pub(super) taken: u64,
    /// Since when nothing more is wanted of it.
    pub(super) left: Option<Instant>,
}

/// What is open.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) socket: PacketSocket,
    monitor: LinkMonitor,
    pub(super) links: Socket,
    /// After the socket: what it has is free once that is closed.
    _room: Room,
}

impl Live {
    pub(super) fn monitor(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }
}

/// Sets up sockets in namespaces, which share the memory. Nothing is captured yet.
pub fn open(sources: Vec<Source>, options: &Options) -> Result<Vec<Opened>> {
    let sizes = Sizes::new(options, sources.len());
    let opened = side_by_side(sources, |source| Opened::new(source, options, &sizes));
    opened.into_iter().collect()
}

/// Closes sockets.
pub(super) fn close(places: Vec<Opened>) {
    side_by_side(places, drop);
}

/// Closes sockets while others go on.
pub(super) fn close_aside(lives: Vec<Live>) {
    // Where there can be no more threads, they are closed all the same: what is not run is dropped.
    let _ = std::thread::Builder::new().name("close".into()).spawn(|| side_by_side(lives, drop));
}

/// Does `work` with each, on many threads, and gives the results in order.
pub(crate) fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let threads = items.len().min(THREADS);
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let lock =
        |place: &Mutex<Option<T>>| place.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let one_after_the_other = || {
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&one| one < items.len()) {
            if let Some(item) = lock(&items[number]) {
                let result = work(item);
                *results[number].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where there can be no more threads, fewer do it.
            let _ = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, one_after_the_other);
        }
        one_after_the_other();
    });
    let taken = results
        .into_iter()
        .map(|place| place.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    taken.flatten().collect()
}

impl Opened {
    pub(super) fn new(source: Source, options: &Options, sizes: &Sizes<'_>) -> Result<Self> {
        let Source { name, namespace, interfaces: wanted } = source;
        let opened = namespace.run(|| {
            let mut links = Socket::open(Protocol::Route)?;
            // Before they are listed, so that nothing is missed.
            let monitor = LinkMonitor::open()?;
            let interfaces = link::list(&mut links)?;
            let (size, room) = sizes.ring(interfaces.len());
            let socket = PacketSocket::open(size)?;
            if options.direction == Direction::In {
                socket.ignore_outgoing()?;
            }
            let live = Live { socket, monitor, links, _room: room };
            // The namespace goes when others let it go.
            [live.socket.as_fd(), live.monitor(), live.links.as_fd()].into_iter().for_each(mark::set);
            Ok::<_, nslab_kernel::Error>((live, interfaces, size))
        })?;
        let (live, interfaces, size) = opened?;
        let patience = match size.delivery {
            Delivery::Blocks { patience } => Some(patience),
            Delivery::Frames { .. } => None,
        };
        let interfaces = Interfaces::of(&interfaces);
        let wanted = (!wanted.is_empty()).then(|| wanted.into_iter().map(|name| (name, None)).collect());
        let mut opened = Self { name, live: Some(live), interfaces, wanted, patience, taken: 0, left: None };
        opened.find_wanted();
        if let Some((name, _)) = opened.wanted.iter().flatten().find(|(_, index)| index.is_none()) {
            return Err(Error::NoSuchInterface {
                namespace: opened.name.clone(),
                name: name.clone(),
                known: opened.interfaces.iter().map(|one| one.name.clone()).collect(),
            });
        }
        opened.set_filter(options)?;
        Ok(opened)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether all of its interfaces are captured.
    pub(super) fn is_whole(&self) -> bool {
        self.wanted.is_none()
    }

    /// Whether nothing can come from it any more.
    pub(super) fn is_over(&self) -> bool {
        self.left.is_some()
            || self.wanted.as_ref().is_some_and(|wanted| wanted.iter().all(|(_, index)| index.is_none()))
    }

    /// Finds the interfaces that were asked for by their names; returns those that came (true) or went.
    fn find_wanted(&mut self) -> Vec<(String, bool)> {
        let mut changes = Vec::new();
        for (name, index) in self.wanted.iter_mut().flatten() {
            let now = self.interfaces.named(name).map(|interface| interface.index);
            if now.is_some() != index.is_some() {
                changes.push((name.clone(), now.is_some()));
            }
            *index = now;
        }
        changes
    }

    pub(super) fn set_filter(&self, options: &Options) -> Result<()> {
        let numbers: Option<Vec<IfIndex>> =
            self.wanted.as_ref().map(|wanted| wanted.iter().filter_map(|(_, index)| *index).collect());
        let wanted = Wanted {
            interfaces: numbers.as_deref(),
            direction: options.direction,
            filter: &options.filter,
            length: options.length,
        };
        let program = program(&wanted).ok_or(Error::FilterTooLong)?;
        if let Some(live) = &self.live {
            live.socket.filter(&program)?;
        }
        Ok(())
    }

    /// Reads what became of interfaces; returns those that came (true) or went, of those that were asked for.
    pub(super) fn news(&mut self, options: &Options) -> Result<Vec<(String, bool)>> {
        let (Some(live), interfaces) = (&mut self.live, &mut self.interfaces) else { return Ok(Vec::new()) };
        let mut missed = false;
        let mut some = false;
        live.monitor.read(|event| {
            some = true;
            match event {
                LinkEvent::Present(link) => interfaces.put(&link),
                LinkEvent::Gone(index) => interfaces.remove(index),
                LinkEvent::Missed => missed = true,
            }
        })?;
        if missed {
            interfaces.replace(&link::list(&mut live.links)?);
        }
        if !some || self.wanted.is_none() || self.left.is_some() {
            return Ok(Vec::new());
        }
        let changes = self.find_wanted();
        self.set_filter(options)?;
        Ok(changes)
    }
}
