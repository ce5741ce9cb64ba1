//! Faults of interfaces.

use nslab_predict::Code;

use super::{Fault, Healthy, Place};
use crate::chance::Chance;
use crate::generate::{Draft, anywhere};
use crate::network::What;
use crate::probe::Kind;

/// Whether a namespace has a route for everything.
fn has_default(draft: &Draft, space: usize, ipv6: bool) -> bool {
    let start = format!("route add {} ", anywhere(ipv6));
    draft
        .lines
        .iter()
        .any(|line| line.space == space && matches!(&line.what, What::Ip(text) if text.starts_with(&start)))
}

/// The interface by which the packet would leave is down.
pub(crate) fn down(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = chance.any(&healthy.routing())?;
    let out = healthy.out_of(space)?;
    // A default route by another interface would be taken instead: then it is no longer this one by which it must leave.
    let only = healthy.draft.nodes[space].ends.len() == 1;
    if !only && has_default(healthy.draft, space, healthy.ipv6()) {
        return None;
    }
    let fault = healthy.with(Code::LinkDown, Place::at(space, &out), |draft| {
        draft.ip(space, format!("link set {out} down"));
    });
    let why = "the kernel forgets the routes by an interface that goes down";
    Some(fault.also(Code::NoRoute, Place::within(space), why))
}

/// The interface of the destination's by which it would come in is down, and hangs on nothing else of its namespace's.
pub(crate) fn entry_down(_: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let into = healthy.into(healthy.to)?;
    let start = format!("name {into} netns @{} type macvlan", healthy.to);
    let is_macvlan =
        |line: &crate::network::Line| matches!(&line.what, What::Ip(text) if text.contains(&start));
    if !into.starts_with("br") && !healthy.draft.lines.iter().any(is_macvlan) {
        return None;
    }
    Some(healthy.with(Code::LinkDown, Place::at(healthy.to, &into), |draft| {
        draft.ip(healthy.to, format!("link set {into} down"));
    }))
}

pub(crate) fn loopback_down(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let from = healthy.probe.from;
    let own = chance.pick(&healthy.draft.nodes[from].ends).address(healthy.ipv6());
    let mut fault = healthy.with(Code::LoopbackDown, Place::at(from, "lo"), |draft| {
        draft.lines.retain(|line| {
            line.space != from || !matches!(&line.what, What::Ip(text) if text == "link set lo up")
        });
    });
    fault.probe.destination = own;
    fault.meant = Some(from);
    fault.probe.what = Kind::Echo;
    fault.probe.size = 84;
    Some(fault)
}

/// The other end of a cable is down, by which the packet must leave.
pub(crate) fn no_carrier(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let pairs: Vec<_> = healthy
        .way
        .windows(2)
        .filter(|pair| pair[0].2 && !pair[1].2 && pair[0].0 != pair[1].0)
        .map(|pair| ((pair[0].0, pair[0].1.clone()), (pair[1].0, pair[1].1.clone())))
        .collect();
    let ((near, its), (space, name)) = chance.any(&pairs)?;
    // Of a macvlan the other end is no cable's.
    let is_cable = healthy.draft.lines.iter().any(|line| {
        matches!(&line.what, What::Ip(text) if text.contains("type veth")
            && (text.ends_with(&format!("peer name {name} netns @{space}"))
                || line.space == space && text.starts_with(&format!("link add {name} "))))
    });
    if !is_cable {
        return None;
    }
    let fault = healthy.with(Code::NoCarrier, Place::at(near, &its), |draft| {
        draft.ip(space, format!("link set {name} down"));
    });
    // Without any other port its bridge has none either, and that is what a packet of its own namespace's meets.
    let bridge = healthy.draft.nodes[near].ports.iter().find(|(port, ..)| *port == its);
    let bridge = bridge.map(|(_, bridge, _)| Place::at(near, bridge));
    Some(bridge.into_iter().fold(fault, Fault::or_at))
}

/// What a macvlan is on is down, by which the packet must leave.
pub(crate) fn lower_down(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let macvlans: Vec<_> = healthy
        .routing()
        .into_iter()
        .filter_map(|space| {
            let out = healthy.out_of(space)?;
            let part = format!("name {out} netns @{space} type macvlan");
            let is_its =
                |line: &&crate::network::Line| matches!(&line.what, What::Ip(text) if text.contains(&part));
            let line = healthy.draft.lines.iter().find(is_its)?;
            Some((space, out, line.space))
        })
        .collect();
    let (space, out, lower) = chance.any(&macvlans)?;
    Some(healthy.with(Code::NoCarrier, Place::at(space, out), |draft| draft.ip(lower, "link set low down")))
}

/// A queueing discipline drops all that is sent.
pub(crate) fn queue(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let sent: Vec<(usize, String)> = healthy
        .way
        .iter()
        .filter(|(.., sent)| *sent)
        .map(|(space, name, _)| (*space, name.clone()))
        .collect();
    let (space, name) = chance.any(&sent)?;
    Some(healthy.with(Code::TcDrop, Place::at(space, &name), |draft| {
        draft.tc(space, format!("qdisc add dev {name} root blackhole"));
    }))
}
