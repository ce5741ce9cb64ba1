//! One call: everything is sent, and what comes back is gathered.

mod echoes;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nslab_kernel::error::Context;
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;

use self::echoes::Echoes;
use super::arrivals::{Arrivals, Arrived};
use super::socket::{self, Sent};
use super::spaces::{Prober, on_thread, random};
use super::token::Tokens;
use super::{Answer, Arrival, Options, Outcome, Probe, Service, Token};
use crate::Result;
use crate::ping::message::Buffer;
use crate::ping::neighbours::{Reserved, Survey};
use crate::ping::socket::time_of_day;
use crate::ping::{PingOptions, SendError};

/// So many probes are on their way at most; each of TCP and UDP has a file open.
const WINDOW: usize = 4096;
/// From so many probes on, it is asked what they will do to the host's neighbour table.
const MANY: usize = 128;
/// When there was no room for a packet: try again after this.
const RETRY: Duration = Duration::from_millis(10);
/// So long a datagram that arrived where a program listens waits for an answer.
const GRACE: Duration = Duration::from_millis(100);
/// How soon a wish to stop is noticed.
const STOP_EVERY: Duration = Duration::from_millis(50);
/// Where more comes in than is read at once, so much longer is waited for what may be among it.
const BACKLOG: Duration = Duration::from_secs(1);
/// What the data of events begin with: sockets of probes below the first, of ICMP below the second, then raw ones.
const ECHOES: u64 = 1 << 32;
const ARRIVALS: u64 = 2 << 32;
/// Bytes of headers, of which a packet's size counts all: IP's, and ICMP's or UDP's.
const HEADERS: [usize; 2] = [20 + 8, 40 + 8];
/// Bytes of payload: the token's.
const PAYLOAD: usize = 8;

/// Is told of each outcome as it comes; no more are waited for once it says [`ControlFlow::Break`].
pub type Each<'e> = &'e mut (dyn FnMut(usize, &Outcome) -> ControlFlow<()> + Send);

impl Prober {
    /// Sends each probe once and waits for what comes back. Returns an outcome for each, in their order; none of those that were
    /// not waited for.
    ///
    /// What the network does to them is no error. Sockets that cannot be opened are: of ICMP, and where arrivals are looked at, it
    /// takes `CAP_NET_RAW` over the namespaces.
    pub fn send(
        &self,
        probes: &[Probe],
        options: &Options<'_>,
        each: Each<'_>,
    ) -> Result<Vec<Option<Outcome>>> {
        if probes.is_empty() {
            return Ok(Vec::new());
        }
        on_thread(|| {
            let neighbours = (probes.len() > MANY).then(|| self.reserve(probes)).transpose()?;
            let result = Run::new(self, probes, options, each).and_then(Run::work);
            if let Some((survey, mut reserved)) = neighbours {
                reserved.release(&self.namespaces)?;
                survey.sweep(&self.namespaces)?;
            }
            result
        })
    }

    /// Reserves the neighbour entries that many probes need: the table is small, and all of the host's.
    fn reserve(&self, probes: &[Probe]) -> Result<(Survey, Reserved)> {
        let survey = Survey::take(&self.namespaces)?;
        let options = PingOptions::default();
        let pings = probes.iter().map(|probe| crate::ping::Probe::new(probe.source, probe.destination));
        let entries: Vec<_> =
            pings.flat_map(|ping| survey.entries(&ping, &options).collect::<Vec<_>>()).collect();
        let reserved = Reserved::make(entries.into_iter(), &self.namespaces)?;
        Ok((survey, reserved))
    }
}

/// A probe on its way.
struct Flight {
    /// The socket of its own; echoes share one.
    socket: Option<OwnedFd>,
    began: Instant,
    /// The time of day then, to be held against the kernel's stamps.
    stamp: Duration,
    arrived: Option<Arrived>,
}

struct Run<'a> {
    prober: &'a Prober,
    probes: &'a [Probe],
    options: &'a Options<'a>,
    each: Each<'a>,
    tokens: Tokens,
    id: u16,
    poll: OwnedFd,
    arrivals: Option<Arrivals>,
    echoes: Vec<Echoes>,
    /// By namespace, family, and whether packets are not to be fragmented.
    echoes_of: HashMap<(usize, bool, bool), usize>,
    flights: Vec<Option<Flight>>,
    outcomes: Vec<Option<Outcome>>,
    /// In the order in which they are sent.
    left: VecDeque<usize>,
    /// For which there was no room: when to try again, and since when it is tried.
    retries: VecDeque<(Instant, Instant, usize)>,
    /// In their order, as all wait equally long; likewise those that arrived.
    deadlines: VecDeque<(Instant, usize)>,
    graces: VecDeque<(Instant, usize)>,
    open: usize,
    over: bool,
    next: Instant,
    buffer: Buffer,
    packet: Vec<u8>,
    found: Vec<Arrived>,
}

