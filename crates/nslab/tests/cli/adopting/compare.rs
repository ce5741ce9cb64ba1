//! Whether two namespaces are the same network.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nslab_kernel::link::{BridgePort, Link, LinkKind};
use nslab_kernel::nftables::print::Names;
use nslab_kernel::route::{NextHop, RouteAction};
use nslab_snapshot::{Name, Namespace, Snapshot, State, Where};

use super::world::COPY;

pub(super) fn netns(space: &Namespace) -> Option<String> {
    space.names.iter().find_map(|name| match name {
        Name::Netns(name) => Some(name.clone()),
        _ => None,
    })
}

pub(super) fn is_node(name: &Name, wanted: &str) -> bool {
    matches!(name, Name::Node { lab, node } if lab == COPY && node == wanted)
}

/// What people call a namespace, for both networks alike.
pub(super) fn common_name(space: &Namespace) -> String {
    let node = space.names.iter().find_map(|name| match name {
        Name::Node { lab, node } if lab == COPY => Some(node.clone()),
        _ => None,
    });
    // The host's bridge becomes a switch.
    node.or_else(|| netns(space)).unwrap_or_else(|| "br0".to_owned())
}

/// All that a namespace has, a line each, with names for numbers. Left out is what a lab has in another way than
/// anybody else (docs/guide.md, "Make a lab file of what is there"): the group and queues of interfaces, who made a route
/// or a rule, how link-local addresses come about, and those of ports.
pub(super) fn lines(snapshot: &Snapshot, state: &State) -> BTreeSet<String> {
    let network = &state.network;
    let names: HashMap<u32, String> =
        network.links.iter().map(|link| (link.index, link.name.to_string())).collect();
    let name = |index: u32| names.get(&index).cloned().unwrap_or_else(|| format!("number {index}"));
    let is_port = |index: u32| {
        let master = network.links.iter().find(|link| link.index == index).and_then(|link| link.master);
        let master = network.links.iter().find(|link| Some(link.index) == master);
        master.is_some_and(|master| matches!(master.kind, Some(LinkKind::Bridge(_) | LinkKind::Bond(_))))
    };
    let is_local = |address: std::net::IpAddr| address.to_string().starts_with("fe80");
    let mut lines = BTreeSet::new();
    for link in &network.links {
        if nslab_testing::FALLBACK_TUNNELS.contains(&link.name.as_str()) {
            continue;
        }
        lines.insert(link_line(snapshot, state, link, &name));
    }
    let mut order: BTreeMap<u32, usize> = BTreeMap::new();
    for own in network.addresses.iter().filter(|own| !(is_port(own.link) && is_local(own.address.addr()))) {
        // Which is the primary one depends on the order.
        let place = order.entry(own.link).or_default();
        *place += usize::from(own.address.addr().is_ipv4());
        let place = if own.address.addr().is_ipv4() { *place } else { 0 };
        lines.insert(format!(
            "address {} {} scope {} permanent {} secondary {} peer {:?} number {place}",
            name(own.link),
            own.address,
            own.scope,
            own.permanent,
            own.secondary,
            own.peer
        ));
    }
    for route in &network.routes {
        let hop = |hop: &NextHop| {
            let (link, via) = (hop.link.map(name), hop.via);
            format!("via {via:?} dev {link:?} weight {} onlink {}", hop.weight, hop.onlink)
        };
        let action = match &route.action {
            RouteAction::Forward(hops) => hops.iter().map(hop).collect::<Vec<_>>().join(", "),
            RouteAction::Local(link) | RouteAction::Broadcast(link) => format!("local {:?}", link.map(name)),
            RouteAction::Anycast(link) | RouteAction::Multicast(link) => {
                format!("for all {:?}", link.map(name))
            }
            other => format!("{other:?}"),
        };
        let by_port = match &route.action {
            RouteAction::Forward(hops) => hops.iter().any(|hop| hop.link.is_some_and(is_port)),
            RouteAction::Local(link) | RouteAction::Anycast(link) => link.is_some_and(is_port),
            _ => false,
        };
        if by_port && is_local(route.to.addr()) {
            continue;
        }
        // It comes with the carrier, and does not go with it.
        let has_carrier = |link: u32| state.link(link).is_some_and(|link| has_carrier(state, link));
        if let RouteAction::Multicast(Some(link)) = route.action
            && !has_carrier(link)
        {
            continue;
        }
        let by_kernel = route.protocol == nslab_kernel::route::PROTOCOL_KERNEL;
        lines.insert(format!(
            "route {} {action} metric {} table {} src {:?} mtu {:?} scope {:?} tos {} from {:?} {:?} kernel's {by_kernel}",
            route.to, route.metric, route.table, route.source, route.mtu, route.scope, route.tos, route.from,
            route.preference
        ));
    }
    for rule in &network.rules {
        let rule = nslab_kernel::rule::Rule { protocol: 0, ..rule.clone() };
        lines.insert(format!("{rule:?}"));
    }
    for one in network.neighbours.iter().filter(|one| one.state & 0x80 != 0) {
        lines.insert(format!(
            "neighbour {} dev {} {:?} proxy {}",
            one.address,
            name(one.link),
            one.mac,
            one.proxy
        ));
    }
    for entry in network.fdb.iter().filter(|entry| entry.fixed) {
        if entry.local {
            // Of a MAC that a bridge has in common with a port it depends on which of the two had it first whose it is.
            lines.insert(format!("fdb {} vlan {:?} local", entry.mac, entry.vlan));
            continue;
        }
        lines.insert(format!(
            "fdb {} dev {} vlan {:?} dst {:?} external {}",
            entry.mac,
            name(entry.link),
            entry.vlan,
            entry.remote,
            entry.external
        ));
    }
    for vlan in &network.vlans {
        lines.insert(format!(
            "vlan {} dev {} pvid {} untagged {}",
            vlan.vlan,
            name(vlan.link),
            vlan.pvid,
            vlan.untagged
        ));
    }
    let numbered = Names { interfaces: Some(&names) };
    let rules = state.nftables.to_nft(numbered);
    lines.extend(
        rules.lines().enumerate().map(|(number, line)| format!("nft {number:4} {}", uncounted(line))),
    );
    lines.insert(format!("{:?}", state.settings));
    lines.extend(state.gaps.iter().map(|gap| format!("{gap:?}")));
    lines
}

