//! What a lab shall look like in the kernel: a topology, sorted by namespace.

mod adjust;
mod node;

use std::collections::{BTreeSet, HashMap};

use ipnet::{IpNet, Ipv6Net};
use nslab_kernel::nftables::Table;
use nslab_kernel::{Namespace, sysctl};
use nslab_topology::model::{
    Content, Device, Existing, FdbEntry, File, InterfaceKind, NextHop, PortVlan, Program, Route, RouteAction,
    Rule, Topology, View,
};
use nslab_types::{IfName, MacAddr};

use self::adjust::{
    leave_out_dead_routes, quiet_large_segments, take_down_what_is_on_what_is_down, turn_on_ipv6,
};
use self::node::{empty, node, with_link_local};
use crate::error::Result;
use crate::keys::Keys;
use crate::plan::{BridgeSettings, NamespaceRef, Role};
use crate::resolver;
use crate::shaping::{self, Queue, Shaper};
use crate::uplink::{self, UserWay, WayOut};

pub(crate) const FORWARD_IPV4: &str = "net.ipv4.ip_forward";
pub(crate) const FORWARD_IPV6: &str = "net.ipv6.conf.all.forwarding";

/// Whether packets that a bridge passes on go through the rules for packets that are routed (`net/bridge/
/// br_netfilter_hooks.c`). On in every new namespace where `br_netfilter` is loaded, as Docker does it: then a rule of the
/// host's would decide of frames in a switch. A switch has no rules.
const BRIDGE_NETFILTER: [&str; 3] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
];

const ANYWHERE_IPV4: IpNet = IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0));
const ANYWHERE_IPV6: IpNet = IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::UNSPECIFIED, 0));
/// Of a way out.
const DEFAULT_MTU: u32 = 1500;

/// What new namespaces begin with on this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewNamespaces {
    /// Bridged packets may be handed to iptables and the like (`br_netfilter`), and in new namespaces are.
    pub bridge_netfilter: bool,
    /// IPv4 forwarding is on: a new namespace takes its IPv4 settings from the first one, unless
    /// `net.core.devconf_inherit_init_net` says otherwise (`inet_init_net`, net/ipv4/devinet.c), and a host that runs
    /// containers forwards.
    pub forward: bool,
    /// What packets are lost with, in a lab with bad links.
    pub shaper: Shaper,
}

impl NewNamespaces {
    /// Looks at this machine: the calling thread's namespace is the first one, or began as new ones do.
    pub fn of_this_machine() -> Self {
        Self {
            shaper: Shaper::default(),
            bridge_netfilter: sysctl::read(BRIDGE_NETFILTER[0]).is_ok(),
            forward: sysctl::read(FORWARD_IPV4).is_ok_and(|value| value == "1"),
        }
    }
}

/// The whole lab.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The lab's name.
    pub lab: String,
    /// Its namespaces: nodes first, then switches, in the order of the file.
    pub namespaces: Vec<DesiredNamespace>,
    /// Its cables.
    pub cables: Vec<DesiredCable>,
    /// The keys of its `WireGuard` interfaces, as far as there are any yet.
    pub keys: Keys,
}

/// One namespace.
#[derive(Debug, Clone)]
pub struct DesiredNamespace {
    /// Which one.
    pub reference: NamespaceRef,
    /// What it is called, where it was there before the lab.
    pub existing: Option<Existing>,
    /// Sysctls in the order in which they are to be set.
    pub sysctls: Vec<DesiredSysctl>,
    /// The bridge, in a switch's namespace.
    pub bridge: Option<(IfName, BridgeSettings)>,
    /// Interfaces: ends of cables, in the order of the cables.
    pub links: Vec<DesiredLink>,
    /// Interfaces that are no ends of cables, each after those that it is made of.
    pub interfaces: Vec<DesiredInterface>,
    /// A switch's forwarding entries that are not learned.
    pub fdb: Vec<FdbEntry>,
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
    /// The nftables table of its firewall and address translation.
    pub table: Option<Box<Table>>,
    /// Text for the user's nft.
    pub nft: Option<String>,
    /// There may be such a table or such text, so that it is worth looking.
    pub may_have_table: bool,
    /// Files and directories of its own, if it has any.
    pub view: Option<View>,
    /// The lab's table of nftables, in the host's namespace.
    pub host_table: Option<Box<Table>>,
    /// A way out that a program carries.
    pub way: Option<Box<UserWay>>,
}

