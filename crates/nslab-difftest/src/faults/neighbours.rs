//! Faults of addresses, and of who answers for them.

use nslab_predict::Code;

use super::bridged::{behind, crossed};
use super::{Fault, Healthy, Place};
use crate::chance::Chance;
use crate::network::What;
use crate::probe::Kind;

/// What is behind an address where an interface gets it.
fn length(ipv6: bool) -> (u8, &'static str) {
    if ipv6 { (64, " nodad") } else { (24, "") }
}

/// An address of a segment that nobody has.
fn nobody_of(segment: usize, ipv6: bool, number: u8) -> String {
    if ipv6 { format!("fd00:{segment}::{number}") } else { format!("10.0.{segment}.{number}") }
}

/// Whoever gets it answers.
fn echo(fault: &mut Fault) {
    fault.probe.what = Kind::Echo;
    fault.probe.size = 84;
}

/// The sender has no address of the family.
pub(crate) fn no_source(_: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let from = healthy.probe.from;
    let out = healthy.out_of(from)?;
    // IPv4 sends without: from 0.0.0.0. The new route is one on the link.
    if !healthy.ipv6() || healthy.first_segment() != healthy.last_segment() {
        return None;
    }
    Some(healthy.with(Code::NoSourceAddress, Place::within(from), |draft| {
        draft.lines.retain(|line| {
            line.space != from || !matches!(&line.what, What::Ip(text) if text.starts_with("addr add"))
        });
        draft.ip(from, format!("route add {} dev {out}", healthy.target()));
    }))
}

/// Nobody has the address, or that of the gateway.
pub(crate) fn nobody(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let ipv6 = healthy.ipv6();
    if chance.percent(50) {
        let space = chance.any(&healthy.routing())?;
        let out = healthy.out_of(space)?;
        let nobody = nobody_of(healthy.segment(space, &out)?, ipv6, 88);
        let target = healthy.target();
        return Some(healthy.with(Code::NeighbourFailed, Place::at(space, &out), |draft| {
            draft.ip(space, format!("route add {target} via {nobody} dev {out}"));
        }));
    }
    let (last, out) = asker(healthy)?;
    let mut fault = healthy.with(Code::NeighbourFailed, Place::at(last, out), |_| {});
    fault.meant = None;
    echo(&mut fault);
    fault.probe.destination = nobody_of(healthy.last_segment()?, ipv6, 77).parse().ok()?;
    Some(fault)
}

/// Who would ask for any address of the destination's segment.
fn asker(healthy: &Healthy<'_>) -> Option<(usize, String)> {
    let segment = healthy.last_segment()?;
    let on_it = |space: &usize| healthy.is_on(*space, segment);
    let first = healthy.routing().into_iter().find(on_it).unwrap_or(healthy.to);
    let end = healthy.draft.nodes[first].ends.iter().find(|end| end.segment == segment)?;
    Some((first, end.name.clone()))
}

/// Somebody has the address, or that of the gateway, on another segment.
pub(crate) fn wrong_segment(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let ipv6 = healthy.ipv6();
    if chance.percent(40) {
        let space = chance.any(&healthy.routing())?;
        let out = healthy.out_of(space)?;
        let own = healthy.segment(space, &out)?;
        let strange: Vec<_> = healthy
            .draft
            .ends()
            .into_iter()
            .filter(|(node, _)| *node != space && !healthy.is_on(*node, own))
            .map(|(_, end)| end.address(ipv6))
            .filter(|address| *address != healthy.probe.destination)
            .collect();
        let gateway = chance.any(&strange)?;
        let target = healthy.target();
        return Some(healthy.with(Code::WrongSegment, Place::at(space, &out), |draft| {
            draft.ip(space, format!("route add {target} via {gateway} dev {out} onlink"));
        }));
    }
    let segment = healthy.last_segment()?;
    let involved: Vec<usize> = healthy.way.iter().map(|(space, ..)| *space).collect();
    let elsewhere: Vec<(usize, String)> = healthy
        .draft
        .ends()
        .into_iter()
        .filter(|(node, _)| !involved.contains(node) && !healthy.is_on(*node, segment))
        .map(|(node, end)| (node, end.name))
        .collect();
    let (node, name) = chance.any(&elsewhere)?;
    let nobody = nobody_of(segment, ipv6, 77);
    let (length, nodad) = length(ipv6);
    let (asker, out) = asker(healthy)?;
    let mut fault = healthy.with(Code::WrongSegment, Place::at(asker, out), |draft| {
        draft.ip(node, format!("addr add {nobody}/{length} dev {name}{nodad}"));
    });
    fault.meant = Some(node);
    echo(&mut fault);
    fault.probe.destination = nobody.parse().ok()?;
    Some(fault)
}

/// Somebody else on the destination's segment has its address too.
pub(crate) fn same_address(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let segment = healthy.last_segment()?;
    let owner = healthy.owner_end()?;
    // Whoever comes by another segment asks nobody for the address.
    if healthy.segment(healthy.to, &healthy.into(healthy.to)?) != Some(segment) {
        return None;
    }
    let involved: Vec<usize> = healthy.way.iter().map(|(space, ..)| *space).collect();
    let members = &healthy.draft.segments[segment].members;
    let others: Vec<_> = members.iter().filter(|(node, _)| !involved.contains(node)).copied().collect();
    let (node, end) = chance.any(&others)?;
    let name = healthy.draft.nodes[node].ends[end].name.clone();
    let (length, nodad) = length(healthy.ipv6());
    let fault = healthy.with(Code::DuplicateAddress, Place::at(healthy.to, owner), |draft| {
        draft.ip(node, format!("addr add {}/{length} dev {name}{nodad}", healthy.probe.destination));
    });
    Some(fault.or_at(Place::at(node, name)))
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
    // What is told of is the interface that sends to that MAC.
    let segment = healthy.segment(node, &end)?;
    let sends = healthy.routing().into_iter().find_map(|space| {
        let out = healthy.out_of(space)?;
        (healthy.segment(space, &out) == Some(segment)).then_some((space, out))
    });
    let (sender, by) = sends?;
    let fault = healthy.with(Code::DuplicateMac, Place::at(sender, by), |draft| {
        draft.ip(node, format!("link set {end} address 02:00:00:00:03:02"));
        draft.ip(other, format!("link set {its} address 02:00:00:00:03:02"));
    });
    Some(fault.or_at(Place::at(node, end)).or_at(Place::at(other, its)))
}
