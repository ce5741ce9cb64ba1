//! Interfaces that are no ends of cables: what each is made of, and in which order they can be made.

use std::collections::HashMap;

use super::Problems;
use super::parts::unknown_interface;
use super::segments::Network;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::lab::InterfaceKind;

/// Finds what each interface is on, what it has as members, and an order in which none comes before what it is made of.
pub(super) fn settle(net: &mut Network<'_>, problems: &mut Problems) {
    if net.interfaces.is_empty() {
        return;
    }
    for node in net.lab.nodes.iter().filter(|node| node.existing.is_some()) {
        if let Some(interface) = node.interfaces.first() {
            problems.push(
                Diagnostic::error(
                    "existing-namespace",
                    format!(
                        "{} is there already, and the lab makes only ends of links in it",
                        node.name.value
                    ),
                )
                .at(interface.end.interface.as_ref().and_then(|name| name.span), "not such an interface")
                .help("make it by hand, or in a node that is the lab's own"),
            );
        }
    }
    // What each interface is made of: the one below, and members.
    let mut parts: HashMap<usize, Vec<usize>> = HashMap::new();
    for port in net.interface_ports() {
        let Some((interface, node)) = net.interface(port).zip(net.node_of(port)) else { continue };
        if let Some(name) = interface.kind.link()
            && let Some(lower) = find(net, node, name, problems)
        {
            // A tunnel may go by any interface, all others want Ethernet.
            if interface.kind.is_tunnel() || carries_ethernet(net, lower, name, interface, problems) {
                net.lower[port] = Some(lower);
                parts.entry(port).or_default().push(lower);
            }
        }
        for name in interface.kind.members() {
            let Some(member) = find(net, node, name, problems) else { continue };
            join(net, port, member, name, problems);
            parts.entry(port).or_default().push(member);
        }
    }
    exclusive(net, problems);
    order(net, &parts, problems);
    alike(net, problems);
    for port in net.interface_ports() {
        own(net, port, problems);
    }
}

fn find(net: &Network<'_>, node: usize, name: &Spanned<String>, problems: &mut Problems) -> Option<usize> {
    let found = net.port_named(node, name);
    if found.is_none() {
        problems.push(unknown_interface(net, node, name, true));
    }
    found
}

fn carries_ethernet(
    net: &Network<'_>,
    lower: usize,
    name: &Spanned<String>,
    upper: &crate::lab::Interface,
    problems: &mut Problems,
) -> bool {
    let Some(interface) = net.interface(lower).filter(|interface| !interface.kind.is_ethernet()) else {
        return true;
    };
    problems.push(
        Diagnostic::error(
            "no-ethernet",
            format!(
                "{} is {}, which carries no Ethernet frames: {} cannot be on it",
                name.value,
                interface.kind.with_article(),
                upper.kind.with_article()
            ),
        )
        .at(name.span, ""),
    );
    false
}

fn join(
    net: &mut Network<'_>,
    master: usize,
    member: usize,
    name: &Spanned<String>,
    problems: &mut Problems,
) {
    let Some(interface) = net.interface(master) else { return };
    if let Some(other) = net.master[member] {
        let both = if other == master {
            format!("{} names it twice", net.port_label(master))
        } else {
            format!("{} and {} both have it", net.port_label(other), net.port_label(master))
        };
        let error = Diagnostic::error("two-masters", format!("{} is a member of two: {both}", name.value));
        problems.push(error.at(name.span, ""));
        return;
    }
    if matches!(interface.kind, InterfaceKind::Vrf { .. }) {
        net.master[member] = Some(master);
        return;
    }
    if !carries_ethernet(net, member, name, interface, problems) {
        return;
    }
    net.master[member] = Some(master);
    if let Some(address) = net.ports[member].end.addresses.iter().flatten().next() {
        let what = interface.kind.name();
        problems.push(
            Diagnostic::error(
                "member-address",
                format!("{} is a member of a {what} and cannot have an address", net.port_label(member)),
            )
            .at(address.span, "")
            .because(name.span, "here it is a member")
            .help(format!("what comes in by a member is the {what}'s: give the address to it")),
        );
    }
}

