//! Everything rtnetlink tells of a namespace, in one value.

use serde::{Deserialize, Serialize};

use crate::address::{self, Address};
use crate::error::Result;
use crate::link::{self, Link};
use crate::neighbour::{self, BridgeVlan, FdbEntry, Neighbour, fdb, vlan};
use crate::netlink::Socket;
use crate::qdisc::Queues;
use crate::route::{self, Route};
use crate::rule::{self, Rule};

/// A namespace's network configuration as the kernel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceState {
    /// Interfaces by number.
    pub links: Vec<Link>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// Routes of all tables.
    pub routes: Vec<Route>,
    /// Policy rules, IPv4 first, by priority.
    pub rules: Vec<Rule>,
    /// Neighbours.
    pub neighbours: Vec<Neighbour>,
    /// Forwarding entries of bridges and VXLANs.
    pub fdb: Vec<FdbEntry>,
    /// VLANs of bridges and their ports.
    pub vlans: Vec<BridgeVlan>,
    /// Queueing disciplines with their classes and filters.
    #[serde(default)]
    pub queues: Queues,
}

/// What to read of a namespace; reading less is quicker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select {
    /// Neighbours, FDB and bridge VLANs too, which a namespace may have thousands of, and the filters for packets that
    /// come in at an interface on which none wait when they go out ([`Link::has_queue`]).
    pub tables: bool,
}

impl NamespaceState {
    /// Reads the namespace that `socket` belongs to.
    ///
    /// Each list is consistent in itself (it is read again if it changed meanwhile); between one list and the next
    /// the namespace may change.
    pub fn read(socket: &mut Socket, select: Select) -> Result<Self> {
        let mut state = Self {
            links: link::list(socket)?,
            addresses: address::list(socket)?,
            routes: route::list(socket)?,
            rules: rule::list(socket)?,
            ..Self::default()
        };
        if select.tables || state.links.iter().any(Link::has_queue) {
            state.queues = Queues::read(socket)?;
        }
        if select.tables {
            state.neighbours = neighbour::list(socket)?;
            state.fdb = fdb::list(socket, &state.links)?;
            state.vlans = vlan::list(socket)?;
        }
        Ok(state)
    }
}
