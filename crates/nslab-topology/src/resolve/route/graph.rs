//! Which way routers reach each other: subnets and routers as a graph, and shortest paths on it.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::bits::is_link_local;
use super::super::segments::Network;
use crate::lab::Family;

/// The subnets of one family and who is on them.
pub(super) struct Graph {
    pub(super) subnets: Vec<Subnet>,
    /// Each node's places on subnets, in the order of its ports.
    pub(super) places: Vec<Vec<Place>>,
}

/// A subnet on a segment.
pub(super) struct Subnet {
    pub(super) net: IpNet,
    /// The nodes on it, in the order of the links, each with its address there.
    pub(super) members: Vec<(usize, IpAddr)>,
    /// The routers among them.
    pub(super) routers: Vec<(usize, IpAddr)>,
}

/// A node's place on a subnet.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) subnet: usize,
    pub(super) port: usize,
}

impl Graph {
    pub(super) fn new(net: &Network<'_>, family: Family) -> Self {
        let mut graph = Self { subnets: Vec::new(), places: vec![Vec::new(); net.lab.nodes.len()] };
        let mut known: HashMap<(usize, IpNet), usize> = HashMap::new();
        for (segment, ports) in net.segments.iter().map(|segment| &segment.ports).enumerate() {
            for &port in ports.iter().filter(|port| net.ports[**port].end.up && net.ports[**port ^ 1].end.up)
            {
                let Some(node) = net.node_of(port) else { continue };
                for address in &net.addresses[port] {
                    let own = address.net.addr();
                    if Family::of(own) != family || is_link_local(own) {
                        continue;
                    }
                    let subnet =
                        *known.entry((segment, address.net.trunc())).or_insert_with_key(|(_, net)| {
                            let (members, routers) = (Vec::new(), Vec::new());
                            graph.subnets.push(Subnet { net: *net, members, routers });
                            graph.subnets.len() - 1
                        });
                    graph.subnets[subnet].members.push((node, own));
                    if net.lab.nodes[node].forward {
                        graph.subnets[subnet].routers.push((node, own));
                    }
                    graph.places[node].push(Place { subnet, port });
                }
            }
        }
        graph
    }
}

/// The first step of a shortest path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) via: IpAddr,
    pub(super) port: usize,
}

/// How far something is, and which way.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Routers in between.
    pub(super) distance: u32,
    /// The first steps of the shortest paths, in the order in which they were found; none where it is on the link.
    pub(super) steps: Vec<Step>,
}

impl Way {
    /// The first step of the path that was found first.
    pub(super) fn step(&self) -> Option<Step> {
        self.steps.first().copied()
    }

    /// The first step of another path that is as short.
    pub(super) fn other(&self) -> Option<Step> {
        self.steps.get(1).copied()
    }
}

/// The shortest ways from one router.
pub(super) struct Ways {
    pub(super) subnets: Vec<Option<Way>>,
    pub(super) routers: Vec<Option<Way>>,
}

impl Ways {
    /// Breadth first over subnets and routers in turn; in each round everything is looked at in the order in which it
    /// was found, which is the order of the file.
    ///
    /// Of each way at most `most` first steps are noted.
    pub(super) fn from(graph: &Graph, start: usize, most: usize) -> Self {
        let mut ways =
            Self { subnets: vec![None; graph.subnets.len()], routers: vec![None; graph.places.len()] };
        ways.routers[start] = Some(Way { distance: 0, steps: Vec::new() });
        let mut routers = vec![start];
        let mut distance = 0;
        while !routers.is_empty() {
            let mut subnets = Vec::new();
            for &router in &routers {
                let Self { subnets: known, routers } = &mut ways;
                let Some(way) = &routers[router] else { continue };
                for place in &graph.places[router] {
                    if merge(&mut known[place.subnet], distance, &way.steps, most) {
                        subnets.push(place.subnet);
                    }
                }
            }
            let mut next = Vec::new();
            for &subnet in &subnets {
                let Self { subnets: known, routers } = &mut ways;
                let Some(way) = &known[subnet] else { continue };
                let port = graph.places[start].iter().find(|place| place.subnet == subnet);
                for &(router, via) in &graph.subnets[subnet].routers {
                    let own = port.map(|place| Step { via, port: place.port });
                    let steps = if way.steps.is_empty() { own.as_slice() } else { &way.steps };
                    if merge(&mut routers[router], distance + 1, steps, most) {
                        next.push(router);
                    }
                }
            }
            routers = next;
            distance += 1;
        }
        ways
    }
}

/// Takes a way to something: true if it is the first. Ways that are as short and begin otherwise are noted.
fn merge(known: &mut Option<Way>, distance: u32, steps: &[Step], most: usize) -> bool {
    match known {
        None => {
            *known = Some(Way { distance, steps: steps.to_vec() });
            true
        }
        Some(known) => {
            if known.distance == distance {
                for step in steps {
                    if known.steps.len() < most && !known.steps.contains(step) {
                        known.steps.push(*step);
                    }
                }
            }
            false
        }
    }
}