impl DesiredNamespace {
    /// It is not the lab's own.
    pub fn is_foreign(&self) -> bool {
        self.existing.is_some() || self.reference.role == Role::Host
    }

    /// One in which nothing is wanted.
    pub(crate) fn nothing() -> Self {
        empty("", "", Role::Joined)
    }
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
    /// A new namespace has the value already.
    pub is_default: bool,
}

impl DesiredSysctl {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), optional: false, is_default: false }
    }
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
    /// What it does with what it sends.
    pub queue: Queue,
    /// A port of a VLAN-aware switch: its VLANs.
    pub vlans: Vec<PortVlan>,
    /// A switch's port: nothing is forwarded between it and other isolated ones.
    pub isolated: bool,
}

/// An interface that is no end of a cable.
#[derive(Debug, Clone)]
pub struct DesiredInterface {
    /// What it has in common with the end of a cable.
    pub link: DesiredLink,
    /// Whether its MAC can be set; if not, the one in [`DesiredInterface::link`] only makes its link-local address.
    pub has_mac: bool,
    /// What it is.
    pub kind: InterfaceKind,
}

impl DesiredNamespace {
    /// Whether the MACs of an interface's members are the kernel's to move.
    pub(crate) fn moves_macs(&self, name: IfName) -> bool {
        let found = self.interfaces.iter().find(|interface| interface.link.name == name);
        found.is_some_and(
            |interface| matches!(interface.kind, InterfaceKind::Bond { mode, .. } if mode.moves_macs()),
        )
    }

    /// Whether an interface is a bond.
    pub(crate) fn is_bond(&self, name: IfName) -> bool {
        let found = self.interfaces.iter().find(|interface| interface.link.name == name);
        found.is_some_and(|interface| matches!(interface.kind, InterfaceKind::Bond { .. }))
    }
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
    /// Nothing at all.
    pub(crate) fn nothing(lab: &str) -> Self {
        Self { lab: lab.to_owned(), namespaces: Vec::new(), cables: Vec::new(), keys: Keys::default() }
    }

