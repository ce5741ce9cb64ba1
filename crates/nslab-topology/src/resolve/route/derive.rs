//! Routes that follow from the shape of the lab.
//!
//! A host gets a default route by the only router next to it. A router gets a route to every subnet that it isn't on and
//! to every loopback address, by a shortest path; with `routing: ecmp` by all of them.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::IfName;

use super::super::address::overlapping;
use super::super::segments::Network;
use super::super::{Problems, and_list};
use super::Table;
use super::graph::{Graph, Place, Step, Tunnels, Ways};
use crate::diagnostic::Diagnostic;
use crate::lab::{Family, Gateway, Node, Routing};
use crate::model::NextHop;

/// The most routers whose equal paths are told of.
const MOST_TOLD: usize = 8;
/// The most ways of one route.
const MOST_WAYS: usize = 64;

/// Adds the derived routes of all nodes.
pub(super) fn derive(net: &Network<'_>, tables: &mut [Table], problems: &mut Problems) {
    let apart = overlapping(net);
    let targets = super::super::tunnels::targets(net);
    let has_tunnels = net.interface_ports().any(|port| net.is_tunnel(port));
    for family in Family::BOTH {
        let graph = Graph::new(net, family, Tunnels::Taken);
        if graph.subnets.is_empty() {
            continue;
        }
        // What tunnels' packets go to is reached without tunnels.
        let below = has_tunnels.then(|| Graph::new(net, family, Tunnels::Shunned));
        let below = below.as_ref().map(|graph| Below { graph, targets: &targets });
        // Segments with a host on them: a tie on the way there concerns somebody.
        let inhabited: Vec<bool> = (0..graph.subnets.len())
            .map(|subnet| graph.subnets[subnet].members.len() > graph.subnets[subnet].routers.len())
            .collect();
        let loopbacks = loopbacks(net, family);
        let mut told = 0;
        for (own, &(node, vrf)) in graph.owners.iter().enumerate() {
            let table = &mut tables[node];
            if net.lab.nodes[node].forward || keeps_its_default(&net.lab.nodes[node], family, table) {
                let number = vrf.unwrap_or(super::MAIN);
                let router = Router { net, graph: &graph, below, apart: &apart, own, node, table: number };
                let ties = router.routes(&inhabited, &loopbacks, table);
                if !ties.is_empty() && told < MOST_TOLD && net.lab.routing != Routing::Ecmp {
                    told += 1;
                    problems.push(router.warning(&ties));
                }
            } else {
                default_route(net, &graph, own, family, table, problems);
            }
        }
    }
}

/// Whether a node gets a route to each subnet of the lab instead of a default route: it was there before the lab and may
/// have a default route of its own, which is not the lab's to replace, or its default route is its way out. A written
/// gateway says otherwise.
fn keeps_its_default(node: &Node, family: Family, table: &Table) -> bool {
    let gateway = match family {
        Family::Ipv4 => &node.gateway_ipv4,
        Family::Ipv6 => &node.gateway_ipv6,
    };
    let goes_out = node.uplink.as_ref().is_some_and(|uplink| match family {
        Family::Ipv4 => uplink.ipv4,
        Family::Ipv6 => uplink.ipv6 != Some(false),
    });
    (node.existing.is_some() || goes_out)
        && *gateway == Gateway::Auto
        && !table.leads_to(super::MAIN, family.everything())
}

/// The loopback addresses of a family: which nodes have each, in the order of the file.
fn loopbacks(net: &Network<'_>, family: Family) -> Vec<(IpNet, Vec<usize>)> {
    let mut all: Vec<(IpNet, Vec<usize>)> = Vec::new();
    let mut known: HashMap<IpNet, usize> = HashMap::new();
    for (index, node) in net.lab.nodes.iter().enumerate() {
        for address in node.addresses.iter().filter(|net| Family::of(net.addr()) == family) {
            if address.addr().is_loopback() {
                continue;
            }
            let prefix = address.trunc();
            let at = *known.entry(prefix).or_insert_with(|| {
                all.push((prefix, Vec::new()));
                all.len() - 1
            });
            all[at].1.push(index);
        }
    }
    all
}

