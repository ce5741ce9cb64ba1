//! What a node can reach without a router.

use std::net::IpAddr;

use super::super::segments::Network;
use crate::lab::Family;

/// The port of a node on whose subnet an address is: that of the longest prefix, the first of equal ones.
pub(crate) fn port_for(net: &Network<'_>, node: usize, address: IpAddr) -> Option<usize> {
    let mut best: Option<(u8, usize)> = None;
    for &port in &net.node_ports[node] {
        for own in net.addresses[port].iter().filter(|own| own.net.contains(&address)) {
            if best.is_none_or(|(length, _)| own.net.prefix_len() > length) {
                best = Some((own.net.prefix_len(), port));
            }
        }
    }
    best.map(|(_, port)| port)
}

/// Whether an address is on a subnet of this port.
pub(super) fn is_on(net: &Network<'_>, port: usize, address: IpAddr) -> bool {
    net.addresses[port].iter().any(|own| own.net.contains(&address))
}

/// The addresses of a family by which `node` reaches `other` on shared segments, each with the port to it.
pub(super) fn shared(net: &Network<'_>, node: usize, other: usize, family: Family) -> Vec<(usize, IpAddr)> {
    let mut found = Vec::new();
    for &port in &net.node_ports[node] {
        for &far in net.node_ports[other].iter().filter(|far| net.segment_of[**far] == net.segment_of[port]) {
            let addresses = net.addresses[far].iter().map(|address| address.net.addr());
            found.extend(
                addresses
                    .filter(|address| Family::of(*address) == family && is_on(net, port, *address))
                    .map(|address| (port, address)),
            );
        }
    }
    found
}

/// Whether an address is one of the node's own.
pub(crate) fn is_own(net: &Network<'_>, node: usize, address: IpAddr) -> bool {
    let ports = net.node_ports[node].iter().flat_map(|port| &net.addresses[*port]);
    ports
        .map(|own| own.net.addr())
        .chain(net.lab.nodes[node].addresses.iter().map(|own| own.addr()))
        .any(|own| own == address)
}

/// `10.0.0.0/24 on eth0 and …`, for messages.
pub(super) fn subnets(net: &Network<'_>, node: usize) -> Vec<String> {
    let mut all = Vec::new();
    for &port in &net.node_ports[node] {
        for own in &net.addresses[port] {
            all.push(format!("{} on {}", own.net.trunc(), net.ports[port].meant()));
        }
    }
    all
}
