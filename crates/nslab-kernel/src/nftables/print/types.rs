//! What values are, and how nft writes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::symbols;
use crate::nftables::datatype;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Integer,
    /// Bytes without a meaning.
    Raw,
    Text,
    Ipv4,
    Ipv6,
    /// An address of the packet's own family, by its length.
    Address,
    Mac,
    Ethertype,
    ArpOperation,
    Protocol,
    Port,
    /// A number with names.
    Symbolic(&'static [(u64, &'static str)]),
    /// Bits with names.
    Bits(&'static [(u64, &'static str)]),
    /// A number that nft writes with eight hexadecimal digits.
    Mark,
    Realm,
    InterfaceNumber,
    InterfaceName,
    Milliseconds,
    Hour,
    Boolean,
    /// Whether there is something: `exists` or `missing`.
    Presence,
    ClassId,
}

/// The order of a number's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Network,
    Machine,
}

impl Type {
    /// The type of nft's number.
    pub(super) fn of_number(number: u32) -> Self {
        match number {
            datatype::NFPROTO => Self::Symbolic(symbols::NFPROTO),
            datatype::STRING => Self::Text,
            datatype::IPV4 => Self::Ipv4,
            datatype::IPV6 => Self::Ipv6,
            datatype::MAC => Self::Mac,
            datatype::ETHERTYPE => Self::Ethertype,
            11 => Self::ArpOperation,
            datatype::L4PROTO => Self::Protocol,
            datatype::PORT => Self::Port,
            datatype::ICMP_TYPE => Self::Symbolic(symbols::ICMP_TYPE),
            15 => Self::Bits(symbols::TCP_FLAGS),
            16 => Self::Symbolic(symbols::DCCP_TYPE),
            17 => Self::Symbolic(symbols::MH_TYPE),
            18 => Self::Milliseconds,
            datatype::MARK => Self::Mark,
            datatype::IFINDEX => Self::InterfaceNumber,
            21 => Self::Symbolic(symbols::HARDWARE),
            22 => Self::Realm,
            23 => Self::ClassId,
            datatype::CT_STATE => Self::Bits(symbols::CT_STATE),
            datatype::CT_DIRECTION => Self::Symbolic(symbols::CT_DIRECTION),
            datatype::CT_STATUS => Self::Bits(symbols::CT_STATUS),
            datatype::ICMPV6_TYPE => Self::Symbolic(symbols::ICMPV6_TYPE),
            31 => Self::Symbolic(symbols::PACKET_TYPE),
            32 => Self::Symbolic(symbols::ICMP_CODE),
            33 => Self::Symbolic(symbols::ICMPV6_CODE),
            34 => Self::Symbolic(symbols::ICMPX_CODE),
            36 => Self::Symbolic(symbols::DSCP),
            37 => Self::Symbolic(symbols::ECN),
            datatype::FIB_ADDRESS_TYPE => Self::Symbolic(symbols::ADDRESS_TYPE),
            39 => Self::Boolean,
            datatype::IFNAME => Self::InterfaceName,
            42 => Self::Symbolic(symbols::IGMP_TYPE),
            44 => Self::Hour,
            45 => Self::Symbolic(symbols::DAY),
            // Integers, users, groups, labels, device groups, and what is new.
            _ => Self::Integer,
        }
    }

    /// nft's word for a type's number, as in `type ipv4_addr`; none for numbers that have none.
    pub(super) fn word(number: u32) -> Option<&'static str> {
        symbols::DATATYPES.iter().find(|(other, _)| *other == u64::from(number)).map(|(_, word)| *word)
    }

    /// Bytes of a value of the type of nft's number, where they are always as many.
    pub(super) fn len_of_number(number: u32) -> Option<usize> {
        Some(match number {
            // Also TCP flags, DCCP and mobility types, directions, packet types, codes, DSCP, ECN, IGMP types, days.
            datatype::NFPROTO
            | datatype::L4PROTO
            | datatype::ICMP_TYPE
            | datatype::ICMPV6_TYPE
            | datatype::CT_DIRECTION
            | 15..=17
            | 31..=34
            | 36
            | 37
            | 39
            | 42
            | 45 => 1,
            // Also ARP operations and hardware types.
            datatype::ETHERTYPE | datatype::PORT | 11 | 21 => 2,
            // Also times, realms, classes, users, groups, groups of devices, hours.
            datatype::IPV4
            | datatype::MARK
            | datatype::IFINDEX
            | datatype::CT_STATE
            | datatype::CT_STATUS
            | datatype::FIB_ADDRESS_TYPE
            | 18
            | 22..=25
            | 35
            | 44 => 4,
            datatype::MAC => 6,
            43 | 46 => 8,
            datatype::IPV6 | datatype::IFNAME | 30 => 16,
            _ => return None,
        })
    }

    /// In which order the kernel has such a value where nothing else says it.
    pub(super) fn order(self) -> Order {
        match self {
            Self::Mark
            | Self::Realm
            | Self::ClassId
            | Self::InterfaceNumber
            | Self::Milliseconds
            | Self::Hour
            | Self::Boolean
            | Self::Presence => Order::Machine,
            Self::Bits(table) if table != symbols::TCP_FLAGS => Order::Machine,
            Self::Symbolic(table) if table == symbols::ADDRESS_TYPE || table == symbols::HARDWARE => {
                Order::Machine
            }
            _ => Order::Network,
        }
    }

    /// Whether nft writes ranges of it as prefixes where they are such.
    pub(super) const fn has_prefixes(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6 | Self::Address)
    }
}

