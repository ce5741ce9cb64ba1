//! Namespaces that are not the lab's own: what stands in the way there, and what the lab takes out again.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;
use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::route::TABLE_LOCAL;
use nslab_topology::model::{Existing, Route, RouteAction};
use nslab_types::IfName;

use super::Steps;
use super::routing::{is_managed, readable, readable_rule, same_route};
use crate::actual::{Actual, ActualNamespace};
use crate::desired::{Desired, DesiredNamespace};
use crate::joined::is_same_entry;
use crate::plan::{Conflict, NamespaceRef, Op, Step};
use crate::uplink;

/// The step that joins a namespace, unless it has been joined; and all that is in the lab's way there.
pub(super) fn join(place: usize, space: &DesiredNamespace, is: Option<&ActualNamespace>, steps: &mut Steps) {
    if let Some(existing) = &space.existing
        && is.and_then(|is| is.joined.as_ref()).is_none_or(|joined| !joined.pinned)
    {
        let op = Op::JoinNamespace { existing: existing.clone() };
        steps.namespaces.push(Step { namespace: place, op });
    }
    let Some(is) = is else { return };
    let node = &space.reference.node;
    let mut conflict = |name: String, holder: String| steps.conflicts.push(Conflict { name, holder });
    let foreign: HashMap<IfIndex, &Link> =
        is.state.links.iter().filter(|link| !is.owns_link(link)).map(|link| (link.index, link)).collect();
    let mut wanted: HashSet<IpNet> =
        space.links.iter().flat_map(|link| link.addresses.iter().copied()).collect();
    wanted.extend(&space.loopback);
    for shown in &is.state.addresses {
        let Some(link) = foreign.get(&shown.link) else { continue };
        let is_there = wanted.iter().any(|wanted| wanted.addr() == shown.address.addr());
        if is_there && !is.owns_address(link.name, shown.address) {
            conflict(
                format!("the address {} in {node}", shown.address.addr()),
                format!("{} has it, and nslab did not give it", link.name),
            );
        }
    }
    let own: HashSet<IfName> =
        is.state.links.iter().filter(|link| is.owns_link(link)).map(|link| link.name).collect();
    let on_own = |route: &Route| match &route.action {
        RouteAction::Forward(hops) => hops.iter().any(|hop| hop.dev.is_some_and(|dev| own.contains(&dev))),
        _ => false,
    };
    let names = names(is);
    let routes = is.state.routes.iter().filter(|route| route.table != TABLE_LOCAL);
    let routes = routes.filter_map(|route| readable(route, &names));
    for shown in routes.filter(|route| !on_own(route) && !holds_route(is, route)) {
        let other = space.routes.iter().find(|wanted| is_same_entry(wanted, &shown));
        if other.is_some_and(|wanted| !same_route(wanted, &shown)) {
            let to = if shown.to.prefix_len() == 0 { "default".to_owned() } else { shown.to.to_string() };
            conflict(format!("the route to {to} in {node}"), "nslab did not add it".to_owned());
        }
    }
    restore_sysctls(place, is, space, steps);
}

/// Takes what the lab has put into the namespaces that it leaves out of them, but for its cables, which go with all
/// others; then lets go of them. One whose node is another namespace from now on goes before that is joined.
pub(super) fn leave(desired: &Desired, actual: &Actual, steps: &mut Steps) {
    let nothing = DesiredNamespace::nothing();
    for (number, (_, is)) in actual.surplus.iter().enumerate() {
        let Some(joined) = &is.joined else { continue };
        let namespace = desired.namespaces.len() + number;
        let mut remove = |op: Op| steps.remove_routing.push(Step { namespace, op });
        for route in shown_routes(is).filter(|route| holds_route(is, route)) {
            remove(Op::DeleteRoute(route));
        }
        for rule in is.state.rules.iter().filter_map(readable_rule) {
            if joined.holdings.rules.contains(&rule) {
                remove(Op::DeleteRule(rule));
            }
        }
        let own: HashSet<IfIndex> =
            is.state.links.iter().filter(|link| is.owns_link(link)).map(|link| link.index).collect();
        for shown in is.state.addresses.iter().filter(|address| !own.contains(&address.link)) {
            let name = is.state.links.iter().find(|link| link.index == shown.link).map(|link| link.name);
            if let Some(link) = name.filter(|name| is.owns_address(*name, shown.address)) {
                let op = Op::DeleteAddress { link, address: shown.address };
                steps.remove_addresses.push(Step { namespace, op });
            }
        }
        restore_sysctls(namespace, is, &nothing, steps);
        if let Some(before) = is.host_table.clone() {
            let op = Op::ReplaceHostTable { table: None, before: Some(before) };
            steps.remove_routing.push(Step { namespace, op });
        }
    }
}

/// The lab's table on the host.
pub(super) fn table(place: usize, space: &DesiredNamespace, is: Option<&ActualNamespace>, steps: &mut Steps) {
    let Some(table) = space.host_table.clone() else { return };
    let before = is.and_then(|is| is.host_table.clone());
    if !before.as_deref().is_some_and(|before| uplink::same_table(&table, before)) {
        let op = Op::ReplaceHostTable { table: Some(table), before };
        steps.configure.push(Step { namespace: place, op });
    }
}

/// The step that lets go of a namespace.
pub(super) fn let_go(reference: &NamespaceRef, is: &ActualNamespace) -> Op {
    let existing = is.joined.as_ref().and_then(|joined| joined.holdings.existing.clone());
    Op::LeaveNamespace { existing: existing.unwrap_or_else(|| Existing::Netns(reference.name.clone())) }
}

/// Sysctls that the lab set and that the file does not ask for any more get the value back that they were found with.
fn restore_sysctls(namespace: usize, is: &ActualNamespace, space: &DesiredNamespace, steps: &mut Steps) {
    let Some(joined) = &is.joined else { return };
    for (key, value) in &joined.holdings.sysctls {
        let shown = is.sysctls.get(key).cloned().flatten();
        // What another lab needs too it will give back.
        let is_shared = joined.shared.contains(key);
        if is_shared || space.sysctls.iter().any(|wanted| wanted.key == *key) || shown.as_ref() == Some(value)
        {
            continue;
        }
        if let Some(before) = shown {
            let op = Op::SetSysctl {
                key: key.clone(),
                value: value.clone(),
                before: Some(before),
                optional: true,
            };
            steps.remove_routing.push(Step { namespace, op });
        }
    }
}

/// Whether the lab added a route.
pub(super) fn holds_route(is: &ActualNamespace, shown: &Route) -> bool {
    is.joined.as_ref().is_none_or(|joined| joined.holdings.routes.iter().any(|held| same_route(held, shown)))
}

/// Whether the lab added a rule.
pub(super) fn holds_rule(is: &ActualNamespace, shown: &nslab_topology::model::Rule) -> bool {
    is.joined.as_ref().is_none_or(|joined| joined.holdings.rules.contains(shown))
}

fn names(is: &ActualNamespace) -> HashMap<IfIndex, IfName> {
    is.state.links.iter().map(|link| (link.index, link.name)).collect()
}

fn shown_routes(is: &ActualNamespace) -> impl Iterator<Item = Route> {
    let names = names(is);
    is.state.routes.iter().filter(|route| is_managed(route)).filter_map(move |route| readable(route, &names))
}
