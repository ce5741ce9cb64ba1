//! A change of a network: what it makes of a snapshot, and the commands that make it of the kernel.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::address::Address;
use nslab_kernel::link::IfIndex;
use nslab_kernel::neighbour::{BridgeVlan, FdbEntry};
use nslab_kernel::nftables::{Rule as NftRule, Table, TableId};
use nslab_kernel::qdisc::Handle;
use nslab_kernel::route::Route;
use nslab_kernel::rule::Rule;
use nslab_snapshot::{Snapshot, State};
use nslab_types::{IfName, MacAddr};

use super::kernel::{self, state_mut};
use super::sysctl;
use crate::l2::Port;

/// One change. Each is one step for people, of one command or few.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// An interface is set up.
    Up(Port),
    /// An interface gets another MTU, in bytes.
    Mtu(Port, u32),
    /// An interface gets another MAC.
    Mac(Port, MacAddr),
    /// An interface gets an address.
    AddAddress(Port, IpNet),
    /// An interface loses an address.
    DeleteAddress(Port, IpNet),
    /// What a namespace knows of who has an address is forgotten, so that it asks anew.
    Forget(Port, IpAddr),
    /// A namespace gets a route.
    AddRoute(usize, Route),
    /// A namespace loses a route.
    DeleteRoute(usize, Route),
    /// A namespace gets a policy rule.
    AddRule(usize, Rule),
    /// A namespace loses a policy rule.
    DeleteRule(usize, Rule),
    /// A sysctl of a namespace.
    Sysctl(usize, String, i64),
    /// A rule of nftables is put before that of a handle, or at the end.
    Insert {
        /// The namespace.
        namespace: usize,
        /// The table.
        table: TableId,
        /// The chain.
        chain: String,
        /// Before which.
        before: Option<u64>,
        /// The rule.
        rule: NftRule,
    },
    /// A namespace gets a table of nftables with one base chain of one rule.
    AddTable(usize, Table),
    /// Whether a bridge's port is isolated.
    Isolated(Port, bool),
    /// The STP state of a bridge's port.
    PortState(Port, u8),
    /// Whether a bridge's port lets through what is for unknown destinations and for groups.
    Flood(Port),
    /// A bridge's port is put into a VLAN.
    AddVlan(Port, BridgeVlan),
    /// A forwarding entry goes.
    DeleteFdb(usize, FdbEntry),
    /// The queueing discipline at a place of an interface goes, with its filters.
    DeleteQdisc(Port, Handle, String),
    /// A cable between two namespaces, both ends up.
    Cable(End, End),
}

/// An end of a new cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Where.
    pub(super) namespace: usize,
    /// Its name.
    pub(super) name: IfName,
    /// The number that it is given in the snapshot.
    pub(super) link: IfIndex,
    /// The bridge that it is a port of.
    pub(super) bridge: Option<IfIndex>,
}

impl End {
    /// Where it is.
    pub(super) fn port(&self) -> Port {
        Port { namespace: self.namespace, link: self.link }
    }
}

