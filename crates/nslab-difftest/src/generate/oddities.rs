//! What makes a network odd: some of it is a fault, some is only unusual.

use super::draft::Draft;
use super::{policy, rules};
use crate::chance::Chance;
use crate::network::What;

/// Adds some.
pub(crate) fn add(chance: &mut Chance, draft: &mut Draft) {
    let count = *chance.pick(&[0, 1, 1, 2, 2, 3, 4]);
    for _ in 0..count {
        one(chance, draft);
    }
}

fn one(chance: &mut Chance, draft: &mut Draft) {
    let node = *chance.pick(&draft.hosts());
    let ipv6 = *chance.pick(&draft.families());
    match chance.below(100) {
        0..6 => forget(chance, draft, &["route add"]),
        6..15 => policy::route(chance, draft, node, ipv6, None),
        15..24 => policy::rule(chance, draft, node, ipv6),
        24..27 => down(chance, draft),
        27..29 => draft.lines.retain(|line| {
            line.space != node || !matches!(&line.what, What::Ip(text) if text == "link set lo up")
        }),
        29 => forget(chance, draft, &["addr add fe80"]),
        30..32 => forget(chance, draft, &["addr add"]),
        32..34 => same_address(chance, draft),
        34..36 => same_mac(chance, draft),
        36..42 => mtu(chance, draft),
        42..56 => sysctl(chance, draft, node),
        56..64 => port(chance, draft),
        64..69 => addresses(chance, draft, node),
        69..71 => neighbour(chance, draft, node, ipv6),
        71..74 => vxlan(chance, draft),
        74..77 => rules::bridge(chance, draft),
        77..86 => rules::nat(chance, draft),
        _ => rules::filter(chance, draft),
    }
}

/// Leaves a line out.
fn forget(chance: &mut Chance, draft: &mut Draft, what: &[&str]) {
    let is_such = |text: &str| what.iter().any(|what| text.starts_with(what));
    let such: Vec<usize> = (0..draft.lines.len())
        .filter(|&place| matches!(&draft.lines[place].what, What::Ip(text) if is_such(text)))
        .collect();
    if let Some(place) = chance.any(&such) {
        draft.lines.remove(place);
    }
}

fn down(chance: &mut Chance, draft: &mut Draft) {
    let ports: Vec<(usize, String)> = draft
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(node, own)| own.ports.iter().map(move |(name, ..)| (node, name.clone())))
        .chain(draft.ends().into_iter().map(|(node, end)| (node, end.name)))
        .collect();
    if let Some((node, name)) = chance.any(&ports) {
        draft.ip(node, format!("link set {name} down"));
    }
}

/// Two who are on one segment.
fn two(chance: &mut Chance, draft: &Draft) -> Option<((usize, usize), (usize, usize))> {
    let segment = chance.below(draft.segments.len());
    let members = &draft.segments[segment].members;
    let one = chance.any(members)?;
    let others: Vec<_> = members.iter().filter(|other| other.0 != one.0).copied().collect();
    Some((one, chance.any(&others)?))
}

fn same_address(chance: &mut Chance, draft: &mut Draft) {
    let Some(((one, its), (other, end))) = two(chance, draft) else { return };
    let name = draft.nodes[other].ends[end].name.clone();
    let address = draft.nodes[one].ends[its].clone();
    if draft.ipv4 {
        draft.ip(other, format!("addr add {}/24 dev {name}", address.ipv4));
    }
    if draft.ipv6 {
        draft.ip(other, format!("addr add {}/64 dev {name} nodad", address.ipv6));
    }
}

fn same_mac(chance: &mut Chance, draft: &mut Draft) {
    let Some((one, other)) = two(chance, draft) else { return };
    for (node, end) in [one, other] {
        let name = draft.nodes[node].ends[end].name.clone();
        draft.ip(node, format!("link set {name} address 02:00:00:00:00:07"));
    }
}

