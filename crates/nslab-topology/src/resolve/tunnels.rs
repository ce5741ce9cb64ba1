//! Tunnels: which belong together, and the addresses of their ends in the network below them.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::bits::is_link_local;
use super::route::{Graph, Ways};
use super::segments::Network;
use super::{Problems, mtu};
use crate::diagnostic::{Diagnostic, Span, Spanned, did_you_mean};
use crate::lab::{Endpoint, Family, InterfaceKind, Remote, WireguardPeer};
use crate::model::{Route, RouteAction};

/// The main table (`RT_TABLE_MAIN`).
const MAIN: u32 = 254;

/// What is below a tunnel.
#[derive(Default)]
pub(crate) struct Underlay {
    /// The local end's address.
    pub(crate) local: Option<IpAddr>,
    /// The remote ends' addresses.
    pub(crate) remotes: Vec<Spanned<IpAddr>>,
    /// Of a WireGuard interface: its peers, in the order of the file.
    pub(crate) peers: Vec<Peer>,
}

/// A peer of a WireGuard interface.
pub(crate) struct Peer {
    /// Its port.
    pub(crate) port: usize,
    /// Where it is.
    pub(crate) endpoint: Option<SocketAddr>,
}

/// What two ends of a tunnel have in common: type and numbers.
type Signature = (&'static str, u32, u32);

fn signature(kind: &InterfaceKind) -> Option<Signature> {
    Some(match kind {
        InterfaceKind::Vxlan { id, port, .. } | InterfaceKind::Geneve { id, port, .. } => {
            (kind.name(), id.value, u32::from(*port))
        }
        InterfaceKind::Tunnel { key, .. } => (kind.name(), key.unwrap_or_default(), u32::from(key.is_some())),
        InterfaceKind::Wireguard { .. } => (kind.name(), 0, 0),
        _ => return None,
    })
}

/// Finds the other ends of every tunnel.
pub(super) fn pair(net: &mut Network<'_>, problems: &mut Problems) {
    if net.interfaces.is_empty() {
        return;
    }
    let owners = owners(net);
    let owner = |remote: &Remote| match remote {
        Remote::Address(address) => owners.get(address).copied(),
        Remote::Node { node, .. } => net.node_index.get(node.as_str()).copied(),
    };
    // The tunnels of each node by what they have in common with their other ends.
    let mut ends: HashMap<(usize, Signature), Vec<usize>> = HashMap::new();
    for port in net.interface_ports() {
        let signature = net.interface(port).and_then(|interface| signature(&interface.kind));
        if let Some((signature, node)) = signature.zip(net.node_of(port)) {
            ends.entry((node, signature)).or_default().push(port);
        }
    }
    let mut far = vec![Vec::new(); net.interfaces.len()];
    let mut peers: Vec<Vec<usize>> = vec![Vec::new(); net.interfaces.len()];
    for port in net.interface_ports() {
        let Some((interface, node)) = net.interface(port).zip(net.node_of(port)) else { continue };
        let place = port - net.cable_ports();
        if let InterfaceKind::Wireguard { peers: written, .. } = &interface.kind {
            for peer in written {
                let found = wireguard_peer(net, port, node, peer);
                match found {
                    Ok(found) => {
                        far[place].push(found);
                        peers[place].push(found);
                    }
                    Err(problem) => problems.push(*problem),
                }
            }
            continue;
        }
        let Some(signature) = signature(&interface.kind) else { continue };
        for remote in interface.kind.remotes() {
            let Some(other) = owner(&remote.value) else { continue };
            if other == node {
                problems.push(
                    Diagnostic::error("self-tunnel", "the other end of this tunnel is its own node")
                        .at(remote.span, ""),
                );
                continue;
            }
            let known = ends.get(&(other, signature)).map_or(&[][..], Vec::as_slice);
            let names_us = |far: &usize| {
                let kind = net.interface(*far).map(|interface| &interface.kind);
                kind.is_some_and(|kind| kind.remotes().iter().any(|one| owner(&one.value) == Some(node)))
            };
            match known.iter().copied().find(names_us) {
                Some(found) => far[place].push(found),
                None => problems.push(one_sided(net, port, other, known, remote.span)),
            }
        }
    }
    for (place, peers) in peers.into_iter().enumerate() {
        net.underlay[place].peers = peers.into_iter().map(|port| Peer { port, endpoint: None }).collect();
    }
    net.far = far;
}

/// Which node has each address that is written and is not a tunnel's.
fn owners(net: &Network<'_>) -> HashMap<IpAddr, usize> {
    let mut owners = HashMap::new();
    for (port, addresses) in net.addresses.iter().enumerate() {
        if let Some(node) = net.node_of(port).filter(|_| !net.is_tunnel(port)) {
            let global = addresses.iter().map(|own| own.net.addr()).filter(|own| !is_link_local(*own));
            for address in global {
                owners.entry(address).or_insert(node);
            }
        }
    }
    for (node, lab_node) in net.lab.nodes.iter().enumerate() {
        for address in &lab_node.addresses {
            owners.entry(address.addr()).or_insert(node);
        }
    }
    owners
}

fn one_sided(
    net: &Network<'_>,
    port: usize,
    other: usize,
    known: &[usize],
    span: Option<Span>,
) -> Diagnostic {
    let (name, own) = (&net.lab.nodes[other].name.value, net.owner(port));
    let kind = net.interface(port).map_or("tunnel", |interface| interface.kind.name());
    let message = match known.first() {
        Some(far) => {
            format!("{} does not have {own} as its other end, and this one has {name}", net.port_label(*far))
        }
        None => format!("{name} has no {kind} that fits {}", net.port_label(port)),
    };
    Diagnostic::warning("one-sided-tunnel", message)
        .at(span, "")
        .note("nothing takes out of their wrapping what is sent there, unless a program does")
        .help(format!("give {name} an interface of type {kind} with `remote: {own}`"))
}

/// The interface of a peer: the one that is named, or the one that has this node as its peer.
fn wireguard_peer(
    net: &Network<'_>,
    port: usize,
    node: usize,
    peer: &WireguardPeer,
) -> Result<usize, Box<Diagnostic>> {
    let error = |code, message: String| Box::new(Diagnostic::error(code, message).at(peer.node.span, ""));
    let Some(&other) = net.node_index.get(peer.node.as_str()) else {
        let mut problem = error("unknown-node", format!("there is no node `{}`", peer.node.value));
        let names = net.lab.nodes.iter().map(|node| node.name.as_str());
        problem.help.extend(did_you_mean(&peer.node, names));
        return Err(problem);
    };
    if other == node {
        return Err(error("self-tunnel", format!("{} is no peer of its own", peer.node.value)));
    }
    let is_own = |name: &str| net.ports[port].meant() == name || net.ports[port].name.as_str() == name;
    let has_us = |far: usize| {
        let Some(InterfaceKind::Wireguard { peers, .. }) =
            net.interface(far).map(|interface| &interface.kind)
        else {
            return false;
        };
        let fits = |peer: &Spanned<WireguardPeer>| {
            *peer.node == *net.owner(port) && peer.interface.as_ref().is_none_or(|name| is_own(name))
        };
        peers.iter().any(fits)
    };
    let all: Vec<usize> = net.node_ports[other]
        .iter()
        .copied()
        .filter(|far| {
            let kind = net.interface(*far).map(|interface| &interface.kind);
            matches!(kind, Some(InterfaceKind::Wireguard { .. }))
        })
        .collect();
    let name = &net.lab.nodes[other].name.value;
    let wanted: Vec<usize> = match &peer.interface {
        Some(interface) => {
            let Some(port) = net.port_named(other, interface).filter(|port| all.contains(port)) else {
                let message = format!("{name} has no WireGuard interface `{}`", interface.value);
                let mut problem = Diagnostic::error("unknown-interface", message).at(interface.span, "");
                let known = all.iter().map(|port| net.ports[*port].meant());
                problem.help.extend(did_you_mean(interface, known));
                return Err(Box::new(problem));
            };
            vec![port]
        }
        None => all.clone(),
    };
    let mutual: Vec<usize> = wanted.iter().copied().filter(|far| has_us(*far)).collect();
    match (mutual.as_slice(), wanted.first()) {
        ([one], _) => Ok(*one),
        ([_, _, ..], _) => Err(Box::new(
            error(
                "ambiguous-peer",
                format!("{name} has several WireGuard interfaces with {} as a peer", net.owner(port)),
            )
            .help("say which with `interface`"),
        )),
        ([], None) => Err(Box::new(
            error("one-sided-tunnel", format!("{name} has no WireGuard interface"))
                .help(format!("give it one: `wg0: {{type: wireguard, peers: [{}]}}`", net.owner(port))),
        )),
        ([], Some(far)) => Err(Box::new(
            error(
                "one-sided-tunnel",
                format!("{} does not have {} as a peer", net.port_label(*far), net.owner(port)),
            )
            .note("each of two peers must have the other's key")
            .help(format!("add {} to its `peers`", net.owner(port))),
        )),
    }
}

/// Finds the addresses of all tunnels' ends, and settles their MTUs.
pub(super) fn underlay(net: &mut Network<'_>, problems: &mut Problems) {
    let tunnels: Vec<usize> = net.interface_ports().filter(|port| net.is_tunnel(*port)).collect();
    if tunnels.is_empty() {
        return;
    }
    let below = Family::BOTH.map(|family| Graph::new(net, family, false));
    let mut ways: HashMap<(usize, bool), Ways> = HashMap::new();
    for &port in &tunnels {
        let (Some(interface), Some(node)) = (net.interface(port), net.node_of(port)) else { continue };
        let remotes = interface.kind.remotes();
        let place = port - net.cable_ports();
        let mut nearest = |family: Family, far: usize, interface: Option<&str>| {
            let graph = &below[usize::from(family == Family::Ipv6)];
            let ways =
                ways.entry((node, family == Family::Ipv6)).or_insert_with(|| Ways::from(graph, node, 1));
            nearest(net, graph, ways, node, family, far, interface)
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
    let own = |address: IpAddr| super::route::is_own(net, node, address);
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

/// Segments of tunnels in which not everyone has everyone else as an other end.
pub(super) fn partial(net: &Network<'_>) -> HashSet<usize> {
    let mut ends: HashMap<usize, Vec<usize>> = HashMap::new();
    for port in net.interface_ports().filter(|port| net.is_tunnel(*port)) {
        ends.entry(net.segment_of[port]).or_default().push(port);
    }
    let is_whole = |ports: &[usize]| {
        ports.iter().all(|port| {
            let far: HashSet<usize> = net.far[port - net.cable_ports()].iter().copied().collect();
            ports.iter().all(|other| other == port || far.contains(other))
        })
    };
    ends.into_iter().filter(|(_, ports)| !is_whole(ports)).map(|(segment, _)| segment).collect()
}

/// The subnets that tunnels' packets go to: routes there must not lead into a tunnel.
pub(super) fn targets(net: &Network<'_>) -> Vec<IpAddr> {
    let remotes = |underlay: &Underlay| {
        let ends = underlay.remotes.iter().map(|remote| remote.value);
        ends.chain(underlay.peers.iter().filter_map(|peer| Some(peer.endpoint?.ip()))).collect::<Vec<_>>()
    };
    net.underlay.iter().flat_map(remotes).collect()
}

/// Every tunnel's packets have a route, and it does not lead into the tunnel itself.
pub(super) fn check_routes(net: &Network<'_>, routes: &[Vec<Route>], problems: &mut Problems) {
    for port in net.interface_ports().filter(|port| net.is_tunnel(*port)) {
        let (Some(interface), Some(node)) = (net.interface(port), net.node_of(port)) else { continue };
        let underlay = &net.underlay[port - net.cable_ports()];
        let mut ends: Vec<(IpAddr, Option<Span>)> =
            underlay.remotes.iter().map(|remote| (remote.value, remote.span)).collect();
        if let InterfaceKind::Wireguard { peers, .. } = &interface.kind {
            let known = underlay.peers.iter().zip(peers);
            ends.extend(known.filter_map(|(peer, written)| Some((peer.endpoint?.ip(), written.node.span))));
        }
        for (address, span) in ends.into_iter().filter(|(address, _)| !is_link_local(*address)) {
            let label = net.port_label(port);
            if super::route::is_own(net, node, address) {
                problems.push(
                    Diagnostic::error(
                        "self-tunnel",
                        format!("{address} is an address of {} itself", net.owner(port)),
                    )
                    .at(span, ""),
                );
                continue;
            }
            match way(net, node, &routes[node], address) {
                Some(Out::By(name)) if name == net.ports[port].name => problems.push(
                    Diagnostic::error(
                        "tunnel-loop",
                        format!("the route to {address}, the other end of {label}, leads into {label}"),
                    )
                    .at(span, "")
                    .note("its own packets would be wrapped again and again")
                    .help(format!("add a route to {address} that goes by a link")),
                ),
                Some(_) => {}
                None => {
                    let message = format!(
                        "{} has no route to {address}, the other end of {label}",
                        net.lab.nodes[node].name.value
                    );
                    // A routing daemon may find one.
                    let runs = !net.lab.nodes[node].programs.is_empty();
                    let problem = if runs {
                        Diagnostic::warning("no-underlay-route", message)
                    } else {
                        Diagnostic::error("no-underlay-route", message)
                    };
                    problems.push(
                        problem
                            .at(span, "")
                            .help("the tunnel's packets go by the node's routes: write one, or a `gateway`"),
                    );
                }
            }
        }
    }
}

/// Where a route leads.
#[derive(Clone, Copy)]
enum Out {
    By(nslab_types::IfName),
    /// The kernel finds the interface itself.
    Somewhere,
}

/// Where a node's main table leads to an address; none if it leads nowhere.
fn way(net: &Network<'_>, node: usize, routes: &[Route], address: IpAddr) -> Option<Out> {
    let mut best: Option<(u8, Out)> = None;
    let mut offer = |length: u8, out| {
        if best.is_none_or(|(known, _)| length > known) {
            best = Some((length, out));
        }
    };
    for &port in net.node_ports[node].iter().filter(|port| net.vrf_of(**port).is_none()) {
        for own in net.addresses[port].iter().filter(|own| own.net.contains(&address)) {
            offer(own.net.prefix_len(), Out::By(net.ports[port].name));
        }
    }
    for route in routes.iter().filter(|route| route.table == MAIN && route.to.contains(&address)) {
        if let RouteAction::Forward(hops) = &route.action {
            let dev = hops.first().and_then(|hop| hop.dev);
            offer(route.to.prefix_len(), dev.map_or(Out::Somewhere, Out::By));
        }
    }
    best.map(|(_, out)| out)
}

/// What a WireGuard interface lets in from each of its peers.
pub(super) fn allowed(net: &Network<'_>, port: usize, routes: &[Route]) -> Vec<Vec<IpNet>> {
    let Some(InterfaceKind::Wireguard { peers, .. }) = net.interface(port).map(|interface| &interface.kind)
    else {
        return Vec::new();
    };
    let known = &net.underlay[port - net.cable_ports()].peers;
    let through = partial(net).contains(&net.segment_of[port]) && known.len() == 1;
    let one = |(written, peer): (&Spanned<WireguardPeer>, &Peer)| {
        if let Some(allowed) = &written.allowed {
            return allowed.clone();
        }
        let addresses: Vec<IpAddr> = net.addresses[peer.port].iter().map(|own| own.net.addr()).collect();
        let mut all: Vec<IpNet> = addresses.iter().map(|address| IpNet::from(*address)).collect();
        // Who has a single peer of several reaches the others through it.
        if through {
            all.extend(net.addresses[port].iter().map(|own| own.net.trunc()));
        }
        for route in routes {
            let RouteAction::Forward(hops) = &route.action else { continue };
            let leads = hops
                .iter()
                .filter(|hop| hop.dev == Some(net.ports[port].name))
                .any(|hop| hop.via.map_or(known.len() == 1, |via| addresses.contains(&via)));
            if leads {
                all.push(route.to);
            }
        }
        let mut seen = HashSet::new();
        all.retain(|net| seen.insert(*net));
        all
    };
    peers.iter().zip(known).map(one).collect()
}
