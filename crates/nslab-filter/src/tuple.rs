//! What a filter says of addresses, protocols and ports, for who cannot look at all that it does.

use std::net::IpAddr;

use crate::names::Transport;
use crate::parse::keyword::Protocol;
use crate::syntax::{Carrier, Direction, Expr, Number, Prefix, Primitive, Version};

/// A filter that is as many tuples or more is looked at no closer: it is anything.
const MOST: usize = 64;

/// Packets of IP with these ends; what is not given may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tuple {
    /// Of IPv6, or of IPv4.
    pub ipv6: Option<bool>,
    /// The protocol of IP.
    pub protocol: Option<u8>,
    /// The source: an address, and of how many bits it is.
    pub source: Option<(IpAddr, u8)>,
    /// The destination, likewise.
    pub destination: Option<(IpAddr, u8)>,
    /// The source's port, of whatever protocol that has ports: from the first to the last.
    pub source_port: Option<(u16, u16)>,
    /// The destination's port, likewise.
    pub destination_port: Option<(u16, u16)>,
}

impl Tuple {
    /// Whether it is every packet.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    fn of(ipv6: Option<bool>, protocol: Option<u8>) -> Self {
        Self { ipv6, protocol, ..Self::default() }
    }

    /// Packets that are of both; none if there cannot be such.
    fn and(self, other: Self) -> Option<Self> {
        self.with(other).ok()
    }

    fn with(self, other: Self) -> Result<Self, Contradiction> {
        Ok(Self {
            ipv6: same(self.ipv6, other.ipv6)?,
            protocol: same(self.protocol, other.protocol)?,
            source: narrower(self.source, other.source)?,
            destination: narrower(self.destination, other.destination)?,
            source_port: common(self.source_port, other.source_port)?,
            destination_port: common(self.destination_port, other.destination_port)?,
        })
    }
}

/// Tuples such that each packet of IP that an expression takes is of one of them at least. None if no packet of IP is.
pub(crate) fn tuples(expr: &Expr) -> Vec<Tuple> {
    // What stands behind these is about what is inside.
    if moves(expr) { vec![Tuple::default()] } else { of(expr) }
}

fn moves(expr: &Expr) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(moves),
        Expr::Not(inner) => moves(inner),
        Expr::Is(primitive, _) => matches!(
            primitive,
            Primitive::Mpls(_) | Primitive::PppoeSession(_) | Primitive::Geneve(_) | Primitive::Vxlan(_)
        ),
    }
}

fn of(expr: &Expr) -> Vec<Tuple> {
    match expr {
        Expr::All(parts) => parts.iter().fold(vec![Tuple::default()], |all, part| {
            let other = of(part);
            let both = all.iter().flat_map(|one| other.iter().filter_map(|two| one.and(*two)));
            let both = unique(both.collect());
            // Without this part it is more, which is allowed.
            if both.len() < MOST { both } else { all }
        }),
        Expr::Any(parts) => {
            let all = unique(parts.iter().flat_map(of).collect());
            if all.len() < MOST && !all.iter().any(Tuple::is_any) { all } else { vec![Tuple::default()] }
        }
        // What is not excluded for sure may be anything.
        Expr::Not(_) => vec![Tuple::default()],
        Expr::Is(primitive, _) => primitive_tuples(primitive),
    }
}

fn unique(mut all: Vec<Tuple>) -> Vec<Tuple> {
    let mut known = std::collections::HashSet::new();
    all.retain(|tuple| known.insert(*tuple));
    all
}

