//! The operations that plans are made of.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::nftables::Table;
use nslab_topology::model::{Existing, File, PortVlan, Program, Route, Rule, View};
use nslab_types::{IfName, MacAddr};
use serde::{Deserialize, Serialize};

use super::interface::{InterfaceSettings, WireguardSettings};
use crate::shaping::Queue;
use crate::uplink::UserWay;

/// The interface group that marks every link nslab made (`ip link show group 28275`): "ns" in ASCII.
pub const LINK_GROUP: u32 = 0x6e73;

/// The alias of a namespace's loopback interface, which says whose the namespace is. It is the mark that `down` goes
/// by when nothing else is left.
pub fn namespace_mark(lab: &str, node: &str) -> String {
    format!("nslab:{lab}/{node}")
}

/// A namespace of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRef {
    /// The node or switch that it is.
    pub node: String,
    /// Its name for `ip netns`.
    pub name: String,
    /// What it is for.
    pub role: Role,
}

/// What a namespace is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Programs run in it.
    Node,
    /// It holds a bridge.
    Switch,
    /// It was there before the lab, and is a node of it for a while.
    Joined,
    /// The host's own, where ways out end.
    Host,
}

impl Role {
    /// Whether programs run in it: all but a switch.
    pub fn is_node(self) -> bool {
        matches!(self, Self::Node | Self::Joined)
    }
}

/// Steps that are done together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What they have in common.
    pub kind: StageKind,
    /// The steps, at least one.
    pub steps: Vec<Step>,
}

/// What the steps of a stage have in common, in the order in which stages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Programs that go, or are to be started anew, end.
    StopPrograms,
    /// Routes and addresses that are not wanted go, and what goes wholly is unplugged.
    Remove,
    /// Cables go. After all else, as a cable takes with it what is on it in another namespace.
    RemoveCables,
    /// Namespaces come.
    Namespaces,
    /// Bridges come.
    Bridges,
    /// Cables come.
    Cables,
    /// Interfaces that are no ends of cables come.
    Interfaces,
    /// Interfaces, addresses, rules and routes are set.
    Configure,
    /// Firewalls and address translation are set.
    Firewalls,
    /// Switches start to forward. Last, so that what hosts say when they come up is not flooded to all others.
    SwitchesUp,
    /// Nodes get files and directories of their own.
    Views,
    /// Programs start.
    StartPrograms,
    /// Namespaces go. Last, as what was in them could not be brought back.
    RemoveNamespaces,
}

/// One operation on one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The namespace, an index into [`Plan::namespaces`](super::Plan::namespaces).
    pub namespace: usize,
    /// What is done to it.
    pub op: Op,
}

