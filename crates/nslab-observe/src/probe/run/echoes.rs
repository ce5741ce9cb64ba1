//! Echoes of ICMP: those of a namespace share a socket.

use nslab_kernel::error::Context;
use rustix::event::epoll;

use super::{ECHOES, HEADERS, PAYLOAD, Run};
use crate::Result;
use crate::ping::PingOptions;
use crate::ping::icmp::{self, Family, Message};
use crate::ping::socket::{NotSent, Socket};
use crate::probe::socket::Sent;
use crate::probe::{Answer, Probe};

/// Bytes that an echo carries, as ping(8) has it.
const USUAL: usize = 56;

/// A socket of ICMP with what was sent by it.
pub(super) struct Echoes {
    socket: Socket,
    family: Family,
    /// By the number on the wire, less one; numbers of 16 bits come again after 65536.
    sent: Vec<usize>,
}

impl Run<'_> {
    pub(super) fn echo(&mut self, number: usize, probe: &Probe) -> Result<Sent> {
        let family = Family::of(probe.destination);
        let place = self.echoes_in(probe.source, family, probe.size.is_some())?;
        let echoes = &mut self.echoes[place];
        let headers = HEADERS[usize::from(probe.destination.is_ipv6())];
        let size = probe.size.map_or(USUAL, |size| (size as usize).saturating_sub(headers)).max(PAYLOAD);
        echoes.sent.push(number);
        let [.., high, low] = echoes.sent.len().to_be_bytes();
        let sequence = u16::from_be_bytes([high, low]);
        icmp::encode(family, self.id, sequence, self.tokens.payload(number), size, &mut self.packet);
        let to = crate::ping::Probe::new(probe.source, probe.destination);
        Ok(match echoes.socket.send(&self.packet, &to, &mut self.buffer) {
            Ok(()) => Sent::Off(None),
            Err(NotSent::Busy) => Sent::Busy,
            Err(NotSent::Refused(error)) => Sent::Refused(error),
        })
    }

    fn echoes_in(&mut self, place: usize, family: Family, whole: bool) -> Result<usize> {
        let key = (place, family == Family::V6, whole);
        if let Some(&known) = self.echoes_of.get(&key) {
            return Ok(known);
        }
        self.prober.namespaces[place].move_thread()?;
        let options = PingOptions { dont_fragment: whole, ..PingOptions::default() };
        let socket = Socket::open(family, self.id, &options)?;
        let number = self.echoes.len();
        let data = epoll::EventData::new_u64(ECHOES + number as u64);
        epoll::add(&self.poll, &socket, data, epoll::EventFlags::IN).context(|| "watch a socket of ICMP")?;
        self.echoes.push(Echoes { socket, family, sent: Vec::new() });
        self.echoes_of.insert(key, number);
        Ok(number)
    }

    /// Returns whether all that had come was read.
    pub(super) fn take_echoes(&mut self, place: usize, errors: bool) -> bool {
        if errors {
            self.echoes[place].socket.drain_errors(&mut self.buffer);
        }
        // Bounded, so that a flood at one socket does not starve the others.
        for _ in 0..256 {
            let echoes = &self.echoes[place];
            let Some(received) = echoes.socket.receive(&mut self.buffer) else { return true };
            let message = match echoes.family {
                Family::V4 => icmp::decode_v4(received.bytes).map(|(_, message)| message),
                Family::V6 => icmp::decode_v6(received.bytes),
            };
            let (time, from) = (received.time, received.from);
            let (answer, echo) = match message {
                Some(Message::Reply(echo)) => (Answer::Answered, echo),
                Some(Message::Error { error, quoted, .. }) => (Answer::Icmp { from, error }, quoted),
                None => continue,
            };
            let number = if echo.nonce_len == echo.nonce.len() {
                self.tokens.of_payload(&echo.nonce)
            } else {
                // Too little of it was quoted.
                echoes.sent.get(usize::from(echo.sequence).wrapping_sub(1)).copied()
            };
            if let Some(number) = number.filter(|_| echo.id == self.id) {
                self.finish(number, answer, time);
            }
        }
        false
    }
}
