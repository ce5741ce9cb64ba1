//! Routes, policy rules, permanent neighbours.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::link::{IfIndex, LinkKind};
use nslab_kernel::route::{self, Preference, RouteAction};
use nslab_kernel::rule::{self, RuleAction};
use nslab_topology::lab::{self, Destination, Family, Node, Via};
use nslab_topology::{Span, Spanned, model};

use crate::choose::Space;
use crate::draft::Draft;

/// A route made by an ICMP redirect (`RTPROT_REDIRECT`), which comes and goes by itself.
const PROTOCOL_REDIRECT: u8 = 1;
/// Scopes (`RT_SCOPE_*`).
const UNIVERSE: u8 = 0;
const LINK: u8 = 253;
/// What the kernel gives an IPv6 route that says none (`IP6_RT_PRIO_USER`).
const METRIC_IPV6: u32 = 1024;
/// The priorities that a lab's rules may have; those around them are the kernel's own three.
const PRIORITIES: std::ops::RangeInclusive<u32> = 1..=32_765;
/// A neighbour that stays (`NUD_PERMANENT`).
const PERMANENT: u16 = 0x80;
/// The kernel's own rules: whether of IPv6, priority and table (`fib_default_rules_init`, `fib6_rules_net_init`).
const KERNELS: [(bool, u32, u32); 5] =
    [(false, 0, 255), (false, 32_766, 254), (false, 32_767, 253), (true, 0, 255), (true, 32_766, 254)];

