//! Sending packets, and seeing what becomes of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nslab_kernel::neighbour;
use nslab_predict::{Error as Refusal, Told, Verdict};

use crate::Error;
use crate::build::Built;
use crate::network::Service;
use crate::probe::{Kind, Probe};
use crate::sys::Socket;
use crate::wire::{self, Header, Meaning, Nonce};

/// What became of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// The error that the program got which sent it.
    pub refused: Option<i32>,
    /// Where it was seen, in this order.
    pub seen: Vec<Sighting>,
    /// A program got it.
    pub arrived: bool,
    /// Who the answer was from that came back.
    pub answer: Option<IpAddr>,
    /// What came back instead.
    pub told: Vec<Told>,
    /// The numbers of the namespaces in which somebody was asked for who did not answer, for this packet or another.
    pub gave_up: Vec<usize>,
}

/// A packet at an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// The number of the namespace.
    pub space: usize,
    /// The number of the interface.
    pub link: u32,
    /// It is sent there, rather than received.
    pub sent: bool,
    /// It is for another host's MAC.
    pub is_others: bool,
    /// In a tunnel's packet.
    pub in_tunnel: bool,
}

impl Observation {
    /// The outcome.
    pub fn verdict(&self, probe: &Probe) -> Verdict {
        let is_answered = !matches!(probe.what, Kind::Other(_));
        if self.answer.is_some() || !is_answered && self.arrived {
            Verdict::Delivered
        } else if self.told.is_empty() {
            Verdict::Dropped
        } else {
            Verdict::Rejected
        }
    }

    fn is_over(&self, probe: &Probe) -> bool {
        self.refused.is_some() || self.verdict(probe) != Verdict::Dropped
    }
}

/// What a tap saw.
#[derive(Debug, Clone, Copy)]
enum Event {
    Probe(usize),
    Syn { source: u16, sequence: u32 },
}

/// So long nothing happens before nothing is taken to happen any more: work that the kernel puts off when it is busy.
const QUIET: Duration = Duration::from_millis(3);
/// Longer than this no packet is on its way.
const LIMIT: Duration = Duration::from_secs(4);

/// The states of a neighbour that is being asked: incomplete, probe (`NUD_…`, `include/uapi/linux/neighbour.h`).
const ASKING: u16 = 0x01 | 0x10;
/// The state of one that did not answer.
const FAILED: u16 = 0x20;

/// Sockets that see and hear.
struct Observer<'a> {
    built: &'a mut Built,
    probes: &'a [Probe],
    /// One for each namespace.
    taps: Vec<Socket>,
    /// What is delivered to a namespace: of ICMP and TCP.
    ears: Vec<Ear>,
    /// Of each probe, what it was sent by.
    own: Vec<Option<Socket>>,
    events: Vec<Vec<(Duration, Sighting, Event)>>,
    results: Vec<Observation>,
    buffer: Vec<u8>,
}

struct Ear {
    space: usize,
    is_ipv6: bool,
    is_tcp: bool,
    socket: Socket,
}

/// Sends all, and sees what becomes of each.
pub fn run(built: &mut Built, probes: &[Probe]) -> Result<Vec<Observation>, Error> {
    let mut observer = Observer::new(built, probes)?;
    for (number, probe) in probes.iter().enumerate() {
        match probe.send(&observer.built.spaces[probe.from], number)? {
            // What it is sent by takes packets of its protocol, as no program here does.
            Ok(_) if matches!(probe.what, Kind::Other(_)) => {}
            Ok(socket) => observer.own[number] = Some(socket),
            Err(error) => observer.results[number].refused = error.raw_os_error().or(Some(0)),
        }
        if number % 8 == 7 {
            observer.drain();
        }
    }
    observer.wait()?;
    let gave_up = observer.in_state(FAILED)?;
    let mut results = observer.finish();
    for result in &mut results {
        result.gave_up.clone_from(&gave_up);
    }
    Ok(results)
}

