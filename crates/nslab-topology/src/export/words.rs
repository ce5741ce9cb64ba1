//! Routes and rules in the words that they are read in.

use crate::lab::{Destination, Family, NextHop, Route, RouteAction, Rule, Via};
use crate::model::RuleAction;

/// A route as `ip route` has it.
pub(super) fn route(route: &Route) -> String {
    let mut words: Vec<String> = Vec::new();
    match route.to {
        Destination::Default(Some(Family::Ipv4)) => words.push("-4".to_owned()),
        Destination::Default(Some(Family::Ipv6)) => words.push("-6".to_owned()),
        _ => {}
    }
    let action = match route.action {
        RouteAction::Forward(_) => None,
        RouteAction::Blackhole => Some("blackhole"),
        RouteAction::Unreachable => Some("unreachable"),
        RouteAction::Prohibit => Some("prohibit"),
        RouteAction::Throw => Some("throw"),
    };
    words.extend(action.map(str::to_owned));
    words.push(match route.to {
        Destination::Default(_) => "default".to_owned(),
        Destination::Net(net) => net.to_string(),
    });
    if let RouteAction::Forward(hops) = &route.action {
        let several = hops.len() != 1;
        for hop in hops {
            self::hop(&mut words, hop, several);
        }
    }
    for (word, number) in [("metric", route.metric), ("table", route.table), ("mtu", route.mtu)] {
        words.extend(number.map(|number| format!("{word} {number}")));
    }
    words.extend(route.source.as_ref().map(|source| format!("src {}", source.value)));
    words.join(" ")
}

fn hop(words: &mut Vec<String>, hop: &NextHop, several: bool) {
    if several {
        words.push("nexthop".to_owned());
    }
    words.extend(hop.via.as_ref().map(|via| match &via.value {
        Via::Address(address) => format!("via {address}"),
        Via::Node(name) => format!("via {name}"),
    }));
    words.extend(hop.dev.as_ref().map(|dev| format!("dev {}", dev.value)));
    if hop.weight != 1 {
        words.push(format!("weight {}", hop.weight));
    }
    if hop.onlink {
        words.push("onlink".to_owned());
    }
}

/// A rule as `ip rule` has it.
pub(super) fn rule(rule: &Rule) -> String {
    let mut words: Vec<String> = Vec::new();
    if rule.family == Family::Ipv6 {
        words.push("-6".to_owned());
    }
    words.push(rule.from.map_or_else(|| "from all".to_owned(), |net| format!("from {net}")));
    words.extend(rule.to.map(|net| format!("to {net}")));
    for (word, name) in [("iif", &rule.iif), ("oif", &rule.oif)] {
        words.extend(name.as_ref().map(|name| format!("{word} {}", name.value)));
    }
    words.extend(rule.fwmark.map(|(value, mask)| format!("fwmark {value:#x}/{mask:#x}")));
    words.push(match rule.action {
        RuleAction::Table(table) => format!("lookup {table}"),
        RuleAction::Blackhole => "blackhole".to_owned(),
        RuleAction::Unreachable => "unreachable".to_owned(),
        RuleAction::Prohibit => "prohibit".to_owned(),
    });
    words.extend(rule.priority.map(|priority| format!("priority {priority}")));
    words.join(" ")
}
