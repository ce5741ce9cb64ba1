//! Routes: those that were written, made exact, and those that follow from the shape of the lab.

mod derive;
mod graph;
mod lookup;
mod written;

use std::collections::HashMap;

use ipnet::IpNet;

use super::Problems;
use super::segments::Network;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::Routing;
use crate::model::{NextHop, Route, RouteAction};

pub(crate) use graph::{Graph, Tunnels, Ways};
pub(crate) use lookup::{is_own, port_for};

/// The main table (`RT_TABLE_MAIN`).
pub(crate) const MAIN: u32 = 254;

/// The routes of every node, written ones first.
pub(crate) fn all(net: &Network<'_>, problems: &mut Problems) -> Vec<Vec<Route>> {
    let mut tables: Vec<Table> = Vec::with_capacity(net.lab.nodes.len());
    for (index, node) in net.lab.nodes.iter().enumerate() {
        let mut table = Table::default();
        for route in &node.routes {
            for exact in written::resolve(net, index, route, problems) {
                table.add_written(exact, route.span, problems);
            }
        }
        written::gateways(net, index, &mut table, problems);
        tables.push(table);
    }
    // Deriving from faulty routes would only make more faults.
    if net.lab.routing != Routing::None && problems.errors == 0 {
        derive::derive(net, &mut tables, problems);
    }
    tables.into_iter().map(|table| table.routes).collect()
}

/// A node's routes.
#[derive(Default)]
struct Table {
    routes: Vec<Route>,
    /// What the kernel takes for the same route: destination, table and metric.
    known: HashMap<(IpNet, u32, u32), Option<Span>>,
    /// The destinations in each table.
    known_to: std::collections::HashSet<(u32, IpNet)>,
}

impl Table {
    fn add_written(&mut self, route: Route, span: Option<Span>, problems: &mut Problems) {
        let metric = match route.metric {
            // The kernel takes 0 for "none given" in IPv6 (`IP6_RT_PRIO_USER`).
            None | Some(0) if route.to.addr().is_ipv6() => 1024,
            metric => metric.unwrap_or(0),
        };
        let key = (route.to, route.table, metric);
        if let Some(earlier) = self.known.get(&key) {
            problems.push(
                Diagnostic::error(
                    "duplicate-route",
                    format!("two routes lead to {} with the same metric", route.to),
                )
                .at(span, "again here")
                .because(*earlier, "first here")
                .help("give one another `metric`, or make them one route with `nexthop`s"),
            );
            return;
        }
        self.known.insert(key, span);
        self.push(route);
    }

    /// Adds a derived route, unless one to the same destination is written.
    fn add_derived(&mut self, to: IpNet, table: u32, hops: Vec<NextHop>) {
        if !self.leads_to(table, to) && !hops.is_empty() {
            let action = RouteAction::Forward(hops);
            self.push(Route { to, action, metric: None, table, source: None, mtu: None, derived: true });
        }
    }

    fn push(&mut self, route: Route) {
        self.known_to.insert((route.table, route.to));
        self.routes.push(route);
    }

    fn leads_to(&self, table: u32, to: IpNet) -> bool {
        self.known_to.contains(&(table, to))
    }
}
