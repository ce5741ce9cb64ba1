//! A thread that sends requests and gathers what comes back.

mod expiry;

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use nslab_kernel::error::Context;
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;

use crate::Result;
use crate::ping::icmp::Family;
use crate::ping::message::Buffer;
use crate::ping::neighbours::{Reserved, Unresolved};
use crate::ping::outcome::{Cause, Failure, SendError};
use crate::ping::pace::Pace;
use crate::ping::port::{Arrival, Attempt, Incoming, Port, State};
use crate::ping::run::{Job, Report};
use crate::ping::socket::{NotSent, Socket, time_of_day};
use crate::ping::{Event, Outcome};

/// Requests without an answer that a worker has open at most.
const WINDOW: usize = 16_384;
/// Tiles that a worker has begun and not finished at most, each with up to 2048 neighbour entries.
const OPEN_TILES: usize = 8;
/// When there was no room for a packet: try again after this.
const RETRY: Duration = Duration::from_millis(10);
/// Reports are gathered for so long, where there is more to do.
const REPORT_EVERY: Duration = Duration::from_millis(5);
/// How soon a wish to stop is noticed.
const STOP_EVERY: Duration = Duration::from_millis(100);
/// Where more comes in than is read at once, so much longer is waited for what may be among it.
const BACKLOG: Duration = Duration::from_secs(1);

pub(in crate::ping) struct Worker<'a> {
    job: &'a Job<'a>,
    id: u16,
    epoll: std::os::fd::OwnedFd,
    ports: Vec<Port>,
    port_of: HashMap<(usize, Family), usize>,
    buffer: Buffer,
    packet: Vec<u8>,
    /// Requests to send now.
    ready: VecDeque<Attempt>,
    /// Further requests, with their times. All wait equally long, so the queue is in order.
    later: VecDeque<(Instant, Attempt)>,
    /// Requests for which there was no room: when to try again, and until when.
    retries: VecDeque<(Instant, Instant, Attempt)>,
    /// When requests are given up, by port and number. All wait equally long, so the queue is in order.
    deadlines: VecDeque<(Instant, usize, u64)>,
    /// Requests that get a little longer; in order too.
    overtime: VecDeque<(Instant, usize, u64)>,
    unresolved: Unresolved,
    open_requests: usize,
    probes: HashMap<u32, Open>,
    tiles: Vec<Tile>,
    more_tiles: bool,
    pace: Pace,
    report: Report,
    reported: Instant,
    sender: Sender<Report>,
}

/// A probe that is not finished.
struct Open {
    outcome: Outcome,
    /// Requests that wait for an answer.
    waiting: u32,
    tile: usize,
}

/// Probes that were begun together.
struct Tile {
    open: usize,
    reserved: Reserved,
}

