//! What a lab shall look like in the kernel: a topology, sorted by namespace.

use std::collections::HashMap;

use ipnet::{IpNet, Ipv6Net};
use nslab_topology::model::{Device, Node, Program, Route, Rule, Topology};
use nslab_types::{IfName, MacAddr};

use crate::plan::{BridgeSettings, NamespaceRef, Role};

/// The whole lab.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The lab's name.
    pub lab: String,
    /// Its namespaces: nodes first, then switches, in the order of the file.
    pub namespaces: Vec<DesiredNamespace>,
    /// Its cables.
    pub cables: Vec<DesiredCable>,
}

/// One namespace.
#[derive(Debug, Clone)]
pub struct DesiredNamespace {
    /// Which one.
    pub reference: NamespaceRef,
    /// Sysctls in the order in which they are to be set.
    pub sysctls: Vec<DesiredSysctl>,
    /// The bridge, in a switch's namespace.
    pub bridge: Option<(IfName, BridgeSettings)>,
    /// Interfaces: ends of cables, in the order of the cables.
    pub links: Vec<DesiredLink>,
    /// Addresses on `lo`.
    pub loopback: Vec<IpNet>,
    /// Routes in the order in which they are to be added.
    pub routes: Vec<Route>,
    /// Policy rules.
    pub rules: Vec<Rule>,
    /// Permanent neighbours.
    pub neighbours: Vec<nslab_topology::model::Neighbour>,
    /// Programs in the order in which they are to be started.
    pub programs: Vec<Program>,
}

/// A sysctl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredSysctl {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Do without where the kernel has no such sysctl.
    pub optional: bool,
}

/// An end of a cable in its namespace.
#[derive(Debug, Clone)]
pub struct DesiredLink {
    /// Its name.
    pub name: IfName,
    /// The further name, where the first had to be shortened.
    pub alt_name: Option<String>,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u32,
    /// Up.
    pub up: bool,
    /// The bridge it is in.
    pub master: Option<IfName>,
    /// Its addresses, the IPv6 link-local one among them where it has other IPv6 addresses.
    pub addresses: Vec<IpNet>,
}

/// A cable: two links, each by its namespace and its place in [`DesiredNamespace::links`].
#[derive(Debug, Clone, Copy)]
pub struct DesiredCable {
    /// The end in whose namespace it is made: the switch's, if one is a switch, so that it can join the bridge in the
    /// same request.
    pub near: (usize, usize),
    /// The other end.
    pub far: (usize, usize),
}

impl Desired {
    /// Sorts a topology by namespace.
    pub fn new(topology: &Topology) -> Self {
        let mut namespaces: Vec<DesiredNamespace> = topology.nodes.iter().map(node).collect();
        let first_switch = namespaces.len();
        namespaces.extend(topology.switches.iter().map(|switch| {
            let settings = BridgeSettings {
                mac: switch.mac,
                mtu: switch.mtu,
                stp: switch.stp,
                multicast_snooping: switch.multicast_snooping,
                ageing_time: switch.ageing.map(|time| u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX)),
            };
            // A switch has no business at layer 3. Without this every port would get a link-local address and
            // announce it to all others: N² packets on a switch with N ports.
            let sysctl = DesiredSysctl {
                key: "net.ipv6.conf.all.disable_ipv6".to_owned(),
                value: "1".to_owned(),
                optional: true,
            };
            DesiredNamespace {
                bridge: Some((switch.bridge, settings)),
                sysctls: vec![sysctl],
                ..empty(&switch.name, &switch.namespace, Role::Switch)
            }
        }));
        let mut cables = Vec::with_capacity(topology.links.len());
        for link in &topology.links {
            let places = link.ends.each_ref().map(|end| {
                let namespace = match end.device {
                    Device::Node(index) => index,
                    Device::Switch(index) => first_switch + index,
                };
                let space = &mut namespaces[namespace];
                space.links.push(DesiredLink {
                    name: end.name,
                    alt_name: end.full_name.clone(),
                    mac: end.mac,
                    mtu: end.mtu,
                    up: end.up,
                    master: space.bridge.as_ref().map(|(name, _)| *name),
                    addresses: with_link_local(&end.addresses, end.mac),
                });
                (namespace, space.links.len() - 1)
            });
            let [first, second] = places;
            let is_switch = |place: (usize, usize)| place.0 >= first_switch;
            let (near, far) = if is_switch(second) { (second, first) } else { (first, second) };
            cables.push(DesiredCable { near, far });
        }
        for space in &mut namespaces[first_switch..] {
            // A bridge follows the smallest of its ports, unless told otherwise by hand (`br_mtu_auto_adjust`,
            // net/bridge/br_if.c).
            let smallest = space.links.iter().map(|port| port.mtu).min();
            if let (Some((_, settings)), Some(mtu)) = (&mut space.bridge, smallest) {
                settings.mtu = mtu;
            }
        }
        Self { lab: topology.name.clone(), namespaces, cables }
    }

    /// Each namespace's place by the name of its node.
    pub fn places(&self) -> HashMap<&str, usize> {
        self.namespaces.iter().enumerate().map(|(place, space)| (&space.reference.node[..], place)).collect()
    }

    /// The end of a cable.
    pub fn link(&self, (namespace, link): (usize, usize)) -> &DesiredLink {
        &self.namespaces[namespace].links[link]
    }
}

fn empty(node: &str, name: &str, role: Role) -> DesiredNamespace {
    DesiredNamespace {
        reference: NamespaceRef { node: node.to_owned(), name: name.to_owned(), role },
        sysctls: Vec::new(),
        bridge: None,
        links: Vec::new(),
        loopback: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        neighbours: Vec::new(),
        programs: Vec::new(),
    }
}

fn node(node: &Node) -> DesiredNamespace {
    let mut sysctls = Vec::new();
    if node.forward {
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            let optional = key.starts_with("net.ipv6");
            sysctls.push(DesiredSysctl { key: key.to_owned(), value: "1".to_owned(), optional });
        }
    }
    sysctls.extend(node.sysctls.iter().map(|(key, value)| DesiredSysctl {
        key: key.clone(),
        value: value.clone(),
        optional: false,
    }));
    DesiredNamespace {
        sysctls,
        loopback: node.loopback.clone(),
        routes: node.routes.clone(),
        rules: node.rules.clone(),
        neighbours: node.neighbours.clone(),
        programs: node.programs.clone(),
        ..empty(&node.name, &node.namespace, Role::Node)
    }
}

/// Adds the link-local address where there is another IPv6 address: set by us and without duplicate address
/// detection, it can be used at once; the kernel's own would be tentative for up to two seconds.
fn with_link_local(addresses: &[IpNet], mac: MacAddr) -> Vec<IpNet> {
    let mut all = addresses.to_vec();
    let is_link_local = |address: &IpNet| matches!(address, IpNet::V6(net) if net.addr().is_unicast_link_local());
    if all.iter().any(|address| address.addr().is_ipv6()) && !all.iter().any(is_link_local) {
        all.extend(Ipv6Net::new(mac.link_local(), 64).map(IpNet::V6));
    }
    all
}
