//! A look into a table of IPv4.

use std::cmp::Reverse;
use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use nslab_kernel::route::{NextHop, Route, RouteAction, TABLE_LOCAL, TABLE_MAIN};
use nslab_snapshot::State;

use super::decision::{Decision, Reason, Stop};
use super::devices::is_dead;
use super::flow::Flow;
use super::rules::{self, Asked, Hit, Look, Ruled};
use super::source4;
use super::table::matching;
use crate::Doubt;

/// `RT_TABLE_DEFAULT`.
const TABLE_DEFAULT: u32 = 253;

/// The ways of a route that may be taken.
pub(super) type Hops = Vec<NextHop>;

/// How a table is looked through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct How {
    /// Links without carrier are as good as others (`FIB_LOOKUP_IGNORE_LINKSTATE`).
    pub(super) whatever_carrier: bool,
}

/// Where a packet's route is looked for (`fib_lookup`, `include/net/ip_fib.h`).
pub(super) fn lookup(state: &State, asked: Asked<'_>, how: How) -> Decision<Ruled<Hops>> {
    let by_rules = rules::lookup(state, asked, |table| look(state, &[table], &asked, how));
    if rules::are_custom(state, false) {
        return by_rules;
    }
    // Local and main table are one until the first rule is added (`fib_unmerge`, `net/ipv4/fib_trie.c`), and stay two
    // even when that rule goes.
    let merged = short_cut(state, &asked, how);
    let same = by_rules
        .only()
        .is_some_and(|ruled| ruled.result == merged.result && ruled.reason.route == merged.reason.route);
    if same {
        return by_rules;
    }
    let mut outcomes = vec![merged];
    outcomes.extend(by_rules.outcomes);
    Decision { outcomes, doubts: vec![history()] }.settled()
}

fn short_cut(state: &State, asked: &Asked<'_>, how: How) -> Ruled<Hops> {
    let mut reason = Reason::default();
    for tables in [&[TABLE_LOCAL, TABLE_MAIN][..], &[TABLE_DEFAULT]] {
        let found = look(state, tables, asked, how);
        match found {
            Look::Found(hit) => {
                reason.route = Some(hit.route);
                return Ruled { reason, result: Ok(hit) };
            }
            Look::Refused { route, stop } => {
                reason.route = Some(route);
                return Ruled { reason, result: Err(stop) };
            }
            Look::Thrown { route } => reason.thrown = Some(route),
            Look::Nothing => {}
        }
        reason.searched.extend(tables);
    }
    Ruled { reason, result: Err(Stop::NoRoute) }
}

/// The link by which the local table delivers an address (`__ip_dev_find`, `net/ipv4/devinet.c`); two answers if it is not
/// known whether the main table is one with it.
pub(super) fn local_link(state: &State, asked: &Asked<'_>) -> Decision<Option<IfIndex>> {
    let by = |tables: &[u32]| match look(state, tables, asked, How::default()) {
        Look::Found(hit) if matches!(action(state, hit.route), Some(RouteAction::Local(_))) => hit.link,
        _ => None,
    };
    let mut outcomes = vec![by(&[TABLE_LOCAL])];
    if !rules::are_custom(state, false) {
        outcomes.insert(0, by(&[TABLE_LOCAL, TABLE_MAIN]));
    }
    Decision { outcomes, doubts: vec![history()] }.settled()
}

/// Whether a gateway is an address of the namespace itself, or delivered here by the local table. In the manner of old BSD that
/// says that the destination is on the link, if it was so when the route was made (`fib_check_nh_v4_gw`,
/// `net/ipv4/fib_semantics.c`, gives such a way the scope of a host, and `rt_set_nexthop`, `net/ipv4/route.c`, heeds gateways of
/// scope link alone). The kernel does not tell whether it was.
pub(super) fn is_own_gateway(state: &State, hop: &NextHop) -> bool {
    let Some(via) = hop.via.filter(|via| via.is_ipv4() && !hop.onlink) else { return false };
    let flow = Flow::to(via);
    source4::is_own(state, via)
        || local_link(state, &Asked::new(state, &flow)).outcomes.iter().any(Option::is_some)
}

/// The doubt about [such a gateway](is_own_gateway).
pub(super) fn own_gateway() -> Doubt {
    Doubt::new(
        "whether the gateway was an address of this namespace already when the route was made: then the destination counts \
         as being on the link",
        "add the route anew, without a gateway or with another host's address",
    )
}