/// A number of at most 16 bytes.
pub(super) fn number(bytes: &[u8], order: Order) -> Option<u128> {
    if bytes.len() > 16 {
        return None;
    }
    let fold = |number: u128, byte: &u8| (number << 8) | u128::from(*byte);
    let machine_is_little = cfg!(target_endian = "little");
    Some(match order {
        Order::Machine if machine_is_little => bytes.iter().rev().fold(0, fold),
        _ => bytes.iter().fold(0, fold),
    })
}

/// The number in these bytes shifted to the right, in network order; none if that would lose bits.
pub(super) fn shifted(bytes: &[u8], order: Order, shift: u32) -> Option<Vec<u8>> {
    let number = number(bytes, order)?;
    let kept = number.checked_shr(shift)?;
    (kept << shift == number).then(|| kept.to_be_bytes()[16 - bytes.len()..].to_vec())
}

/// A text in nft's quotes; none for what it cannot write so.
pub(super) fn quoted(text: &str) -> Option<String> {
    let fine = !text.contains(['"', '\n', '\\']) && !text.chars().any(char::is_control);
    fine.then(|| format!("\"{text}\""))
}

/// A value as nft writes it; none if it cannot be written.
pub(super) fn value(kind: Type, order: Order, bytes: &[u8]) -> Option<String> {
    let text = || {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let rest = bytes[end..].iter().all(|&byte| byte == 0);
        std::str::from_utf8(&bytes[..end]).ok().filter(|_| rest)
    };
    let known = match (kind, bytes.len()) {
        (Type::Ipv4 | Type::Address, 4) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        (Type::Ipv6 | Type::Address, 16) => Some(ipv6(<[u8; 16]>::try_from(bytes).ok()?)),
        (Type::Mac, 6) => {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(bytes.join(":"))
        }
        (Type::Text, _) => return quoted(text()?),
        (Type::InterfaceName, _) => {
            let name = text()?;
            // A name that is not padded to its whole length stands for all that start so.
            let star = if bytes.len() < 16 && !bytes.contains(&0) { "*" } else { "" };
            let name = if star.is_empty() && name.ends_with('*') {
                format!("{}\\*", name.strip_suffix('*').unwrap_or(name))
            } else {
                format!("{name}{star}")
            };
            return (!name.contains(['"', '\n'])).then(|| format!("\"{name}\""));
        }
        _ => None,
    };
    if known.is_some() {
        return known;
    }
    let number = number(bytes, order)?;
    Some(match kind {
        Type::Ethertype => {
            symbol(symbols::ETHERTYPE, number).map_or_else(|| format!("0x{number:04x}"), str::to_owned)
        }
        Type::ArpOperation => {
            symbol(symbols::ARP_OPERATION, number).map_or_else(|| number.to_string(), str::to_owned)
        }
        Type::Protocol => symbol(symbols::PROTOCOL, number).map_or_else(|| number.to_string(), str::to_owned),
        Type::Symbolic(table) if table == symbols::DAY => quoted(symbol(table, number)?)?,
        Type::Symbolic(table) => symbol(table, number).map_or_else(|| number.to_string(), str::to_owned),
        Type::Bits(table) if table == symbols::CT_EVENTS => bits(table, number, ","),
        Type::Bits(table) => bits(table, number, " | "),
        Type::Mark => format!("0x{number:08x}"),
        Type::Raw => format!("0x{number:x}"),
        Type::ClassId => format!("{:x}:{:x}", number >> 16, number & 0xffff),
        Type::Milliseconds => duration(u64::try_from(number).ok()?),
        Type::Hour => format!("\"{}\"", clock(number)),
        Type::Presence => (if number == 0 { "missing" } else { "exists" }).to_owned(),
        _ => number.to_string(),
    })
}

/// An IPv6 address as nft writes it: with IPv4 at its end only where it stands for such an address.
fn ipv6(bytes: [u8; 16]) -> String {
    Ipv6Addr::from(bytes).to_string()
}

/// The time of the day, in UTC, as nft writes it.
fn clock(seconds: u128) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { format!("{hours:02}:{minutes:02}") } else { format!("{hours:02}:{minutes:02}:{rest:02}") }
}

pub(super) fn symbol(table: &'static [(u64, &'static str)], number: u128) -> Option<&'static str> {
    table.iter().find(|(other, _)| u128::from(*other) == number).map(|(_, word)| *word)
}

/// Bits by their names, the nameless ones as a number.
pub(super) fn bits(table: &'static [(u64, &'static str)], mut number: u128, between: &str) -> String {
    let mut words = Vec::new();
    for (bit, word) in table {
        let bit = u128::from(*bit);
        if bit != 0 && number & bit == bit {
            words.push((*word).to_owned());
            number &= !bit;
        }
    }
    if number != 0 || words.is_empty() {
        words.push(format!("0x{number:x}"));
    }
    words.join(between)
}

/// A number of bytes as nft writes it.
pub(super) fn byte_words(bytes: u64) -> String {
    match bytes {
        0 => "0 bytes".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} mbytes", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} kbytes", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

/// A time as nft writes it: `1d2h3m4s5ms`.
pub(super) fn duration(milliseconds: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = milliseconds;
    let mut text = String::new();
    for (unit, length) in units {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