impl<'a> Observer<'a> {
    fn new(built: &'a mut Built, probes: &'a [Probe]) -> Result<Self, Error> {
        let (mut taps, mut ears) = (Vec::new(), Vec::new());
        for (space, own) in built.spaces.iter().enumerate() {
            let sends = |is_ipv6: bool, is_tcp: bool| {
                probes.iter().any(|probe| {
                    probe.from == space
                        && probe.destination.is_ipv6() == is_ipv6
                        && (!is_tcp || matches!(probe.what, Kind::Tcp(_)))
                })
            };
            own.namespace.run(|| -> std::io::Result<()> {
                taps.push(Socket::tap()?);
                for (is_ipv6, domain, icmp) in
                    [(false, libc::AF_INET, libc::IPPROTO_ICMP), (true, libc::AF_INET6, libc::IPPROTO_ICMPV6)]
                {
                    for (is_tcp, protocol) in [(false, icmp), (true, libc::IPPROTO_TCP)] {
                        if sends(is_ipv6, is_tcp) {
                            let socket = Socket::new(domain, libc::SOCK_RAW, protocol)?;
                            let _ = socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20);
                            ears.push(Ear { space, is_ipv6, is_tcp, socket });
                        }
                    }
                }
                Ok(())
            })??;
        }
        let events = taps.iter().map(|_| Vec::new()).collect();
        let own = probes.iter().map(|_| None).collect();
        let results = vec![Observation::default(); probes.len()];
        Ok(Self { built, probes, taps, ears, own, events, results, buffer: vec![0; 10_000] })
    }

    /// Until each has been answered, or nobody is asked for any more and nothing has happened for a while.
    fn wait(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let mut last = begun;
        while begun.elapsed() < LIMIT {
            if self.drain() {
                last = Instant::now();
            }
            if self.results.iter().zip(self.probes).all(|(result, probe)| result.is_over(probe)) {
                // What is seen of the last ones.
                self.drain();
                return Ok(());
            }
            if last.elapsed() < QUIET {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            if !self.in_state(ASKING)?.is_empty() {
                std::thread::sleep(Duration::from_millis(4));
                // What was put off until now begins only now.
                last = Instant::now();
                continue;
            }
            if !self.drain() {
                return Ok(());
            }
            last = Instant::now();
        }
        Ok(())
    }

    /// The namespaces that have a neighbour in any of these states.
    fn in_state(&mut self, states: u16) -> nslab_kernel::Result<Vec<usize>> {
        let mut spaces = Vec::new();
        for (number, space) in self.built.spaces.iter_mut().enumerate() {
            let entries = neighbour::list(&mut space.socket)?;
            if entries.iter().any(|entry| entry.state & states != 0) {
                spaces.push(number);
            }
        }
        Ok(spaces)
    }

    /// Takes what has come; whether anything of ours has.
    fn drain(&mut self) -> bool {
        let programs = self.hear_programs();
        let taps = self.look();
        let ears = self.hear();
        programs || taps || ears
    }

    fn look(&mut self) -> bool {
        let mut any = false;
        for (space, tap) in self.taps.iter().enumerate() {
            while let Some(received) = tap.receive(&mut self.buffer) {
                let Some((link, kind)) = received.frame else { continue };
                let (outer, inner) = wire::packets(&self.buffer[..received.length]);
                for (header, in_tunnel) in [(outer, false), (inner, true)] {
                    let Some(header) = header else { continue };
                    let event = match Meaning::of(&header) {
                        Meaning::Asked(number) if number < self.probes.len() => Event::Probe(number),
                        Meaning::Segment { source, flags, sequence, .. } if flags & 0x12 == 0x02 => {
                            Event::Syn { source, sequence }
                        }
                        _ => continue,
                    };
                    any = true;
                    let sent = kind == libc::PACKET_OUTGOING;
                    let is_others = kind == libc::PACKET_OTHERHOST;
                    let sighting = Sighting { space, link, sent, is_others, in_tunnel };
                    self.events[space].push((received.at, sighting, event));
                }
            }
        }
        any
    }

    fn hear(&mut self) -> bool {
        let mut any = false;
        for ear in &self.ears {
            while let Some(received) = ear.socket.receive(&mut self.buffer) {
                let bytes = &self.buffer[..received.length];
                let Some(from) = received.from.map(|from| from.ip()) else { continue };
                let meaning = match (ear.is_ipv6, ear.is_tcp) {
                    // Without the IP header.
                    (true, false) => Meaning::icmp(true, bytes),
                    (true, true) => Some(Meaning::of(&Header {
                        source: from,
                        destination: from,
                        protocol: 6,
                        is_later_fragment: false,
                        rest: bytes,
                    })),
                    (false, _) => Header::read(bytes).map(|header| Meaning::of(&header)),
                };
                let Some(meaning) = meaning else { continue };
                any |= note(self.probes, &mut self.results, ear.space, from, meaning);
            }
        }
        for (number, own) in self.own.iter().enumerate() {
            let (Some(socket), Kind::Udp(port)) = (own, self.probes[number].what) else { continue };
            while let Some(received) = socket.receive(&mut self.buffer) {
                let nonce = Nonce::read(&self.buffer[..received.length]);
                let expected = self.probes[number].destination;
                let is_its = received.from.is_some_and(|from| (from.ip(), from.port()) == (expected, port));
                if nonce == Some(Nonce { number, is_answer: true }) && is_its {
                    any = true;
                    self.results[number].answer = Some(expected);
                }
            }
        }
        any
    }

    fn hear_programs(&mut self) -> bool {
        let mut any = false;
        for program in &self.built.programs {
            if matches!(program.service, Service::Tcp(_)) {
                continue;
            }
            while let Some(received) = program.socket.receive(&mut self.buffer) {
                let bytes = &self.buffer[..received.length];
                match program.service {
                    Service::Udp(_) => {
                        let Some(nonce) = Nonce::read(bytes).filter(|nonce| nonce.number < self.probes.len())
                        else {
                            continue;
                        };
                        any = true;
                        self.results[nonce.number].arrived = true;
                        if let (Some(to), Some(own)) = (received.from, received.to) {
                            let size = u32::try_from(bytes.len()).unwrap_or(0);
                            let answer = Nonce { is_answer: true, ..nonce }.payload(size);
                            // A program that cannot answer does not.
                            let _ = program.socket.answer(&answer, to, own);
                        }
                    }
                    Service::Raw(_) => {
                        let header = received.from.is_some_and(|from| from.is_ipv4());
                        let payload = if header {
                            Header::read(bytes).map_or(bytes, |header| header.rest)
                        } else {
                            bytes
                        };
                        let Some(nonce) =
                            Nonce::read(payload).filter(|nonce| nonce.number < self.probes.len())
                        else {
                            continue;
                        };
                        any = true;
                        self.results[nonce.number].arrived = true;
                    }
                    Service::Tcp(_) => {}
                }
            }
        }
        any
    }

    /// Puts what taps of all namespaces saw into one order.
    fn finish(mut self) -> Vec<Observation> {
        let mut by_sequence: HashMap<u32, usize> = HashMap::new();
        for (space, events) in self.events.iter().enumerate() {
            for (_, sighting, event) in events {
                // The first sight of a segment is where it leaves the program's namespace, by the port that it was given.
                if let Event::Syn { source, sequence } = *event
                    && sighting.sent
                    && let Some(number) = Probe::number(source, self.probes.len())
                    && self.probes[number].from == space
                    && matches!(self.probes[number].what, Kind::Tcp(_))
                {
                    by_sequence.entry(sequence).or_insert(number);
                }
            }
        }
        // Within a namespace the order is that of the tap, whatever the times.
        let mut next = vec![0; self.events.len()];
        loop {
            let waiting = |space: &usize| next[*space] < self.events[*space].len();
            let Some(space) =
                (0..self.events.len()).filter(waiting).min_by_key(|&space| self.events[space][next[space]].0)
            else {
                break;
            };
            let (_, sighting, event) = self.events[space][next[space]];
            next[space] += 1;
            let number = match event {
                Event::Probe(number) => Some(number),
                Event::Syn { sequence, .. } => by_sequence.get(&sequence).copied(),
            };
            if let Some(number) = number {
                self.results[number].seen.push(sighting);
            }
        }
        let Self { taps, ears, own, results, .. } = self;
        // Closing a tap waits until no processor uses it any more: nobody needs to wait for that.
        std::thread::spawn(move || drop((taps, ears, own)));
        results
    }
}

