//! A look into a table of IPv6.

use std::net::{IpAddr, Ipv6Addr};

use nslab_kernel::link::IfIndex;
use nslab_kernel::route::{NextHop, Preference, Route, RouteAction};
use nslab_snapshot::State;

use super::decision::Stop;
use super::devices::{is_dead, loopback};
use super::rules::{Hit, Look};
use super::table::matching;

/// `NUD_FAILED` (`include/uapi/linux/neighbour.h`).
const FAILED: u16 = 0x20;

/// What a look is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) to: Ipv6Addr,
    /// Unspecified if there is none yet.
    pub(super) from: Ipv6Addr,
    /// The interface that routes by it are preferred for.
    pub(super) link: Option<IfIndex>,
    /// Other routes are none (`RT6_LOOKUP_F_IFACE`).
    pub(super) strict: bool,
}

/// Of one node of the tree: a route's way, with the route's place.
#[derive(Debug, Clone)]
struct Entry<'a> {
    place: usize,
    route: &'a Route,
    hop: NextHop,
}

/// Looks through a table (`fib6_table_lookup`, `net/ipv6/route.c`): the longest prefix, of that the longest source, in
/// which there is a usable route. A host that does not forward passes over gateways that do not answer, unless that
/// leaves it without a route.
pub(super) fn look(state: &State, table: u32, query: Query) -> Look<Vec<NextHop>> {
    let nodes = nodes(state, table, query);
    let careful = !state.settings.ipv6_all.forwarding;
    let passes: &[bool] = if careful { &[true, false] } else { &[false] };
    for &reachable in passes {
        for node in &nodes {
            if let Some(best) = select(state, node, query, reachable) {
                return answer(state, node, best, query, careful);
            }
        }
    }
    Look::Nothing
}

/// The routes that match, those of one destination and source together.
fn nodes(state: &State, table: u32, query: Query) -> Vec<Vec<Entry<'_>>> {
    let lo = loopback(state).map(|link| link.index);
    let mut routes: Vec<(usize, &Route)> = matching(state, table, IpAddr::V6(query.to))
        .filter(|(_, route)| route.from.is_none_or(|from| from.contains(&IpAddr::V6(query.from))))
        .collect();
    let source = |route: &Route| route.from.map_or(0, |from| from.prefix_len());
    routes.sort_by_key(|(_, route)| std::cmp::Reverse((route.to.prefix_len(), source(route))));
    let mut nodes: Vec<Vec<Entry<'_>>> = Vec::new();
    for (place, route) in routes {
        let hops = match &route.action {
            RouteAction::Forward(hops) => hops.clone(),
            RouteAction::Local(link) | RouteAction::Anycast(link) | RouteAction::Multicast(link) => {
                link.map(NextHop::on).into_iter().collect()
            }
            // Routes that refuse lead to lo.
            _ => lo.map(NextHop::on).into_iter().collect(),
        };
        let entries = hops.into_iter().map(|hop| Entry { place, route, hop });
        match nodes.last_mut() {
            Some(node)
                if node.first().is_some_and(|first| {
                    first.route.to == route.to && source(first.route) == source(route)
                }) =>
            {
                node.extend(entries);
            }
            _ => nodes.push(entries.collect()),
        }
    }
    // Where routes of some source stand beside those of any, the latter are not what a look begins with, even if the source
    // is none of them (`fib6_node_lookup_1`, `net/ipv6/ip6_fib.c`).
    let parted = |to| {
        let mut all = state.network.routes.iter().filter(|route| route.table == table);
        all.any(|route| route.to == to && route.from.is_some_and(|from| from.prefix_len() > 0))
    };
    let begins = |node: &Vec<Entry<'_>>| {
        node.first().is_some_and(|first| source(first.route) > 0 || !parted(first.route.to))
    };
    let first = nodes.iter().position(begins).unwrap_or(nodes.len());
    nodes.drain(..first);
    nodes
}

/// The best way of a node (`rt6_select`, `find_rr_leaf`): of the lowest metric with a usable one, or else of all others
/// together, the one of the highest score, and of equal ones the first.
fn select(state: &State, node: &[Entry<'_>], query: Query, reachable: bool) -> Option<usize> {
    let metric = node.first()?.route.metric;
    let best = |entries: std::ops::Range<usize>| {
        let mut best: Option<(u8, usize)> = None;
        for place in entries {
            let score = score(state, &node[place], query, reachable);
            if let Some(score) = score.filter(|&score| best.is_none_or(|(highest, _)| score > highest)) {
                best = Some((score, place));
            }
        }
        best.map(|(_, place)| place)
    };
    let first = node.iter().take_while(|entry| entry.route.metric == metric).count();
    best(0..first).or_else(|| best(first..node.len()))
}

/// How good a way is, none if it is not to be used (`find_match`, `rt6_score_route`).
fn score(state: &State, entry: &Entry<'_>, query: Query, reachable: bool) -> Option<u8> {
    let link = entry.hop.link?;
    if is_dead(state, entry.route, link, false) {
        return None;
    }
    let wanted = query.link.is_none_or(|wanted| wanted == link);
    if query.strict && !wanted {
        return None;
    }
    let silent = |via: IpAddr| {
        let mut neighbours = state.network.neighbours.iter();
        neighbours.any(|known| known.link == link && known.address == via && known.state & FAILED != 0)
    };
    if reachable && entry.hop.via.is_some_and(silent) {
        return None;
    }
    let preference = match entry.route.preference {
        Preference::Low => 1,
        Preference::Medium => 2,
        Preference::High => 3,
    };
    Some(preference << 2 | if wanted { 2 } else { 0 })
}

/// What was found, with all the ways between which a hash decides (`fib6_select_path`).
fn answer(state: &State, node: &[Entry<'_>], best: usize, query: Query, careful: bool) -> Look<Vec<NextHop>> {
    let Entry { place, route, hop } = &node[best];
    let refused = |stop| Look::Refused { route: *place, stop };
    match &route.action {
        RouteAction::Blackhole => return refused(Stop::Blackhole),
        RouteAction::Unreachable => return refused(Stop::Unreachable),
        RouteAction::Prohibit => return refused(Stop::Prohibit),
        RouteAction::Throw => return Look::Thrown { route: *place },
        RouteAction::Other(_) | RouteAction::Broadcast(_) => return refused(Stop::UnusableRoute),
        // Nothing is sent to by lo but its own address (`fib6_is_reject`, `include/net/ip6_fib.h`).
        RouteAction::Forward(_)
            if hop.link.and_then(|link| state.link(link)).is_some_and(|link| link.loopback)
                && route.to.addr() != IpAddr::V6(Ipv6Addr::LOCALHOST) =>
        {
            return refused(Stop::LoopbackRoute);
        }
        _ => {}
    }
    // A nexthop object's members are chosen from without a look at the interface.
    let free = Query { link: None, strict: false, ..query };
    let (query, careful) = if route.nexthop.is_some() { (free, false) } else { (query, careful) };
    let siblings = node.iter().filter(|entry| entry.place == *place);
    let mut hops: Vec<NextHop> = siblings
        .filter(|entry| score(state, entry, query, careful).is_some())
        .map(|entry| entry.hop.clone())
        .collect();
    if !hops.contains(hop) {
        hops.insert(0, hop.clone());
    }
    Look::Found(Hit { route: *place, length: route.to.prefix_len(), link: hop.link, detail: hops })
}
