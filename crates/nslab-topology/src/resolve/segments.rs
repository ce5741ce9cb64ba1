//! Broadcast domains.

use std::collections::HashMap;

use ipnet::IpNet;
use nslab_types::MacAddr;

use super::and_list;
use super::ports::{Plugged, Port};
use crate::diagnostic::{Span, Spanned};
use crate::lab::{Family, Interface, InterfaceKind, Lab, Link};
use crate::model::{Device, Encapsulation, MacvlanMode, PortVlan};

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
    /// Interfaces that are no ends of cables; their ports come after those of the cables, in the same order.
    pub(crate) interfaces: Vec<&'a Interface>,
    /// The ports of [`Network::interfaces`], each after those that it is made of.
    pub(crate) order: Vec<usize>,
    /// The port below each port.
    pub(crate) lower: Vec<Option<usize>>,
    /// The bridge, bond or VRF that each port is a member of.
    pub(crate) master: Vec<Option<usize>>,
    /// The ports at the other ends of each interface's tunnels.
    pub(crate) far: Vec<Vec<usize>>,
    /// The VLANs of each cable's port on a VLAN-aware switch.
    pub(crate) port_vlans: Vec<Vec<PortVlan>>,
    /// The underlay of each interface that is a tunnel.
    pub(crate) underlay: Vec<super::tunnels::Underlay>,
}

/// An address and where it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) net: IpNet,
    pub(crate) span: Option<Span>,
}

/// A broadcast domain.
pub(crate) struct Segment {
    /// The switches, each with the VLAN that it is there; 0 in one that knows nothing of VLANs.
    pub(crate) domains: Vec<(usize, u16)>,
    /// The ports of nodes on it, in the order of the links.
    pub(crate) ports: Vec<usize>,
}

impl<'a> Network<'a> {
    pub(crate) fn new(lab: &'a Lab, plugged: Plugged<'a>) -> Self {
        let Plugged { links, ports, interfaces } = plugged;
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
        let count = ports.len();
        let node_index =
            lab.nodes.iter().enumerate().map(|(index, node)| (node.name.as_str(), index)).collect();
        let mut underlay = Vec::new();
        underlay.resize_with(interfaces.len(), Default::default);
        Self {
            lab,
            addresses,
            mtus: vec![0; count],
            segment_of: vec![0; count],
            segments: Vec::new(),
            node_ports,
            node_index,
            order: Vec::new(),
            lower: vec![None; count],
            master: vec![None; count],
            far: vec![Vec::new(); interfaces.len()],
            port_vlans: vec![Vec::new(); 2 * links.len()],
            underlay,
            links,
            ports,
            interfaces,
        }
    }

    /// How many ports are ends of cables; they come first.
    pub(crate) fn cable_ports(&self) -> usize {
        2 * self.links.len()
    }

    /// The ports that are no ends of cables.
    pub(crate) fn interface_ports(&self) -> std::ops::Range<usize> {
        self.cable_ports()..self.ports.len()
    }