impl Draft<'_> {
    /// A node's routes, rules and neighbours.
    pub(crate) fn routing(&mut self, number: usize, node: &mut Node) {
        let space = self.spaces[number].clone();
        for route in &space.state.network.routes {
            node.routes.extend(self.route(number, &space, route));
        }
        self.rules(number, &space, node);
        for neighbour in &space.state.network.neighbours {
            let Some(link) = space.link(neighbour.link) else { continue };
            let object = format!("neigh {} dev {}", neighbour.address, link.name);
            if neighbour.proxy {
                self.skip(number, format!("{object} proxy"), "a lab file has no proxied neighbours");
            } else if let Some(mac) =
                neighbour.mac.filter(|_| neighbour.state & PERMANENT != 0 && !link.loopback)
            {
                let id = self.mark(number, object);
                let dev = Some(Spanned::new(self.full_name(link), id));
                let entry = lab::Neighbour { address: neighbour.address, mac, dev };
                node.neighbours.push(Spanned::new(entry, id));
            }
        }
    }

    fn route(
        &mut self,
        number: usize,
        space: &Space<'_>,
        route: &route::Route,
    ) -> Option<Spanned<lab::Route>> {
        if matches!(route.protocol, route::PROTOCOL_KERNEL | PROTOCOL_REDIRECT) {
            return None;
        }
        let hops: &[route::NextHop] = match &route.action {
            RouteAction::Forward(hops) => hops,
            _ => &[],
        };
        let is_foreign = |hop: &route::NextHop| hop.link.is_some_and(|link| space.link(link).is_none());
        if space.is_part && !hops.is_empty() && hops.iter().all(is_foreign) {
            return None;
        }
        let object = words(space, route);
        let id = self.mark(number, object.clone());
        let mut odd = Vec::new();
        if route.tos != 0 {
            odd.push(format!("it is for the type of service {:#x} only", route.tos));
        }
        if let Some(from) = route.from {
            odd.push(format!("it is for packets from {from} only"));
        }
        if !route.unknown.is_empty() {
            let numbers: Vec<String> = route.unknown.iter().map(u16::to_string).collect();
            odd.push(format!("it has attributes that nslab does not know (RTA {})", numbers.join(", ")));
        }
        let kind = match &route.action {
            RouteAction::Local(_) => Some("local"),
            RouteAction::Broadcast(_) => Some("broadcast"),
            RouteAction::Anycast(_) => Some("anycast"),
            RouteAction::Multicast(_) => Some("multicast"),
            RouteAction::Other(_) => Some("another"),
            _ => None,
        };
        odd.extend(kind.map(|kind| format!("a lab file has no routes of type {kind}")));
        if hops.iter().any(is_foreign) {
            odd.push("it goes by an interface that is not described".to_owned());
        }
        if route.table == 0 {
            odd.push("it is in table 0".to_owned());
        }
        if let Some(why) = odd.into_iter().next() {
            self.skip(number, object, &why);
            return None;
        }
        if route.preference != Preference::Medium {
            self.skip(number, object.clone(), "its router's preference is lost");
        }
        if let Some(nexthop) = route.nexthop {
            self.skip(
                number,
                object.clone(),
                &format!("its nexthop object {nexthop} is written out: a lab makes none"),
            );
        }
        let is_ipv6 = route.to.addr().is_ipv6();
        let usual = match &route.action {
            RouteAction::Forward(hops) if !is_ipv6 && hops.iter().all(|hop| hop.via.is_none()) => LINK,
            _ => UNIVERSE,
        };
        if route.scope.is_some_and(|scope| scope != usual) && !is_ipv6 {
            self.skip(number, object.clone(), "its scope is lost: a lab's are the usual ones");
        }
        let action = match &route.action {
            RouteAction::Blackhole => lab::RouteAction::Blackhole,
            RouteAction::Unreachable => lab::RouteAction::Unreachable,
            RouteAction::Prohibit => lab::RouteAction::Prohibit,
            RouteAction::Throw => lab::RouteAction::Throw,
            _ => {
                let hops = hops.iter().map(|hop| self.hop(number, space, hop, (id, &object)));
                lab::RouteAction::Forward(hops.collect())
            }
        };
        let family = if is_ipv6 { Family::Ipv6 } else { Family::Ipv4 };
        let to = if route.to.prefix_len() == 0 {
            // A gateway says the family.
            Destination::Default(Some(family).filter(|_| hops.iter().all(|hop| hop.via.is_none())))
        } else {
            Destination::Net(route.to)
        };
        let usual = if is_ipv6 { METRIC_IPV6 } else { 0 };
        let route = lab::Route {
            to,
            action,
            metric: Some(route.metric).filter(|&metric| metric != usual),
            table: Some(route.table).filter(|&table| table != route::TABLE_MAIN),
            source: route.source.map(|source| Spanned::new(source, id)),
            mtu: route.mtu,
        };
        Some(Spanned::new(route, id))
    }

    fn hop(
        &mut self,
        number: usize,
        space: &Space<'_>,
        hop: &route::NextHop,
        (id, object): (Span, &str),
    ) -> lab::NextHop {
        let link = hop.link.and_then(|link| space.link(link));
        let mut onlink = hop.onlink;
        if let (Some(via), Some(link)) = (hop.via, link)
            && !onlink
            && !is_near(space, link.index, via)
        {
            onlink = true;
            self.skip(
                number,
                object,
                "its gateway is on no subnet of the interface; in the lab file it is `onlink`",
            );
        }
        lab::NextHop {
            via: hop.via.map(|via| Spanned::new(Via::Address(via), id)),
            dev: link.map(|link| Spanned::new(self.full_name(link), id)),
            weight: hop.weight,
            onlink,
        }
    }

    fn rules(&mut self, number: usize, space: &Space<'_>, node: &mut Node) {
        let rules = &space.state.network.rules;
        let has_ipv6 = rules.iter().any(|rule| rule.ipv6);
        let is_kernels = |rule: &rule::Rule, (ipv6, priority, table): (bool, u32, u32)| {
            let plain = rule::Rule {
                protocol: rule.protocol,
                ..rule::Rule::new(ipv6, priority, RuleAction::Table(table))
            };
            *rule == plain
        };
        for kernels in KERNELS {
            let (ipv6, priority, table) = kernels;
            if (!ipv6 || has_ipv6) && !rules.iter().any(|rule| is_kernels(rule, kernels)) {
                let family = if ipv6 { "-6 " } else { "" };
                let object = format!("{family}rule {priority}: from all lookup {table}");
                self.skip(number, object, "the kernel's own rule is gone; in a lab it is there");
            }
        }
        let has_vrf = space.described().any(|link| matches!(link.kind, Some(LinkKind::Vrf(_))));
        for rule in rules {
            let of_vrf = rule.action == RuleAction::VrfTable && rule.protocol == route::PROTOCOL_KERNEL;
            if KERNELS.iter().any(|kernels| is_kernels(rule, *kernels)) || of_vrf && has_vrf {
                continue;
            }
            node.rules.extend(self.rule(number, space, rule));
        }
    }

    fn rule(&mut self, number: usize, space: &Space<'_>, rule: &rule::Rule) -> Option<Spanned<lab::Rule>> {
        let family = if rule.ipv6 { "-6 " } else { "" };
        let mut object = format!("{family}rule {}:", rule.priority);
        for (word, side) in [("from", rule.from), ("to", rule.to)] {
            object.extend(side.map(|net| format!(" {word} {net}")));
        }
        let action = match rule.action {
            RuleAction::Table(table) => {
                // Writing to a String cannot fail, here and below.
                let _ = write!(object, " lookup {table}");
                Ok(model::RuleAction::Table(table))
            }
            RuleAction::Blackhole => Ok(model::RuleAction::Blackhole),
            RuleAction::Unreachable => Ok(model::RuleAction::Unreachable),
            RuleAction::Prohibit => Ok(model::RuleAction::Prohibit),
            RuleAction::VrfTable => Err("l3mdev"),
            RuleAction::Goto(_) => Err("goto"),
            RuleAction::Nop => Err("nop"),
            RuleAction::Other(_) => Err("another action"),
        };
        let conditions = [
            (rule.invert, "not"),
            (rule.tos != 0, "tos"),
            (rule.ip_protocol.is_some(), "ipproto"),
            (rule.source_ports.is_some(), "sport"),
            (rule.destination_ports.is_some(), "dport"),
            (rule.users.is_some(), "uidrange"),
            (rule.suppress_prefix_length.is_some(), "suppress_prefixlength"),
            (rule.suppress_group.is_some(), "suppress_ifgroup"),
            (rule.dscp.is_some(), "dscp"),
            (!rule.unknown.is_empty(), "a condition that nslab does not know"),
            (!PRIORITIES.contains(&rule.priority), "a priority beyond 1 to 32765"),
            (matches!(action, Ok(model::RuleAction::Table(0))), "table 0"),
        ];
        let word = conditions.into_iter().find(|(is_there, _)| *is_there).map(|(_, word)| word);
        let action = match (word, action) {
            (None, Ok(action)) => action,
            (Some(word), _) | (None, Err(word)) => {
                self.skip(number, object, &format!("a rule of a lab file has no words for `{word}`"));
                return None;
            }
        };
        let id = self.mark(number, object);
        let rule = lab::Rule {
            priority: Some(rule.priority),
            family: if rule.ipv6 { Family::Ipv6 } else { Family::Ipv4 },
            from: rule.from,
            to: rule.to,
            iif: rule.iif.map(|name| Spanned::new(self.written_name(space, name.as_str()), id)),
            oif: rule.oif.map(|name| Spanned::new(self.written_name(space, name.as_str()), id)),
            fwmark: rule.fwmark,
            action,
        };
        Some(Spanned::new(rule, id))
    }

    /// How a lab file calls an interface, which need not be there.
    fn written_name(&self, space: &Space<'_>, name: &str) -> String {
        space
            .described()
            .find(|link| link.name.as_str() == name)
            .map_or_else(|| name.to_owned(), |link| self.full_name(link))
    }
}

/// Whether a gateway is on a subnet of an interface.
fn is_near(space: &Space<'_>, link: IfIndex, via: IpAddr) -> bool {
    crate::addresses::is_link_local(via)
        || space
            .state
            .network
            .addresses
            .iter()
            .any(|own| own.link == link && own.peer.is_none() && own.address.contains(&via))
}

/// A route in the words of ip-route(8).
fn words(space: &Space<'_>, route: &route::Route) -> String {
    let everything = |net: &IpNet| net.prefix_len() == 0;
    let mut text =
        if everything(&route.to) && route.to.addr().is_ipv6() { "-6 ".to_owned() } else { String::new() };
    text.push_str("route ");
    text.push_str(&if everything(&route.to) { "default".to_owned() } else { route.to.to_string() });
    if let RouteAction::Forward(hops) = &route.action {
        for hop in hops {
            text.extend(hop.via.map(|via| format!(" via {via}")));
            let name = hop.link.and_then(|link| space.state.link(link));
            text.extend(name.map(|link| format!(" dev {}", link.name)));
        }
    }
    if route.table != route::TABLE_MAIN {
        let _ = write!(text, " table {}", route.table);
    }
    text
}
