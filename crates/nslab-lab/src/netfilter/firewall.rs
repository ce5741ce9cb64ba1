//! The chains that pass and drop.

use nslab_kernel::nftables::{CtState, CtStatus, Expr, Hook as KernelHook, Policy as ChainPolicy};
use nslab_topology::lab::{Family, IcmpType, Service, Verdict};
use nslab_topology::model::{Firewall, FirewallRule, Hook, Match, NatKind, NatRule, Node, Selector};
use nslab_types::IfName;

use super::origin::comment;
use super::words::{ACCEPT, DROP, Draft, ICMP, ICMPV6, PROHIBITED, RESET, Side, TCP, UDP, Words, logged};

/// In the order of a packet's way, as nft would be written.
pub(super) const HOOKS: [Hook; 3] = [Hook::Input, Hook::Forward, Hook::Output];

/// ICMP messages that say that a packet did not arrive: destination unreachable with "fragmentation needed" among
/// them, time exceeded, parameter problem (RFC 792).
const ERRORS_IPV4: [u8; 3] = [3, 11, 12];
/// The same in `ICMPv6`, where "packet too big" has a type of its own (RFC 4443).
const ERRORS_IPV6: [u8; 4] = [1, 2, 3, 4];
/// What IPv6 needs on a link: neighbour discovery (RFC 4861) and multicast listeners (RFC 2710, RFC 3810). IPv4's ARP
/// is not seen by these chains.
const LINK_IPV6: [u8; 8] = [130, 131, 132, 133, 134, 135, 136, 143];

/// Name, place, policy and rules of a chain.
pub(super) fn chain(node: &Node, hook: Hook) -> (&'static str, KernelHook, ChainPolicy, Vec<Draft>) {
    let (name, at) = match hook {
        Hook::Input => ("input", KernelHook::Input),
        Hook::Forward => ("forward", KernelHook::Forward),
        Hook::Output => ("output", KernelHook::Output),
    };
    let firewall = node.policy.firewall.as_ref();
    let default = firewall.map_or(Verdict::Accept, |firewall| match hook {
        Hook::Input => firewall.input,
        Hook::Forward => firewall.forward,
        Hook::Output => firewall.output,
    });
    let translates = hook == Hook::Forward && !node.policy.nat.is_empty();
    let mut written = Vec::new();
    for rule in firewall.iter().flat_map(|firewall| &firewall.rules) {
        for one in rule.matches.iter().filter(|one| one.hook == hook) {
            self::rule(node, rule, one, &mut written);
        }
    }
    let mut rules = Vec::new();
    let closed = default != Verdict::Accept;
    if !closed && written.is_empty() && !translates {
        return (name, at, ChainPolicy::Accept, rules);
    }
    if hook != Hook::Forward {
        let side = if hook == Hook::Input { Side::Source } else { Side::Destination };
        rules.push(Words::new().interfaces(side, &[IfName::LOOPBACK]).rule(&[ACCEPT], "the node to itself"));
    }
    let known = CtState::ESTABLISHED | CtState::RELATED;
    rules.push(Words::new().state(known).rule(&[ACCEPT], "answers, and errors about what was allowed"));
    let invalid = |rules: &mut Vec<Draft>| {
        rules.push(Words::new().state(CtState::INVALID).rule(&[DROP], "belongs to no connection"));
    };
    if translates {
        // It would leave untranslated.
        invalid(&mut rules);
    }
    if closed {
        if hook != Hook::Forward {
            let words = Words::new().icmp(Family::Ipv6, &LINK_IPV6);
            rules.push(words.rule(&[ACCEPT], "neighbour discovery, multicast listeners"));
        }
        for (family, types) in [(Family::Ipv4, &ERRORS_IPV4[..]), (Family::Ipv6, &ERRORS_IPV6)] {
            rules.push(Words::new().icmp(family, types).rule(&[ACCEPT], "ICMP errors, path MTU"));
        }
        if !translates {
            invalid(&mut rules);
        }
    }
    rules.extend(written);
    if closed && hook == Hook::Forward {
        for nat in &node.policy.nat {
            forwarded(nat, &mut rules);
        }
    }
    if let Some(firewall) = firewall.filter(|_| closed) {
        self::default(node, firewall, default, &mut rules);
    }
    let policy = if closed { ChainPolicy::Drop } else { ChainPolicy::Accept };
    (name, at, policy, rules)
}

/// What no rule was about.
fn default(node: &Node, firewall: &Firewall, verdict: Verdict, rules: &mut Vec<Draft>) {
    let prefix = firewall.log.as_ref().map(|prefix| own_prefix(node, prefix, verdict));
    let comment = comment(firewall.line, &format!("default {verdict}"));
    for (words, end) in ends(Words::new(), verdict, None) {
        rules.push(words.rule(&logged(prefix.as_deref(), end), &comment));
    }
}

/// A prefix for the log: the user's, else one that says where and what.
fn own_prefix(node: &Node, written: &str, verdict: Verdict) -> String {
    if written.is_empty() { format!("{} {verdict}: ", node.name) } else { written.to_owned() }
}

/// One rule of the lab file as one or more of the kernel's.
fn rule(node: &Node, rule: &FirewallRule, one: &Match, rules: &mut Vec<Draft>) {
    let written = &rule.written;
    let comment = comment(written.line, &written.to_string());
    let prefix = written.log.as_ref().map(|prefix| own_prefix(node, prefix, written.verdict));
    for (way, family) in ways(&one.from, &one.to, written.family) {
        for (words, protocol) in services(&way, family, &written.services) {
            for (words, end) in ends(words, written.verdict, protocol) {
                rules.push(words.rule(&logged(prefix.as_deref(), end), &comment));
            }
        }
    }
}

