//! Routes and policy rules.

use std::collections::BTreeMap;

use ipnet::IpNet;
use nslab_kernel::NamespaceState;
use nslab_kernel::route::{NextHop, Route, RouteAction, TABLE_LOCAL, TABLE_MAIN};
use nslab_kernel::rule::{Rule, RuleAction};

use super::Names;

/// A section for each table, the main one first.
pub(super) fn tables(state: &NamespaceState, names: Names<'_>) -> Vec<(String, Vec<Vec<String>>)> {
    let mut tables: BTreeMap<(bool, u32), Vec<Vec<String>>> = BTreeMap::new();
    for each in state.routes.iter().filter(|each| each.table != TABLE_LOCAL) {
        tables.entry((each.table != TABLE_MAIN, each.table)).or_default().extend(route(each, names));
    }
    let heading =
        |table| if table == TABLE_MAIN { "routes".to_owned() } else { format!("routes of table {table}") };
    tables.into_iter().map(|((_, table), rows)| (heading(table), rows)).collect()
}

/// One line, or for a multipath route one more for each way.
fn route(route: &Route, names: Names<'_>) -> Vec<Vec<String>> {
    let (kind, hops): (&str, &[NextHop]) = match &route.action {
        RouteAction::Forward(hops) => ("", hops),
        RouteAction::Local(_) => ("local ", &[]),
        RouteAction::Broadcast(_) => ("broadcast ", &[]),
        RouteAction::Anycast(_) => ("anycast ", &[]),
        RouteAction::Multicast(_) => ("multicast ", &[]),
        RouteAction::Blackhole => ("blackhole ", &[]),
        RouteAction::Unreachable => ("unreachable ", &[]),
        RouteAction::Prohibit => ("prohibit ", &[]),
        RouteAction::Throw => ("throw ", &[]),
        RouteAction::Other(_) => ("unknown ", &[]),
    };
    let mut rest = Vec::new();
    if let [hop] = hops {
        rest.push(way(hop, names));
    }
    if let RouteAction::Local(link)
    | RouteAction::Broadcast(link)
    | RouteAction::Anycast(link)
    | RouteAction::Multicast(link) = route.action
    {
        rest.extend(link.map(|link| format!("dev {}", names.of(link))));
    }
    // `RTPROT_*` of include/uapi/linux/rtnetlink.h; what was added by hand goes without saying.
    rest.extend(match route.protocol {
        0 | 3 => None,
        1 => Some("proto redirect".to_owned()),
        2 => Some("proto kernel".to_owned()),
        4 => Some("proto static".to_owned()),
        9 => Some("proto ra".to_owned()),
        16 => Some("proto dhcp".to_owned()),
        186 => Some("proto bgp".to_owned()),
        188 => Some("proto ospf".to_owned()),
        other => Some(format!("proto {other}")),
    });
    rest.extend(match route.scope {
        Some(253) => Some("scope link".to_owned()),
        Some(254) => Some("scope host".to_owned()),
        _ => None,
    });
    rest.extend(route.source.map(|source| format!("src {source}")));
    rest.extend((route.metric != 0).then(|| format!("metric {}", route.metric)));
    rest.extend(route.mtu.map(|mtu| format!("mtu {mtu}")));
    rest.extend(route.nexthop.map(|nexthop| format!("nhid {nexthop}")));
    let mut rows = vec![vec![format!("{kind}{}", prefix(&route.to)), rest.join(" ")]];
    if hops.len() > 1 {
        rows.extend(
            hops.iter()
                .map(|hop| vec![String::new(), format!("nexthop {} weight {}", way(hop, names), hop.weight)]),
        );
    }
    rows
}

fn way(hop: &NextHop, names: Names<'_>) -> String {
    let mut words = Vec::new();
    words.extend(hop.via.map(|via| format!("via {via}")));
    words.extend(hop.link.map(|link| format!("dev {}", names.of(link))));
    words.extend(hop.onlink.then(|| "onlink".to_owned()));
    words.join(" ")
}

/// As ip(8) writes it: `default` for everything, no length for a single address.
fn prefix(net: &IpNet) -> String {
    match net.prefix_len() {
        0 if net.addr().is_unspecified() => "default".to_owned(),
        length if length == net.max_prefix_len() => net.addr().to_string(),
        _ => net.to_string(),
    }
}

/// The rules besides those that every namespace has (`fib_default_rules_init`, `fib6_rules_net_init`).
pub(super) fn rules(rules: &[Rule]) -> Vec<Vec<String>> {
    rules.iter().filter(|rule| !is_default(rule)).map(rule).collect()
}

fn is_default(rule: &Rule) -> bool {
    let table = match rule.priority {
        0 => TABLE_LOCAL,
        32_766 => TABLE_MAIN,
        32_767 => 253,
        _ => return false,
    };
    *rule == Rule { protocol: rule.protocol, ..Rule::new(rule.ipv6, rule.priority, RuleAction::Table(table)) }
}

fn rule(rule: &Rule) -> Vec<String> {
    let mut words = Vec::new();
    if rule.invert {
        words.push("not".to_owned());
    }
    words.push(format!("from {}", rule.from.as_ref().map_or_else(|| "all".to_owned(), prefix)));
    words.extend(rule.to.as_ref().map(|to| format!("to {}", prefix(to))));
    words.extend((rule.tos != 0).then(|| format!("tos {:#04x}", rule.tos)));
    words.extend(rule.fwmark.map(|(value, mask)| match mask {
        u32::MAX => format!("fwmark {value:#x}"),
        _ => format!("fwmark {value:#x}/{mask:#x}"),
    }));
    words.extend(rule.iif.map(|name| format!("iif {name}")));
    words.extend(rule.oif.map(|name| format!("oif {name}")));
    words.extend(rule.users.map(|users| format!("uidrange {}-{}", users.0, users.1)));
    words.extend(rule.ip_protocol.map(|protocol| format!("ipproto {protocol}")));
    words.extend(rule.source_ports.map(|ports| format!("sport {}", range(ports))));
    words.extend(rule.destination_ports.map(|ports| format!("dport {}", range(ports))));
    words.push(match rule.action {
        RuleAction::Table(TABLE_LOCAL) => "lookup local".to_owned(),
        RuleAction::Table(TABLE_MAIN) => "lookup main".to_owned(),
        RuleAction::Table(table) => format!("lookup {table}"),
        RuleAction::VrfTable => "lookup [l3mdev-table]".to_owned(),
        RuleAction::Goto(priority) => format!("goto {priority}"),
        RuleAction::Nop => "nop".to_owned(),
        RuleAction::Blackhole => "blackhole".to_owned(),
        RuleAction::Unreachable => "unreachable".to_owned(),
        RuleAction::Prohibit => "prohibit".to_owned(),
        RuleAction::Other(action) => format!("action {action}"),
    });
    words.extend(rule.suppress_prefix_length.map(|length| format!("suppress_prefixlength {length}")));
    words.extend(rule.suppress_group.map(|group| format!("suppress_ifgroup {group}")));
    let family = if rule.ipv6 { "inet6" } else { "inet" };
    vec![format!("{}:", rule.priority), family.to_owned(), words.join(" ")]
}

fn range((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
