//! Address translation.

use std::net::IpAddr;

use nslab_types::IfName;

use super::super::Problems;
use super::super::parts::unknown_interface;
use super::super::segments::Network;
use super::zone::{self, Place, Zone};
use crate::diagnostic::{Diagnostic, Spanned, did_you_mean};
use crate::lab::{self, Family, Service};
use crate::model::{NatKind, NatRule, Selector};

/// Checks the names in an item.
pub(super) fn check(net: &Network<'_>, node: usize, rule: &lab::NatRule, problems: &mut Problems) {
    let to: &[Spanned<String>] = match &rule.kind {
        lab::NatKind::Masquerade { to } | lab::NatKind::Source { to, .. } => to,
        lab::NatKind::Forward { to, .. } | lab::NatKind::OneToOne { inside: to, .. } => {
            target_exists(net, to, problems);
            &[]
        }
    };
    for name in rule.from.iter().chain(to) {
        match zone::find(net, node, name) {
            // Translation to an interface that is not there would do nothing.
            Ok(Zone::Interface(_)) => {
                let interface = name.as_ref_after_colon();
                problems.push(unknown_interface(net, node, &interface, true));
            }
            Ok(_) => {}
            Err(error) => problems.push(*error),
        }
    }
}

fn target_exists(net: &Network<'_>, name: &Spanned<String>, problems: &mut Problems) {
    if name.parse::<IpAddr>().is_ok() || net.node_index.contains_key(name.as_str()) {
        return;
    }
    let message = if zone::is_switch(net, name) {
        format!("`{}` is a switch, not a node", name.value)
    } else {
        format!("there is no node `{}`", name.value)
    };
    let mut error = Diagnostic::error("unknown-node", message).at(name.span, "");
    error.help.extend(did_you_mean(name, net.lab.nodes.iter().map(|node| node.name.as_str())));
    if error.help.is_empty() {
        error = error.help("a target is a node or an address, and a port if it is another");
    }
    problems.push(error);
}

/// A node's items.
pub(super) fn resolve(
    place: &Place<'_>,
    rules: &[Spanned<lab::NatRule>],
    problems: &mut Problems,
) -> Vec<NatRule> {
    if let Some(first) = rules.first().filter(|_| !place.forwards()) {
        let name = place.name();
        problems.push(
            Diagnostic::warning(
                "never-matches",
                format!("{name} does not forward, so it translates nothing"),
            )
            .at(first.span, "")
            .help("a router has `forward: true`"),
        );
    }
    let resolved: Vec<NatRule> = rules.iter().filter_map(|rule| self::rule(place, rule, problems)).collect();
    twice(rules, &resolved, problems);
    resolved
}

fn rule(place: &Place<'_>, rule: &Spanned<lab::NatRule>, problems: &mut Problems) -> Option<NatRule> {
    let from = selectors(place, &rule.from, problems);
    let kind = match &rule.kind {
        lab::NatKind::Masquerade { to } => {
            let mut interfaces: Vec<IfName> = Vec::new();
            for selector in selectors(place, to, problems) {
                interfaces.extend(selector.interfaces);
            }
            if interfaces.is_empty() {
                if problems.errors == 0 {
                    let name = to.first()?;
                    problems.push(
                        Diagnostic::error(
                            "no-interface",
                            format!(
                                "it cannot be told which interface of {} leads to {}",
                                place.name(),
                                name.value
                            ),
                        )
                        .at(name.span, "")
                        .help("write the interface"),
                    );
                }
                return None;
            }
            NatKind::Masquerade { interfaces }
        }
        lab::NatKind::Source { to, addresses } => {
            for address in addresses {
                is_own(place, address, problems);
            }
            let addresses = addresses.iter().map(|address| address.value).collect();
            NatKind::Source { to: selectors(place, to, problems), addresses }
        }
        lab::NatKind::Forward { services, addresses, to, port } => {
            let written = addresses;
            let addresses = own_addresses(place, written, to, problems)?;
            let (targets, interfaces) = target(place, to, problems)?;
            let fits = |address: &IpAddr| {
                let family = Family::of(*address);
                rule.family.is_none_or(|wanted| wanted == family)
                    && targets.iter().any(|target| Family::of(*target) == family)
            };
            if !addresses.iter().any(fits) {
                let message =
                    format!("{} and {} have no family of addresses in common", place.name(), to.value);
                problems.push(Diagnostic::error("no-address", message).at(to.span, ""));
                return None;
            }
            NatKind::Forward { services: services.clone(), addresses, targets, port: *port, interfaces }
        }
        lab::NatKind::OneToOne { outside, inside } => {
            is_own(place, outside, problems);
            let (targets, interfaces) = target(place, inside, problems)?;
            let family = Family::of(outside.value);
            let Some(target) = targets.iter().find(|target| Family::of(**target) == family) else {
                let message = format!("{} has no {family} address", inside.value);
                problems.push(Diagnostic::error("no-address", message).at(inside.span, ""));
                return None;
            };
            let on = place.net.node_ports[place.node].iter().filter(|port| {
                place.net.addresses[**port].iter().any(|own| own.net.contains(&outside.value))
            });
            let mut out: Vec<IfName> = on.map(|port| place.net.ports[*port].name).collect();
            if out.is_empty() {
                out = place.known_outside().to_vec();
            }
            NatKind::OneToOne { outside: outside.value, inside: *target, interfaces, out }
        }
    };
    Some(NatRule { written: rule.value.clone(), from, kind })
}

