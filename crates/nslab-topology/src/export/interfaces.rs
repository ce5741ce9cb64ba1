//! A node's interfaces as entries of `interfaces:`.

use super::text::{key, list, map, value};
use crate::decode::show_duration;
use crate::diagnostic::Spanned;
use crate::lab::{Endpoint, Interface, InterfaceKind, Remote, WireguardPeer};

/// `NAME: {type: …, …}`.
pub(super) fn line(interface: &Interface) -> String {
    let end = &interface.end;
    let mut entries = vec![("type", interface.kind.name().to_owned())];
    own(&interface.kind, &mut entries);
    if let Some(addresses) = &end.addresses {
        let addresses: Vec<String> = addresses.iter().map(|net| value(&net.value.to_string())).collect();
        entries.push(("addresses", list(&addresses)));
    }
    entries.extend(end.mac.as_ref().map(|mac| ("mac", value(&mac.value.to_string()))));
    entries.extend(end.mtu.as_ref().map(|mtu| ("mtu", mtu.value.to_string())));
    if !end.up {
        entries.push(("up", "false".to_owned()));
    }
    entries.extend(end.impairments.entries());
    let name = end.interface.as_ref().map_or("", |name| name.as_str());
    format!("{}: {}", key(name), map(&entries))
}

fn own(kind: &InterfaceKind, entries: &mut Vec<(&'static str, String)>) {
    let names = |names: &[Spanned<String>]| list(&names.iter().map(|name| value(name)).collect::<Vec<_>>());
    let remote = |remote: &Spanned<Remote>| value(&remote.value.to_string());
    let address = |address: &Spanned<std::net::IpAddr>| value(&address.value.to_string());
    entries.extend(kind.link().map(|link| ("link", value(link))));
    match kind {
        InterfaceKind::Vlan { id, protocol, .. } => {
            entries.push(("id", id.value.to_string()));
            entries.push(("protocol", protocol.name().to_owned()));
        }
        InterfaceKind::Vxlan { id, port, local, remotes, learning, .. } => {
            entries.push(("id", id.value.to_string()));
            entries.push(("port", port.to_string()));
            entries.extend(local.as_ref().map(|local| ("local", address(local))));
            entries.push(("remote", list(&remotes.iter().map(remote).collect::<Vec<_>>())));
            entries.push(("learning", learning.to_string()));
        }
        InterfaceKind::Geneve { id, port, remote: far } => {
            entries.push(("id", id.value.to_string()));
            entries.push(("port", port.to_string()));
            entries.push(("remote", remote(far)));
        }
        InterfaceKind::Tunnel { local, remote: far, key, ttl, .. } => {
            entries.extend(local.as_ref().map(|local| ("local", address(local))));
            entries.push(("remote", remote(far)));
            entries.extend(key.map(|key| ("key", key.to_string())));
            entries.push(("ttl", ttl.to_string()));
        }
        InterfaceKind::Wireguard { port, peers } => {
            entries.push(("port", port.value.to_string()));
            entries.push(("peers", list(&peers.iter().map(|peer| self::peer(peer)).collect::<Vec<_>>())));
        }
        InterfaceKind::Macvlan { mode, .. } => entries.push(("mode", mode.name().to_owned())),
        InterfaceKind::Ipvlan { mode, .. } => entries.push(("mode", mode.name().to_owned())),
        InterfaceKind::Dummy => {}
        InterfaceKind::Bond { members, mode, miimon, primary } => {
            entries.push(("members", names(members)));
            entries.push(("mode", value(mode.name())));
            entries.push(("miimon", show_duration(*miimon)));
            entries.extend(primary.as_ref().map(|primary| ("primary", value(&primary.value))));
        }
        InterfaceKind::Bridge { members, stp } => {
            entries.push(("members", names(members)));
            entries.push(("stp", stp.to_string()));
        }
        InterfaceKind::Vrf { members, table } => {
            entries.push(("members", names(members)));
            entries.push(("table", table.value.to_string()));
        }
        InterfaceKind::Tun { owner, .. } => {
            entries.extend(owner.map(|owner| ("owner", owner.to_string())));
        }
    }
}

fn peer(peer: &WireguardPeer) -> String {
    let mut entries = vec![("node", value(&peer.node))];
    entries.extend(peer.interface.as_ref().map(|name| ("interface", value(name))));
    match &peer.endpoint {
        Endpoint::Auto => {}
        Endpoint::None => entries.push(("endpoint", "none".to_owned())),
        Endpoint::Address(address) => entries.push(("endpoint", value(&address.value.to_string()))),
        Endpoint::Socket(socket) => entries.push(("endpoint", value(&socket.to_string()))),
    }
    if let Some(allowed) = &peer.allowed {
        let allowed: Vec<String> = allowed.iter().map(|net| value(&net.to_string())).collect();
        entries.push(("allowed_ips", list(&allowed)));
    }
    entries.extend(peer.keepalive.map(|time| ("keepalive", show_duration(time))));
    map(&entries)
}
