//! Objects in words, as people type them.

use std::fmt::Write as _;

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::{Expr, Hook, PayloadBase, Policy, Ruleset, print::Names};
use nslab_kernel::route::{Route, RouteAction};
use nslab_kernel::rule::Rule;
use nslab_snapshot::State;

use crate::nft::Step;
use crate::{Packet, Transport};

/// The name of an interface.
pub(super) fn link(state: &State, index: IfIndex) -> String {
    state.link(index).map_or_else(|| format!("interface {index}"), |link| link.name.to_string())
}

/// A route, as ip(8) shows it.
pub(super) fn route(state: &State, route: &Route) -> String {
    let to = if route.to.prefix_len() == 0 { "default".to_owned() } else { route.to.to_string() };
    let mut text = match &route.action {
        RouteAction::Forward(_) => to,
        RouteAction::Local(_) => format!("local {}", route.to.addr()),
        RouteAction::Broadcast(_) => format!("broadcast {}", route.to.addr()),
        RouteAction::Anycast(_) => format!("anycast {}", route.to.addr()),
        RouteAction::Multicast(_) => format!("multicast {to}"),
        RouteAction::Blackhole => format!("blackhole {to}"),
        RouteAction::Unreachable => format!("unreachable {to}"),
        RouteAction::Prohibit => format!("prohibit {to}"),
        RouteAction::Throw => format!("throw {to}"),
        RouteAction::Other(kind) => format!("type {kind} {to}"),
    };
    if let RouteAction::Forward(hops) = &route.action {
        for hop in hops {
            if let Some(via) = hop.via {
                let _ = write!(text, " via {via}");
            }
            if let Some(index) = hop.link {
                let _ = write!(text, " dev {}", link(state, index));
            }
        }
    }
    if route.table != nslab_kernel::route::TABLE_MAIN && route.table != nslab_kernel::route::TABLE_LOCAL {
        let _ = write!(text, " table {}", route.table);
    }
    if route.metric != 0 && !(route.to.addr().is_ipv6() && matches!(route.metric, 256 | 1024)) {
        let _ = write!(text, " metric {}", route.metric);
    }
    text
}

/// A policy rule: its preference.
pub(super) fn policy_rule(rule: &Rule) -> String {
    format!("rule {}", rule.priority)
}

/// A rule or policy of nftables: what it is called, and its text.
pub(super) fn rule(state: &State, step: &Step) -> (String, String) {
    let (Some(table), Some(chain)) = (step.table(&state.nftables), step.chain(&state.nftables)) else {
        return ("nftables".to_owned(), "a rule".to_owned());
    };
    if let Some(rule) = step.rule(&state.nftables) {
        let object = format!("{} {} handle {}", table.id, chain.name, rule.handle);
        return (object, format!("`{} # handle {}`", rule.to_nft(table, Names::default()).text, rule.handle));
    }
    let policy = match chain.base.as_ref().map(|base| base.policy) {
        Some(Policy::Drop) => "drop",
        _ => "accept",
    };
    (format!("{} {}", table.id, chain.name), format!("the policy `{policy}` of {} {}", table.id, chain.name))
}

/// Whether any rule looks at what is behind the IP header.
pub(super) fn looks_at_ports(ruleset: &Ruleset) -> bool {
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| &rule.expressions).any(|expr| {
        matches!(
            expr,
            Expr::Payload { base: PayloadBase::Transport, .. } | Expr::Exthdr { .. } | Expr::Xt { .. }
        )
    })
}

/// The name of a hook.
pub(super) fn hook(hook: Hook) -> String {
    hook.to_string()
}

/// One end of a packet: address, and port if there is one.
fn end(packet: &Packet, source: bool) -> String {
    let address = if source { packet.ip.source } else { packet.ip.destination };
    let Some((from, to)) = packet.ports() else { return address.to_string() };
    let port = if source { from } else { to };
    if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// What is different.
pub(super) fn changes(before: &Packet, after: &Packet) -> String {
    let mut all = Vec::new();
    for (name, source) in [("source", true), ("destination", false)] {
        let (old, new) = (end(before, source), end(after, source));
        if old != new {
            all.push(format!("{name} {old} → {new}"));
        }
    }
    if let (Transport::Icmp { id: old, .. }, Transport::Icmp { id: new, .. }) =
        (before.transport, after.transport)
        && old != new
    {
        all.push(format!("identifier {old} → {new}"));
    }
    if before.mark != after.mark {
        all.push(format!("mark {:#x} → {:#x}", before.mark, after.mark));
    }
    if before.ip.ttl != after.ip.ttl {
        all.push(format!("TTL {} → {}", before.ip.ttl, after.ip.ttl));
    }
    if before.ip.tos != after.ip.tos {
        all.push(format!("type of service {:#x} → {:#x}", before.ip.tos, after.ip.tos));
    }
    all.join(", ")
}

/// A packet in words: `icmp echo 10.0.0.1 → 10.0.0.2`.
pub(super) fn packet(packet: &Packet) -> String {
    let ipv6 = packet.is_ipv6();
    let what = match packet.transport {
        Transport::Tcp(tcp) => match tcp.flags & (crate::Tcp::SYN | crate::Tcp::ACK | crate::Tcp::RST) {
            crate::Tcp::SYN => "tcp syn".to_owned(),
            flags if flags & crate::Tcp::RST != 0 => "tcp rst".to_owned(),
            flags if flags & crate::Tcp::SYN != 0 => "tcp syn-ack".to_owned(),
            _ => "tcp".to_owned(),
        },
        Transport::Udp { .. } => "udp".to_owned(),
        Transport::Icmp { kind, code, .. } => match (ipv6, kind) {
            (false, 8) | (true, 128) => "icmp echo request".to_owned(),
            (false, 0) | (true, 129) => "icmp echo reply".to_owned(),
            _ => format!("icmp type {kind} code {code}"),
        },
        Transport::Other(number) => format!("protocol {number}"),
    };
    let unspecified = packet.ip.source.is_unspecified();
    let from = if unspecified { String::new() } else { format!("{} ", end(packet, true)) };
    format!("{what} {from}→ {}", end(packet, false))
}
