//! Ports of bridges.

use nslab_kernel::link::LinkKind;
use nslab_kernel::neighbour::BridgeVlan;

use super::super::change::Change;
use super::{Case, Proposal};
use crate::Evidence;
use crate::l2::Port;

impl Case<'_> {
    /// The port that the cause names, or that it is at.
    fn port(&self) -> Option<Port> {
        match self.cause.evidence {
            Evidence::BridgePort(port) => Some(port),
            _ => self.at(),
        }
    }

    /// The other ports of the port's bridge, and the bridge itself.
    fn siblings(&self, port: Port) -> Vec<Port> {
        let Some(state) = self.state(port.namespace) else { return Vec::new() };
        let Some(bridge) = state.link(port.link).map(|link| link.master.unwrap_or(link.index)) else {
            return Vec::new();
        };
        let all =
            state.network.links.iter().filter(|link| link.master == Some(bridge) || link.index == bridge);
        all.map(|link| Port { namespace: port.namespace, link: link.index })
            .filter(|&at| at != port)
            .collect()
    }

    /// The port is put into a VLAN that another port is in: as its own, then with tags.
    pub(super) fn vlan(&self) -> Vec<Proposal> {
        let Some(port) = self.port() else { return Vec::new() };
        let Some(state) = self.state(port.namespace) else { return Vec::new() };
        let siblings = self.siblings(port);
        let of = |at: Port| state.network.vlans.iter().filter(move |vlan| vlan.link == at.link);
        let mut vlans: Vec<u16> = siblings.iter().flat_map(|&at| of(at)).map(|vlan| vlan.vlan).collect();
        vlans.sort_unstable();
        vlans.dedup();
        let has_own = of(port).any(|vlan| vlan.pvid);
        let mut all = Vec::new();
        for (pvid, untagged) in [(true, true), (false, false), (false, true)] {
            // A port that has a VLAN of its own keeps it as long as that will do.
            for &vlan in &vlans {
                let vlan = BridgeVlan { link: port.link, vlan, pvid, untagged };
                all.push((pvid && has_own, vec![Change::AddVlan(port, vlan)]));
            }
        }
        // The way that the frames come may be the wrong one.
        for &other in &siblings {
            for vlan in of(port).map(|vlan| vlan.vlan) {
                let vlan = BridgeVlan { link: other.link, vlan, pvid: true, untagged: true };
                all.push((true, vec![Change::AddVlan(other, vlan)]));
            }
        }
        all.sort_by_key(|(late, _)| *late);
        all.into_iter().map(|(_, proposal)| proposal).collect()
    }

    pub(super) fn isolation(&self) -> Vec<Proposal> {
        let Some(port) = self.port() else { return Vec::new() };
        let ports = std::iter::once(port).chain(self.siblings(port));
        let isolated = ports
            .filter(|&at| self.link(at).and_then(|link| link.bridge_port).is_some_and(|port| port.isolated));
        isolated.map(|at| vec![Change::Isolated(at, false)]).collect()
    }

    pub(super) fn port_state(&self) -> Vec<Proposal> {
        let Some(port) = self.port() else { return Vec::new() };
        let Some(state) = self.state(port.namespace) else { return Vec::new() };
        let master = state.link(port.link).and_then(|link| state.link(link.master?));
        // The kernel's own spanning tree decides by itself and lets nobody in.
        let by_itself = master.is_some_and(
            |bridge| matches!(&bridge.kind, Some(LinkKind::Bridge(own)) if own.stp == Some(true)),
        );
        if by_itself { Vec::new() } else { vec![vec![Change::PortState(port, 3)]] }
    }

    /// Entries that somebody put there go; ports flood.
    pub(super) fn forwarding_entry(&self) -> Vec<Proposal> {
        let Some(port) = self.port() else { return Vec::new() };
        let Some(state) = self.state(port.namespace) else { return Vec::new() };
        let mut ports = self.siblings(port);
        ports.insert(0, port);
        let is_one = |link| ports.iter().any(|at| at.link == link);
        let fixed = state.network.fdb.iter().filter(|entry| {
            is_one(entry.link) && (entry.fixed || entry.external) && !entry.local && entry.mac.is_unicast()
        });
        let mut all: Vec<Proposal> =
            fixed.map(|entry| vec![Change::DeleteFdb(port.namespace, *entry)]).collect();
        let is_closed = |&&at: &&Port| {
            let port = self.link(at).and_then(|link| link.bridge_port);
            port.is_some_and(|port| !port.unicast_flood || !port.broadcast_flood || !port.multicast_flood)
        };
        all.extend(ports.iter().filter(is_closed).map(|&at| vec![Change::Flood(at)]));
        all
    }
}
