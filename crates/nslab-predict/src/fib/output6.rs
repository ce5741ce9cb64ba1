//! The way of an IPv6 packet that is made here.

use std::net::{IpAddr, Ipv6Addr};

use nslab_kernel::link::IfIndex;
use nslab_kernel::route::{NextHop, RouteAction};
use nslab_snapshot::State;

use super::ORDER_OF_LINKS;
use super::decision::{Cast, Decision, Outcome, Stop, Verdict, Way};
use super::flow::Flow;
use super::rules::{self, Asked, Ruled};
use super::source6;
use super::table6::{self, Query};
use crate::Doubt;

/// Whether a destination is looked for by the given interface alone (`rt6_need_strict`, `net/ipv6/route.c`).
pub(super) fn is_of_link(to: Ipv6Addr) -> bool {
    to.is_multicast() || to.is_unicast_link_local() || to.is_loopback()
}

/// `ip6_dst_lookup_tail` (`net/ipv6/ip6_output.c`): a packet without a source is looked up without one, gets the source
/// that suits the route, and is looked up again with it if there was no route for it without.
pub(super) fn lookup(state: &State, flow: &Flow, to: Ipv6Addr) -> Decision<Outcome> {
    // The unspecified address is none (`ip6_route_output_flags_noref`).
    let given = flow.source.filter(|source| !source.is_unspecified());
    let bound = flow.oif.is_some() && (flow.bound || given.is_none());
    let strict = is_of_link(to) || bound;
    if let Some(IpAddr::V6(source)) = flow.source {
        return route(state, flow, to, strict)
            .then(|ruled| Decision::certain(outcome(state, to, ruled, |_| Some(source))));
    }
    route(state, flow, to, strict).then(|ruled| {
        let links: Vec<Option<IfIndex>> = match &ruled.result {
            Ok(hit) => hit.detail.iter().map(|hop| hop.link).collect(),
            Err(_) => vec![None],
        };
        let preferred =
            ruled.result.as_ref().ok().and_then(|hit| match state.network.routes.get(hit.route)?.source {
                Some(IpAddr::V6(source)) => Some(source),
                _ => None,
            });
        let sources = |link: Option<IfIndex>| match preferred {
            Some(source) => vec![source],
            None => source6::select(state, link, to),
        };
        let most = links.iter().map(|&link| sources(link).len()).max().unwrap_or(0).max(1);
        let mut joined = Decision { outcomes: Vec::new(), doubts: Vec::new() };
        for place in 0..most {
            let one = |link| {
                let sources = sources(link);
                sources.get(place).or(sources.last()).copied()
            };
            let next = match (&ruled.result, one(None)) {
                (Err(_), Some(source)) => {
                    let flow = Flow { source: Some(source.into()), ..*flow };
                    let again = route(state, &flow, to, is_of_link(to) || flow.oif.is_some());
                    again.then(|ruled| Decision::certain(outcome(state, to, ruled, |_| Some(source))))
                }
                _ => Decision::certain(outcome(state, to, ruled.clone(), one)),
            };
            joined.outcomes.extend(next.outcomes);
            joined.doubts.extend(next.doubts);
        }
        if most > 1 {
            joined.doubts.push(Doubt::new(ORDER_OF_LINKS.0, ORDER_OF_LINKS.1));
        }
        joined.settled()
    })
}

/// `ip6_route_output_flags_noref`, `ip6_pol_route_output` (`net/ipv6/route.c`).
fn route(state: &State, flow: &Flow, to: Ipv6Addr, strict: bool) -> Decision<Ruled<Vec<NextHop>>> {
    let asked = Asked::new(state, flow);
    let query = Query { to, from: source(flow), link: asked.oif, strict };
    rules::lookup(state, asked, |table| table6::look(state, table, query))
}

/// The source, or the unspecified address.
pub(super) fn source(flow: &Flow) -> Ipv6Addr {
    match flow.source {
        Some(IpAddr::V6(source)) => source,
        _ => Ipv6Addr::UNSPECIFIED,
    }
}

/// What the rules came to, carried out.
pub(super) fn outcome(
    state: &State,
    to: Ipv6Addr,
    ruled: Ruled<Vec<NextHop>>,
    source: impl Fn(Option<IfIndex>) -> Option<Ipv6Addr>,
) -> Outcome {
    let Ruled { reason, result } = ruled;
    let stop = |stop| Verdict::Stop(stop);
    let verdict = match result {
        Err(refusal) => stop(refusal),
        Ok(hit) => match state.network.routes.get(hit.route) {
            None => stop(Stop::NoRoute),
            Some(route) => match &route.action {
                RouteAction::Local(link) | RouteAction::Anycast(link) => match source(*link) {
                    Some(source) => Verdict::Deliver { link: *link, source: Some(source.into()) },
                    None => stop(Stop::NoSource),
                },
                action => {
                    let multicast = to.is_multicast() || matches!(action, RouteAction::Multicast(_));
                    let ways = hit.detail.iter().filter_map(|hop| {
                        Some(Way {
                            link: hop.link?,
                            gateway: hop.via,
                            weight: hop.weight,
                            cast: if multicast { Cast::Multicast } else { Cast::Unicast },
                            source: source(hop.link).map(IpAddr::V6),
                            mtu: route.mtu,
                        })
                    });
                    let ways: Vec<Way> = ways.collect();
                    if ways.iter().all(|way| way.source.is_none()) {
                        stop(Stop::NoSource)
                    } else {
                        Verdict::Leave(ways)
                    }
                }
            },
        },
    };
    Outcome { verdict, reason }
}
