//! What the name of a zone stands for, seen from one node.

use ipnet::IpNet;
use nslab_types::IfName;

use super::super::segments::Network;
use super::super::{Problems, and_list};
use super::reach::Reach;
use crate::decode::address;
use crate::diagnostic::{Diagnostic, Spanned, did_you_mean};
use crate::lab::Family;
use crate::model::{Device, Route, RouteAction, Selector};

/// The interface that is outside where one has this name.
const OUTSIDE: &str = "outside";
const SELF: &str = "self";
/// Link-local addresses (RFC 4291, 2.5.6).
const LINK_LOCAL: IpNet =
    IpNet::V6(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10));

/// A zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// The node itself.
    Own,
    /// Everything behind the interfaces that are outside.
    Outside,
    /// Everything behind an interface: one of the lab.
    Port(usize),
    /// Everything behind an interface that a program may make.
    Interface(IfName),
    /// Another node.
    Node(usize),
    /// The hosts of a switch.
    Switch(usize),
    /// Addresses.
    Prefix(IpNet),
}

/// Finds what a name stands for: a node or switch before an interface of the same name.
pub(super) fn find(net: &Network<'_>, node: usize, name: &Spanned<String>) -> Result<Zone, Box<Diagnostic>> {
    let own = net.lab.nodes[node].name.as_str();
    let text = name.as_str();
    if text == SELF || text == own {
        return Ok(Zone::Own);
    }
    if text == OUTSIDE {
        return Ok(Zone::Outside);
    }
    if let Some(&other) = net.node_index.get(text) {
        return Ok(Zone::Node(other));
    }
    if let Some(switch) = net.lab.switches.iter().position(|switch| switch.name.as_str() == text) {
        return Ok(Zone::Switch(switch));
    }
    if let Some(port) = net.port_named(node, text) {
        return Ok(Zone::Port(port));
    }
    match address::prefix(text) {
        Ok(prefix) => return Ok(Zone::Prefix(prefix)),
        Err(problem)
            if text.contains('/') || text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.') =>
        {
            let mut error = Diagnostic::error(problem.code, problem.message).at(name.span, "");
            error.help = problem.help;
            return Err(Box::new(error));
        }
        Err(_) => {}
    }
    if let Some((device, interface)) = text.split_once(':') {
        if device == own || device == SELF {
            if let Some(port) = net.port_named(node, interface) {
                return Ok(Zone::Port(port));
            }
            if let Ok(name) = IfName::shortened(interface) {
                return Ok(Zone::Interface(name));
            }
        } else if net.node_index.contains_key(device) {
            return Err(Box::new(
                Diagnostic::error("unknown-zone", format!("{own} sees no interfaces of other nodes"))
                    .at(name.span, "")
                    .help(format!(
                        "write `{device}` for the node, or the interface of {own} that leads there"
                    )),
            ));
        }
    }
    let ports = net.node_ports[node].iter().map(|port| net.ports[*port].meant());
    let hint = did_you_mean(text, net.lab.device_names().chain(ports.clone()).chain([OUTSIDE, SELF]));
    let ports: Vec<&str> = ports.collect();
    Err(Box::new(
        Diagnostic::error(
            "unknown-zone",
            format!("there is no node or switch `{text}`, and {own} has no such interface"),
        )
        .at(name.span, "")
        .help(hint.unwrap_or_else(|| match &ports[..] {
            [] => format!("{own} has no links"),
            ports => format!("its interfaces are {}", and_list(ports)),
        })),
    ))
}

/// A node that looks around.
pub(super) struct Place<'a> {
    pub(super) net: &'a Network<'a>,
    pub(super) node: usize,
    pub(super) reach: Reach,
    /// The interfaces that are outside, if they can be told.
    outside: Vec<IfName>,
}

impl<'a> Place<'a> {
    pub(super) fn new(net: &'a Network<'a>, node: usize, routes: &[Route]) -> Self {
        Self { net, node, reach: Reach::new(net, node), outside: outside(net, node, routes) }
    }

