//! What becomes of an IPv4 packet that comes in.

use std::net::{IpAddr, Ipv4Addr};

use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::route::{NextHop, RouteAction};
use nslab_snapshot::State;

use super::arrival::{Arrival, DropReason, Fate};
use super::decision::{Cast, Decision, Reason, Way};
use super::devices::vrf_of;
use super::flow::Flow;
use super::output4::{IGMP, is_zeronet};
use super::rules::{Asked, Ruled};
use super::table4::{self, Hops, How};
use super::validate;
use crate::{Doubt, Truth};

fn dropped(reason: DropReason) -> Decision<Arrival> {
    Decision::certain(Arrival::dropped(reason))
}

/// `ip_route_input_rcu`, `ip_route_input_slow` (`net/ipv4/route.c`).
pub(super) fn input(state: &State, flow: &Flow, to: Ipv4Addr, link: IfIndex) -> Decision<Arrival> {
    let Some(device) = state.link(link).filter(|link| link.up) else { return dropped(DropReason::LinkDown) };
    let Some(settings) = device.ipv4 else { return dropped(DropReason::ProtocolOff) };
    let source = match flow.source {
        Some(IpAddr::V4(source)) => source,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    if to.is_multicast() {
        return group(state, flow, device, source, to);
    }
    if source.is_multicast() || source.is_broadcast() {
        return dropped(DropReason::ImpossibleSource);
    }
    if to.is_broadcast() || source.is_unspecified() && to.is_unspecified() {
        return broadcast(state, flow, device, source, Reason::default());
    }
    if is_zeronet(source) {
        return dropped(DropReason::ImpossibleSource);
    }
    if is_zeronet(to) {
        return dropped(DropReason::ImpossibleDestination);
    }
    let localnet = settings.route_localnet || state.settings.ipv4_all.route_localnet;
    if to.is_loopback() && !localnet {
        return dropped(DropReason::LoopbackDestination);
    }
    if !to.is_loopback() && source.is_loopback() && !localnet {
        return dropped(DropReason::LoopbackSource);
    }
    let routed = Flow { source: Some(source.into()), uid: Some(0), ..*flow };
    let asked = Asked::new(state, &routed);
    table4::lookup(state, asked, How::default())
        .then(|ruled| found(state, &routed, device, source, to, ruled))
}

/// What the route that was found means.
fn found(
    state: &State,
    flow: &Flow,
    device: &Link,
    source: Ipv4Addr,
    to: Ipv4Addr,
    ruled: Ruled<Hops>,
) -> Decision<Arrival> {
    let Ruled { reason, result } = ruled;
    let settings = device.ipv4.unwrap_or_default();
    let drop = |why: DropReason| Decision::certain(Arrival { fate: Fate::Drop(why), reason: reason.clone() });
    let hit = match result {
        Ok(hit) => hit,
        // What cannot be forwarded anyhow is told so.
        Err(_) if !settings.forwarding => return drop(DropReason::ForwardingOff),
        Err(stop) => return drop(DropReason::Routing(stop)),
    };
    let action = table4::action(state, hit.route);
    match action {
        Some(RouteAction::Broadcast(_)) => {
            if !(settings.bc_forwarding && state.settings.ipv4_all.bc_forwarding) {
                return broadcast(state, flow, device, source, reason);
            }
        }
        Some(RouteAction::Local(link)) => {
            let fate = Fate::Local { link: *link };
            return valid(state, flow, device, to, None, &Arrival { fate, reason });
        }
        _ if !settings.forwarding => return drop(DropReason::ForwardingOff),
        Some(RouteAction::Forward(_)) => {}
        _ => return drop(DropReason::ImpossibleDestination),
    }
    // `ip_mkroute_input`: the source is checked for the way that is taken.
    let mtu = state.network.routes.get(hit.route).and_then(|route| route.mtu);
    let way = |link, hop: &NextHop, own: bool| Way {
        link,
        gateway: hop.via.filter(|_| !(own && table4::is_own_gateway(state, hop))),
        weight: hop.weight,
        cast: if matches!(action, Some(RouteAction::Broadcast(_))) { Cast::Broadcast } else { Cast::Unicast },
        source: None,
        mtu,
    };
    let ways = |own: bool| -> Vec<Way> {
        hit.detail.iter().filter_map(|hop| Some(way(hop.link?, hop, own))).collect()
    };
    let mut joined = forwarded(state, flow, device, to, &reason, ways(true));
    if hit.detail.iter().any(|hop| table4::is_own_gateway(state, hop)) {
        joined.outcomes.extend(forwarded(state, flow, device, to, &reason, ways(false)).outcomes);
        joined.doubts.push(table4::own_gateway());
    }
    joined.settled()
}

/// By those of the ways for which the source passes (`ip_mkroute_input`).
fn forwarded(
    state: &State,
    flow: &Flow,
    device: &Link,
    to: Ipv4Addr,
    reason: &Reason,
    ways: Vec<Way>,
) -> Decision<Arrival> {
    let mut joined = Decision { outcomes: Vec::new(), doubts: Vec::new() };
    let mut passing: Vec<Way> = Vec::new();
    let mut checks: Vec<(IfIndex, Decision<Arrival>)> = Vec::new();
    for way in ways {
        let arrival = Arrival { fate: Fate::Forward(vec![way.clone()]), reason: reason.clone() };
        let known = checks.iter().position(|(link, _)| *link == way.link).unwrap_or_else(|| {
            checks.push((way.link, valid(state, flow, device, to, Some(way.link), &arrival)));
            checks.len() - 1
        });
        let (_, checked) = &checks[known];
        if checked.only().is_some_and(|checked| matches!(checked.fate, Fate::Forward(_))) {
            passing.push(way);
        } else {
            let by_this = checked.outcomes.iter().map(|outcome| match outcome.fate {
                Fate::Forward(_) => arrival.clone(),
                _ => outcome.clone(),
            });
            joined.outcomes.extend(by_this);
            joined.doubts.extend(checked.doubts.iter().cloned());
        }
    }
    if !passing.is_empty() {
        let arrival = Arrival { fate: Fate::Forward(passing), reason: reason.clone() };
        joined.outcomes.insert(0, arrival);
    }
    if joined.doubts.is_empty() {
        joined.doubts.push(crate::Doubt::new(
            "which of the route's ways the packet's hash chooses: its source passes for some of them only",
            "send the packet",
        ));
    }
    joined.settled()
}

/// The arrival, if the source is one that may come by the link.
fn valid(
    state: &State,
    flow: &Flow,
    device: &Link,
    to: Ipv4Addr,
    out: Option<IfIndex>,
    arrival: &Arrival,
) -> Decision<Arrival> {
    validate::source(state, flow, device, to, out).then(|validity| {
        Decision::certain(match validity {
            Ok(()) => arrival.clone(),
            Err(why) => Arrival { fate: Fate::Drop(why), ..arrival.clone() },
        })
    })
}

/// `brd_input` of `ip_route_input_slow`.
fn broadcast(
    state: &State,
    flow: &Flow,
    device: &Link,
    source: Ipv4Addr,
    reason: Reason,
) -> Decision<Arrival> {
    let arrival = Arrival { fate: Fate::Broadcast, reason };
    if is_zeronet(source) {
        return Decision::certain(arrival);
    }
    valid(state, flow, device, Ipv4Addr::UNSPECIFIED, None, &arrival)
}

/// `ip_route_input_rcu`, `ip_route_input_mc`, `ip_mc_validate_source`.
fn group(state: &State, flow: &Flow, device: &Link, source: Ipv4Addr, to: Ipv4Addr) -> Decision<Arrival> {
    let listens = listens(state, device, to);
    if listens == Truth::No {
        return dropped(DropReason::NoMember);
    }
    if source.is_multicast() || source.is_broadcast() {
        return dropped(DropReason::ImpossibleSource);
    }
    let localnet =
        device.ipv4.is_some_and(|own| own.route_localnet) || state.settings.ipv4_all.route_localnet;
    if source.is_loopback() && !localnet {
        return dropped(DropReason::LoopbackSource);
    }
    let arrival = Arrival { fate: Fate::Multicast, reason: Reason::default() };
    let mut decision = if is_zeronet(source) {
        let local = to.octets()[..3] == [224, 0, 0];
        if !local && flow.protocol != IGMP {
            return dropped(DropReason::ImpossibleSource);
        }
        Decision::certain(arrival)
    } else {
        valid(state, flow, device, Ipv4Addr::UNSPECIFIED, None, &arrival)
    };
    if let Truth::Unknown(doubt) = listens {
        decision.outcomes.push(Arrival::dropped(DropReason::NoMember));
        decision.doubts.push(doubt);
    }
    decision.settled()
}

/// Whether a group is taken at an interface (`ip_check_mc_rcu`, `net/ipv4/igmp.c`): by a member, at the interface's VRF too,
/// or to be routed on. Every interface is in 224.0.0.1.
fn listens(state: &State, device: &Link, to: Ipv4Addr) -> Truth {
    if to == Ipv4Addr::new(224, 0, 0, 1) {
        return Truth::Yes;
    }
    let vrf = vrf_of(state, device.index).map(|vrf| vrf.index);
    let unknown = || {
        Truth::Unknown(Doubt::new(
            format!("whether anybody in the namespace listens to the group {to} by {}", device.name),
            format!("look at ip maddress show dev {}", device.name),
        ))
    };
    let Some(groups) = &state.groups else { return unknown() };
    let mut own = groups
        .iter()
        .filter(|own| own.group == IpAddr::V4(to) && (own.link == device.index || Some(own.link) == vrf));
    match own.next() {
        Some(own) if own.by_source => unknown(),
        Some(_) => Truth::Yes,
        // Those of the link are never routed.
        None if to.octets()[..3] == [224, 0, 0] || state.settings.routes_groups == Some(false) => Truth::No,
        None => unknown(),
    }
}
