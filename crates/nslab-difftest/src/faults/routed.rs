//! Faults of links, addresses and routes.

use nslab_predict::Code;

use super::{Fault, Healthy};
use crate::chance::Chance;
use crate::generate::{Draft, anywhere, prefix, ways};
use crate::network::What;
use crate::probe::Kind;

/// The bridge or interface by which the packet would leave is down.
pub(crate) fn link_down(_: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let from = healthy.probe.from;
    let out = healthy.out_of(from)?;
    // Routes by a gateway go with the interface, so that what is left says no more than that there is none.
    // IPv6 forgets the addresses as well.
    let on_link = healthy.routers().is_empty() && !healthy.ipv6();
    let or: &[Code] = if on_link { &[] } else { &[Code::NoRoute] };
    Some(healthy.with(Code::LinkDown, |draft| draft.ip(from, format!("link set {out} down"))).or(or))
}

pub(crate) fn loopback_down(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let from = healthy.probe.from;
    let own = chance.pick(&healthy.draft.nodes[from].ends).address(healthy.ipv6());
    let mut fault = healthy.with(Code::LoopbackDown, |draft| {
        draft.lines.retain(|line| {
            line.space != from || !matches!(&line.what, What::Ip(text) if text == "link set lo up")
        });
    });
    fault.probe.destination = own;
    fault.probe.what = Kind::Echo;
    fault.probe.size = 84;
    Some(fault)
}

/// The other end of a cable is down, by which the packet must leave.
pub(crate) fn no_carrier(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let pairs: Vec<(usize, String)> = healthy
        .way
        .windows(2)
        .filter(|pair| pair[0].2 && !pair[1].2 && pair[0].0 != pair[1].0)
        .map(|pair| (pair[1].0, pair[1].1.clone()))
        .collect();
    let (space, name) = chance.any(&pairs)?;
    // Of a macvlan the other end is no cable's.
    let is_cable = healthy.draft.lines.iter().any(|line| {
        matches!(&line.what, What::Ip(text) if text.contains("type veth")
            && (text.ends_with(&format!("peer name {name} netns @{space}"))
                || line.space == space && text.starts_with(&format!("link add {name} "))))
    });
    // IPv6 forgets the addresses of what is down: then nobody is known to have the next hop's.
    let or: &[Code] = if healthy.ipv6() { &[Code::NeighbourFailed] } else { &[] };
    let down = |draft: &mut Draft| draft.ip(space, format!("link set {name} down"));
    is_cable.then(|| healthy.with(Code::NoCarrier, down).or(or))
}

/// The sender has no address of the family.
pub(crate) fn no_source(_: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let from = healthy.probe.from;
    let out = healthy.out_of(from)?;
    if !healthy.ipv6() {
        return None;
    }
    Some(healthy.with(Code::NoSourceAddress, |draft| {
        draft.lines.retain(|line| {
            line.space != from || !matches!(&line.what, What::Ip(text) if text.starts_with("addr add"))
        });
        draft.ip(from, format!("route add {} dev {out}", healthy.target()));
    }))
}