fn mtu(chance: &mut Chance, draft: &mut Draft) {
    let mtu = *chance.pick(&[1280, 1300, 1400, 1450, 9000]);
    let segment = chance.below(draft.segments.len());
    // One of them, or all.
    let members = draft.segments[segment].members.clone();
    let all = chance.percent(50);
    let chosen = if all { members } else { chance.any(&members).into_iter().collect() };
    for (node, end) in chosen {
        let name = draft.nodes[node].ends[end].name.clone();
        draft.ip(node, format!("link set {name} mtu {mtu}"));
    }
    if all {
        // The other ends of their cables.
        let ports: Vec<(usize, String)> = draft
            .nodes
            .iter()
            .enumerate()
            .flat_map(|(space, node)| {
                let of_it = |far: &Option<(usize, usize)>| {
                    far.is_some_and(|(node, end)| draft.nodes[node].ends[end].segment == segment)
                };
                let ports = node.ports.iter().filter(move |(_, _, far)| of_it(far));
                ports.map(move |(name, ..)| (space, name.clone())).collect::<Vec<_>>()
            })
            .collect();
        for (space, name) in ports {
            draft.ip(space, format!("link set {name} mtu {mtu}"));
        }
    }
}

fn sysctl(chance: &mut Chance, draft: &mut Draft, node: usize) {
    let end = chance.pick(&draft.nodes[node].ends).name.clone();
    let at = if chance.percent(50) { "all".to_owned() } else { end.clone() };
    let routers = draft.routers();
    let router = chance.any(&routers).unwrap_or(node);
    match chance.below(20) {
        0 => draft.sysctl(router, "net.ipv4.conf.all.forwarding", 0),
        1 => draft.sysctl(router, "net.ipv6.conf.all.forwarding", 0),
        2 => {
            let end = chance.pick(&draft.nodes[router].ends).name.clone();
            draft.sysctl(router, format!("net.ipv4.conf.{end}.forwarding"), 0);
        }
        3..7 => {
            let at = if node == router || chance.percent(60) { router } else { node };
            let value = chance.between(1, 2);
            draft.sysctl(at, "net.ipv4.conf.all.rp_filter", value);
        }
        7 => draft.sysctl(node, format!("net.ipv4.conf.{end}.rp_filter"), chance.between(0, 2)),
        8 => draft.sysctl(node, format!("net.ipv4.conf.{at}.arp_ignore"), *chance.pick(&[1, 2, 3, 8])),
        9 => draft.sysctl(node, format!("net.ipv4.conf.{at}.accept_local"), 1),
        10 => draft.sysctl(node, "net.ipv4.icmp_echo_ignore_all", 1),
        11 => draft.sysctl(node, "net.ipv6.icmp.echo_ignore_all", 1),
        12 => draft.sysctl(node, format!("net.ipv4.conf.{at}.route_localnet"), 1),
        13 => draft.sysctl(node, format!("net.ipv4.conf.{at}.arp_filter"), 1),
        14 => draft.sysctl(node, format!("net.ipv4.conf.{at}.arp_announce"), chance.between(1, 2)),
        15 => draft.sysctl(node, format!("net.ipv6.conf.{end}.disable_ipv6"), 1),
        16 => draft.sysctl(node, "net.ipv4.ip_default_ttl", chance.between(1, 5)),
        17 => draft.sysctl(node, format!("net.ipv4.conf.{at}.proxy_arp"), 1),
        18 => draft.sysctl(node, "net.ipv4.fwmark_reflect", 1),
        _ => draft.sysctl(node, format!("net.ipv4.conf.{at}.src_valid_mark"), 1),
    }
}

/// A port of a bridge that is set otherwise.
fn port(chance: &mut Chance, draft: &mut Draft) {
    let ports: Vec<(usize, String)> = draft
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(node, own)| own.ports.iter().map(move |(name, ..)| (node, name.clone())))
        .collect();
    let Some((space, name)) = chance.any(&ports) else { return };
    match chance.below(9) {
        0 | 1 => {
            for _ in 0..2 {
                let (space, name) = chance.pick(&ports).clone();
                draft.ip(space, format!("link set {name} type bridge_slave isolated on"));
            }
        }
        2 => draft.ip(space, format!("link set {name} type bridge_slave hairpin on")),
        3 => draft.ip(space, format!("link set {name} type bridge_slave learning off")),
        4 => draft.ip(space, format!("link set {name} type bridge_slave flood off")),
        5 => draft.ip(space, format!("link set {name} type bridge_slave mcast_flood off")),
        6 => draft.ip(space, format!("link set {name} type bridge_slave bcast_flood off")),
        7 => draft.bridge(space, format!("link set dev {name} state {}", chance.between(0, 4))),
        _ => {
            // Somebody's MAC, at a port that may be the wrong one.
            if let Some((node, end)) =
                chance.any(&draft.ends().into_iter().map(|(node, end)| (node, end.name)).collect::<Vec<_>>())
            {
                draft.ip(node, format!("link set {end} address 02:00:00:00:01:{:02x}", node + 1));
                draft.bridge(
                    space,
                    format!("fdb add 02:00:00:00:01:{:02x} dev {name} master static", node + 1),
                );
            }
        }
    }
}

