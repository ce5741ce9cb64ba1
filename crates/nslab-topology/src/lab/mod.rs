//! What a lab file says: groups repeated and variables filled in, but nothing chosen yet.

mod edit;
mod end;
mod expectation;
mod interface;
mod path;
mod policy;
mod routing;
mod target;
mod timeline;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

pub use edit::{EditError, LinkOptions};
pub use end::End;
pub(crate) use end::words;
pub use expectation::{Bounds, Expectation, Expected, MAX_EXPECTATIONS, Mtu, Party, Probe};
pub use interface::{Endpoint, FdbEntry, Interface, InterfaceKind, Remote, SwitchVlan, WireguardPeer};
pub use path::{Path, PathEnd};
pub use policy::{
    Firewall, FirewallRule, IcmpType, Line, NatKind, NatRule, Nft, Policy, Ports, Service, Verdict,
    protocol_name, protocol_names, protocol_number,
};
pub use routing::{Destination, Family, NextHop, Route, RouteAction, Rule, Via};
pub use target::{Target, interfaces};
pub(crate) use target::{missing as missing_target, not_a_link};
pub use timeline::{Action, Event, MAX_OCCURRENCES, Occurrence, schedule};

use crate::diagnostic::{Diagnostic, Spanned};
use crate::impairment::Impairments;
use crate::model;

/// The IPv4 pool of automatic addresses where the file names none.
pub const DEFAULT_IPV4_POOL: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 0, 0, 0), 8);
/// The IPv6 pool of automatic addresses where the file names none: `fd` and "nsla" in ASCII (RFC 4193).
pub const DEFAULT_IPV6_POOL: Ipv6Net =
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0x6e73, 0x6c61, 0, 0, 0, 0, 0), 48);

/// A lab as it was described: what was left open is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lab {
    /// The lab's name.
    pub name: Spanned<String>,
    /// What namespaces' names begin with; the lab's name and `-` unless given.
    pub prefix: Option<Spanned<String>>,
    /// Where automatic addresses come from.
    pub addressing: Addressing,
    /// Whether routes are derived.
    pub routing: Routing,
    /// Nodes in the order of the file.
    pub nodes: Vec<Node>,
    /// Switches in the order of the file.
    pub switches: Vec<Switch>,
    /// Links in the order of the file.
    pub links: Vec<Link>,
    /// What random numbers begin with: those of bad links, as far as the kernel lets itself be told, and those of
    /// [`Lab::timeline`].
    #[serde(default)]
    pub seed: Option<u64>,
    /// What `nslab play` does to it.
    #[serde(default)]
    pub timeline: Vec<Event>,
    /// Who is expected to reach whom.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
    /// What reading the file had to say besides.
    #[serde(skip)]
    pub notes: Notes,
}

/// What reading a lab file had to say that the lab itself doesn't.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The file's name.
    pub file: String,
    /// What likely isn't meant.
    pub warnings: Vec<Diagnostic>,
}

/// Notes take no part in comparison, as places don't.
impl PartialEq for Notes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Where automatic addresses come from; a family without a pool gets none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressing {
    /// The IPv4 pool.
    pub ipv4: Option<Spanned<Ipv4Net>>,
    /// The IPv6 pool.
    pub ipv6: Option<Spanned<Ipv6Net>>,
}

impl Addressing {
    /// No automatic addresses.
    pub const NONE: Self = Self { ipv4: None, ipv6: None };
}

impl Default for Addressing {
    fn default() -> Self {
        Self { ipv4: Some(DEFAULT_IPV4_POOL.into()), ipv6: Some(DEFAULT_IPV6_POOL.into()) }
    }
}

/// Whether routes are derived from the shape of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Hosts get a default route to their router, routers a route to every subnet.
    #[default]
    Auto,
    /// The same, with every shortest way instead of the first (equal-cost multipath).
    Ecmp,
    /// Only what is written.
    None,
}

/// A node as it was described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: Spanned<String>,
    /// The namespace that it is, if that is there without the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Spanned<model::Existing>>,
    /// It is a router.
    pub forward: bool,
    /// Sysctls: key as written (nested ones joined by dots) and value.
    pub sysctls: Vec<(Spanned<String>, String)>,
    /// Addresses on the loopback interface.
    pub addresses: Vec<Spanned<IpNet>>,
    /// Its IPv4 default route.
    pub gateway_ipv4: Gateway,
    /// Its IPv6 default route.
    pub gateway_ipv6: Gateway,
    /// Routes.
    pub routes: Vec<Spanned<Route>>,
    /// Policy routing rules.
    pub rules: Vec<Spanned<Rule>>,
    /// Permanent neighbour entries.
    pub neighbours: Vec<Spanned<Neighbour>>,
    /// Programs.
    pub programs: Vec<Program>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Further names for `/etc/hosts`.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Its way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Spanned<Uplink>>,
    /// Its name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// Its firewall and address translation.
    #[serde(default)]
    pub policy: Policy,
    /// Interfaces that are no ends of links, in the order of the file.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// Files, directories and processes of its own.
    #[serde(default)]
    pub view: View,
    /// Who its programs run as.
    #[serde(default)]
    pub user: Option<Spanned<String>>,
}

/// What a node has of its own as it was described.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Private directories.
    pub directories: Vec<Spanned<model::PrivateDirectory>>,
    /// Private files, each at its path or, where it is a copy, at the path that it is copied from.
    pub files: Vec<Spanned<model::File>>,
    /// Which processes are in sight, if anything was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Spanned<model::Processes>>,
}

impl View {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty() && self.files.is_empty() && !self.has_processes()
    }

    /// Whether its processes are the node's own.
    pub fn has_processes(&self) -> bool {
        self.processes.as_ref().is_some_and(|processes| !processes.value.is_hosts())
    }
}