impl<'a> Worker<'a> {
    pub(in crate::ping) fn new(job: &'a Job<'a>, number: u16, sender: Sender<Report>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "make an epoll instance")?;
        Ok(Self {
            job,
            id: u16::from_ne_bytes([job.nonce[0], job.nonce[1]]).wrapping_add(number),
            epoll,
            ports: Vec::new(),
            port_of: HashMap::new(),
            buffer: Buffer::new(),
            packet: Vec::new(),
            ready: VecDeque::new(),
            later: VecDeque::new(),
            retries: VecDeque::new(),
            deadlines: VecDeque::new(),
            overtime: VecDeque::new(),
            unresolved: Unresolved::default(),
            open_requests: 0,
            probes: HashMap::new(),
            tiles: Vec::new(),
            more_tiles: true,
            pace: Pace::new(job.namespaces.len(), job.workers.into()),
            report: Report::default(),
            reported: Instant::now(),
            sender,
        })
    }

    /// Works until no probe is left.
    pub(in crate::ping) fn run(mut self) -> Result<()> {
        let worked = self.work();
        // Also after an error, nothing may be left behind.
        let released = self.tiles.iter_mut().try_for_each(|tile| tile.reserved.release(self.job.namespaces));
        for (probe, open) in std::mem::take(&mut self.probes) {
            self.report.finished.push((probe, open.outcome));
        }
        self.tell();
        worked.and(released)
    }

    fn work(&mut self) -> Result<()> {
        let mut ready = Vec::with_capacity(64);
        while !self.job.is_stopped() {
            if self.ready.is_empty() && self.more_tiles && self.tiles_open() < OPEN_TILES {
                self.begin_tile()?;
            }
            let now = Instant::now();
            self.wake(now);
            while self.open_requests < WINDOW && self.pace.allows(now) {
                let Some(attempt) = self.ready.pop_front() else { break };
                self.send(attempt, None)?;
            }
            if self.probes.is_empty() && !self.more_tiles {
                break;
            }
            let Some(looked) = self.wait(&mut ready)? else { continue };
            let mut all = ready.len() < ready.capacity();
            for event in ready.drain(..) {
                let epoll::Event { flags, data } = event;
                all &= self.receive(
                    usize::try_from(data.u64()).unwrap_or(usize::MAX),
                    flags.contains(epoll::EventFlags::ERR),
                )?;
            }
            // This may have been kept from the processor for long: what had come by then is read first.
            let read = if all { Some(looked) } else { looked.checked_sub(BACKLOG) };
            if let Some(read) = read {
                self.expire(read)?;
            }
        }
        Ok(())
    }

    fn tiles_open(&self) -> usize {
        self.tiles.iter().filter(|tile| tile.open > 0).count()
    }

    fn begin_tile(&mut self) -> Result<()> {
        let Some(probes) = self.job.take_tile() else {
            self.more_tiles = false;
            return Ok(());
        };
        let reserved = match &self.job.survey {
            Some(survey) => {
                let (job, list) = (self.job, probes.iter().map(|&probe| &self.job.probes[probe as usize]));
                Reserved::make(list.flat_map(|probe| survey.entries(probe, job.options)), job.namespaces)?
            }
            None => Reserved::default(),
        };
        self.tiles.push(Tile { open: probes.len(), reserved });
        let tile = self.tiles.len() - 1;
        for &probe in probes {
            self.probes.insert(probe, Open { outcome: Outcome::default(), waiting: 0, tile });
            self.ready.push_back(Attempt { probe, sequence: 1 });
        }
        Ok(())
    }

    /// Moves what is due to where it is sent from.
    fn wake(&mut self, now: Instant) {
        while let Some(&(due, attempt)) = self.later.front()
            && due <= now
        {
            self.later.pop_front();
            self.ready.push_back(attempt);
        }
    }

    fn send(&mut self, attempt: Attempt, first_try: Option<Instant>) -> Result<()> {
        let probe = self.job.probes[attempt.probe as usize];
        let place = self.port(probe.source, Family::of(probe.destination))?;
        let (job, port) = (self.job, &mut self.ports[place]);
        port.write(job.nonce, job.options.size, &mut self.packet);
        let (at, stamp) = (Instant::now(), time_of_day());
        let sent = port.socket.send(&self.packet, &probe, &mut self.buffer);
        let give_up = first_try.unwrap_or(at + job.options.timeout);
        if matches!(sent, Err(NotSent::Busy)) && at < give_up {
            self.retries.push_back((at + RETRY, give_up, attempt));
            return Ok(());
        }
        let Some(open) = self.probes.get_mut(&attempt.probe) else { return Ok(()) };
        open.outcome.sent += 1;
        if attempt.sequence < job.options.count {
            let next = Attempt { sequence: attempt.sequence + 1, ..attempt };
            self.later.push_back((at + job.options.interval, next));
        }
        match sent {
            Ok(()) => {
                open.waiting += 1;
                self.open_requests += 1;
                self.deadlines.push_back((at + job.options.timeout, place, port.next_number()));
                port.remember(attempt, probe.destination, stamp, at, self.pace.note_sent(at));
                Ok(())
            }
            Err(NotSent::Busy) => self.fail(attempt, Cause::Refused(SendError::NoBuffers)),
            Err(NotSent::Refused(error)) => self.fail(attempt, Cause::Refused(error)),
        }
    }

    fn port(&mut self, namespace: usize, family: Family) -> Result<usize> {
        if let Some(&place) = self.port_of.get(&(namespace, family)) {
            return Ok(place);
        }
        self.job.namespaces[namespace].move_thread()?;
        let socket = Socket::open(family, self.id, self.job.options)?;
        let place = self.ports.len();
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(place as u64), epoll::EventFlags::IN)
            .context(|| "watch a raw ICMP socket")?;
        self.ports.push(Port::new(socket, family, self.id));
        self.port_of.insert((namespace, family), place);
        Ok(place)
    }

    /// Returns whether all that had come was read.
    fn receive(&mut self, place: usize, errors: bool) -> Result<bool> {
        if errors {
            self.ports[place].socket.drain_errors(&mut self.buffer);
        }
        // Bounded, so that a flood at one socket does not starve the others.
        for _ in 0..64 {
            let port = &mut self.ports[place];
            let (number, arrival) = match port.receive(&mut self.buffer, self.job.nonce) {
                Incoming::Ours(number, arrival) => (number, arrival),
                Incoming::Other => continue,
                Incoming::End => return Ok(true),
            };
            let Some(sent) = port.sent(number) else { continue };
            let (attempt, before) = (sent.attempt, sent.state);
            self.pace.note_arrival(sent.order);
            sent.state = match arrival {
                Arrival::Reply(_) => State::Answered,
                Arrival::Error { .. } if before == State::Answered => State::Answered,
                Arrival::Error { .. } => State::Closed,
            };
            let Some(open) = self.probes.get_mut(&attempt.probe) else { continue };
            if before == State::Waiting {
                open.waiting -= 1;
                self.open_requests -= 1;
            }
            let probe = attempt.probe as usize;
            match arrival {
                Arrival::Reply(reply) if before == State::Answered => {
                    open.outcome.duplicates += 1;
                    self.report.events.push(Event::Duplicate { probe, reply });
                }
                Arrival::Reply(reply) => {
                    // Mostly there is only one: no room for more is taken ahead.
                    open.outcome.replies.reserve_exact(usize::from(open.outcome.replies.is_empty()));
                    open.outcome.replies.push(reply);
                    self.report.events.push(Event::Reply { probe, reply });
                }
                Arrival::Error { from, error } if before == State::Waiting => {
                    self.fail(attempt, Cause::Icmp { from, error })?;
                    continue;
                }
                Arrival::Error { .. } => {}
            }
            self.finish_if_done(attempt.probe)?;
        }
        Ok(false)
    }

    fn fail(&mut self, attempt: Attempt, cause: Cause) -> Result<()> {
        let failure = Failure { sequence: attempt.sequence, cause };
        self.report.events.push(Event::Failure { probe: attempt.probe as usize, failure });
        if let Some(open) = self.probes.get_mut(&attempt.probe) {
            open.outcome.failures.push(failure);
        }
        self.finish_if_done(attempt.probe)
    }

    fn finish_if_done(&mut self, probe: u32) -> Result<()> {
        let std::collections::hash_map::Entry::Occupied(entry) = self.probes.entry(probe) else {
            return Ok(());
        };
        if entry.get().waiting > 0 || entry.get().outcome.sent < self.job.options.count {
            return Ok(());
        }
        let Open { outcome, tile, .. } = entry.remove();
        self.report.finished.push((probe, outcome));
        self.report.events.push(Event::Finished { probe: probe as usize });
        self.tiles[tile].open -= 1;
        if self.tiles[tile].open == 0 {
            self.tiles[tile].reserved.release(self.job.namespaces)?;
        }
        Ok(())
    }

    /// Waits until something comes in or is due. What had come by the time that is returned is among what is ready; none if that was not
    /// looked at.
    fn wait(&mut self, ready: &mut Vec<epoll::Event>) -> Result<Option<Instant>> {
        let now = Instant::now();
        let can_send = self.open_requests < WINDOW && !self.ready.is_empty();
        let can_begin = self.ready.is_empty() && self.more_tiles && self.tiles_open() < OPEN_TILES;
        let times = [
            can_begin.then_some(now),
            can_send.then(|| self.pace.next()),
            self.later.front().map(|&(due, _)| due),
            self.retries.front().map(|&(due, ..)| due),
            self.deadlines.front().map(|&(deadline, ..)| deadline),
            self.overtime.front().map(|&(deadline, ..)| deadline),
            self.job.options.stop.is_some().then_some(now + STOP_EVERY),
        ];
        let wait = times.into_iter().flatten().min().map(|time| time.saturating_duration_since(now));
        if wait.is_none_or(|wait| wait > REPORT_EVERY) || now - self.reported > REPORT_EVERY {
            self.tell();
            self.reported = now;
        }
        // Another worker's failure must be noticed too.
        let wait = wait.unwrap_or(STOP_EVERY).min(Duration::from_secs(1));
        let wait = Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        if wait != (Timespec { tv_sec: 0, tv_nsec: 0 }) {
            // epoll_wait(2) itself counts in milliseconds, which here is a long time.
            let mut epoll = [PollFd::new(&self.epoll, PollFlags::IN)];
            match rustix::event::poll(&mut epoll, Some(&wait)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context(|| "wait for answers")?,
            }
        }
        let (looked, at_once) = (Instant::now(), Timespec { tv_sec: 0, tv_nsec: 0 });
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), Some(&at_once)) {
            Ok(_) => Ok(Some(looked)),
            Err(Errno::INTR) => Ok(None),
            Err(errno) => Err(errno).context(|| "wait for answers")?,
        }
    }

    fn tell(&mut self) {
        let report = std::mem::take(&mut self.report);
        if !report.events.is_empty() || !report.finished.is_empty() {
            // The receiver outlives the workers.
            let _ = self.sender.send(report);
        }
    }
}
