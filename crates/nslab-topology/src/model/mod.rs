//! The resolved network: what a lab file means once every choice has been made.
//!
//! A [`Topology`] holds nothing optional that the kernel would need: every interface has its name, MAC, MTU and
//! addresses, every node its routes. It is the same for the same lab file in every run.

mod interface;
mod policy;
mod sent;
mod uplink;
mod view;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use nslab_types::{IfName, MacAddr};
use serde::{Deserialize, Serialize};
pub use view::{Content, File, Owner, PrivateDirectory, Processes, View};

use crate::impairment::Impairment;
pub(crate) use interface::kind_name;
pub use interface::{
    BondMode, Encapsulation, FdbEntry, Interface, InterfaceKind, IpvlanMode, MacvlanMode, PortVlan,
    VlanProtocol, WireguardPeer,
};
pub use policy::{Firewall, FirewallRule, Hook, Match, NatKind, NatRule, Policy, Selector};
pub use sent::Sent;
pub use uplink::{Publish, Transport, Uplink};

/// A whole lab, ready to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The lab's name: unique among the labs of a user on a host.
    pub name: String,
    /// Nodes in the order of the file, repeated ones in the order of their numbers.
    pub nodes: Vec<Node>,
    /// Switches in the order of the file.
    pub switches: Vec<Switch>,
    /// Cables, each with both of its ends.
    pub links: Vec<Link>,
    /// Broadcast domains: one per cable between two nodes, one per set of switches that hang together, one for each VLAN
    /// of those that are VLAN-aware, one per tunnel.
    pub segments: Vec<Segment>,
    /// What the random numbers of bad links begin with, as far as the kernel lets itself be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A namespace that programs run in: a host, or a router if it forwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The node's name in the lab, also its hostname.
    pub name: String,
    /// The name of its namespace (the lab's prefix and the node's name).
    pub namespace: String,
    /// The namespace that the node is, where it was there before the lab; `None` for one that the lab makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Existing>,
    /// IPv4 and IPv6 forwarding are on.
    pub forward: bool,
    /// Sysctls to set in the namespace, by dotted or slashed key as written, without what `forward` implies.
    pub sysctls: BTreeMap<String, String>,
    /// Addresses on the loopback interface besides 127.0.0.1 and `::1`.
    pub loopback: Vec<IpNet>,
    /// Routes that were written and routes that were derived, in the order they are to be added.
    pub routes: Vec<Route>,
    /// Policy routing rules besides the kernel's three.
    pub rules: Vec<Rule>,
    /// Permanent neighbour entries.
    pub neighbours: Vec<Neighbour>,
    /// Programs to run, in the order they are to be started.
    pub programs: Vec<Program>,
    /// Environment of everything that runs in the node.
    pub env: BTreeMap<String, String>,
    /// Further names for its `/etc/hosts`, by name.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Its way out to what is around the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Uplink>,
    /// The name servers that its programs ask; where there are none, those of the host with an uplink, else whatever
    /// the host's file says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// Its firewall and address translation.
    #[serde(default, skip_serializing_if = "Policy::is_empty")]
    pub policy: Policy,
    /// Files and directories of its own.
    #[serde(default)]
    pub view: View,
    /// Who programs that are run in it by hand run as, a name or a number; who nslab runs as unless given.
    #[serde(default)]
    pub user: Option<String>,
    /// Interfaces that are no ends of cables, each after those that it is made of.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
}

/// A network namespace that is there without the lab, by what it is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// A name below `/run/netns`, or a path from the root.
    Netns(String),
    /// That of a process.
    Pid(u32),
    /// That of a container, by its name or id.
    Container(String),
}

/// As a target on the command line: `netns:NAME`, `pid:N`, `container:NAME`.
impl std::fmt::Display for Existing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Netns(name) => write!(f, "netns:{name}"),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Container(name) => write!(f, "container:{name}"),
        }
    }
}

