//! Why routing has no way for a packet, and who is told of it.

use std::net::IpAddr;

use nslab_kernel::link::{IfIndex, Link};
use nslab_snapshot::State;

use super::run::Run;
use super::words;
use crate::fib::{self, DropReason, Stop};
use crate::{Cause, Code, Error, Evidence};

/// Why there is no way for a packet that is made here.
pub(super) fn no_way(run: &Run, state: &State, stop: Stop, reason: &fib::Reason) -> Cause {
    let ns = run.namespace;
    let to = run.packet.ip.destination;
    if to.is_loopback()
        && let Some(lo) = state.network.links.iter().find(|link| link.loopback && !link.up)
    {
        return Cause::new(Code::LoopbackDown, ns, "lo", format!("{to} is of lo, which is down"))
            .at(lo.index);
    }
    match stop {
        Stop::NoRoute
        | Stop::Blackhole
        | Stop::Unreachable
        | Stop::Prohibit
        | Stop::UnusableRoute
        | Stop::LoopbackRoute => refusal(ns, state, to, stop, reason),
        Stop::NoSource | Stop::ImpossibleSource => {
            let family = if to.is_ipv6() { "IPv6" } else { "IPv4" };
            let text = format!("no interface has an {family} address that a packet to {to} could be from");
            Cause::new(Code::NoSourceAddress, ns, "addresses", text)
        }
        Stop::ForeignSource => {
            let from = run.packet.ip.source;
            Cause::new(
                Code::NoSourceAddress,
                ns,
                from.to_string(),
                format!("{from} is no address of this namespace"),
            )
        }
        Stop::LoopbackSource => Cause::new(
            Code::Martian,
            ns,
            run.packet.ip.source.to_string(),
            "a packet from 127.0.0.0/8 may leave by lo only",
        ),
        Stop::ImpossibleDestination => {
            Cause::new(Code::Martian, ns, to.to_string(), format!("nothing can be sent to {to}"))
        }
        Stop::NoLink | Stop::LinkDown => Cause::new(
            Code::LinkDown,
            ns,
            "interface",
            "the interface that it is bound to is not there or down",
        ),
    }
}

/// Why routing refuses a packet.
fn refusal(ns: usize, state: &State, to: IpAddr, stop: Stop, reason: &fib::Reason) -> Cause {
    let (code, verb) = match stop {
        Stop::Blackhole => (Code::RouteBlackhole, "drops it without a word"),
        Stop::Unreachable => (Code::RouteUnreachable, "says that it cannot be reached"),
        Stop::Prohibit => (Code::RouteProhibit, "prohibits it"),
        _ => (Code::NoRoute, "leads nowhere"),
    };
    if let Some(place) = reason.route
        && let Some(route) = state.network.routes.get(place)
    {
        let object = words::route(state, route);
        return Cause::new(code, ns, object.clone(), format!("the route `{object}` {verb}"))
            .with(Evidence::Route(place));
    }
    if code != Code::NoRoute
        && let Some(place) = reason.rule
        && let Some(rule) = state.network.rules.get(place)
    {
        let object = words::policy_rule(rule);
        return Cause::new(code, ns, object.clone(), format!("the {object} {verb}"))
            .with(Evidence::PolicyRule(place));
    }
    if let Some(place) = reason.thrown
        && let Some(route) = state.network.routes.get(place)
    {
        let object = words::route(state, route);
        let text =
            format!("the route `{object}` sends it to the next table, and no other has a route to {to}");
        return Cause::new(Code::RouteThrow, ns, object, text).with(Evidence::Route(place));
    }
    no_route(ns, state, to)
}

/// No route matches: because there is none, or as an interface is down that one would lead by.
fn no_route(ns: usize, state: &State, to: IpAddr) -> Cause {
    if let Some(link) = guilty(state, to) {
        let text = format!("there is no route to {to}, as {} is down", link.name);
        return Cause::new(Code::LinkDown, ns, link.name.to_string(), text)
            .at(link.index)
            .with(Evidence::NoRoute(to));
    }
    let object = if to.is_ipv6() { "IPv6 routes" } else { "routes" };
    Cause::new(Code::NoRoute, ns, object, format!("no route matches {to}")).with(Evidence::NoRoute(to))
}

/// The interface that is down and that a route to `to` may have been by. The kernel forgets the routes by an interface that
/// goes down (`fib_sync_down_dev`, `net/ipv4/fib_semantics.c`), and IPv6 its addresses as well (`addrconf_ifdown`), so that
/// of several nobody can tell.
fn guilty(state: &State, to: IpAddr) -> Option<&Link> {
    let down = || state.network.links.iter().filter(|link| !link.up && !link.loopback);
    let own = |link: &Link| {
        let all = state.network.addresses.iter();
        let index = link.index;
        all.filter(move |own| own.link == index).map(|own| own.address)
    };
    let would = |link: &&Link| own(link).any(|net| net.contains(&to));
    // One that nobody has set up for anything has no addresses.
    let is_used = |link: &&Link| own(link).next().is_some();
    let family = |link: &&Link| own(link).any(|net| net.addr().is_ipv6() == to.is_ipv6());
    let none_up = !state.network.links.iter().any(|link| link.up && !link.loopback);
    down()
        .find(would)
        .or_else(|| down().find(family))
        .or_else(|| down().find(is_used).filter(|_| to.is_ipv6()))
        .or_else(|| down().next().filter(|_| none_up && to.is_ipv6()))
}

