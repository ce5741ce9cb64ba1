//! Routes and policy rules beside the right ones.

use std::fmt::Write as _;

use super::draft::{Draft, anywhere, prefix};
use crate::chance::Chance;

/// A way out of a node for a family: `via … dev …`, `dev …` or what stops.
fn way(chance: &mut Chance, draft: &Draft, node: usize, ipv6: bool) -> String {
    let end = chance.pick(&draft.nodes[node].ends).clone();
    let neighbours: Vec<_> =
        draft.segments[end.segment].members.iter().filter(|(other, _)| *other != node).copied().collect();
    match (chance.below(12), chance.any(&neighbours)) {
        (0..7, Some((other, its))) => {
            format!("via {} dev {}", draft.nodes[other].ends[its].address(ipv6), end.name)
        }
        (7, _) => {
            let nobody =
                if ipv6 { format!("fd00:{}::88", end.segment) } else { format!("10.0.{}.88", end.segment) };
            format!("via {nobody} dev {}", end.name)
        }
        (8, _) => {
            let elsewhere = if ipv6 { "fd0a::1" } else { "10.10.0.1" };
            format!("via {elsewhere} dev {} onlink", end.name)
        }
        _ => format!("dev {}", end.name),
    }
}

fn target(chance: &mut Chance, draft: &Draft, ipv6: bool) -> String {
    let end = chance.pick(&draft.ends()).1.clone();
    match chance.below(10) {
        0..5 => prefix(end.segment, ipv6),
        5..8 => format!("{}/{}", end.address(ipv6), if ipv6 { 128 } else { 32 }),
        _ => anywhere(ipv6).into(),
    }
}

/// A route that stops, leads elsewhere, or differs a little.
pub(crate) fn route(chance: &mut Chance, draft: &mut Draft, node: usize, ipv6: bool, table: Option<u32>) {
    let to = target(chance, draft, ipv6);
    let mut line = match chance.below(14) {
        0 | 1 => format!("blackhole {to}"),
        2 | 3 => format!("unreachable {to}"),
        4 | 5 => format!("prohibit {to}"),
        6 => format!("throw {to}"),
        7 => format!("{to} {} mtu {}", way(chance, draft, node, ipv6), chance.pick(&[1280, 1300, 1400])),
        8 => {
            let own = chance.pick(&draft.nodes[node].ends).address(ipv6);
            format!("{to} {} src {own}", way(chance, draft, node, ipv6))
        }
        _ => format!("{to} {}", way(chance, draft, node, ipv6)),
    };
    if let Some(table) = table {
        let _ = write!(line, " table {table}");
    } else if chance.percent(30) {
        let _ = write!(line, " metric {}", chance.pick(&[5, 50, 2000]));
    }
    draft.ip(node, format!("route replace {line}"));
}

/// A table of its own, and a rule that leads there; or a rule that stops.
pub(crate) fn rule(chance: &mut Chance, draft: &mut Draft, node: usize, ipv6: bool) {
    let from = prefix(chance.below(draft.segments.len()), ipv6);
    let to = prefix(chance.below(draft.segments.len()), ipv6);
    let end = chance.pick(&draft.nodes[node].ends).name.clone();
    let mut selector = match chance.below(12) {
        0 | 1 => format!("from {from}"),
        2 => format!("to {to}"),
        3 => format!("iif {end}"),
        4 => format!("fwmark {}", chance.between(1, 3)),
        5 => "ipproto tcp".into(),
        6 => "ipproto udp dport 53".into(),
        7 => "ipproto icmp".into(),
        8 => format!("tos {}", chance.pick(&["0x10", "0x20"])),
        9 => "iif lo".into(),
        10 => format!("not from {from}"),
        _ => format!("from {from} to {to}"),
    };
    if ipv6 && selector == "ipproto icmp" {
        selector = "ipproto ipv6-icmp".into();
    }
    // Of which family it is, an address says.
    if ipv6 && !selector.contains(':') {
        selector = format!("from ::/0 {selector}");
    }
    let table = 100 + u32::try_from(chance.below(2)).unwrap_or(0);
    let action = match chance.below(10) {
        0 => "blackhole".into(),
        1 => "unreachable".into(),
        2 => "prohibit".into(),
        3 => format!("table {table} suppress_prefixlength 0"),
        4 => "table main suppress_prefixlength 0".into(),
        _ => format!("table {table}"),
    };
    let priority = chance.pick(&[100, 200, 32_000]);
    draft.ip(node, format!("rule add pref {priority} {selector} {action}"));
    if action.starts_with(&format!("table {table}")) {
        for _ in 0..chance.between(1, 2) {
            route(chance, draft, node, ipv6, Some(table));
        }
    }
}
