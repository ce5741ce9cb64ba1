//! Links and their addresses.

use nslab_kernel::address::Address;
use nslab_kernel::link::{
    Bridge, BridgePort, IpvlanMode, IpvlanSiblings, Link, LinkKind, MacvlanMode, TunMode, VlanProtocol, Vxlan,
};

use super::Names;
use crate::Style;
use crate::style::Role;

/// Number, name, state, MTU, MAC, kind with its settings, master and peer.
pub(super) fn link(
    link: &Link,
    names: Names<'_>,
    peer: &dyn Fn(&Link) -> Option<String>,
    style: &Style,
) -> Vec<String> {
    let (state, role) = match (link.up, link.carrier) {
        (true, true) => ("UP", Role::Good),
        (true, false) => ("NO-CARRIER", Role::Bad),
        (false, _) => ("DOWN", Role::Bad),
    };
    let mut rest = vec![kind(link, names)];
    rest.extend(link.master.map(|master| format!("master {}", names.of(master))));
    rest.extend(link.bridge_port.map(port));
    rest.extend(peer(link).map(|peer| format!("peer {peer}")).or_else(|| other_end(link, names)));
    rest.extend((link.group != 0).then(|| format!("group {}", link.group)));
    rest.extend(link.alt_names.iter().map(|name| format!("altname {}", name.escape_debug())));
    rest.extend(link.alias.iter().map(|alias| format!("alias {alias:?}")));
    rest.retain(|part| !part.is_empty());
    vec![
        link.index.to_string(),
        link.name.to_string(),
        style.paint(role, state).into_owned(),
        format!("mtu {}", link.mtu),
        link.mac.filter(|_| !link.loopback).map_or(String::new(), |mac| mac.to_string()),
        rest.join(" "),
    ]
}

/// What the kernel itself tells of a veth's peer or of the interface below.
fn other_end(link: &Link, names: Names<'_>) -> Option<String> {
    let lower = link.lower.filter(|lower| *lower != 0)?;
    let word = if link.is_veth() { "peer" } else { "link" };
    Some(match link.lower_nsid {
        None => format!("{word} {}", names.of(lower)),
        Some(nsid) => format!("{word} if{lower} in nsid {nsid}"),
    })
}

fn kind(link: &Link, names: Names<'_>) -> String {
    let Some(kind) = &link.kind else {
        return if link.loopback { "loopback".to_owned() } else { String::new() };
    };
    let settings = match kind {
        LinkKind::Bridge(settings) => bridge(settings),
        LinkKind::Vxlan(settings) => vxlan(settings, names),
        LinkKind::Vlan(vlan) => {
            let protocol = match vlan.protocol {
                VlanProtocol::Dot1Q => "",
                VlanProtocol::Dot1Ad => " protocol 802.1ad",
            };
            format!("id {}{protocol}", vlan.id)
        }
        LinkKind::Macvlan(macvlan) => {
            let mode = match macvlan.mode {
                MacvlanMode::Private => "private",
                MacvlanMode::Vepa => "vepa",
                MacvlanMode::Bridge => "bridge",
                MacvlanMode::Passthru => "passthru",
                MacvlanMode::Source => "source",
            };
            format!("mode {mode}")
        }
        LinkKind::Ipvlan(ipvlan) => {
            let mode = match ipvlan.mode {
                IpvlanMode::L2 => "l2",
                IpvlanMode::L3 => "l3",
                IpvlanMode::L3s => "l3s",
            };
            let siblings = match ipvlan.siblings {
                IpvlanSiblings::Bridge => "",
                IpvlanSiblings::Private => " private",
                IpvlanSiblings::Vepa => " vepa",
            };
            format!("mode {mode}{siblings}")
        }
        LinkKind::Vrf(vrf) => format!("table {}", vrf.table),
        LinkKind::Tun(tun) => if tun.mode == TunMode::Tap { "type tap" } else { "type tun" }.to_owned(),
        _ => String::new(),
    };
    if settings.is_empty() { kind.name().to_owned() } else { format!("{} {settings}", kind.name()) }
}

/// What is not as the kernel makes a bridge.
fn bridge(bridge: &Bridge) -> String {
    let mut settings = Vec::new();
    if bridge.stp == Some(true) {
        settings.push("stp_state 1".to_owned());
    }
    if bridge.vlan_filtering == Some(true) {
        settings.push("vlan_filtering 1".to_owned());
    }
    if bridge.multicast_snooping == Some(false) {
        settings.push("mcast_snooping 0".to_owned());
    }
    settings
        .extend(bridge.ageing_time.filter(|time| *time != 30_000).map(|time| format!("ageing_time {time}")));
    settings.extend(
        bridge.group_forward_mask.filter(|mask| *mask != 0).map(|mask| format!("group_fwd_mask {mask:#x}")),
    );
    settings.join(" ")
}

fn vxlan(vxlan: &Vxlan, names: Names<'_>) -> String {
    let mut settings = vec![format!("id {}", vxlan.vni)];
    settings.extend(vxlan.remote.map(|remote| format!("remote {remote}")));
    settings.extend(vxlan.local.map(|local| format!("local {local}")));
    settings.extend(vxlan.lower.filter(|lower| *lower != 0).map(|lower| format!("dev {}", names.of(lower))));
    settings.extend(vxlan.port.map(|port| format!("dstport {port}")));
    settings.join(" ")
}

/// What is not as a port is that has just joined.
fn port(port: BridgePort) -> String {
    // `BR_STATE_*` of include/uapi/linux/if_bridge.h.
    let state = match port.state {
        0 => "state disabled",
        1 => "state listening",
        2 => "state learning",
        4 => "state blocking",
        _ => "",
    };
    let settings = [
        (!state.is_empty(), state),
        (port.isolated, "isolated on"),
        (!port.learning, "learning off"),
        (!port.unicast_flood, "flood off"),
        (port.hairpin, "hairpin on"),
    ];
    settings.into_iter().filter(|(set, _)| *set).map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// The interface, the address, and what is out of the ordinary about it.
pub(super) fn address(address: &Address, names: Names<'_>) -> Vec<String> {
    let scope = match address.scope {
        0 => "",
        253 => "scope link",
        254 => "scope host",
        _ => "scope site",
    };
    let flags = [
        (!scope.is_empty(), scope),
        (address.secondary, "secondary"),
        (address.tentative, "tentative"),
        (address.duplicate, "dadfailed"),
        (!address.permanent, "dynamic"),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect();
    vec![names.of(address.link), address.address.to_string(), flags.join(" ")]
}
