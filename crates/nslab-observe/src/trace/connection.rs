//! The rest of a TCP connection: what follows on the two segments that are the probe and its answer.

use std::os::fd::OwnedFd;
use std::time::Duration;

use nslab_decode::{Decoded, Tcp, TcpFlags, Transport};
use nslab_kernel::link::IfIndex;
use nslab_kernel::packet::PacketKind;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};

use super::Captured;
use super::run::{captured, decoded};
use super::send::Made;
use super::timeline::since;
use crate::capture::Sighting;

/// Numbers of sequence that far behind the first are still of one short connection.
const WINDOW: u32 = 1 << 24;

/// A connection that was made and then closed, rather than reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// How it ended.
    pub end: ConnectionEnd,
    /// From sending the first segment until the connection was made.
    pub made: Duration,
    /// From sending the first segment until it ended, or nothing more was expected.
    pub ended: Duration,
    /// Bytes that the other end sent unasked.
    pub received: u64,
    /// Its segments behind SYN and SYN-ACK, in their order.
    pub segments: Vec<Segment>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionEnd {
    /// Both ends closed it.
    InOrder,
    /// The sender closed it, which the other end knows; that keeps its own half open.
    HalfOpen,
    /// It was reset, and not by the sender.
    Reset,
    /// That the sender closes it is not acknowledged.
    Silent,
}

/// A segment, by all its sightings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// It is of the probe's sender, rather than of the other end.
    pub from_sender: bool,
    /// Its flags.
    pub flags: TcpFlags,
    /// Bytes of data.
    pub length: u64,
    /// At which interfaces it passed, in this order; what was sent once more passed there again.
    pub seen: Vec<Passage>,
    /// It came in where it was to go; none if it is not known where that is, as its other end is not watched.
    pub arrived: Option<bool>,
    sequence: u32,
    acknowledgement: u32,
}

/// A segment at an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where, by the places' order.
    pub place: usize,
    /// Since the first segment was sent.
    pub at: Duration,
    /// The interface.
    pub link: IfIndex,
    /// Its name.
    pub name: String,
    /// It goes out there, rather than in.
    pub sent: bool,
    /// The frame.
    pub frame: Captured,
}

/// Picks out the segments of one connection.
#[derive(Debug)]
pub(super) struct Collector {
    /// The first sequence number of the sender.
    first: u32,
    /// The place of the sender.
    sender: usize,
    /// That of the other end, once it has answered.
    other: Option<u32>,
    /// The place in which the answer was made.
    far: Option<usize>,
    segments: Vec<Segment>,
}

impl Collector {
    pub(super) fn new(first: u32, sender: usize) -> Self {
        Self { first, sender, other: None, far: None, segments: Vec::new() }
    }

    /// Whether a frame is of the connection, behind its first two segments. They are told apart by what came before.
    pub(super) fn takes(&mut self, sighting: &Sighting<'_>, begin: u64) -> bool {
        let raw = &sighting.frame;
        let decoded = decoded(raw);
        let Some(Transport::Tcp(tcp)) = decoded.transport() else { return false };
        let sent = raw.kind == PacketKind::Outgoing;
        if tcp.flags.has(TcpFlags::SYN) {
            let is_answer = tcp.flags.has(TcpFlags::ACK) && tcp.acknowledgement == self.first.wrapping_add(1);
            if is_answer && self.other.is_none() {
                self.other = Some(tcp.sequence);
                self.far = Some(sighting.place);
            }
            return false;
        }
        let Some(from_sender) = self.is_from_sender(&decoded, tcp) else { return false };
        if raw.kind == PacketKind::OtherHost {
            return true;
        }
        let passage = Passage {
            place: sighting.place,
            at: since(begin, raw.time),
            link: raw.interface,
            name: sighting.interface.name.clone(),
            sent,
            frame: captured(raw),
        };
        self.note(from_sender, tcp, passage);
        true
    }