fn selectors(place: &Place<'_>, zones: &[Spanned<String>], problems: &mut Problems) -> Vec<Selector> {
    let mut all = Vec::new();
    for name in zones {
        match zone::find(place.net, place.node, name) {
            Ok(Zone::Own) => problems.push(
                Diagnostic::error(
                    "unknown-zone",
                    "the node itself is no zone that addresses are translated for",
                )
                .at(name.span, ""),
            ),
            Ok(zone) => all.push(place.selector(zone, name, false, problems)),
            // Told of already.
            Err(_) => {}
        }
    }
    zone::join(all)
}

/// An address that is not on the node: nobody would send it what is for it.
fn is_own(place: &Place<'_>, address: &Spanned<IpAddr>, problems: &mut Problems) {
    if place.own_addresses().iter().any(|own| own.addr() == address.value) {
        return;
    }
    let name = place.name();
    problems.push(
        Diagnostic::warning("not-an-own-address", format!("{} is no address of {name}", address.value))
            .at(address.span, "")
            .note("neighbours find out by ARP or ND who has an address, and nobody would answer")
            .help(
                "add it to the end of the link on which it is to be seen, unless others have a route for it",
            ),
    );
}

/// The addresses that a port forward is for: those written, else all on the outside.
fn own_addresses(
    place: &Place<'_>,
    written: &[Spanned<IpAddr>],
    target: &Spanned<String>,
    problems: &mut Problems,
) -> Option<Vec<IpAddr>> {
    if !written.is_empty() {
        for address in written {
            is_own(place, address, problems);
        }
        return Some(written.iter().map(|address| address.value).collect());
    }
    let net = place.net;
    let outside = place.known_outside();
    let ports = net.node_ports[place.node].iter().filter(|port| outside.contains(&net.ports[**port].name));
    let addresses: Vec<IpAddr> =
        ports.flat_map(|port| &net.addresses[*port]).map(|own| own.net.addr()).collect();
    if addresses.is_empty() {
        problems.push(
            Diagnostic::error(
                "no-outside",
                format!("it cannot be told for which addresses of {} this is", place.name()),
            )
            .at(target.span, "")
            .note("they are those of the interface called `outside`, else of those of the default routes")
            .help("write them: `address: 203.0.113.1`"),
        );
        return None;
    }
    Some(addresses)
}

/// The addresses of a target, at most one of each family, and the interfaces behind which it lies.
fn target(
    place: &Place<'_>,
    name: &Spanned<String>,
    problems: &mut Problems,
) -> Option<(Vec<IpAddr>, Vec<IfName>)> {
    let net = place.net;
    let names = |ports: &[usize]| ports.iter().map(|port| net.ports[*port].name).collect();
    if let Ok(address) = name.parse::<IpAddr>() {
        let port = net.node_ports[place.node]
            .iter()
            .copied()
            .find(|port| net.addresses[*port].iter().any(|own| own.net.contains(&address)));
        let behind = (0..net.lab.nodes.len())
            .find(|node| place.addresses_of(*node).iter().any(|own| own.addr() == address));
        let ports = port.map_or_else(
            || behind.map_or_else(Vec::new, |node| place.reach.ports_to(node).to_vec()),
            |port| vec![port],
        );
        return Some((vec![address], names(&ports)));
    }
    let &node = net.node_index.get(name.as_str())?;
    if node == place.node {
        let message = format!("{} would send to itself what is for it", place.name());
        problems.push(Diagnostic::error("unknown-node", message).at(name.span, ""));
        return None;
    }
    let addresses: Vec<IpAddr> =
        Family::BOTH.iter().filter_map(|family| place.address_of(node, *family)).collect();
    if addresses.is_empty() {
        let message = format!("{} has no address", name.value);
        problems.push(Diagnostic::error("no-address", message).at(name.span, ""));
        return None;
    }
    Some((addresses, names(place.reach.ports_to(node))))
}

/// Warns of a port that is forwarded twice.
fn twice(written: &[Spanned<lab::NatRule>], resolved: &[NatRule], problems: &mut Problems) {
    let forwards: Vec<(&NatRule, &[Service], &[IpAddr])> = resolved
        .iter()
        .filter_map(|rule| match &rule.kind {
            NatKind::Forward { services, addresses, .. } => Some((rule, &services[..], &addresses[..])),
            _ => None,
        })
        .collect();
    let span = |rule: &NatRule| written.iter().find(|one| one.value == rule.written).and_then(|one| one.span);
    for (number, (rule, services, addresses)) in forwards.iter().enumerate() {
        let earlier = forwards[..number].iter().find(|(first, others, to)| {
            first.from.is_empty()
                && addresses.iter().any(|address| to.contains(address))
                && services.iter().any(|one| others.iter().any(|other| meet(one, other)))
        });
        if let Some((first, ..)) = earlier {
            problems.push(
                Diagnostic::warning("shadowed-rule", "a port of this is forwarded already")
                    .at(span(rule), "never reached")
                    .because(span(first), "this comes first"),
            );
        }
    }
}

/// Whether two have a port in common.
fn meet(one: &Service, other: &Service) -> bool {
    match (one, other) {
        (Service::Tcp(one), Service::Tcp(other)) | (Service::Udp(one), Service::Udp(other)) => {
            one.iter().any(|a| other.iter().any(|b| a.first <= b.last && b.first <= a.last))
        }
        _ => false,
    }
}

impl Spanned<String> {
    /// The interface of `NODE:INTERFACE`.
    fn as_ref_after_colon(&self) -> Self {
        let name = self.value.split_once(':').map_or(&self.value[..], |(_, name)| name);
        Self::new(name.to_owned(), self.span)
    }
}
