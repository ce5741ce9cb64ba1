//! Fields of headers, by where they are.

use super::symbols;
use super::types::Type;

/// Which header a field is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Ether,
    Vlan,
    Arp,
    Ip,
    Ip6,
    Tcp,
    Udp,
    Udplite,
    Sctp,
    Dccp,
    Icmp,
    Icmpv6,
    Igmp,
    Esp,
    Ah,
    Comp,
    /// Some protocol with ports.
    Transport,
}

/// A field: its name, offset and length in bits, and what it is.
pub(super) struct HeaderField {
    pub(super) name: &'static str,
    pub(super) offset: u32,
    pub(super) len: u32,
    pub(super) kind: Type,
}

const fn f(name: &'static str, offset: u32, len: u32, kind: Type) -> HeaderField {
    HeaderField { name, offset, len, kind }
}

const INT: Type = Type::Integer;
const DSCP: Type = Type::Symbolic(symbols::DSCP);
const ECN: Type = Type::Symbolic(symbols::ECN);

const ETHER: &[HeaderField] =
    &[f("daddr", 0, 48, Type::Mac), f("saddr", 48, 48, Type::Mac), f("type", 96, 16, Type::Ethertype)];
const VLAN: &[HeaderField] =
    &[f("pcp", 0, 3, INT), f("dei", 3, 1, INT), f("id", 4, 12, INT), f("type", 16, 16, Type::Ethertype)];
const ARP: &[HeaderField] = &[
    f("htype", 0, 16, INT),
    f("ptype", 16, 16, Type::Ethertype),
    f("hlen", 32, 8, INT),
    f("plen", 40, 8, INT),
    f("operation", 48, 16, Type::ArpOperation),
    f("saddr ether", 64, 48, Type::Mac),
    f("saddr ip", 112, 32, Type::Ipv4),
    f("daddr ether", 144, 48, Type::Mac),
    f("daddr ip", 192, 32, Type::Ipv4),
];
const IP: &[HeaderField] = &[
    f("version", 0, 4, INT),
    f("hdrlength", 4, 4, INT),
    f("dscp", 8, 6, DSCP),
    f("ecn", 14, 2, ECN),
    f("length", 16, 16, INT),
    f("id", 32, 16, INT),
    f("frag-off", 48, 16, INT),
    f("ttl", 64, 8, INT),
    f("protocol", 72, 8, Type::Protocol),
    f("checksum", 80, 16, INT),
    f("saddr", 96, 32, Type::Ipv4),
    f("daddr", 128, 32, Type::Ipv4),
];
const IP6: &[HeaderField] = &[
    f("version", 0, 4, INT),
    f("dscp", 4, 6, DSCP),
    f("ecn", 10, 2, ECN),
    f("flowlabel", 12, 20, INT),
    f("length", 32, 16, INT),
    f("nexthdr", 48, 8, Type::Protocol),
    f("hoplimit", 56, 8, INT),
    f("saddr", 64, 128, Type::Ipv6),
    f("daddr", 192, 128, Type::Ipv6),
];
const TCP: &[HeaderField] = &[
    f("sport", 0, 16, Type::Port),
    f("dport", 16, 16, Type::Port),
    f("sequence", 32, 32, INT),
    f("ackseq", 64, 32, INT),
    f("doff", 96, 4, INT),
    f("reserved", 100, 4, INT),
    f("flags", 104, 8, Type::Bits(symbols::TCP_FLAGS)),
    f("window", 112, 16, INT),
    f("checksum", 128, 16, INT),
    f("urgptr", 144, 16, INT),
];
const UDP: &[HeaderField] = &[
    f("sport", 0, 16, Type::Port),
    f("dport", 16, 16, Type::Port),
    f("length", 32, 16, INT),
    f("checksum", 48, 16, INT),
];
const UDPLITE: &[HeaderField] = &[
    f("sport", 0, 16, Type::Port),
    f("dport", 16, 16, Type::Port),
    f("csumcov", 32, 16, INT),
    f("checksum", 48, 16, INT),
];
const SCTP: &[HeaderField] = &[
    f("sport", 0, 16, Type::Port),
    f("dport", 16, 16, Type::Port),
    f("vtag", 32, 32, INT),
    f("checksum", 64, 32, INT),
];
const DCCP: &[HeaderField] = &[
    f("sport", 0, 16, Type::Port),
    f("dport", 16, 16, Type::Port),
    f("type", 67, 4, Type::Symbolic(symbols::DCCP_TYPE)),
];
const ICMP: &[HeaderField] = &[
    f("type", 0, 8, Type::Symbolic(symbols::ICMP_TYPE)),
    f("code", 8, 8, Type::Symbolic(symbols::ICMP_CODE)),
    f("checksum", 16, 16, INT),
    f("id", 32, 16, INT),
    f("gateway", 32, 32, Type::Ipv4),
    f("sequence", 48, 16, INT),
];
const ICMPV6: &[HeaderField] = &[
    f("type", 0, 8, Type::Symbolic(symbols::ICMPV6_TYPE)),
    f("code", 8, 8, Type::Symbolic(symbols::ICMPV6_CODE)),
    f("checksum", 16, 16, INT),
    f("id", 32, 16, INT),
    f("mtu", 32, 32, INT),
    f("sequence", 48, 16, INT),
];
const IGMP: &[HeaderField] = &[
    f("type", 0, 8, Type::Symbolic(symbols::IGMP_TYPE)),
    f("mrt", 8, 8, INT),
    f("checksum", 16, 16, INT),
    f("group", 32, 32, Type::Ipv4),
];
const ESP: &[HeaderField] = &[f("spi", 0, 32, INT), f("sequence", 32, 32, INT)];
const AH: &[HeaderField] = &[
    f("nexthdr", 0, 8, Type::Protocol),
    f("hdrlength", 8, 8, INT),
    f("reserved", 16, 16, INT),
    f("spi", 32, 32, INT),
    f("sequence", 64, 32, INT),
];
const COMP: &[HeaderField] =
    &[f("nexthdr", 0, 8, Type::Protocol), f("flags", 8, 8, INT), f("cpi", 16, 16, INT)];