/// What is not known of a namespace that has the usual rules alone.
fn history() -> Doubt {
    Doubt::new(
        "whether this namespace ever had a policy rule of its own: a route of the main table that is longer than one of \
         the local table wins only before",
        "send the packet, or add a rule, which settles the order for good",
    )
}

/// What a route does.
pub(super) fn action(state: &State, route: usize) -> Option<&RouteAction> {
    state.network.routes.get(route).map(|route| &route.action)
}

/// Looks through a table, or two that are one (`fib_table_lookup`, `net/ipv4/fib_trie.c`): the longest prefix, of that the
/// highest table, of that the highest type of service, of that the lowest metric.
fn look(state: &State, tables: &[u32], asked: &Asked<'_>, how: How) -> Look<Hops> {
    let destination = asked.flow.destination;
    let mut routes: Vec<(usize, &Route)> =
        tables.iter().flat_map(|&table| matching(state, table, destination)).collect();
    routes.sort_by_key(|(_, route)| {
        (Reverse(route.to.prefix_len()), Reverse(route.table), Reverse(route.tos), route.metric)
    });
    let mut missed: Vec<IpAddr> = Vec::new();
    for (place, route) in routes {
        if missed.contains(&route.to.network()) || route.tos != 0 && route.tos != asked.flow.rt_tos() {
            continue;
        }
        match one(state, place, route, asked, how) {
            // A nexthop object without a usable way ends the search among all routes of that network address, those of
            // shorter prefixes too: they are one leaf of the tree (`miss` in `fib_table_lookup`).
            Look::Nothing if route.nexthop.is_some() => missed.push(route.to.network()),
            Look::Nothing => {}
            look => return look,
        }
    }
    Look::Nothing
}

/// What one route says.
fn one(state: &State, place: usize, route: &Route, asked: &Asked<'_>, how: How) -> Look<Hops> {
    let refused = |stop| Look::Refused { route: place, stop };
    let hops: &[NextHop] = match &route.action {
        RouteAction::Blackhole => return refused(Stop::Blackhole),
        RouteAction::Unreachable => return refused(Stop::Unreachable),
        RouteAction::Prohibit => return refused(Stop::Prohibit),
        RouteAction::Throw => return Look::Thrown { route: place },
        RouteAction::Other(_) => return refused(Stop::UnusableRoute),
        RouteAction::Forward(hops) => hops,
        RouteAction::Local(link)
        | RouteAction::Broadcast(link)
        | RouteAction::Anycast(link)
        | RouteAction::Multicast(link) => &link.map(NextHop::on).into_iter().collect::<Vec<_>>()[..],
    };
    let alive =
        |hop: &&NextHop| hop.link.is_some_and(|link| !is_dead(state, route, link, how.whatever_carrier));
    let asked_for = |link: Option<IfIndex>| asked.oif.is_none() || asked.oif == link;
    let good: Hops = hops.iter().filter(alive).filter(|hop| asked_for(hop.link)).cloned().collect();
    let Some(first) = good.first() else { return Look::Nothing };
    let link = first.link;
    // A socket's interface settles which way it is: the first that leads there (`fib_select_path`).
    let detail = if asked.oif.is_some() { good.into_iter().take(1).collect() } else { good };
    Look::Found(Hit { route: place, length: route.to.prefix_len(), link, detail })
}

/// Whether a default route was found beside which there is another as good, so that the one whose gateway answers is
/// taken (`fib_select_default`, `net/ipv4/fib_semantics.c`).
pub(super) fn rivals(state: &State, place: usize) -> Vec<(usize, Hops)> {
    let Some(found) = state.network.routes.get(place) else { return Vec::new() };
    let is_candidate = |route: &Route| {
        let gateway = match &route.action {
            RouteAction::Forward(hops) => hops.first().and_then(|hop| hop.via),
            _ => None,
        };
        gateway.is_some_and(|via| via.is_ipv4())
    };
    if found.to.prefix_len() != 0 || !is_candidate(found) {
        return Vec::new();
    }
    let any: IpAddr = found.to.addr();
    matching(state, found.table, any)
        .filter(|&(other, route)| {
            other != place
                && route.to == found.to
                && (route.tos, route.metric, route.scope) == (found.tos, found.metric, found.scope)
                && is_candidate(route)
        })
        .filter_map(|(other, route)| match &route.action {
            RouteAction::Forward(hops) => Some((other, hops.iter().take(1).cloned().collect())),
            _ => None,
        })
        .collect()
}
