//! What expressions load and set, by the kernel's numbers and nft's words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes an enumeration of the kernel's that keeps numbers it does not know.
macro_rules! kernel_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $number:literal $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$item_doc])* $item,)*
            /// Another number.
            Other(u32),
        }

        impl $name {
            /// The kernel's number.
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$item => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// What has the kernel's number.
            pub const fn from_number(number: u32) -> Self {
                match number {
                    $($number => Self::$item,)*
                    other => Self::Other(other),
                }
            }

            /// nft's word for it, where it is a known one.
            pub const fn word(self) -> Option<&'static str> {
                match self {
                    $(Self::$item => Some($word),)*
                    Self::Other(_) => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.word() {
                    Some(word) => f.write_str(word),
                    None => write!(f, "{}", self.number()),
                }
            }
        }
    };
}

kernel_enum! {
    /// What is known of a packet besides its bytes (`enum nft_meta_keys`). Numbers are in the machine's order.
    MetaKey {
        /// The packet's length in bytes, from its network header on (u32).
        Length = 0 "length",
        /// `EtherType` (u16 in network order).
        Protocol = 1 "protocol",
        /// Traffic class, `skb->priority` (u32).
        Priority = 2 "priority",
        /// The packet's mark (u32).
        Mark = 3 "mark",
        /// Number of the interface it came in by (u32).
        Iif = 4 "iif",
        /// Number of the interface it leaves by (u32).
        Oif = 5 "oif",
        /// Name of the interface it came in by (16 bytes).
        IifName = 6 "iifname",
        /// Name of the interface it leaves by (16 bytes).
        OifName = 7 "oifname",
        /// Hardware type of the interface it came in by (u16).
        IifType = 8 "iiftype",
        /// Hardware type of the interface it leaves by (u16).
        OifType = 9 "oiftype",
        /// User of the sending socket (u32).
        SocketUser = 10 "skuid",
        /// Group of the sending socket (u32).
        SocketGroup = 11 "skgid",
        /// Whether the packet is traced (1 bit).
        Trace = 12 "nftrace",
        /// Routing realm (u32).
        RoutingClass = 13 "rtclassid",
        /// Security mark (u32).
        SecurityMark = 14 "secmark",
        /// Family that the packet belongs to, `NFPROTO_*` (u8).
        NetfilterProtocol = 15 "nfproto",
        /// IP protocol after IPv6's extension headers (u8).
        L4Protocol = 16 "l4proto",
        /// Name of the bridge whose port it came in by (16 bytes).
        BridgeIifName = 17 "ibrname",
        /// Name of the bridge whose port it leaves by (16 bytes).
        BridgeOifName = 18 "obrname",
        /// For whom it is on its link: host, broadcast, multicast, other (u8).
        PacketType = 19 "pkttype",
        /// CPU that works on it (u32).
        Cpu = 20 "cpu",
        /// Group of the interface it came in by (u32).
        IifGroup = 21 "iifgroup",
        /// Group of the interface it leaves by (u32).
        OifGroup = 22 "oifgroup",
        /// `net_cls` class of the sending socket (u32).
        Cgroup = 23 "cgroup",
        /// A random number (u32).
        Random = 24 "random",
        /// Whether it came by `IPsec` (1 bit).
        IpsecPath = 25 "ipsec",
        /// Kind of the interface it came in by, as `veth` (16 bytes).
        IifKind = 26 "iifkind",
        /// Kind of the interface it leaves by (16 bytes).
        OifKind = 27 "oifkind",
        /// Default VLAN of the bridge port it came in by (u16).
        BridgePvid = 28 "ibrpvid",
        /// VLAN protocol of the bridge it came in by (u16 in network order).
        BridgeVlanProtocol = 29 "ibrvproto",
        /// The time in nanoseconds since 1970 (u64).
        Time = 30 "time",
        /// Day of the week, Sunday being 0 (u8).
        Day = 31 "day",
        /// Seconds since midnight (u32).
        Hour = 32 "hour",
        /// Number of the VRF member it came in by (u32).
        Sdif = 33 "sdif",
        /// Name of the VRF member it came in by (16 bytes).
        SdifName = 34 "sdifname",
        /// Whether a bridge routes it (1 bit).
        BridgeRoute = 35 "broute",
    }
}

