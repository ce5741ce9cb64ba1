//! Firewalls and address translation as they are written.

use std::fmt;

use super::text::{list, map, value};
use crate::diagnostic::Spanned;
use crate::lab::{
    Firewall, FirewallRule, IcmpType, NatKind, NatRule, Nft, Policy, Ports, Service, Verdict, protocol_name,
};
use crate::model;

type Entries = Vec<(&'static str, String)>;

/// What was written of a resolved node.
pub(super) fn describe(policy: &model::Policy) -> Policy {
    Policy {
        firewall: policy.firewall.as_ref().map(|firewall| Firewall {
            input: firewall.input,
            forward: firewall.forward,
            output: firewall.output,
            log: firewall.log.clone(),
            line: firewall.line,
            rules: firewall.rules.iter().map(|rule| rule.written.clone().into()).collect(),
        }),
        nat: policy.nat.iter().map(|rule| rule.written.clone().into()).collect(),
        nft: policy.nft.clone(),
    }
}

/// The lines of a node's mapping.
pub(super) fn write(policy: &Policy, own: &mut Vec<String>) {
    if let Some(firewall) = &policy.firewall {
        own.push("firewall:".to_owned());
        own.push(format!("  default: {}", defaults(firewall)));
        own.extend(firewall.log.as_ref().map(|prefix| format!("  log: {}", log(prefix))));
        let mut verdicts: Vec<Verdict> = Vec::new();
        for rule in &firewall.rules {
            if !verdicts.contains(&rule.verdict) {
                verdicts.push(rule.verdict);
            }
        }
        for verdict in verdicts {
            own.push(format!("  {}:", list_name(verdict)));
            let rules = firewall.rules.iter().filter(|rule| rule.verdict == verdict);
            own.extend(rules.map(|rule| format!("    - {}", map(&entries(rule)))));
        }
    }
    if !policy.nat.is_empty() {
        own.push("nat:".to_owned());
        own.extend(policy.nat.iter().map(|rule| format!("  - {}", map(&nat_entries(rule)))));
    }
    if !policy.nft.is_empty() {
        own.push("nft:".to_owned());
        for nft in &policy.nft {
            match nft {
                // As it stands: variables are not looked for in it.
                Nft::Text { text, .. } if is_block(text) => {
                    own.push("  - |".to_owned());
                    own.extend(text.lines().map(|line| format!("    {line}")));
                }
                Nft::Text { text, .. } => own.push(format!("  - {}", super::text::quoted(text))),
                Nft::File { path, .. } => own.push(format!("  - {{file: {}}}", value(path))),
            }
        }
    }
}

/// Whether a text can stand in a YAML file line by line and be read as it is (YAML 1.2, section 8.1.2).
fn is_block(text: &str) -> bool {
    let begins = text.starts_with(|c: char| !c.is_whitespace());
    let lines = text.strip_suffix('\n').is_some_and(|lines| !lines.ends_with('\n'));
    let printable = |c: char| matches!(c, '\n' | '\t' | ' '..='~') || c.is_alphanumeric();
    begins && lines && text.chars().all(printable) && !text.lines().any(|line| line.ends_with([' ', '\t']))
}

fn defaults(firewall: &Firewall) -> String {
    let Firewall { input, forward, output, .. } = *firewall;
    if input == forward && output == Verdict::Accept {
        return default_word(input).to_owned();
    }
    let ways = [("input", input), ("forward", forward), ("output", output)];
    map(&ways.map(|(way, verdict)| (way, default_word(verdict).to_owned())))
}

fn default_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
        Verdict::Reject => "reject",
    }
}

/// The list of a firewall that rules with this verdict stand in.
fn list_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "allow",
        Verdict::Drop => "deny",
        Verdict::Reject => "reject",
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(default_word(*self))
    }
}

/// The rule as it is written: `allow {from: web, to: app, tcp: 8080}`.
impl fmt::Display for FirewallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", list_name(self.verdict), map(&entries(self)))
    }
}

/// The item as it is written: `nat {masquerade: outside}`.
impl fmt::Display for NatRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nat {}", map(&nat_entries(self)))
    }
}

