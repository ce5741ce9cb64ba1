//! Routes, rules and neighbours.

use std::collections::{HashMap, HashSet};

use nslab_kernel::link::IfIndex;
use nslab_kernel::route as kernel;
use nslab_kernel::rule as kernel_rule;
use nslab_topology::model::{NextHop, Route, RouteAction, Rule, RuleAction};
use nslab_types::IfName;

use super::Steps;
use super::joined::{holds_route, holds_rule};
use crate::actual::ActualNamespace;
use crate::desired::DesiredNamespace;
use crate::plan::{Op, Step};

/// `NUD_PERMANENT` (`include/uapi/linux/neighbour.h`).
const PERMANENT: u16 = 0x80;
/// The priorities of the rules that every namespace has (`fib_default_rules_init`), IPv6 without the last.
const DEFAULT_PRIORITIES: [u32; 3] = [0, 32766, 32767];
/// The metric that the kernel gives an IPv6 route without one (`IP6_RT_PRIO_USER`, `include/net/ip6_route.h`).
const DEFAULT_METRIC_IPV6: u32 = 1024;

/// Finds the steps; `kept` are the interfaces that stay.
pub(super) fn diff(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    kept: &HashSet<IfName>,
    steps: &mut Steps,
) {
    let names: HashMap<IfIndex, IfName> =
        is.into_iter().flat_map(|is| &is.state.links).map(|link| (link.index, link.name)).collect();
    routes(place, space, is, &names, kept, steps);
    // The kernel looks for a gateway by the rules (`fib_check_nh_v4_gw`, net/ipv4/fib_semantics.c), some of which may drop
    // what looks so. Without them it is found: a gateway is on a subnet.
    rules(place, space, is, steps);
    neighbours(place, space, is, &names, kept, steps);
}

fn routes(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    names: &HashMap<IfIndex, IfName>,
    kept: &HashSet<IfName>,
    steps: &mut Steps,
) {
    let shown: Vec<Route> = is
        .into_iter()
        .flat_map(|is| &is.state.routes)
        .filter(|route| is_managed(route))
        .filter_map(|route| readable(route, names))
        .collect();
    // A namespace's foreign interfaces have routes of their own, which are not ours to take.
    let foreign: HashSet<IfName> = is
        .into_iter()
        .flat_map(|is| &is.state.links)
        .filter(|link| is.is_some_and(|is| !is.owns_link(link)) && !link.loopback)
        .map(|link| link.name)
        .collect();
    let joined = is.filter(|is| is.joined.is_some());
    let devices = |route: &Route| match &route.action {
        RouteAction::Forward(hops) => hops.iter().filter_map(|hop| hop.dev).collect(),
        _ => Vec::new(),
    };
    let is_ours = |route: &&Route| {
        let devices = devices(route);
        let on_foreign = devices.iter().any(|dev| foreign.contains(dev));
        match joined {
            // In a namespace that is not the lab's own, only what it added, and what is on its own interfaces.
            Some(is) => {
                let on_own = !devices.is_empty() && !on_foreign && !devices.contains(&IfName::LOOPBACK);
                on_own || holds_route(is, route)
            }
            None => !on_foreign,
        }
    };
    let (ours, others): (Vec<&Route>, Vec<&Route>) = shown.iter().partition(is_ours);
    // A route over an interface that goes cannot be the one that is wanted, also if that interface is made anew; it is
    // taken away, as the interface may go only after the wanted one has come.
    let stays = |route: &&Route| {
        devices(route)
            .iter()
            .all(|dev| *dev == IfName::LOOPBACK || foreign.contains(dev) || kept.contains(dev))
    };
    let (mut unclaimed, going): (Vec<&Route>, Vec<&Route>) = ours.into_iter().partition(stays);
    let mut missing = Vec::new();
    for wanted in &space.routes {
        match unclaimed.iter().position(|shown| same_route(wanted, shown)) {
            Some(found) => {
                unclaimed.swap_remove(found);
            }
            // What somebody else added and the lab wants too is left alone, now and later.
            None if joined.is_some() && others.iter().any(|shown| same_route(wanted, shown)) => {}
            None => missing.push(wanted.clone()),
        }
    }
    unclaimed.extend(going);
    unclaimed.sort();
    for route in unclaimed {
        steps.remove_routing.push(Step { namespace: place, op: Op::DeleteRoute(route.clone()) });
    }
    for route in missing {
        steps.configure.push(Step { namespace: place, op: Op::AddRoute(route) });
    }
}

/// Routes that people and nslab add; not the kernel's own, and not those of routing daemons and DHCP clients.
pub(super) fn is_managed(route: &kernel::Route) -> bool {
    matches!(route.protocol, kernel::PROTOCOL_BOOT | kernel::PROTOCOL_STATIC)
        && route.table != kernel::TABLE_LOCAL
}

/// A kernel's route in the lab file's terms; `None` for what the lab file cannot say.
pub(super) fn readable(route: &kernel::Route, names: &HashMap<IfIndex, IfName>) -> Option<Route> {
    let action = match &route.action {
        kernel::RouteAction::Forward(hops) => RouteAction::Forward(
            hops.iter()
                .map(|hop| NextHop {
                    via: hop.via,
                    dev: hop.link.and_then(|index| names.get(&index).copied()),
                    weight: hop.weight.max(1),
                    onlink: hop.onlink,
                })
                .collect(),
        ),
        kernel::RouteAction::Blackhole => RouteAction::Blackhole,
        kernel::RouteAction::Unreachable => RouteAction::Unreachable,
        kernel::RouteAction::Prohibit => RouteAction::Prohibit,
        kernel::RouteAction::Throw => RouteAction::Throw,
        _ => return None,
    };
    Some(Route {
        to: route.to,
        action,
        metric: Some(route.metric),
        table: route.table,
        source: route.source,
        mtu: route.mtu,
        derived: false,
    })
}

