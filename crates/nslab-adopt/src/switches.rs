//! Bridges that become switches of their own.

use nslab_kernel::link::{Bridge, IfIndex, Link, LinkKind};
use nslab_kernel::route::PROTOCOL_KERNEL;
use nslab_snapshot::{Name, Namespace, State};
use nslab_topology::Spanned;
use nslab_topology::lab::{FdbEntry, Switch};
use nslab_topology::model::PortVlan;
use std::time::Duration;

use crate::addresses::is_link_local;
use crate::draft::Draft;

/// How long a bridge keeps what it learned, in hundredths of a second (`BR_DEFAULT_AGEING_TIME`).
const AGEING: u32 = 30_000;
/// How long a port listens and learns (`net/bridge/br_device.c`), in hundredths of a second.
const FORWARD_DELAY: u32 = 1_500;

/// Whether an interface has an address besides link-local ones.
pub(crate) fn has_own_address(state: &State, link: IfIndex) -> bool {
    state.network.addresses.iter().any(|own| own.link == link && !is_link_local(own.address.addr()))
}

/// The bridge of a namespace that is nothing but a bridge and cables into it, if it is one that only a switch of a lab can
/// be, or a lab's switch already. A node says more of it else.
pub(crate) fn as_whole<'a>(namespace: &Namespace, state: &'a State) -> Option<&'a Link> {
    let network = &state.network;
    let mut bridges = network.links.iter().filter(|link| link.as_bridge().is_some());
    let (link, None) = (bridges.next()?, bridges.next()) else { return None };
    let bridge = link.as_bridge()?;
    let is_cable = |port: &Link| port.is_veth() && port.master == Some(link.index);
    let mut others = network.links.iter().filter(|one| one.index != link.index && !one.loopback);
    let has_address = network.links.iter().any(|one| !one.loopback && has_own_address(state, one.index));
    let is_plain = others.all(|one| is_cable(one) || crate::choose::is_kernels(one))
        && !has_address
        && network.routes.iter().all(|route| route.protocol == PROTOCOL_KERNEL)
        && state.nftables.tables.is_empty();
    if !is_plain {
        return None;
    }
    let is_labs =
        namespace.names.iter().any(|name| matches!(name, Name::Node { node, .. } if link.answers_to(node)));
    let static_entries = network.fdb.iter().any(|entry| entry.fixed && !entry.local && !entry.external);
    let isolated = network.links.iter().filter_map(|one| one.bridge_port).any(|port| port.isolated);
    let special = bridge.vlan_filtering == Some(true)
        || bridge.multicast_snooping == Some(false)
        || bridge.ageing_time.is_some_and(|time| time != AGEING)
        || static_entries
        || isolated;
    (is_labs || special).then_some(link)
}

