//! What can be matched.

use crate::nftables::data::Register;
use crate::nftables::datatype;
use crate::nftables::expr::{CtDirection, CtKey, Expr, FibFlags, FibResult, MetaKey, PayloadBase};

/// Something of a packet that a rule can match or look for in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Name of the interface it came in by; 16 bytes ([`crate::nftables::Data::interface_name`]).
    IifName,
    /// Name of the interface it leaves by; 16 bytes.
    OifName,
    /// Number of the interface it came in by; 4 bytes in the machine's order.
    Iif,
    /// Number of the interface it leaves by; 4 bytes in the machine's order.
    Oif,
    /// Its mark; 4 bytes in the machine's order.
    Mark,
    /// Source in an IPv4 packet; 4 bytes.
    SourceIp4,
    /// Destination in an IPv4 packet; 4 bytes.
    DestinationIp4,
    /// Source in an IPv6 packet; 16 bytes.
    SourceIp6,
    /// Destination in an IPv6 packet; 16 bytes.
    DestinationIp6,
    /// IPv4 or IPv6 (`NFPROTO_IPV4` 2, `NFPROTO_IPV6` 10); 1 byte.
    NetfilterProtocol,
    /// IP protocol; 1 byte.
    L4Protocol,
    /// Source port of TCP, UDP, SCTP, DCCP or UDP-Lite; 2 bytes in network order. Match the protocol before.
    SourcePort,
    /// Destination port; 2 bytes in network order. Match the protocol before.
    DestinationPort,
    /// Type of an ICMP message; 1 byte.
    IcmpType,
    /// Type of an `ICMPv6` message; 1 byte.
    Icmpv6Type,
    /// Conntrack's view of the packet, as one bit ([`crate::nftables::CtState`]); 4 bytes in the machine's order.
    CtState,
    /// What became of the connection, as bits ([`crate::nftables::CtStatus`]); 4 bytes in the machine's order.
    CtStatus,
    /// The connection's mark; 4 bytes in the machine's order.
    CtMark,
    /// Direction of the packet in its connection: 0 original, 1 reply; 1 byte.
    CtDirection,
    /// IPv4 destination that the connection's first packet had before it was translated; 4 bytes.
    CtOriginalDestinationIp4,
    /// IPv6 destination that the connection's first packet had before it was translated; 16 bytes.
    CtOriginalDestinationIp6,
    /// Destination port that the connection's first packet had before it was translated; 2 bytes in network order.
    CtOriginalDestinationPort,
    /// What the destination is to this namespace, `RTN_*` (1 unicast, 2 local, 3 broadcast, 5 multicast); 4 bytes in the
    /// machine's order.
    DestinationType,
    /// Source hardware address; 6 bytes.
    SourceMac,
    /// Destination hardware address; 6 bytes.
    DestinationMac,
    /// `EtherType`; 2 bytes in network order.
    EtherType,
}

/// Which family or protocol a field is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Ipv4,
    Ipv6,
    /// That family and this protocol.
    Icmp,
    Icmpv6,
    /// A device with such addresses.
    Ethernet,
}

