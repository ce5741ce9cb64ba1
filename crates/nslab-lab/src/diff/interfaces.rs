//! Which interfaces that are no ends of cables stay, which come, which go, and how `WireGuard` is set.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nslab_kernel::link::{IfIndex, Link, LinkKind};
use nslab_kernel::wireguard::{Device, PublicKey};
use nslab_topology::model::{InterfaceKind, WireguardPeer};
use nslab_types::{IfName, MacAddr};

use super::Steps;
use super::cables::Ends;
use super::links::carries_ipv6;
use crate::actual::ActualNamespace;
use crate::desired::{Desired, DesiredInterface, DesiredNamespace};
use crate::keys::Keys;
use crate::kinds;
use crate::plan::{Conflict, InterfaceSettings, LINK_GROUP, LinkChange, Op, Step, WireguardSettings, shape};

/// How long a session lasts at most (`REJECT_AFTER_TIME` of `WireGuard`): while one does, a peer may have moved.
const SESSION: Duration = Duration::from_secs(180);
/// The destination of frames for all.
const ALL: MacAddr = MacAddr([0; 6]);

/// Finds the steps for the interfaces of one namespace, and adds those that stay to `ends`.
pub(super) fn diff(
    desired: &Desired,
    place: usize,
    is: Option<&ActualNamespace>,
    ends: &mut Ends,
    steps: &mut Steps,
) {
    let space = &desired.namespaces[place];
    if space.bridge.is_some() || (space.interfaces.is_empty() && is.is_none()) {
        return;
    }
    let step = |op| Step { namespace: place, op };
    let links: HashMap<IfName, &Link> =
        is.into_iter().flat_map(|is| &is.state.links).map(|link| (link.name, link)).collect();
    let name = |index: IfIndex| links.values().find(|link| link.index == index).map(|link| link.name);
    let ours = |link: &Link| is.is_some_and(|is| is.owns_link(link)) && !link.loopback && !link.is_veth();
    let wanted: HashMap<IfName, &DesiredInterface> =
        space.interfaces.iter().map(|interface| (interface.link.name, interface)).collect();
    for interface in &space.interfaces {
        let own = interface.link.name;
        let Some(link) = links.get(&own) else { continue };
        if !ours(link) {
            if link.group != LINK_GROUP {
                let kind = link.kind.as_ref().map_or("hardware", |kind| kind.name());
                steps.conflicts.push(Conflict {
                    name: format!("the interface {own} in {}", space.reference.node),
                    holder: format!("nslab did not make it (it is of kind {kind})"),
                });
            }
            continue;
        }
        // What is on an interface that is made anew is made anew as well: it goes with it.
        let stands = lowers(&interface.kind).all(|lower| ends.kept.contains(&lower));
        let is_member = |name: IfName| links.get(&name).is_some_and(|one| one.master == Some(link.index));
        let shown = kinds::from_kernel(link, name).map(|kind| remembered(kind, &interface.kind, is_member));
        if stands && shown.is_some_and(|shown| shown == shape(&interface.kind)) {
            ends.kept.insert(own);
        }
    }
    let mut going: Vec<(&Link, InterfaceKind)> = links
        .values()
        .filter(|link| ours(link) && !ends.kept.contains(&link.name))
        .filter_map(|link| Some((*link, kinds::from_kernel(link, name)?)))
        .collect();
    // What is on another goes before it, and the numbers tell which came later.
    going.sort_by_key(|(link, _)| std::cmp::Reverse(link.index));
    for (link, kind) in going {
        steps.unplug.extend(super::cables::unplug(place, link, is));
        steps.unplug.extend(empty(link, is, &desired.keys).into_iter().map(step));
        let settings = InterfaceSettings {
            mac: link.mac.filter(|_| wanted.get(&link.name).is_none_or(|wanted| wanted.has_mac)),
            mtu: link.mtu,
            kind,
        };
        steps.remove_interfaces.push(step(Op::DeleteInterface { name: link.name, settings }));
    }
    let missing = || space.interfaces.iter().filter(|one| !ends.kept.contains(&one.link.name));
    // What is made on another may not be larger, so that what grows does so first.
    for end in space.links.iter().filter(|end| ends.kept.contains(&end.name) && missing().next().is_some()) {
        let mtu = links.get(&end.name).map_or(end.mtu, |shown| shown.mtu);
        if mtu < end.mtu {
            let change = |mtu| LinkChange { mtu: Some(mtu), ..LinkChange::default() };
            let op = Op::SetLink { name: end.name, change: change(end.mtu), before: change(mtu) };
            steps.interfaces.push(step(op));
        }
    }
    for interface in missing() {
        let settings = InterfaceSettings {
            kind: shape(&interface.kind),
            mac: interface.has_mac.then_some(interface.link.mac),
            mtu: interface.link.mtu,
        };
        let name = interface.link.name;
        steps.interfaces.push(step(Op::CreateInterface { name, settings }));
        if is_brought_up_by_another(&interface.kind) && carries_ipv6(interface.link.mtu) {
            let change = |on| LinkChange { automatic_link_local: Some(on), ..LinkChange::default() };
            let op = Op::SetLink { name, change: change(false), before: change(true) };
            steps.interfaces.push(step(op));
        }
    }
}

