//! Which ports are on one segment: cables, switches with their VLANs, tunnels, and what is stacked on interfaces.
//!
//! What carries frames is taken apart by the tags that they bear: a cable, a switch and an interface each have one place
//! for untagged frames and one for each VLAN that the file speaks of. Whatever hands frames from one place to another
//! joins the two, and what hangs together in the end is a segment.

use std::collections::{BTreeSet, HashMap};

use super::segments::{Groups, Network, Segment};
use crate::lab::InterfaceKind;
use crate::model::{Device, IpvlanMode};

/// The tags of a frame: the outer VLAN, and 4096 times the inner; 0 is none.
type Tags = u32;

/// Where frames are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// On a cable.
    Cable(usize),
    /// In a switch; the tags are without the one that says the VLAN of a VLAN-aware one.
    Switch(usize, u16),
    /// In an interface, by its port.
    Interface(usize),
}

struct Places {
    numbers: HashMap<(Place, Tags), usize>,
    groups: Groups,
}

impl Places {
    fn number(&mut self, place: Place, tags: Tags) -> usize {
        let next = self.numbers.len();
        let number = *self.numbers.entry((place, tags)).or_insert(next);
        if number == next {
            self.groups.0.push(next);
        }
        number
    }

    fn join(&mut self, one: (Place, Tags), two: (Place, Tags)) {
        let (one, two) = (self.number(one.0, one.1), self.number(two.0, two.1));
        self.groups.join(one, two);
    }

    fn of(&mut self, place: Place, tags: Tags) -> usize {
        let number = self.number(place, tags);
        self.groups.of(number)
    }
}

/// Finds the segments, and the one of each port.
pub(super) fn find(net: &mut Network<'_>) {
    let mut places = Places { numbers: HashMap::new(), groups: Groups(Vec::new()) };
    let tags = tags(net);
    cables(net, &tags, &mut places);
    interfaces(net, &tags, &mut places);
    number(net, &tags, &mut places);
}

fn wire(net: &Network<'_>, port: usize) -> Place {
    if port < net.cable_ports() { Place::Cable(port / 2) } else { Place::Interface(port) }
}

/// All tags that the file speaks of, none at all among them.
fn tags(net: &Network<'_>) -> BTreeSet<Tags> {
    let mut all = BTreeSet::from([0]);
    for vlan in net.port_vlans.iter().flatten() {
        all.insert(u32::from(vlan.id));
    }
    for port in net.interface_ports() {
        if let Some(InterfaceKind::Vlan { id, .. }) = net.interface(port).map(|interface| &interface.kind) {
            let below = net.lower[port].and_then(|lower| net.interface(lower)).map(|lower| &lower.kind);
            all.insert(u32::from(id.value));
            if let Some(InterfaceKind::Vlan { id: outer, .. }) = below {
                all.insert(u32::from(outer.value) + (u32::from(id.value) << 12));
            }
        }
    }
    all
}

fn cables(net: &Network<'_>, tags: &BTreeSet<Tags>, places: &mut Places) {
    for port in 0..net.cable_ports() {
        let Device::Switch(switch) = net.ports[port].device else { continue };
        let cable = Place::Cable(port / 2);
        if !net.lab.switches[switch].vlan_filtering {
            for &tags in tags {
                places.join((cable, tags), (Place::Switch(switch, 0), tags));
            }
            continue;
        }
        for vlan in &net.port_vlans[port] {
            let inside = Place::Switch(switch, vlan.id);
            if vlan.pvid {
                places.join((cable, 0), (inside, 0));
            }
            if !vlan.untagged {
                for &tags in tags.iter().filter(|&&tags| tags & 0xfff == u32::from(vlan.id)) {
                    places.join((cable, tags), (inside, tags >> 12));
                }
            }
        }
    }
}