impl Draft<'_> {
    /// The switches of a namespace.
    pub(crate) fn switches(&mut self, number: usize) {
        let space = self.spaces[number].clone();
        for (&index, name) in &space.switches {
            let Some((link, bridge)) = space.link(index).and_then(|link| Some((link, link.as_bridge()?)))
            else {
                continue;
            };
            let id = self.mark(number, link.name.to_string());
            let mut switch = Switch::new(Spanned::new(name.clone(), id));
            switch.stp = bridge.stp.unwrap_or_default();
            switch.multicast_snooping = bridge.multicast_snooping.unwrap_or(true);
            switch.vlan_filtering = bridge.vlan_filtering.unwrap_or_default();
            switch.ageing = bridge
                .ageing_time
                .filter(|&time| time != AGEING)
                .map(|time| Duration::from_millis(u64::from(time) * 10));
            self.bridge_settings(number, link, bridge, true);
            switch.fdb = self.static_entries(number, link.index);
            self.oddities(number, link);
            self.skip(
                number,
                link.name.as_str(),
                "it becomes a switch, in a namespace of its own; a switch's own MAC is nslab's choice, and it has IPv6 off",
            );
            let own = space.state.network.vlans.iter().filter(|vlan| vlan.link == index);
            for vlan in own.filter(|_| bridge.vlan_filtering == Some(true)) {
                let object = format!("{} vlan {} self", link.name, vlan.vlan);
                self.skip(number, object, "in a lab the bridge itself is in no VLAN");
            }
            self.foreign_ports(number, link);
            self.lab.switches.push(switch);
        }
    }

    /// What a lab file cannot say of a bridge. A switch can say more than a bridge in a node.
    pub(crate) fn bridge_settings(&mut self, number: usize, link: &Link, bridge: &Bridge, is_switch: bool) {
        let mut odd: Vec<String> = Vec::new();
        if !is_switch {
            if bridge.vlan_filtering == Some(true) {
                odd.push("VLAN filtering".to_owned());
            }
            if bridge.multicast_snooping == Some(false) {
                odd.push("multicast snooping off".to_owned());
            }
            if let Some(time) = bridge.ageing_time.filter(|&time| time != AGEING) {
                odd.push(format!("an ageing time of {} s", f64::from(time) / 100.0));
            }
        }
        if let Some(time) = bridge.forward_delay.filter(|&time| time != FORWARD_DELAY) {
            odd.push(format!("a forward delay of {} s", f64::from(time) / 100.0));
        }
        if let Some(mask) = bridge.group_forward_mask.filter(|&mask| mask != 0) {
            odd.push(format!("the group_fwd_mask {mask:#x}"));
        }
        if let Some(pvid) = bridge.default_pvid.filter(|&pvid| pvid != 1) {
            odd.push(format!("the default VLAN {pvid}"));
        }
        let whose = if is_switch { "a switch" } else { "a bridge in a node" };
        for one in odd {
            self.skip(number, link.name.as_str(), &format!("{whose} of a lab file cannot have {one}"));
        }
    }

    /// What a lab file cannot say of a bridge's port.
    pub(crate) fn port_settings(&mut self, number: usize, link: &Link, is_switchs: bool) {
        let Some(port) = link.bridge_port else { return };
        let plain = nslab_kernel::link::BridgePort::default();
        let settings = [
            ("isolated", port.isolated && !is_switchs),
            ("learning off", port.learning != plain.learning),
            ("flood off", port.unicast_flood != plain.unicast_flood),
            ("mcast_flood off", port.multicast_flood != plain.multicast_flood),
            ("bcast_flood off", port.broadcast_flood != plain.broadcast_flood),
            ("hairpin on", port.hairpin != plain.hairpin),
        ];
        for (setting, _) in settings.into_iter().filter(|(_, is_odd)| *is_odd) {
            self.skip(
                number,
                link.name.as_str(),
                &format!("a lab file has no `{setting}` for a bridge's port"),
            );
        }
    }

    /// Ports of a bridge that are not described, so that nobody takes the bridge for whole.
    pub(crate) fn foreign_ports(&mut self, number: usize, bridge: &Link) {
        let space = self.spaces[number].clone();
        if !space.is_part {
            return;
        }
        let ports = &space.state.network.links;
        for port in ports.iter().filter(|port| port.master == Some(bridge.index)) {
            if !space.links.contains(&port.index) {
                let kind = port.kind.as_ref().map_or("hardware", LinkKind::name);
                let why = format!("this port of {} ({kind}) leads to nothing that is described", bridge.name);
                self.skip(number, port.name.as_str(), &why);
            }
        }
    }

    /// A switch's forwarding entries that were not learned.
    fn static_entries(&mut self, number: usize, bridge: IfIndex) -> Vec<Spanned<FdbEntry>> {
        let space = self.spaces[number].clone();
        let mut entries = Vec::new();
        for entry in space.state.network.fdb.iter().filter(|entry| entry.master == Some(bridge)) {
            if !entry.fixed || entry.local || entry.external {
                continue;
            }
            let Some(port) = space.link(entry.link).filter(|port| port.index != bridge) else { continue };
            let id = self.mark(number, format!("fdb {} dev {}", entry.mac, port.name));
            let (mac, name) = (entry.mac, port.name.to_string());
            let vlan = entry.vlan.map(|vlan| Spanned::new(vlan, id));
            let entry = FdbEntry { mac, vlan, port: Spanned::new(name, id) };
            entries.push(Spanned::new(entry, id));
        }
        entries
    }

    /// The VLANs of a switch's port, where they are not what every port has.
    pub(crate) fn port_vlans(&self, number: usize, link: &Link) -> Option<Vec<PortVlan>> {
        let space = &self.spaces[number];
        let bridge = space.link(link.master?)?.as_bridge()?;
        let own = space.state.network.vlans.iter().filter(|vlan| vlan.link == link.index);
        let own: Vec<PortVlan> =
            own.map(|vlan| PortVlan { id: vlan.vlan, pvid: vlan.pvid, untagged: vlan.untagged }).collect();
        (bridge.vlan_filtering == Some(true) && own != [PortVlan::DEFAULT]).then_some(own)
    }
}