/// Notes what was delivered to a namespace; whether it is about a probe.
fn note(
    probes: &[Probe],
    results: &mut [Observation],
    space: usize,
    from: IpAddr,
    meaning: Meaning<'_>,
) -> bool {
    let probe_of = |id: u16| Probe::number(id, probes.len()).filter(|&number| probes[number].from == space);
    match meaning {
        Meaning::Answered(number) => {
            let Some(probe) = probes.get(number).filter(|probe| probe.from == space) else { return false };
            if probe.destination == from {
                results[number].answer = Some(from);
            }
            true
        }
        Meaning::Segment { source, destination, flags, .. } => {
            let Some(number) = probe_of(destination) else { return false };
            let probe = &probes[number];
            if probe.what != Kind::Tcp(source) || probe.destination != from {
                return false;
            }
            if flags & 0x12 == 0x12 {
                results[number].answer = Some(from);
            } else if flags & 0x04 != 0 {
                results[number].told.push(Told { from, what: Refusal::Reset });
            }
            true
        }
        Meaning::Error { kind, code, mtu, about } => {
            let number = match about.protocol {
                6 | 17 | 1 | 58 => about.ports().and_then(|(source, _)| probe_of(source)),
                _ => Nonce::read(about.rest).map(|nonce| nonce.number),
            };
            let Some(number) = number else { return false };
            let Some(probe) = probes.get(number).filter(|probe| probe.from == space) else { return false };
            if is_told(probe, &about) {
                results[number].told.push(Told { from, what: Refusal::Icmp { kind, code, mtu } });
            }
            true
        }
        Meaning::Asked(_) | Meaning::Nothing => false,
    }
}

/// Whether an error about this packet is given to what sent the probe, which a raw socket hears in any case.
fn is_told(probe: &Probe, about: &Header<'_>) -> bool {
    match probe.what {
        // The answer, too, may be refused on its way, where both ends are in one namespace.
        Kind::Echo => matches!(about.rest.first(), Some(8 | 128)) && matches!(about.protocol, 1 | 58),
        Kind::Udp(_) => about.protocol == 17,
        // A connection's socket is found by both ends.
        Kind::Tcp(port) => {
            let to = about.ports().map(|(_, port)| (about.destination, port));
            about.protocol == 6 && to == Some((probe.destination, port))
        }
        Kind::Other(own) => about.protocol == own,
    }
}