/// A bridge in a namespace of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The switch's name in the lab.
    pub name: String,
    /// The name of its namespace.
    pub namespace: String,
    /// The bridge device's name.
    pub bridge: IfName,
    /// The bridge device's MAC.
    pub mac: MacAddr,
    /// The MTU of the bridge device, and of its ports unless a link says otherwise.
    pub mtu: u32,
    /// Spanning tree (`IFLA_BR_STP_STATE`).
    pub stp: bool,
    /// Multicast snooping (`IFLA_BR_MCAST_SNOOPING`).
    pub multicast_snooping: bool,
    /// Seconds after which an FDB entry that was learned is forgotten; `None` leaves the kernel's 300.
    pub ageing: Option<Duration>,
    /// Whether its ports have VLANs (`IFLA_BR_VLAN_FILTERING`).
    #[serde(default)]
    pub vlan_filtering: bool,
    /// The VLANs that its ports may have; any if none is said.
    #[serde(default)]
    pub vlans: Vec<u16>,
    /// Forwarding entries that are not learned.
    #[serde(default)]
    pub fdb: Vec<FdbEntry>,
}

/// A veth pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The two ends. A node's end comes before a switch's; otherwise they stand as written.
    pub ends: [End; 2],
    /// The segment it belongs to, an index into [`Topology::segments`].
    pub segment: usize,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// What it is plugged into.
    pub device: Device,
    /// The interface's name there.
    pub name: IfName,
    /// The name that was meant where [`End::name`] had to be shortened; becomes an alternative name
    /// (`IFLA_ALT_IFNAME`).
    pub full_name: Option<String>,
    /// The interface's MAC.
    pub mac: MacAddr,
    /// Bytes of layer 3 it carries, 68 to 65535.
    pub mtu: u32,
    /// Its addresses; none for a switch's port.
    pub addresses: Vec<IpNet>,
    /// Administratively up.
    pub up: bool,
    /// A node's end: the bridge, bond or VRF of the node that it is a member of.
    #[serde(default)]
    pub master: Option<IfName>,
    /// A port of a VLAN-aware switch: its VLANs, by number.
    #[serde(default)]
    pub vlans: Vec<PortVlan>,
    /// A switch's port: nothing is forwarded between it and other isolated ones (`IFLA_BRPORT_ISOLATED`).
    #[serde(default)]
    pub isolated: bool,
    /// What happens to what it sends.
    #[serde(default)]
    pub impairment: Impairment,
    /// What happens instead to what it sends to particular neighbours, in the order in which they are plugged in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Path>,
}

/// What happens to what an interface sends to one of its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The neighbour, as `NODE:INTERFACE`.
    pub to: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// What happens.
    pub impairment: Impairment,
}

/// What a link's end is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A node, an index into [`Topology::nodes`].
    Node(usize),
    /// A switch, an index into [`Topology::switches`].
    Switch(usize),
}

/// A broadcast domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// What people call it: the switch's name, or `red–blue` for a cable.
    pub name: String,
    /// The switches in it, indexes into [`Topology::switches`].
    pub switches: Vec<usize>,
    /// The VLAN that it is on its VLAN-aware switches.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// The prefixes in use on it.
    pub prefixes: Vec<IpNet>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads; the default route is `0.0.0.0/0` or `::/0`. Host bits are zero.
    pub to: IpNet,
    /// What happens to a packet that matches.
    pub action: RouteAction,
    /// Lower wins. `None` is the kernel's choice: 0 for IPv4, 1024 for IPv6.
    pub metric: Option<u32>,
    /// The table, 254 (main) unless given.
    pub table: u32,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// The path MTU to use.
    pub mtu: Option<u32>,
    /// nslab derived it from the shape of the lab.
    pub derived: bool,
}

/// What a [`Route`] does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteAction {
    /// Send it on by one of these: one is an ordinary route, several a multipath one.
    Forward(Vec<NextHop>),
    /// Drop it without a word (`RTN_BLACKHOLE`).
    Blackhole,
    /// Drop it and say "host unreachable" (`RTN_UNREACHABLE`).
    Unreachable,
    /// Drop it and say "administratively prohibited" (`RTN_PROHIBIT`).
    Prohibit,
    /// Look in the next rule's table (`RTN_THROW`).
    Throw,
}

