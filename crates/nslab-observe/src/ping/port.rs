//! A socket with the memory of what was sent by it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::icmp::{self, Echo, Family, Message, Nonce};
use super::message::Buffer;
use super::outcome::{IcmpError, Reply};
use super::socket::Socket;

/// One request: which probe's, and the how manyth of it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) probe: u32,
    pub(super) sequence: u32,
}

/// A request that was sent.
pub(super) struct Sent {
    pub(super) attempt: Attempt,
    pub(super) destination: IpAddr,
    /// Time of day, to be held against the kernel's receive stamps; and of the clock that never jumps.
    stamp: Duration,
    at: Instant,
    /// Its place among all that the worker sent.
    pub(super) order: u64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Answered,
    /// An error came, or nothing in time.
    Closed,
}

/// What came in for a request.
pub(super) enum Arrival {
    Reply(Reply),
    Error { from: IpAddr, error: IcmpError },
}

/// What a look at the socket gave.
pub(super) enum Incoming {
    /// Something for the request with this number.
    Ours(u64, Arrival),
    /// Something else.
    Other,
    /// Nothing more at the moment.
    End,
}

/// A socket with what it sent: sequence numbers on the wire are 16 bits, so at most the last 65536 are known.
pub(super) struct Port {
    pub(super) socket: Socket,
    family: Family,
    id: u16,
    log: VecDeque<Sent>,
    /// How many were sent before the first in `log`.
    forgotten: u64,
}

impl Port {
    pub(super) fn new(socket: Socket, family: Family, id: u16) -> Self {
        Self { socket, family, id, log: VecDeque::new(), forgotten: 0 }
    }

    /// The number of the next request, from 1, of which the wire carries the lower 16 bits.
    pub(super) fn next_number(&self) -> u64 {
        self.forgotten + self.log.len() as u64 + 1
    }

    /// Writes the next request.
    pub(super) fn write(&self, nonce: Nonce, size: usize, packet: &mut Vec<u8>) {
        icmp::encode(self.family, self.id, on_the_wire(self.next_number()), nonce, size, packet);
    }

    /// Remembers the next request.
    pub(super) fn remember(
        &mut self,
        attempt: Attempt,
        destination: IpAddr,
        stamp: Duration,
        at: Instant,
        order: u64,
    ) {
        if self.log.len() > usize::from(u16::MAX) {
            self.log.pop_front();
            self.forgotten += 1;
        }
        self.log.push_back(Sent { attempt, destination, stamp, at, order, state: State::Waiting });
    }

    /// The request with this number.
    pub(super) fn sent(&mut self, number: u64) -> Option<&mut Sent> {
        self.log.get_mut(usize::try_from(number.checked_sub(self.forgotten + 1)?).ok()?)
    }

    /// The request with this number, if it waits for an answer.
    pub(super) fn waiting(&mut self, number: u64) -> Option<&mut Sent> {
        self.sent(number).filter(|sent| sent.state == State::Waiting)
    }

    /// Takes the next packet, if there is one.
    pub(super) fn receive(&mut self, buffer: &mut Buffer, nonce: Nonce) -> Incoming {
        let Some(received) = self.socket.receive(buffer) else { return Incoming::End };
        let (ttl, message) = match self.family {
            Family::V4 => match icmp::decode_v4(received.bytes) {
                Some((ttl, message)) => (Some(ttl), message),
                None => return Incoming::Other,
            },
            Family::V6 => match icmp::decode_v6(received.bytes) {
                Some(message) => (received.hop_limit, message),
                None => return Incoming::Other,
            },
        };
        let header = if self.family == Family::V4 { usize::from(received.bytes[0] & 0xf) * 4 } else { 0 };
        let (bytes, time, from) = (received.bytes.len() - header, received.time, received.from);
        let ours = from.and_then(|from| self.match_up(message, from, ttl, bytes, time, nonce));
        ours.map_or(Incoming::Other, |(number, arrival)| Incoming::Ours(number, arrival))
    }

    fn match_up(
        &mut self,
        message: Message,
        from: IpAddr,
        ttl: Option<u8>,
        bytes: usize,
        time: Option<Duration>,
        nonce: Nonce,
    ) -> Option<(u64, Arrival)> {
        let echo = match &message {
            Message::Reply(echo) => echo,
            Message::Error { quoted, .. } => quoted,
        };
        let number = self.number_of(echo, nonce)?;
        let sent = self.sent(number)?;
        match message {
            Message::Reply(_) => {
                // The stamp is only wrong where the clock was set in between.
                let rtt = time
                    .and_then(|time| time.checked_sub(sent.stamp))
                    .filter(|rtt| *rtt <= sent.at.elapsed());
                let rtt = rtt.unwrap_or_else(|| sent.at.elapsed());
                let reply = Reply { sequence: sent.attempt.sequence, rtt, ttl, from, bytes };
                Some((number, Arrival::Reply(reply)))
            }
            Message::Error { error, destination, .. } => {
                (destination == sent.destination).then_some((number, Arrival::Error { from, error }))
            }
        }
    }

    /// The latest request with the echo's sequence number, if the echo is of this run.
    fn number_of(&self, echo: &Echo, nonce: Nonce) -> Option<u64> {
        if !echo.is_from(self.id, nonce) {
            return None;
        }
        let last = self.next_number() - 1;
        let behind = on_the_wire(last).wrapping_sub(echo.sequence);
        last.checked_sub(behind.into()).filter(|&number| number > self.forgotten)
    }
}

/// A request's number as its packet has it.
fn on_the_wire(number: u64) -> u16 {
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}