const TRANSPORT: &[HeaderField] = &[f("sport", 0, 16, Type::Port), f("dport", 16, 16, Type::Port)];

impl Header {
    /// nft's word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ether => "ether",
            Self::Vlan => "vlan",
            Self::Arp => "arp",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Udplite => "udplite",
            Self::Sctp => "sctp",
            Self::Dccp => "dccp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Igmp => "igmp",
            Self::Esp => "esp",
            Self::Ah => "ah",
            Self::Comp => "comp",
            Self::Transport => "th",
        }
    }

    /// The header of an IP protocol.
    pub(super) const fn of_protocol(protocol: u8) -> Option<Self> {
        Some(match protocol {
            1 => Self::Icmp,
            2 => Self::Igmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            33 => Self::Dccp,
            50 => Self::Esp,
            51 => Self::Ah,
            58 => Self::Icmpv6,
            108 => Self::Comp,
            132 => Self::Sctp,
            136 => Self::Udplite,
            _ => return None,
        })
    }

    const fn fields(self) -> &'static [HeaderField] {
        match self {
            Self::Ether => ETHER,
            Self::Vlan => VLAN,
            Self::Arp => ARP,
            Self::Ip => IP,
            Self::Ip6 => IP6,
            Self::Tcp => TCP,
            Self::Udp => UDP,
            Self::Udplite => UDPLITE,
            Self::Sctp => SCTP,
            Self::Dccp => DCCP,
            Self::Icmp => ICMP,
            Self::Icmpv6 => ICMPV6,
            Self::Igmp => IGMP,
            Self::Esp => ESP,
            Self::Ah => AH,
            Self::Comp => COMP,
            Self::Transport => TRANSPORT,
        }
    }

    /// The field at exactly this place, in bits.
    pub(super) fn field(self, offset: u32, len: u32) -> Option<&'static HeaderField> {
        self.fields().iter().find(|field| field.offset == offset && field.len == len)
    }

    /// The address of which the bytes at this place are the start.
    pub(super) fn address_start(self, offset: u32, len: u32) -> Option<&'static HeaderField> {
        let starts = |field: &&HeaderField| {
            field.offset == offset && field.len > len && matches!(field.kind, Type::Ipv4 | Type::Ipv6)
        };
        self.fields().iter().find(starts)
    }
}