/// A bond shows its primary only as long as that is a member; it remembers the name for when it is one again.
fn remembered(
    kind: InterfaceKind,
    wanted: &InterfaceKind,
    is_member: impl Fn(IfName) -> bool,
) -> InterfaceKind {
    match (kind, wanted) {
        (
            InterfaceKind::Bond { mode, miimon, primary: None },
            InterfaceKind::Bond { primary: Some(primary), .. },
        ) if !is_member(*primary) => InterfaceKind::Bond { mode, miimon, primary: Some(*primary) },
        (kind, _) => kind,
    }
}

/// Takes from an interface that goes what is not part of making one, so that taking that back brings it back.
fn empty(link: &Link, is: Option<&ActualNamespace>, keys: &Keys) -> Vec<Op> {
    let Some(is) = is else { return Vec::new() };
    let name = link.name;
    match &link.kind {
        Some(LinkKind::Wireguard) => {
            let Some(device) = is.wireguard.get(&name) else { return Vec::new() };
            let settings = WireguardSettings { port: device.listen_port, peers: Vec::new() };
            let before = Some(readable(device, keys, &[]));
            vec![Op::SetWireguard { link: name, settings, before }]
        }
        Some(LinkKind::Vxlan(vxlan)) if vxlan.remote.is_none() => {
            let entries = is.state.fdb.iter().filter(|entry| entry.link == link.index && entry.mac == ALL);
            entries
                .filter(|entry| !entry.external && entry.remote.is_some())
                .map(|entry| Op::DeleteFdb { link: name, mac: ALL, vlan: None, remote: entry.remote })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether an interface comes up as soon as what it is on does (`vlan_device_event`, net/8021q/vlan.c), and with it
/// everything that it would get then.
pub(super) fn is_brought_up_by_another(kind: &InterfaceKind) -> bool {
    matches!(kind, InterfaceKind::Vlan { .. })
}

/// Whether this module takes a link away, so that nobody else must.
pub(super) fn is_known(link: &Link) -> bool {
    !link.is_veth() && kinds::from_kernel(link, |_| Some(IfName::LOOPBACK)).is_some()
}

/// The interfaces without which one goes.
fn lowers(kind: &InterfaceKind) -> impl Iterator<Item = IfName> {
    let by = match kind {
        InterfaceKind::Vxlan { link, .. } | InterfaceKind::Tunnel { link, .. } => *link,
        _ => None,
    };
    kinds::lower(kind).into_iter().chain(by)
}

/// `WireGuard`'s settings and a VXLAN's remote ends.
pub(super) fn configure(
    desired: &Desired,
    place: usize,
    is: Option<&ActualNamespace>,
    ends: &Ends,
    steps: &mut Steps,
) {
    let space = &desired.namespaces[place];
    for interface in &space.interfaces {
        let name = interface.link.name;
        let shown = is.filter(|_| ends.kept.contains(&name));
        match &interface.kind {
            InterfaceKind::Wireguard { port, peers } => {
                let settings = WireguardSettings { port: *port, peers: peers.clone() };
                let device = shown.and_then(|is| is.wireguard.get(&name));
                let before = device.map(|device| readable(device, &desired.keys, peers));
                if !device.is_some_and(|device| is_so(space, name, &settings, device, &desired.keys)) {
                    let op = Op::SetWireguard { link: name, settings, before };
                    steps.configure.push(Step { namespace: place, op });
                }
            }
            InterfaceKind::Vxlan { remotes, .. } => {
                let index = shown
                    .and_then(|is| is.state.links.iter().find(|link| link.name == name))
                    .map(|link| link.index);
                let known: HashSet<_> = shown
                    .into_iter()
                    .flat_map(|is| &is.state.fdb)
                    .filter(|entry| Some(entry.link) == index && entry.mac == ALL && !entry.external)
                    .filter_map(|entry| entry.remote)
                    .collect();
                // The kernel itself makes the entry for the only one.
                let by_itself = shown.is_none() && remotes.len() == 1;
                let entry = |remote| (name, ALL, None, Some(remote));
                let mut surplus: Vec<_> =
                    known.iter().copied().filter(|remote| !remotes.contains(remote)).collect();
                surplus.sort_unstable();
                for remote in surplus {
                    let (link, mac, vlan, remote) = entry(remote);
                    let op = Op::DeleteFdb { link, mac, vlan, remote };
                    steps.remove_routing.push(Step { namespace: place, op });
                }
                for remote in remotes.iter().filter(|remote| !known.contains(remote) && !by_itself) {
                    let (link, mac, vlan, remote) = entry(*remote);
                    let op = Op::AddFdb { link, mac, vlan, remote };
                    steps.configure.push(Step { namespace: place, op });
                }
            }
            _ => {}
        }
    }
}

/// An interface's settings in a plan's terms; peers with keys that are nobody's in the lab are left out.
fn readable(device: &Device, keys: &Keys, wanted: &[WireguardPeer]) -> WireguardSettings {
    let owners: HashMap<PublicKey, (&str, IfName)> =
        keys.owners().map(|(key, node, interface)| (key, (node, interface))).collect();
    let mut peers: Vec<WireguardPeer> = device
        .peers
        .iter()
        .filter_map(|peer| {
            let (node, interface) = *owners.get(&peer.key)?;
            Some(WireguardPeer {
                node: node.to_owned(),
                interface,
                endpoint: peer.endpoint,
                allowed: peer.allowed.clone(),
                keepalive: peer.keepalive,
            })
        })
        .collect();
    let order = |peer: &WireguardPeer| {
        wanted
            .iter()
            .position(|one| (&one.node, one.interface) == (&peer.node, peer.interface))
            .unwrap_or(usize::MAX)
    };
    peers.sort_by_key(order);
    WireguardSettings { port: device.listen_port, peers }
}

/// Whether an interface is as it shall be. A peer with which there is a session may be elsewhere than the file says: it
/// has moved, or is behind address translation.
fn is_so(
    space: &DesiredNamespace,
    name: IfName,
    wanted: &WireguardSettings,
    device: &Device,
    keys: &Keys,
) -> bool {
    let key = keys.public(&space.reference.node, name);
    if key.is_none() || device.key != key || device.listen_port != wanted.port {
        return false;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    device.peers.len() == wanted.peers.len()
        && wanted.peers.iter().all(|peer| {
            let key = keys.public(&peer.node, peer.interface);
            let Some(at) = device.peers.iter().position(|shown| Some(shown.key) == key) else {
                return false;
            };
            let shown = &device.peers[at];
            let handshake = device.handshakes.get(at).copied().unwrap_or(0);
            let talks = now.saturating_sub(Duration::from_secs(handshake)) < SESSION;
            let allowed =
                |nets: &[ipnet::IpNet]| nets.iter().map(ipnet::IpNet::trunc).collect::<HashSet<_>>();
            (shown.endpoint == peer.endpoint || talks || peer.endpoint.is_none())
                && allowed(&shown.allowed) == allowed(&peer.allowed)
                && shown.keepalive == peer.keepalive
        })
}