    /// Sorts a topology by namespace, for a machine whose new namespaces are as `new` says.
    pub fn new(topology: &Topology, new: NewNamespaces) -> Self {
        let mut namespaces: Vec<DesiredNamespace> =
            topology.nodes.iter().map(|one| node(&topology.name, one, new)).collect();
        let first_switch = namespaces.len();
        for (space, node) in namespaces.iter_mut().zip(&topology.nodes) {
            for (wanted, interface) in space.interfaces.iter_mut().zip(&node.interfaces) {
                let name = interface.name.as_str();
                let seed = topology.seed.map(|seed| shaping::seed_of(seed, &node.name, name));
                wanted.link.queue = shaping::compile(interface, new.shaper, seed);
            }
        }
        namespaces.extend(topology.switches.iter().map(|switch| {
            let settings = BridgeSettings {
                mac: switch.mac,
                mtu: switch.mtu,
                stp: switch.stp,
                multicast_snooping: switch.multicast_snooping,
                vlan_filtering: switch.vlan_filtering,
                ageing_time: switch
                    .ageing
                    .map(|time| u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX)),
            };
            // A switch has no business at layer 3. Without this every port would get a link-local address and
            // announce it to all others: N² packets on a switch with N ports.
            let sysctl =
                DesiredSysctl { optional: true, ..DesiredSysctl::new("net.ipv6.conf.all.disable_ipv6", "1") };
            let netfilter = BRIDGE_NETFILTER.iter().filter(|_| new.bridge_netfilter);
            let netfilter =
                netfilter.map(|key| DesiredSysctl { optional: true, ..DesiredSysctl::new(key, "0") });
            DesiredNamespace {
                bridge: Some((switch.bridge, settings)),
                sysctls: std::iter::once(sysctl).chain(netfilter).collect(),
                fdb: switch.fdb.clone(),
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
                let seed = topology
                    .seed
                    .map(|seed| shaping::seed_of(seed, topology.device_name(end.device), end.name.as_str()));
                let space = &mut namespaces[namespace];
                space.links.push(DesiredLink {
                    name: end.name,
                    alt_name: end.full_name.clone(),
                    mac: end.mac,
                    mtu: end.mtu,
                    up: end.up,
                    master: space.bridge.as_ref().map(|(name, _)| *name).or(end.master),
                    addresses: with_link_local(&end.addresses, end.mac),
                    queue: shaping::compile(end, new.shaper, seed),
                    vlans: end.vlans.clone(),
                    isolated: end.isolated,
                });
                (namespace, space.links.len() - 1)
            });
            let [first, second] = places;
            let is_switch = |place: (usize, usize)| place.0 >= first_switch;
            let (near, far) = if is_switch(second) { (second, first) } else { (first, second) };
            cables.push(DesiredCable { near, far });
        }
        quiet_large_segments(topology, &mut namespaces);
        namespaces.iter_mut().for_each(take_down_what_is_on_what_is_down);
        namespaces.iter_mut().for_each(leave_out_dead_routes);
        namespaces.iter_mut().filter(|space| space.existing.is_some()).for_each(turn_on_ipv6);
        for space in &mut namespaces[first_switch..] {
            // A bridge follows the smallest of its ports, unless told otherwise by hand (`br_mtu_auto_adjust`,
            // net/bridge/br_if.c).
            let smallest = space.links.iter().map(|port| port.mtu).min();
            if let (Some((_, settings)), Some(mtu)) = (&mut space.bridge, smallest) {
                settings.mtu = mtu;
            }
        }
        Self { lab: topology.name.clone(), namespaces, cables, keys: Keys::default() }
    }

    /// Adds ways out: a cable each, from the node to the host, a default route by it unless there is one, and what the
    /// host needs.
    pub fn add_ways_out(&mut self, ways: &[WayOut]) {
        if ways.is_empty() {
            return;
        }
        for way in ways {
            self.namespaces[way.node].way = way.carried().map(Box::new);
        }
        if ways.iter().all(|way| way.carrier.is_some()) {
            return;
        }
        let place = self.namespaces.len();
        let mut host = empty(uplink::HOST, "", Role::Host);
        for way in ways {
            let space = &mut self.namespaces[way.node];
            let pairs = way.pairs();
            for (gateway, _) in &pairs {
                let to = if gateway.addr().is_ipv6() { ANYWHERE_IPV6 } else { ANYWHERE_IPV4 };
                let main = nslab_kernel::route::TABLE_MAIN;
                if !space.routes.iter().any(|route| route.to == to && route.table == main) {
                    let dev = Some(way.uplink.interface);
                    let hop = NextHop { via: Some(gateway.addr()), dev, weight: 1, onlink: false };
                    let action = RouteAction::Forward(vec![hop]);
                    let (metric, table, source, mtu) = (None, main, None, None);
                    space.routes.push(Route { to, action, metric, table, source, mtu, derived: true });
                }
            }
            let end = |name, mac, addresses: Vec<IpNet>| DesiredLink {
                vlans: Vec::new(),
                isolated: false,
                name,
                alt_name: None,
                mac,
                mtu: DEFAULT_MTU,
                up: true,
                master: None,
                queue: Queue::default(),
                addresses: with_link_local(&addresses, mac),
            };
            let [node_mac, host_mac] = way.macs;
            space.links.push(end(way.uplink.interface, node_mac, pairs.iter().map(|pair| pair.1).collect()));
            let near = (way.node, space.links.len() - 1);
            host.links.push(end(way.host_interface, host_mac, pairs.iter().map(|pair| pair.0).collect()));
            self.cables.push(DesiredCable { near, far: (place, host.links.len() - 1) });
            for sysctl in uplink::sysctls(way) {
                if !host.sysctls.contains(&sysctl) {
                    host.sysctls.push(sysctl);
                }
            }
        }
        host.host_table = uplink::table(&self.lab, ways).map(Box::new);
        self.namespaces.push(host);
    }

