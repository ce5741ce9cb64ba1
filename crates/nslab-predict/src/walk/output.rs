//! Packets that are made in a namespace (`ip_local_out`, `net/ipv4/ip_output.c`; `ip6_local_out`).

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::Hook;
use nslab_snapshot::State;

use super::hooks::At;
use super::routing::no_way;
use super::run::{Phase, RefusedWith, Run};
use super::{Walk, words};
use crate::fib::{self, Cast, Flow, Outcome, Verdict, Way};
use crate::l2::Port;
use crate::nft::Tracking;
use crate::{Action, Cause, Code, Doubt, Evidence, Transport};

impl Walk<'_> {
    /// A program, or the kernel, makes a packet.
    pub(super) fn make(&mut self, mut run: Run) {
        if self.one_way && !run.is_request() {
            return self.ends.push(run.end_of_request());
        }
        let Some(state) = self.state(run.namespace) else {
            return self.unreadable(run);
        };
        let uid = match (&run.phase, run.packet.transport) {
            (Phase::Request, _) | (Phase::Answer, Transport::Tcp(_) | Transport::Udp { .. }) => None,
            _ => Some(0),
        };
        run.made = true;
        run.came_by = None;
        run.by_bridge = false;
        run.turned = None;
        run.refused_with = RefusedWith::Own;
        run.step(Action::Make, words::packet(&run.packet), "");
        if let Some(cause) = no_connection(&run) {
            return self.drop(run, cause);
        }
        let any_source = matches!((&run.phase, run.packet.transport), (Phase::Error(_), Transport::Tcp(_)));
        let flow = Flow { uid, oif: run.oif, bound: false, any_source, ..Flow::of(&run.packet, None) };
        let decision = fib::lookup(state, &flow);
        let several = decision.outcomes.len() > 1;
        // TCP of IPv4 asks once more with the source that it got (`ip_route_connect`, `include/net/route.h`).
        let asks_again = run.is_request()
            && !run.packet.is_ipv6()
            && run.packet.ip.source.is_unspecified()
            && matches!(run.packet.transport, Transport::Tcp(_));
        for outcome in decision.outcomes {
            let mut run = run.clone();
            if several {
                run.doubts.extend(decision.doubts.iter().cloned());
            }
            let source = match &outcome.verdict {
                Verdict::Deliver { source, .. } => *source,
                Verdict::Leave(ways) => ways.first().and_then(|way| way.source),
                Verdict::Stop(_) => None,
            };
            match source.filter(|source| asks_again && !source.is_unspecified()) {
                Some(source) => self.again(run, state, &Flow { source: Some(source), ..flow }),
                None => self.routed(run, state, outcome),
            }
        }
    }

    /// The route is looked for once more.
    fn again(&mut self, mut run: Run, state: &State, flow: &Flow) {
        set_source(&mut run, flow.source);
        let decision = fib::lookup(state, flow);
        let several = decision.outcomes.len() > 1;
        for outcome in decision.outcomes {
            let mut run = run.clone();
            if several {
                run.doubts.extend(decision.doubts.iter().cloned());
            }
            self.routed(run, state, outcome);
        }
    }

    /// A packet that is made here has its route.
    fn routed(&mut self, mut run: Run, state: &State, outcome: Outcome) {
        note_route(&mut run, state, &outcome.reason);
        match outcome.verdict {
            Verdict::Stop(stop) => {
                let cause = no_way(&run, state, stop, &outcome.reason);
                self.drop(run, cause);
            }
            Verdict::Deliver { source, .. } => {
                set_source(&mut run, source);
                self.filtered(run, state, None);
            }
            // `tcp_v4_connect`, `net/ipv4/tcp_ipv4.c`.
            Verdict::Leave(ways)
                if run.is_request()
                    && matches!(run.packet.transport, Transport::Tcp(_))
                    && ways.iter().any(|way| way.cast != Cast::Unicast) =>
            {
                let cause = to_a_group(&run);
                self.drop(run, cause);
            }
            Verdict::Leave(ways) => {
                for (way, mut run) in each_way(run, ways) {
                    set_source(&mut run, way.source);
                    if run.packet.ip.source.is_unspecified() {
                        let object = words::link(state, way.link);
                        let text = format!("{object} has no address that the packet could be from");
                        let cause =
                            Cause::new(Code::NoSourceAddress, run.namespace, object, text).at(way.link);
                        // IPv4 sends it all the same, from 0.0.0.0, and nobody takes it.
                        if run.packet.is_ipv6() {
                            self.drop(run, cause);
                            continue;
                        }
                        run.sourceless = Some(cause);
                    }
                    self.filtered(run, state, Some(&way));
                }
            }
        }
    }

    /// Through the hooks of output and postrouting, and out: by `way`, or by `lo` to this namespace itself.
    fn filtered(&mut self, mut run: Run, state: &State, way: Option<&Way>) {
        if run.is_request() && run.sent.is_none() {
            run.sent = Some(run.packet.clone());
            if too_big_to_send(&run, state, way) {
                let mtu = mtu(state, way, run.packet.is_ipv6());
                return self.too_big_here(run, state, way, mtu);
            }
        }
        // A socket of UDP lets the kernel cut what is too long for the first link (`IP_PMTUDISC_WANT`).
        let too_long = run.packet.ip.size > mtu(state, way, run.packet.is_ipv6());
        if matches!(run.phase, Phase::Answer) && too_long {
            run.packet.ip.dont_fragment = false;
        }
        let output = output_link(state, way);
        let tracked = !matches!(run.tracking, Tracking::None);
        let at = At { tracked, ..At::new(Hook::Output, None, output) };
        for (run, rerouted) in self.hook(run, state, at) {
            if rerouted {
                self.reroute(&run, state, output);
            } else {
                self.postrouting(run, state, way);
            }
        }
    }

    /// Rules changed what its route hangs on (`ip_route_me_harder`, `net/ipv4/netfilter.c`). To an address of one link it goes by
    /// the interface by which it was to go before (`ip6_route_me_harder`, `net/ipv6/netfilter.c`).
    fn reroute(&mut self, run: &Run, state: &State, output: Option<IfIndex>) {
        let of_link = match run.packet.ip.destination {
            IpAddr::V6(to) => to.is_unicast_link_local() || to.is_multicast(),
            IpAddr::V4(_) => false,
        };
        let oif = output.filter(|_| of_link);
        let decision = fib::lookup(state, &Flow { any_source: true, oif, ..Flow::of(&run.packet, None) });
        let several = decision.outcomes.len() > 1;
        for outcome in decision.outcomes {
            let mut run = run.clone();
            if several {
                run.doubts.extend(decision.doubts.iter().cloned());
            }
            note_route(&mut run, state, &outcome.reason);
            match outcome.verdict {
                Verdict::Stop(stop) => {
                    let cause = no_way(&run, state, stop, &outcome.reason);
                    self.drop(run, cause);
                }
                Verdict::Deliver { .. } => self.postrouting(run, state, None),
                Verdict::Leave(ways) => {
                    for (way, run) in each_way(run, ways) {
                        self.postrouting(run, state, Some(&way));
                    }
                }
            }
        }
    }

    fn postrouting(&mut self, run: Run, state: &State, way: Option<&Way>) {
        let output = output_link(state, way);
        let at = At { tracked: true, ..At::new(Hook::Postrouting, None, output) };
        for (mut run, _) in self.hook(run, state, at) {
            super::tracking::confirm(&mut run);
            match way {
                Some(way) => self.leave(run, state, way),
                None => self.loop_back(run, state),
            }
        }
    }
    /// Out by `lo` and in again (`loopback_xmit`, `drivers/net/loopback.c`).
    fn loop_back(&mut self, mut run: Run, state: &State) {
        let Some(lo) = state.network.links.iter().find(|link| link.loopback) else {
            return self.unknown(run, "lo", Doubt::new("a namespace without lo", "look with `ip link`"));
        };
        if !lo.up {
            let text =
                format!("{} is this namespace's own address, and lo is down", run.packet.ip.destination);
            let cause = Cause::new(Code::LoopbackDown, run.namespace, "lo", text).at(lo.index);
            return self.drop(run, cause);
        }
        run.step_at(lo.index, Action::Send, lo.name.to_string(), "");
        run.step_at(lo.index, Action::Receive, lo.name.to_string(), "");
        let at = At { tracked: true, ..At::new(Hook::Prerouting, Some(lo.index), None) };
        let to = run.packet.ip.destination;
        for (run, _) in self.hook(run, state, at) {
            // The route of the way out is kept; a packet that goes elsewhere now is routed anew.
            if run.packet.ip.destination == to {
                self.local(run, state, lo.index);
            } else {
                self.arrived(&run, state, lo.index);
            }
        }
    }

    fn too_big_here(&mut self, run: Run, state: &State, way: Option<&Way>, mtu: u32) {
        let size = run.packet.ip.size;
        let link = way.map_or(1, |way| way.link);
        let object = words::link(state, link);
        let mut text = format!("it has {size} bytes and may not be fragmented, and {object} takes {mtu}");
        if self.inside.is_empty() {
            text.push_str(": the program is told");
        }
        let cause = Cause::new(Code::MtuExceeded, run.namespace, object, text)
            .at(link)
            .with(Evidence::Mtu { size, mtu });
        self.drop(run, cause);
    }

    /// By an interface, to whoever is next (`ip_finish_output`, `ip_finish_output2`).
    pub(super) fn leave(&mut self, mut run: Run, state: &State, way: &Way) {
        if way.cast != Cast::Unicast {
            let what = "who gets what is sent to a group or to all";
            return self.unknown(run, words::link(state, way.link), Doubt::new(what, "send it and look"));
        }
        let mtu = mtu(state, Some(way), run.packet.is_ipv6());
        if run.size() > mtu {
            // What may not be cut was refused before.
            run.step_at(
                way.link,
                Action::Fragment,
                words::link(state, way.link),
                format!("{} bytes into pieces of at most {mtu}", run.packet.ip.size),
            );
            run.fragments = Some(mtu);
        }
        let at = Port { namespace: run.namespace, link: way.link };
        let target = way.gateway.unwrap_or(run.packet.ip.destination);
        self.by_neighbour(run, state, at, target, way.gateway.is_some());
    }
}