    /// Whose segment it is; none if it is of another connection. Before there is an answer there is nothing behind it.
    fn is_from_sender(&self, decoded: &Decoded<'_>, tcp: &Tcp<'_>) -> Option<bool> {
        let other = self.other?;
        decoded.inner().is_none().then_some(())?;
        let near = |number: u32, first: u32| number.wrapping_sub(first) <= WINDOW;
        // The sender has no data, and closes once.
        let own = |number: u32| matches!(number.wrapping_sub(self.first), 1 | 2);
        let acknowledges = tcp.flags.has(TcpFlags::ACK);
        if own(tcp.sequence) && (!acknowledges || near(tcp.acknowledgement, other)) {
            return Some(true);
        }
        (near(tcp.sequence, other) && (!acknowledges || own(tcp.acknowledgement))).then_some(false)
    }

    fn note(&mut self, from_sender: bool, tcp: &Tcp<'_>, passage: Passage) {
        let arrives =
            !passage.sent && Some(passage.place) == if from_sender { self.far } else { Some(self.sender) };
        let length = tcp.payload.length() as u64;
        let is_it = |one: &&mut Segment| {
            (one.from_sender, one.flags, one.length, one.sequence, one.acknowledgement)
                == (from_sender, tcp.flags, length, tcp.sequence, tcp.acknowledgement)
        };
        if let Some(known) = self.segments.iter_mut().find(is_it) {
            known.seen.push(passage);
            known.arrived = known.arrived.map(|before| before || arrives);
            return;
        }
        self.segments.push(Segment {
            from_sender,
            flags: tcp.flags,
            length,
            seen: vec![passage],
            arrived: (!from_sender || self.far.is_some()).then_some(arrives),
            sequence: tcp.sequence,
            acknowledgement: tcp.acknowledgement,
        });
    }

    /// Whether the other end said that it knows of the sender's closing.
    fn is_closing_known(&self) -> bool {
        let next = self.first.wrapping_add(2);
        let mut back = self.segments.iter().filter(|one| !one.from_sender && one.arrived == Some(true));
        back.any(|one| one.flags.has(TcpFlags::ACK) && one.acknowledgement == next)
    }

    /// Whether all that was sent came to its end, as far as that can be seen.
    fn is_settled(&self) -> bool {
        self.segments.iter().all(|segment| segment.arrived != Some(false))
    }
}

/// A connection that is being closed.
pub(super) struct Closing {
    socket: OwnedFd,
    made: Duration,
    received: u64,
    end: Option<ConnectionEnd>,
}

impl Closing {
    /// Closes the sender's half of a connection that was made after so long.
    pub(super) fn begin(Made { socket, is_reset }: Made, made: Duration) -> Self {
        // One that was reset meanwhile says so when it is read.
        let _ = rustix::net::shutdown(&socket, Shutdown::Write);
        Self { socket, made, received: 0, end: is_reset.then_some(ConnectionEnd::Reset) }
    }

    /// Takes what the other end says; whether that is anything new.
    pub(super) fn hear(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let mut any = false;
        while self.end.is_none() {
            match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.end = Some(ConnectionEnd::InOrder),
                Ok((length, _)) => self.received += length as u64,
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => self.end = Some(ConnectionEnd::Reset),
            }
            any = true;
        }
        any
    }

    /// Whether the other end has ended it.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether there is nothing more to come.
    pub(super) fn is_over(&self, collector: &Collector) -> bool {
        self.end.is_some() && collector.is_settled()
    }

    /// What became of it by now. What is left of its socket is the kernel's, as of any program's.
    pub(super) fn conclude(self, collector: Collector, ended: Duration) -> Connection {
        let kept = if collector.is_closing_known() { ConnectionEnd::HalfOpen } else { ConnectionEnd::Silent };
        Connection {
            end: self.end.unwrap_or(kept),
            made: self.made,
            ended,
            received: self.received,
            segments: collector.segments,
        }
    }
}
