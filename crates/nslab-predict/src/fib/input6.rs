//! What becomes of an IPv6 packet that comes in.

use std::net::Ipv6Addr;

use nslab_kernel::link::IfIndex;
use nslab_kernel::route::RouteAction;
use nslab_snapshot::State;

use super::arrival::{Arrival, DropReason, Fate};
use super::decision::{Decision, Outcome, Verdict};
use super::flow::Flow;
use super::output6::{is_of_link, outcome, source};
use super::rules::{self, Asked};
use super::table6::{self, Query};

fn dropped(reason: DropReason) -> Decision<Arrival> {
    Decision::certain(Arrival::dropped(reason))
}

/// `ip6_rcv_core` (`net/ipv6/ip6_input.c`), `ip6_route_input` (`net/ipv6/route.c`), `ip6_forward`
/// (`net/ipv6/ip6_output.c`).
pub(super) fn input(state: &State, flow: &Flow, to: Ipv6Addr, link: IfIndex) -> Decision<Arrival> {
    route(state, flow, to, link).then(|arrival| {
        let from = source(flow);
        let forced = state.link(link).and_then(|link| link.ipv6).is_some_and(|own| own.force_forwarding);
        let forwards = state.settings.ipv6_all.forwarding || forced;
        let refused = match arrival.fate {
            Fate::Forward(_) if !forwards => DropReason::ForwardingOff,
            Fate::Forward(_) if from.is_unspecified() || from.is_loopback() => DropReason::ImpossibleSource,
            // A packet of one link is not carried to another.
            Fate::Forward(_) if from.is_unicast_link_local() => DropReason::BeyondScope,
            _ => return Decision::certain(arrival),
        };
        Decision::certain(Arrival { fate: Fate::Drop(refused), ..arrival })
    })
}

/// The route alone, without what `ip6_forward` asks.
pub(super) fn route(state: &State, flow: &Flow, to: Ipv6Addr, link: IfIndex) -> Decision<Arrival> {
    let Some(device) = state.link(link).filter(|link| link.up) else { return dropped(DropReason::LinkDown) };
    if device.ipv6.is_none_or(|ipv6| ipv6.disabled) {
        return dropped(DropReason::ProtocolOff);
    }
    let from = source(flow);
    if !device.loopback && from.is_loopback() {
        return dropped(DropReason::LoopbackSource);
    }
    if !device.loopback && to.is_loopback() {
        return dropped(DropReason::LoopbackDestination);
    }
    // A group of scope 0 is reserved (RFC 4291, section 2.7).
    if to.is_multicast() && matches!(to.octets()[1] & 0xf, 0) {
        return dropped(DropReason::ImpossibleDestination);
    }
    if from.is_multicast() {
        return dropped(DropReason::ImpossibleSource);
    }
    let routed = Flow { source: Some(from.into()), uid: Some(0), ..*flow };
    let asked = Asked::new(state, &routed);
    let query = Query { to, from, link: Some(link), strict: is_of_link(to) };
    rules::lookup(state, asked, |table| table6::look(state, table, query)).then(|ruled| {
        let action = ruled.result.as_ref().ok().and_then(|hit| state.network.routes.get(hit.route));
        let multicast = to.is_multicast()
            || action.is_some_and(|route| matches!(route.action, RouteAction::Multicast(_)));
        let Outcome { verdict, reason } = outcome(state, to, ruled, |_| Some(from));
        let fate = match verdict {
            Verdict::Stop(stop) => Fate::Drop(DropReason::Routing(stop)),
            Verdict::Deliver { link, .. } => Fate::Local { link },
            Verdict::Leave(_) if multicast => Fate::Multicast,
            Verdict::Leave(ways) => {
                Fate::Forward(ways.into_iter().map(|way| super::Way { source: None, ..way }).collect())
            }
        };
        Decision::certain(Arrival { fate, reason })
    })
}
