//! Faults of firewalls.

use nslab_predict::Code;

use super::bridged::crossed;
use super::{Fault, Healthy, Place};
use crate::chance::Chance;
use crate::generate::Draft;
use crate::probe::Kind;

/// A chain of its own with a rule.
pub(super) fn rule(draft: &mut Draft, space: usize, hook: &str, rule: &str) {
    rule_of(draft, space, "inet", hook, rule);
}

fn rule_of(draft: &mut Draft, space: usize, family: &str, hook: &str, rule: &str) {
    draft.nft(space, format!("add table {family} f"));
    draft.nft(
        space,
        format!("add chain {family} f {hook} {{ type filter hook {hook} priority 0; policy accept; }}"),
    );
    draft.nft(space, format!("add rule {family} f {hook} {rule}"));
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
    let about = about(healthy);
    if chance.percent(20)
        && let Some((space, ..)) = crossed(chance, healthy)
    {
        return Some(healthy.with(Code::FirewallDrop, Place::at(space, "bridge f forward"), |draft| {
            rule_of(draft, space, "bridge", "forward", &format!("{about} drop"));
        }));
    }
    if chance.percent(20) {
        // Other hooks, where all that passes is seen.
        let last = *chance.pick(&healthy.routing());
        let (space, hook) = *chance.pick(&[(healthy.to, "prerouting"), (last, "postrouting")]);
        return Some(healthy.with(Code::FirewallDrop, Place::at(space, format!("inet f {hook}")), |draft| {
            rule(draft, space, hook, &format!("{about} drop"));
        }));
    }
    let (space, hook) = place(chance, healthy);
    let is_policy = chance.percent(30) && hook != "output";
    Some(healthy.with(Code::FirewallDrop, Place::at(space, format!("inet f {hook}")), |draft| {
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
            rule(draft, space, hook, &format!("{about} drop"));
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
    Some(healthy.with(Code::FirewallReject, Place::at(space, format!("inet f {hook}")), |draft| {
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
    Some(healthy.with(Code::ReturnDropped, Place::at(space, format!("inet f {hook}")), |draft| {
        rule(draft, space, hook, &format!("{about} drop"));
    }))
}
