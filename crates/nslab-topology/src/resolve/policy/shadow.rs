//! Rules that are never reached because an earlier one decides all that they would.

use super::super::Problems;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::{IcmpType, Ports, Service};
use crate::model::{FirewallRule, Match, Selector};

/// Comparing every rule with every other is worth it up to here.
const MOST: usize = 2000;

/// Warns of rules that an earlier rule with another verdict shadows completely.
pub(super) fn check(rules: &[FirewallRule], spans: &[Option<Span>], problems: &mut Problems) {
    if rules.len() > MOST {
        return;
    }
    for (later, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.matches.is_empty()) {
        let earlier = rules[..later]
            .iter()
            .position(|first| first.written.verdict != rule.written.verdict && covers(first, rule));
        if let Some(earlier) = earlier {
            let first = &rules[earlier].written;
            let line = first.line.0.map_or_else(String::new, |line| format!(" in line {line}"));
            problems.push(
                Diagnostic::warning(
                    "shadowed-rule",
                    format!("`{}` never decides: `{first}`{line} comes first", rule.written),
                )
                .at(spans[later], "never reached")
                .because(spans[earlier], "this decides")
                .help("the first rule that matches decides, in the order of the file: put the other first"),
            );
        }
    }
}

/// Whether each packet that `later` is about is decided by `first`.
fn covers(first: &FirewallRule, later: &FirewallRule) -> bool {
    let (one, two) = (&first.written, &later.written);
    (one.family.is_none() || one.family == two.family)
        && services_cover(&one.services, &two.services)
        && later.matches.iter().all(|inner| {
            first.matches.iter().any(|outer| outer.hook == inner.hook && sides_cover(outer, inner))
        })
}

fn sides_cover(outer: &Match, inner: &Match) -> bool {
    side_covers(&outer.from, &inner.from) && side_covers(&outer.to, &inner.to)
}

fn side_covers(outer: &[Selector], inner: &[Selector]) -> bool {
    outer.is_empty()
        || !inner.is_empty()
            && inner.iter().all(|inner| outer.iter().any(|outer| selector_covers(outer, inner)))
}

fn selector_covers(outer: &Selector, inner: &Selector) -> bool {
    let interfaces = outer.interfaces.is_empty()
        || !inner.interfaces.is_empty()
            && inner.interfaces.iter().all(|name| outer.interfaces.contains(name));
    let prefixes = outer.prefixes.is_empty()
        || !inner.prefixes.is_empty()
            && inner.prefixes.iter().all(|prefix| outer.prefixes.iter().any(|outer| outer.contains(prefix)));
    interfaces && prefixes
}

fn services_cover(outer: &[Service], inner: &[Service]) -> bool {
    outer.is_empty()
        || !inner.is_empty()
            && inner.iter().all(|inner| outer.iter().any(|outer| service_covers(outer, inner)))
}

fn service_covers(outer: &Service, inner: &Service) -> bool {
    match (outer, inner) {
        (Service::Tcp(outer), Service::Tcp(inner)) | (Service::Udp(outer), Service::Udp(inner)) => {
            ports_cover(outer, inner)
        }
        (Service::Icmp(outer), Service::Icmp(inner) | Service::Icmpv6(inner))
        | (Service::Icmpv6(outer), Service::Icmpv6(inner)) => types_cover(outer, inner),
        (Service::Protocol(6), Service::Tcp(_))
        | (Service::Protocol(17), Service::Udp(_))
        | (Service::Protocol(58), Service::Icmpv6(_)) => true,
        (Service::Protocol(outer), Service::Protocol(inner)) => outer == inner,
        _ => false,
    }
}

fn ports_cover(outer: &[Ports], inner: &[Ports]) -> bool {
    inner.iter().all(|inner| outer.iter().any(|outer| outer.first <= inner.first && inner.last <= outer.last))
}

fn types_cover(outer: &[IcmpType], inner: &[IcmpType]) -> bool {
    outer.is_empty() || !inner.is_empty() && inner.iter().all(|kind| outer.contains(kind))
}
