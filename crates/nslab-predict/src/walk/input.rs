//! Packets that come in (`ip_rcv`, `net/ipv4/ip_input.c`; `ip_forward`, `net/ipv4/ip_forward.c`; `ip6_forward`,
//! `net/ipv6/ip6_output.c`).

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::Hook;
use nslab_snapshot::State;

use super::hooks::At;
use super::output::{each_way, mtu, note_route};
use super::routing::refused;
use super::run::Run;
use super::{Walk, words};
use crate::fib::{self, Arrival, Fate, Flow, Way};
use crate::l2::Port;
use crate::nft::{self, Tracking};
use crate::pmtu::IPV6_LEAST;
use crate::{Cause, Code, Doubt, Error, Evidence};

impl Walk<'_> {
    /// The network layer of an interface gets a packet.
    pub(super) fn receive(&mut self, mut run: Run, at: Port) {
        // Between namespaces the mark is taken off; connections are forgotten at every cable (`skb_scrub_packet`).
        if at.namespace != run.namespace {
            run.packet.mark = 0;
            run.vague.clear();
        }
        run.namespace = at.namespace;
        run.made = false;
        run.came_by = Some(at.link);
        run.by_bridge &= run.prerouted;
        run.turned = None;
        let prerouted = std::mem::take(&mut run.prerouted);
        if !prerouted {
            run.tracking = Tracking::None;
            run.mended = None;
        }
        let Some(state) = self.state(at.namespace) else { return self.unreadable(run) };
        let in_vrf = state.link(at.link).and_then(|link| link.master).and_then(|master| state.link(master));
        if in_vrf.is_some_and(|master| matches!(master.kind, Some(nslab_kernel::link::LinkKind::Vrf(_))))
            && !state.nftables.tables.is_empty()
        {
            let doubt = Doubt::new("what rules make of a packet that comes by a VRF", "send it and look");
            self.perhaps(&run, "nftables", &doubt);
        }
        if prerouted {
            return self.arrived(&run, state, at.link);
        }
        let hook = At::new(Hook::Prerouting, Some(at.link), None);
        for (run, _) in self.hook(run, state, hook) {
            self.arrived(&run, state, at.link);
        }
    }

    /// It passed prerouting: here, on, or no further.
    pub(super) fn arrived(&mut self, run: &Run, state: &State, link: IfIndex) {
        let mut flow = Flow::of(&run.packet, Some(link));
        // Rules see no ports of pieces, unless connection tracking has put them together (`fib4_rules_early_flow_dissect`,
        // `include/net/ip_fib.h`; `__skb_flow_dissect`).
        if run.fragments.is_some()
            && !nft::tracks_connections(&state.nftables, super::hooks::family(&run.packet))
        {
            flow.ports = None;
        }
        let decision = fib::input(state, &flow, link);
        let several = decision.outcomes.len() > 1;
        for arrival in decision.outcomes {
            let mut run = run.clone();
            if several {
                run.doubts.extend(decision.doubts.iter().cloned());
            }
            self.fate(run, state, link, arrival);
        }
    }

    fn fate(&mut self, mut run: Run, state: &State, link: IfIndex, arrival: Arrival) {
        let Arrival { fate, reason } = arrival;
        if !matches!(fate, Fate::Drop(_)) {
            note_route(&mut run, state, &reason);
        }
        match fate {
            Fate::Local { .. } => self.local(run, state, link),
            Fate::Broadcast | Fate::Multicast => {
                let what = "who takes what is sent to a group or to all";
                self.unknown(run, words::link(state, link), Doubt::new(what, "send it and look"));
            }
            Fate::Forward(ways) => {
                for (way, run) in each_way(run, ways) {
                    self.forward(run, state, link, &way);
                }
            }
            Fate::Drop(drop) => {
                let (cause, error) = refused(&run, state, link, drop, &reason);
                self.fail(run, cause, error);
            }
        }
    }

    /// It is passed on.
    fn forward(&mut self, mut run: Run, state: &State, link: IfIndex, way: &Way) {
        let ipv6 = run.packet.is_ipv6();
        if run.packet.ip.ttl <= 1 {
            let object = words::link(state, link);
            let name = if ipv6 { "hop limit" } else { "TTL" };
            let around = self.goes_round(&run);
            let text = match around {
                Some(names) => format!("the {name} ran out: it goes round in circles between {names}"),
                None => format!("the {name} ran out"),
            };
            let cause = Cause::new(Code::TtlExpired, run.namespace, object, text).at(link);
            let kind = if ipv6 { 3 } else { 11 };
            return self.fail(run, cause, Some(Error::Icmp { kind, code: 0, mtu: None }));
        }
        let limit = mtu(state, Some(way), ipv6);
        let limit = if ipv6 { limit.max(IPV6_LEAST) } else { limit };
        let size = run.size();
        if size > limit && run.mended.is_none() && (ipv6 || run.packet.ip.dont_fragment) {
            let object = words::link(state, way.link);
            let text =
                format!("it has {size} bytes and {object} takes {limit}, and it may not be fragmented");
            let cause = Cause::new(Code::MtuExceeded, run.namespace, object, text)
                .at(way.link)
                .with(Evidence::Mtu { size, mtu: limit });
            let (kind, code) = if ipv6 { (2, 0) } else { (3, 4) };
            return self.fail(run, cause, Some(Error::Icmp { kind, code, mtu: Some(limit) }));
        }
        run.packet.ip.ttl -= 1;
        let at = At { tracked: true, ..At::new(Hook::Forward, Some(link), Some(way.link)) };
        for (run, _) in self.hook(run, state, at) {
            let at = At { hook: Hook::Postrouting, ..at };
            for (mut run, _) in self.hook(run, state, at) {
                super::tracking::confirm(&mut run);
                self.leave(run, state, way);
            }
        }
    }

    /// The names of the namespaces between which a packet goes round, if it does.
    fn goes_round(&self, run: &Run) -> Option<String> {
        let mut routers: Vec<usize> = Vec::new();
        for hop in &run.hops {
            if hop.action == crate::Action::Receive && routers.last() != Some(&hop.namespace) {
                routers.push(hop.namespace);
            }
        }
        let last = *routers.last()?;
        let before = routers[..routers.len() - 1].iter().rposition(|&one| one == last)?;
        let mut names: Vec<String> = Vec::new();
        for &one in &routers[before..routers.len() - 1] {
            let name = self.name(one);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (names.len() > 1).then(|| names.join(", "))
    }
}