impl Node {
    /// A node with nothing but a name.
    pub fn new(name: impl Into<Spanned<String>>) -> Self {
        Self {
            name: name.into(),
            existing: None,
            forward: false,
            sysctls: Vec::new(),
            addresses: Vec::new(),
            gateway_ipv4: Gateway::Auto,
            gateway_ipv6: Gateway::Auto,
            routes: Vec::new(),
            rules: Vec::new(),
            neighbours: Vec::new(),
            programs: Vec::new(),
            env: BTreeMap::new(),
            hosts: BTreeMap::new(),
            uplink: None,
            dns: Vec::new(),
            policy: Policy::default(),
            view: View::default(),
            user: None,
            interfaces: Vec::new(),
        }
    }
}

/// How a node's default route of one family is settled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gateway {
    /// By the only router next to it.
    #[default]
    Auto,
    /// There is none.
    None,
    /// By this address.
    Address(Spanned<IpAddr>),
    /// By this node, in each family in which it has an address on a shared segment.
    Node(Spanned<String>),
}

/// A way out as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// The node's interface; `uplink` unless given.
    pub interface: Option<Spanned<String>>,
    /// IPv4.
    pub ipv4: bool,
    /// IPv6, if anything was said of it.
    pub ipv6: Option<bool>,
    /// Ports of the host that lead to the node.
    pub publish: Vec<Spanned<model::Publish>>,
}

impl Uplink {
    /// What the interface is called where nothing else is said.
    pub const INTERFACE: &'static str = "uplink";
}

/// A permanent neighbour entry as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The neighbour's address.
    pub address: IpAddr,
    /// Its MAC.
    pub mac: MacAddr,
    /// The interface; found by the address unless given.
    pub dev: Option<Spanned<String>>,
}

/// A program as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name, if one was given.
    pub name: Option<Spanned<String>>,
    /// What is run: one text is for the shell, several are a program and its arguments.
    pub command: Vec<String>,
    /// Environment besides the node's.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub directory: Option<String>,
    /// What shows that it is ready.
    pub ready: Option<model::Ready>,
    /// How long to wait for that, if given.
    pub timeout: Option<Duration>,
    /// Who it runs as, if not as the node says.
    #[serde(default)]
    pub user: Option<String>,
}

/// A switch as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Its name.
    pub name: Spanned<String>,
    /// Its MTU.
    pub mtu: Option<Spanned<u32>>,
    /// Spanning tree.
    pub stp: bool,
    /// Multicast snooping.
    pub multicast_snooping: bool,
    /// How long a learned address is kept.
    pub ageing: Option<Duration>,
    /// The subnets that automatic addresses come from: at most one of each family. Of a VLAN-aware switch those of
    /// VLAN 1.
    pub subnets: Vec<Spanned<IpNet>>,
    /// What happens between two of its nodes in particular.
    #[serde(default)]
    pub paths: Vec<Path>,
    /// Its ports have VLANs.
    #[serde(default)]
    pub vlan_filtering: bool,
    /// The VLANs that its ports may have; any if none is said.
    #[serde(default)]
    pub vlans: Vec<SwitchVlan>,
    /// Forwarding entries that are not learned.
    #[serde(default)]
    pub fdb: Vec<Spanned<FdbEntry>>,
}

impl Switch {
    /// A switch with nothing but a name.
    pub fn new(name: impl Into<Spanned<String>>) -> Self {
        Self {
            name: name.into(),
            mtu: None,
            stp: false,
            multicast_snooping: true,
            ageing: None,
            subnets: Vec::new(),
            paths: Vec::new(),
            vlan_filtering: false,
            vlans: Vec::new(),
            fdb: Vec::new(),
        }
    }
}

/// A link as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its ends.
    pub ends: [End; 2],
    /// The MTU of both ends.
    pub mtu: Option<Spanned<u32>>,
    /// What happens to what either end sends.
    #[serde(default)]
    pub impairments: Impairments,
}

impl Lab {
    /// A lab with nothing in it, where nothing is chosen for the user but names: no automatic addresses, no
    /// derived routes. The beginning of a lab that is built step by step.
    pub fn empty(name: impl Into<String>) -> Self {
        Self {
            expectations: Vec::new(),
            name: Spanned::from(name.into()),
            prefix: None,
            addressing: Addressing::NONE,
            routing: Routing::None,
            nodes: Vec::new(),
            switches: Vec::new(),
            links: Vec::new(),
            seed: None,
            timeline: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// Whether it names files for [`Lab::read_files`] to read.
    pub fn names_files(&self) -> bool {
        let all = self.nodes.iter().flat_map(|node| &node.policy.nft);
        all.into_iter().any(|nft| matches!(nft, Nft::File { .. }))
    }

    /// Fills in what stands in files that the lab file names; `read` is given each path as it is written. Errors with
    /// the first that it errs with, and its place.
    pub fn read_files<E>(
        &mut self,
        mut read: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<(), Spanned<E>> {
        for nft in self.nodes.iter_mut().flat_map(|node| &mut node.policy.nft) {
            if let Nft::File { path, text, .. } = nft {
                *text = read(path).map_err(|error| Spanned::new(error, path.span))?;
            }
        }
        Ok(())
    }

    /// The prefix of its namespaces' names.
    pub fn namespace_prefix(&self) -> String {
        self.prefix.as_ref().map_or_else(|| format!("{}-", self.name.value), |prefix| prefix.value.clone())
    }

    /// The names of everything that a link can be plugged into, nodes first.
    pub fn device_names(&self) -> impl Iterator<Item = &str> + Clone {
        let nodes = self.nodes.iter().map(|node| node.name.as_str());
        nodes.chain(self.switches.iter().map(|switch| switch.name.as_str()))
    }
}
