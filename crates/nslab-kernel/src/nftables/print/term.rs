//! What registers hold, in nft's words.

use super::context::Dependency;
use super::symbols;
use super::types::{Order, Type};
use crate::nftables::data::Data;
use crate::nftables::expr::{
    CtDirection, CtKey, Expr, ExthdrKind, FibFlags, FibResult, HashKind, MetaKey, PayloadBase, RtKey,
    SocketKey, XfrmKey,
};

/// The kernel takes no payload further than this from its header's start, in bytes.
const MOST_OFFSET: u32 = 0xffff;
/// All registers together.
const MOST_LEN: u32 = 64;

/// What a register holds.
#[derive(Debug, Clone)]
pub(super) enum Term {
    /// Something with a name and a type.
    Named {
        text: String,
        kind: Type,
        order: Order,
        len: u32,
        /// What need not be written before it.
        implies: Option<Dependency>,
    },
    /// Bytes of the packet; what they are may depend on what is masked out of them.
    Payload { base: PayloadBase, offset: u32, len: u32 },
    /// A fixed value, whose type is that of what it is used for.
    Fixed(Data),
    /// `(of & mask) ^ xor`.
    Masked { of: Box<Term>, mask: Data, xor: Data },
    /// Shifted by so many bits.
    Shifted { of: Box<Term>, left: bool, bits: u32 },
    /// The same number with its bytes turned round.
    Swapped(Box<Term>),
    /// What a map has for something.
    Mapped { text: String, len: u32 },
}

impl Term {
    fn named(text: impl Into<String>, kind: Type, order: Order, len: u32) -> Self {
        Self::Named { text: text.into(), kind, order, len, implies: None }
    }

    /// Bytes of the packet; none for more than the kernel has (`nft_payload_init`).
    pub(super) fn payload(base: PayloadBase, offset: u32, len: u32) -> Option<Self> {
        (offset <= MOST_OFFSET && len <= MOST_LEN).then_some(Self::Payload { base, offset, len })
    }

    /// Bytes that it takes in registers.
    pub(super) fn len(&self) -> u32 {
        match self {
            Self::Named { len, .. } | Self::Payload { len, .. } | Self::Mapped { len, .. } => *len,
            Self::Fixed(data) => u32::try_from(data.len()).unwrap_or(0),
            Self::Masked { of, .. } | Self::Shifted { of, .. } | Self::Swapped(of) => of.len(),
        }
    }

    /// What a loading expression loads; none for others and for what has no words.
    pub(super) fn loaded(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::Immediate { data, .. } => Some(Self::Fixed(data.clone())),
            Expr::Payload { base, offset, len, .. } => Self::payload(*base, *offset, *len),
            Expr::Meta { key, .. } => meta(*key),
            Expr::Ct { key, direction, .. } => ct(*key, *direction),
            Expr::Rt { key, .. } => rt(*key),
            Expr::Socket { key, level, .. } => socket(*key, *level),
            Expr::Fib { result, flags, .. } => fib(*result, *flags),
            Expr::Exthdr { kind, number, offset, len, present, .. } => {
                exthdr(*kind, *number, *offset, *len, *present)
            }
            Expr::Numgen { random, modulus, offset, .. } => {
                let kind = if *random { "random" } else { "inc" };
                let plus = if *offset == 0 { String::new() } else { format!(" offset {offset}") };
                let text = format!("numgen {kind} mod {modulus}{plus}");
                Some(Self::named(text, Type::Integer, Order::Machine, 4))
            }
            Expr::Hash { kind: HashKind::Symmetric, modulus, offset, .. } => {
                let plus = if *offset == 0 { String::new() } else { format!(" offset {offset}") };
                Some(Self::named(format!("symhash mod {modulus}{plus}"), Type::Integer, Order::Machine, 4))
            }
            Expr::Osf { ttl, flags, .. } => {
                let ttl = [" ", " ttl loose ", " ttl skip "].get(usize::from(*ttl))?;
                let what = if *flags == 0 { "name" } else { "version" };
                Some(Self::named(format!("osf{ttl}{what}"), Type::Text, Order::Network, 16))
            }
            Expr::Xfrm { key, direction, index, .. } => xfrm(*key, *direction, *index),
            _ => None,
        }
    }
}

/// nft's words for metadata.
pub(super) fn meta_words(key: MetaKey) -> Option<String> {
    let word = key.word()?;
    Some(match key {
        // These stand without "meta".
        MetaKey::Iif
        | MetaKey::Oif
        | MetaKey::IifName
        | MetaKey::OifName
        | MetaKey::IifGroup
        | MetaKey::OifGroup => word.to_owned(),
        _ => format!("meta {word}"),
    })
}