/// A field beyond the fixed headers: of IPv6 extension headers and options, by their number.
pub(super) fn option_field(
    table: &'static str,
    number: u8,
    offset: u32,
    len: u32,
) -> Option<(&'static str, Type)> {
    // Offsets and lengths in bytes: RFC 8200; RFC 9293, RFC 7323, RFC 2018; RFC 791.
    let fields: &[(&str, u8, u32, u32, &str, Type)] = &[
        ("ipv6", 0, 0, 1, "nexthdr", Type::Protocol),
        ("ipv6", 0, 1, 1, "hdrlength", INT),
        ("ipv6", 43, 0, 1, "nexthdr", Type::Protocol),
        ("ipv6", 43, 1, 1, "hdrlength", INT),
        ("ipv6", 43, 2, 1, "type", INT),
        ("ipv6", 43, 3, 1, "seg-left", INT),
        ("ipv6", 44, 0, 1, "nexthdr", Type::Protocol),
        ("ipv6", 44, 1, 1, "reserved", INT),
        ("ipv6", 44, 4, 4, "id", INT),
        ("ipv6", 60, 0, 1, "nexthdr", Type::Protocol),
        ("ipv6", 60, 1, 1, "hdrlength", INT),
        ("ipv6", 135, 0, 1, "nexthdr", Type::Protocol),
        ("ipv6", 135, 1, 1, "hdrlength", INT),
        ("ipv6", 135, 2, 1, "type", Type::Symbolic(symbols::MH_TYPE)),
        ("ipv6", 135, 3, 1, "reserved", INT),
        ("ipv6", 135, 4, 2, "checksum", INT),
        ("tcpopt", 2, 1, 1, "length", INT),
        ("tcpopt", 2, 2, 2, "size", INT),
        ("tcpopt", 3, 1, 1, "length", INT),
        ("tcpopt", 3, 2, 1, "count", INT),
        ("tcpopt", 4, 1, 1, "length", INT),
        ("tcpopt", 5, 1, 1, "length", INT),
        ("tcpopt", 5, 2, 4, "left", INT),
        ("tcpopt", 5, 6, 4, "right", INT),
        ("tcpopt", 8, 1, 1, "length", INT),
        ("tcpopt", 8, 2, 4, "tsval", INT),
        ("tcpopt", 8, 6, 4, "tsecr", INT),
        ("ipv4opt", 7, 0, 1, "type", INT),
        ("ipv4opt", 7, 1, 1, "length", INT),
        ("ipv4opt", 7, 2, 1, "ptr", INT),
        ("ipv4opt", 131, 1, 1, "length", INT),
        ("ipv4opt", 131, 2, 1, "ptr", INT),
        ("ipv4opt", 137, 1, 1, "length", INT),
        ("ipv4opt", 137, 2, 1, "ptr", INT),
        ("ipv4opt", 148, 1, 1, "length", INT),
        ("ipv4opt", 148, 2, 2, "value", INT),
    ];
    let found = fields
        .iter()
        .find(|(kind, of, at, size, ..)| *kind == table && *of == number && *at == offset && *size == len);
    found.map(|(.., name, kind)| (*name, *kind))
}
