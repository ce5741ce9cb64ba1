//! Faults of bridges.

use nslab_predict::Code;

use super::{Fault, Healthy, Place};
use crate::chance::Chance;

/// The ports that the packet crosses: the bridge's namespace and name, by which it comes in, by which it goes out.
pub(super) fn crossed(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<(usize, String, String, String)> {
    let bridge_of = |space: usize, name: &str| {
        let ports = &healthy.draft.nodes[space].ports;
        ports.iter().find(|(port, ..)| port == name).map(|(_, bridge, _)| bridge.clone())
    };
    let pairs: Vec<_> = healthy
        .way
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0 && !pair[0].2 && pair[1].2)
        .filter_map(|pair| {
            let (into, out) = (bridge_of(pair[0].0, &pair[0].1)?, bridge_of(pair[1].0, &pair[1].1)?);
            (into == out).then(|| (pair[0].0, into, pair[0].1.clone(), pair[1].1.clone()))
        })
        .collect();
    chance.any(&pairs)
}

pub(crate) fn isolated(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, _, into, out) = crossed(chance, healthy)?;
    let fault = healthy.with(Code::BridgeIsolated, Place::at(space, &out), |draft| {
        for port in [&into, &out] {
            draft.ip(space, format!("link set {port} type bridge_slave isolated on"));
        }
    });
    Some(fault.or_at(Place::at(space, into)))
}

/// A port is disabled, listening or learning. Without spanning tree the kernel does not leave one blocking
/// (`br_port_state_selection`, `net/bridge/br_stp.c`).
pub(crate) fn state(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, _, into, out) = crossed(chance, healthy)?;
    let port = if chance.percent(50) { into } else { out };
    let state = *chance.pick(&[0, 1, 2]);
    Some(healthy.with(Code::BridgeStp, Place::at(space, &port), |draft| {
        draft.bridge(space, format!("link set dev {port} state {state}"));
    }))
}

/// The destination, or whoever is next, on the other side of the port: its end.
pub(super) fn behind(healthy: &Healthy<'_>, space: usize, port: &str) -> Option<(usize, String)> {
    let (node, end) = healthy.draft.nodes[space].ports.iter().find(|(name, ..)| name == port)?.2?;
    Some((node, healthy.draft.nodes[node].ends[end].name.clone()))
}

/// An entry leads to another port, or back.
pub(crate) fn entry(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, bridge, into, out) = crossed(chance, healthy)?;
    let (node, end) = behind(healthy, space, &out)?;
    let others: Vec<String> = healthy.draft.nodes[space]
        .ports
        .iter()
        .filter(|(name, own, _)| *own == bridge && *name != out)
        .map(|(name, ..)| name.clone())
        .collect();
    let other = chance.any(&others).unwrap_or(into);
    Some(healthy.with(Code::BridgeFdb, Place::at(space, &other), |draft| {
        draft.ip(node, format!("link set {end} address 02:00:00:00:03:01"));
        // What is learned moves what was put there by hand.
        draft.ip(space, format!("link set {out} type bridge_slave learning off"));
        draft.bridge(space, format!("fdb add 02:00:00:00:03:01 dev {other} master static"));
    }))
}

/// The question for the destination's MAC does not get out by its port.
pub(crate) fn not_flooded(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, _, _, out) = crossed(chance, healthy)?;
    let flag = if healthy.ipv6() { "mcast_flood" } else { "bcast_flood" };
    Some(healthy.with(Code::BridgeFdb, Place::at(space, &out), |draft| {
        draft.ip(space, format!("link set {out} type bridge_slave {flag} off"));
    }))
}

/// A rule for IP packets drops what is only bridged.
pub(crate) fn firewall(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, ..) = crossed(chance, healthy)?;
    let family = if healthy.ipv6() { "ip6" } else { "ip" };
    Some(healthy.with(Code::BridgeFirewall, Place::at(space, format!("{family} f forward")), |draft| {
        draft.nft(space, format!("add table {family} f"));
        draft.nft(
            space,
            format!("add chain {family} f forward {{ type filter hook forward priority 0; policy drop; }}"),
        );
    }))
}

/// The bridge is down, or the port by which it would go out.
pub(crate) fn down(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, bridge, _, out) = crossed(chance, healthy)?;
    let which = if chance.percent(50) { bridge } else { out };
    Some(healthy.with(Code::LinkDown, Place::at(space, &which), |draft| {
        draft.ip(space, format!("link set {which} down"));
    }))
}
