//! Policy rules: which tables are looked through, in which order.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::rule::{Rule, RuleAction};
use nslab_snapshot::State;
use nslab_types::IfName;

use super::decision::{Decision, Reason, Stop};
use super::devices::{vrf_of, vrf_table};
use super::flow::Flow;
use crate::{Doubt, Truth};

/// What a look into one table gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look<T> {
    /// A route.
    Found(Hit<T>),
    /// A route that refuses.
    Refused {
        route: usize,
        stop: Stop,
    },
    /// A route that says to go on with the next rule.
    Thrown {
        route: usize,
    },
    Nothing,
}

/// A route that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit<T> {
    pub(super) route: usize,
    /// The length of its prefix, for rules that suppress short ones.
    pub(super) length: u8,
    /// The interface of its first way, for rules that suppress groups.
    pub(super) link: Option<IfIndex>,
    /// What else the family keeps of it.
    pub(super) detail: T,
}

/// What the rules come to: a route, or a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ruled<T> {
    pub(super) reason: Reason,
    pub(super) result: Result<Hit<T>, Stop>,
}

/// A flow with what `l3mdev_update_flow` (`net/l3mdev/l3mdev.c`) makes of its interfaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) flow: &'a Flow,
    /// The interface that ways out must have; a VRF is none.
    pub(super) oif: Option<IfIndex>,
    pub(super) vrf: Option<&'a Link>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(state: &'a State, flow: &'a Flow) -> Self {
        let vrf = flow.oif.or(flow.iif).and_then(|index| vrf_of(state, index));
        let oif = flow.oif.filter(|&oif| vrf.is_none_or(|vrf| vrf.index != oif));
        Self { flow, oif, vrf }
    }
}

/// Whether the kernel asks the rules at all. A namespace in which none was ever added has them all the same, but takes a
/// short cut (`fib_has_custom_rules`, `include/net/ip_fib.h`).
pub(super) fn are_custom(state: &State, ipv6: bool) -> bool {
    let of_family = state.network.rules.iter().filter(|rule| rule.ipv6 == ipv6);
    let mut first: &[(u32, u32)] =
        if ipv6 { &[(0, 255), (32766, 254)] } else { &[(0, 255), (32766, 254), (32767, 253)] };
    for rule in of_family {
        let plain = |&(priority, table): &(u32, u32)| Rule {
            protocol: rule.protocol,
            ..Rule::new(ipv6, priority, RuleAction::Table(table))
        };
        match first.split_first() {
            Some((expected, rest)) if *rule == plain(expected) => first = rest,
            _ => return true,
        }
    }
    !first.is_empty()
}

/// Goes through the rules (`fib_rules_lookup`, `net/core/fib_rules.c`); `look` looks into a table. Each rule about which
/// it is not known whether it matches is taken both ways.
pub(super) fn lookup<T: Clone + PartialEq>(
    state: &State,
    asked: Asked<'_>,
    mut look: impl FnMut(u32) -> Look<T>,
) -> Decision<Ruled<T>> {
    let ipv6 = asked.flow.is_ipv6();
    let rules: Vec<(usize, &Rule)> =
        state.network.rules.iter().enumerate().filter(|(_, rule)| rule.ipv6 == ipv6).collect();
    let mut decision = Decision { outcomes: Vec::new(), doubts: Vec::new() };
    // Where to go on, and with which reasons so far. A place is visited once: what was searched before matters not for
    // what is decided there.
    let mut open = vec![(0, Reason::default())];
    let mut visited = vec![false; rules.len() + 1];
    while let Some((place, mut reason)) = open.pop() {
        if std::mem::replace(&mut visited[place], true) {
            continue;
        }
        let Some(&(index, rule)) = rules.get(place) else {
            decision.outcomes.push(Ruled { reason, result: Err(Stop::NoRoute) });
            continue;
        };
        let matches = matches(state, rule, &asked);
        if !matches!(matches, Truth::Yes) {
            open.push((place + 1, reason.clone()));
        }
        match matches {
            Truth::No => continue,
            Truth::Unknown(doubt) => decision.doubts.push(doubt),
            Truth::Yes => {}
        }
        reason.rule = Some(index);
        match act(state, rule, &asked, &rules, &mut look, &mut reason) {
            Act::Goto(target) => open.push((target, Reason { rule: None, ..reason })),
            Act::Next => open.push((place + 1, Reason { rule: None, ..reason })),
            Act::Done(result) => decision.outcomes.push(Ruled { reason, result }),
        }
    }
    // The most likely first: what comes of taking the first doubtful rule as one that does not match is found first.
    decision.settled()
}

enum Act<T> {
    Goto(usize),
    Next,
    Done(Result<Hit<T>, Stop>),
}