fn entries(rule: &FirewallRule) -> Entries {
    let mut entries = Vec::new();
    entries.extend(zones("from", &rule.from));
    entries.extend(zones("to", &rule.to));
    entries.extend(services(&rule.services));
    entries.extend(rule.family.map(|family| ("family", family.to_string().to_lowercase())));
    entries.extend(rule.log.as_ref().map(|prefix| ("log", log(prefix))));
    entries.extend(rule.comment.as_ref().map(|comment| ("comment", value(comment))));
    if entries.is_empty() {
        // A rule about everything: a mapping without keys would be none.
        entries.push(("to", list(&["0.0.0.0/0".to_owned(), value("::/0")])));
    }
    entries
}

fn zones(key: &'static str, zones: &[Spanned<String>]) -> Option<(&'static str, String)> {
    match zones {
        [] => None,
        [one] => Some((key, value(one))),
        several => Some((key, list(&several.iter().map(|zone| value(zone)).collect::<Vec<_>>()))),
    }
}

fn services(services: &[Service]) -> Entries {
    let mut entries: Entries = Vec::new();
    let mut protocols = Vec::new();
    for service in services {
        match service {
            Service::Tcp(ports) => entries.push(("tcp", self::ports(ports))),
            Service::Udp(ports) => entries.push(("udp", self::ports(ports))),
            Service::Icmp(types) => entries.push(("icmp", icmp_types(types))),
            Service::Icmpv6(types) => entries.push(("icmpv6", icmp_types(types))),
            Service::Protocol(number) => protocols.push(value(&protocol_name(*number))),
        }
    }
    match &protocols[..] {
        [] => {}
        [one] => entries.push(("protocol", one.clone())),
        several => entries.push(("protocol", list(several))),
    }
    entries
}

fn ports(ports: &[Ports]) -> String {
    match ports {
        [one] => one.to_string(),
        several => list(&several.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

fn icmp_types(types: &[IcmpType]) -> String {
    match types {
        [] => "true".to_owned(),
        [one] => one.name(),
        several => list(&several.iter().map(|kind| kind.name()).collect::<Vec<_>>()),
    }
}

fn log(prefix: &str) -> String {
    if prefix.is_empty() { "true".to_owned() } else { value(prefix) }
}

fn nat_entries(rule: &NatRule) -> Entries {
    let mut entries = Vec::new();
    let from = zones("from", &rule.from);
    match &rule.kind {
        NatKind::Masquerade { to } => {
            entries.extend(zones("masquerade", to));
            entries.extend(from);
        }
        NatKind::Source { to, addresses } => {
            let addresses: Vec<String> =
                addresses.iter().map(|address| value(&address.value.to_string())).collect();
            let mut inner: Entries = from.into_iter().chain(zones("to", to)).collect();
            inner.push(("address", one_or_list(addresses)));
            entries.push(("snat", map(&inner)));
        }
        NatKind::Forward { services, addresses, to, port } => {
            let mut inner: Entries = from.into_iter().chain(self::services(services)).collect();
            if !addresses.is_empty() {
                let addresses = addresses.iter().map(|address| value(&address.value.to_string())).collect();
                inner.push(("address", one_or_list(addresses)));
            }
            let target = match port {
                None => to.value.clone(),
                Some(port) if to.contains(':') => format!("[{}]:{port}", to.value),
                Some(port) => format!("{}:{port}", to.value),
            };
            inner.push(("to", value(&target)));
            entries.push(("forward", map(&inner)));
        }
        NatKind::OneToOne { outside, inside } => {
            let inner = [("outside", value(&outside.value.to_string())), ("inside", value(inside))];
            entries.push(("one_to_one", map(&inner)));
            entries.extend(from);
        }
    }
    entries.extend(rule.family.map(|family| ("family", family.to_string().to_lowercase())));
    entries.extend(rule.comment.as_ref().map(|comment| ("comment", value(comment))));
    entries
}

fn one_or_list(mut all: Vec<String>) -> String {
    if all.len() == 1 { all.remove(0) } else { list(&all) }
}
