//! What is told of answers that do not come back, and what mends it.

use super::answers::{Blame, Example, Found};
use super::{Fault, Host, Place, Severity, text};
use crate::Code;
use crate::l2::Port;

/// A fault in words.
pub(super) fn tell(host: &Host<'_>, blame: Blame, found: &Found) -> Fault {
    let sources = text::list(found.sources.iter().map(ToString::to_string));
    let evidence = found.examples.iter().map(|Example { way, from, to }| {
        format!("{} sends to {to}; {}", host.name(from.at.namespace), host.in_words(way))
    });
    let evidence: Vec<String> = evidence.collect();
    let senders = found.examples.iter().take(1).map(|example| host.place(example.from.at));
    match blame {
        Blame::NoReturn(namespace) => {
            let ns = host.name(namespace);
            Fault {
                severity: Severity::Error,
                code: Code::NoReturnRoute,
                text: format!("{ns} has no route back to {sources}: what comes from there gets no answer"),
                places: [Place { namespace, ns, link: None, object: format!("route to {sources}") }]
                    .into_iter()
                    .chain(senders)
                    .collect(),
                evidence,
                fix: return_routes(host, namespace, found),
            }
        }
        Blame::NoNat(out, stop) => {
            let place = host.port(out);
            let (severity, text) = match stop {
                Some(stop) => (
                    Severity::Error,
                    format!(
                        "what comes from {sources} leaves by {place} untranslated, and {} has no route back to it",
                        host.name(stop)
                    ),
                ),
                None => (
                    Severity::Warning,
                    format!(
                        "what comes from {sources} leaves by {place} untranslated: outside hardly anybody has a route back to it"
                    ),
                ),
            };
            let mut places = vec![host.place(out)];
            places.extend(stop.map(|namespace| Place {
                namespace,
                ns: host.name(namespace),
                link: None,
                object: format!("route to {sources}"),
            }));
            places.extend(senders);
            Fault {
                severity,
                code: Code::NatMissing,
                text,
                places,
                evidence,
                fix: masquerade(host, out, found),
            }
        }
        Blame::ReversePath(at) => {
            let name = host.link(at).map(|link| link.name.to_string()).unwrap_or_default();
            let dotted = if name.contains('.') {
                format!("net/ipv4/conf/{name}/rp_filter")
            } else {
                format!("net.ipv4.conf.{name}.rp_filter")
            };
            let ns = host.name(at.namespace);
            Fault {
                severity: Severity::Error,
                code: Code::RpFilter,
                text: format!(
                    "{ns} drops what comes from {sources} by {name}: its own way there leads by another interface, and \
                     rp_filter is strict"
                ),
                places: vec![Place {
                    namespace: at.namespace,
                    ns,
                    link: Some(at.link),
                    object: dotted.clone(),
                }],
                evidence,
                fix: vec![host.command(at.namespace, &format!("sysctl -w {dotted}=2"))],
            }
        }
        Blame::Blackhole(namespace, rule, narrow) => pmtu(host, namespace, rule, narrow, found, evidence),
    }
}

fn pmtu(
    host: &Host<'_>,
    namespace: usize,
    (table, chain, rule): (usize, usize, Option<usize>),
    narrow: Port,
    found: &Found,
    evidence: Vec<String>,
) -> Fault {
    let ns = host.name(namespace);
    let state = host.state(namespace);
    let table = state.and_then(|state| state.nftables.tables.get(table));
    let chain = table.and_then(|table| table.chains.get(chain));
    let rule = rule.and_then(|rule| chain?.rules.get(rule));
    let name = table
        .zip(chain)
        .map(|(table, chain)| format!("{} {} {}", table.id.family, table.id.name, chain.name));
    let name = name.unwrap_or_default();
    let object = match rule {
        Some(rule) => format!("{name} handle {}", rule.handle),
        None => format!("{name} policy"),
    };
    let mtu = host.link(narrow).map_or(0, |link| link.mtu);
    let families: Vec<bool> = found.examples.iter().map(|example| example.to.is_ipv6()).collect();
    let message = match &families[..] {
        [false] => "fragmentation-needed",
        [true] => "packet-too-big",
        _ => "errors (fragmentation-needed, packet-too-big)",
    };
    let fix = families.iter().map(|ipv6| {
        let matches = if *ipv6 { "icmpv6 type packet-too-big" } else { "icmp type destination-unreachable" };
        host.command(namespace, &format!("nft insert rule {name} {matches} accept"))
    });
    Fault {
        severity: Severity::Error,
        code: Code::PmtuBlackhole,
        text: format!(
            "{ns} drops the ICMP {message} by which senders learn that {} takes {mtu} bytes only ({object})",
            host.port(narrow)
        ),
        places: vec![Place { namespace, ns, link: None, object }, host.place(narrow)],
        evidence,
        fix: fix.collect(),
    }
}

/// Routes by whoever the packets came from.
fn return_routes(host: &Host<'_>, namespace: usize, found: &Found) -> Vec<String> {
    let routes = found.examples.iter().filter_map(|Example { way, to, .. }| {
        let ipv6 = to.is_ipv6();
        let state = host.state(namespace)?;
        let place = way.hops.iter().position(|hop| hop.namespace == namespace)?;
        let (before, input) = (way.hops.get(place.checked_sub(1)?)?, way.hops.get(place)?.input?);
        let own = || state.network.addresses.iter().filter(|address| address.link == input);
        let gateway = host.state(before.namespace)?.network.addresses.iter().find(|address| {
            Some(address.link) == before.output
                && address.address.addr().is_ipv6() == ipv6
                && own().any(|own| own.address.contains(&address.address.addr()))
        })?;
        let gateway = gateway.address.addr();
        let family = if ipv6 { "-6 " } else { "" };
        let mut routes = state.network.routes.iter();
        let has_default = routes.any(|route| route.to.prefix_len() == 0 && route.to.addr().is_ipv6() == ipv6);
        let to: Vec<String> = if host.is_router(namespace, ipv6) || has_default {
            let sources = found.sources.iter().filter(|net| net.addr().is_ipv6() == ipv6);
            sources.map(ToString::to_string).collect()
        } else {
            vec!["default".to_owned()]
        };
        Some(to.into_iter().map(move |to| format!("ip {family}route add {to} via {gateway}")))
    });
    routes.flatten().map(|command| host.command(namespace, &command)).collect()
}

/// A table of one's own: what is there already stays as it is.
fn masquerade(host: &Host<'_>, out: Port, found: &Found) -> Vec<String> {
    let (Some(state), Some(link)) = (host.state(out.namespace), host.link(out)) else { return Vec::new() };
    let taken = |name: &str| state.nftables.tables.iter().any(|table| table.id.name == name);
    let table = ["nat", "outbound", "outbound2"].into_iter().find(|name| !taken(name));
    let Some(table) = table else { return Vec::new() };
    let mut commands = Vec::new();
    for ipv6 in found.examples.iter().map(|example| example.to.is_ipv6()) {
        let family = if ipv6 { "ip6" } else { "ip" };
        let chain = format!("{family} {table} postrouting");
        commands.push(format!("nft add table {family} {table}"));
        commands.push(format!("nft 'add chain {chain} {{ type nat hook postrouting priority 100; }}'"));
        let sources = found.sources.iter().filter(|net| net.addr().is_ipv6() == ipv6);
        commands.extend(sources.map(|net| {
            format!("nft 'add rule {chain} oifname \"{}\" {family} saddr {net} masquerade'", link.name)
        }));
    }
    commands.iter().map(|command| host.command(out.namespace, command)).collect()
}
