//! Faults of firewalls, programs and queues.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_predict::Code;

use super::routed::too_big;
use super::{Fault, Healthy};
use crate::chance::Chance;
use crate::generate::Draft;
use crate::network::Service;
use crate::probe::{Kind, Probe};

/// A chain of its own with a rule.
fn rule(draft: &mut Draft, space: usize, hook: &str, rule: &str) {
    draft.nft(space, "add table inet f");
    draft.nft(
        space,
        format!("add chain inet f {hook} {{ type filter hook {hook} priority 0; policy accept; }}"),
    );
    draft.nft(space, format!("add rule inet f {hook} {rule}"));
}

/// What the packet is, as a rule asks it.
fn about(healthy: &Healthy<'_>) -> String {
    match healthy.probe.what {
        Kind::Echo if healthy.ipv6() => "icmpv6 type echo-request".into(),
        Kind::Echo => "icmp type echo-request".into(),
        Kind::Udp(port) => format!("udp dport {port}"),
        Kind::Tcp(port) => format!("tcp dport {port}"),
        Kind::Other(number) => format!("meta l4proto {number}"),
    }
}

/// Where it can be filtered.
fn place(chance: &mut Chance, healthy: &Healthy<'_>) -> (usize, &'static str) {
    let mut places = vec![(healthy.probe.from, "output"), (healthy.to, "input")];
    places.extend(healthy.routers().into_iter().map(|router| (router, "forward")));
    *chance.pick(&places)
}

pub(crate) fn drop(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, hook) = place(chance, healthy);
    let is_policy = chance.percent(30) && hook != "output";
    Some(healthy.with(Code::FirewallDrop, |draft| {
        if is_policy {
            draft.nft(space, "add table inet f");
            let chain =
                format!("add chain inet f {hook} {{ type filter hook {hook} priority 0; policy drop; }}");
            draft.nft(space, chain);
            // Neighbours are found by ICMPv6, which comes this way too.
            draft.nft(
                space,
                format!(
                    "add rule inet f {hook} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept"
                ),
            );
        } else {
            rule(draft, space, hook, &format!("{} drop", about(healthy)));
        }
    }))
}

pub(crate) fn reject(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (space, hook) = place(chance, healthy);
    let with = match healthy.probe.what {
        Kind::Tcp(_) if chance.percent(60) => " with tcp reset",
        _ if chance.percent(40) => " with icmpx type admin-prohibited",
        _ => "",
    };
    Some(healthy.with(Code::FirewallReject, |draft| {
        rule(draft, space, hook, &format!("{} reject{with}", about(healthy)));
    }))
}

/// The answer is dropped.
pub(crate) fn answer(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let mut places = vec![(healthy.probe.from, "input"), (healthy.to, "output")];
    places.extend(healthy.routers().into_iter().map(|router| (router, "forward")));
    let (space, hook) = *chance.pick(&places);
    let about = match healthy.probe.what {
        Kind::Echo if healthy.ipv6() => "icmpv6 type echo-reply".into(),
        Kind::Echo => "icmp type echo-reply".into(),
        Kind::Udp(port) => format!("udp sport {port}"),
        Kind::Tcp(port) => format!("tcp sport {port}"),
        Kind::Other(_) => return None,
    };
    // Routers that the answer does not come by would not stop it: then it is no fault.
    Some(healthy.with(Code::ReturnDropped, |draft| rule(draft, space, hook, &format!("{about} drop"))))
}

/// What would tell the sender is dropped.
pub(crate) fn pmtu_blackhole(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let mut fault = too_big(chance, healthy, Code::PmtuBlackhole)?;
    let about = if healthy.ipv6() {
        "icmpv6 type packet-too-big drop"
    } else {
        "icmp type destination-unreachable drop"
    };
    rule(&mut fault.draft, healthy.probe.from, "input", about);
    Some(fault)
}

/// A port that nothing else is at.
const FREE: u16 = 9999;

fn at_free_port(chance: &mut Chance, healthy: &Healthy<'_>) -> Probe {
    let what = *chance.pick(&[Kind::Udp(FREE), Kind::Tcp(FREE)]);
    let least = Probe::least(healthy.ipv6(), what);
    let size = if matches!(what, Kind::Tcp(_)) { least } else { least.max(84) };
    Probe { what, size, ..healthy.probe.clone() }
}

pub(crate) fn no_listener(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let probe = at_free_port(chance, healthy);
    Some(Fault { probe, ..healthy.with(Code::NoListener, |_| {}) })
}

pub(crate) fn other_address(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let probe = at_free_port(chance, healthy);
    let service = match probe.what {
        Kind::Udp(port) => Service::Udp(port),
        _ => Service::Tcp(FREE),
    };
    let local: IpAddr = if healthy.ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let fault =
        healthy.with(Code::ListenerOtherAddress, |draft| draft.listen(healthy.to, service, local, false));
    Some(Fault { probe, ..fault })
}

/// A queueing discipline drops all that is sent.
pub(crate) fn qdisc(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let sent: Vec<(usize, String)> = healthy
        .way
        .iter()
        .filter(|(.., sent)| *sent)
        .map(|(space, name, _)| (*space, name.clone()))
        .collect();
    let (space, name) = chance.any(&sent)?;
    Some(healthy.with(Code::TcDrop, |draft| draft.tc(space, format!("qdisc add dev {name} root blackhole"))))
}
