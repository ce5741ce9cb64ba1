//! Capturing in any number of namespaces at once.
//!
//! Each namespace has one packet socket, which sees all of its interfaces, also those that come later. One thread reads all
//! of them and gives what passed in the order of time. What the kernel had to drop because nobody read fast enough is
//! counted, by namespace.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use nslab_observe::capture::{Capture, Options, Source};
//!
//! # fn main() -> nslab_observe::Result<()> {
//! let here = Source::all("host", nslab_kernel::Namespace::current()?);
//! let mut capture = Capture::open(vec![here], Options::default())?;
//! capture.start()?;
//! capture.turn(std::time::Duration::from_secs(1), &mut |sighting| {
//!     println!("{} bytes at {}", sighting.frame.length, sighting.interface.name);
//!     ControlFlow::Continue(())
//! })?;
//! # Ok(()) }
//! ```

mod interfaces;
mod merge;
mod open;
mod sizes;
mod watch;

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nslab_filter::Filter;
use nslab_kernel::error::Context;
pub use nslab_kernel::packet::Direction;
use nslab_kernel::packet::{Frame, Instruction};
use rustix::event::epoll;

pub use interfaces::Interface;
use merge::{Merge, Pending};
pub(crate) use open::side_by_side;
pub use open::{Opened, open};
pub use watch::{Found, Watch};

use crate::Result;

/// A namespace in which to capture.
#[derive(Debug)]
pub struct Source {
    /// What it is to be called.
    pub name: String,
    /// The namespace.
    pub namespace: nslab_kernel::Namespace,
    /// The interfaces of it that are wanted, by their names; all if there is none here.
    pub interfaces: Vec<String>,
}

impl Source {
    /// All interfaces of a namespace.
    pub fn all(name: impl Into<String>, namespace: nslab_kernel::Namespace) -> Self {
        Self { name: name.into(), namespace, interfaces: Vec::new() }
    }
}

/// How to capture.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is wanted, as a program that the kernel runs ([`instructions`] of a filter); everything if it is empty.
    pub filter: Vec<Instruction>,
    /// Which way packets go that are wanted.
    pub direction: Direction,
    /// At most so many bytes of each packet.
    pub length: u32,
    /// Memory for each namespace, in bytes; by default it depends on how many there are.
    pub memory: Option<u64>,
    /// Packets are few and are to be given at once; else many are handed over at a time.
    pub at_once: bool,
}

/// A filter's program as the kernel takes it, for [`Options::filter`].
pub fn instructions(filter: &Filter) -> Vec<Instruction> {
    let instructions = filter.program().instructions().iter();
    instructions
        .map(|one| Instruction { code: one.code, if_true: one.jt, if_false: one.jf, operand: one.k })
        .collect()
}

/// The most bytes of a packet, which is all of it (as tcpdump has it).
pub const LONGEST: u32 = 262_144;

impl Default for Options {
    fn default() -> Self {
        Self { filter: Vec::new(), direction: Direction::Both, length: LONGEST, memory: None, at_once: false }
    }
}

/// A packet that was seen at an interface.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// The namespace, by its place among the capture's.
    pub place: usize,
    /// The interface.
    pub interface: &'a Interface,
    /// The packet.
    pub frame: Frame<'a>,
}

/// Something else that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An interface that was asked for by name is gone.
    InterfaceGone {
        /// The namespace's place.
        place: usize,
        /// Its name.
        name: String,
    },
    /// It is there again.
    InterfaceBack {
        /// The namespace's place.
        place: usize,
        /// Its name.
        name: String,
    },
    /// A socket gives nothing any more.
    Failed {
        /// The namespace's place.
        place: usize,
        /// Why.
        why: String,
    },
}

/// What became of the packets of a namespace that the filter took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many there were, as the kernel counts them.
    pub seen: u64,
    /// How many of them were lost.
    pub lost: u64,
}

