//! Faults of routes, rules and sysctls.

use nslab_predict::Code;

use super::{Fault, Healthy, Place};
use crate::chance::Chance;
use crate::generate::{Draft, anywhere, prefix, ways};
use crate::network::What;

/// Where a route to the destination stands: the namespaces that are not on its segment.
fn with_route(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<usize> {
    let last = healthy.segment(healthy.to, &healthy.into(healthy.to)?)?;
    let not_there = |space: &usize| !healthy.is_on(*space, last);
    chance.any(&healthy.routing().into_iter().filter(not_there).collect::<Vec<_>>())
}

/// Takes the routes of a namespace to a segment away.
pub(super) fn forget(draft: &mut Draft, space: usize, segment: usize, ipv6: bool) {
    let starts = [format!("route add {} ", anywhere(ipv6)), format!("route add {} ", prefix(segment, ipv6))];
    draft.lines.retain(|line| {
        line.space != space
            || !matches!(&line.what, What::Ip(text) if starts.iter().any(|start| text.starts_with(start)))
    });
}

pub(crate) fn no_route(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = with_route(chance, healthy)?;
    let segment = healthy.last_segment()?;
    Some(healthy.with(Code::NoRoute, Place::within(space), |draft| {
        forget(draft, space, segment, healthy.ipv6());
    }))
}

/// A route or a rule says that it goes no further.
pub(crate) fn stopping(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = chance.any(&healthy.routing())?;
    let (kind, code) = *chance.pick(&[
        ("blackhole", Code::RouteBlackhole),
        ("unreachable", Code::RouteUnreachable),
        ("prohibit", Code::RouteProhibit),
        ("throw", Code::RouteThrow),
    ]);
    let target = healthy.target();
    if code != Code::RouteThrow && chance.percent(30) {
        return Some(healthy.with(code, Place::at(space, "rule 100"), |draft| {
            // Of which family it is, the first address says.
            let all = anywhere(healthy.ipv6()).replace("default", "0.0.0.0/0");
            draft.ip(space, format!("rule add pref 100 from {all} to {target} {kind}"));
        }));
    }
    Some(healthy.with(code, Place::at(space, format!("{kind} {target}")), |draft| {
        draft.ip(space, format!("route add {kind} {target}"));
    }))
}

pub(crate) fn gateway(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = chance.any(&healthy.routing())?;
    let out = healthy.out_of(space)?;
    let gateway = if healthy.ipv6() { "fd0a::1" } else { "10.10.0.1" };
    let target = healthy.target();
    Some(healthy.with(Code::GatewayUnreachable, Place::at(space, &out), |draft| {
        draft.ip(space, format!("route add {target} via {gateway} dev {out} onlink"));
    }))
}

/// A router that does not forward: none of its interfaces, or not the one by which the packet comes in.
pub(crate) fn forwarding(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let router = chance.any(&healthy.routers())?;
    let into = healthy.into(router)?;
    let (key, object) = match (healthy.ipv6(), chance.percent(40)) {
        (true, _) => ("net.ipv6.conf.all.forwarding".to_owned(), "net.ipv6.conf.all.forwarding".to_owned()),
        (false, false) => ("net.ipv4.conf.all.forwarding".to_owned(), "net.ipv4.ip_forward".to_owned()),
        (false, true) => {
            let key = format!("net.ipv4.conf.{into}.forwarding");
            (key.clone(), key)
        }
    };
    Some(healthy.with(Code::ForwardingOff, Place::at(router, object), |draft| {
        draft.sysctl(router, key, 0);
    }))
}

/// The way back is by another interface, and that is held against the packet.
pub(crate) fn rp_filter(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    if healthy.ipv6() {
        return None;
    }
    let mut spaces = healthy.routers();
    spaces.push(healthy.to);
    let space = chance.any(&spaces)?;
    let into = healthy.into(space)?;
    let others: Vec<String> = healthy.draft.nodes[space]
        .ends
        .iter()
        .map(|end| end.name.clone())
        .filter(|name| *name != into)
        .collect();
    let other = chance.any(&others)?;
    let source = healthy.source()?;
    let place = Place::at(space, format!("net.ipv4.conf.{into}.rp_filter"));
    Some(healthy.with(Code::RpFilter, place, |draft| {
        draft.ip(space, format!("route add {source}/32 dev {other}"));
        draft.sysctl(space, "net.ipv4.conf.all.rp_filter", 1);
    }))
}

/// The source is an address of a router's on the way, or of the destination's.
pub(crate) fn martian(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    if healthy.ipv6() {
        return None;
    }
    let mut spaces = healthy.routers();
    spaces.push(healthy.to);
    let space = chance.any(&spaces)?;
    let into = healthy.into(space)?;
    let source = healthy.source()?;
    let place = Place::at(space, format!("net.ipv4.conf.{into}.accept_local"));
    Some(healthy.with(Code::Martian, place, |draft| draft.ip(space, format!("addr add {source}/32 dev lo"))))
}

pub(crate) fn hop_limit(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let routers = healthy.routers();
    if routers.is_empty() {
        return None;
    }
    let ttl = chance.between(1, routers.len());
    let mut fault = healthy.with(Code::TtlExpired, Place::within(routers[ttl - 1]), |_| {});
    fault.probe.ttl = u8::try_from(ttl).ok()?;
    fault.meant = None;
    Some(fault)
}

/// A router sends it back to the one that it has it from.
pub(crate) fn circle(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let routing = healthy.routing();
    let pairs: Vec<&[usize]> = routing.windows(2).filter(|pair| pair[0] != healthy.probe.from).collect();
    let pair = chance.any(&pairs)?;
    let (before, router) = (pair[0], pair[1]);
    let into = healthy.into(router)?;
    let segment = healthy.segment(router, &into)?;
    let end = healthy.draft.nodes[before].ends.iter().find(|end| end.segment == segment)?;
    let gateway = end.address(healthy.ipv6());
    let target = healthy.target();
    // In which of the two it ends is a matter of how many hops it may take.
    let fault = healthy.with(Code::TtlExpired, Place::within(router), |draft| {
        draft.ip(router, format!("route add {target} via {gateway} dev {into}"));
    });
    Some(fault.or_at(Place::within(before)))
}

/// The destination does not know the way back, or the last router.
pub(crate) fn no_return(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let segment = healthy.first_segment()?;
    let space = forgetful(chance, healthy, healthy.draft, segment)?;
    Some(healthy.with(Code::NoReturnRoute, Place::within(space), |draft| {
        forget(draft, space, segment, healthy.ipv6());
    }))
}

/// Who has a route to the sender's segment, and none to the destination's that would go with it.
fn forgetful(chance: &mut Chance, healthy: &Healthy<'_>, draft: &Draft, segment: usize) -> Option<usize> {
    let last = healthy.last_segment()?;
    let mut spaces = vec![healthy.to];
    spaces.extend(healthy.routers().last().filter(|&&router| healthy.is_on(router, last)));
    spaces.retain(|&space| !healthy.is_on(space, segment) && ways(draft, space).contains_key(&segment));
    chance.any(&spaces)
}

/// The destination is outside, where nobody knows the way to a private address.
pub(crate) fn nat_missing(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (first, last) = (healthy.first_segment()?, healthy.last_segment()?);
    if healthy.is_on(healthy.to, first) || healthy.routers().is_empty() {
        return None;
    }
    let space = forgetful(chance, healthy, healthy.draft, first)?;
    // Networks of documentation (RFC 5737, RFC 3849) are public ones.
    let mut renames = vec![(format!("10.0.{last}."), "203.0.113."), (format!("fd00:{last}::"), "2001:db8::")];
    if last == 0 {
        renames.push(("fd00::".to_owned(), "2001:db8::"));
    }
    let rename =
        |text: &str| renames.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old.as_str(), new));
    let mut fault = healthy.with(Code::NatMissing, Place::within(space), |draft| {
        forget(draft, space, first, healthy.ipv6());
        for line in &mut draft.lines {
            match &mut line.what {
                What::Ip(text) => *text = rename(text),
                What::Listen(listener) => {
                    listener.address =
                        rename(&listener.address.to_string()).parse().unwrap_or(listener.address);
                }
                _ => {}
            }
        }
    });
    fault.probe.destination = rename(&fault.probe.destination.to_string()).parse().ok()?;
    Some(fault)
}