/// An interface hands what comes in to a bridge, a bond, macvlans or ipvlans, and to one of these only (`rx_handler`,
/// `net/core/dev.c`).
fn exclusive(net: &Network<'_>, problems: &mut Problems) {
    let mut taken: HashMap<usize, &InterfaceKind> = HashMap::new();
    for (member, master) in net.master.iter().enumerate() {
        let kind = master.and_then(|master| net.interface(master)).map(|interface| &interface.kind);
        if let Some(kind @ (InterfaceKind::Bond { .. } | InterfaceKind::Bridge { .. })) = kind {
            taken.insert(member, kind);
        }
    }
    for port in net.interface_ports() {
        let Some(interface) = net.interface(port) else { continue };
        if !matches!(interface.kind, InterfaceKind::Macvlan { .. } | InterfaceKind::Ipvlan { .. }) {
            continue;
        }
        let (Some(lower), Some(name)) = (net.lower[port], interface.kind.link()) else { continue };
        let kind = &interface.kind;
        let other = *taken.entry(lower).or_insert(kind);
        if other.name() != kind.name() {
            problems.push(
                Diagnostic::error(
                    "interface-taken",
                    format!(
                        "{} cannot be on {}, which {} has already",
                        kind.with_article(),
                        net.port_label(lower),
                        other.with_article()
                    ),
                )
                .at(name.span, "")
                .note("what comes in by an interface can go to one of them only"),
            );
        }
    }
}

/// Sorts the interfaces so that each comes after what it is made of.
fn order(net: &mut Network<'_>, parts: &HashMap<usize, Vec<usize>>, problems: &mut Problems) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let first = net.cable_ports();
    let mut marks = vec![Mark::New; net.interfaces.len()];
    let mut order = Vec::with_capacity(marks.len());
    for start in net.interface_ports() {
        let mut stack = vec![(start, 0_usize)];
        while let Some((port, next)) = stack.pop() {
            if port < first || marks[port - first] == Mark::Done {
                continue;
            }
            if next == 0 {
                if marks[port - first] == Mark::Open {
                    continue;
                }
                marks[port - first] = Mark::Open;
            }
            match parts.get(&port).and_then(|parts| parts.get(next)) {
                None => {
                    marks[port - first] = Mark::Done;
                    order.push(port);
                }
                Some(&part) => {
                    stack.push((port, next + 1));
                    if part >= first && marks[part - first] == Mark::Open {
                        let place = net.ports[port].place();
                        problems.push(
                            Diagnostic::error(
                                "interface-loop",
                                format!(
                                    "{} is made of {}, which is made of it",
                                    net.port_label(port),
                                    net.ports[part].meant()
                                ),
                            )
                            .at(place, ""),
                        );
                    } else {
                        stack.push((part, 0));
                    }
                }
            }
        }
    }
    net.order = order;
}

/// What two interfaces of one node cannot have in common.
fn alike(net: &Network<'_>, problems: &mut Problems) {
    let mut known: HashMap<(usize, String), usize> = HashMap::new();
    for port in net.interface_ports() {
        let Some((interface, node)) = net.interface(port).zip(net.node_of(port)) else { continue };
        let what = match &interface.kind {
            InterfaceKind::Vlan { link, id, protocol } => {
                format!("VLAN {} ({}) of {}", id.value, protocol.name(), link.value)
            }
            InterfaceKind::Vxlan { id, port, .. } => format!("VXLAN {} on port {port}", id.value),
            InterfaceKind::Geneve { id, port, remote } => {
                format!("Geneve {} to {} on port {port}", id.value, remote.value)
            }
            InterfaceKind::Tunnel { encapsulation, remote, key, .. } => {
                let key = key.map_or_else(String::new, |key| format!(" with key {key}"));
                format!("the {} tunnel to {}{key}", encapsulation.name(), remote.value)
            }
            InterfaceKind::Wireguard { port, .. } => format!("UDP port {}", port.value),
            InterfaceKind::Vrf { table, .. } => format!("routing table {}", table.value),
            _ => continue,
        };
        if let Some(other) = known.insert((node, what.clone()), port) {
            problems.push(
                Diagnostic::error(
                    "duplicate-interface",
                    format!("{} and {} would both be {what}", net.port_label(other), net.ports[port].meant()),
                )
                .at(net.ports[port].place(), "again here")
                .because(net.ports[other].place(), "first here"),
            );
        }
    }
}

