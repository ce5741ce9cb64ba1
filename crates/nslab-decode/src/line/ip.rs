//! IPv4 and IPv6.

use crate::checksum::Checked;
use crate::data::{Data, Fault};
use crate::layers::ip::{Ends, protocol};
use crate::layers::{Extension, Ipv4, Ipv4Option, Ipv6, Transport};
use crate::line::{Out, put};

/// What is known of a packet where what it carries is told.
#[derive(Clone, Copy)]
pub(super) struct Carrier {
    pub(super) ends: Ends,
    /// It is one of several pieces.
    pub(super) is_fragment: bool,
    pub(super) is_ipv6: bool,
    /// The addresses were told already.
    pub(super) ends_are_told: bool,
}

impl Out<'_, '_> {
    pub(super) fn ipv4(&mut self, packet: &Ipv4<'_>) {
        if !self.style.link {
            self.say("IP ");
        }
        if packet.missing > 0 {
            put!(self, "truncated-ip - {} bytes missing! ", packet.missing);
        }
        if self.verbose() {
            self.ipv4_header(packet);
        }
        let ends = Ends { source: packet.source.into(), destination: packet.destination.into() };
        let carrier =
            Carrier { ends, is_fragment: packet.more_fragments, is_ipv6: false, ends_are_told: false };
        if let Transport::LaterFragment(_) = packet.transport {
            self.ends(ends);
            self.say(":");
            if let Some(name) = name(packet.protocol).filter(|_| self.style.names.is_some()) {
                put!(self, " {}", name.to_lowercase());
            } else {
                put!(self, " ip-proto-{}", packet.protocol);
            }
            return;
        }
        if !matches!(packet.protocol, protocol::TCP | protocol::UDP | protocol::SCTP) {
            self.ends(ends);
            self.say(": ");
        }
        self.transport(&packet.transport, packet.protocol, carrier);
    }