    pub(super) fn name(&self) -> &'a str {
        &self.net.lab.nodes[self.node].name.value
    }

    /// Whether it sends on what is not for it.
    pub(super) fn forwards(&self) -> bool {
        let node = &self.net.lab.nodes[self.node];
        node.forward || node.sysctls.iter().any(|(key, value)| key.contains("forward") && value != "0")
    }

    /// The interfaces that are outside. Errors, at the place of `name`, if that cannot be told.
    pub(super) fn outside(&self, name: &Spanned<String>, problems: &mut Problems) -> Vec<IfName> {
        if self.outside.is_empty() {
            let own = self.name();
            problems.push(
                Diagnostic::error("no-outside", format!("it cannot be told which interface of {own} is outside"))
                    .at(name.span, "")
                    .note("outside is the interface called `outside`, else those of the default routes; it has neither")
                    .help("give it a `gateway`, call an interface `outside`, or write the interface itself here"),
            );
        }
        self.outside.clone()
    }

    /// The interfaces that are outside, if that can be told.
    pub(super) fn known_outside(&self) -> &[IfName] {
        &self.outside
    }

    /// Its own addresses.
    pub(super) fn own_addresses(&self) -> Vec<IpNet> {
        self.addresses_of(self.node)
    }

    /// All addresses of a node, those of its ports first.
    pub(super) fn addresses_of(&self, node: usize) -> Vec<IpNet> {
        let ports = self.net.node_ports[node].iter().flat_map(|port| &self.net.addresses[*port]);
        let loopback = self.net.lab.nodes[node].addresses.iter().map(|own| own.value);
        ports.map(|own| own.net).chain(loopback).collect()
    }

    /// What a zone other than the node itself asks of a packet's side; a selector of nothing where that is not known.
    /// `local` is for packets to or from the node
    /// itself, where link-local addresses of neighbours are met.
    pub(super) fn selector(
        &self,
        zone: Zone,
        name: &Spanned<String>,
        local: bool,
        problems: &mut Problems,
    ) -> Selector {
        let device = |port: Option<usize>| port.map(|port| self.net.ports[port].name).into_iter().collect();
        match zone {
            Zone::Own => Selector::default(),
            Zone::Outside => Selector { interfaces: self.outside(name, problems), prefixes: Vec::new() },
            Zone::Port(port) => Selector { interfaces: device(Some(port)), prefixes: Vec::new() },
            Zone::Interface(name) => Selector { interfaces: vec![name], prefixes: Vec::new() },
            Zone::Prefix(prefix) => Selector { interfaces: Vec::new(), prefixes: vec![prefix] },
            Zone::Node(node) => {
                let mut prefixes: Vec<IpNet> =
                    self.addresses_of(node).into_iter().map(|own| IpNet::from(own.addr())).collect();
                if local {
                    prefixes.extend(self.link_local_of(node));
                }
                if self.unknown(&mut prefixes, name, problems) {
                    return Selector::default();
                }
                Selector { interfaces: device(self.reach.node(node)), prefixes }
            }
            Zone::Switch(switch) => {
                // Those of all its VLANs.
                let segments: Vec<usize> = (0..self.net.segments.len())
                    .filter(|segment| {
                        let domains = &self.net.segments[*segment].domains;
                        domains.iter().any(|(other, _)| *other == switch)
                    })
                    .collect();
                let ports = segments.iter().flat_map(|segment| &self.net.segments[*segment].ports);
                let mut prefixes: Vec<IpNet> =
                    ports.flat_map(|port| &self.net.addresses[*port]).map(|own| own.net.trunc()).collect();
                let is_on = self.net.node_ports[self.node]
                    .iter()
                    .any(|port| segments.contains(&self.net.segment_of[*port]));
                if local && is_on && prefixes.iter().any(|prefix| prefix.addr().is_ipv6()) {
                    prefixes.push(LINK_LOCAL);
                }
                if self.unknown(&mut prefixes, name, problems) {
                    return Selector::default();
                }
                let mut interfaces: Vec<_> =
                    segments.iter().flat_map(|segment| device(self.reach.segment(*segment))).collect();
                let mut seen = std::collections::HashSet::new();
                interfaces.retain(|name| seen.insert(*name));
                Selector { interfaces, prefixes }
            }
        }
    }

    /// The link-local addresses by which a neighbour is met: those that nslab gives its interfaces.
    fn link_local_of(&self, node: usize) -> Vec<IpNet> {
        let own: Vec<usize> =
            self.net.node_ports[self.node].iter().map(|port| self.net.segment_of[*port]).collect();
        let near = self.net.node_ports[node].iter().filter(|port| own.contains(&self.net.segment_of[**port]));
        near.filter(|port| self.net.addresses[**port].iter().any(|own| own.net.addr().is_ipv6()))
            .map(|port| IpNet::from(std::net::IpAddr::V6(self.net.mac(*port).link_local())))
            .collect()
    }

    /// Keeps each prefix once; true, with a warning, if there is none.
    fn unknown(&self, prefixes: &mut Vec<IpNet>, name: &Spanned<String>, problems: &mut Problems) -> bool {
        let mut seen = std::collections::HashSet::new();
        prefixes.retain(|prefix| seen.insert(*prefix));
        if prefixes.is_empty() {
            let message = format!("{} has no address by which {} could know it", name.value, self.name());
            problems.push(
                Diagnostic::warning("no-address", message)
                    .at(name.span, "no packet is from there or goes there")
                    .help(format!("write the interface of {} that leads there", self.name())),
            );
        }
        prefixes.is_empty()
    }

    /// The address of a family by which another node is best sent to: one on a shared segment, else its first.
    pub(super) fn address_of(&self, node: usize, family: Family) -> Option<std::net::IpAddr> {
        let own: Vec<usize> =
            self.net.node_ports[self.node].iter().map(|port| self.net.segment_of[*port]).collect();
        let mut ports: Vec<usize> = self.net.node_ports[node].clone();
        ports.sort_by_key(|port| !own.contains(&self.net.segment_of[*port]));
        let of_ports = ports.into_iter().flat_map(|port| &self.net.addresses[port]).map(|own| own.net.addr());
        let loopback = self.net.lab.nodes[node].addresses.iter().map(|own| own.addr());
        of_ports.chain(loopback).find(|address| Family::of(*address) == family)
    }
}

