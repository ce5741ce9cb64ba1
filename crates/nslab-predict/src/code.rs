//! The codes of causes.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)*) => {
        /// Why a packet stops, as `cause.code` in JSON. A code keeps its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// All of them, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The interface it must leave or enter by is administratively down.
    LinkDown = "LINK_DOWN",
    /// It is for an address of the same namespace and `lo` is down.
    LoopbackDown = "LOOPBACK_DOWN",
    /// The interface is up, its peer or lower device is not.
    NoCarrier = "NO_CARRIER",
    /// The other end of the interface is in a namespace that was not found or could not be read.
    PeerUnseen = "PEER_UNSEEN",
    /// The sender has no usable address of that family.
    NoSourceAddress = "NO_SOURCE_ADDRESS",
    /// No route matches in the namespace named.
    NoRoute = "NO_ROUTE",
    /// The matching route or rule says `blackhole`.
    RouteBlackhole = "ROUTE_BLACKHOLE",
    /// The matching route or rule says `unreachable`.
    RouteUnreachable = "ROUTE_UNREACHABLE",
    /// The matching route or rule says `prohibit`.
    RouteProhibit = "ROUTE_PROHIBIT",
    /// The matching route says `throw`, and nothing after it matches.
    RouteThrow = "ROUTE_THROW",
    /// The route's next hop is not on any segment of that interface.
    GatewayUnreachable = "GATEWAY_UNREACHABLE",
    /// Nobody on the segment answers for the next hop, and no one elsewhere owns the address.
    NeighbourFailed = "NEIGHBOUR_FAILED",
    /// The next hop exists, on another broadcast domain than the interface it is looked for on.
    WrongSegment = "WRONG_SEGMENT",
    /// Two interfaces of the segment own the address, so which one answers is chance.
    DuplicateAddress = "DUPLICATE_ADDRESS",
    /// Two ports of the segment carry the same MAC.
    DuplicateMac = "DUPLICATE_MAC",
    /// A namespace on the way must forward and `forwarding` is off there.
    ForwardingOff = "FORWARDING_OFF",
    /// Reverse-path filtering.
    RpFilter = "RP_FILTER",
    /// A source or destination that may not arrive there.
    Martian = "MARTIAN",
    /// The TTL or hop limit ran out, or there is a routing loop.
    TtlExpired = "TTL_EXPIRED",
    /// Too big for a link, may not be fragmented, and the sender is told.
    MtuExceeded = "MTU_EXCEEDED",
    /// Two ends of one link differ, so the larger frame is lost without a word.
    MtuMismatch = "MTU_MISMATCH",
    /// Too big, and the ICMP error that would say so is filtered or unroutable on its way back.
    PmtuBlackhole = "PMTU_BLACKHOLE",
    /// A rule or a chain's policy drops it.
    FirewallDrop = "FIREWALL_DROP",
    /// A rule rejects it.
    FirewallReject = "FIREWALL_REJECT",
    /// Bridged, yet dropped by an IP rule because `bridge-nf-call-*` is on.
    BridgeFirewall = "BRIDGE_FIREWALL",
    /// The bridge's VLAN table.
    BridgeVlan = "BRIDGE_VLAN",
    /// Port isolation.
    BridgeIsolated = "BRIDGE_ISOLATED",
    /// The port's STP state.
    BridgeStp = "BRIDGE_STP",
    /// An entry of the bridge's forwarding database.
    BridgeFdb = "BRIDGE_FDB",
    /// Nothing listens on that port at the destination.
    NoListener = "NO_LISTENER",
    /// Something listens there, on another address.
    ListenerOtherAddress = "LISTENER_OTHER_ADDRESS",
    /// It arrives; the answer has no way back.
    NoReturnRoute = "NO_RETURN_ROUTE",
    /// It arrives; the answer is dropped.
    ReturnDropped = "RETURN_DROPPED",
    /// It leaves toward an outside that has no route back to the private source, and nothing masquerades.
    NatMissing = "NAT_MISSING",
    /// A qdisc, filter or policer.
    TcDrop = "TC_DROP",
    /// Bridges are joined in a circle without spanning tree: a broadcast goes round for ever.
    BridgeLoop = "BRIDGE_LOOP",
    /// The kernel's neighbour table is full or nearly so: new neighbours are not found.
    NeighbourTableFull = "NEIGHBOUR_TABLE_FULL",
    /// Nothing is in a namespace and nobody uses it.
    NamespaceUnused = "NAMESPACE_UNUSED",
    /// A cable's end that nothing goes by.
    VethStale = "VETH_STALE",
    /// What decides is not modelled or not known.
    Unmodelled = "UNMODELLED",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