fn hop(net: &Network<'_>, step: Step) -> NextHop {
    NextHop { via: Some(step.via), dev: Some(device(net, step.port)), weight: 1, onlink: false }
}

fn device(net: &Network<'_>, port: usize) -> IfName {
    net.ports[port].name
}

/// A host's default route.
fn default_route(
    net: &Network<'_>,
    graph: &Graph,
    own: usize,
    family: Family,
    table: &mut Table,
    problems: &mut Problems,
) {
    let (node, vrf) = graph.owners[own];
    let number = vrf.unwrap_or(super::MAIN);
    let lab_node = &net.lab.nodes[node];
    let gateway = match family {
        Family::Ipv4 => &lab_node.gateway_ipv4,
        Family::Ipv6 => &lab_node.gateway_ipv6,
    };
    if table.leads_to(number, family.everything()) || *gateway != Gateway::Auto {
        return;
    }
    let mut found: Vec<(usize, Step)> = Vec::new();
    // A router behind a tunnel is one only for who has no other.
    let by_links = |place: &&Place| !net.is_tunnel(place.port);
    let has_links = graph.places[own]
        .iter()
        .filter(by_links)
        .any(|place| !graph.subnets[place.subnet].routers.is_empty());
    for place in graph.places[own].iter().filter(|place| !has_links || by_links(place)) {
        for &(router, via) in &graph.subnets[place.subnet].routers {
            if !found.iter().any(|(other, _)| *other == router) {
                found.push((router, Step { via, port: place.port }));
            }
        }
    }
    match found.as_slice() {
        [] => {}
        [(_, step)] => table.add_derived(family.everything(), number, vec![hop(net, *step)]),
        several if net.lab.routing == Routing::Ecmp => {
            let hops = several.iter().take(MOST_WAYS).map(|(_, step)| hop(net, *step)).collect();
            table.add_derived(family.everything(), number, hops);
        }
        several => {
            let names: Vec<&str> = several
                .iter()
                .map(|(router, _)| net.lab.nodes[graph.owners[*router].0].name.as_str())
                .collect();
            let name = &lab_node.name.value;
            problems.push(
                Diagnostic::warning(
                    "ambiguous-default",
                    format!(
                        "{name} has several routers next to it and gets no {family} default route: {}",
                        and_list(&names)
                    ),
                )
                .at(lab_node.name.span, "")
                .help(format!("settle it with `gateway: {}` in {name}, or with `gateway: none`", names[0])),
            );
        }
    }
}

/// A router whose routes are derived.
struct Router<'a> {
    net: &'a Network<'a>,
    graph: &'a Graph,
    below: Option<Below<'a>>,
    /// Prefixes that are on several segments, so that there is no right way to them.
    apart: &'a std::collections::HashSet<IpNet>,
    /// Its number in the graph.
    own: usize,
    node: usize,
    /// The table that its routes are in.
    table: u32,
}

/// The network without tunnels.
#[derive(Clone, Copy)]
struct Below<'a> {
    graph: &'a Graph,
    /// The addresses that tunnels' packets go to.
    targets: &'a [IpAddr],
}

impl Below<'_> {
    fn is_for(&self, prefix: IpNet) -> bool {
        self.targets.iter().any(|target| prefix.contains(target))
    }
}

