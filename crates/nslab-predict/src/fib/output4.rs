//! The way of an IPv4 packet that is made here.

use std::net::{IpAddr, Ipv4Addr};

use nslab_kernel::link::IfIndex;
use nslab_kernel::route::{NextHop, RouteAction};
use nslab_snapshot::State;

use super::ORDER_OF_LINKS;
use super::decision::{Cast, Decision, Outcome, Reason, Stop, Verdict, Way};
use super::devices::{SCOPE_HOST, SCOPE_LINK, loopback};
use super::flow::Flow;
use super::rules::{Asked, Ruled};
use super::source4;
use super::table4::{self, Hops, How};
use crate::Doubt;

/// 224.0.0.0/24 (`ipv4_is_local_multicast`).
fn is_local_group(address: Ipv4Addr) -> bool {
    address.octets()[..3] == [224, 0, 0]
}

/// 0.0.0.0 (`ipv4_is_zeronet`); until Linux 5.3 all of 0.0.0.0/8.
pub(super) fn is_zeronet(address: Ipv4Addr) -> bool {
    address.is_unspecified()
}

fn stop(stop: Stop) -> Decision<Outcome> {
    Decision::certain(Outcome { verdict: Verdict::Stop(stop), reason: Reason::default() })
}

/// `ip_route_output_key_hash_rcu` (`net/ipv4/route.c`), to where it has checked the source.
pub(super) fn lookup(state: &State, flow: &Flow, to: Ipv4Addr) -> Decision<Outcome> {
    let source = match flow.source {
        Some(IpAddr::V4(source)) if !source.is_unspecified() => Some(source),
        _ => None,
    };
    if let Some(source) = source.filter(|_| !flow.any_source) {
        if source.is_multicast() || source.is_broadcast() || is_zeronet(source) {
            return stop(Stop::ImpossibleSource);
        }
        let back = Flow::to(source.into());
        // A group is reached where the source is.
        let by_owner = flow.oif.is_none() && (to.is_multicast() || to.is_broadcast());
        let owners = owners(state, source);
        if !owners.is_empty() {
            return if by_owner {
                straight_by(state, &owners, to, source)
            } else {
                by_rules(state, flow, to)
            };
        }
        return table4::local_link(state, &Asked::new(state, &back)).then(|link| match link {
            None => stop(Stop::ForeignSource),
            Some(link) if by_owner => straight_by(state, &[link], to, source),
            Some(_) => by_rules(state, flow, to),
        });
    }
    by_rules(state, flow, to)
}

/// The rest of it.
fn by_rules(state: &State, flow: &Flow, to: Ipv4Addr) -> Decision<Outcome> {
    let mut flow = *flow;
    let mut source = match flow.source {
        Some(IpAddr::V4(source)) if !source.is_unspecified() => Some(source),
        _ => None,
    };
    if let Some(oif) = flow.oif {
        let Some(link) = state.link(oif) else { return stop(Stop::NoLink) };
        if !link.up || link.ipv4.is_none() {
            return stop(Stop::LinkDown);
        }
        // Which of several is not followed up: the lookup that follows asks for a source in a rule or two at most.
        let select = |scope| source4::select(state, oif, None, scope).first().copied();
        if is_local_group(to) || to.is_broadcast() || flow.protocol == IGMP {
            return straight_from(state, oif, to, source, SCOPE_LINK);
        }
        if source.is_none() {
            if to.is_multicast() {
                source = select(0);
            } else if to.is_unspecified() {
                source = select(SCOPE_HOST);
            }
        }
    }
    if to.is_unspecified() {
        let own = source.unwrap_or(Ipv4Addr::LOCALHOST);
        let link = loopback(state).map(|link| link.index);
        let verdict = Verdict::Deliver { link, source: Some(own.into()) };
        return Decision::certain(Outcome { verdict, reason: Reason::default() });
    }
    flow.source = source.map(IpAddr::V4);
    let asked = Asked::new(state, &flow);
    table4::lookup(state, asked, How::default()).then(|ruled| found(state, &asked, to, source, ruled))
}

/// `IPPROTO_IGMP`.
pub(super) const IGMP: u8 = 2;