    /// The interface that a port is, if it is no end of a cable.
    pub(crate) fn interface(&self, port: usize) -> Option<&'a Interface> {
        self.interfaces.get(port.checked_sub(self.cable_ports())?).copied()
    }

    /// The end of a cable at which a port's link is, and the other.
    pub(crate) fn link_of(&self, port: usize) -> Option<&'a Link> {
        self.links.get(port / 2).copied()
    }

    /// Whether packets that go by a port are wrapped and go by another.
    pub(crate) fn is_tunnel(&self, port: usize) -> bool {
        self.interface(port).is_some_and(|interface| interface.kind.is_tunnel())
    }

    /// Whether what comes in by a port is its bridge's or bond's.
    pub(crate) fn is_member(&self, port: usize) -> bool {
        let kind = self.master[port].and_then(|master| self.interface(master)).map(|master| &master.kind);
        matches!(kind, Some(InterfaceKind::Bond { .. } | InterfaceKind::Bridge { .. }))
    }

    /// The routing table of the VRF that a port is in.
    pub(crate) fn vrf_of(&self, port: usize) -> Option<u32> {
        match &self.interface(self.master[port]?)?.kind {
            InterfaceKind::Vrf { table, .. } => Some(table.value),
            _ => None,
        }
    }

    /// Whether a port carries packets of a family.
    pub(crate) fn carries(&self, port: usize, family: Family) -> bool {
        match self.interface(port).map(|interface| &interface.kind) {
            Some(InterfaceKind::Tunnel { encapsulation: Encapsulation::Ipip, .. }) => family == Family::Ipv4,
            Some(InterfaceKind::Tunnel { encapsulation: Encapsulation::Sit, .. }) => family == Family::Ipv6,
            _ => true,
        }
    }

    /// Whether a port gets addresses where none are written: not members, and not what is on no segment with others.
    pub(crate) fn wants_addresses(&self, port: usize) -> bool {
        let segment = &self.segments[self.segment_of[port]];
        self.ports[port].end.addresses.is_none()
            && !self.is_member(port)
            && (!segment.domains.is_empty() || segment.ports.len() > 1)
            && !matches!(
                self.interface(port).map(|interface| &interface.kind),
                Some(InterfaceKind::Vrf { .. })
            )
    }

    /// Whether frames get from a port to its segment: neither end of its cable is down, nor what it is on.
    pub(crate) fn is_up(&self, port: usize) -> bool {
        let far = if port < self.cable_ports() { self.ports[port ^ 1].end.up } else { true };
        self.ports[port].end.up && far && self.lower[port].is_none_or(|lower| self.is_up(lower))
    }

    /// The subnets that are written for the switches of a segment.
    pub(crate) fn subnets_of(&self, segment: usize) -> impl Iterator<Item = &'a Spanned<IpNet>> {
        let lab = self.lab;
        self.segments[segment].domains.iter().flat_map(move |&(switch, vlan)| {
            let switch = &lab.switches[switch];
            let own = switch.subnets.iter().filter(move |_| vlan == u16::from(switch.vlan_filtering));
            let of_vlan = switch.vlans.iter().filter(move |known| known.id.value == vlan);
            own.chain(of_vlan.flat_map(|vlan| &vlan.subnets))
        })
    }

    /// The VLAN that a segment is on its VLAN-aware switches.
    pub(crate) fn vlan_of(&self, segment: usize) -> Option<u16> {
        self.segments[segment].domains.iter().map(|(_, vlan)| *vlan).find(|vlan| *vlan != 0)
    }

    /// `the cable red–blue`, `the switch lan (red, blue and green)`, `VLAN 10 of the switch lan (red and blue)` or
    /// `the tunnel red–blue`.
    pub(crate) fn describe_segment(&self, segment: usize) -> String {
        let names = self.switch_names(segment);
        let ports = &self.segments[segment].ports;
        if names.is_empty() {
            let what = match ports.as_slice() {
                ports if ports.iter().any(|port| self.is_tunnel(*port)) => "tunnel",
                [one] if self.interface(*one).is_some() => "interface",
                _ => "cable",
            };
            return format!("the {what} {}", self.segment_name(segment));
        }
        let vlan = self.vlan_of(segment).map_or_else(String::new, |vlan| format!("VLAN {vlan} of "));
        let plural = if names.len() == 1 { "switch" } else { "switches" };
        format!("{vlan}the {plural} {} ({})", names.join("+"), and_list(&self.nodes_on(segment)))
    }

    pub(crate) fn segment_name(&self, segment: usize) -> String {
        let names = self.switch_names(segment);
        if names.is_empty() {
            let ports = &self.segments[segment].ports;
            if let [one] = ports.as_slice() {
                return self.port_label(*one);
            }
            let names: Vec<&str> = ports.iter().map(|port| self.owner(*port)).collect();
            return names.join("–");
        }
        let vlan = self.vlan_of(segment).map_or_else(String::new, |vlan| format!(" VLAN {vlan}"));
        format!("{}{vlan}", names.join("+"))
    }

    /// The switches of a segment, each once.
    fn switch_names(&self, segment: usize) -> Vec<&'a str> {
        let mut indexes: Vec<usize> =
            self.segments[segment].domains.iter().map(|(switch, _)| *switch).collect();
        indexes.dedup();
        indexes.into_iter().map(|index| self.lab.switches[index].name.as_str()).collect()
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

    /// A port's MAC: the one that was written; a bond's for its members, that of what it is on for a VLAN; else one that
    /// is made of names.
    pub(crate) fn mac(&self, port: usize) -> MacAddr {
        let kind = |port: usize| self.interface(port).map(|interface| &interface.kind);
        // Unless its mode is to balance load, where each member sends with its own.
        let shares = |bond: &usize| matches!(kind(*bond), Some(InterfaceKind::Bond { mode, .. }) if !mode.moves_macs());
        if let Some(bond) = self.master[port].filter(shares) {
            return self.mac(bond);
        }
        if let Some(mac) = &self.ports[port].end.mac {
            return mac.value;
        }
        let follows = matches!(
            kind(port),
            Some(InterfaceKind::Vlan { .. } | InterfaceKind::Macvlan { mode: MacvlanMode::Passthru, .. })
        );
        match self.lower[port].filter(|_| follows) {
            Some(lower) => self.mac(lower),
            None => MacAddr::from_seed(&format!("{}/{}", self.lab.name.value, self.port_label(port))),
        }
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

/// Disjoint sets.
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