/// What a packet's way must be: one of these. Each is of one family, or of both.
pub(super) fn ways(
    from: &[Selector],
    to: &[Selector],
    family: Option<Family>,
) -> Vec<(Words, Option<Family>)> {
    let any = [Selector::default()];
    let from = if from.is_empty() { &any } else { from };
    let to = if to.is_empty() { &any } else { to };
    let mut ways = Vec::new();
    for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
        let interfaces = |words: Words| {
            words.interfaces(Side::Source, &from.interfaces).interfaces(Side::Destination, &to.interfaces)
        };
        if from.prefixes.is_empty() && to.prefixes.is_empty() {
            let words = interfaces(Words::new());
            ways.push((family.map_or(words.clone(), |family| words.family(family)), family));
            continue;
        }
        for wanted in Family::BOTH.into_iter().filter(|wanted| family.is_none_or(|family| family == *wanted))
        {
            let of = |selector: &Selector| -> Vec<ipnet::IpNet> {
                let all = selector.prefixes.iter().copied();
                all.filter(|prefix| Family::of(prefix.addr()) == wanted).collect()
            };
            let (sources, destinations) = (of(from), of(to));
            let lacks =
                |selector: &Selector, own: &[ipnet::IpNet]| !selector.prefixes.is_empty() && own.is_empty();
            if lacks(from, &sources) || lacks(to, &destinations) {
                continue;
            }
            let mut words = Words::new()
                .interfaces(Side::Source, &from.interfaces)
                .interfaces(Side::Destination, &to.interfaces);
            for (side, prefixes) in [(Side::Source, &sources), (Side::Destination, &destinations)] {
                if !prefixes.is_empty() {
                    words = words.prefixes(side, wanted, prefixes);
                }
            }
            ways.push((words, Some(wanted)));
        }
    }
    ways
}

/// What a packet must carry: one of these, each with its protocol if that is one.
pub(super) fn services(
    way: &Words,
    family: Option<Family>,
    services: &[Service],
) -> Vec<(Words, Option<u8>)> {
    if services.is_empty() {
        return vec![(way.clone(), None)];
    }
    let mut all = Vec::new();
    let has = |wanted: Family| family.is_none_or(|family| family == wanted);
    for service in services {
        match service {
            Service::Tcp(ports) => all.push((way.clone().ports(TCP, ports), Some(TCP))),
            Service::Udp(ports) => all.push((way.clone().ports(UDP, ports), Some(UDP))),
            Service::Protocol(number) => all.push((way.clone().protocol(*number), Some(*number))),
            Service::Icmp(types) | Service::Icmpv6(types) => {
                let only_ipv6 = matches!(service, Service::Icmpv6(_));
                let number = |kind: &IcmpType, family| if family == Family::Ipv4 { kind.v4 } else { kind.v6 };
                for wanted in Family::BOTH.into_iter().filter(|wanted| has(*wanted)) {
                    if only_ipv6 && wanted == Family::Ipv4 {
                        continue;
                    }
                    let own: Vec<u8> = types.iter().filter_map(|kind| number(kind, wanted)).collect();
                    if types.is_empty() || !own.is_empty() {
                        let protocol = if wanted == Family::Ipv4 { ICMP } else { ICMPV6 };
                        all.push((way.clone().icmp(wanted, &own), Some(protocol)));
                    }
                }
            }
        }
    }
    all
}

/// How a rule ends. A refusal is a reset for TCP, which needs no rate limit of the kernel's, and ICMP for others.
fn ends(words: Words, verdict: Verdict, protocol: Option<u8>) -> Vec<(Words, Expr)> {
    match (verdict, protocol) {
        (Verdict::Accept, _) => vec![(words, ACCEPT)],
        (Verdict::Drop, _) => vec![(words, DROP)],
        (Verdict::Reject, Some(TCP)) => vec![(words, RESET)],
        (Verdict::Reject, Some(_)) => vec![(words, PROHIBITED)],
        (Verdict::Reject, None) => vec![(words.clone().protocol(TCP), RESET), (words, PROHIBITED)],
    }
}

/// A port forward opens the firewall for what it forwards; what a rule denies stays denied.
fn forwarded(nat: &NatRule, rules: &mut Vec<Draft>) {
    let NatKind::Forward { services: ports, targets, port, .. } = &nat.kind else { return };
    let comment = comment(nat.written.line, &nat.written.to_string());
    for target in targets {
        let family = Family::of(*target);
        if nat.written.family.is_some_and(|wanted| wanted != family) {
            continue;
        }
        let to = [Selector { interfaces: Vec::new(), prefixes: vec![ipnet::IpNet::from(*target)] }];
        let there: Vec<Service> = ports.iter().map(|service| with_port(service, *port)).collect();
        for (way, family) in ways(&nat.from, &to, nat.written.family) {
            for (words, _) in services(&way, family, &there) {
                rules.push(words.status(CtStatus::DNAT).rule(&[ACCEPT], &comment));
            }
        }
    }
}

/// The ports at the target.
fn with_port(service: &Service, port: Option<u16>) -> Service {
    let Some(port) = port else { return service.clone() };
    let ports = vec![nslab_topology::lab::Ports { first: port, last: port }];
    match service {
        Service::Udp(_) => Service::Udp(ports),
        _ => Service::Tcp(ports),
    }
}