impl Field {
    /// Loads it into a register.
    pub fn load(self, destination: Register) -> Expr {
        let meta = |key| Expr::Meta { destination, key };
        let ct = |key, direction| Expr::Ct { destination, key, direction };
        let payload = |base, offset, len| Expr::Payload { destination, base, offset, len };
        let original = Some(CtDirection::Original);
        match self {
            Self::IifName => meta(MetaKey::IifName),
            Self::OifName => meta(MetaKey::OifName),
            Self::Iif => meta(MetaKey::Iif),
            Self::Oif => meta(MetaKey::Oif),
            Self::Mark => meta(MetaKey::Mark),
            Self::NetfilterProtocol => meta(MetaKey::NetfilterProtocol),
            Self::L4Protocol => meta(MetaKey::L4Protocol),
            Self::EtherType => meta(MetaKey::Protocol),
            // RFC 791, section 3.1; RFC 8200, section 3.
            Self::SourceIp4 => payload(PayloadBase::Network, 12, 4),
            Self::DestinationIp4 => payload(PayloadBase::Network, 16, 4),
            Self::SourceIp6 => payload(PayloadBase::Network, 8, 16),
            Self::DestinationIp6 => payload(PayloadBase::Network, 24, 16),
            Self::SourcePort => payload(PayloadBase::Transport, 0, 2),
            Self::DestinationPort => payload(PayloadBase::Transport, 2, 2),
            Self::IcmpType | Self::Icmpv6Type => payload(PayloadBase::Transport, 0, 1),
            Self::DestinationMac => payload(PayloadBase::Link, 0, 6),
            Self::SourceMac => payload(PayloadBase::Link, 6, 6),
            Self::CtState => ct(CtKey::State, None),
            Self::CtStatus => ct(CtKey::Status, None),
            Self::CtMark => ct(CtKey::Mark, None),
            Self::CtDirection => ct(CtKey::Direction, None),
            Self::CtOriginalDestinationIp4 => ct(CtKey::DestinationIp, original),
            Self::CtOriginalDestinationIp6 => ct(CtKey::DestinationIp6, original),
            Self::CtOriginalDestinationPort => ct(CtKey::DestinationPort, original),
            Self::DestinationType => {
                Expr::Fib { destination, result: FibResult::AddressType, flags: FibFlags::DESTINATION }
            }
        }
    }

    /// Its length in bytes.
    pub const fn size(self) -> u32 {
        match self {
            Self::IifName
            | Self::OifName
            | Self::SourceIp6
            | Self::DestinationIp6
            | Self::CtOriginalDestinationIp6 => 16,
            Self::SourceMac | Self::DestinationMac => 6,
            Self::SourcePort | Self::DestinationPort | Self::EtherType | Self::CtOriginalDestinationPort => 2,
            Self::NetfilterProtocol
            | Self::L4Protocol
            | Self::IcmpType
            | Self::Icmpv6Type
            | Self::CtDirection => 1,
            _ => 4,
        }
    }

    /// nft's number for what it is ([`crate::nftables::datatype`]).
    pub const fn datatype(self) -> u32 {
        match self {
            Self::IifName | Self::OifName => datatype::IFNAME,
            Self::Iif | Self::Oif => datatype::IFINDEX,
            Self::Mark | Self::CtMark => datatype::MARK,
            Self::SourceIp4 | Self::DestinationIp4 | Self::CtOriginalDestinationIp4 => datatype::IPV4,
            Self::SourceIp6 | Self::DestinationIp6 | Self::CtOriginalDestinationIp6 => datatype::IPV6,
            Self::NetfilterProtocol => datatype::NFPROTO,
            Self::L4Protocol => datatype::L4PROTO,
            Self::SourcePort | Self::DestinationPort | Self::CtOriginalDestinationPort => datatype::PORT,
            Self::IcmpType => datatype::ICMP_TYPE,
            Self::Icmpv6Type => datatype::ICMPV6_TYPE,
            Self::CtState => datatype::CT_STATE,
            Self::CtDirection => datatype::CT_DIRECTION,
            Self::CtStatus => datatype::CT_STATUS,
            Self::DestinationType => datatype::FIB_ADDRESS_TYPE,
            Self::SourceMac | Self::DestinationMac => datatype::MAC,
            Self::EtherType => datatype::ETHERTYPE,
        }
    }

    /// Whether its value is a number in the machine's order.
    pub const fn is_machine_order(self) -> bool {
        matches!(
            self,
            Self::IifName
                | Self::OifName
                | Self::Iif
                | Self::Oif
                | Self::Mark
                | Self::CtMark
                | Self::CtState
                | Self::CtStatus
                | Self::CtDirection
                | Self::NetfilterProtocol
                | Self::DestinationType
        )
    }

    pub(super) const fn needs(self) -> Needs {
        match self {
            Self::SourceIp4 | Self::DestinationIp4 => Needs::Ipv4,
            Self::SourceIp6 | Self::DestinationIp6 => Needs::Ipv6,
            Self::IcmpType => Needs::Icmp,
            Self::Icmpv6Type => Needs::Icmpv6,
            Self::SourceMac | Self::DestinationMac => Needs::Ethernet,
            _ => Needs::Nothing,
        }
    }
}