/// What is asked of the loop by whoever gets packets.
pub type Each<'e> = &'e mut dyn FnMut(&Sighting<'_>) -> ControlFlow<()>;

/// Counts are fetched this often, long before the kernel's overflow.
const COUNTING: Duration = Duration::from_millis(500);
/// What can delay a block of the ring beyond the ring's own patience: the kernel's timers, and this thread.
const SLACK: Duration = Duration::from_millis(10);
/// What can delay a frame that is handed over alone between its stamp and the ring.
const INSTANT: Duration = Duration::from_millis(3);
/// What the kernel has counted and not yet written is waited for, at the end, so long: a processor that is held up writes it in time.
const LATE: Duration = Duration::from_millis(250);
/// So many readable descriptors are looked at in one round.
const EVENTS: usize = 256;

/// A capture.
#[derive(Debug)]
pub struct Capture {
    options: Options,
    poll: std::os::fd::OwnedFd,
    places: Vec<Opened>,
    counts: Vec<Counts>,
    merge: Merge,
    /// The longest that a packet may wait before it can be taken from its ring.
    delay: Duration,
    counted: Instant,
    /// What passed until then was given, in nanoseconds since 1970.
    known: u64,
    started: bool,
    events: Vec<Event>,
}

impl Capture {
    /// Prepares sockets in all of them; nothing is captured before [`Self::start`]. Fails with
    /// [`Error::NoSuchInterface`](crate::Error::NoSuchInterface) if one has not an interface that is wanted.
    pub fn open(sources: Vec<Source>, options: Options) -> Result<Self> {
        let opened = open(sources, &options)?;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "create an epoll instance")?;
        let mut capture = Self {
            options,
            poll,
            places: Vec::new(),
            counts: Vec::new(),
            merge: Merge::default(),
            delay: INSTANT,
            counted: Instant::now(),
            known: 0,
            started: false,
            events: Vec::new(),
        };
        for one in opened {
            capture.admit(one)?;
        }
        Ok(capture)
    }

    /// Takes in a namespace that was opened; returns its place.
    fn admit(&mut self, opened: Opened) -> Result<usize> {
        let place = self.places.len();
        // Edge-triggered: a ring is readable for as long as a block of it is held.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let number = (place as u64) << 1;
        if let Some(live) = &opened.live {
            epoll::add(&self.poll, live.socket.as_fd(), epoll::EventData::new_u64(number), flags)
                .context(|| "wait for a packet socket")?;
            epoll::add(&self.poll, live.monitor(), epoll::EventData::new_u64(number | 1), flags)
                .context(|| "wait for a netlink socket")?;
        }
        self.delay = self.delay.max(opened.patience.map_or(INSTANT, |patience| patience + SLACK));
        self.merge.add_ring(opened.live.as_ref().map_or(0, |live| live.socket.blocks()));
        self.counts.push(Counts::default());
        self.places.push(opened);
        Ok(place)
    }

    /// Wants other packets from here on, in all namespaces: what a program of the kernel takes ([`instructions`]).
    pub fn refilter(&mut self, filter: Vec<Instruction>) -> Result<()> {
        self.options.filter = filter;
        self.places.iter().filter(|one| one.left.is_none()).try_for_each(|one| one.set_filter(&self.options))
    }

    /// Takes in a namespace that was [opened](open) while this runs; returns its place.
    pub fn join(&mut self, opened: Opened) -> Result<usize> {
        // Others may be wanted since then.
        opened.set_filter(&self.options)?;
        if let Some(live) = opened.live.as_ref().filter(|_| self.started) {
            live.socket.start()?;
        }
        self.admit(opened)
    }

    /// Begins. What passes from when this returns is seen, in all namespaces.
    pub fn start(&mut self) -> Result<()> {
        for live in self.places.iter().filter_map(|one| one.live.as_ref()) {
            live.socket.start()?;
        }
        self.started = true;
        Ok(())
    }

    /// How to capture.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How many namespaces there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What a namespace is called.
    pub fn name(&self, place: usize) -> &str {
        &self.places[place].name
    }

    /// A namespace's interfaces, also those that are gone.
    pub fn interfaces(&self, place: usize) -> impl Iterator<Item = &Interface> {
        self.places[place].interfaces.iter()
    }

    /// Whether all interfaces of a namespace are captured.
    pub fn is_whole(&self, place: usize) -> bool {
        self.places[place].is_whole()
    }

    /// The addresses that a namespace has now; none if they cannot be read.
    pub fn addresses(&mut self, place: usize) -> Vec<std::net::IpAddr> {
        let live = self.places[place].live.as_mut();
        let listed = live.and_then(|live| nslab_kernel::address::list(&mut live.links).ok());
        listed.unwrap_or_default().into_iter().map(|one| one.address.addr()).collect()
    }

    /// Whether nothing can come any more: interfaces were asked for by name, and all of them are gone.
    pub fn is_over(&self) -> bool {
        self.places.iter().all(Opened::is_over)
    }

    /// Until when all that passed was given, in nanoseconds since 1970; that may be long ago if whoever asks was busy.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// What happened since this was last asked.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Leaves a namespace: what passes there from here on is not seen, and what it costs the kernel is given back in time.
    pub fn leave(&mut self, place: usize) -> Result<()> {
        let opened = &mut self.places[place];
        if opened.left.is_none() {
            opened.left = Some(Instant::now());
            if let Some(live) = &opened.live {
                live.socket.stop()?;
            }
        }
        Ok(())
    }

    /// Waits for packets, at most so long, and gives those that came to `each`, in the order of time, until it says
    /// [`ControlFlow::Break`]; then it returns true. A packet is given when no other namespace can have an earlier one.
    pub fn turn(&mut self, most: Duration, each: Each<'_>) -> Result<bool> {
        let wait = match self.merge.oldest() {
            Some(time) if self.places.len() > 1 => {
                let due = Duration::from_nanos(time) + self.delay;
                due.saturating_sub(now()).clamp(Duration::from_millis(1), most.max(Duration::from_millis(1)))
            }
            _ => most,
        };
        // What the kernel has closed by then is read below.
        let begun = self.collect(wait)?;
        self.known = nanoseconds(begun.saturating_sub(self.delay));
        let complete = if self.places.len() == 1 { u64::MAX } else { self.known };
        if self.counted.elapsed() >= COUNTING {
            self.count();
        }
        let over = self.give(complete, each);
        // What waits for others' earlier packets must not keep the kernel from writing.
        for (place, opened) in self.places.iter_mut().enumerate() {
            if let Some(live) = &mut opened.live {
                self.merge.relieve(place, &mut live.socket);
            }
        }
        self.let_go();
        Ok(over)
    }

    /// Closes the sockets of namespaces that were left, once all that came before was given.
    fn let_go(&mut self) {
        let mut over = Vec::new();
        for place in 0..self.places.len() {
            let opened = &self.places[place];
            let is_over = opened.left.is_some_and(|left| left.elapsed() > self.delay);
            if is_over && opened.live.is_some() {
                self.drain(place);
                if !self.merge.has_some(place) {
                    over.push(place);
                }
            }
        }
        if over.is_empty() {
            return;
        }
        self.count();
        // Each takes the kernel about 10 ms, and of the others packets wait to be read.
        open::close_aside(over.into_iter().filter_map(|place| self.places[place].live.take()).collect());
    }

    /// Ends capturing: nothing that passes from here on is seen; gives what came before.
    pub fn finish(&mut self, each: Each<'_>) -> Result<bool> {
        for live in self.places.iter().filter_map(|one| one.live.as_ref()) {
            live.socket.stop()?;
        }
        let end = Instant::now() + self.delay + LATE;
        // What a processor is just about to count is there soon.
        let mut left = INSTANT;
        while !left.is_zero() {
            self.collect(left)?;
            let complete = nanoseconds(now().saturating_sub(self.delay));
            if self.give(complete, each) {
                self.count();
                return Ok(true);
            }
            left = if self.is_drained() {
                Duration::ZERO
            } else {
                end.saturating_duration_since(Instant::now())
            };
        }
        for place in 0..self.places.len() {
            self.drain(place);
        }
        self.count();
        Ok(self.give(u64::MAX, each))
    }

    /// Whether all that the kernel has counted until now was taken from the rings that there still are.
    fn is_drained(&mut self) -> bool {
        self.count();
        let mut live = self.places.iter().zip(&self.counts).filter(|(one, _)| one.live.is_some());
        live.all(|(one, counts)| counts.seen - counts.lost <= one.taken)
    }

    /// Asks the kernel what became of packets until now, which [`Self::counts`] tells then. That happens now and then by
    /// itself, and when capturing ends.
    pub fn count(&mut self) {
        self.counted = Instant::now();
        for (one, counts) in self.places.iter().zip(&mut self.counts) {
            if let Some(Ok(more)) = one.live.as_ref().map(|live| live.socket.counts()) {
                counts.seen += u64::from(more.seen);
                counts.lost += u64::from(more.lost);
            }
        }
    }

    /// What became of packets, by place.
    pub fn counts(&self) -> &[Counts] {
        &self.counts
    }

    /// Reads what is ready, having waited for it; returns the time of day before it was read.
    fn collect(&mut self, wait: Duration) -> Result<Duration> {
        let mut ready =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; EVENTS];
        let limit = rustix::event::Timespec::try_from(wait).ok();
        let count = match epoll::wait(&self.poll, &mut ready[..], limit.as_ref()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(errno) => return Err(nslab_kernel::Error::io("wait for packets", errno).into()),
        };
        let begun = now();
        // News first, so that packets of new interfaces have names.
        for event in ready[..count].iter().filter(|event| event.data.u64() & 1 == 1) {
            self.news((event.data.u64() >> 1) as usize);
        }
        for event in ready[..count].iter().filter(|event| event.data.u64() & 1 == 0) {
            self.drain((event.data.u64() >> 1) as usize);
        }
        Ok(begun)
    }

    /// Takes the blocks of a ring that are ready.
    fn drain(&mut self, place: usize) {
        let Opened { live: Some(live), taken, .. } = &mut self.places[place] else { return };
        while let Some(block) = live.socket.take() {
            *taken += self.merge.add(place, block, &mut live.socket) as u64;
        }
    }

    fn news(&mut self, place: usize) {
        let opened = &mut self.places[place];
        match opened.news(&self.options) {
            Ok(changes) => {
                self.events.extend(changes.into_iter().map(|(name, present)| {
                    if present {
                        Event::InterfaceBack { place, name }
                    } else {
                        Event::InterfaceGone { place, name }
                    }
                }));
            }
            Err(error) => self.events.push(Event::Failed { place, why: error.to_string() }),
        }
    }

    /// Gives what is not later than `complete`, in nanoseconds since 1970.
    fn give(&mut self, complete: u64, each: Each<'_>) -> bool {
        self.merge.begin(complete);
        while let Some(pending) = self.merge.next() {
            let place = pending.place;
            let over = self.give_one(&pending, each);
            if let Some(live) = &mut self.places[place].live {
                self.merge.done(pending, &mut live.socket);
            }
            if over {
                return true;
            }
        }
        false
    }

    fn give_one(&mut self, pending: &Pending, each: Each<'_>) -> bool {
        let place = pending.place;
        let index = {
            let opened = &self.places[place];
            let Some(live) = &opened.live else { return false };
            let Some(frame) = self.merge.frame(pending, &live.socket) else { return false };
            if let Some(interface) = opened.interfaces.get(frame.interface) {
                return each(&Sighting { place, interface, frame }).is_break();
            }
            frame.interface
        };
        // The news of it may not have been read yet.
        self.news(place);
        self.places[place].interfaces.invent(index);
        let opened = &self.places[place];
        let frame = opened.live.as_ref().and_then(|live| self.merge.frame(pending, &live.socket));
        match (frame, opened.interfaces.get(index)) {
            (Some(frame), Some(interface)) => each(&Sighting { place, interface, frame }).is_break(),
            _ => false,
        }
    }
}

impl Drop for Capture {
    /// Closes all sockets, side by side: each alone takes the kernel about 10 ms.
    fn drop(&mut self) {
        open::close(std::mem::take(&mut self.places));
    }
}

/// The time of day, which is what the kernel stamps packets with.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