/// What is wrong with one by itself.
fn own(net: &Network<'_>, port: usize, problems: &mut Problems) {
    let Some(interface) = net.interface(port) else { return };
    let (kind, end) = (&interface.kind, &interface.end);
    if let Some(mac) = end.mac.as_ref().filter(|_| !has_mac(kind)) {
        problems.push(
            Diagnostic::error(
                "no-mac",
                format!("an interface of type {} has no MAC of its own", kind.name()),
            )
            .at(mac.span, ""),
        );
    }
    if let InterfaceKind::Vrf { .. } = kind
        && let Some(mtu) = end.mtu.as_ref().filter(|mtu| mtu.value < super::mtu::LEAST_IPV6)
    {
        problems.push(
            Diagnostic::error("bad-number", format!("the MTU of a VRF is at least 1280, not {}", mtu.value))
                .at(mtu.span, ""),
        );
    }
    if let InterfaceKind::Bond { members, mode, primary: Some(primary), .. } = kind {
        let error = if !mode.has_primary() {
            let error = format!("a bond in mode {} uses all members alike and has no primary", mode.name());
            Some(
                Diagnostic::error("no-primary", error)
                    .help("active-backup, balance-tlb and balance-alb have one"),
            )
        } else if members.iter().all(|member| member.value != primary.value) {
            let error = format!("{} is no member of {}", primary.value, net.port_label(port));
            Some(Diagnostic::error("no-primary", error))
        } else {
            None
        };
        if let Some(error) = error {
            problems.push(error.at(primary.span, ""));
        }
    }
    // What carries one family only.
    for address in end.addresses.iter().flatten() {
        let family = crate::lab::Family::of(address.addr());
        if !net.carries(port, family) {
            problems.push(
                Diagnostic::error(
                    "wrong-family",
                    format!("{} carries no {family}: it is {}", net.port_label(port), kind.with_article()),
                )
                .at(address.span, ""),
            );
        }
    }
    if let InterfaceKind::Tunnel { encapsulation, local, remote, .. } = kind {
        let wanted = if encapsulation.is_over_ipv6() { "IPv6" } else { "IPv4" };
        let written = match remote.value {
            crate::lab::Remote::Address(address) => Some((address, remote.span)),
            crate::lab::Remote::Node { .. } => None,
        };
        let local = local.as_ref().map(|local| (local.value, local.span));
        for (address, span) in written.into_iter().chain(local) {
            if address.is_ipv6() != encapsulation.is_over_ipv6() {
                problems.push(
                    Diagnostic::error(
                        "wrong-family",
                        format!("{} tunnel goes over {wanted}, {address} is none", kind.with_article()),
                    )
                    .at(span, ""),
                );
            }
        }
    }
}

/// The member that a bond prefers: two bonds on the same cables must not choose different ones.
pub(super) fn primary(net: &Network<'_>, bond: usize) -> Option<usize> {
    let (interface, node) = (net.interface(bond)?, net.node_of(bond)?);
    let InterfaceKind::Bond { members, mode, primary, .. } = &interface.kind else { return None };
    let name = primary.as_ref().or_else(|| members.first()).filter(|_| mode.has_primary())?;
    net.port_named(node, name)
}

/// Whether it has an Ethernet address that can be set.
pub(super) fn has_mac(kind: &InterfaceKind) -> bool {
    (kind.is_ethernet() || matches!(kind, InterfaceKind::Vrf { .. }))
        && !matches!(kind, InterfaceKind::Ipvlan { .. })
}
