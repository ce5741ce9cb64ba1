//! Broadcast domains.

use std::collections::HashMap;

use ipnet::IpNet;
use nslab_types::MacAddr;

use super::and_list;
use super::ports::{Plugged, Port};
use crate::diagnostic::Span;
use crate::lab::{Lab, Link};
use crate::model::Device;

/// Everything known about the network so far, with the indexes that make questions cheap.
pub(crate) struct Network<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) links: Vec<&'a Link>,
    pub(crate) ports: Vec<Port<'a>>,
    /// Each port's addresses: those that were written at first, later all.
    pub(crate) addresses: Vec<Vec<Address>>,
    /// Each port's MTU.
    pub(crate) mtus: Vec<u32>,
    /// Each port's segment.
    pub(crate) segment_of: Vec<usize>,
    pub(crate) segments: Vec<Segment>,
    /// Each node's ports, in the order of the links.
    pub(crate) node_ports: Vec<Vec<usize>>,
    /// Nodes by name.
    pub(crate) node_index: HashMap<&'a str, usize>,
}

/// An address and where it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) net: IpNet,
    pub(crate) span: Option<Span>,
}

/// A broadcast domain.
pub(crate) struct Segment {
    pub(crate) switches: Vec<usize>,
    /// The ports of nodes on it, in the order of the links.
    pub(crate) ports: Vec<usize>,
}

impl<'a> Network<'a> {
    pub(crate) fn new(lab: &'a Lab, plugged: Plugged<'a>) -> Self {
        let Plugged { links, ports } = plugged;
        let mut node_ports = vec![Vec::new(); lab.nodes.len()];
        for (index, port) in ports.iter().enumerate() {
            if let Device::Node(node) = port.device {
                node_ports[node].push(index);
            }
        }
        let addresses = ports.iter().map(|port| {
            let written = port.end.addresses.iter().flatten();
            written.map(|net| Address { net: net.value, span: net.span }).collect()
        });
        let addresses = addresses.collect();
        let (segments, segment_of) = find(lab, &ports);
        let mtus = vec![0; ports.len()];
        let node_index =
            lab.nodes.iter().enumerate().map(|(index, node)| (node.name.as_str(), index)).collect();
        Self { lab, links, ports, addresses, mtus, segment_of, segments, node_ports, node_index }
    }

    /// `the cable red–blue` or `the switch lan (red, blue and green)`.
    pub(crate) fn describe_segment(&self, segment: usize) -> String {
        let name = self.segment_name(segment);
        let Segment { switches, .. } = &self.segments[segment];
        match switches.len() {
            0 => format!("the cable {name}"),
            1 => format!("the switch {name} ({})", and_list(&self.nodes_on(segment))),
            _ => format!("the switches {name} ({})", and_list(&self.nodes_on(segment))),
        }
    }

    pub(crate) fn segment_name(&self, segment: usize) -> String {
        let Segment { switches, ports } = &self.segments[segment];
        if switches.is_empty() {
            let names: Vec<&str> = ports.iter().map(|port| self.owner(*port)).collect();
            names.join("–")
        } else {
            let names: Vec<&str> =
                switches.iter().map(|index| self.lab.switches[*index].name.as_str()).collect();
            names.join("+")
        }
    }

    /// The nodes on a segment, each once.
    pub(crate) fn nodes_on(&self, segment: usize) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        let names = self.segments[segment].ports.iter().map(|port| self.owner(*port));
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// The name of the node or switch that a port belongs to.
    pub(crate) fn owner(&self, port: usize) -> &'a str {
        &self.ports[port].end.device.value
    }

    /// `red:eth0`.
    pub(crate) fn port_label(&self, port: usize) -> String {
        format!("{}:{}", self.owner(port), self.ports[port].meant())
    }

    /// A port's MAC: the one that was written, else one of its own.
    pub(crate) fn mac(&self, port: usize) -> MacAddr {
        let seed = || format!("{}/{}", self.lab.name.value, self.port_label(port));
        self.ports[port].end.mac.as_ref().map_or_else(|| MacAddr::from_seed(&seed()), |mac| mac.value)
    }

    /// The node that a node's port belongs to.
    pub(crate) fn node_of(&self, port: usize) -> Option<usize> {
        match self.ports[port].device {
            Device::Node(node) => Some(node),
            Device::Switch(_) => None,
        }
    }

    /// The port of a node by its interface's name, the full one or the shortened.
    pub(crate) fn port_named(&self, node: usize, name: &str) -> Option<usize> {
        self.node_ports[node].iter().copied().find(|port| {
            let port = &self.ports[*port];
            port.name.as_str() == name || port.full.as_deref() == Some(name)
        })
    }
}

fn find(lab: &Lab, ports: &[Port<'_>]) -> (Vec<Segment>, Vec<usize>) {
    let mut groups = Groups((0..lab.switches.len()).collect());
    for pair in ports.chunks_exact(2) {
        if let (Device::Switch(one), Device::Switch(two)) = (pair[0].device, pair[1].device) {
            groups.join(one, two);
        }
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut segment_of = Vec::with_capacity(ports.len());
    let mut by_group: HashMap<usize, usize> = HashMap::new();
    let fresh = |segments: &mut Vec<Segment>| {
        segments.push(Segment { switches: Vec::new(), ports: Vec::new() });
        segments.len() - 1
    };
    for (link, pair) in ports.chunks_exact(2).enumerate() {
        let switch = pair.iter().find_map(|port| match port.device {
            Device::Switch(switch) => Some(switch),
            Device::Node(_) => None,
        });
        let segment = match switch {
            Some(switch) => *by_group.entry(groups.of(switch)).or_insert_with(|| fresh(&mut segments)),
            None => fresh(&mut segments),
        };
        for (side, port) in pair.iter().enumerate() {
            segment_of.push(segment);
            if let Device::Node(_) = port.device {
                segments[segment].ports.push(2 * link + side);
            }
        }
    }
    for switch in 0..lab.switches.len() {
        let segment = *by_group.entry(groups.of(switch)).or_insert_with(|| fresh(&mut segments));
        segments[segment].switches.push(switch);
    }
    (segments, segment_of)
}

/// Disjoint sets of switches.
pub(crate) struct Groups(pub(crate) Vec<usize>);

impl Groups {
    /// The set that a member belongs to.
    pub(crate) fn of(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    /// Makes one set of two; false if they were one already.
    pub(crate) fn join(&mut self, one: usize, two: usize) -> bool {
        let (one, two) = (self.of(one), self.of(two));
        // The lower number stands for the set, so that order doesn't matter.
        self.0[one.max(two)] = one.min(two);
        one != two
    }
}
