//! Which tunnels belong together.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Peer, Signature, signature};
use crate::diagnostic::{Diagnostic, Span, Spanned, did_you_mean};
use crate::lab::{InterfaceKind, Remote, WireguardPeer};
use crate::resolve::Problems;
use crate::resolve::bits::is_link_local;
use crate::resolve::segments::Network;

/// Finds the other ends of every tunnel.
pub(in crate::resolve) fn pair(net: &mut Network<'_>, problems: &mut Problems) {
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
