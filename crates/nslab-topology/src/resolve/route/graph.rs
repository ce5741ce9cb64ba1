//! Which way routers reach each other: subnets and routers as a graph, and shortest paths on it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::bits::is_link_local;
use super::super::segments::Network;
use crate::lab::Family;

/// The subnets of one family and who is on them.
///
/// A VRF is a router of its own: those of all nodes come after the nodes.
pub(crate) struct Graph {
    pub(crate) subnets: Vec<Subnet>,
    /// Each router's and host's places on subnets, in the order of its ports.
    pub(crate) places: Vec<Vec<Place>>,
    /// The node, and the table if it is a VRF, of each of them.
    pub(super) owners: Vec<(usize, Option<u32>)>,
    /// Subnets by segment and prefix.
    pub(super) known: HashMap<(usize, IpNet), usize>,
}

/// A subnet on a segment.
pub(crate) struct Subnet {
    pub(crate) net: IpNet,
    pub(super) segment: usize,
    /// It is a tunnel's.
    tunnel: bool,
    /// The nodes on it, in the order of the links, each with its address there.
    pub(super) members: Vec<(usize, IpAddr)>,
    /// The routers among them.
    pub(super) routers: Vec<(usize, IpAddr)>,
}

/// A node's place on a subnet.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) subnet: usize,
    pub(crate) port: usize,
}

/// What a graph has of tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tunnels {
    /// They are ways like others.
    Taken,
    /// They are no ways.
    Left,
    /// Nor are segments that a tunnel is a part of because a bridge has it as a member: two who meet on one may well meet
    /// by the tunnel.
    Shunned,
}

impl Graph {
    /// The graph with or without tunnels. Tunnels that are no full mesh are left out, as who is on such a segment does
    /// not reach everyone on it.
    pub(crate) fn new(net: &Network<'_>, family: Family, tunnels: Tunnels) -> Self {
        let count = net.lab.nodes.len();
        let mut graph = Self {
            subnets: Vec::new(),
            places: vec![Vec::new(); count],
            owners: (0..count).map(|node| (node, None)).collect(),
            known: HashMap::new(),
        };
        let mut vrfs: HashMap<(usize, u32), usize> = HashMap::new();
        let partial = super::super::tunnels::partial(net);
        // A member is no port of its segment, which has those only that have a network layer.
        let members = net.interface_ports().filter(|port| net.is_tunnel(*port) && net.is_member(*port));
        let bridged: HashSet<usize> = members.map(|port| net.segment_of[port]).collect();
        for (segment, ports) in net.segments.iter().map(|segment| &segment.ports).enumerate() {
            if partial.contains(&segment) || tunnels == Tunnels::Shunned && bridged.contains(&segment) {
                continue;
            }
            for &port in ports.iter().filter(|port| net.is_up(**port)) {
                let Some(node) = net.node_of(port) else { continue };
                if net.is_tunnel(port) && tunnels != Tunnels::Taken {
                    continue;
                }
                let tunnel = net.is_tunnel(port);
                let own = match net.vrf_of(port) {
                    None => node,
                    Some(table) => *vrfs.entry((node, table)).or_insert_with(|| {
                        graph.places.push(Vec::new());
                        graph.owners.push((node, Some(table)));
                        graph.owners.len() - 1
                    }),
                };
                for address in &net.addresses[port] {
                    let at = address.net.addr();
                    if Family::of(at) != family || is_link_local(at) {
                        continue;
                    }
                    let subnets = &mut graph.subnets;
                    let subnet = *graph.known.entry((segment, address.net.trunc())).or_insert_with_key(
                        |(segment, net)| {
                            let (members, routers) = (Vec::new(), Vec::new());
                            let (net, segment, tunnel) = (*net, *segment, tunnel);
                            subnets.push(Subnet { net, segment, tunnel, members, routers });
                            subnets.len() - 1
                        },
                    );
                    graph.subnets[subnet].members.push((own, at));
                    if net.lab.nodes[node].forward {
                        graph.subnets[subnet].routers.push((own, at));
                    }
                    graph.places[own].push(Place { subnet, port });
                }
            }
        }
        graph
    }
}

/// The first step of a shortest path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(super) via: IpAddr,
    pub(super) port: usize,
}

/// How far something is, and which way.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// Routers in between.
    pub(crate) distance: u32,
    /// The first steps of the shortest paths, in the order in which they were found; none where it is on the link.
    pub(super) steps: Vec<Step>,
    /// Tunnels on the way: of ways of the same length those over fewer tunnels are taken.
    tunnels: u32,
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
pub(crate) struct Ways {
    pub(crate) subnets: Vec<Option<Way>>,
    pub(super) routers: Vec<Option<Way>>,
}

impl Ways {
    /// Breadth first over subnets and routers in turn; in each round everything is looked at in the order in which it
    /// was found, which is the order of the file.
    ///
    /// Of each way at most `most` first steps are noted.
    pub(crate) fn from(graph: &Graph, start: usize, most: usize) -> Self {
        let mut ways =
            Self { subnets: vec![None; graph.subnets.len()], routers: vec![None; graph.places.len()] };
        ways.routers[start] = Some(Way { distance: 0, steps: Vec::new(), tunnels: 0 });
        let mut routers = vec![start];
        let mut distance = 0;
        while !routers.is_empty() {
            let mut subnets = Vec::new();
            for &router in &routers {
                let Self { subnets: known, routers } = &mut ways;
                let Some(way) = &routers[router] else { continue };
                for place in &graph.places[router] {
                    let tunnels = way.tunnels + u32::from(graph.subnets[place.subnet].tunnel);
                    if merge(&mut known[place.subnet], distance, tunnels, &way.steps, most) {
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
                    if merge(&mut routers[router], distance + 1, way.tunnels, steps, most) {
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
fn merge(known: &mut Option<Way>, distance: u32, tunnels: u32, steps: &[Step], most: usize) -> bool {
    match known {
        None => {
            *known = Some(Way { distance, steps: steps.to_vec(), tunnels });
            true
        }
        Some(known) => {
            if known.distance == distance && tunnels < known.tunnels {
                *known = Way { distance, steps: steps.to_vec(), tunnels };
            } else if (known.distance, known.tunnels) == (distance, tunnels) {
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