fn link_line(snapshot: &Snapshot, state: &State, link: &Link, name: &dyn Fn(u32) -> String) -> String {
    let peer = state.peer(link.index).map(|peer| match peer.namespace {
        Where::Unseen => "somewhere".to_owned(),
        Where::Namespace(place) => {
            let far = &snapshot.namespaces[place];
            let end = far.state().and_then(|state| state.link(peer.lower));
            format!("{}:{}", common_name(far), end.map_or("?", |end| end.name.as_str()))
        }
    });
    let mut kind = link.kind.clone();
    if let Some(LinkKind::Vxlan(vxlan)) = &mut kind {
        vxlan.lower = None;
    }
    // Its state follows the carrier.
    let port = link.bridge_port.map(|port| BridgePort { state: 0, ..port });
    let lower = link.lower.filter(|_| !link.is_veth()).map(name);
    format!(
        "link {} {kind:?} on {lower:?} to {peer:?} mac {:?} mtu {} up {} carrier {} master {:?} names {:?} port {:?} xdp {:?} {:?} {:?}",
        link.name,
        link.mac,
        link.mtu,
        link.up,
        has_carrier(state, link),
        link.master.map(name),
        link.alt_names,
        port,
        link.xdp,
        link.ipv4,
        link.ipv6,
    )
}

/// Whether it has a carrier. A bridge has that of its ports, which it learns of a moment later; an empty one has it or not
/// by what happened to it before.
fn has_carrier(state: &State, link: &Link) -> bool {
    let mut ports = state.network.links.iter().filter(|port| port.master == Some(link.index));
    if link.as_bridge().is_some() { ports.any(|port| port.up && port.carrier) } else { link.carrier }
}

/// A rule without what was counted.
fn uncounted(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for place in 1..words.len() {
        if matches!(words[place - 1].trim(), "packets" | "bytes") {
            words[place] = "0";
        }
    }
    words.join(" ")
}