/// The links that have an address (`__ip_dev_find`).
fn owners(state: &State, address: Ipv4Addr) -> Vec<IfIndex> {
    let addresses = state.network.addresses.iter();
    let mut links: Vec<IfIndex> =
        addresses.filter(|own| own.address.addr() == IpAddr::V4(address)).map(|own| own.link).collect();
    links.dedup();
    links
}

/// To a group, by the link that has the source.
fn straight_by(state: &State, links: &[IfIndex], to: Ipv4Addr, source: Ipv4Addr) -> Decision<Outcome> {
    let mut joined = Decision { outcomes: Vec::new(), doubts: Vec::new() };
    for &link in links {
        joined.outcomes.extend(straight(state, link, to, Some(source)).outcomes);
    }
    joined.doubts.push(Doubt::new(
        format!("which of the links that have the address {source} the kernel comes to first"),
        "say by which interface the packet is to leave",
    ));
    joined.settled()
}

/// By a link, without a route.
fn straight(state: &State, link: IfIndex, to: Ipv4Addr, source: Option<Ipv4Addr>) -> Decision<Outcome> {
    let way = Way {
        link,
        gateway: None,
        weight: 1,
        cast: cast(to, None),
        source: source.map(IpAddr::V4),
        mtu: None,
    };
    let verdicts = checked(state, to, vec![way]).into_iter();
    let outcomes = verdicts.map(|verdict| Outcome { verdict, reason: Reason::default() }).collect();
    Decision { outcomes, doubts: Vec::new() }
}

/// As [`straight`], with a source of the link's if there is none yet.
fn straight_from(
    state: &State,
    link: IfIndex,
    to: Ipv4Addr,
    source: Option<Ipv4Addr>,
    scope: u8,
) -> Decision<Outcome> {
    let sources = match source {
        Some(source) => vec![source],
        None => source4::select(state, link, None, scope),
    };
    let several = sources.len() > 1;
    let sources: Vec<Option<Ipv4Addr>> =
        if sources.is_empty() { vec![None] } else { sources.into_iter().map(Some).collect() };
    let mut joined = Decision { outcomes: Vec::new(), doubts: Vec::new() };
    for source in sources {
        joined.outcomes.extend(straight(state, link, to, source).outcomes);
    }
    joined.doubts.extend(several.then(|| Doubt::new(ORDER_OF_LINKS.0, ORDER_OF_LINKS.1)));
    joined.settled()
}

fn cast(to: Ipv4Addr, action: Option<&RouteAction>) -> Cast {
    match action {
        _ if to.is_broadcast() => Cast::Broadcast,
        _ if to.is_multicast() => Cast::Multicast,
        Some(RouteAction::Broadcast(_)) => Cast::Broadcast,
        Some(RouteAction::Multicast(_)) => Cast::Multicast,
        _ => Cast::Unicast,
    }
}