fn interfaces(net: &Network<'_>, tags: &BTreeSet<Tags>, places: &mut Places) {
    for (member, master) in net.master.iter().enumerate() {
        let kind = master.and_then(|master| net.interface(master)).map(|interface| &interface.kind);
        if let Some(InterfaceKind::Bond { .. } | InterfaceKind::Bridge { .. }) = kind {
            let (inner, outer) = (wire(net, member), wire(net, master.unwrap_or(member)));
            for &tags in tags {
                places.join((inner, tags), (outer, tags));
            }
        }
    }
    for port in net.interface_ports() {
        let Some(interface) = net.interface(port) else { continue };
        let own = Place::Interface(port);
        if let Some(lower) = net.lower[port].map(|lower| wire(net, lower)) {
            match &interface.kind {
                InterfaceKind::Vlan { id, .. } => {
                    let id = u32::from(id.value);
                    for &tags in tags.iter().filter(|&&tags| tags & 0xfff == id) {
                        places.join((own, tags >> 12), (lower, tags));
                    }
                }
                InterfaceKind::Macvlan { .. } => {
                    for &tags in tags {
                        places.join((own, tags), (lower, tags));
                    }
                }
                InterfaceKind::Ipvlan { mode: IpvlanMode::L2, .. } => places.join((own, 0), (lower, 0)),
                _ => {}
            }
        }
        for &far in &net.far[port - net.cable_ports()] {
            let carried = tags.iter().filter(|&&tags| tags == 0 || interface.kind.is_ethernet());
            for &tags in carried {
                places.join((own, tags), (Place::Interface(far), tags));
            }
        }
    }
}

/// Numbers the segments in the order of the file: by their first cable, then by their first interface, then switches
/// that nothing is plugged into.
fn number(net: &mut Network<'_>, tags: &BTreeSet<Tags>, places: &mut Places) {
    let mut by_group: HashMap<usize, usize> = HashMap::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut segment_of = vec![0; net.ports.len()];
    // Interfaces in the order in which they are made, so that a lab that was written down anew has the same segments.
    for port in (0..net.cable_ports()).chain(net.order.iter().copied()) {
        let place = wire(net, port);
        let mut group = places.of(place, 0);
        // A trunk between two switches without a native VLAN carries nothing untagged: the first VLAN stands for it.
        if let (Device::Switch(switch), Some(vlan)) =
            (net.ports[port].device, net.port_vlans.get(port).and_then(|vlans| vlans.first()))
            && !net.port_vlans[port].iter().any(|vlan| vlan.pvid)
            && net.node_of(port ^ 1).is_none()
        {
            group = places.of(Place::Switch(switch, vlan.id), 0);
        }
        let number = segment(group, &mut by_group, &mut segments);
        segment_of[port] = number;
        if net.node_of(port).is_some() && !net.is_member(port) {
            segments[number].ports.push(port);
        }
    }
    let mut vlans: Vec<BTreeSet<u16>> = net
        .lab
        .switches
        .iter()
        .map(|switch| {
            let said = switch.vlans.iter().map(|vlan| vlan.id.value);
            if switch.vlan_filtering { said.collect() } else { BTreeSet::from([0]) }
        })
        .collect();
    for (port, of_port) in net.port_vlans.iter().enumerate() {
        if let Device::Switch(switch) = net.ports[port].device {
            vlans[switch].extend(of_port.iter().map(|vlan| vlan.id));
        }
    }
    for (switch, vlans) in vlans.into_iter().enumerate() {
        for vlan in vlans {
            let group = places.of(Place::Switch(switch, vlan), 0);
            let number = segment(group, &mut by_group, &mut segments);
            segments[number].domains.push((switch, vlan));
        }
        // Tagged frames that pass through a switch that knows nothing of VLANs.
        for &tags in tags.iter().filter(|&&tags| tags != 0 && !net.lab.switches[switch].vlan_filtering) {
            let Some(&number) = places.numbers.get(&(Place::Switch(switch, 0), tags)) else { continue };
            let group = places.groups.of(number);
            if let (Some(&number), Ok(vlan)) = (by_group.get(&group), u16::try_from(tags & 0xfff)) {
                segments[number].domains.push((switch, vlan));
            }
        }
    }
    net.segments = segments;
    net.segment_of = segment_of;
}

/// The segment of a group of places; a new one if it has none yet.
fn segment(group: usize, by_group: &mut HashMap<usize, usize>, segments: &mut Vec<Segment>) -> usize {
    *by_group.entry(group).or_insert_with(|| {
        segments.push(Segment { domains: Vec::new(), ports: Vec::new() });
        segments.len() - 1
    })
}
