//! ICMP.

use std::net::IpAddr;

use crate::checksum::Checked;
use crate::data::Broken;
use crate::layers::ip::protocol;
use crate::layers::{Icmp, IcmpMessage, Ipv4, Quoted, Transport};
use crate::line::ip::Carrier;
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn icmp(&mut self, icmp: &Icmp<'_>, carrier: Carrier) {
        let quoted = match icmp.quoted() {
            Some(Quoted::Ipv4(packet)) => Some(packet),
            Some(_) if matches!(icmp.kind, 3 | 5 | 11) => return self.say(" [|icmp]"),
            _ => None,
        };
        if let Some(quoted) = quoted.filter(|_| (icmp.kind, icmp.code) == (3, 3))
            && matches!(quoted.transport, Transport::Broken(Broken { ports: None, .. }))
        {
            return self.say(" [|icmp]");
        }
        self.say("ICMP ");
        match &icmp.message {
            IcmpMessage::Echo { is_reply, id, sequence, .. } => {
                self.say(if *is_reply { "echo reply, id " } else { "echo request, id " });
                self.number(u32::from(*id));
                self.say(", seq ");
                self.number(u32::from(*sequence));
            }
            IcmpMessage::Unreachable { mtu, .. } => {
                if let Some(quoted) = quoted {
                    self.unreachable(icmp.code, *mtu, quoted);
                }
            }
            IcmpMessage::SourceQuench { .. } => self.say("source quench"),
            IcmpMessage::Redirect { gateway, .. } => {
                let destination = quoted.map(|packet| packet.destination);
                let destination = destination.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
                match icmp.code {
                    0 => put!(self, "redirect {destination} to net {gateway}"),
                    1 => put!(self, "redirect {destination} to host {gateway}"),
                    2 => put!(self, "redirect-tos {destination} to net {gateway}"),
                    3 => put!(self, "redirect-tos {destination} to host {gateway}"),
                    code => put!(self, "redirect-#{code} {destination} to {gateway}"),
                }
            }
            IcmpMessage::TimeExceeded { .. } => match icmp.code {
                0 => self.say("time exceeded in-transit"),
                1 => self.say("ip reassembly time exceeded"),
                code => put!(self, "time exceeded-#{code}"),
            },
            IcmpMessage::ParameterProblem { pointer, .. } => match icmp.code {
                0 => put!(self, "parameter problem - octet {pointer}"),
                code => put!(self, "parameter problem - code {code}"),
            },
            IcmpMessage::Timestamp { is_reply: false, id, sequence, .. } => {
                put!(self, "time stamp query id {id} seq {sequence}");
            }
            IcmpMessage::Timestamp { id, sequence, times, .. } => {
                put!(self, "time stamp reply id {id} seq {sequence}");
                if let Some(times) = times {
                    self.say(":");
                    for (name, time) in ["org", "recv", "xmit"].iter().zip(times) {
                        let (seconds, millis) = (time / 1000, time % 1000);
                        let comma = if *name == "org" { "" } else { "," };
                        put!(
                            self,
                            "{comma} {name} {:02}:{:02}:{:02}.{millis:03}",
                            seconds / 3600,
                            seconds / 60 % 60,
                            seconds % 60
                        );
                    }
                }
            }
            IcmpMessage::AddressMask { is_reply: true, mask } => {
                put!(self, "address mask is 0x{:08x}", u32::from(*mask));
            }
            IcmpMessage::AddressMask { .. } => self.say("address mask request"),
            IcmpMessage::Other => match icmp.kind {
                9 => self.say("router advertisement"),
                10 => self.say("router solicitation"),
                15 => self.say("information request"),
                16 => self.say("information reply"),
                kind => put!(self, "type-#{kind}"),
            },
        }
        put!(self, ", length {}", icmp.data.length());
        if self.verbose()
            && !carrier.is_fragment
            && !self.style.unchecked
            && let Checked::Incorrect { wanted } = icmp.check()
        {
            put!(self, " (wrong icmp cksum {:x} (->{wanted:x})!)", icmp.checksum);
        }
        if self.verbose()
            && let Some(quoted) = icmp.quoted()
        {
            self.say("\n\t");
            match quoted {
                Quoted::Ipv4(packet) => self.ipv4(packet),
                Quoted::Ipv6(_) => {}
                Quoted::Broken(broken) => self.broken(broken),
            }
        }
    }

    fn unreachable(&mut self, code: u8, mtu: u16, quoted: &Ipv4<'_>) {
        let to = quoted.destination;
        match code {
            0 => put!(self, "net {to} unreachable"),
            1 => put!(self, "host {to} unreachable"),
            2 => put!(self, "{to} protocol {} unreachable", quoted.protocol),
            3 => {
                self.unreachable_port(to.into(), quoted.protocol, &quoted.transport);
                self.say(" unreachable");
            }
            4 if mtu > 0 => put!(self, "{to} unreachable - need to frag (mtu {mtu})"),
            4 => put!(self, "{to} unreachable - need to frag"),
            5 => put!(self, "{to} unreachable - source route failed"),
            6 => put!(self, "net {to} unreachable - unknown"),
            7 => put!(self, "host {to} unreachable - unknown"),
            8 => put!(self, "{to} unreachable - source host isolated"),
            9 => put!(self, "net {to} unreachable - admin prohibited"),
            10 => put!(self, "host {to} unreachable - admin prohibited"),
            11 => put!(self, "net {to} unreachable - tos prohibited"),
            12 => put!(self, "host {to} unreachable - tos prohibited"),
            13 => put!(self, "host {to} unreachable - admin prohibited filter"),
            14 => put!(self, "host {to} unreachable - host precedence violation"),
            15 => put!(self, "host {to} unreachable - precedence cutoff"),
            code => put!(self, "{to} unreachable - #{code}"),
        }
    }

    pub(super) fn unreachable_port(&mut self, to: IpAddr, number: u8, transport: &Transport<'_>) {
        self.address(to);
        let port = port(transport).unwrap_or_default();
        match number {
            protocol::TCP => self.say(" tcp port "),
            protocol::UDP => self.say(" udp port "),
            _ => put!(self, " protocol {number} port "),
        }
        self.port(number, port);
    }
}

/// The port that a packet is to.
pub(super) fn port(transport: &Transport<'_>) -> Option<u16> {
    match transport {
        Transport::Tcp(tcp) => Some(tcp.destination_port),
        Transport::Udp(udp) => Some(udp.destination_port),
        Transport::Broken(broken) => broken.ports.map(|(_, to)| to),
        Transport::Payload(data) => data.u16(2),
        // What stands where other protocols have a port.
        Transport::Icmp(icmp) => Some(icmp.checksum),
        _ => None,
    }
}