/// Why it goes no further, and who hears of it.
pub(super) fn refused(
    run: &Run,
    state: &State,
    link: IfIndex,
    drop: DropReason,
    reason: &fib::Reason,
) -> (Cause, Option<Error>) {
    let ns = run.namespace;
    let (from, to) = (run.packet.ip.source, run.packet.ip.destination);
    let name = words::link(state, link);
    let ipv6 = run.packet.is_ipv6();
    let martian = |object: String, text: String| (Cause::new(Code::Martian, ns, object, text).at(link), None);
    match drop {
        DropReason::LinkDown => {
            (Cause::new(Code::LinkDown, ns, name.clone(), format!("{name} is down")).at(link), None)
        }
        DropReason::ProtocolOff => {
            let object = if ipv6 { format!("net.ipv6.conf.{name}.disable_ipv6") } else { name.clone() };
            let version = if ipv6 { "IPv6" } else { "IPv4" };
            let (cause, error) = martian(object.clone(), format!("{name} does no {version}"));
            (cause.with(Evidence::Sysctl(object)), error)
        }
        DropReason::ImpossibleSource => martian(name, format!("{from} can be nobody's source")),
        DropReason::LoopbackSource => {
            martian(name.clone(), format!("{from} is a loopback address and it comes in by {name}"))
        }
        DropReason::LoopbackDestination => {
            martian(name.clone(), format!("{to} is a loopback address and it comes in by {name}"))
        }
        DropReason::ImpossibleDestination => martian(name, format!("{to} can be nobody's address")),
        DropReason::OwnSource => {
            let object = format!("net.ipv4.conf.{name}.accept_local");
            let text = format!(
                "{from} is this namespace's own address, and it comes in by {name} (accept_local is off)"
            );
            let (cause, error) = martian(object.clone(), text);
            (cause.with(Evidence::Sysctl(object)), error)
        }
        DropReason::UnusableSource => {
            martian(name, format!("the route back to {from} is none by which packets are sent"))
        }
        DropReason::ReversePath { strict } => {
            let object = format!("net.ipv4.conf.{name}.rp_filter");
            let text = if strict {
                format!(
                    "it comes in by {name}, and the way back to {from} does not lead by it (rp_filter is strict)"
                )
            } else {
                format!("there is no way back to {from} (rp_filter)")
            };
            let cause = Cause::new(Code::RpFilter, ns, object.clone(), text).at(link);
            (cause.with(Evidence::Sysctl(object)), None)
        }
        DropReason::ForwardingOff => {
            let key = forwarding_key(state, &name, ipv6);
            let text = format!("it is for {to}, which is elsewhere, and forwarding is off");
            let cause = Cause::new(Code::ForwardingOff, ns, key.clone(), text).at(link);
            (cause.with(Evidence::Sysctl(key)), None)
        }
        DropReason::NoMember => martian(name, format!("nobody here listens to the group {to}")),
        DropReason::BeyondScope => {
            let (cause, _) = martian(
                name.clone(),
                format!("{from} or {to} is of one link only, and must not be forwarded"),
            );
            (cause, Some(Error::Icmp { kind: 1, code: 2, mtu: None }))
        }
        DropReason::Routing(stop) => {
            let by_rule = reason.route.is_none();
            (refusal(ns, state, to, stop, reason), told(stop, ipv6, by_rule))
        }
    }
}

/// Which sysctl keeps an interface from passing packets on: its own, where the namespace forwards otherwise. IPv6 has but one.
fn forwarding_key(state: &State, link: &str, ipv6: bool) -> String {
    match (ipv6, state.settings.ipv4_all.forwarding) {
        (true, _) => "net.ipv6.conf.all.forwarding".to_owned(),
        (false, false) => "net.ipv4.ip_forward".to_owned(),
        (false, true) => format!("net.ipv4.conf.{link}.forwarding"),
    }
}

/// What the sender is told of a packet that routing refuses (`ip_error`, `net/ipv4/route.c`; `ip6_pkt_discard` and
/// `ip6_pkt_prohibit`, `net/ipv6/route.c`). A policy rule's `unreachable` means the network, that of a route the host
/// (`fib4_rule_action`, `net/ipv4/fib_rules.c`; `fib_props`, `net/ipv4/fib_semantics.c`).
fn told(stop: Stop, ipv6: bool, by_rule: bool) -> Option<Error> {
    let icmp = |kind, code| Some(Error::Icmp { kind, code, mtu: None });
    match (stop, ipv6) {
        (Stop::Prohibit, false) => icmp(3, 13),
        (Stop::Prohibit, true) => icmp(1, 1),
        (Stop::Unreachable, false) => icmp(3, u8::from(!by_rule)),
        (Stop::NoRoute, false) => icmp(3, 0),
        (Stop::Blackhole, _) | (_, false) => None,
        (_, true) => icmp(1, 0),
    }
}