impl<'a> Run<'a> {
    fn new(
        prober: &'a Prober,
        probes: &'a [Probe],
        options: &'a Options<'a>,
        each: Each<'a>,
    ) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "make an epoll instance")?;
        let tokens = Tokens::new(random(), probes.len());
        let arrivals =
            options.arrivals.then(|| Arrivals::open(prober, probes, tokens, &poll, ARRIVALS)).transpose()?;
        let mut left: Vec<usize> = (0..probes.len()).collect();
        if options.pace.is_zero() {
            // Going to another namespace takes as long as sending.
            left.sort_by_key(|&number| probes[number].source);
        }
        let [high, low, ..] = random().to_be_bytes();
        Ok(Self {
            prober,
            probes,
            options,
            each,
            tokens,
            id: u16::from_be_bytes([high, low]),
            poll,
            arrivals,
            echoes: Vec::new(),
            echoes_of: HashMap::new(),
            flights: probes.iter().map(|_| None).collect(),
            outcomes: vec![None; probes.len()],
            left: left.into(),
            retries: VecDeque::new(),
            deadlines: VecDeque::new(),
            graces: VecDeque::new(),
            open: 0,
            over: false,
            next: Instant::now(),
            buffer: Buffer::new(),
            packet: Vec::new(),
            found: Vec::new(),
        })
    }

    fn work(mut self) -> Result<Vec<Option<Outcome>>> {
        let mut events = Vec::with_capacity(64);
        while !self.over && !(self.options.stop)() {
            let now = Instant::now();
            while let Some(&(due, since, number)) = self.retries.front()
                && due <= now
            {
                self.retries.pop_front();
                self.launch(number, since)?;
            }
            while self.open < WINDOW && self.next <= Instant::now() && !self.over {
                let Some(number) = self.left.pop_front() else { break };
                self.next += self.options.pace;
                self.launch(number, Instant::now())?;
            }
            if self.open == 0 && self.left.is_empty() && self.retries.is_empty() {
                break;
            }
            let Some(looked) = self.wait(&mut events)? else { continue };
            let mut all = events.len() < events.capacity();
            for event in events.drain(..) {
                let epoll::Event { flags, data } = event;
                all &= self.take(data.u64(), flags.contains(epoll::EventFlags::ERR));
            }
            // This may have been kept from the processor for long: what had come by then is read first.
            let read = if all { Some(looked) } else { looked.checked_sub(BACKLOG) };
            if let Some(read) = read {
                self.expire(read)?;
            }
        }
        Ok(self.outcomes)
    }

    fn launch(&mut self, number: usize, since: Instant) -> Result<()> {
        let probe = self.probes[number];
        let (began, stamp) = (Instant::now(), time_of_day());
        let sent = match probe.service {
            Service::Echo => self.echo(number, &probe)?,
            Service::Tcp(port) => {
                self.prober.namespaces[probe.source].move_thread()?;
                socket::connect(SocketAddr::new(probe.destination, port), self.tokens.sequence(number))?
            }
            Service::Udp(port) => {
                self.prober.namespaces[probe.source].move_thread()?;
                let headers = HEADERS[usize::from(probe.destination.is_ipv6())];
                let size = probe.size.map_or(PAYLOAD, |size| (size as usize).saturating_sub(headers));
                self.packet.clear();
                self.packet.extend_from_slice(&self.tokens.payload(number));
                self.packet.resize(size.max(PAYLOAD), 0);
                let to = SocketAddr::new(probe.destination, port);
                socket::send(to, &self.packet, probe.size.is_some(), &mut self.buffer)?
            }
        };
        self.flights[number] = Some(Flight { socket: None, began, stamp, arrived: None });
        self.open += 1;
        match sent {
            Sent::Off(socket) => {
                if let Some(socket) = &socket {
                    let flags = match probe.service {
                        Service::Tcp(_) => epoll::EventFlags::OUT,
                        _ => epoll::EventFlags::IN,
                    };
                    epoll::add(&self.poll, socket, epoll::EventData::new_u64(number as u64), flags)
                        .context(|| "watch a socket")?;
                }
                if let Some(flight) = &mut self.flights[number] {
                    flight.socket = socket;
                }
                self.deadlines.push_back((began + self.options.timeout, number));
            }
            Sent::Busy if since.elapsed() < self.options.timeout => {
                self.flights[number] = None;
                self.open -= 1;
                self.retries.push_back((began + RETRY, since, number));
            }
            Sent::Busy => self.finish(number, Answer::NotSent(SendError::NoBuffers), None),
            Sent::Refused(error) => self.finish(number, Answer::NotSent(error), None),
        }
        Ok(())
    }

    /// Returns whether all that had come was read.
    fn take(&mut self, data: u64, errors: bool) -> bool {
        let number = usize::try_from(data & 0xffff_ffff).unwrap_or(usize::MAX);
        if data >= ARRIVALS {
            if let Some(arrivals) = &self.arrivals {
                arrivals.read(number, &mut self.found);
            }
            self.note();
            return true;
        }
        if data >= ECHOES {
            return self.take_echoes(number, errors);
        }
        let Some(flight) = self.flights.get(number).and_then(Option::as_ref) else { return true };
        let Some(socket) = &flight.socket else { return true };
        let answer = match self.probes[number].service {
            Service::Tcp(_) => socket::connected(socket.as_fd(), &mut self.buffer),
            _ => socket::answered(socket.as_fd(), &mut self.buffer),
        };
        if let Some(answer) = answer {
            self.finish(number, answer, None);
        }
        true
    }

    /// Notes where probes arrived.
    fn note(&mut self) {
        for arrived in std::mem::take(&mut self.found) {
            let number = arrived.number;
            let Some(flight) = self.flights[number].as_mut().filter(|flight| flight.arrived.is_none()) else {
                continue;
            };
            flight.arrived = Some(arrived);
            if matches!(self.probes[number].service, Service::Udp(_)) {
                self.graces.push_back((Instant::now() + GRACE, number));
            }
        }
    }

    fn expire(&mut self, now: Instant) -> Result<()> {
        while let Some(&(due, number)) = self.graces.front()
            && due <= now
        {
            self.graces.pop_front();
            if self.is_taken(number)? {
                self.finish(number, Answer::Taken, None);
            }
        }
        while let Some(&(due, number)) = self.deadlines.front()
            && due <= now
        {
            self.deadlines.pop_front();
            if self.is_taken(number)? {
                self.finish(number, Answer::Taken, None);
            } else {
                self.finish(number, Answer::Silence, None);
            }
        }
        Ok(())
    }

    /// Whether a datagram arrived where a program listens.
    fn is_taken(&mut self, number: usize) -> Result<bool> {
        let (probe, flight) = (&self.probes[number], &self.flights[number]);
        let (Service::Udp(_), Some(arrivals)) = (probe.service, &mut self.arrivals) else { return Ok(false) };
        match flight.as_ref().and_then(|flight| flight.arrived.as_ref()) {
            Some(arrived) => arrivals.is_taken(self.prober, arrived, probe.destination),
            None => Ok(false),
        }
    }

    /// Ends a probe, if it has not ended yet. `received` is the kernel's stamp.
    fn finish(&mut self, number: usize, answer: Answer, received: Option<Duration>) {
        if self.flights[number].is_none() {
            return;
        }
        let probe = &self.probes[number];
        let is_echo = probe.service == Service::Echo;
        let is_said = matches!(answer, Answer::Reset | Answer::Icmp { .. });
        if let Some(arrivals) = self.arrivals.as_ref().filter(|_| is_said && !is_echo) {
            // What arrived did so before, and may not have been read yet.
            arrivals.look(self.prober, probe.destination, number, &mut self.found);
            self.note();
        }
        let Some(flight) = self.flights[number].take() else { return };
        self.open -= 1;
        let elapsed = flight.began.elapsed();
        // The stamp is only wrong where the clock was set in between.
        let by_stamp =
            received.and_then(|time| time.checked_sub(flight.stamp)).filter(|time| *time <= elapsed);
        let is_near = || self.prober.owners(probe.destination).next().is_some();
        let arrival = match flight.arrived {
            Some(arrived) => Arrival::Seen(arrived.place),
            None if self.arrivals.is_some() && !is_echo && is_near() => Arrival::Unseen,
            None => Arrival::Unknown,
        };
        let from_sender = match answer {
            Answer::Icmp { from: Some(from), .. } => {
                from != probe.destination && self.prober.has(probe.source, from)
            }
            _ => false,
        };
        let token = match probe.service {
            Service::Tcp(_) => Token::Sequence(self.tokens.sequence(number)),
            _ => Token::Payload(self.tokens.payload(number)),
        };
        let outcome = Outcome { answer, time: by_stamp.unwrap_or(elapsed), arrival, from_sender, token };
        self.over |= (self.each)(number, &outcome).is_break();
        self.outcomes[number] = Some(outcome);
    }

    /// Waits until something comes or is due. What had come by the time that is returned is among the events; none if that was not
    /// looked at.
    fn wait(&mut self, events: &mut Vec<epoll::Event>) -> Result<Option<Instant>> {
        let now = Instant::now();
        let times = [
            (!self.left.is_empty() && self.open < WINDOW).then_some(self.next),
            self.retries.front().map(|&(due, ..)| due),
            self.deadlines.front().map(|&(due, _)| due),
            self.graces.front().map(|&(due, _)| due),
            Some(now + STOP_EVERY),
        ];
        let due = times.into_iter().flatten().min().unwrap_or(now);
        let wait = due.saturating_duration_since(now);
        let wait =
            Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(0), tv_nsec: wait.subsec_nanos().into() };
        if wait != (Timespec { tv_sec: 0, tv_nsec: 0 }) {
            // epoll_wait(2) itself counts in milliseconds, which here is a long time.
            match rustix::event::poll(&mut [PollFd::new(&self.poll, PollFlags::IN)], Some(&wait)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context(|| "wait for answers")?,
            }
        }
        let (looked, at_once) = (Instant::now(), Timespec { tv_sec: 0, tv_nsec: 0 });
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(events), Some(&at_once)) {
            Ok(_) => Ok(Some(looked)),
            Err(Errno::INTR) => Ok(None),
            Err(errno) => Err(errno).context(|| "wait for answers")?,
        }
    }
}