fn primitive_tuples(primitive: &Primitive) -> Vec<Tuple> {
    let any = || vec![Tuple::default()];
    match primitive {
        Primitive::Protocol(protocol) => of_protocol(*protocol).into_iter().collect(),
        Primitive::Address { carrier: Some(Carrier::Arp | Carrier::Rarp), .. } => Vec::new(),
        Primitive::Address { direction, prefixes, .. } => prefixes
            .iter()
            .flat_map(|prefix| {
                let (address, length) = prefix.as_pair();
                let ends = Tuple::of(Some(address.is_ipv6()), None);
                let from = Tuple { source: Some((address, length)), ..ends };
                let to = Tuple { destination: Some((address, length)), ..ends };
                directed(*direction, from, to)
            })
            .collect(),
        Primitive::Port { transport, direction, first, last } => {
            let ports = Some((*first.min(last), *first.max(last)));
            let carried = Tuple::of(None, transport.map(Transport::number));
            let from = Tuple { source_port: ports, ..carried };
            let to = Tuple { destination_port: ports, ..carried };
            directed(*direction, from, to)
        }
        Primitive::EtherType(0x0800) | Primitive::IpBroadcast => vec![Tuple::of(Some(false), None)],
        Primitive::EtherType(0x86dd) => vec![Tuple::of(Some(true), None)],
        Primitive::IpProtocol { version, number } => {
            vec![Tuple::of(version.map(|version| version == Version::V6), Some(*number))]
        }
        Primitive::IpMulticast => {
            let groups = Some((IpAddr::from([224, 0, 0, 0]), 4));
            vec![Tuple { destination: groups, ..Tuple::of(Some(false), None) }]
        }
        Primitive::Ip6Multicast => {
            let groups = Some((IpAddr::from([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8));
            vec![Tuple { destination: groups, ..Tuple::of(Some(true), None) }]
        }
        Primitive::Compare(left, _, right) => {
            // Whichever way it comes out, the packet has the headers that are looked at.
            let mut protocols = Vec::new();
            fields(left, &mut protocols);
            fields(right, &mut protocols);
            let all = protocols.into_iter().try_fold(Tuple::default(), |all, one| all.and(of_protocol(one)?));
            all.into_iter().collect()
        }
        _ => any(),
    }
}

fn directed(direction: Direction, from: Tuple, to: Tuple) -> Vec<Tuple> {
    match direction {
        Direction::Source => vec![from],
        Direction::Destination => vec![to],
        Direction::Either => vec![from, to],
        Direction::Both => from.and(to).into_iter().collect(),
    }
}

/// None if none of it is IP.
fn of_protocol(protocol: Protocol) -> Option<Tuple> {
    let (ipv6, number) = match protocol {
        Protocol::Link => (None, None),
        Protocol::Ip => (Some(false), None),
        Protocol::Ip6 => (Some(true), None),
        Protocol::Icmp => (Some(false), Some(1)),
        Protocol::Igmp => (Some(false), Some(2)),
        Protocol::Tcp => (None, Some(6)),
        Protocol::Igrp => (Some(false), Some(9)),
        Protocol::Udp => (None, Some(17)),
        Protocol::Esp => (None, Some(50)),
        Protocol::Ah => (None, Some(51)),
        Protocol::Icmp6 => (Some(true), Some(58)),
        Protocol::Pim => (None, Some(103)),
        Protocol::Vrrp | Protocol::Carp => (Some(false), Some(112)),
        Protocol::Sctp => (None, Some(132)),
        _ => return None,
    };
    Some(Tuple::of(ipv6, number))
}

fn fields(number: &Number, all: &mut Vec<Protocol>) {
    match number {
        Number::Constant(_) | Number::Length => {}
        Number::Field { protocol, offset, .. } => {
            all.push(*protocol);
            fields(offset, all);
        }
        Number::Binary(_, left, right, _) => {
            fields(left, all);
            fields(right, all);
        }
        Number::Negate(inner) => fields(inner, all),
    }
}

impl Prefix {
    /// The address and how many of its first bits are looked at without a gap.
    fn as_pair(&self) -> (IpAddr, u8) {
        let bits = |count: u32| u8::try_from(count).unwrap_or(0);
        match self {
            Self::V4 { address, mask } => (IpAddr::V4(*address), bits(u32::from(*mask).leading_ones())),
            Self::V6 { address, mask } => (IpAddr::V6(*address), bits(mask.leading_ones())),
        }
    }
}

/// There are no such packets.
struct Contradiction;

/// What is of both, if they do not contradict each other.
type Both<T> = Result<Option<T>, Contradiction>;

fn same<T: PartialEq>(one: Option<T>, two: Option<T>) -> Both<T> {
    match (one, two) {
        (Some(one), Some(two)) if one != two => Err(Contradiction),
        (one, two) => Ok(one.or(two)),
    }
}

type Net = (IpAddr, u8);

/// Addresses that are in both.
fn narrower(one: Option<Net>, two: Option<Net>) -> Both<Net> {
    let (Some(one), Some(two)) = (one, two) else { return Ok(one.or(two)) };
    let (wide, narrow) = if one.1 <= two.1 { (one, two) } else { (two, one) };
    let beginning = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            (false, u128::from(u32::from(address)).checked_shr(32_u32.saturating_sub(wide.1.into())))
        }
        IpAddr::V6(address) => (true, u128::from(address).checked_shr(128_u32.saturating_sub(wide.1.into()))),
    };
    if beginning(wide.0) == beginning(narrow.0) { Ok(Some(narrow)) } else { Err(Contradiction) }
}

