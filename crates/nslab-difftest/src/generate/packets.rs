//! Packets to send.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use super::draft::Draft;
use crate::chance::Chance;
use crate::network::Service;
use crate::probe::{Kind, Probe};

/// Packets of all kinds, between namespaces that have addresses. None has to do with what the kernel keeps of another.
/// Where they may be `wide`, some are for all, for groups or for one link.
pub(crate) fn draw(chance: &mut Chance, draft: &Draft, count: usize, wide: bool) -> Vec<Probe> {
    let hosts = draft.hosts();
    let families = draft.families();
    let mut probes = Vec::with_capacity(count);
    let mut taken = BTreeSet::new();
    for _ in 0..count * 2 {
        if probes.len() == count {
            break;
        }
        let from = *chance.pick(&hosts);
        let ipv6 = *chance.pick(&families);
        let mut probe = one(chance, draft, from, ipv6);
        if wide && chance.percent(15) {
            aim_wide(chance, draft, &mut probe);
        }
        // Connections of protocols without ports are told apart by their addresses alone, and what is known of the MTU of
        // a way is by address as well.
        let whose = owner(draft, probe.destination);
        let pair = (from.min(whose), from.max(whose), probe.destination.is_ipv6());
        let is_alone = match probe.what {
            Kind::Other(number) => taken.insert((pair, u32::from(number))),
            _ if probe.size > SMALL => taken.insert((pair, 1000)),
            _ => true,
        };
        if is_alone {
            probes.push(probe);
        }
    }
    probes
}

/// Packets of this size pass everywhere.
const SMALL: u32 = 1200;

fn owner(draft: &Draft, address: IpAddr) -> usize {
    let owns =
        |node: &super::draft::Node| node.ends.iter().any(|end| end.address(address.is_ipv6()) == address);
    draft.nodes.iter().position(owns).unwrap_or(usize::MAX)
}

fn one(chance: &mut Chance, draft: &Draft, from: usize, ipv6: bool) -> Probe {
    let ends = draft.ends();
    let others: Vec<_> = ends.iter().filter(|(node, _)| *node != from).collect();
    let somebody = if others.is_empty() { &ends[0].1 } else { &chance.pick(&others).1 };
    let segment = chance.below(draft.segments.len());
    let parse = |text: String| text.parse().unwrap_or(somebody.address(ipv6));
    let destination = match chance.below(100) {
        0..82 => somebody.address(ipv6),
        82..88 if ipv6 => parse(format!("fd00:{segment}::77")),
        82..88 => parse(format!("10.0.{segment}.77")),
        88..94 if ipv6 => parse("fd09::9".into()),
        88..94 => parse("10.9.9.9".into()),
        94..98 => chance.pick(&draft.nodes[from].ends).address(ipv6),
        _ if ipv6 => parse("::1".into()),
        _ => parse("127.0.0.1".into()),
    };
    let is_own = draft.nodes[from].ends.iter().any(|end| end.address(ipv6) == destination);
    let what = match chance.below(20) {
        0..8 => Kind::Echo,
        8..13 => Kind::Udp(if chance.percent(75) { 53 } else { *chance.pick(&[54, 80, 5353]) }),
        13..18 => Kind::Tcp(if chance.percent(75) { 80 } else { *chance.pick(&[81, 53, 443]) }),
        // What it is sent by would take it, too.
        _ if is_own || destination.is_loopback() => Kind::Echo,
        _ => Kind::Other(if chance.percent(80) { 253 } else { 254 }),
    };
    let least = Probe::least(ipv6, what);
    let size = match chance.below(20) {
        0..12 => 84,
        12..15 => chance.between(1250, 1500),
        15 => 1500,
        16 => chance.between(1501, 3200),
        _ => chance.between(64, 1000),
    };
    let is_tcp = matches!(what, Kind::Tcp(_));
    let size = if is_tcp { least } else { u32::try_from(size).unwrap_or(84).max(least) };
    let source = chance.percent(10).then(|| chance.pick(&draft.nodes[from].ends).address(ipv6));
    Probe {
        from,
        link: None,
        source,
        destination,
        what,
        size,
        dont_fragment: is_tcp || chance.percent(40),
        ttl: if chance.percent(88) { 64 } else { u8::try_from(chance.between(1, 6)).unwrap_or(1) },
        tos: if chance.percent(92) { 0 } else { *chance.pick(&[0x10, 0x20, 0xb8]) },
        mark: if chance.percent(90) { 0 } else { u32::try_from(chance.between(1, 3)).unwrap_or(1) },
    }
}

/// The packet is for all, for a group, or for one link.
fn aim_wide(chance: &mut Chance, draft: &Draft, probe: &mut Probe) {
    let ipv6 = probe.destination.is_ipv6();
    let end = chance.pick(&draft.nodes[probe.from].ends).clone();
    let segment = chance.below(draft.segments.len());
    probe.source = None;
    if matches!(probe.what, Kind::Other(_)) {
        probe.what = Kind::Echo;
    }
    let least = Probe::least(ipv6, probe.what);
    probe.size = if matches!(probe.what, Kind::Tcp(_)) { least } else { probe.size.max(least) };
    if !ipv6 {
        let all = [format!("10.0.{segment}.255"), format!("10.0.{segment}.0")];
        let others = ["255.255.255.255", "224.0.0.1", "239.1.2.3"].map(str::to_owned);
        let text = chance.pick(&[&all[..], &others[..]].concat()).clone();
        probe.destination = text.parse().unwrap_or(probe.destination);
        return;
    }
    if chance.percent(70) {
        let members = &draft.segments[end.segment].members;
        let &(node, its) = chance.pick(members);
        let low = u16::from(draft.nodes[node].ends[its].ipv4.octets()[3]);
        probe.destination = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, low).into();
        probe.link = chance.percent(85).then_some(end.name);
        return;
    }
    let group = *chance.pick(&["ff02::1", "ff02::2", "ff05::7"]);
    probe.destination = group.parse().unwrap_or(probe.destination);
    probe.link = Some(end.name);
}

/// A packet that arrives, and whose answer comes back, if there is a program for it.
pub(crate) fn healthy(chance: &mut Chance, draft: &mut Draft) -> Probe {
    let ipv6 = *chance.pick(&draft.families());
    let ends = draft.ends();
    let from = *chance.pick(&draft.hosts());
    let others: Vec<_> = ends.iter().filter(|(node, _)| *node != from).collect();
    let (node, to) = if others.is_empty() { &ends[0] } else { *chance.pick(&others) };
    let what = *chance.pick(&[Kind::Echo, Kind::Echo, Kind::Udp(53), Kind::Tcp(80)]);
    let least = Probe::least(ipv6, what);
    let is_tcp = matches!(what, Kind::Tcp(_));
    let service = match what {
        Kind::Udp(port) => Some(Service::Udp(port)),
        Kind::Tcp(port) => Some(Service::Tcp(port)),
        Kind::Echo | Kind::Other(_) => None,
    };
    if let Some(service) = service {
        // Where there is one at any address already, it is that one.
        draft.listen(*node, service, to.address(ipv6), false);
    }
    Probe {
        from,
        link: None,
        source: None,
        destination: to.address(ipv6),
        what,
        size: if is_tcp { least } else { least.max(84) },
        dont_fragment: true,
        ttl: 64,
        tos: 0,
        mark: 0,
    }
}