kernel_enum! {
    /// What is known of a packet's connection (`enum nft_ct_keys`).
    CtKey {
        /// One bit: new, established … ([`crate::nftables::CtState`]; u32).
        State = 0 "state",
        /// 0 original, 1 reply (u8).
        Direction = 1 "direction",
        /// `IPS_*` bits ([`crate::nftables::CtStatus`]; u32).
        Status = 2 "status",
        /// The connection's mark (u32).
        Mark = 3 "mark",
        /// Its security mark (u32).
        SecurityMark = 4 "secmark",
        /// Milliseconds until it is forgotten (u32).
        Expiration = 5 "expiration",
        /// Name of its helper (16 bytes).
        Helper = 6 "helper",
        /// `NFPROTO_*` (u8).
        L3Protocol = 7 "l3proto",
        /// Source address in a direction (4 or 16 bytes).
        Source = 8 "saddr",
        /// Destination address in a direction (4 or 16 bytes).
        Destination = 9 "daddr",
        /// IP protocol (u8).
        L4Protocol = 10 "protocol",
        /// Source port in a direction (u16 in network order).
        SourcePort = 11 "proto-src",
        /// Destination port in a direction (u16 in network order).
        DestinationPort = 12 "proto-dst",
        /// Labels (128 bits).
        Labels = 13 "label",
        /// Packets, of one or both directions (u64).
        Packets = 14 "packets",
        /// Bytes, of one or both directions (u64).
        Bytes = 15 "bytes",
        /// Bytes by packet (u64).
        AveragePacket = 16 "avgpkt",
        /// Zone (u16).
        Zone = 17 "zone",
        /// Which events are reported (u32).
        EventMask = 18 "event",
        /// IPv4 source address in a direction (4 bytes).
        SourceIp = 19 "ip saddr",
        /// IPv4 destination address in a direction (4 bytes).
        DestinationIp = 20 "ip daddr",
        /// IPv6 source address in a direction (16 bytes).
        SourceIp6 = 21 "ip6 saddr",
        /// IPv6 destination address in a direction (16 bytes).
        DestinationIp6 = 22 "ip6 daddr",
        /// Number of the connection (u32).
        Id = 23 "id",
    }
}

kernel_enum! {
    /// What is known of a packet's route (`enum nft_rt_keys`).
    RtKey {
        /// Routing realm (u32).
        ClassId = 0 "classid",
        /// IPv4 next hop (4 bytes).
        NextHop4 = 1 "ip nexthop",
        /// IPv6 next hop (16 bytes).
        NextHop6 = 2 "ip6 nexthop",
        /// Largest TCP segment that fits the path (u16).
        TcpMss = 3 "mtu",
        /// Whether it will go by `IPsec` (1 bit).
        Ipsec = 4 "ipsec",
    }
}

kernel_enum! {
    /// What is known of the socket that a packet is for (`enum nft_socket_keys`).
    SocketKey {
        /// Whether it may take what is for others' addresses (1 bit).
        Transparent = 0 "transparent",
        /// Its mark (u32).
        Mark = 1 "mark",
        /// Whether it is bound to all addresses (1 bit).
        Wildcard = 2 "wildcard",
        /// Its control group at a level of the tree (u64).
        CgroupV2 = 3 "cgroupv2",
    }
}

kernel_enum! {
    /// What a look into the routing tables gives (`enum nft_fib_result`).
    FibResult {
        /// Number of the interface (u32).
        Oif = 1 "oif",
        /// Name of the interface (16 bytes).
        OifName = 2 "oifname",
        /// Type of the address, `RTN_*` (u32).
        AddressType = 3 "type",
    }
}

