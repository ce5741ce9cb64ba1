//! Where routes lead tunnels' packets.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{MAIN, Underlay};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::InterfaceKind;
use crate::model::{Route, RouteAction};
use crate::resolve::Problems;
use crate::resolve::bits::is_link_local;
use crate::resolve::segments::Network;

/// Segments of tunnels in which not everyone has everyone else as an other end.
pub(in crate::resolve) fn partial(net: &Network<'_>) -> HashSet<usize> {
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
pub(in crate::resolve) fn targets(net: &Network<'_>) -> Vec<IpAddr> {
    let remotes = |underlay: &Underlay| {
        let ends = underlay.remotes.iter().map(|remote| remote.value);
        ends.chain(underlay.peers.iter().filter_map(|peer| Some(peer.endpoint?.ip()))).collect::<Vec<_>>()
    };
    net.underlay.iter().flat_map(remotes).collect()
}

/// Every tunnel's packets have a route, and it does not lead into the tunnel itself.
pub(in crate::resolve) fn check_routes(net: &Network<'_>, routes: &[Vec<Route>], problems: &mut Problems) {
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
            if crate::resolve::route::is_own(net, node, address) {
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
