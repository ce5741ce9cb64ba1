//! What the kernel counts of packets that come to nothing.
//!
//! Each network namespace counts by itself, by protocol and by interface. Only counters are read that say that something was wrong;
//! what each stands for is said where it is defined, by the kernel's own sources. A counter tells of all packets, not of one.

mod read;

use std::fmt;

use crate::link::IfIndex;

pub use read::{Meter, Reading};

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// By a protocol.
    Stack(StackCounter),
    /// By an interface.
    Link(IfIndex, LinkCounter),
}

impl Counter {
    /// Its name: that of `nstat`, or the member of `struct rtnl_link_stats64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stack(counter) => counter.name(),
            Self::Link(_, counter) => counter.name(),
        }
    }

    /// The interface that counts it.
    pub fn link(self) -> Option<IfIndex> {
        match self {
            Self::Stack(_) => None,
            Self::Link(link, _) => Some(link),
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! counters {
    ($(#[doc = $what:literal])+ $kind:ident { $($(#[doc = $doc:literal])+ $name:ident = $text:literal,)* }) => {
        $(#[doc = $what])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];
            const COUNT: usize = Self::ALL.len();

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

counters! {
    /// What protocols count, by the names of `nstat`: group and name in `/proc/net/snmp`, `netstat` and `snmp6`
    /// (`net/ipv4/proc.c`, `net/ipv6/proc.c`).
    StackCounter {
        /// The TTL ran out (`ip_forward`, `net/ipv4/ip_forward.c`), or the header is none (`ip_rcv_core`, `net/ipv4/ip_input.c`).
        IpInHdrErrors = "IpInHdrErrors",
        /// For somebody else, and nothing is passed on there (`ip_error`, `net/ipv4/route.c`).
        IpInAddrErrors = "IpInAddrErrors",
        /// Of a protocol of which nothing is known (`ip_protocol_deliver_rcu`, `net/ipv4/ip_input.c`).
        IpInUnknownProtos = "IpInUnknownProtos",
        /// Came in, and there was no room for it (`ip_rcv_core`), or a policy of `xfrm` does not want it.
        IpInDiscards = "IpInDiscards",
        /// Made here, and thrown away on its way to the interface: by a rule, or by the interface (`ip_send_skb`,
        /// `net/ipv4/ip_output.c`).
        IpOutDiscards = "IpOutDiscards",
        /// Made here, and there is no route (`udp_sendmsg`, `tcp_v4_connect`, `__ip_queue_xmit`).
        IpOutNoRoutes = "IpOutNoRoutes",
        /// Fragments that did not become a packet (`net/ipv4/ip_fragment.c`).
        IpReasmFails = "IpReasmFails",
        /// Too big, and not to be fragmented (`ip_forward`, `ip_fragment`).
        IpFragFails = "IpFragFails",
        /// Came in, and there is no route (`ip_error`, `net/ipv4/route.c`).
        IpExtInNoRoutes = "IpExtInNoRoutes",
        /// Shorter than its header says (`ip_rcv_core`).
        IpExtInTruncatedPkts = "IpExtInTruncatedPkts",
        /// Its header's checksum is wrong (`ip_rcv_core`).
        IpExtInCsumErrors = "IpExtInCsumErrors",
        /// Reverse-path filtering (`ip_rcv_finish_core`, `net/ipv4/ip_input.c`).
        TcpExtIPReversePathFilter = "TcpExtIPReversePathFilter",
        /// The queue of connections that wait to be accepted is full (`tcp_conn_request`, `tcp_v4_syn_recv_sock`).
        TcpExtListenOverflows = "TcpExtListenOverflows",
        /// A listening socket did not take a segment, for whatever reason (`tcp_listendrop`, `include/net/tcp.h`).
        TcpExtListenDrops = "TcpExtListenDrops",
        /// A socket in use has no room for more (`tcp_add_backlog`, `net/ipv4/tcp_ipv4.c`).
        TcpExtTCPBacklogDrop = "TcpExtTCPBacklogDrop",
        /// Segments that are none, or whose checksum is wrong (`tcp_v4_rcv`).
        TcpInErrs = "TcpInErrs",
        /// Resets that were sent, mostly as nobody listens (`tcp_v4_send_reset`). Those of rules are not counted.
        TcpOutRsts = "TcpOutRsts",
        /// Nobody has that port (`__udp4_lib_rcv`, `net/ipv4/udp.c`).
        UdpNoPorts = "UdpNoPorts",
        /// Datagrams that are none, or that a socket did not take.
        UdpInErrors = "UdpInErrors",
        /// A socket has no room for more (`__udp_queue_rcv_skb`).
        UdpRcvbufErrors = "UdpRcvbufErrors",
        /// The hop limit ran out (`ip6_forward`, `net/ipv6/ip6_output.c`), or the header or its source is none (`ip6_rcv_core`).
        Ip6InHdrErrors = "Ip6InHdrErrors",
        /// Too big for the interface that it is to leave by (`ip6_forward`).
        Ip6InTooBigErrors = "Ip6InTooBigErrors",
        /// Came in, and there is no route, or one that says no (`ip6_pkt_drop`, `net/ipv6/route.c`).
        Ip6InNoRoutes = "Ip6InNoRoutes",
        /// For somebody else, and nothing is passed on there, or its source may not be (`ip6_forward`).
        Ip6InAddrErrors = "Ip6InAddrErrors",
        /// Of a protocol of which nothing is known (`ip6_protocol_deliver_rcu`, `net/ipv6/ip6_input.c`).
        Ip6InUnknownProtos = "Ip6InUnknownProtos",
        /// Shorter than its header says (`ip6_rcv_core`).
        Ip6InTruncatedPkts = "Ip6InTruncatedPkts",
        /// Came in, and there was no room for it, or IPv6 is off there (`ip6_rcv_core`).
        Ip6InDiscards = "Ip6InDiscards",
        /// Made here, and thrown away on its way to the interface (`ip6_send_skb`, `rawv6_sendmsg`).
        Ip6OutDiscards = "Ip6OutDiscards",
        /// Made here, and there is no route (`ip6_dst_lookup_tail`, `ip6_pkt_drop`).
        Ip6OutNoRoutes = "Ip6OutNoRoutes",
        /// Fragments that did not become a packet (`net/ipv6/reassembly.c`).
        Ip6ReasmFails = "Ip6ReasmFails",
        /// Too big, and not to be fragmented (`ip6_forward`, `ip6_fragment`).
        Ip6FragFails = "Ip6FragFails",
        /// Nobody has that port (`__udp6_lib_rcv`, `net/ipv6/udp.c`).
        Udp6NoPorts = "Udp6NoPorts",
        /// Datagrams that are none, or that a socket did not take.
        Udp6InErrors = "Udp6InErrors",
        /// A socket has no room for more.
        Udp6RcvbufErrors = "Udp6RcvbufErrors",
    }
}

counters! {
    /// What interfaces count: members of `struct rtnl_link_stats64` (`include/uapi/linux/if_link.h`).
    LinkCounter {
        /// Frames that are none.
        RxErrors = "rx_errors",
        /// Frames that could not be sent.
        TxErrors = "tx_errors",
        /// Came in, and nobody takes it; of a veth also what is too long for it, or comes when it is down (`__dev_forward_skb`,
        /// `net/core/dev.c`).
        RxDropped = "rx_dropped",
        /// Was not sent; of a veth also what its other end does not take (`veth_xmit`, `drivers/net/veth.c`).
        TxDropped = "tx_dropped",
        /// There was no room for it in the interface.
        RxMissedErrors = "rx_missed_errors",
        /// There is no carrier; of a tunnel: no route to its other end (`ip_tunnel_xmit`, `net/ipv4/ip_tunnel.c`).
        TxCarrierErrors = "tx_carrier_errors",
        /// Came in by an interface that is set aside, as one of a bond (`__netif_receive_skb_core`).
        RxNohandler = "rx_nohandler",
    }
}

impl StackCounter {
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|counter| counter.name() == name)
    }
}

impl LinkCounter {
    /// Which 64-bit word of `struct rtnl_link_stats64` it is.
    const fn word(self) -> usize {
        match self {
            Self::RxErrors => 4,
            Self::TxErrors => 5,
            Self::RxDropped => 6,
            Self::TxDropped => 7,
            Self::RxMissedErrors => 15,
            Self::TxCarrierErrors => 17,
            Self::RxNohandler => 23,
        }
    }
}