/// What metadata is: type, order and length in bytes.
pub(super) fn meta_type(key: MetaKey) -> Option<(Type, Order, u32)> {
    use Order::{Machine, Network};
    Some(match key {
        MetaKey::Protocol | MetaKey::BridgeVlanProtocol => (Type::Ethertype, Network, 2),
        MetaKey::Priority => (Type::ClassId, Machine, 4),
        MetaKey::Mark => (Type::Mark, Machine, 4),
        MetaKey::Iif | MetaKey::Oif | MetaKey::Sdif => (Type::InterfaceNumber, Machine, 4),
        MetaKey::IifName
        | MetaKey::OifName
        | MetaKey::BridgeIifName
        | MetaKey::BridgeOifName
        | MetaKey::IifKind
        | MetaKey::OifKind
        | MetaKey::SdifName => (Type::InterfaceName, Network, 16),
        MetaKey::IifType | MetaKey::OifType => (Type::Symbolic(symbols::HARDWARE), Machine, 2),
        MetaKey::Trace | MetaKey::BridgeRoute => (Type::Integer, Machine, 1),
        MetaKey::RoutingClass => (Type::Realm, Machine, 4),
        MetaKey::NetfilterProtocol => (Type::Symbolic(symbols::NFPROTO), Network, 1),
        MetaKey::L4Protocol => (Type::Protocol, Network, 1),
        MetaKey::PacketType => (Type::Symbolic(symbols::PACKET_TYPE), Network, 1),
        MetaKey::IpsecPath => (Type::Presence, Machine, 1),
        MetaKey::BridgePvid => (Type::Integer, Machine, 2),
        MetaKey::Day => (Type::Symbolic(symbols::DAY), Machine, 1),
        MetaKey::Hour => (Type::Hour, Machine, 4),
        MetaKey::Length
        | MetaKey::SocketUser
        | MetaKey::SocketGroup
        | MetaKey::Cpu
        | MetaKey::IifGroup
        | MetaKey::OifGroup
        | MetaKey::Cgroup => (Type::Integer, Machine, 4),
        // It has no order of its own; nft takes it so.
        MetaKey::Random => (Type::Integer, Network, 4),
        // Their values have no words that would be read alike everywhere.
        MetaKey::SecurityMark | MetaKey::Time | MetaKey::Other(_) => return None,
    })
}

fn meta(key: MetaKey) -> Option<Term> {
    let (kind, order, len) = meta_type(key)?;
    Some(Term::named(meta_words(key)?, kind, order, len))
}

/// What something of a connection is: type, order and length in bytes.
pub(super) fn ct_type(key: CtKey) -> Option<(Type, Order, u32)> {
    use Order::{Machine, Network};
    Some(match key {
        CtKey::State => (Type::Bits(symbols::CT_STATE), Machine, 4),
        CtKey::Direction => (Type::Symbolic(symbols::CT_DIRECTION), Network, 1),
        CtKey::Status => (Type::Bits(symbols::CT_STATUS), Machine, 4),
        CtKey::Mark => (Type::Mark, Machine, 4),
        CtKey::Expiration => (Type::Milliseconds, Machine, 4),
        CtKey::Helper => (Type::Text, Network, 16),
        CtKey::L3Protocol => (Type::Symbolic(symbols::NFPROTO), Network, 1),
        CtKey::Source | CtKey::Destination => (Type::Address, Network, 16),
        CtKey::L4Protocol => (Type::Protocol, Network, 1),
        CtKey::SourcePort | CtKey::DestinationPort => (Type::Port, Network, 2),
        CtKey::Packets | CtKey::Bytes | CtKey::AveragePacket => (Type::Integer, Machine, 8),
        CtKey::Zone => (Type::Integer, Machine, 2),
        CtKey::EventMask => (Type::Bits(symbols::CT_EVENTS), Machine, 4),
        CtKey::SourceIp | CtKey::DestinationIp => (Type::Ipv4, Network, 4),
        CtKey::SourceIp6 | CtKey::DestinationIp6 => (Type::Ipv6, Network, 16),
        CtKey::Id => (Type::Integer, Network, 4),
        CtKey::SecurityMark | CtKey::Labels | CtKey::Other(_) => return None,
    })
}

/// nft's words for something of a connection.
pub(super) fn ct_words(key: CtKey, direction: Option<CtDirection>) -> Option<String> {
    let direction = match direction {
        None => "",
        Some(CtDirection::Original) => "original ",
        Some(CtDirection::Reply) => "reply ",
    };
    Some(format!("ct {direction}{}", key.word()?))
}

fn ct(key: CtKey, direction: Option<CtDirection>) -> Option<Term> {
    let (kind, order, len) = ct_type(key)?;
    Some(Term::named(ct_words(key, direction)?, kind, order, len))
}

