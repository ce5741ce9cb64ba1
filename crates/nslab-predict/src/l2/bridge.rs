//! What a bridge does with a frame (`net/bridge/br_input.c`, `br_forward.c`, `br_vlan.c`).

use nslab_kernel::link::{Bridge, IfIndex, Link, LinkKind};
use nslab_kernel::neighbour::{BridgeVlan, FdbEntry};
use nslab_snapshot::State;
use nslab_types::MacAddr;

use super::transmit::too_long;
use super::{Did, Frame, Learned, Lost, Passage, Port, Walk};

/// A port's STP state in which it passes frames (`BR_STATE_FORWARDING`, `include/uapi/linux/if_bridge.h`).
const FORWARDING: u8 = 3;

/// The addresses that a bridge keeps to itself (IEEE 802.1D, table 7-10).
const LINK_LOCAL: [u8; 5] = [0x01, 0x80, 0xc2, 0x00, 0x00];

/// A frame inside of a bridge.
#[derive(Clone, Copy)]
struct Inside<'a> {
    state: &'a State,
    bridge: &'a Link,
    namespace: usize,
    /// The port by which it came.
    from: Option<&'a Link>,
    /// The VLAN that it is in; none where the bridge does not filter.
    vlan: Option<u16>,
}

/// Where a bridge knows an address to be.
enum Known {
    /// The bridge's own: that of the bridge itself, or of this port.
    Own(IfIndex),
    /// Behind a port.
    Behind(IfIndex),
    /// It does not.
    Nowhere,
}

impl Inside<'_> {
    fn at(&self) -> Port {
        self.port(self.bridge.index)
    }

    fn entry(&self, mac: MacAddr) -> Option<&FdbEntry> {
        let mut entries = self.state.network.fdb.iter();
        entries.find(|entry| {
            let is_here = entry.master == Some(self.bridge.index) || entry.link == self.bridge.index;
            // An entry for no VLAN counts where there is no filtering.
            is_here && entry.mac == mac && entry.vlan == self.vlan
        })
    }

    /// What the bridge knows of the destination. What it learned since moves what it knew before, also what was put there by
    /// hand, unless that is sticky (`br_fdb_update`).
    fn known(&self, learned: &Learned, frame: &Frame) -> Known {
        let entry = self.entry(frame.destination);
        if let Some(entry) = entry.filter(|entry| entry.local) {
            return Known::Own(entry.link);
        }
        if let Some(entry) = entry.filter(|entry| entry.sticky) {
            return Known::Behind(entry.link);
        }
        let since = learned.ports.get(&(self.at(), self.vlan, frame.destination)).copied();
        since.or(entry.map(|entry| entry.link)).map_or(Known::Nowhere, Known::Behind)
    }

    /// Takes note of where a frame came from (`br_fdb_update`).
    fn learn(&self, learned: &mut Learned, frame: &Frame) {
        let Some(from) = self.from.filter(|from| from.bridge_port.is_none_or(|port| port.learning)) else {
            return;
        };
        if frame.source.is_unicast() {
            learned.ports.insert((self.at(), self.vlan, frame.source), from.index);
        }
    }

    fn port(&self, link: IfIndex) -> Port {
        Port { namespace: self.namespace, link }
    }
}

fn settings(bridge: &Link) -> Bridge {
    match &bridge.kind {
        Some(LinkKind::Bridge(settings)) => settings.clone(),
        _ => Bridge::default(),
    }
}

/// A VLAN of a port or of the bridge itself.
fn vlan_of(state: &State, link: IfIndex, vlan: u16) -> Option<&BridgeVlan> {
    state.network.vlans.iter().find(|one| one.link == link && one.vlan == vlan)
}

/// The VLAN of a frame that comes in (`__allowed_ingress`, `net/bridge/br_vlan.c`); an error if it may not.
fn incoming_vlan(state: &State, bridge: &Link, port: &Link, frame: &Frame) -> Result<Option<u16>, Lost> {
    if settings(bridge).vlan_filtering != Some(true) {
        return Ok(None);
    }
    let own = state.network.vlans.iter().filter(|one| one.link == port.index);
    match frame.vlan.filter(|&tag| tag != 0) {
        None => {
            let pvid = own.clone().find(|one| one.pvid).map(|one| one.vlan);
            pvid.map(Some).ok_or(Lost::Vlan(None))
        }
        Some(tag) => vlan_of(state, port.index, tag).map(|_| Some(tag)).ok_or(Lost::Vlan(Some(tag))),
    }
}

