//! MTUs.

use std::collections::BTreeMap;

use super::segments::Network;
use super::{Problems, and_list};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::lab::InterfaceKind;
use crate::model::Device;

/// The MTU of what says nothing about it (`ETH_DATA_LEN`).
pub(super) const DEFAULT: u32 = 1500;
/// The least an IPv6 link carries (`IPV6_MIN_MTU`); below it the kernel turns IPv6 off on an interface.
pub(super) const LEAST_IPV6: u32 = 1280;
/// What an interface may have (`ETH_MIN_MTU`, `ETH_MAX_MTU`).
const RANGE: std::ops::RangeInclusive<u32> = 68..=65535;
/// What a VRF has: it passes on what others carry.
const VRF: u32 = 65535;

/// Settles every port's MTU: its own, else the link's, else the switch's.
pub(super) fn settle(net: &mut Network<'_>, problems: &mut Problems) {
    for switch in &net.lab.switches {
        check_range(switch.mtu.as_ref(), problems);
    }
    for (index, link) in net.links.iter().enumerate() {
        check_range(link.mtu.as_ref(), problems);
        let switches = [0, 1].map(|side| match net.ports[2 * index + side].device {
            Device::Switch(switch) => net.lab.switches[switch].mtu.as_ref(),
            Device::Node(_) => None,
        });
        for side in [0, 1] {
            let own = net.ports[2 * index + side].end.mtu.as_ref();
            check_range(own, problems);
            let mtu = own.or(link.mtu.as_ref()).or(switches[side]).or(switches[1 - side]);
            net.mtus[2 * index + side] = mtu.map_or(DEFAULT, |mtu| mtu.value);
        }
    }
    for port in net.interface_ports() {
        check_range(net.ports[port].end.mtu.as_ref(), problems);
    }
    for port in net.order.clone() {
        settle_interface(net, port, problems);
    }
}

/// An interface that is no end of a cable: its own, else what that allows which it is made of.
fn settle_interface(net: &mut Network<'_>, port: usize, problems: &mut Problems) {
    let Some(interface) = net.interface(port) else { return };
    let own = interface.end.mtu.as_ref();
    let lower = net.lower[port].map(|lower| net.mtus[lower]);
    let usual = match &interface.kind {
        InterfaceKind::Vlan { .. } | InterfaceKind::Macvlan { .. } | InterfaceKind::Ipvlan { .. } => {
            if let (Some(own), Some(lower), Some(below)) = (own, lower, net.lower[port])
                && own.value > lower
            {
                problems.push(
                    Diagnostic::error(
                        "mtu-too-large",
                        format!(
                            "the MTU of {} is larger than {lower}, that of {} below it",
                            net.port_label(port),
                            net.ports[below].meant()
                        ),
                    )
                    .at(own.span, ""),
                );
            }
            lower
        }
        InterfaceKind::Bond { .. } | InterfaceKind::Bridge { .. } => {
            let members = (0..net.ports.len()).filter(|member| net.master[*member] == Some(port));
            members.map(|member| net.mtus[member]).min()
        }
        InterfaceKind::Vrf { .. } => Some(VRF),
        // For now as if they went over IPv6: that of their underlay is known when addresses are.
        kind => kind.is_tunnel().then(|| base(net, port).saturating_sub(overhead(kind, true))),
    };
    net.mtus[port] = own.map_or(usual.unwrap_or(DEFAULT), |mtu| mtu.value);
    if let InterfaceKind::Bond { .. } = interface.kind {
        // The kernel gives a bond's MTU to its members (`bond_change_mtu`).
        for member in 0..net.ports.len() {
            if net.master[member] == Some(port) {
                net.mtus[member] = net.mtus[port];
            }
        }
    }
}

/// The MTU of what is below a tunnel: that of the interface it is bound to, else the smallest of the node's links that
/// are no members of bridges, and of its bonds.
fn base(net: &Network<'_>, port: usize) -> u32 {
    if let Some(lower) = net.lower[port] {
        return net.mtus[lower];
    }
    let ports = net.node_of(port).map_or(&[][..], |node| &net.node_ports[node]);
    let is_below = |port: usize| match net.interface(port).map(|interface| &interface.kind) {
        None => !net.is_member(port),
        Some(kind) => matches!(kind, InterfaceKind::Bond { .. }),
    };
    let links = ports.iter().filter(|port| is_below(**port)).map(|port| net.mtus[*port]);
    links.filter(|mtu| *mtu > 0).min().unwrap_or(DEFAULT)
}

/// What a tunnel puts around a packet, in bytes.
fn overhead(kind: &InterfaceKind, over_ipv6: bool) -> u32 {
    let outer = if over_ipv6 { 40 } else { 20 };
    match kind {
        // UDP, the tunnel's own header, the inner Ethernet header.
        InterfaceKind::Vxlan { .. } | InterfaceKind::Geneve { .. } => outer + 8 + 8 + 14,
        InterfaceKind::Tunnel { encapsulation, key, .. } => {
            let outer = if encapsulation.is_over_ipv6() { 40 } else { 20 };
            let gre = if encapsulation.has_key() { 4 } else { 0 };
            let ethernet = if encapsulation.is_ethernet() { 14 } else { 0 };
            outer + gre + if key.is_some() { 4 } else { 0 } + ethernet
        }
        // UDP, header and authentication tag (16 + 16): always as over IPv6, as a peer's address may change.
        InterfaceKind::Wireguard { .. } => 40 + 8 + 32,
        _ => 0,
    }
}