/// More addresses.
fn addresses(chance: &mut Chance, draft: &mut Draft, node: usize) {
    let end = chance.pick(&draft.nodes[node].ends).clone();
    let low = chance.between(100, 110);
    match chance.below(6) {
        0 => draft.ip(node, format!("addr add 10.0.{}.{low}/24 dev {}", end.segment, end.name)),
        1 => draft.ip(node, format!("addr add 192.0.2.{low}/32 dev lo")),
        2 => draft.ip(node, format!("addr add 10.0.{}.{low}/16 dev {}", end.segment, end.name)),
        3 => draft.ip(node, format!("addr add fd00:{}::{low}/64 dev {} nodad", end.segment, end.name)),
        4 => draft.ip(node, format!("addr add 172.16.0.{low}/24 dev {} scope link", end.name)),
        _ => {
            // Its own one is there twice, with another length.
            draft.ip(node, format!("addr add {}/32 dev {}", end.ipv4, end.name));
        }
    }
}

/// A neighbour that was written down by hand, perhaps wrongly.
fn neighbour(chance: &mut Chance, draft: &mut Draft, node: usize, ipv6: bool) {
    let end = chance.pick(&draft.nodes[node].ends).clone();
    let others: Vec<_> =
        draft.segments[end.segment].members.iter().filter(|(other, _)| *other != node).copied().collect();
    let Some((other, its)) = chance.any(&others) else { return };
    let address = draft.nodes[other].ends[its].address(ipv6);
    if chance.percent(50) {
        let name = draft.nodes[other].ends[its].name.clone();
        draft.ip(other, format!("link set {name} address 02:00:00:00:02:{:02x}", other + 1));
    }
    draft.ip(
        node,
        format!(
            "neigh replace {address} lladdr 02:00:00:00:02:{:02x} dev {} nud permanent",
            other + 1,
            end.name
        ),
    );
}

/// A tunnel between two, who reach each other, with addresses of its own.
fn vxlan(chance: &mut Chance, draft: &mut Draft) {
    let ends = draft.ends();
    let (Some((one, near)), Some((other, far))) = (chance.any(&ends), chance.any(&ends)) else { return };
    if one == other {
        return;
    }
    let ipv6 = *chance.pick(&draft.families());
    let number = draft.segments.len();
    for (node, own, remote, low) in [(one, &near, &far, 1), (other, &far, &near, 2)] {
        let (local, remote) = (own.address(ipv6), remote.address(ipv6));
        let learning = if chance.percent(20) { " nolearning" } else { "" };
        draft.ip(
            node,
            format!("link add vx{number} type vxlan id {number} local {local} remote {remote} dstport 4789{learning}"),
        );
        if chance.percent(70) {
            draft.ip(node, format!("link set vx{number} mtu 1430"));
        }
        draft.ip(node, format!("link set vx{number} up"));
        draft.ip(node, format!("addr add 10.1.{number}.{low}/24 dev vx{number}"));
        draft.ip(node, format!("addr add fd01:{number}::{low}/64 dev vx{number} nodad"));
    }
    // Some of what the one has behind it goes through it.
    for family in draft.families() {
        if chance.percent(60) {
            let via = if family { format!("fd01:{number}::2") } else { format!("10.1.{number}.2") };
            let to = far.address(family);
            let length = if family { 128 } else { 32 };
            if family != ipv6 {
                draft.ip(one, format!("route add {to}/{length} via {via} dev vx{number}"));
            }
        }
    }
}
