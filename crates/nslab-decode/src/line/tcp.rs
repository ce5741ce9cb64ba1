//! TCP.

use crate::checksum::Checked;
use crate::layers::ip::protocol;
use crate::layers::{Tcp, TcpFlags, TcpOption};
use crate::line::flows::Offset;
use crate::line::ip::Carrier;
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn tcp(&mut self, tcp: &Tcp<'_>, carrier: Carrier) {
        self.ends_with_ports(carrier, protocol::TCP, tcp.source_port, tcp.destination_port);
        self.say("Flags [");
        self.tcp_flags(tcp.flags);
        self.say("]");
        if self.verbose() && !self.style.unchecked && !carrier.is_fragment {
            let found = tcp.checksum;
            match tcp.check(carrier.ends) {
                Checked::Unknown => {}
                Checked::Incorrect { .. } if self.is_partial => put!(self, ", cksum 0x{found:04x} (partial)"),
                Checked::Incorrect { wanted } => {
                    put!(self, ", cksum 0x{found:04x} (incorrect -> 0x{wanted:04x})");
                }
                _ => put!(self, ", cksum 0x{found:04x} (correct)"),
            }
        }
        let offset = if self.style.absolute_sequence {
            Offset::default()
        } else {
            self.conversations.offset(carrier.ends, tcp)
        };
        let length = u32::try_from(tcp.payload.length()).unwrap_or(u32::MAX);
        let changes = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        if self.style.verbosity > 1 || length > 0 || tcp.flags.has(changes) {
            let sequence = tcp.sequence.wrapping_sub(offset.sequence);
            self.say(", seq ");
            self.number(sequence);
            if length > 0 {
                self.say(":");
                self.number(sequence.wrapping_add(length));
            }
        }
        if tcp.flags.has(TcpFlags::ACK) {
            self.say(", ack ");
            self.number(tcp.acknowledgement.wrapping_sub(offset.acknowledgement));
        }
        self.say(", win ");
        self.number(u32::from(tcp.window));
        if tcp.flags.has(TcpFlags::URG) {
            put!(self, ", urg {}", tcp.urgent);
        }
        if !tcp.options.is_empty() {
            self.say(", options [");
            for (number, option) in tcp.options.enumerate() {
                if number > 0 {
                    self.say(",");
                }
                if !self.tcp_option(option, offset) {
                    return;
                }
            }
            self.say("]");
        }
        self.say(", length ");
        self.number(length);
        if length > 0 {
            self.tcp_payload(tcp);
        }
    }

    fn tcp_flags(&mut self, flags: TcpFlags) {
        // Not in the order of their bits: ACK stands last of the old ones.
        let names = [
            (TcpFlags::FIN, 'F'),
            (TcpFlags::SYN, 'S'),
            (TcpFlags::RST, 'R'),
            (TcpFlags::PSH, 'P'),
            (TcpFlags::ACK, '.'),
            (TcpFlags::URG, 'U'),
            (TcpFlags::ECE, 'E'),
            (TcpFlags::CWR, 'W'),
        ];
        let before = self.text.len();
        for (flag, letter) in names {
            if flags.has(flag) {
                self.text.push(letter);
            }
        }
        if self.text.len() == before {
            self.say("none");
        }
    }

    /// Whether more can be told after it.
    fn tcp_option(&mut self, option: TcpOption<'_>, offset: Offset) -> bool {
        match option {
            TcpOption::End => self.say("eol"),
            TcpOption::Nothing => self.say("nop"),
            TcpOption::MaximumSegment(size) => {
                self.say("mss ");
                self.number(u32::from(size));
            }
            TcpOption::WindowScale(shift) => {
                self.say("wscale ");
                self.number(u32::from(shift));
            }
            TcpOption::SelectivePermitted => self.say("sackOK"),
            TcpOption::Selective(blocks) => {
                put!(self, "sack {} ", blocks.count());
                for (from, to) in blocks {
                    let from = from.wrapping_sub(offset.selective);
                    put!(self, "{{{from}:{}}}", to.wrapping_sub(offset.selective));
                }
            }
            TcpOption::Timestamps { value, echo } => {
                self.say("TS val ");
                self.number(value);
                self.say(" ecr ");
                self.number(echo);
            }
            TcpOption::Other { kind, value } => self.other_tcp_option(kind, value),
            TcpOption::Bad { is_cut: true, .. } => {
                self.say(" [|tcp]");
                return false;
            }
            TcpOption::Bad { .. } => {
                self.say("[bad opt]");
                return false;
            }
        }
        true
    }

    fn other_tcp_option(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (5, _) => return self.say("sack invalid sack"),
            (19, _) => self.say("md5 shared secret not supplied with -M, can't check - "),
            (28, [high, low]) => {
                let value = u16::from_be_bytes([*high, *low]);
                // Minutes or seconds (RFC 5482 3).
                let factor = if value & 0x8000 == 0 { 1 } else { 60 };
                return put!(self, "uto 0x{value:x} {}", u32::from(value & 0x7fff) * factor);
            }
            (29, [key, next, mac @ ..]) => {
                put!(self, "tcp-ao keyid {key} rnextkeyid {next} mac 0x");
                return self.hex(mac);
            }
            (30, _) => self.say("mptcp 0x"),
            (34, []) => return self.say("tfo  cookiereq"),
            (34, _) => self.say("tfo  cookie "),
            (254, [0xf9, 0x89]) => return self.say("exp-tfo cookiereq"),
            (254, [0xf9, 0x89, cookie @ ..]) => {
                self.say("exp-tfo cookie ");
                return self.hex(cookie);
            }
            (_, []) => return put!(self, "unknown-{kind}"),
            _ => put!(self, "unknown-{kind} 0x"),
        }
        self.hex(value);
    }
}