/// What the rules came to, carried out.
fn found(
    state: &State,
    asked: &Asked<'_>,
    to: Ipv4Addr,
    source: Option<Ipv4Addr>,
    ruled: Ruled<Hops>,
) -> Decision<Outcome> {
    let Ruled { reason, result } = ruled;
    let hit = match result {
        Ok(hit) => hit,
        // Whoever binds to an interface is taken to know what is there.
        Err(_) if asked.oif.is_some() && (to.is_multicast() || asked.vrf.is_none()) => {
            let oif = asked.oif.unwrap_or_default();
            return straight_from(state, oif, to, source, SCOPE_LINK)
                .then(|outcome| Decision::certain(Outcome { reason: reason.clone(), ..outcome }));
        }
        Err(stop) => return Decision::certain(Outcome { verdict: Verdict::Stop(stop), reason }),
    };
    let Some(route) = state.network.routes.get(hit.route) else {
        return Decision::certain(Outcome { verdict: Verdict::Stop(Stop::NoRoute), reason });
    };
    let preferred = match route.source {
        Some(IpAddr::V4(preferred)) => Some(preferred),
        _ => None,
    };
    if let RouteAction::Local(link) = route.action {
        let source = source.or(preferred).unwrap_or(to);
        if let Some(lo) = loopback(state).filter(|_| to.is_multicast() || to.is_broadcast()) {
            // A group stays one, whatever the route says.
            return straight(state, lo.index, to, Some(source))
                .then(|outcome| Decision::certain(Outcome { reason: reason.clone(), ..outcome }));
        }
        let verdict = Verdict::Deliver { link, source: Some(source.into()) };
        return Decision::certain(Outcome { verdict, reason });
    }
    let sources = |hop: &NextHop| {
        let neighbour = match hop.via {
            Some(IpAddr::V4(via)) => Some(via),
            _ => None,
        };
        match (source.or(preferred), hop.link) {
            (Some(source), _) => vec![source],
            (None, None) => Vec::new(),
            (None, Some(link)) => source4::select(state, link, neighbour, route.scope.unwrap_or(0)),
        }
    };
    // `place`: which of the sources that are possible. `own`: gateways that are addresses of this namespace are none.
    let ways = |hops: &Hops, place: usize, own: bool| -> Vec<Verdict> {
        let cast = cast(to, Some(&route.action));
        let ways = hops.iter().filter_map(|hop| {
            let link = hop.link?;
            let sources = sources(hop);
            let chosen = sources.get(place).or(sources.last()).copied();
            // No gateway for groups, unless a route is for groups (`__mkroute_output`).
            let direct = cast == Cast::Broadcast || cast == Cast::Multicast && route.to.prefix_len() < 4;
            Some(Way {
                link,
                gateway: hop.via.filter(|_| !(direct || own && table4::is_own_gateway(state, hop))),
                weight: hop.weight,
                cast,
                source: chosen.map(IpAddr::V4),
                mtu: route.mtu,
            })
        });
        checked(state, to, ways.collect())
    };
    let rivals = if asked.oif.is_none() && hit.detail.len() == 1 {
        table4::rivals(state, hit.route)
    } else {
        Vec::new()
    };
    let most = hit.detail.iter().map(|hop| sources(hop).len()).max().unwrap_or(0).max(1);
    let mut doubts = Vec::new();
    if most > 1 {
        doubts.push(Doubt::new(ORDER_OF_LINKS.0, ORDER_OF_LINKS.1));
    }
    let own: &[bool] = if hit.detail.iter().any(|hop| table4::is_own_gateway(state, hop)) {
        doubts.push(table4::own_gateway());
        &[true, false]
    } else {
        &[false]
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (place, &own) in (0..most).flat_map(|place| own.iter().map(move |own| (place, own))) {
        let verdicts = ways(&hit.detail, place, own);
        if verdicts.len() > 1 {
            doubts.push(Doubt::new(
                "which of the route's ways the packet's hash chooses: only some of them let a loopback source out",
                "send the packet",
            ));
        }
        outcomes.extend(verdicts.into_iter().map(|verdict| Outcome { verdict, reason: reason.clone() }));
    }
    for (place, hops) in rivals {
        let reason = Reason { route: Some(place), ..reason.clone() };
        let verdicts = ways(&hops, 0, true).into_iter();
        outcomes.extend(verdicts.map(|verdict| Outcome { verdict, reason: reason.clone() }));
        doubts.push(Doubt::new(
            "which of several default routes of one metric is taken: the kernel prefers gateways that answer",
            "give the routes different metrics",
        ));
    }
    Decision { outcomes, doubts }.settled()
}

/// What is checked last (`__mkroute_output`). There are two verdicts if only some of the ways pass.
fn checked(state: &State, to: Ipv4Addr, ways: Vec<Way>) -> Vec<Verdict> {
    if is_zeronet(to) {
        return vec![Verdict::Stop(Stop::ImpossibleDestination)];
    }
    let from_loopback = |way: &Way| {
        let Some(link) = state.link(way.link) else { return false };
        let localnet =
            link.ipv4.is_some_and(|ipv4| ipv4.route_localnet) || state.settings.ipv4_all.route_localnet;
        way.source.is_some_and(|source| source.is_loopback()) && !link.loopback && !localnet
    };
    let (bad, good): (Vec<Way>, Vec<Way>) = ways.into_iter().partition(from_loopback);
    let stopped = (!bad.is_empty()).then_some(Verdict::Stop(Stop::LoopbackSource));
    let leaving = (!good.is_empty() || bad.is_empty()).then_some(Verdict::Leave(good));
    leaving.into_iter().chain(stopped).collect()
}