    fn ipv4_header(&mut self, packet: &Ipv4<'_>) {
        put!(self, "(tos 0x{:x}", packet.tos);
        self.say(["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(packet.tos & 3)]);
        if packet.ttl >= 1 {
            put!(self, ", ttl {}", packet.ttl);
        }
        let flags = match (packet.more_fragments, packet.dont_fragment, packet.reserved_flag) {
            (false, false, false) => "none",
            (true, false, false) => "+",
            (false, true, false) => "DF",
            (true, true, false) => "+, DF",
            (false, false, true) => "rsvd",
            (true, false, true) => "+, rsvd",
            (false, true, true) => "DF, rsvd",
            (true, true, true) => "+, DF, rsvd",
        };
        put!(self, ", id {}, offset {}, flags [{flags}]", packet.id, packet.fragment_offset);
        put!(self, ", proto {} ({})", name(packet.protocol).unwrap_or("unknown"), packet.protocol);
        put!(self, ", length {}", packet.total_length);
        if !packet.options.is_empty() {
            self.say(", options (");
            for (number, option) in packet.options.enumerate() {
                self.ipv4_option(option, number == 0);
            }
            self.say(")");
        }
        if !self.style.unchecked
            && let Checked::Incorrect { wanted } = packet.check()
        {
            put!(self, ", bad cksum {:x} (->{wanted:x})!", packet.checksum);
        }
        self.say(")\n    ");
    }

    fn ipv4_option(&mut self, option: Ipv4Option<'_>, is_first: bool) {
        if !is_first {
            self.say(",");
        }
        match option.kind {
            0 => self.say("EOL"),
            1 => self.say("NOP"),
            7 => self.say("RR"),
            68 => self.say("timestamp"),
            130 => self.say("security"),
            131 => self.say("LSRR"),
            137 => self.say("SSRR"),
            148 => self.say("RA"),
            kind => put!(self, "unknown {kind}"),
        }
        match (option.kind, option.value) {
            (7 | 131 | 137, [pointer, route @ ..]) => {
                let pointer = usize::from(*pointer).saturating_sub(1);
                for (number, station) in route.as_chunks::<4>().0.iter().enumerate() {
                    put!(self, " {}", std::net::Ipv4Addr::from(*station));
                    if pointer > 3 + number * 4 {
                        self.say(",");
                    }
                }
            }
            (148, [high, low]) if (*high, *low) != (0, 0) => {
                put!(self, " value {}", u16::from_be_bytes([*high, *low]));
            }
            _ => {}
        }
        if option.kind > 1 && option.value.len() + 2 != usize::from(option.length) {
            put!(self, " [bad length {}]", option.length);
        }
    }

    pub(super) fn ends(&mut self, ends: Ends) {
        self.address(ends.source);
        self.say(" > ");
        self.address(ends.destination);
    }

    pub(super) fn ends_with_ports(&mut self, carrier: Carrier, protocol: u8, from: u16, to: u16) {
        if carrier.ends_are_told {
            self.port(protocol, from);
            self.say(" > ");
            self.port(protocol, to);
        } else {
            self.end(carrier.ends.source, protocol, from);
            self.say(" > ");
            self.end(carrier.ends.destination, protocol, to);
        }
        self.say(": ");
    }

    fn transport(&mut self, transport: &Transport<'_>, number: u8, carrier: Carrier) {
        match transport {
            Transport::Tcp(tcp) => self.tcp(tcp, carrier),
            Transport::Udp(udp) => self.udp(udp, carrier),
            Transport::Icmp(icmp) => self.icmp(icmp, carrier),
            Transport::Icmpv6(icmp) => self.icmp6(icmp, carrier),
            Transport::Ipv4(packet) => self.ipv4(packet),
            Transport::Ipv6(packet) => self.ipv6(packet),
            Transport::Gre(gre) => self.gre(gre),
            Transport::Sctp(sctp) => self.sctp(sctp, carrier),
            Transport::Igmp(igmp) => self.igmp(igmp),
            Transport::Encrypted { spi, sequence, data } => {
                put!(self, "ESP(spi=0x{spi:08x},seq=0x{sequence:x}), length {}", data.length());
            }
            Transport::Authenticated(header) => {
                self.say("AH(");
                if self.verbose() {
                    put!(self, "length={}({}-bytes),", header.length, (usize::from(header.length) + 2) * 4);
                }
                put!(self, "spi=0x{:08x},seq=0x{:x},icv=0x", header.spi, header.sequence);
                self.hex(header.check.bytes());
                self.say("): ");
                self.transport(
                    &header.transport,
                    header.protocol,
                    Carrier { ends_are_told: true, ..carrier },
                );
            }
            Transport::Payload(data) if self.routing(number, *data) => {}
            Transport::Nothing => self.say("no next header"),
            Transport::Payload(data) | Transport::LaterFragment(data) => {
                put!(self, " ip-proto-{number} {}", data.length());
            }
            Transport::Broken(broken) => {
                if matches!(number, protocol::TCP | protocol::UDP | protocol::SCTP) {
                    match broken.ports {
                        Some((from, to)) => self.ends_with_ports(carrier, number, from, to),
                        None if carrier.ends_are_told => {}
                        None => {
                            self.ends(carrier.ends);
                            self.say(if number == protocol::TCP { ":" } else { ": " });
                        }
                    }
                }
                match (broken.protocol, broken.fault) {
                    ("tcp", Fault::HeaderLength { length: length @ ..20 }) => {
                        let rest = broken.length.saturating_sub(length);
                        put!(self, " tcp {rest} [bad hdr length {length} - too short, < 20]");
                    }
                    ("tcp", Fault::HeaderLength { length }) => {
                        put!(self, "[bad hdr length {length} - too long, > {}]", broken.length);
                    }
                    ("ip" | "ip6", _) => self.broken_network(broken),
                    _ => self.broken(broken),
                }
            }
        }
    }

    pub(super) fn ipv6(&mut self, packet: &Ipv6<'_>) {
        if !self.style.link {
            self.say("IP6 ");
        }
        if packet.missing > 0 {
            put!(self, "truncated-ip6 - {} bytes missing!", packet.missing);
        }
        if self.verbose() {
            self.say("(");
            if packet.traffic_class != 0 {
                put!(self, "class 0x{:02x}, ", packet.traffic_class);
            }
            if packet.flow_label != 0 {
                put!(self, "flowlabel 0x{:05x}, ", packet.flow_label);
            }
            let next = name(packet.next_header).unwrap_or("unknown");
            put!(self, "hlim {}, next-header {next} ({})", packet.hop_limit, packet.next_header);
            put!(self, " payload length: {}) ", packet.payload_length);
        }
        let ends = Ends { source: packet.source.into(), destination: packet.destination.into() };
        let is_fragment = packet.fragment().is_some();
        let ends_are_told = !matches!(packet.next_header, protocol::TCP | protocol::UDP | protocol::SCTP);
        let carrier = Carrier { ends, is_fragment, is_ipv6: true, ends_are_told };
        if ends_are_told {
            self.ends(ends);
            self.say(": ");
        }
        for extension in &packet.extensions {
            self.extension(extension, packet);
        }
        if !matches!(packet.transport, Transport::LaterFragment(_)) {
            self.transport(&packet.transport, packet.protocol, carrier);
        }
    }

    fn extension(&mut self, extension: &Extension<'_>, packet: &Ipv6<'_>) {
        match extension {
            Extension::HopByHop { options } => {
                self.say("HBH ");
                self.ipv6_options(*options, true);
            }
            Extension::Destination { options } => {
                self.say("DSTOPT ");
                self.ipv6_options(*options, false);
            }
            Extension::Routing { kind, segments_left, data } => {
                put!(self, "RT6 (len={}, type={kind}", (data.length() / 8).saturating_sub(1));
                self.say(match kind {
                    0 => " [Deprecated]",
                    _ => "",
                });
                put!(self, ", segleft={segments_left}");
                if *kind == 0 && self.verbose() {
                    put!(self, ", rsv=0x{:x}", data.u32(4).unwrap_or_default());
                }
                if *kind == 0 {
                    let stations = data.skip(8).bytes().as_chunks::<16>().0;
                    for (number, station) in stations.iter().enumerate() {
                        put!(self, ", [{number}]");
                        self.address(std::net::Ipv6Addr::from(*station).into());
                    }
                }
                self.say(") ");
            }
            Extension::Fragment(fragment) => {
                self.say("frag (");
                if self.verbose() {
                    put!(self, "0x{:08x}:", fragment.id);
                }
                put!(self, "{}|{})", fragment.offset, packet.payload.length());
                if fragment.offset == 0 {
                    self.say(" ");
                }
            }
        }
    }

    /// Those of the header for every hop, or of that for who the packet is to (RFC 8200 4.2).
    fn ipv6_options(&mut self, mut options: Data<'_>, is_for_hops: bool) {
        if !self.verbose() {
            return;
        }
        while let Some(kind) = options.u8(0) {
            if kind == 0 {
                self.say("(pad1)");
                options = options.skip(1);
                continue;
            }
            let Some(length) = options.u8(1).map(usize::from) else { break };
            match (kind, length) {
                (1, _) => self.say("(padn)"),
                (5, 2) => put!(self, "(rtalert: 0x{:04x}) ", options.u16(2).unwrap_or_default()),
                (0xc2, 4) => {
                    put!(self, "(jumbo: {} - ", options.u32(2).unwrap_or_default());
                    self.say(if is_for_hops { "payload len != 0) " } else { "not a hop-by-hop option) " });
                }
                _ => put!(self, "(opt_type 0x{kind:02x}: len={length})"),
            }
            options = options.skip(2 + length);
        }
        self.say(" ");
    }
}

impl Out<'_, '_> {
    /// Protocols of routers, by name and kind; gives whether it is one.
    fn routing(&mut self, number: u8, data: Data<'_>) -> bool {
        let Some((first, kind)) = data.u8(0).zip(data.u8(1)) else { return false };
        match number {
            protocol::OSPF => {
                put!(self, "OSPFv{first}, ");
                match kind {
                    1 => self.say("Hello"),
                    2 => self.say("Database Description"),
                    3 => self.say("LS-Request"),
                    4 => self.say("LS-Update"),
                    5 => self.say("LS-Ack"),
                    kind => put!(self, "unknown LS-type {kind}"),
                }
                put!(self, ", length {}", data.length());
            }
            protocol::VRRP => {
                let kind_name = if first & 15 == 1 { "Advertisement" } else { "[type unknown]" };
                put!(self, "VRRPv{}, {kind_name}, vrid {kind}, ", first >> 4);
                put!(self, "prio {}, length {}", data.u8(2).unwrap_or_default(), data.length());
            }
            _ => return false,
        }
        true
    }
}

/// What tcpdump calls a protocol.
pub(super) fn name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "Options",
        protocol::ICMP => "ICMP",
        protocol::IGMP => "IGMP",
        protocol::IPV4 => "IPIP",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        33 => "DCCP",
        protocol::IPV6 => "IPv6",
        43 => "Routing",
        44 => "Fragment",
        46 => "RSVP",
        protocol::GRE => "GRE",
        protocol::ESP => "ESP",
        protocol::AH => "AH",
        protocol::ICMPV6 => "ICMPv6",
        protocol::OSPF => "OSPF",
        88 => "EIGRP",
        103 => "PIM",
        108 => "Compressed IP",
        protocol::VRRP => "VRRP",
        protocol::SCTP => "SCTP",
        135 => "Mobile IP (new)",
        _ => return None,
    })
}
