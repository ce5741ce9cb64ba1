//! Routes: to where none leads, and past those that lead nowhere.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::link::IfIndex;
use nslab_kernel::route::{NextHop, Route, RouteAction};
use nslab_kernel::rule::RuleAction;
use nslab_snapshot::State;

use super::super::change::{Change, free_address};
use super::{Case, Proposal};
use crate::l2::Port;
use crate::{Code, Evidence};

/// A way to somewhere.
struct Way {
    /// How good it looks: the lower the better.
    rank: u8,
    hop: NextHop,
}

impl Case<'_> {
    /// The address that no route leads to, where the packet stops.
    fn target(&self) -> IpAddr {
        match &self.cause.evidence {
            Evidence::NoRoute(to) => *to,
            _ if self.cause.code == Code::NoReturnRoute => self.prediction.packet.ip.source,
            _ => self.packet.ip.destination,
        }
    }

    /// Routes to the target, at the namespace of the cause; and an address there, where it has none.
    pub(super) fn routes(&self) -> Vec<Proposal> {
        let target = self.target();
        let mut all = self.ways_to(self.cause.namespace, target);
        // Somebody in a loop may know better.
        if self.cause.code == Code::TtlExpired {
            let mut places: Vec<usize> = self.prediction.hops.iter().map(|hop| hop.namespace).collect();
            places.sort_unstable();
            places.dedup();
            for &place in places.iter().filter(|&&place| place != self.cause.namespace) {
                all.extend(self.ways_to(place, target));
            }
            for place in places {
                all.extend(self.without_routes(place, target));
            }
        }
        for (at, _) in self.links(self.cause.namespace) {
            let is_near = |net: &IpNet| {
                self.others(at)
                    .into_iter()
                    .any(|other| self.addresses(other, target).any(|own| own.address == *net))
            };
            let nets = self.owners(target).into_iter().map(|(_, net)| net).filter(is_near);
            let free = nets.filter_map(|net| free_address(self.snapshot(), net));
            all.extend(free.map(|free| vec![Change::AddAddress(at, free)]));
        }
        // Without any address there is no gateway either.
        let has_some =
            |(at, _): &(Port, &nslab_kernel::link::Link)| self.addresses(*at, target).next().is_some();
        if !self.links(self.cause.namespace).iter().any(has_some) {
            all.extend(self.source_address());
            all.extend(self.beginnings(target));
        }
        all
    }

    /// An address on a segment and a route by somebody there, for a namespace that has neither.
    fn beginnings(&self, target: IpAddr) -> Vec<Proposal> {
        let place = self.cause.namespace;
        let to = self.subnet(target);
        let mut all = Vec::new();
        for (at, _) in self.links(place).into_iter().filter(|(_, link)| link.up) {
            for other in self.others(at) {
                let rank = self.distance(other.namespace, target);
                for known in self.addresses(other, target) {
                    let hop = NextHop { link: Some(at.link), ..NextHop::via(known.address.addr()) };
                    let route = Route::new(to, RouteAction::Forward(vec![hop]));
                    let free = free_address(self.snapshot(), known.address);
                    let changes =
                        |free| vec![Change::AddAddress(at, free), Change::AddRoute(place, route.clone())];
                    all.extend(free.map(|free| (rank, changes(free))));
                }
            }
        }
        all.sort_by_key(|(rank, _)| *rank);
        all.into_iter().map(|(_, proposal)| proposal).collect()
    }

    /// A namespace loses its most specific route to an address.
    fn without_routes(&self, namespace: usize, target: IpAddr) -> Option<Proposal> {
        let routes = &self.state(namespace)?.network.routes;
        let leads = routes.iter().filter(|route| {
            let by_gateway = match &route.action {
                RouteAction::Forward(hops) => hops.iter().all(|hop| hop.via.is_some()),
                _ => false,
            };
            by_gateway && route.to.contains(&target)
        });
        let route = leads.max_by_key(|route| route.to.prefix_len())?;
        Some(vec![Change::DeleteRoute(namespace, route.clone())])
    }

    /// The namespace of the cause loses the most specific route to the packet's source, if it leads by another interface than
    /// the one that the packet came by.
    pub(super) fn without_way_back(&self, came_by: IfIndex) -> Option<Proposal> {
        let place = self.cause.namespace;
        let source = self.packet.ip.source;
        let elsewhere = |route: &&Route| match &route.action {
            RouteAction::Forward(hops) => hops.iter().all(|hop| hop.link != Some(came_by)),
            _ => false,
        };
        let routes = self.state(place)?.network.routes.iter();
        let leads = routes.filter(|route| route.to.prefix_len() > 0 && route.to.contains(&source));
        let route = leads.filter(elsewhere).max_by_key(|route| route.to.prefix_len())?;
        Some(vec![Change::DeleteRoute(place, route.clone())])
    }

    /// Routes that a namespace might have to an address: by everybody on its segments, those nearer to it first.
    pub(super) fn ways_to(&self, namespace: usize, target: IpAddr) -> Vec<Proposal> {
        let mut prefixes = vec![self.subnet(target), IpNet::from(target)];
        prefixes.dedup();
        let ways = self.ways(namespace, target);
        let state = self.state(namespace);
        let is_free = |to: &IpNet| {
            !state.into_iter().flat_map(|state| &state.network.routes).any(|route| is_in_the_way(route, *to))
        };
        let mut all = Vec::new();
        for to in prefixes.into_iter().filter(is_free) {
            for way in &ways {
                // What is on the link needs a route of its own only.
                if way.hop.via.is_none() && to != IpNet::from(target) {
                    continue;
                }
                let route = Route::new(to, RouteAction::Forward(vec![way.hop.clone()]));
                all.push(vec![Change::AddRoute(namespace, route)]);
            }
        }
        all
    }

    fn ways(&self, namespace: usize, target: IpAddr) -> Vec<Way> {
        let mut ways = Vec::new();
        for (at, _) in self.links(namespace).into_iter().filter(|(_, link)| link.up) {
            let own: Vec<IpNet> = self.addresses(at, target).map(|own| own.address).collect();
            for other in self.others(at) {
                for known in self.addresses(other, target) {
                    let via = known.address.addr();
                    if via == target && !own.is_empty() {
                        ways.push(Way { rank: 0, hop: NextHop::on(at.link) });
                    } else if own.iter().any(|own| own.contains(&via)) {
                        let rank = 1 + self.distance(other.namespace, target);
                        let hop = NextHop { link: Some(at.link), ..NextHop::via(via) };
                        ways.push(Way { rank, hop });
                    }
                }
            }
        }
        ways.sort_by_key(|way| way.rank);
        ways
    }

    /// How far an address seems to be from a namespace.
    fn distance(&self, namespace: usize, target: IpAddr) -> u8 {
        let Some(state) = self.state(namespace) else { return 5 };
        let forwards = if target.is_ipv6() {
            state.settings.ipv6_all.forwarding
        } else {
            state.settings.ipv4_all.forwarding
        };
        let leads = |shortest: u8| {
            let all = &state.network.routes;
            all.iter().any(|route| {
                route.to.prefix_len() >= shortest
                    && route.to.contains(&target)
                    && matches!(route.action, RouteAction::Forward(_))
            })
        };
        match (self.has(namespace, target), leads(1), leads(0)) {
            (true, ..) => 0,
            (_, true, _) => 1 + u8::from(!forwards),
            (_, _, true) => 3 + u8::from(!forwards),
            _ => 5,
        }
    }

    /// The subnet that an address is in, as its owner or somebody who is in it says.
    fn subnet(&self, target: IpAddr) -> IpNet {
        let owners = self.owners(target).into_iter().map(|(_, net)| net);
        let all = self.states().flat_map(|(_, state)| &state.network.addresses).map(|known| known.address);
        let mut nets = owners.chain(all.filter(|net| net.contains(&target)));
        nets.find(|net| net.prefix_len() > 0).map_or_else(|| target.into(), |net| net.trunc())
    }

    /// Past a route or rule that says no: by one for this destination alone that goes where others go, else without it.
    pub(super) fn past_a_route(&self) -> Vec<Proposal> {
        let place = self.cause.namespace;
        let Some(state) = self.state(place) else { return Vec::new() };
        let target = self.target();
        let host = IpNet::from(target);
        match self.cause.evidence {
            Evidence::Route(number) => {
                let Some(bad) = state.network.routes.get(number) else { return Vec::new() };
                let mut all = Vec::new();
                if bad.to != host {
                    all.extend(next_best(state, bad, target).map(|action| {
                        let route = Route { table: bad.table, ..Route::new(host, action) };
                        vec![Change::AddRoute(place, route)]
                    }));
                    let ways = self.ways(place, target).into_iter();
                    all.extend(ways.map(|way| {
                        let action = RouteAction::Forward(vec![way.hop]);
                        let route = Route { table: bad.table, ..Route::new(host, action) };
                        vec![Change::AddRoute(place, route)]
                    }));
                }
                all.push(vec![Change::DeleteRoute(place, bad.clone())]);
                all
            }
            Evidence::PolicyRule(number) => {
                let Some(bad) = state.network.rules.get(number) else { return Vec::new() };
                let mut all = Vec::new();
                if let Some(priority) = bad.priority.checked_sub(1).filter(|&priority| priority > 0) {
                    let table = RuleAction::Table(nslab_kernel::route::TABLE_MAIN);
                    let mut rule = nslab_kernel::rule::Rule::new(bad.ipv6, priority, table);
                    // ip-rule(8) does not say who made it.
                    (rule.to, rule.protocol) = (Some(host), 0);
                    all.push(vec![Change::AddRule(place, rule)]);
                }
                all.push(vec![Change::DeleteRule(place, bad.clone())]);
                all
            }
            _ => Vec::new(),
        }
    }

    /// Other next hops for the routes of a namespace that go by a gateway of an interface.
    pub(super) fn other_gateways(&self, at: Port, gateway: IpAddr) -> Vec<Proposal> {
        let Some(state) = self.state(at.namespace) else { return Vec::new() };
        let target = self.packet.ip.destination;
        let ways = self.ways(at.namespace, target);
        let goes_by = |route: &&Route| match &route.action {
            RouteAction::Forward(hops) => {
                let [hop] = &hops[..] else { return false };
                hop.via == Some(gateway) && hop.link == Some(at.link) && route.to.contains(&target)
            }
            _ => false,
        };
        let mut all = Vec::new();
        for old in state.network.routes.iter().filter(goes_by) {
            for way in &ways {
                if way.hop.via == Some(gateway) && way.hop.link == Some(at.link) {
                    continue;
                }
                let mut new = old.clone();
                new.action = RouteAction::Forward(vec![way.hop.clone()]);
                (new.scope, new.source) = (None, None);
                all.push(vec![
                    Change::DeleteRoute(at.namespace, old.clone()),
                    Change::AddRoute(at.namespace, new),
                ]);
            }
        }
        all
    }
}

/// Whether the kernel would take a route to `to` for one that it has.
fn is_in_the_way(route: &Route, to: IpNet) -> bool {
    let metric = if to.addr().is_ipv6() { 1024 } else { 0 };
    route.to == to
        && route.table == nslab_kernel::route::TABLE_MAIN
        && route.metric == metric
        && route.tos == 0
}

/// What the table would do without a route.
fn next_best(state: &State, bad: &Route, target: IpAddr) -> Option<RouteAction> {
    let others = state.network.routes.iter().filter(|route| {
        *route != bad
            && route.table == bad.table
            && route.to.contains(&target)
            && matches!(route.action, RouteAction::Forward(_))
    });
    others.max_by_key(|route| route.to.prefix_len()).map(|route| route.action.clone())
}
