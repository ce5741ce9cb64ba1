//! `ICMPv6`.

use crate::checksum::Checked;
use crate::layers::{Icmpv6, Icmpv6Message, Ipv6, Quoted};
use crate::line::ip::Carrier;
use crate::line::nd::preference;
use crate::line::{Out, hex, put};

impl Out<'_, '_> {
    pub(super) fn icmp6(&mut self, icmp: &Icmpv6<'_>, carrier: Carrier) {
        if self.verbose() && !self.style.unchecked && !carrier.is_fragment {
            let found = icmp.checksum;
            match icmp.check(carrier.ends) {
                Checked::Correct => self.say("[icmp6 sum ok] "),
                Checked::Incorrect { wanted } => {
                    put!(self, "[bad icmp6 cksum 0x{found:04x} -> 0x{wanted:04x}!] ");
                }
                _ => {}
            }
        }
        self.say("ICMP6, ");
        if let Some(name) = kind(icmp.kind) {
            self.say(name);
        } else {
            put!(self, "unknown icmp6 type ({})", icmp.kind);
        }
        let length = icmp.data.length();
        if self.verbose() && matches!(icmp.kind, 133..=137) {
            put!(self, ", length {length}");
        }
        let quoted = match icmp.quoted() {
            Some(Quoted::Ipv6(packet)) => Some(packet),
            Some(_) if icmp.kind != 2 => return self.say(" [|icmp6]"),
            _ => None,
        };
        match &icmp.message {
            Icmpv6Message::Unreachable { .. } => {
                if let Some(quoted) = quoted {
                    self.unreachable6(icmp.code, quoted);
                }
            }
            Icmpv6Message::PacketTooBig { mtu, .. } => put!(self, ", mtu {mtu}"),
            Icmpv6Message::TimeExceeded { .. } => match icmp.code {
                0 => {
                    self.say(" for ");
                    if let Some(quoted) = quoted {
                        self.address(quoted.destination.into());
                    }
                }
                1 => self.say(" (reassembly)"),
                code => put!(self, ", unknown code ({code})"),
            },
            Icmpv6Message::ParameterProblem { pointer, .. } => match icmp.code {
                0 => put!(self, ", erroneous - octet {pointer}"),
                1 => put!(self, ", next header - octet {pointer}"),
                2 => put!(self, ", option - octet {pointer}"),
                code => put!(self, ", code-#{code}"),
            },
            Icmpv6Message::Echo { id, sequence, .. } => put!(self, ", id {id}, seq {sequence}"),
            Icmpv6Message::NeighborSolicitation { target, .. } => {
                self.say(", who has ");
                self.address((*target).into());
            }
            Icmpv6Message::NeighborAdvertisement { target, .. } => {
                self.say(", tgt is ");
                self.address((*target).into());
                if self.verbose() {
                    self.say(", Flags [");
                    let flags = icmp.data.u8(4).unwrap_or_default();
                    self.flags(flags, &[(0x80, "router"), (0x40, "solicited"), (0x20, "override")]);
                    self.say("]");
                }
            }
            Icmpv6Message::RouterAdvertisement {
                hop_limit, flags, lifetime, reachable, retransmit, ..
            } if self.verbose() => {
                put!(self, "\n\thop limit {hop_limit}, Flags [");
                self.flags(*flags, &[(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent")]);
                put!(self, "], pref {}, router lifetime {lifetime}s", preference(*flags));
                put!(self, ", reachable time {reachable}ms, retrans timer {retransmit}ms");
            }
            Icmpv6Message::Redirect { target, destination, .. } => {
                self.say(", ");
                self.address((*destination).into());
                self.say(" to ");
                self.address((*target).into());
            }
            _ => {
                if !self.listeners(icmp) {
                    return;
                }
            }
        }
        match &icmp.message {
            Icmpv6Message::RouterSolicitation { options }
            | Icmpv6Message::RouterAdvertisement { options, .. }
            | Icmpv6Message::NeighborSolicitation { options, .. }
            | Icmpv6Message::NeighborAdvertisement { options, .. }
            | Icmpv6Message::Redirect { options, .. }
                if self.verbose() =>
            {
                self.nd_options(*options);
            }
            _ => {}
        }
        let is_unknown = kind(icmp.kind).is_none();
        if !self.verbose() || is_unknown {
            put!(self, ", length {length}");
        }
        if let Some(quoted) = quoted.filter(|_| self.verbose()) {
            self.say("\n\t");
            self.ipv6(quoted);
        }
        if is_unknown && self.style.verbosity <= 1 {
            hex::lines(self, icmp.data.bytes(), "\n\t", false);
        }
    }

    fn unreachable6(&mut self, code: u8, quoted: &Ipv6<'_>) {
        let to = quoted.destination.into();
        self.say(", ");
        match code {
            0 => self.say("unreachable route "),
            1 => self.say(" unreachable prohibited "),
            2 => self.say("beyond scope "),
            3 => self.say("unreachable address "),
            4 => self.say("unreachable port, "),
            code => return put!(self, "unknown unreach code ({code})"),
        }
        if code == 4 {
            return self.unreachable_port(to, quoted.protocol, &quoted.transport);
        }
        self.address(to);
        if code == 2 {
            self.say(", source address ");
            self.address(quoted.source.into());
        }
    }
}

fn kind(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded in-transit",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        137 => "redirect",
        138 => "router renumbering",
        139 => "node information query",
        140 => "node information reply",
        141 => "inverse neighbor solicitation",
        142 => "inverse neighbor advertisement",
        143 => "multicast listener report v2",
        _ => return None,
    })
}