fn rt(key: RtKey) -> Option<Term> {
    let (kind, order, len) = match key {
        RtKey::ClassId => (Type::Realm, Order::Machine, 4),
        RtKey::NextHop4 => (Type::Ipv4, Order::Network, 4),
        RtKey::NextHop6 => (Type::Ipv6, Order::Network, 16),
        RtKey::TcpMss => (Type::Integer, Order::Machine, 2),
        RtKey::Ipsec => (Type::Presence, Order::Machine, 1),
        RtKey::Other(_) => return None,
    };
    Some(Term::named(format!("rt {}", key.word()?), kind, order, len))
}

fn socket(key: SocketKey, level: Option<u32>) -> Option<Term> {
    let (kind, len) = match (key, level) {
        (SocketKey::Transparent | SocketKey::Wildcard, None) => (Type::Integer, 1),
        (SocketKey::Mark, None) => (Type::Mark, 4),
        // A control group's number stands for a path that only its machine knows.
        _ => return None,
    };
    Some(Term::named(format!("socket {}", key.word()?), kind, Order::Machine, len))
}

fn fib(result: FibResult, flags: FibFlags) -> Option<Term> {
    let mut words = Vec::new();
    for (flag, word) in [
        (FibFlags::SOURCE, "saddr"),
        (FibFlags::DESTINATION, "daddr"),
        (FibFlags::MARK, "mark"),
        (FibFlags::IIF, "iif"),
        (FibFlags::OIF, "oif"),
    ] {
        if flags.contains(flag) {
            words.push(word);
        }
    }
    let (kind, len) = match result {
        _ if flags.contains(FibFlags::PRESENT) => (Type::Presence, 1),
        FibResult::Oif => (Type::InterfaceNumber, 4),
        FibResult::OifName => (Type::InterfaceName, 16),
        FibResult::AddressType => (Type::Symbolic(symbols::ADDRESS_TYPE), 4),
        FibResult::Other(_) => return None,
    };
    Some(Term::named(format!("fib {} {}", words.join(" . "), result.word()?), kind, Order::Machine, len))
}

fn xfrm(key: XfrmKey, direction: u8, index: u32) -> Option<Term> {
    let direction = ["in", "out"].get(usize::from(direction))?;
    let index = if index == 0 { String::new() } else { format!(" spnum {index}") };
    let (kind, order, len) = match key {
        XfrmKey::Destination4 | XfrmKey::Source4 => (Type::Ipv4, Order::Network, 4),
        XfrmKey::Destination6 | XfrmKey::Source6 => (Type::Ipv6, Order::Network, 16),
        XfrmKey::RequestId => (Type::Integer, Order::Machine, 4),
        XfrmKey::Spi => (Type::Integer, Order::Network, 4),
        XfrmKey::Other(_) => return None,
    };
    Some(Term::named(format!("ipsec {direction}{index} {}", key.word()?), kind, order, len))
}

/// The words for something beyond the fixed headers, without its field.
pub(super) fn exthdr_words(kind: ExthdrKind, number: u8) -> Option<String> {
    let name = |table| super::types::symbol(table, u128::from(number));
    Some(match kind {
        ExthdrKind::Ipv6 => name(symbols::EXTENSION)?.to_owned(),
        ExthdrKind::TcpOption => match name(symbols::TCP_OPTION) {
            Some(name) => format!("tcp option {name}"),
            None => format!("tcp option {number}"),
        },
        ExthdrKind::Ipv4Option => format!("ip option {}", name(symbols::IP_OPTION)?),
        ExthdrKind::SctpChunk => format!("sctp chunk {}", name(symbols::SCTP_CHUNK)?),
        ExthdrKind::DccpOption => format!("dccp option {number}"),
        ExthdrKind::Other(_) => return None,
    })
}

fn exthdr(kind: ExthdrKind, number: u8, offset: u32, len: u32, present: bool) -> Option<Term> {
    (offset <= MOST_OFFSET && len <= MOST_LEN).then_some(())?;
    let words = exthdr_words(kind, number)?;
    let implies = match kind {
        ExthdrKind::Ipv6 | ExthdrKind::Ipv4Option => Some(Dependency::Network),
        _ => Some(Dependency::Transport),
    };
    let named = |text: String, kind, order, len| Term::Named { text, kind, order, len, implies };
    if present {
        let words = if kind == ExthdrKind::Ipv6 { format!("exthdr {words}") } else { words };
        return Some(named(words, Type::Presence, Order::Machine, 1));
    }
    if let Some((field, of)) = super::fields::option_field(kind.word()?, number, offset, len) {
        return Some(named(format!("{words} {field}"), of, Order::Network, len));
    }
    // Raw bytes of a TCP option can be written by offset and length in bits.
    (kind == ExthdrKind::TcpOption).then(|| {
        let text = format!("tcp option @{number},{},{}", offset * 8, len * 8);
        named(text, Type::Integer, Order::Network, len)
    })
}