/// One way out of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// The gateway; none means that the destination is on the link.
    pub via: Option<IpAddr>,
    /// The interface. Always known for an IPv6 link-local gateway or where there is no gateway; otherwise the
    /// kernel finds it, and resolving fills it in where the gateway is on a subnet of the node.
    pub dev: Option<IfName>,
    /// Share of the traffic among several, 1 to 256.
    pub weight: u16,
    /// Take the gateway to be on the link though no address of the interface says so.
    pub onlink: bool,
}

/// A policy routing rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// The order in which rules are tried, lowest first, 1 to 32765.
    pub priority: u32,
    /// For IPv6 rather than IPv4.
    pub ipv6: bool,
    /// Packets from here.
    pub from: Option<IpNet>,
    /// Packets to there.
    pub to: Option<IpNet>,
    /// Packets that come in by this interface.
    pub iif: Option<IfName>,
    /// Packets that are to leave by this interface.
    pub oif: Option<IfName>,
    /// Packets with this firewall mark: value and mask.
    pub fwmark: Option<(u32, u32)>,
    /// What to do with them.
    pub action: RuleAction,
}

/// What a [`Rule`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Look in this table.
    Table(u32),
    /// Drop it without a word.
    Blackhole,
    /// Drop it and say "network unreachable".
    Unreachable,
    /// Drop it and say "administratively prohibited".
    Prohibit,
}

/// A permanent neighbour (ARP or ND) entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbour {
    /// The neighbour's address.
    pub address: IpAddr,
    /// The interface it is behind.
    pub dev: IfName,
    /// Its MAC.
    pub mac: MacAddr,
}

/// A program that runs in a node as long as the lab does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What logs and lists call it: unique in the node, the program's own name unless given.
    pub name: String,
    /// What is run: one string is handed to `/bin/sh -c`, several are a program and its arguments.
    pub command: Vec<String>,
    /// Environment besides the node's.
    pub env: BTreeMap<String, String>,
    /// Working directory; the lab file's own unless given.
    pub directory: Option<String>,
    /// What shows that it is ready; the next program starts after that.
    pub ready: Option<Ready>,
    /// How long to wait for that.
    pub timeout: Duration,
    /// Who it runs as, a name or a number; who nslab runs as unless given.
    #[serde(default)]
    pub user: Option<String>,
}

/// What shows that a program is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// A TCP socket listens on this port in the node.
    Tcp(u16),
    /// A UDP socket is bound to this port in the node.
    Udp(u16),
    /// This file exists.
    File(String),
    /// This command, run in the node, succeeds.
    Command(Vec<String>),
    /// It has ended, with 0: a command that is run once.
    Exit,
}

impl Topology {
    /// The name in the lab of what a link's end is plugged into.
    pub fn device_name(&self, device: Device) -> &str {
        match device {
            Device::Node(index) => &self.nodes[index].name,
            Device::Switch(index) => &self.switches[index].name,
        }
    }

    /// The addresses of a node besides those on its loopback interface, each with the segment it is on: ends of cables
    /// first, in the order of the file.
    pub fn addresses_of(&self, node: usize) -> impl Iterator<Item = (usize, IpNet)> {
        let ends = self.ends_of(Device::Node(node)).flat_map(move |(link, end)| {
            end.addresses.iter().map(move |address| (self.links[link].segment, *address))
        });
        ends.chain(
            self.nodes[node].interfaces.iter().flat_map(|interface| {
                interface.addresses.iter().map(|address| (interface.segment, *address))
            }),
        )
    }

    /// The ends plugged into `device`, in the order of the links, each with its link's index.
    pub fn ends_of(&self, device: Device) -> impl Iterator<Item = (usize, &End)> {
        self.links.iter().enumerate().flat_map(move |(index, link)| {
            link.ends.iter().filter(move |end| end.device == device).map(move |end| (index, end))
        })
    }
}