kernel_enum! {
    /// What is read or changed beyond the fixed headers (`enum nft_exthdr_op`).
    ExthdrKind {
        /// An IPv6 extension header, by its number.
        Ipv6 = 0 "ipv6",
        /// A TCP option.
        TcpOption = 1 "tcpopt",
        /// An IPv4 option.
        Ipv4Option = 2 "ipv4opt",
        /// An SCTP chunk.
        SctpChunk = 3 "sctp",
        /// A DCCP option.
        DccpOption = 4 "dccp",
    }
}

kernel_enum! {
    /// From where a payload offset counts (`enum nft_payload_bases`).
    PayloadBase {
        /// The link-layer header.
        Link = 0 "ll",
        /// The network header.
        Network = 1 "nh",
        /// The transport header.
        Transport = 2 "th",
        /// What the transport header carries.
        Inner = 3 "ih",
        /// What a tunnel carries.
        Tunnel = 4 "tun",
    }
}

kernel_enum! {
    /// How two values are compared; as strings of bytes, so numbers are to be in network order for less and greater
    /// (`enum nft_cmp_ops`).
    CmpOp {
        /// Equal.
        Equal = 0 "==",
        /// Not equal.
        NotEqual = 1 "!=",
        /// Less.
        Less = 2 "<",
        /// Less or equal.
        LessOrEqual = 3 "<=",
        /// Greater.
        Greater = 4 ">",
        /// Greater or equal.
        GreaterOrEqual = 5 ">=",
    }
}

kernel_enum! {
    /// How serious a log line is (`enum nft_log_level`, syslog(3)).
    LogLevel {
        /// The system is unusable.
        Emergency = 0 "emerg",
        /// Act at once.
        Alert = 1 "alert",
        /// Critical.
        Critical = 2 "crit",
        /// Error.
        Error = 3 "err",
        /// Warning, what nft uses where none is given.
        Warning = 4 "warn",
        /// Notice.
        Notice = 5 "notice",
        /// Information.
        Info = 6 "info",
        /// Debugging.
        Debug = 7 "debug",
        /// To the audit log.
        Audit = 8 "audit",
    }
}

kernel_enum! {
    /// What an `IPsec` state says (`enum nft_xfrm_keys`).
    XfrmKey {
        /// IPv4 destination (4 bytes).
        Destination4 = 1 "ip daddr",
        /// IPv6 destination (16 bytes).
        Destination6 = 2 "ip6 daddr",
        /// IPv4 source (4 bytes).
        Source4 = 3 "ip saddr",
        /// IPv6 source (16 bytes).
        Source6 = 4 "ip6 saddr",
        /// Request number (u32).
        RequestId = 5 "reqid",
        /// Security parameter index (u32 in network order).
        Spi = 6 "spi",
    }
}

kernel_enum! {
    /// What a rejected sender is told (`enum nft_reject_inet_code`): ICMP or `ICMPv6`, as the packet is.
    RejectIcmpx {
        /// No route.
        NoRoute = 0 "no-route",
        /// Port unreachable.
        PortUnreachable = 1 "port-unreachable",
        /// Host unreachable.
        HostUnreachable = 2 "host-unreachable",
        /// Forbidden by an administrator.
        AdminProhibited = 3 "admin-prohibited",
    }
}

kernel_enum! {
    /// What a stateful object is (`NFT_OBJECT_*`).
    ObjectKind {
        /// Packets and bytes counted.
        Counter = 1 "counter",
        /// A number of bytes to be used up.
        Quota = 2 "quota",
        /// A conntrack helper.
        CtHelper = 3 "ct helper",
        /// A rate.
        Limit = 4 "limit",
        /// A number of connections.
        Connlimit = 5 "ct count",
        /// A tunnel's metadata.
        Tunnel = 6 "tunnel",
        /// Conntrack timeouts.
        CtTimeout = 7 "ct timeout",
        /// A security context.
        SecurityMark = 8 "secmark",
        /// A conntrack expectation.
        CtExpectation = 9 "ct expectation",
        /// A SYN proxy.
        Synproxy = 10 "synproxy",
    }
}