/// How long a packet may be that goes this way (`ip_skb_dst_mtu`, `ip6_skb_dst_mtu`), in bytes.
pub(super) fn mtu(state: &State, way: Option<&Way>, ipv6: bool) -> u32 {
    let link = match way {
        Some(way) => state.link(way.link),
        None => state.network.links.iter().find(|link| link.loopback),
    };
    let Some(link) = link else { return u32::MAX };
    let of_link = match link.ipv6 {
        Some(settings) if ipv6 && settings.mtu != 0 => settings.mtu.min(link.mtu),
        _ => link.mtu,
    };
    way.and_then(|way| way.mtu).map_or(of_link, |mtu| mtu.min(link.mtu))
}

/// Each of the ways that a route has, with a copy of the packet.
pub(super) fn each_way(mut run: Run, ways: Vec<Way>) -> Vec<(Way, Run)> {
    if ways.len() > 1 {
        run.doubts.push(Doubt::new(
            "which of the route's ways the packet's hash chooses",
            "send the packet, or make all ways lead there",
        ));
    }
    ways.into_iter().map(|way| (way, run.clone())).collect()
}

fn output_link(state: &State, way: Option<&Way>) -> Option<IfIndex> {
    match way {
        Some(way) => Some(way.link),
        None => state.network.links.iter().find(|link| link.loopback).map(|link| link.index),
    }
}

