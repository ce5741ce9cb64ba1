//! What WireGuard lets in from its peers.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Peer;
use crate::diagnostic::Spanned;
use crate::lab::{InterfaceKind, WireguardPeer};
use crate::model::{Route, RouteAction};
use crate::resolve::segments::Network;

/// What a WireGuard interface lets in from each of its peers.
pub(in crate::resolve) fn allowed(net: &Network<'_>, port: usize, routes: &[Route]) -> Vec<Vec<IpNet>> {
    let Some(InterfaceKind::Wireguard { peers, .. }) = net.interface(port).map(|interface| &interface.kind)
    else {
        return Vec::new();
    };
    let known = &net.underlay[port - net.cable_ports()].peers;
    let through = super::partial(net).contains(&net.segment_of[port]) && known.len() == 1;
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