impl Change {
    /// Makes it of a snapshot, with all that the kernel does then by itself; none if the snapshot is such that the kernel
    /// would refuse, or that what it would do is not known.
    pub(super) fn apply(&self, snapshot: &mut Snapshot) -> Option<()> {
        match self {
            Self::Up(at) => kernel::up(snapshot, *at),
            Self::Mtu(at, mtu) => {
                let state = state_mut(snapshot, at.namespace)?;
                let link = kernel::link_mut(state, at.link)?;
                link.mtu = *mtu;
                if let Some(ipv6) = &mut link.ipv6 {
                    ipv6.mtu = *mtu;
                }
                Some(())
            }
            Self::Mac(at, mac) => {
                let state = state_mut(snapshot, at.namespace)?;
                let old = kernel::link_mut(state, at.link)?.mac.replace(*mac);
                let own = |entry: &&mut FdbEntry| entry.link == at.link && Some(entry.mac) == old;
                state.network.fdb.iter_mut().filter(own).for_each(|entry| entry.mac = *mac);
                Some(())
            }
            Self::AddAddress(at, address) => kernel::add_address(snapshot, *at, *address),
            Self::DeleteAddress(at, address) => kernel::delete_address(snapshot, *at, *address),
            Self::Forget(at, address) => {
                let known = &mut state_mut(snapshot, at.namespace)?.network.neighbours;
                known.retain(|entry| entry.link != at.link || entry.address != *address || entry.proxy);
                Some(())
            }
            Self::AddRoute(namespace, route) => {
                kernel::add_route(state_mut(snapshot, *namespace)?, route.clone())
            }
            Self::DeleteRoute(namespace, route) => {
                let routes = &mut state_mut(snapshot, *namespace)?.network.routes;
                let place = routes.iter().position(|known| known == route)?;
                routes.remove(place);
                Some(())
            }
            Self::AddRule(namespace, rule) => {
                let rules = &mut state_mut(snapshot, *namespace)?.network.rules;
                rules.push(rule.clone());
                rules.sort_by_key(|rule| (rule.ipv6, rule.priority));
                Some(())
            }
            Self::DeleteRule(namespace, rule) => {
                let rules = &mut state_mut(snapshot, *namespace)?.network.rules;
                let place = rules.iter().position(|known| known == rule)?;
                rules.remove(place);
                Some(())
            }
            Self::Sysctl(namespace, key, value) => sysctl::set(snapshot, *namespace, key, *value),
            Self::Insert { namespace, table, chain, before, rule } => {
                let ruleset = &mut state_mut(snapshot, *namespace)?.nftables;
                let table = ruleset.tables.iter_mut().find(|known| known.id == *table)?;
                let rules = &mut table.chains.iter_mut().find(|known| known.name == *chain)?.rules;
                let place = match before {
                    Some(handle) => rules.iter().position(|rule| rule.handle == *handle)?,
                    None => rules.len(),
                };
                rules.insert(place, rule.clone());
                Some(())
            }
            Self::AddTable(namespace, table) => {
                let tables = &mut state_mut(snapshot, *namespace)?.nftables.tables;
                if tables.iter().any(|known| known.id == table.id) {
                    return None;
                }
                tables.push(table.clone());
                Some(())
            }
            Self::Isolated(at, isolated) => {
                kernel::port_mut(snapshot, *at)?.isolated = *isolated;
                Some(())
            }
            Self::PortState(at, state) => {
                kernel::port_mut(snapshot, *at)?.state = *state;
                kernel::settle(snapshot);
                Some(())
            }
            Self::Flood(at) => {
                let port = kernel::port_mut(snapshot, *at)?;
                (port.unicast_flood, port.multicast_flood, port.broadcast_flood) = (true, true, true);
                Some(())
            }
            Self::AddVlan(at, vlan) => {
                let vlans = &mut state_mut(snapshot, at.namespace)?.network.vlans;
                vlans.retain(|known| known.link != at.link || known.vlan != vlan.vlan);
                if vlan.pvid {
                    let own = vlans.iter_mut().filter(|known| known.link == at.link);
                    own.for_each(|known| known.pvid = false);
                }
                vlans.push(*vlan);
                vlans.sort_by_key(|vlan| (vlan.link, vlan.vlan));
                Some(())
            }
            Self::DeleteFdb(namespace, entry) => {
                let fdb = &mut state_mut(snapshot, *namespace)?.network.fdb;
                let place = fdb.iter().position(|known| known == entry)?;
                fdb.remove(place);
                Some(())
            }
            Self::DeleteQdisc(at, parent, _) => {
                let queues = &mut state_mut(snapshot, at.namespace)?.network.queues;
                let gone =
                    queues.qdiscs.iter().find(|qdisc| (qdisc.link, qdisc.parent) == (at.link, *parent))?;
                let major = gone.handle.major();
                queues.qdiscs.retain(|qdisc| {
                    qdisc.link != at.link || qdisc.parent != *parent && qdisc.parent.major() != major
                });
                queues.classes.retain(|class| class.link != at.link || class.parent.major() != major);
                queues.filters.retain(|filter| filter.link != at.link || filter.parent.major() != major);
                Some(())
            }
            Self::Cable(one, other) => kernel::cable(snapshot, one, other),
        }
    }
}

/// A fresh address of a subnet: one that nobody in the snapshot has.
pub(super) fn free_address(snapshot: &Snapshot, net: IpNet) -> Option<IpNet> {
    /// More is not tried.
    const MOST: usize = 1000;
    let is_taken = |address: std::net::IpAddr| {
        let states = snapshot.namespaces.iter().filter_map(nslab_snapshot::Namespace::state);
        states
            .flat_map(|state| &state.network.addresses)
            .any(|known: &Address| known.address.addr() == address)
    };
    // In IPv6 the first address is the routers'.
    let skip = usize::from(net.addr().is_ipv6());
    let free = net.hosts().skip(skip).take(MOST).find(|&address| !is_taken(address))?;
    IpNet::new(free, net.prefix_len()).ok()
}

/// The number and name that a new interface of a namespace gets.
pub(super) fn free_link(state: &State, wish: &str) -> Option<(IfIndex, IfName)> {
    let number = state.network.links.last().map_or(1, |link| link.index + 1);
    let names = std::iter::once(wish.to_owned()).chain((2..100).map(|count| format!("{wish}{count}")));
    let mut free = names.filter_map(|name| IfName::shortened(&name).ok());
    free.find(|name| state.link_named(name.as_str()).is_none()).map(|name| (number, name))
}
