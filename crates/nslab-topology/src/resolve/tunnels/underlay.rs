//! The addresses of tunnels' ends in the network below them, and their MTUs.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::lab::{Endpoint, Family, InterfaceKind, Remote};
use crate::resolve::bits::is_link_local;
use crate::resolve::route::{Graph, Tunnels, Ways};
use crate::resolve::segments::Network;
use crate::resolve::{Problems, mtu};

/// Finds the addresses of all tunnels' ends, and settles their MTUs.
pub(in crate::resolve) fn underlay(net: &mut Network<'_>, problems: &mut Problems) {
    let tunnels: Vec<usize> = net.interface_ports().filter(|port| net.is_tunnel(*port)).collect();
    if tunnels.is_empty() {
        return;
    }
    // An address that only a segment with a tunnel in it leads to is taken if there is no other.
    let below = [Tunnels::Shunned, Tunnels::Left]
        .map(|tunnels| Family::BOTH.map(|family| Graph::new(net, family, tunnels)));
    let mut ways: HashMap<(usize, bool, usize), Ways> = HashMap::new();
    for &port in &tunnels {
        let (Some(interface), Some(node)) = (net.interface(port), net.node_of(port)) else { continue };
        let remotes = interface.kind.remotes();
        let place = port - net.cable_ports();
        let mut nearest = |family: Family, far: usize, interface: Option<&str>| {
            let is_ipv6 = family == Family::Ipv6;
            below.iter().enumerate().find_map(|(number, graphs)| {
                let graph = &graphs[usize::from(is_ipv6)];
                let ways = ways.entry((node, is_ipv6, number)).or_insert_with(|| Ways::from(graph, node, 1));
                nearest(net, graph, ways, node, family, far, interface)
            })
        };
        if let InterfaceKind::Wireguard { peers, .. } = &interface.kind {
            let mut endpoints = Vec::new();
            for (peer, known) in peers.iter().zip(&net.underlay[place].peers) {
                let Some(InterfaceKind::Wireguard { port: listens, .. }) =
                    net.interface(known.port).map(|interface| &interface.kind)
                else {
                    continue;
                };
                let found = match (&peer.endpoint, net.node_of(known.port)) {
                    (Endpoint::Socket(socket), _) => Some(*socket),
                    (Endpoint::Address(address), _) => Some(SocketAddr::new(address.value, listens.value)),
                    (Endpoint::Auto, Some(far)) => {
                        let found = Family::BOTH.into_iter().find_map(|family| nearest(family, far, None));
                        if found.is_none() {
                            problems.push(no_way(net, node, &peer.node.value, peer.node.span));
                        }
                        found.map(|address| SocketAddr::new(address, listens.value))
                    }
                    _ => None,
                };
                endpoints.push(found);
            }
            for (peer, endpoint) in net.underlay[place].peers.iter_mut().zip(endpoints) {
                peer.endpoint = endpoint;
            }
            continue;
        }
        let families: Vec<Family> = match &interface.kind {
            InterfaceKind::Tunnel { encapsulation, .. } => {
                vec![if encapsulation.is_over_ipv6() { Family::Ipv6 } else { Family::Ipv4 }]
            }
            InterfaceKind::Vxlan { local: Some(local), .. } => vec![Family::of(local.value)],
            _ => match remotes.iter().find_map(|remote| match remote.value {
                Remote::Address(address) => Some(Family::of(address)),
                Remote::Node { .. } => None,
            }) {
                Some(family) => vec![family],
                None => Family::BOTH.to_vec(),
            },
        };
        let mut find = |family: Family| -> Vec<Option<Spanned<IpAddr>>> {
            let one = |remote: &&Spanned<Remote>| match &remote.value {
                Remote::Address(address) => Some(Spanned::new(*address, remote.span)),
                Remote::Node { node, interface } => {
                    let far = *net.node_index.get(node.as_str())?;
                    nearest(family, far, interface.as_deref()).map(|found| Spanned::new(found, remote.span))
                }
            };
            remotes.iter().map(one).collect()
        };
        let mut found = Vec::new();
        for family in families {
            found = find(family);
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        for (remote, found) in remotes.iter().zip(&found) {
            if found.is_none() {
                problems.push(no_way(net, node, &remote.value.to_string(), remote.span));
            }
        }
        net.underlay[place].remotes = found.into_iter().flatten().collect();
    }
    for &port in &tunnels {
        local(net, port, problems);
        mtu::settle_tunnel(net, port, problems);
    }
    mtu::follow_tunnels(net);
}

/// The nearest address of a node, over the network without tunnels.
fn nearest(
    net: &Network<'_>,
    graph: &Graph,
    ways: &Ways,
    from: usize,
    family: Family,
    far: usize,
    interface: Option<&str>,
) -> Option<IpAddr> {
    let of_family = |address: &IpAddr| Family::of(*address) == family && !is_link_local(*address);
    let distance = |port: usize, address: IpAddr| {
        let place = graph.places[far]
            .iter()
            .find(|place| place.port == port && graph.subnets[place.subnet].net.contains(&address))?;
        ways.subnets[place.subnet].as_ref().map(|way| way.distance)
    };
    let ports = net.node_ports[far].iter().copied().filter(|port| !net.is_tunnel(*port));
    let named = interface.filter(|name| *name != "lo").map(|name| net.port_named(far, name));
    let mut candidates: Vec<(u32, IpAddr)> = Vec::new();
    if interface != Some("lo") {
        for port in ports.clone().filter(|port| named.is_none_or(|named| named == Some(*port))) {
            let addresses = net.addresses[port].iter().map(|own| own.net.addr()).filter(of_family);
            candidates.extend(addresses.filter_map(|address| Some((distance(port, address)?, address))));
        }
    }
    if candidates.is_empty() && matches!(interface, None | Some("lo")) {
        // Addresses on the loopback are reached wherever the node is.
        let reached = graph.places[far].iter().any(|place| ways.subnets[place.subnet].is_some());
        let own = net.lab.nodes[far].addresses.iter().map(|own| own.addr()).filter(of_family);
        candidates.extend(own.filter(|_| reached && from != far).map(|address| (0, address)));
    }
    candidates.into_iter().min_by_key(|(distance, _)| *distance).map(|(_, address)| address)
}

fn no_way(net: &Network<'_>, node: usize, remote: &str, span: Option<Span>) -> Diagnostic {
    Diagnostic::error(
        "no-underlay",
        format!(
            "there is no way from {} to {remote} that a tunnel could take",
            net.lab.nodes[node].name.value
        ),
    )
    .at(span, "")
    .help("tunnels go over links: join the two by cables, switches and routers, or write an address")
}

/// The local address: the one that the other end sends to.
fn local(net: &mut Network<'_>, port: usize, problems: &mut Problems) {
    let (Some(interface), Some(node)) = (net.interface(port), net.node_of(port)) else { return };
    let place = port - net.cable_ports();
    let own = |address: IpAddr| crate::resolve::route::is_own(net, node, address);
    let written = match &interface.kind {
        InterfaceKind::Vxlan { local, .. } | InterfaceKind::Tunnel { local, .. } => local.as_ref(),
        _ => return,
    };
    if let Some(written) = written {
        if !own(written.value) {
            problems.push(
                Diagnostic::error(
                    "foreign-source",
                    format!("{} is not an address of {}", written.value, net.lab.nodes[node].name.value),
                )
                .at(written.span, "")
                .help("`local` is the node's own address that the tunnel's packets carry"),
            );
        }
        net.underlay[place].local = Some(written.value);
        return;
    }
    let mut sent_to: Vec<IpAddr> = net.far[place]
        .iter()
        .flat_map(|far| &net.underlay[far - net.cable_ports()].remotes)
        .map(|remote| remote.value)
        .filter(|address| own(*address))
        .collect();
    sent_to.sort_unstable();
    sent_to.dedup();
    // Where others send to several of its addresses, it takes in what comes to any.
    if let [one] = sent_to.as_slice() {
        net.underlay[place].local = Some(*one);
    }
}