    /// Gives nodes that have files of their own their `/etc/resolv.conf` as one of these, unless the lab file says what is in
    /// it. To programs of other nodes it is shown when they are executed.
    pub fn add_name_servers(&mut self, topology: &Topology) {
        for (space, node) in self.namespaces.iter_mut().zip(&topology.nodes) {
            let Some(view) = &mut space.view else { continue };
            if view.files.iter().all(|file| file.path != resolver::FILE)
                && let Some(text) = resolver::file(node)
            {
                let (path, content) = (resolver::FILE.to_owned(), Content::Text(text));
                view.files.push(File { path, content, mode: 0o644, owner: None });
            }
        }
    }

    /// Adds the sysctls that the lab file set before and does not set any more, and those that an unfinished change may
    /// have set, by node and key: they shall be as in a new namespace.
    pub fn reset_dropped_sysctls(
        &mut self,
        before: Option<&Topology>,
        unfinished: &BTreeSet<(String, String)>,
    ) -> Result<()> {
        let mut fresh = None;
        let places: HashMap<String, usize> =
            self.places().into_iter().map(|(node, place)| (node.to_owned(), place)).collect();
        // What a namespace that is not the lab's own had before is written in the ledger.
        let nodes =
            before.into_iter().flat_map(|before| &before.nodes).filter(|node| node.existing.is_none());
        let were = nodes.flat_map(|node| node.sysctls.keys().map(|key| (&node.name, key)));
        for (node, key) in were.chain(unfinished.iter().map(|(node, key)| (node, key))) {
            let Some(&place) = places.get(node) else { continue };
            if self.namespaces[place].sysctls.iter().any(|wanted| wanted.key == *key) {
                continue;
            }
            let namespace = match &fresh {
                Some(namespace) => namespace,
                None => fresh.insert(Namespace::create()?),
            };
            // One of an interface begins as the default for interfaces.
            let common = of_any_interface(key);
            if let Ok(value) = namespace.run(|| sysctl::read(&common))? {
                let wanted =
                    DesiredSysctl { is_default: true, optional: true, ..DesiredSysctl::new(key, &value) };
                self.namespaces[place].sysctls.push(wanted);
            }
        }
        Ok(())
    }

    /// Notes which nodes may have a table of nftables that is not wanted any more: those that had one before, and all
    /// where nobody knows. Elsewhere nobody looks, which saves a lab without firewalls a socket for each node.
    pub fn look_for_tables(&mut self, before: Option<&Topology>) {
        let had: Option<std::collections::HashSet<&str>> = before.map(|before| {
            let nodes = before.nodes.iter().filter(|node| !node.policy.is_empty());
            nodes.map(|node| &node.name[..]).collect()
        });
        for space in self.namespaces.iter_mut().filter(|space| space.reference.role == Role::Node) {
            space.may_have_table |= had.as_ref().is_none_or(|had| had.contains(&space.reference.node[..]));
        }
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

/// The sysctl that an interface's own begins as: `net.ipv4.conf.default.…` for `net.ipv4.conf.eth0.…`. Others as they
/// are.
fn of_any_interface(key: &str) -> String {
    let separator = if key.contains('/') { '/' } else { '.' };
    let mut parts: Vec<&str> = key.split(separator).collect();
    if parts.len() > 4 && matches!(parts[2], "conf" | "neigh") && parts[3] != "all" {
        parts[3] = "default";
    }
    parts.join(&separator.to_string())
}