/// What a rule that matches does (`fib4_rule_action`, `net/ipv4/fib_rules.c`; `fib6_rule_action`,
/// `net/ipv6/fib6_rules.c`).
fn act<T>(
    state: &State,
    rule: &Rule,
    asked: &Asked<'_>,
    rules: &[(usize, &Rule)],
    look: &mut impl FnMut(u32) -> Look<T>,
    reason: &mut Reason,
) -> Act<T> {
    let table = match rule.action {
        RuleAction::Table(table) => table,
        RuleAction::VrfTable => match asked.vrf.and_then(vrf_table) {
            Some(table) => table,
            None => return Act::Next,
        },
        RuleAction::Goto(priority) => {
            let target = rules.iter().position(|(_, rule)| rule.priority == priority);
            return target.map_or(Act::Next, Act::Goto);
        }
        RuleAction::Nop => return Act::Next,
        RuleAction::Unreachable => return Act::Done(Err(Stop::Unreachable)),
        RuleAction::Prohibit => return Act::Done(Err(Stop::Prohibit)),
        RuleAction::Blackhole | RuleAction::Other(_) => return Act::Done(Err(Stop::Blackhole)),
    };
    match look(table) {
        Look::Nothing => {
            reason.searched.push(table);
            Act::Next
        }
        Look::Thrown { route } => {
            reason.thrown = Some(route);
            reason.searched.push(table);
            Act::Next
        }
        Look::Refused { route, stop } => {
            reason.route = Some(route);
            Act::Done(Err(stop))
        }
        Look::Found(hit) if is_suppressed(state, rule, &hit) => {
            reason.searched.push(table);
            Act::Next
        }
        Look::Found(hit) => {
            reason.route = Some(hit.route);
            Act::Done(Ok(hit))
        }
    }
}

/// `fib4_rule_suppress`, `fib6_rule_suppress`.
fn is_suppressed<T>(state: &State, rule: &Rule, hit: &Hit<T>) -> bool {
    let short = rule.suppress_prefix_length.is_some_and(|length| u32::from(hit.length) <= length);
    let group = hit.link.and_then(|link| state.link(link)).map(|link| link.group);
    short || rule.suppress_group.is_some_and(|suppressed| group == Some(suppressed))
}

/// Whether a rule matches (`fib_rule_match`, `net/core/fib_rules.c`, with `fib4_rule_match` and `fib6_rule_match`).
fn matches(state: &State, rule: &Rule, asked: &Asked<'_>) -> Truth {
    let holds = Truth::from(known(state, rule, asked))
        .and(|| user(rule, asked.flow))
        .and(|| unknown(rule, asked.flow));
    match (rule.invert, holds) {
        (true, Truth::Yes) => Truth::No,
        (true, Truth::No) => Truth::Yes,
        (_, holds) => holds,
    }
}

/// The conditions that can be told from the flow.
fn known(state: &State, rule: &Rule, asked: &Asked<'_>) -> bool {
    let flow = asked.flow;
    let link = |name: &Option<IfName>, index: Option<IfIndex>| {
        let Some(name) = name else { return true };
        // A rule for an interface that is not there matches nothing.
        let Some(wanted) = state.link_named(name.as_str()) else { return false };
        // A VRF stands for the interfaces in it (`fib_rule_iif_match`).
        let member = vrf_table(wanted).is_some() && asked.vrf.is_some_and(|vrf| vrf.index == wanted.index);
        Some(wanted.index) == index || member
    };
    let source = flow.source_or_any();
    let within = |net: Option<IpNet>, address: IpAddr| {
        net.is_none_or(|net| net.prefix_len() == 0 || net.contains(&address))
    };
    // Without a source IPv6 leaves rules that ask for one aside (`RT6_LOOKUP_F_HAS_SADDR`).
    let sourceless = flow.is_ipv6() && source.is_unspecified();
    let from = if sourceless {
        rule.from.is_none_or(|from| from.prefix_len() == 0) || rule.finds_source
    } else {
        within(rule.from, source)
    };
    // The type of service is compared as a whole in IPv6, and without the upper three bits in IPv4.
    let tos = rule.tos == 0 || rule.tos == if flow.is_ipv6() { flow.dscp() << 2 } else { flow.rt_tos() };
    let port = |range: Option<(u16, u16)>, port: u16| {
        range.is_none_or(|(first, last)| (first..=last).contains(&port))
    };
    let (sport, dport) = flow.ports.unwrap_or((0, 0));
    link(&rule.iif, Some(flow.rule_iif()))
        && link(&rule.oif, asked.oif)
        && rule.fwmark.is_none_or(|(mark, mask)| (mark ^ flow.mark) & mask == 0)
        && from
        && within(rule.to, flow.destination)
        && tos
        && rule.dscp.is_none_or(|(dscp, mask)| (dscp ^ flow.dscp()) & mask == 0)
        && rule.ip_protocol.is_none_or(|protocol| protocol == flow.protocol)
        && port(rule.source_ports, sport)
        && port(rule.destination_ports, dport)
        && (rule.action != RuleAction::VrfTable || asked.vrf.is_some())
}

fn user(rule: &Rule, flow: &Flow) -> Truth {
    let Some((first, last)) = rule.users.filter(|&users| users != (0, u32::MAX)) else { return Truth::Yes };
    // What comes in belongs to the namespace's root (`sock_net_uid`).
    match flow.uid.or(flow.iif.map(|_| 0)) {
        Some(uid) => Truth::from((first..=last).contains(&uid)),
        None => Truth::Unknown(Doubt::new(
            format!(
                "whether the sender's user is one of {first}-{last}, for which the rule {} is",
                rule.priority
            ),
            "say which user sends the packet",
        )),
    }
}

fn unknown(rule: &Rule, flow: &Flow) -> Truth {
    let priority = rule.priority;
    if let Some(attribute) = rule.unknown.first() {
        return Truth::Unknown(Doubt::new(
            format!("whether the rule {priority} matches: nslab does not know its attribute {attribute}"),
            "look at the rule with ip -d rule, or ask the kernel with ip route get",
        ));
    }
    let finds = rule.finds_source && rule.from.is_some_and(|from| from.prefix_len() > 0);
    if finds && flow.is_ipv6() && flow.source.is_none() {
        return Truth::Unknown(Doubt::new(
            format!("whether the rule {priority} matches the source that would be chosen"),
            "say which source the packet has",
        ));
    }
    Truth::Yes
}