/// An operation. It carries what its inverse needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Make the namespace, bring `lo` up, mark it as the lab's, pin it.
    CreateNamespace,
    /// Take the namespace away with all that is in it.
    DeleteNamespace,
    /// Make a namespace that is there already a node of the lab: pin it, and change nothing in it.
    JoinNamespace {
        /// What it is called.
        existing: Existing,
    },
    /// Let go of a namespace that the lab has joined; it stays as it is.
    LeaveNamespace {
        /// What it is called.
        existing: Existing,
    },
    /// Give the namespace another name for `ip netns`.
    RenameNamespace {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// Set a sysctl.
    SetSysctl {
        /// Its key, dotted or slashed.
        key: String,
        /// The value it gets.
        value: String,
        /// The value it had; `None` in a namespace that is new.
        before: Option<String>,
        /// A kernel without it does without.
        optional: bool,
    },
    /// Make a bridge, down.
    CreateBridge {
        /// Its name.
        name: IfName,
        /// What it is made with.
        settings: BridgeSettings,
    },
    /// Delete a bridge.
    DeleteBridge {
        /// Its name.
        name: IfName,
        /// What it was made with.
        settings: BridgeSettings,
    },
    /// Change a bridge's settings.
    SetBridge {
        /// Its name.
        name: IfName,
        /// What they become.
        settings: BridgeSettings,
        /// What they were.
        before: BridgeSettings,
    },
    /// Make a cable: `near` in this namespace, `far` in another.
    CreateVeth {
        /// The end in this namespace. It may join a bridge and come up at once.
        near: VethEnd,
        /// The namespace of the other end, an index into [`Plan::namespaces`](super::Plan::namespaces).
        far_namespace: usize,
        /// The other end, which is left down: the kernel brings a peer up only in its own namespace.
        far: VethEnd,
    },
    /// Delete a cable, both ends.
    DeleteVeth {
        /// The end in this namespace.
        near: VethEnd,
        /// The namespace of the other end.
        far_namespace: usize,
        /// The other end.
        far: VethEnd,
    },
    /// Delete a link that is in the way and that nslab made, but whose other end is not known.
    DeleteStrayLink {
        /// Its name.
        name: IfName,
    },
    /// Make an interface that is no end of a cable, down.
    CreateInterface {
        /// Its name.
        name: IfName,
        /// What it is made with.
        settings: InterfaceSettings,
    },
    /// Delete an interface that is no end of a cable.
    DeleteInterface {
        /// Its name.
        name: IfName,
        /// What it was made with.
        settings: InterfaceSettings,
    },
    /// Set a `WireGuard` interface's key, port and peers, and take away all other peers.
    SetWireguard {
        /// The interface.
        link: IfName,
        /// What they become.
        settings: WireguardSettings,
        /// What they were; `None` of an interface that is new.
        before: Option<WireguardSettings>,
    },
    /// Put a port of a switch into a VLAN, or change how it is in it.
    SetPortVlan {
        /// The port.
        link: IfName,
        /// The VLAN.
        vlan: PortVlan,
        /// How it was in it.
        before: Option<PortVlan>,
    },
    /// Take a port of a switch out of a VLAN.
    DeletePortVlan {
        /// The port.
        link: IfName,
        /// The VLAN.
        vlan: PortVlan,
    },
    /// Isolate a port of a switch from other isolated ones, or no longer.
    SetIsolated {
        /// The port.
        link: IfName,
        /// What becomes of it.
        isolated: bool,
    },
    /// Add a forwarding entry that is not learned.
    AddFdb {
        /// The switch's port, or the VXLAN.
        link: IfName,
        /// The MAC; all zeros are frames for all.
        mac: MacAddr,
        /// The VLAN, of a VLAN-aware switch.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        vlan: Option<u16>,
        /// The remote end, of a VXLAN.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remote: Option<IpAddr>,
    },
    /// Take a forwarding entry away.
    DeleteFdb {
        /// The switch's port, or the VXLAN.
        link: IfName,
        /// The MAC.
        mac: MacAddr,
        /// The VLAN.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        vlan: Option<u16>,
        /// The remote end.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remote: Option<IpAddr>,
    },
    /// Change an interface.
    SetLink {
        /// Its name.
        name: IfName,
        /// What becomes different.
        change: LinkChange,
        /// The same of how it was.
        before: LinkChange,
    },
    /// Change what an interface does with what it sends.
    SetQueue {
        /// The interface.
        link: IfName,
        /// What it does from then on.
        queue: Box<Queue>,
        /// What it did.
        before: Box<Queue>,
    },
    /// Give an interface a further name.
    AddAltName {
        /// The interface.
        link: IfName,
        /// The further name.
        name: String,
    },
    /// Take a further name from an interface.
    DeleteAltName {
        /// The interface.
        link: IfName,
        /// The further name.
        name: String,
    },
    /// Give an interface an address.
    AddAddress {
        /// The interface.
        link: IfName,
        /// The address.
        address: IpNet,
    },
    /// Take an address from an interface.
    DeleteAddress {
        /// The interface.
        link: IfName,
        /// The address.
        address: IpNet,
    },
    /// Add a route.
    AddRoute(Route),
    /// Delete a route.
    DeleteRoute(Route),
    /// Add a policy rule.
    AddRule(Rule),
    /// Delete a policy rule.
    DeleteRule(Rule),
    /// Set or replace a permanent neighbour.
    SetNeighbour {
        /// The interface.
        link: IfName,
        /// The neighbour's address.
        address: IpAddr,
        /// Its MAC.
        mac: MacAddr,
        /// The MAC that a permanent entry had before.
        before: Option<MacAddr>,
    },
    /// Delete a permanent neighbour.
    DeleteNeighbour {
        /// The interface.
        link: IfName,
        /// The neighbour's address.
        address: IpAddr,
        /// Its MAC.
        mac: MacAddr,
    },
    /// Put a table of nftables in the place of the one that is there, in one transaction; none takes it away.
    ReplaceTable {
        /// The table that shall be there.
        table: Option<Box<Table>>,
        /// The one that was there.
        before: Option<Box<Table>>,
    },
    /// Put the lab's table of nftables on the host in the place of the one that is there; none takes it away.
    ReplaceHostTable {
        /// The table that shall be there.
        table: Option<Box<Table>>,
        /// The one that was there.
        before: Option<Box<Table>>,
    },
    /// Hand text to the user's nft, in the place of what was handed over before; none takes that away.
    RunNft {
        /// The text.
        text: Option<String>,
        /// The text before.
        before: Option<String>,
    },
    /// Make the node's own files and directories.
    CreateView(Box<View>),
    /// Take the node's own files and directories away.
    DeleteView(Box<View>),
    /// Write one of the node's own files, in place.
    WriteFile {
        /// What it becomes.
        file: Box<File>,
        /// What it was; `None` if it was not there.
        before: Option<Box<File>>,
    },
    /// Have a program of the user's carry a way out.
    StartWay(Box<UserWay>),
    /// End the program that carries a way out.
    StopWay(Box<UserWay>),
    /// Start a program and wait until it is ready.
    StartProgram(Box<Program>),
    /// End a program and everything that it started.
    StopProgram(Box<Program>),
}

/// What a bridge is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeSettings {
    /// Its MAC. Set explicitly, or the kernel would look at all ports for the smallest each time one joins
    /// (`br_stp_recalculate_bridge_id`, `net/bridge/br_stp_if.c`).
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u32,
    /// Spanning tree.
    pub stp: bool,
    /// Multicast snooping.
    pub multicast_snooping: bool,
    /// Its ports have VLANs.
    #[serde(default)]
    pub vlan_filtering: bool,
    /// Lifetime of learned entries in centiseconds; `None` leaves the kernel's.
    pub ageing_time: Option<u32>,
}

/// One end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethEnd {
    /// Its name.
    pub name: IfName,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u32,
    /// The bridge it joins.
    pub master: Option<IfName>,
    /// It comes up as soon as it is made.
    pub up: bool,
}

/// Things to change of an interface; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    /// Administratively up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// Its MTU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Its MAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The bridge it is in; `Some(None)` is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<Option<IfName>>,
    /// Whether the kernel makes a link-local IPv6 address for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatic_link_local: Option<bool>,
}
