//! Changes in words: what they do, and the commands that do it.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

use std::collections::HashMap;

use nslab_kernel::nftables::print::Names;
use nslab_kernel::route::{Route, RouteAction, TABLE_MAIN};
use nslab_kernel::rule::{Rule, RuleAction};
use nslab_snapshot::{Name, Snapshot, State};

use super::change::{Change, End};
use crate::command::{Shell, netns_word, typed};
use crate::l2::Port;

/// A network that changes are put into words for, and from where they are typed.
pub(super) struct Words<'a> {
    /// With the change made.
    pub(super) snapshot: &'a Snapshot,
    pub(super) shell: Shell,
}

impl Words<'_> {
    fn state(&self, place: usize) -> Option<&State> {
        self.snapshot.namespaces.get(place)?.state()
    }

    fn link(&self, at: Port) -> String {
        let link = self.state(at.namespace).and_then(|state| state.link(at.link));
        link.map_or_else(|| format!("if{}", at.link), |link| link.name.to_string())
    }

    fn namespace(&self, place: usize) -> String {
        self.snapshot.namespaces.get(place).map_or_else(String::new, |space| space.name().to_string())
    }

    fn port(&self, at: Port) -> String {
        format!("{}:{}", self.namespace(at.namespace), self.link(at))
    }

    /// The commands of a change, in the order in which they are typed.
    pub(super) fn commands(&self, change: &Change) -> Vec<String> {
        let typed = |place: usize, command: String| vec![typed(self.snapshot, self.shell, place, &command)];
        let on = |at: &Port, words: String| typed(at.namespace, words.replace("DEV", &self.link(*at)));
        match change {
            Change::Up(at) => on(at, "ip link set dev DEV up".to_owned()),
            Change::Mtu(at, mtu) => on(at, format!("ip link set dev DEV mtu {mtu}")),
            Change::Mac(at, mac) => on(at, format!("ip link set dev DEV address {mac}")),
            Change::AddAddress(at, address) => {
                let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
                on(at, format!("ip address add {address} dev DEV{nodad}"))
            }
            Change::DeleteAddress(at, address) => on(at, format!("ip address del {address} dev DEV")),
            Change::Forget(at, address) => on(at, format!("ip neighbour flush to {address} dev DEV")),
            Change::AddRoute(place, route) => {
                typed(*place, format!("ip route add {}", self.route(*place, route)))
            }
            Change::DeleteRoute(place, route) => {
                typed(*place, format!("ip route del {}", self.route(*place, route)))
            }
            Change::AddRule(place, rule) => {
                typed(*place, format!("ip{} rule add {}", six(rule), policy(rule)))
            }
            Change::DeleteRule(place, rule) => {
                typed(*place, format!("ip{} rule del {}", six(rule), policy(rule)))
            }
            Change::Sysctl(place, key, value) => typed(*place, format!("sysctl -w {key}={value}")),
            Change::Insert { namespace, table, chain, before, rule } => {
                let (verb, at) = match before {
                    Some(handle) => ("insert", format!(" handle {handle}")),
                    None => ("add", String::new()),
                };
                let text = self.rule(*namespace, table, rule);
                typed(*namespace, format!("nft {verb} rule {table} {chain}{at} {text}"))
            }
            Change::AddTable(place, table) => {
                let mut commands = typed(*place, format!("nft add table {}", table.id));
                for chain in &table.chains {
                    if let Some(base) = &chain.base {
                        let base = format!(
                            "type {} hook {} priority {};",
                            base.kind.as_str(),
                            base.hook,
                            base.priority
                        );
                        commands.extend(typed(
                            *place,
                            format!("nft add chain {} {} '{{ {base} }}'", table.id, chain.name),
                        ));
                    }
                    for rule in &chain.rules {
                        let text = rule.to_nft(table, Names::default()).text;
                        commands.extend(typed(
                            *place,
                            format!("nft add rule {} {} '{text}'", table.id, chain.name),
                        ));
                    }
                }
                commands
            }
            Change::Isolated(at, isolated) => {
                let word = if *isolated { "on" } else { "off" };
                on(at, format!("bridge link set dev DEV isolated {word}"))
            }
            Change::PortState(at, state) => on(at, format!("bridge link set dev DEV state {state}")),
            Change::Flood(at) => {
                on(at, "bridge link set dev DEV flood on mcast_flood on bcast_flood on".to_owned())
            }
            Change::AddVlan(at, vlan) => {
                let pvid = if vlan.pvid { " pvid" } else { "" };
                let untagged = if vlan.untagged { " untagged" } else { "" };
                let own = self.state(at.namespace).and_then(|state| state.link(at.link));
                let own = if own.is_some_and(|link| link.as_bridge().is_some()) { " self" } else { "" };
                on(at, format!("bridge vlan add dev DEV vid {}{pvid}{untagged}{own}", vlan.vlan))
            }
            Change::DeleteFdb(place, entry) => {
                let at = Port { namespace: *place, link: entry.link };
                let vlan = entry.vlan.map_or_else(String::new, |vlan| format!(" vlan {vlan}"));
                on(&at, format!("bridge fdb del {} dev DEV master{vlan}", entry.mac))
            }
            Change::DeleteQdisc(at, _, place) => on(at, format!("tc qdisc del dev DEV {place}")),
            Change::Cable(one, other) => self.cable(one, other),
        }
    }

    fn cable(&self, one: &End, other: &End) -> Vec<String> {
        let is_host = |end: &End| matches!(self.snapshot.namespaces.get(end.namespace), Some(space) if *space.name() == Name::Host);
        // It is made where the other end's namespace has a word for it.
        let word = |end: &End| netns_word(self.snapshot, end.namespace).filter(|_| !is_host(end));
        let (near, far, netns) = match (word(other), word(one)) {
            (Some(netns), _) => (one, other, netns),
            (None, Some(netns)) => (other, one, netns),
            (None, None) => (one, other, "?".to_owned()),
        };
        let same = near.namespace == far.namespace;
        let netns = if same { String::new() } else { format!(" netns {netns}") };
        let make = format!("ip link add name {} type veth peer name {}{netns}", near.name, far.name);
        let mut commands = vec![typed(self.snapshot, self.shell, near.namespace, &make)];
        for end in [far, near] {
            let master = end.bridge.map(|link| self.link(Port { namespace: end.namespace, link }));
            let master = master.map_or_else(String::new, |master| format!(" master {master}"));
            let up = format!("ip link set dev {}{master} up", end.name);
            commands.push(typed(self.snapshot, self.shell, end.namespace, &up));
        }
        commands
    }

    fn rule(
        &self,
        place: usize,
        table: &nslab_kernel::nftables::TableId,
        rule: &nslab_kernel::nftables::Rule,
    ) -> String {
        let Some(state) = self.state(place) else { return String::new() };
        let names: HashMap<u32, String> =
            state.network.links.iter().map(|link| (link.index, link.name.to_string())).collect();
        let table = state.nftables.table(table.family, &table.name);
        let text = table.map(|table| rule.to_nft(table, Names { interfaces: Some(&names) }).text);
        text.unwrap_or_default()
    }

    /// A route in the words of ip-route(8).
    pub(super) fn route(&self, place: usize, route: &Route) -> String {
        let kind = match &route.action {
            RouteAction::Blackhole => "blackhole ",
            RouteAction::Unreachable => "unreachable ",
            RouteAction::Prohibit => "prohibit ",
            RouteAction::Throw => "throw ",
            _ => "",
        };
        let to = match (route.to.prefix_len(), route.to.max_prefix_len()) {
            (0, 32) => "default".to_owned(),
            (length, longest) if length == longest => route.to.addr().to_string(),
            _ => route.to.to_string(),
        };
        let mut words = format!("{kind}{to}");
        if let RouteAction::Forward(hops) = &route.action {
            let several = hops.len() > 1;
            for hop in hops {
                if several {
                    words += " nexthop";
                }
                match hop.via {
                    Some(via) if via.is_ipv6() && route.to.addr().is_ipv4() => {
                        words += &format!(" via inet6 {via}");
                    }
                    Some(via) => words += &format!(" via {via}"),
                    None => {}
                }
                if let Some(link) = hop.link {
                    words += &format!(" dev {}", self.link(Port { namespace: place, link }));
                }
                if several {
                    words += &format!(" weight {}", hop.weight);
                }
                if hop.onlink {
                    words += " onlink";
                }
            }
        }
        if let Some(source) = route.source {
            words += &format!(" src {source}");
        }
        let default_metric = if route.to.addr().is_ipv6() { 1024 } else { 0 };
        if route.metric != default_metric && route.metric != 0 {
            words += &format!(" metric {}", route.metric);
        }
        if route.table != TABLE_MAIN {
            words += &format!(" table {}", route.table);
        }
        if route.tos != 0 {
            words += &format!(" tos {:#x}", route.tos);
        }
        words
    }

    /// What a change does, a sentence's part.
    pub(super) fn text(&self, change: &Change) -> String {
        match change {
            Change::Up(at) => format!("set {} up", self.port(*at)),
            Change::Mtu(at, mtu) => format!("let {} take packets of {mtu} bytes", self.port(*at)),
            Change::Mac(at, mac) => format!("give {} a MAC of its own, {mac}", self.port(*at)),
            Change::AddAddress(at, address) => format!("give {} the address {address}", self.port(*at)),
            Change::DeleteAddress(at, address) => format!("take {address} from {}", self.port(*at)),
            Change::Forget(at, address) => format!("let {} ask anew for {address}", self.port(*at)),
            Change::AddRoute(place, route) => {
                format!("give {} the route {}", self.namespace(*place), self.route(*place, route))
            }
            Change::DeleteRoute(place, route) => {
                format!("take the route {} from {}", self.route(*place, route), self.namespace(*place))
            }
            Change::AddRule(place, rule) => {
                format!("give {} the rule {}", self.namespace(*place), policy(rule))
            }
            Change::DeleteRule(place, rule) => {
                format!("take the rule {} from {}", policy(rule), self.namespace(*place))
            }
            Change::Sysctl(place, key, value) => {
                format!("set {key} to {value} in {}", self.namespace(*place))
            }
            Change::Insert { namespace, table, chain, before, rule } => {
                let what = self.rule(*namespace, table, rule);
                let ns = self.namespace(*namespace);
                match before {
                    Some(handle) => {
                        let stops = self.state(*namespace).and_then(|state| {
                            let table = state.nftables.table(table.family, &table.name)?;
                            let rules = &table.chain(chain)?.rules;
                            rules.iter().find(|rule| rule.handle == *handle)
                        });
                        let stops = stops.map(|rule| self.rule(*namespace, table, rule)).unwrap_or_default();
                        format!(
                            "let `{what}` pass before `{stops}` (handle {handle}) of {table} {chain} in {ns}"
                        )
                    }
                    None => format!("let `{what}` pass before the policy of {table} {chain} in {ns}"),
                }
            }
            Change::AddTable(place, table) => {
                format!("translate addresses in {} (table {})", self.namespace(*place), table.id)
            }
            Change::Isolated(at, _) => format!("let {} talk to isolated ports", self.port(*at)),
            Change::PortState(at, _) => format!("let the port {} forward", self.port(*at)),
            Change::Flood(at) => {
                format!("let what has no known destination out by {}", self.port(*at))
            }
            Change::AddVlan(at, vlan) => format!("put {} into VLAN {}", self.port(*at), vlan.vlan),
            Change::DeleteFdb(place, entry) => {
                let at = Port { namespace: *place, link: entry.link };
                format!("forget that {} is behind {}", entry.mac, self.port(at))
            }
            Change::DeleteQdisc(at, _, place) => {
                format!("take away what hangs at {} {place}", self.port(*at))
            }
            Change::Cable(one, other) => {
                format!("lay a cable from {} to {}", self.port(one.port()), self.port(other.port()))
            }
        }
    }
}

fn six(rule: &Rule) -> &'static str {
    if rule.ipv6 { " -6" } else { "" }
}

/// A rule in the words of ip-rule(8), as far as it is told from others by.
fn policy(rule: &Rule) -> String {
    let mut words = format!("pref {}", rule.priority);
    if let Some(from) = rule.from {
        words += &format!(" from {from}");
    }
    if let Some(to) = rule.to {
        words += &format!(" to {to}");
    }
    if let Some((mark, mask)) = rule.fwmark {
        words += &format!(" fwmark {mark:#x}/{mask:#x}");
    }
    if let Some(iif) = rule.iif {
        words += &format!(" iif {iif}");
    }
    match rule.action {
        RuleAction::Table(table) => words += &format!(" lookup {table}"),
        RuleAction::Blackhole => words += " blackhole",
        RuleAction::Unreachable => words += " unreachable",
        RuleAction::Prohibit => words += " prohibit",
        _ => {}
    }
    words
}