/// The interface called `outside`, else that of the way out, else those of the default routes.
fn outside(net: &Network<'_>, node: usize, routes: &[Route]) -> Vec<IfName> {
    if let Some(port) = net.port_named(node, OUTSIDE) {
        return vec![net.ports[port].name];
    }
    if let Some(uplink) = &net.lab.nodes[node].uplink {
        return vec![super::super::uplink::exact(uplink).interface];
    }
    let mut found: Vec<IfName> = Vec::new();
    for route in
        routes.iter().filter(|route| route.to.prefix_len() == 0 && route.table == super::super::route::MAIN)
    {
        if let RouteAction::Forward(hops) = &route.action {
            found.extend(hops.iter().filter_map(|hop| hop.dev));
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|name| seen.insert(*name));
    found
}

/// Joins selectors that only differ in their prefixes.
pub(super) fn join(selectors: Vec<Selector>) -> Vec<Selector> {
    let mut joined: Vec<Selector> = Vec::new();
    for selector in selectors {
        let same = joined.iter_mut().find(|other| {
            other.interfaces == selector.interfaces
                && other.prefixes.is_empty() == selector.prefixes.is_empty()
        });
        match same {
            Some(other) => {
                for prefix in selector.prefixes {
                    if !other.prefixes.contains(&prefix) {
                        other.prefixes.push(prefix);
                    }
                }
            }
            None => joined.push(selector),
        }
    }
    joined
}

/// The device that a switch's or node's name stands for; for messages about what is neither.
pub(super) fn is_switch(net: &Network<'_>, name: &str) -> bool {
    net.ports.iter().any(|port| matches!(port.device, Device::Switch(_)) && port.end.device.value == name)
        || net.lab.switches.iter().any(|switch| switch.name.as_str() == name)
}