pub(super) fn same_route(wanted: &Route, shown: &Route) -> bool {
    let default_metric = if wanted.to.addr().is_ipv6() { DEFAULT_METRIC_IPV6 } else { 0 };
    let metric = |route: &Route| match route.metric {
        None | Some(0) => default_metric,
        Some(metric) => metric,
    };
    let same_action = match (&wanted.action, &shown.action) {
        (RouteAction::Forward(wanted), RouteAction::Forward(shown)) => same_hops(wanted, shown),
        (wanted, shown) => wanted == shown,
    };
    same_action
        && wanted.to == shown.to
        && metric(wanted) == metric(shown)
        && wanted.table == shown.table
        && wanted.source == shown.source
        && wanted.mtu == shown.mtu
}

/// Next hops are a set; where the lab file leaves the interface to the kernel, any will do.
fn same_hops(wanted: &[NextHop], shown: &[NextHop]) -> bool {
    let same = |wanted: &NextHop, shown: &NextHop| {
        wanted.via == shown.via
            && (wanted.dev.is_none() || wanted.dev == shown.dev)
            && wanted.onlink == shown.onlink
            && (wanted.weight == shown.weight)
    };
    // The weight of an only next hop means nothing and is not kept.
    if let ([wanted], [shown]) = (wanted, shown) {
        return same(&NextHop { weight: 1, ..wanted.clone() }, &NextHop { weight: 1, ..shown.clone() });
    }
    let mut left: Vec<&NextHop> = shown.iter().collect();
    wanted.len() == shown.len()
        && wanted.iter().all(|wanted| {
            left.iter().position(|shown| same(wanted, shown)).map(|found| left.swap_remove(found)).is_some()
        })
}

fn rules(place: usize, space: &DesiredNamespace, is: Option<&ActualNamespace>, steps: &mut Steps) {
    let mut unclaimed: Vec<Rule> = is
        .into_iter()
        .flat_map(|is| &is.state.rules)
        .filter(|rule| !DEFAULT_PRIORITIES.contains(&rule.priority))
        .filter(|rule| matches!(rule.protocol, 0 | kernel::PROTOCOL_BOOT | kernel::PROTOCOL_STATIC))
        .filter_map(readable_rule)
        .collect();
    let mut missing = Vec::new();
    for wanted in &space.rules {
        match unclaimed.iter().position(|shown| shown == wanted) {
            Some(found) => {
                unclaimed.swap_remove(found);
            }
            None => missing.push(wanted.clone()),
        }
    }
    unclaimed.retain(|rule| is.is_some_and(|is| holds_rule(is, rule)));
    unclaimed.sort();
    steps
        .remove_routing
        .extend(unclaimed.into_iter().map(|rule| Step { namespace: place, op: Op::DeleteRule(rule) }));
    steps.configure.extend(missing.into_iter().map(|rule| Step { namespace: place, op: Op::AddRule(rule) }));
}

/// A kernel's rule in the lab file's terms; `None` for what the lab file cannot say, which stays.
pub(super) fn readable_rule(rule: &kernel_rule::Rule) -> Option<Rule> {
    let action = match rule.action {
        kernel_rule::RuleAction::Table(table) => RuleAction::Table(table),
        kernel_rule::RuleAction::Blackhole => RuleAction::Blackhole,
        kernel_rule::RuleAction::Unreachable => RuleAction::Unreachable,
        kernel_rule::RuleAction::Prohibit => RuleAction::Prohibit,
        _ => return None,
    };
    let told = kernel_rule::Rule {
        from: rule.from,
        to: rule.to,
        iif: rule.iif,
        oif: rule.oif,
        fwmark: rule.fwmark,
        protocol: rule.protocol,
        ..kernel_rule::Rule::new(rule.ipv6, rule.priority, rule.action)
    };
    (told == *rule).then_some(Rule {
        priority: rule.priority,
        ipv6: rule.ipv6,
        from: rule.from,
        to: rule.to,
        iif: rule.iif,
        oif: rule.oif,
        fwmark: rule.fwmark,
        action,
    })
}

fn neighbours(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    names: &HashMap<IfIndex, IfName>,
    kept: &HashSet<IfName>,
    steps: &mut Steps,
) {
    let permanent: HashMap<_, _> = is
        .into_iter()
        .flat_map(|is| &is.state.neighbours)
        .filter(|entry| entry.state & PERMANENT != 0 && !entry.proxy)
        .filter_map(|entry| Some(((*names.get(&entry.link)?, entry.address), entry.mac?)))
        .filter(|((link, _), _)| kept.contains(link))
        .collect();
    for wanted in &space.neighbours {
        let before = permanent.get(&(wanted.dev, wanted.address)).copied();
        if before != Some(wanted.mac) {
            let op = Op::SetNeighbour { link: wanted.dev, address: wanted.address, mac: wanted.mac, before };
            steps.configure.push(Step { namespace: place, op });
        }
    }
    let wanted: HashSet<_> = space.neighbours.iter().map(|entry| (entry.dev, entry.address)).collect();
    let mut surplus: Vec<_> = permanent.into_iter().filter(|(key, _)| !wanted.contains(key)).collect();
    surplus.sort();
    for ((link, address), mac) in surplus {
        let op = Op::DeleteNeighbour { link, address, mac };
        steps.remove_routing.push(Step { namespace: place, op });
    }
}