/// Where a route to the destination stands: the namespaces that are not on its segment.
fn with_route(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<usize> {
    let last = healthy.segment(healthy.to, &healthy.into(healthy.to)?)?;
    let not_there = |space: &usize| healthy.draft.nodes[*space].ends.iter().all(|end| end.segment != last);
    chance.any(&healthy.routing().into_iter().filter(not_there).collect::<Vec<_>>())
}

/// Takes the routes of a namespace to a segment away.
fn forget(draft: &mut Draft, space: usize, segment: usize, ipv6: bool) {
    let starts = [format!("route add {} ", anywhere(ipv6)), format!("route add {} ", prefix(segment, ipv6))];
    draft.lines.retain(|line| {
        line.space != space
            || !matches!(&line.what, What::Ip(text) if starts.iter().any(|start| text.starts_with(start)))
    });
}

pub(crate) fn no_route(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = with_route(chance, healthy)?;
    let segment = healthy.segment(healthy.to, &owner_end(healthy)?)?;
    Some(healthy.with(Code::NoRoute, |draft| forget(draft, space, segment, healthy.ipv6())))
}

/// The interface that has the destination's address.
fn owner_end(healthy: &Healthy<'_>) -> Option<String> {
    let owns = |end: &&crate::generate::End| end.address(healthy.ipv6()) == healthy.probe.destination;
    healthy.draft.nodes[healthy.to].ends.iter().find(owns).map(|end| end.name.clone())
}

pub(crate) fn stopping_route(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = chance.any(&healthy.routing())?;
    let (kind, code) = *chance.pick(&[
        ("blackhole", Code::RouteBlackhole),
        ("unreachable", Code::RouteUnreachable),
        ("prohibit", Code::RouteProhibit),
        ("throw", Code::RouteThrow),
    ]);
    let target = healthy.target();
    Some(healthy.with(code, |draft| draft.ip(space, format!("route add {kind} {target}"))))
}

pub(crate) fn gateway(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let space = chance.any(&healthy.routing())?;
    let out = healthy.out_of(space)?;
    let gateway = if healthy.ipv6() { "fd0a::1" } else { "10.10.0.1" };
    let target = healthy.target();
    Some(healthy.with(Code::GatewayUnreachable, |draft| {
        draft.ip(space, format!("route add {target} via {gateway} dev {out} onlink"));
    }))
}

/// Nobody has the address, or that of the gateway.
pub(crate) fn neighbour(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let ipv6 = healthy.ipv6();
    if chance.percent(50) {
        let space = chance.any(&healthy.routing())?;
        let out = healthy.out_of(space)?;
        let segment = healthy.segment(space, &out)?;
        let nobody = if ipv6 { format!("fd00:{segment}::88") } else { format!("10.0.{segment}.88") };
        let target = healthy.target();
        return Some(
            healthy
                .with(Code::NeighbourFailed, |draft| {
                    draft.ip(space, format!("route add {target} via {nobody} dev {out}"));
                })
                .or(&[Code::GatewayUnreachable]),
        );
    }
    let segment = healthy.segment(healthy.to, &owner_end(healthy)?)?;
    let nobody = if ipv6 { format!("fd00:{segment}::77") } else { format!("10.0.{segment}.77") };
    let mut fault = healthy.with(Code::NeighbourFailed, |_| {});
    fault.probe.destination = nobody.parse().ok()?;
    Some(fault)
}

/// Somebody has the address, on another segment.
pub(crate) fn wrong_segment(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let ipv6 = healthy.ipv6();
    let segment = healthy.segment(healthy.to, &owner_end(healthy)?)?;
    let involved: Vec<usize> = healthy.way.iter().map(|(space, ..)| *space).collect();
    let elsewhere: Vec<(usize, String)> = healthy
        .draft
        .ends()
        .into_iter()
        .filter(|(node, _)| {
            !involved.contains(node)
                && healthy.draft.nodes[*node].ends.iter().all(|end| end.segment != segment)
        })
        .map(|(node, end)| (node, end.name))
        .collect();
    let (node, name) = chance.any(&elsewhere)?;
    let nobody = if ipv6 { format!("fd00:{segment}::77") } else { format!("10.0.{segment}.77") };
    let (length, nodad) = if ipv6 { (64, " nodad") } else { (24, "") };
    let mut fault = healthy.with(Code::WrongSegment, |draft| {
        draft.ip(node, format!("addr add {nobody}/{length} dev {name}{nodad}"));
    });
    fault.probe.destination = nobody.parse().ok()?;
    Some(fault)
}

/// Somebody else on the destination's segment has its address too.
pub(crate) fn same_address(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let ipv6 = healthy.ipv6();
    let segment = healthy.segment(healthy.to, &owner_end(healthy)?)?;
    // Whoever comes by another segment asks nobody for the address.
    if healthy.segment(healthy.to, &healthy.into(healthy.to)?) != Some(segment) {
        return None;
    }
    let involved: Vec<usize> = healthy.way.iter().map(|(space, ..)| *space).collect();
    let members = &healthy.draft.segments[segment].members;
    let others: Vec<_> = members.iter().filter(|(node, _)| !involved.contains(node)).copied().collect();
    let (node, end) = chance.any(&others)?;
    let name = healthy.draft.nodes[node].ends[end].name.clone();
    let (length, nodad) = if ipv6 { (64, " nodad") } else { (24, "") };
    Some(healthy.with(Code::DuplicateAddress, |draft| {
        draft.ip(node, format!("addr add {}/{length} dev {name}{nodad}", healthy.probe.destination));
    }))
}

pub(crate) fn forwarding(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let router = chance.any(&healthy.routers())?;
    let family = if healthy.ipv6() { "ipv6" } else { "ipv4" };
    Some(healthy.with(Code::ForwardingOff, |draft| {
        draft.sysctl(router, format!("net.{family}.conf.all.forwarding"), 0);
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
    Some(healthy.with(Code::RpFilter, |draft| {
        draft.ip(space, format!("route add {source}/32 dev {other}"));
        draft.sysctl(space, "net.ipv4.conf.all.rp_filter", 1);
    }))
}

/// The source is an address of a router's on the way, or of the destination's.
pub(crate) fn martian(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    if healthy.ipv6() {
        return None;
    }
    // The first of them is asked for by the sender, in the name of that address, and would not answer.
    let mut spaces = healthy.routers();
    spaces.push(healthy.to);
    spaces.remove(0);
    let space = chance.any(&spaces)?;
    let source = healthy.source()?;
    Some(healthy.with(Code::Martian, |draft| draft.ip(space, format!("addr add {source}/32 dev lo"))))
}

pub(crate) fn hop_limit(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let routers = healthy.routers().len();
    if routers == 0 {
        return None;
    }
    let mut fault = healthy.with(Code::TtlExpired, |_| {});
    fault.probe.ttl = u8::try_from(chance.between(1, routers)).ok()?;
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
    Some(healthy.with(Code::TtlExpired, |draft| {
        draft.ip(router, format!("route add {target} via {gateway} dev {into}"));
    }))
}

/// The destination does not know the way back.
pub(crate) fn no_return(_: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let from = healthy.probe.from;
    let segment = healthy.segment(from, &healthy.out_of(from)?)?;
    let to = healthy.to;
    if healthy.draft.nodes[to].ends.iter().any(|end| end.segment == segment)
        || !ways(healthy.draft, to).contains_key(&segment)
    {
        return None;
    }
    Some(
        healthy
            .with(Code::NoReturnRoute, |draft| forget(draft, to, segment, healthy.ipv6()))
            .or(&[Code::NatMissing]),
    )
}

/// Cables between routers that the packet crosses after the first: both ends.
pub(crate) fn later_cable(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<[(usize, String); 2]> {
    let routers = healthy.routers();
    let cables: Vec<[(usize, String); 2]> = healthy
        .way
        .windows(2)
        .filter(|pair| {
            pair[0].2
                && !pair[1].2
                && pair[0].0 != pair[1].0
                && routers.contains(&pair[0].0)
                && healthy.out_of(pair[0].0).as_ref() == Some(&pair[0].1)
        })
        .map(|pair| [(pair[0].0, pair[0].1.clone()), (pair[1].0, pair[1].1.clone())])
        .collect();
    chance.any(&cables)
}

/// A packet that is too big for a later cable, and what makes it so.
pub(crate) fn too_big(chance: &mut Chance, healthy: &Healthy<'_>, code: Code) -> Option<Fault> {
    if matches!(healthy.probe.what, Kind::Tcp(_)) {
        return None;
    }
    let ends = later_cable(chance, healthy)?;
    let mut fault = healthy.with(code, |draft| {
        for (space, name) in &ends {
            draft.ip(*space, format!("link set {name} mtu 1300"));
        }
    });
    fault.probe.size = 1400;
    fault.probe.dont_fragment = true;
    Some(fault)
}

pub(crate) fn mtu_exceeded(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    too_big(chance, healthy, Code::MtuExceeded)
}

/// The end that gets the packet takes less than the one that sends it.
pub(crate) fn mtu_mismatch(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    if matches!(healthy.probe.what, Kind::Tcp(_)) {
        return None;
    }
    let cables: Vec<(usize, String)> = healthy
        .way
        .windows(2)
        .filter(|pair| pair[0].2 && !pair[1].2 && pair[0].0 != pair[1].0)
        .map(|pair| (pair[1].0, pair[1].1.clone()))
        .filter(|(space, name)| {
            healthy.draft.nodes[*space].ends.iter().all(|end| end.name != *name) || !name.starts_with("br")
        })
        .collect();
    let (space, name) = chance.any(&cables)?;
    let mut fault =
        healthy.with(Code::MtuMismatch, |draft| draft.ip(space, format!("link set {name} mtu 1300")));
    fault.probe.size = 1450;
    Some(fault)
}
