//! Broadcast domains: which interfaces would hear each other, were all of them up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nslab_kernel::link::{Link, LinkKind};
use nslab_snapshot::{Snapshot, State, Where};

use crate::l2::{self, Port};

/// The broadcast domains of a snapshot.
#[derive(Debug, Clone)]
pub struct Segments {
    /// The interfaces of each that have a network layer: no ports of bridges, no members of bonds.
    members: Vec<Vec<Port>>,
    /// Those that go on where the snapshot does not see: by hardware, tunnels, programs, unseen namespaces.
    open: BTreeSet<usize>,
    of: HashMap<Port, usize>,
}

/// What is joined: an interface's frames without tag or with one, or a VLAN inside of a bridge that filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wire {
    Outside(Port, Option<u16>),
    Inside(Port, u16),
}

/// Wires that are joined (a disjoint-set forest).
#[derive(Default)]
struct Joined {
    numbers: HashMap<Wire, usize>,
    above: Vec<usize>,
}

impl Joined {
    fn root(&mut self, wire: Wire) -> usize {
        let next = self.above.len();
        let mut number = *self.numbers.entry(wire).or_insert(next);
        if number == next {
            self.above.push(next);
        }
        while self.above[number] != number {
            self.above[number] = self.above[self.above[number]];
            number = self.above[number];
        }
        number
    }

    fn join(&mut self, one: Wire, other: Wire) {
        let (one, other) = (self.root(one), self.root(other));
        self.above[one] = other;
    }
}

impl Segments {
    /// Works them out.
    pub fn of(snapshot: &Snapshot) -> Self {
        let tags = tags(snapshot);
        let mut joined = Joined::default();
        let mut open = Vec::new();
        for (place, state, link) in links(snapshot) {
            let at = Port { namespace: place, link: link.index };
            let peer = state.peer(link.index).and_then(|peer| match peer.namespace {
                Where::Namespace(namespace) => Some(Port { namespace, link: peer.lower }),
                Where::Unseen => None,
            });
            let layer3 = l2::routes_by_lower(link);
            match (&link.kind, peer) {
                (Some(LinkKind::Veth(_) | LinkKind::Macvlan(_) | LinkKind::Ipvlan(_)), Some(peer))
                    if !layer3 =>
                {
                    // What goes on in a namespace that could not be read is not known.
                    if snapshot.namespaces.get(peer.namespace).is_none_or(|there| there.state().is_none()) {
                        open.push(at);
                    }
                    for &tag in &tags {
                        joined.join(Wire::Outside(at, tag), Wire::Outside(peer, tag));
                    }
                }
                (Some(LinkKind::Vlan(vlan)), Some(lower)) => {
                    joined.join(Wire::Outside(at, None), Wire::Outside(lower, Some(vlan.id)));
                }
                (Some(LinkKind::Bridge(_) | LinkKind::Dummy), _) => {}
                _ if link.loopback => {}
                _ => open.push(at),
            }
            join_master(state, place, link, &tags, &mut joined);
            if let Some(LinkKind::Bridge(bridge)) = &link.kind
                && bridge.vlan_filtering == Some(true)
            {
                join_vlans(state, at, at, &mut joined);
            }
        }
        Self::sorted(snapshot, &mut joined, &open, &tags)
    }

    fn sorted(snapshot: &Snapshot, joined: &mut Joined, open: &[Port], tags: &[Option<u16>]) -> Self {
        let mut by_root: BTreeMap<usize, usize> = BTreeMap::new();
        let mut segments = Self { members: Vec::new(), open: BTreeSet::new(), of: HashMap::new() };
        for (place, _, link) in links(snapshot).filter(|(_, state, link)| has_network_layer(state, link)) {
            let at = Port { namespace: place, link: link.index };
            let next = segments.members.len();
            let number = *by_root.entry(joined.root(Wire::Outside(at, None))).or_insert(next);
            if number == next {
                segments.members.push(Vec::new());
            }
            segments.members[number].push(at);
            segments.of.insert(at, number);
        }
        for (&at, &tag) in open.iter().flat_map(|at| tags.iter().map(move |tag| (at, tag))) {
            let root = joined.root(Wire::Outside(at, tag));
            segments.open.extend(by_root.get(&root));
        }
        segments
    }

    /// The number of the segment that an interface is on; none if it has no network layer.
    pub fn number(&self, at: Port) -> Option<usize> {
        self.of.get(&at).copied()
    }

    /// The interfaces of each segment.
    pub fn all(&self) -> impl Iterator<Item = (usize, &[Port])> {
        self.members.iter().enumerate().map(|(number, members)| (number, &members[..]))
    }

    /// The interfaces of one segment.
    pub fn members(&self, number: usize) -> &[Port] {
        self.members.get(number).map_or(&[], |members| members)
    }

    /// Whether a segment goes on where the snapshot does not see.
    pub fn is_open(&self, number: usize) -> bool {
        self.open.contains(&number)
    }
}

/// All links but loopback, with their namespaces.
fn links(snapshot: &Snapshot) -> impl Iterator<Item = (usize, &State, &Link)> {
    snapshot.namespaces.iter().enumerate().flat_map(|(place, namespace)| {
        let state = namespace.state();
        state
            .into_iter()
            .flat_map(move |state| state.network.links.iter().map(move |link| (place, state, link)))
    })
}

/// Whether packets for this namespace come in at an interface: it is no part of a bridge or bond.
fn has_network_layer(state: &State, link: &Link) -> bool {
    let master = link.master.and_then(|master| state.link(master));
    !link.loopback
        && !master.is_some_and(|master| matches!(master.kind, Some(LinkKind::Bridge(_) | LinkKind::Bond(_))))
}

/// No tag, and every VLAN that occurs.
fn tags(snapshot: &Snapshot) -> Vec<Option<u16>> {
    let mut tags = BTreeSet::from([None]);
    for (_, state, link) in links(snapshot) {
        if let Some(LinkKind::Vlan(vlan)) = &link.kind {
            tags.insert(Some(vlan.id));
        }
        let own = state.network.vlans.iter().filter(|vlan| vlan.link == link.index && !vlan.untagged);
        tags.extend(own.map(|vlan| Some(vlan.vlan)));
    }
    tags.into_iter().collect()
}

fn join_master(state: &State, place: usize, link: &Link, tags: &[Option<u16>], joined: &mut Joined) {
    let Some(master) = link.master.and_then(|master| state.link(master)) else { return };
    let (at, above) =
        (Port { namespace: place, link: link.index }, Port { namespace: place, link: master.index });
    match &master.kind {
        Some(LinkKind::Bridge(bridge)) if bridge.vlan_filtering == Some(true) => {
            join_vlans(state, at, above, joined);
        }
        Some(LinkKind::Bridge(_) | LinkKind::Bond(_)) => {
            for &tag in tags {
                joined.join(Wire::Outside(at, tag), Wire::Outside(above, tag));
            }
        }
        _ => {}
    }
}

/// Joins a port of a bridge that filters (or the bridge itself) to the VLANs that it is in.
fn join_vlans(state: &State, port: Port, bridge: Port, joined: &mut Joined) {
    for vlan in state.network.vlans.iter().filter(|vlan| vlan.link == port.link) {
        let tag = (!vlan.untagged).then_some(vlan.vlan);
        joined.join(Wire::Outside(port, tag), Wire::Inside(bridge, vlan.vlan));
    }
}
