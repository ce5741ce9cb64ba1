//! What routing decides in one namespace: policy rules, tables, next hops, source addresses, and what is checked of packets
//! that come in.
//!
//! Each step follows one function of the kernel, which its comment names; figures and orders are those of Linux 6.18.
//! Rules and routes are named by their places in the state, so that whoever explains a decision can print them.

mod arrival;
mod decision;
mod devices;
mod flow;
mod input4;
mod input6;
mod output4;
mod output6;
mod rules;
mod source4;
mod source6;
mod table;
mod table4;
mod table6;
#[cfg(test)]
mod tests;
mod validate;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_kernel::link::IfIndex;
use nslab_snapshot::State;

pub use arrival::{Arrival, DropReason, Fate};
pub use decision::{Cast, Decision, Outcome, Reason, Stop, Verdict, Way};
pub use flow::Flow;

/// A doubt: what it is about, and what would settle it.
const ORDER_OF_LINKS: (&str, &str) = (
    "which link's address is the source: the one that leads to the destination has none, and the kernel takes the first \
     of the others that has, in an order that it does not tell",
    "give the route a source (src ADDRESS), or the link an address",
);

/// The way of a packet that is made in a namespace.
pub fn lookup(state: &State, flow: &Flow) -> Decision<Outcome> {
    let mut decision = match flow.destination {
        IpAddr::V4(to) => output4::lookup(state, flow, to),
        IpAddr::V6(to) => output6::lookup(state, flow, to),
    };
    same_end(&mut decision, |outcome| (outcome.verdict.clone(), outcome.reason.route));
    decision
}

/// What becomes of a packet that comes in by a link, which [`Flow::iif`] names, after prerouting: checks, delivery,
/// forwarding.
pub fn input(state: &State, flow: &Flow, link: IfIndex) -> Decision<Arrival> {
    let flow = Flow { iif: Some(link), oif: None, ..*flow };
    let mut decision = match flow.destination {
        IpAddr::V4(to) => input4::input(state, &flow, to, link),
        IpAddr::V6(to) => input6::input(state, &flow, to, link),
    };
    same_end(&mut decision, |arrival| (arrival.fate.clone(), arrival.reason.route));
    decision
}

/// The route of a packet whose destination rules have changed at a port of the bridge `link` (`br_nf_pre_routing_finish`,
/// `net/bridge/br_netfilter_hooks.c`; `br_nf_pre_routing_finish_ipv6`, where nobody asks whether IPv6 is forwarded).
pub fn bridged(state: &State, flow: &Flow, link: IfIndex) -> Decision<Arrival> {
    let flow = Flow { iif: Some(link), oif: None, ..*flow };
    match flow.destination {
        IpAddr::V4(to) => input4::input(state, &flow, to, link),
        IpAddr::V6(to) => input6::route(state, &flow, to, link),
    }
}

/// The IPv4 addresses that the kernel may choose as a source for what leaves by a link, best one of the subnet of
/// `neighbour`, with addresses up to `scope` (`RT_SCOPE_*`; `inet_select_addr`, `net/ipv4/devinet.c`): several if it is not
/// known which other link's address it comes to first.
pub fn select_source4(state: &State, link: IfIndex, neighbour: Option<Ipv4Addr>, scope: u8) -> Vec<IpAddr> {
    source4::select(state, link, neighbour, scope).into_iter().map(IpAddr::V4).collect()
}

/// The IPv6 addresses that the kernel may choose as a source for what leaves by a link toward `to`
/// (`ipv6_dev_get_saddr`, `net/ipv6/addrconf.c`).
pub fn select_source6(state: &State, link: IfIndex, to: Ipv6Addr) -> Vec<IpAddr> {
    source6::select(state, Some(link), to).into_iter().map(IpAddr::V6).collect()
}

/// Drops outcomes that differ in the rules by which they came about alone.
fn same_end<T: PartialEq, K: PartialEq>(decision: &mut Decision<T>, end: impl Fn(&T) -> K) {
    let mut seen = Vec::new();
    decision.outcomes.retain(|outcome| {
        let end = end(outcome);
        let new = !seen.contains(&end);
        seen.push(end);
        new
    });
    if decision.outcomes.len() < 2 {
        decision.doubts.clear();
    }
}
