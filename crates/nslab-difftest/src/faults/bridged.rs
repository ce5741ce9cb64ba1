//! Faults of bridges.

use nslab_predict::Code;

use super::{Fault, Healthy};
use crate::chance::Chance;

/// The ports that the packet crosses: the bridge's namespace and name, by which it comes in, by which it goes out.
fn crossed(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<(usize, String, String, String)> {
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
    Some(healthy.with(Code::BridgeIsolated, |draft| {
        for port in [into, out] {
            draft.ip(space, format!("link set {port} type bridge_slave isolated on"));
        }
    }))
}

pub(crate) fn state(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, _, into, out) = crossed(chance, healthy)?;
    let port = if chance.percent(50) { into } else { out };
    Some(healthy.with(Code::BridgeStp, |draft| draft.bridge(space, format!("link set dev {port} state 4"))))
}

/// The destination, or whoever is next, on the other side of the port: its end.
fn behind(healthy: &Healthy<'_>, space: usize, port: &str) -> Option<(usize, String)> {
    let (node, end) = healthy.draft.nodes[space].ports.iter().find(|(name, ..)| name == port)?.2?;
    Some((node, healthy.draft.nodes[node].ends[end].name.clone()))
}

/// An entry leads to another port.
pub(crate) fn entry(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, bridge, into, out) = crossed(chance, healthy)?;
    let (node, end) = behind(healthy, space, &out)?;
    let others: Vec<String> = healthy.draft.nodes[space]
        .ports
        .iter()
        .filter(|(name, own, _)| *own == bridge && *name != into && *name != out)
        .map(|(name, ..)| name.clone())
        .collect();
    let other = chance.any(&others)?;
    Some(healthy.with(Code::BridgeFdb, |draft| {
        draft.ip(node, format!("link set {end} address 02:00:00:00:03:01"));
        draft.bridge(space, format!("fdb add 02:00:00:00:03:01 dev {other} master static"));
    }))
}

/// Somebody else on the segment has the MAC of the one that is next.
pub(crate) fn same_mac(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, bridge, into, out) = crossed(chance, healthy)?;
    let (node, end) = behind(healthy, space, &out)?;
    let others: Vec<(usize, String)> = healthy.draft.nodes[space]
        .ports
        .iter()
        .filter(|(name, own, _)| *own == bridge && *name != into && *name != out)
        .filter_map(|(name, ..)| behind(healthy, space, name))
        .collect();
    let (other, its) = chance.any(&others)?;
    Some(healthy.with(Code::DuplicateMac, |draft| {
        draft.ip(node, format!("link set {end} address 02:00:00:00:03:02"));
        draft.ip(other, format!("link set {its} address 02:00:00:00:03:02"));
    }))
}

/// A rule for IP packets drops what is only bridged.
pub(crate) fn firewall(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, ..) = crossed(chance, healthy)?;
    let family = if healthy.ipv6() { "ip6" } else { "ip" };
    Some(healthy.with(Code::BridgeFirewall, |draft| {
        draft.nft(space, format!("add table {family} f"));
        draft.nft(
            space,
            format!("add chain {family} f forward {{ type filter hook forward priority 0; policy drop; }}"),
        );
    }))
}

/// The bridge is down.
pub(crate) fn down(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, bridge, ..) = crossed(chance, healthy)?;
    Some(healthy.with(Code::LinkDown, |draft| draft.ip(space, format!("link set {bridge} down"))))
}