/// Whether a program cannot send it: it may not be cut into pieces here.
fn too_big_to_send(run: &Run, state: &State, way: Option<&Way>) -> bool {
    run.packet.ip.dont_fragment && run.packet.ip.size > mtu(state, way, run.packet.is_ipv6())
}

fn set_source(run: &mut Run, source: Option<std::net::IpAddr>) {
    if run.packet.ip.source.is_unspecified()
        && let Some(source) = source
    {
        run.packet.ip.source = source;
    }
}

/// Why a program cannot even begin to connect (`tcp_v6_connect`, `net/ipv6/tcp_ipv6.c`).
fn no_connection(run: &Run) -> Option<Cause> {
    let to = run.packet.ip.destination;
    let (IpAddr::V6(address), Transport::Tcp(_), true) = (to, run.packet.transport, run.is_request()) else {
        return None;
    };
    if address.is_multicast() {
        return Some(to_a_group(run));
    }
    (address.is_unicast_link_local() && run.oif.is_none()).then(|| {
        let text = format!("{to} is of one link, and a connection to it needs to be told by which interface");
        Cause::new(Code::NoRoute, run.namespace, to.to_string(), text)
    })
}

fn to_a_group(run: &Run) -> Cause {
    let to = run.packet.ip.destination;
    let text = format!("{to} is of many, and a connection is with one");
    Cause::new(Code::Martian, run.namespace, to.to_string(), text)
}

/// Notes the route that was chosen.
pub(super) fn note_route(run: &mut Run, state: &State, reason: &fib::Reason) {
    let Some(route) = reason.route.and_then(|place| state.network.routes.get(place)) else { return };
    let rule = reason.rule.and_then(|place| state.network.rules.get(place));
    // The three rules that every namespace has need no mention.
    let by = rule.filter(|rule| !matches!(rule.priority, 0 | 32766 | 32767));
    let detail = by.map_or_else(String::new, |rule| format!("by {}", words::policy_rule(rule)));
    run.step(Action::Route, words::route(state, route), detail);
}