impl Router<'_> {
    /// Adds the routes and returns those destinations, with two of the ways there, to which others are as short.
    fn routes(
        &self,
        inhabited: &[bool],
        loopbacks: &[(IpNet, Vec<usize>)],
        table: &mut Table,
    ) -> Vec<(IpNet, Step, Step)> {
        let ecmp = self.net.lab.routing == Routing::Ecmp;
        // Two are enough to tell that there is more than one.
        let most = if ecmp { MOST_WAYS } else { 2 };
        let ways = Ways::from(self.graph, self.own, most);
        // A router has the same number in both graphs only if it is no VRF, and a VRF has no tunnels' packets to send.
        let below = self.below.filter(|_| self.own == self.node);
        let below = below.map(|below| (below, Ways::from(below.graph, self.own, most)));
        let hops = |steps: &[Step]| {
            let used = if ecmp { steps } else { &steps[..steps.len().min(1)] };
            used.iter().map(|step| hop(self.net, *step)).collect::<Vec<NextHop>>()
        };
        let mut ties = Vec::new();
        for (index, subnet) in self.graph.subnets.iter().enumerate() {
            let way = match below.as_ref().filter(|(below, _)| below.is_for(subnet.net)) {
                Some((below, ways)) => {
                    let number = below.graph.known.get(&(subnet.segment, subnet.net));
                    number.and_then(|number| ways.subnets[*number].as_ref())
                }
                None => ways.subnets[index].as_ref(),
            };
            let Some(way) = way else { continue };
            let Some(step) = way.step() else { continue };
            if self.apart.contains(&subnet.net) || table.leads_to(self.table, subnet.net) {
                continue;
            }
            table.add_derived(subnet.net, self.table, hops(&way.steps));
            if let Some(other) = way.other().filter(|_| inhabited[index]) {
                ties.push((subnet.net, step, other));
            }
        }
        for (prefix, owners) in loopbacks {
            let connected =
                self.graph.places[self.own].iter().any(|own| self.graph.subnets[own.subnet].net == *prefix);
            if connected || (owners.contains(&self.node) && self.own == self.node) {
                continue;
            }
            let (graph, ways) = match &below {
                Some((below, ways)) if below.is_for(*prefix) => (below.graph, ways),
                _ => (self.graph, &ways),
            };
            let nearest = owners
                .iter()
                .filter_map(|owner| self.way_to(*owner, graph, ways))
                .min_by_key(|(far, _)| *far);
            if let Some((_, steps)) = nearest {
                table.add_derived(*prefix, self.table, hops(&steps));
            }
        }
        ties
    }

    /// The ways to a node itself: how far, and the first steps.
    fn way_to(&self, node: usize, graph: &Graph, ways: &Ways) -> Option<(u32, Vec<Step>)> {
        if self.net.lab.nodes[node].forward {
            let way = ways.routers[node].as_ref()?;
            return (!way.steps.is_empty()).then(|| (way.distance, way.steps.clone()));
        }
        let mut best: Option<(u32, Vec<Step>)> = None;
        for place in &graph.places[node] {
            let Some(way) = &ways.subnets[place.subnet] else { continue };
            let steps = if way.steps.is_empty() {
                self.neighbour(node, graph, place.subnet).into_iter().collect()
            } else {
                way.steps.clone()
            };
            if !steps.is_empty() && best.as_ref().is_none_or(|(distance, _)| way.distance + 1 < *distance) {
                best = Some((way.distance + 1, steps));
            }
        }
        best
    }

    /// The step to a node on a subnet of the router's own: the gateway is the node's address there.
    fn neighbour(&self, node: usize, graph: &Graph, subnet: usize) -> Option<Step> {
        let (_, via) = graph.subnets[subnet].members.iter().find(|(member, _)| *member == node)?;
        let own = graph.places[self.own].iter().find(|own| own.subnet == subnet)?;
        Some(Step { via: *via, port: own.port })
    }

    fn warning(&self, ties: &[(IpNet, Step, Step)]) -> Diagnostic {
        let name = &self.net.lab.nodes[self.node].name;
        let (to, taken, other) = ties[0];
        let more = match ties.len() - 1 {
            0 => String::new(),
            1 => ", and to one more subnet".to_owned(),
            more => format!(", and to {more} more subnets"),
        };
        Diagnostic::warning(
            "ambiguous-route",
            format!(
                "{} has ways of the same length to {to}, by {} and by {}{more}",
                name.value, taken.via, other.via
            ),
        )
        .at(name.span, "")
        .note(format!("it takes the first in the order of the file, {}", taken.via))
        .help(format!("settle it with a route, as `{to} via {}`", taken.via))
    }
}
