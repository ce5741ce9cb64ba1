//! What a filter says, with every name looked up.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use nslab_types::MacAddr;

use crate::machine::Arithmetic;
use crate::names::Transport;
use crate::parse::keyword::Protocol;

/// A filter's expression. Order matters: some primitives change what those after them look at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Is(Primitive, Range<usize>),
}

/// What of two addresses or ports has to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Source,
    Destination,
    Either,
    Both,
}

/// In which protocol an address is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Carrier {
    Ip,
    Arp,
    Rarp,
    Ip6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    V4,
    V6,
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    V4 { address: Ipv4Addr, mask: Ipv4Addr },
    V6 { address: Ipv6Addr, mask: u128 },
}

/// The smallest parts of an expression that are true or false.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Primitive {
    Protocol(Protocol),
    /// One of several addresses; without a carrier any that knows such addresses.
    Address {
        carrier: Option<Carrier>,
        direction: Direction,
        prefixes: Vec<Prefix>,
    },
    EtherAddress {
        direction: Direction,
        address: MacAddr,
    },
    /// Ports from the first to the last, in any order, of one protocol or of all that have ports.
    Port {
        transport: Option<Transport>,
        direction: Direction,
        first: u16,
        last: u16,
    },
    /// An EtherType, or a service access point of 802.2 if it is at most 1500.
    EtherType(u32),
    IpProtocol {
        version: Option<Version>,
        number: u8,
    },
    /// Type of a packet of ISO's network layer protocol identification.
    IsoProtocol(u8),
    EtherBroadcast,
    IpBroadcast,
    EtherMulticast,
    IpMulticast,
    Ip6Multicast,
    Outgoing(bool),
    Interface(u32),
    Vlan(Option<u16>),
    Mpls(Option<u32>),
    PppoeSession(Option<u16>),
    Geneve(Option<u32>),
    Vxlan(Option<u32>),
    Compare(Number, Relation, Number),
}

/// How two numbers of 32 bits without sign are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// An arithmetic expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    Constant(u32),
    Length,
    /// So many bytes (1, 2 or 4) of a header, in network order, from an offset on.
    Field {
        protocol: Protocol,
        offset: Box<Number>,
        size: u8,
    },
    Binary(Arithmetic, Box<Number>, Box<Number>, Range<usize>),
    Negate(Box<Number>),
}