/// Ports that are in both.
fn common(one: Option<(u16, u16)>, two: Option<(u16, u16)>) -> Both<(u16, u16)> {
    let (Some(one), Some(two)) = (one, two) else { return Ok(one.or(two)) };
    let both = (one.0.max(two.0), one.1.min(two.1));
    if both.0 <= both.1 { Ok(Some(both)) } else { Err(Contradiction) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, NameTable};

    fn tuples(text: &str) -> Vec<Tuple> {
        Filter::parse(text, &NameTable::builtin()).unwrap().tuples().to_vec()
    }

    fn words(text: &str) -> Vec<String> {
        let end = |net: Option<Net>, ports: Option<(u16, u16)>| {
            let net = net.map_or_else(|| "*".to_owned(), |(address, bits)| format!("{address}/{bits}"));
            let port = ports.map_or_else(String::new, |(first, last)| format!(":{first}-{last}"));
            net + &port
        };
        let word = |tuple: &Tuple| {
            let version = tuple.ipv6.map_or("", |ipv6| if ipv6 { "6 " } else { "4 " });
            let protocol = tuple.protocol.map_or_else(String::new, |number| format!("p{number} "));
            let from = end(tuple.source, tuple.source_port);
            format!("{version}{protocol}{from} > {}", end(tuple.destination, tuple.destination_port))
        };
        tuples(text).iter().map(word).collect()
    }

    #[test]
    fn hosts_ports_and_protocols_are_said() {
        assert_eq!(
            words("tcp dst port 80 and host 10.0.0.2"),
            ["4 p6 10.0.0.2/32 > *:80-80", "4 p6 * > 10.0.0.2/32:80-80"]
        );
        assert_eq!(words("icmp or icmp6"), ["4 p1 * > *", "6 p58 * > *"]);
        assert_eq!(words("src net 10.1.0.0/16 and src host 10.1.2.3"), ["4 10.1.2.3/32 > *"]);
        assert_eq!(words("udp portrange 20-10"), ["p17 *:10-20 > *", "p17 * > *:10-20"]);
        assert_eq!(words("host 10.0.0.1 and host 10.0.0.2").len(), 2);
        assert_eq!(words("dst net fd00::/8"), ["6 * > fd00::/8"]);
        assert_eq!(words("tcp[tcpflags] & tcp-syn != 0 and not port 22"), ["p6 * > *"]);
        assert_eq!(words("ip multicast"), ["4 * > 224.0.0.0/4"]);
    }

    #[test]
    fn what_cannot_be_said_is_anything() {
        for text in [
            "",
            "greater 100",
            "not tcp",
            "not (not (udp port 7))",
            "tcp or ether host 02:00:00:00:00:01",
            "vxlan and host 10.0.0.1",
        ] {
            assert!(tuples(text).iter().all(Tuple::is_any) && tuples(text).len() == 1, "{text}");
        }
        let many = (0..80).map(|port| format!("port {port}")).collect::<Vec<_>>().join(" or ");
        assert!(tuples(&many)[0].is_any());
    }

    #[test]
    fn what_is_no_ip_is_nothing() {
        assert_eq!(tuples("arp"), []);
        assert_eq!(words("arp or tcp"), ["p6 * > *"]);
    }
}
