//! What can be wrong with an address that was written.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::Problems;
use super::super::bits::is_link_local;
use super::super::segments::{Address, Network};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::Family;

/// Checks every written address by itself and against the others of its segment and node.
pub(crate) fn check(net: &Network<'_>, problems: &mut Problems) {
    for (port, addresses) in net.addresses.iter().enumerate() {
        for address in addresses {
            if net.node_of(port).is_none() {
                problems.push(
                    Diagnostic::error(
                        "address-on-switch",
                        format!("the switch {} cannot have an address on a port", net.owner(port)),
                    )
                    .at(address.span, "")
                    .help("give the address to the node at the other end"),
                );
            } else if let Some(problem) = alone(&address.net) {
                problems.push(problem.at(address.span, ""));
            }
        }
        if let Some(mac) = net.ports[port].end.mac.as_ref().filter(|mac| !mac.is_unicast()) {
            problems.push(
                Diagnostic::error(
                    "bad-mac",
                    format!("{} is a group's address, no interface can have it", mac.value),
                )
                .at(mac.span, "")
                .help("the second hexadecimal digit of a single interface's MAC is even, as in 02:…"),
            );
        }
    }
    for (segment, ports) in net.segments.iter().map(|segment| &segment.ports).enumerate() {
        duplicates_on(net, segment, ports, problems);
        inside_subnet(net, segment, ports, problems);
    }
    for node in 0..net.lab.nodes.len() {
        duplicates_of(net, node, problems);
    }
}

/// What is wrong with an interface's address whatever is around it.
fn alone(net: &IpNet) -> Option<Diagnostic> {
    let address = net.addr();
    let wrong = |code, why: &str| {
        Some(Diagnostic::error(code, format!("{net} cannot be an interface's address: {why}")))
    };
    if address.is_unspecified() {
        return wrong("bad-address", "it stands for no address at all");
    }
    if net.prefix_len() == 0 {
        return wrong("bad-address", "a prefix of length 0 would put the whole world on this link");
    }
    if address.is_multicast() {
        return wrong("bad-address", "it is a multicast group's");
    }
    if address.is_loopback() {
        return wrong("bad-address", "it is a loopback address, which never leaves a node");
    }
    if let IpNet::V4(net) = net
        && net.prefix_len() < 31
    {
        if net.addr() == net.network() {
            return Some(
                Diagnostic::error("network-address", format!("{net} is the address of the subnet itself"))
                    .help(format!("its hosts are {} to {}", first_host(*net), last_host(*net))),
            );
        }
        if net.addr() == net.broadcast() {
            return Some(
                Diagnostic::error("broadcast-address", format!("{net} is the subnet's broadcast address"))
                    .help(format!("its hosts are {} to {}", first_host(*net), last_host(*net))),
            );
        }
    }
    if address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        return wrong("broadcast-address", "it stands for everyone on the link");
    }
    None
}

fn first_host(net: ipnet::Ipv4Net) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from(u32::from(net.network()).saturating_add(1))
}

fn last_host(net: ipnet::Ipv4Net) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from(u32::from(net.broadcast()).saturating_sub(1))
}

fn duplicates_on(net: &Network<'_>, segment: usize, ports: &[usize], problems: &mut Problems) {
    let mut owners: HashMap<IpAddr, (usize, Option<Span>)> = HashMap::new();
    let mut macs = HashMap::new();
    for &port in ports {
        for Address { net: address, span } in &net.addresses[port] {
            let address = address.addr();
            if let Some((other, earlier)) = owners.get(&address) {
                let who = if net.owner(*other) == net.owner(port) {
                    format!("{} has it twice", net.owner(port))
                } else {
                    format!("{} and {} both have it", net.owner(*other), net.owner(port))
                };
                problems.push(
                    Diagnostic::error(
                        "duplicate-address",
                        format!("{address} is used twice on {}: {who}", net.describe_segment(segment)),
                    )
                    .at(*span, "again here")
                    .because(*earlier, "first here"),
                );
                continue;
            }
            owners.insert(address, (port, *span));
        }
        if let Some(mac) = &net.ports[port].end.mac
            && let Some(earlier) = macs.insert(mac.value, mac.span)
        {
            {
                problems.push(
                    Diagnostic::warning(
                        "duplicate-mac",
                        format!("{} is used twice on {}", mac.value, net.describe_segment(segment)),
                    )
                    .at(mac.span, "again here")
                    .because(earlier, "first here")
                    .note("what is meant for one of them reaches the other, or neither"),
                );
            }
        }
    }
}

/// The same address on two interfaces of one node, where they are not on one segment.
fn duplicates_of(net: &Network<'_>, node: usize, problems: &mut Problems) {
    let lab_node = &net.lab.nodes[node];
    let mut owners: HashMap<IpAddr, (Option<usize>, Option<Span>)> = HashMap::new();
    for written in &lab_node.addresses {
        let address = written.addr();
        let bad = address.is_unspecified() || address.is_multicast() || written.prefix_len() == 0;
        if bad
            || address == IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
            || address == IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
        {
            let why = if bad { "it is no host's address" } else { "every node has it already" };
            problems.push(
                Diagnostic::error(
                    "bad-address",
                    format!("{} cannot be put on the loopback: {why}", written.value),
                )
                .at(written.span, ""),
            );
        }
        if let Some((_, earlier)) = owners.insert(address, (None, written.span)) {
            twice(&lab_node.name, address, written.span, earlier, problems);
        }
    }
    for &port in &net.node_ports[node] {
        let segment = Some(net.segment_of[port]);
        for Address { net: address, span } in &net.addresses[port] {
            let address = address.addr();
            match owners.get(&address) {
                // Reported for the segment already, or one that each link has of its own.
                Some((other, _)) if *other == segment || is_link_local(address) => {}
                Some((_, earlier)) => twice(&lab_node.name, address, *span, *earlier, problems),
                None => {
                    owners.insert(address, (segment, *span));
                }
            }
        }
    }
}

fn twice(node: &str, address: IpAddr, span: Option<Span>, earlier: Option<Span>, problems: &mut Problems) {
    problems.push(
        Diagnostic::error("duplicate-address", format!("{node} has the address {address} twice"))
            .at(span, "again here")
            .because(earlier, "first here"),
    );
}

/// Written addresses are in the subnet that the switch says, and a segment has one subnet of a family.
fn inside_subnet(net: &Network<'_>, segment: usize, ports: &[usize], problems: &mut Problems) {
    for family in Family::BOTH {
        let mut subnets = net.subnets_of(segment).filter(|net| Family::of(net.addr()) == family);
        let Some(subnet) = subnets.next() else { continue };
        if let Some(other) = subnets.find(|other| other.value != subnet.value) {
            problems.push(
                Diagnostic::error(
                    "several-subnets",
                    format!("{} has two {family} subnets", net.describe_segment(segment)),
                )
                .at(other.span, "the second")
                .because(subnet.span, "the first")
                .note("switches that are linked are one segment"),
            );
        }
        for &port in ports {
            for Address { net: address, span } in &net.addresses[port] {
                let inside = Family::of(address.addr()) != family
                    || is_link_local(address.addr())
                    || subnet.contains(&address.addr());
                if !inside {
                    problems.push(
                        Diagnostic::error(
                            "outside-subnet",
                            format!("{address} is outside of its switch's subnet {}", subnet.value),
                        )
                        .at(*span, "")
                        .because(subnet.span, "the subnet"),
                    );
                }
            }
        }
    }
}