/// Settles a tunnel's MTU once its underlay is known.
pub(super) fn settle_tunnel(net: &mut Network<'_>, port: usize, problems: &mut Problems) {
    let Some(interface) = net.interface(port) else { return };
    let over_ipv6 =
        net.underlay[port - net.cable_ports()].remotes.iter().any(|remote| remote.value.is_ipv6());
    let most = base(net, port).saturating_sub(overhead(&interface.kind, over_ipv6));
    match &interface.end.mtu {
        None => net.mtus[port] = most,
        Some(mtu) if mtu.value > most => problems.push(
            Diagnostic::warning(
                "tunnel-mtu",
                format!("the MTU of {} leaves no room for what is put around a packet", net.port_label(port)),
            )
            .at(mtu.span, "")
            .note(format!("{most} is the largest that fits; what is larger is sent in fragments, or lost")),
        ),
        Some(_) => {}
    }
}

/// Gives what is made of tunnels the MTU that is known now.
pub(super) fn follow_tunnels(net: &mut Network<'_>) {
    for port in net.order.clone() {
        if !net.is_tunnel(port) {
            settle_interface(net, port, &mut Problems::default());
        }
    }
}

fn check_range(mtu: Option<&Spanned<u32>>, problems: &mut Problems) {
    if let Some(mtu) = mtu.filter(|mtu| !RANGE.contains(&mtu.value)) {
        problems.push(
            Diagnostic::error("bad-number", format!("an MTU is from 68 to 65535, not {}", mtu.value))
                .at(mtu.span, ""),
        );
    }
}

/// Refuses IPv6 addresses where the kernel would drop them, and warns of segments whose ends differ.
pub(super) fn check(net: &Network<'_>, problems: &mut Problems) {
    for (index, addresses) in net.addresses.iter().enumerate() {
        let mtu = net.mtus[index];
        if let Some(address) =
            addresses.iter().find(|address| mtu < LEAST_IPV6 && address.net.addr().is_ipv6())
        {
            let of_link = net.link_of(index).and_then(|link| link.mtu.as_ref());
            let place = [net.ports[index].end.mtu.as_ref(), of_link];
            let place = place.into_iter().flatten().next().and_then(|mtu| mtu.span);
            problems.push(
                Diagnostic::error(
                    "mtu-too-small",
                    format!(
                        "{} cannot have the IPv6 address {}: its MTU is {mtu}",
                        net.port_label(index),
                        address.net
                    ),
                )
                .at(address.span, "")
                .because(place, "this MTU")
                .note(format!("the kernel turns IPv6 off on an interface whose MTU is below {LEAST_IPV6}")),
            );
        }
    }
    let mut ports_of: Vec<Vec<usize>> = vec![Vec::new(); net.segments.len()];
    for (port, segment) in net.segment_of.iter().enumerate() {
        // A VRF passes on what others carry.
        if !matches!(net.interface(port).map(|interface| &interface.kind), Some(InterfaceKind::Vrf { .. })) {
            ports_of[*segment].push(port);
        }
    }
    for (segment, ports) in ports_of.iter().enumerate() {
        let mut by_mtu: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for port in ports {
            by_mtu.entry(net.mtus[*port]).or_default().push(*port);
        }
        if by_mtu.len() > 1 {
            warn(net, segment, &by_mtu, problems);
        }
    }
}

fn warn(net: &Network<'_>, segment: usize, by_mtu: &BTreeMap<u32, Vec<usize>>, problems: &mut Problems) {
    let groups: Vec<String> = by_mtu
        .iter()
        .map(|(mtu, ports)| {
            // A link's two ends differ seldom: naming the nodes says which links are meant.
            let mut names: Vec<String> = ports
                .iter()
                .filter(|port| net.node_of(**port).is_some() || net.mtus[**port ^ 1] != *mtu)
                .map(|port| net.port_label(*port))
                .collect();
            if names.is_empty() {
                names = ports.iter().map(|port| net.port_label(*port)).collect();
            }
            format!("{mtu} at {}", and_list(&names))
        })
        .collect();
    let rarest = by_mtu.values().min_by_key(|ports| ports.len());
    let odd = rarest.and_then(|ports| ports.first());
    let place = odd.and_then(|port| {
        let of_link = net.link_of(*port).and_then(|link| link.mtu.as_ref());
        let mtu = net.ports[*port].end.mtu.as_ref().or(of_link);
        mtu.and_then(|mtu| mtu.span).or(net.ports[*port].place())
    });
    let what = net.describe_segment(segment);
    problems.push(
        Diagnostic::warning("mtu-mismatch", format!("the MTUs on {what} differ: {}", groups.join(", ")))
            .at(place, "")
            .note("a packet that is too large for the far end is lost there without a word: nothing on the segment can say so")
            .help("give every link of the segment the same `mtu`"),
    );
}