impl Walk<'_> {
    /// A port gets a frame (`br_handle_frame`).
    pub(super) fn bridge_receives(
        &mut self,
        at: Port,
        state: &State,
        port: &Link,
        bridge: &Link,
        passage: &Passage,
    ) {
        let stp = port.bridge_port.map_or(FORWARDING, |port| port.state);
        if stp != FORWARDING {
            return self.lose(at, Lost::Stp(stp), passage);
        }
        let vlan = match incoming_vlan(state, bridge, port, &passage.frame) {
            Ok(vlan) => vlan,
            Err(lost) => return self.lose(at, lost, passage),
        };
        let inside = Inside { state, bridge, namespace: at.namespace, from: Some(port), vlan };
        // It comes back, by a port in hairpin mode at the other end, say: what the bridge knows of addresses then flaps.
        let back = |hop: &super::Hop| {
            hop.at == inside.at() && matches!(hop.did, Did::Bridged { vlan: own, .. } if own == vlan)
        };
        if passage.hops.iter().any(back) {
            return self.lose(at, Lost::Loop, passage);
        }
        inside.learn(self.learned, &passage.frame);
        if passage.frame.destination.0[..5] == LINK_LOCAL {
            return self.bridge_takes(inside, passage);
        }
        if passage.frame.is_for_a_group() {
            self.bridge_takes(inside, passage);
            return self.flood(inside, passage);
        }
        match inside.known(self.learned, &passage.frame) {
            Known::Own(_) => self.bridge_takes(inside, passage),
            Known::Behind(port) => self.forward(inside, port, true, passage),
            Known::Nowhere => self.flood(inside, passage),
        }
    }

    /// The bridge's own namespace sends by it (`br_dev_xmit`).
    pub(super) fn bridge_sends(&mut self, at: Port, state: &State, bridge: &Link, passage: &Passage) {
        let vlan = match incoming_vlan(state, bridge, bridge, &passage.frame) {
            Ok(vlan) => vlan,
            Err(lost) => return self.lose(at, lost, passage),
        };
        let inside = Inside { state, bridge, namespace: at.namespace, from: None, vlan };
        match inside.known(self.learned, &passage.frame) {
            _ if passage.frame.is_for_a_group() => self.flood(inside, passage),
            // Its own, which is no port's: the kernel has nobody to hand the frame to.
            Known::Own(link) if link == bridge.index => self.lose(at, Lost::SamePort, passage),
            // The address of a port goes out by that port.
            Known::Own(port) | Known::Behind(port) => self.forward(inside, port, true, passage),
            Known::Nowhere => self.flood(inside, passage),
        }
    }

    /// Up to the bridge's own interface (`br_pass_frame_up`).
    fn bridge_takes(&mut self, inside: Inside<'_>, passage: &Passage) {
        let at = inside.port(inside.bridge.index);
        let mut frame = passage.frame;
        if let Some(vlan) = inside.vlan {
            match vlan_of(inside.state, inside.bridge.index, vlan) {
                None => return self.lose(at, Lost::Vlan(Some(vlan)), passage),
                Some(own) => frame.vlan = (!own.untagged).then_some(vlan),
            }
        }
        // An address of a port's is the bridge's too.
        if !frame.is_for_a_group()
            && let Some(mac) = inside.bridge.mac
        {
            frame.destination = mac;
        }
        self.receive(at, &passage.with_frame(frame));
    }

    /// A copy by every port (`br_flood`).
    fn flood(&mut self, inside: Inside<'_>, passage: &Passage) {
        let frame = passage.frame;
        let links = &inside.state.network.links;
        let mut none = true;
        for port in links.iter().filter(|link| link.master == Some(inside.bridge.index)) {
            let is_origin = inside.from.is_some_and(|from| from.index == port.index);
            let Some(settings) = port.bridge_port else { continue };
            if is_origin && !settings.hairpin {
                continue;
            }
            none = false;
            // What the bridge's own namespace says to a group goes everywhere.
            let lets = if frame.is_broadcast() {
                settings.broadcast_flood || inside.from.is_none()
            } else if frame.is_for_a_group() {
                settings.multicast_flood || inside.from.is_none()
            } else {
                settings.unicast_flood
            };
            if lets {
                self.forward(inside, port.index, false, passage);
            } else {
                self.lose(inside.port(port.index), Lost::NotFlooded, passage);
            }
        }
        if none && let Some(from) = inside.from {
            self.lose(inside.port(from.index), Lost::NoPort, passage);
        }
    }

    /// Out by one port (`should_deliver`, `br_dev_queue_push_xmit`).
    fn forward(&mut self, inside: Inside<'_>, to: IfIndex, known: bool, passage: &Passage) {
        let at = inside.port(to);
        let Some(port) = inside.state.link(to) else { return };
        let settings = port.bridge_port.unwrap_or_default();
        let came_by = inside.from.map(|from| from.index);
        if came_by == Some(to) && !settings.hairpin {
            return self.lose(at, Lost::SamePort, passage);
        }
        let mut frame = passage.frame;
        if let Some(vlan) = inside.vlan {
            match vlan_of(inside.state, to, vlan) {
                None => return self.lose(at, Lost::Vlan(Some(vlan)), passage),
                Some(own) => frame.vlan = (!own.untagged).then_some(vlan),
            }
        }
        if settings.state != FORWARDING {
            return self.lose(at, Lost::Stp(settings.state), passage);
        }
        let is_isolated = |link: &Link| link.bridge_port.is_some_and(|port| port.isolated);
        if inside.from.is_some_and(is_isolated) && settings.isolated {
            return self.lose(at, Lost::Isolated, passage);
        }
        if let Some(lost) = too_long(port, &frame) {
            return self.lose(at, lost, passage);
        }
        let bridge = inside.port(inside.bridge.index);
        let did = Did::Bridged { from: came_by, to, vlan: inside.vlan, known };
        self.transmit(at, &passage.with_frame(frame).after(bridge, did));
    }
}
