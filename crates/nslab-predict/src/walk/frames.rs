//! Frames from one namespace to the next, and what becomes of their packets at bridges and in tunnels.

use nslab_kernel::nftables::{Family, Hook};
use nslab_snapshot::State;
use nslab_types::MacAddr;

use super::hooks::At;
use super::run::Run;
use super::{Walk, words};
use crate::l2::{self, Did, End, Frame, Left, Lost, Outcome, Port};
use crate::nft::{self, Tracking};
use crate::{Action, Cause, Code, Doubt, Evidence};

impl Walk<'_> {
    /// The frame, to whoever has the MAC; `expected` is who answered.
    pub(super) fn frame(&mut self, mut run: Run, at: Port, mac: MacAddr, expected: Option<Port>) {
        let Some(link) = self.link(at) else { return };
        let source = link.mac.unwrap_or(MacAddr([0; 6]));
        let frame = Frame {
            source,
            destination: mac,
            vlan: None,
            size: run.size(),
            target: Some(run.packet.ip.destination),
        };
        let (snapshot, wiring) = (self.network.snapshot, &self.network.wiring);
        let ends = match run.turned {
            Some((port, source)) => {
                l2::resume(snapshot, wiring, &mut run.learned, port, Frame { source, ..frame })
            }
            None => l2::send(snapshot, wiring, &mut run.learned, at, frame),
        };
        let (taken, lost): (Vec<End>, Vec<End>) =
            ends.into_iter().partition(|end| end.outcome == Outcome::Taken);
        let Some(first) = taken.first() else {
            return self.lost_frame(run, at, mac, expected, &lost);
        };
        if let Some(doubt) = circles(&lost) {
            self.perhaps(&run, &self.port(at), &doubt);
        }
        let alike = self.alike(first.at, mac);
        if mac.is_unicast() && (taken.len() > 1 || !alike.is_empty()) {
            let mut owners: Vec<Port> = taken.iter().map(|end| end.at).chain(alike).collect();
            owners.sort();
            owners.dedup();
            let names: Vec<String> = owners.iter().map(|owner| self.port(*owner)).collect();
            let text =
                format!("{} have the MAC {mac}: bridges send to whichever spoke last", names.join(" and "));
            let target = run.packet.ip.destination;
            let cause = Cause::new(Code::DuplicateMac, at.namespace, self.link_name(at), text)
                .at(at.link)
                .with(Evidence::Neighbour { target, owners });
            run.chance.get_or_insert(cause);
            let doubt = Doubt::new(
                format!("who of those gets a frame that have the MAC {mac}"),
                "give one another MAC",
            );
            self.perhaps(&run, &self.port(first.at), &doubt);
        }
        for end in taken {
            for doubt in &end.doubts {
                self.perhaps(&run, &self.port(end.at), doubt);
            }
            for run in self.along(run.clone(), &end) {
                self.pending.push((run, end.at));
            }
        }
    }

    /// Others on the segment that have the same MAC, and are none of those that share it by their nature.
    fn alike(&self, at: Port, mac: MacAddr) -> Vec<Port> {
        let segments = &self.network.segments;
        let Some(number) = segments.number(at) else { return Vec::new() };
        let members = segments.members(number).iter().copied();
        let others = members
            .filter(|&other| other != at && self.link(other).is_some_and(|link| link.mac == Some(mac)));
        others
            .filter(|&other| {
                let (one, two) = (self.link(at), self.link(other));
                let shares = one.is_some_and(l2::shares_mac) || two.is_some_and(l2::shares_mac);
                !shares && two.is_some_and(nslab_kernel::link::Link::is_running)
            })
            .collect()
    }

    /// Along the interfaces that a frame passes: through the rules of bridges, and with the packets of tunnels.
    fn along(&mut self, run: Run, end: &End) -> Vec<Run> {
        let mut runs = vec![run];
        for (place, hop) in end.hops.iter().enumerate() {
            for run in &mut runs {
                self.note_hop(run, *hop);
            }
            let before = std::mem::take(&mut runs);
            runs = match hop.did {
                Did::Bridged { .. } => {
                    before.into_iter().flat_map(|run| self.bridged(run, *hop, end, false)).collect()
                }
                Did::Sent => match self.enters(end, place) {
                    Some((own, far)) => {
                        before.into_iter().flat_map(|run| self.below(run, end, own, far)).collect()
                    }
                    None => before,
                },
                Did::Received => match end.hops.get(place + 1) {
                    Some(next) => {
                        before.into_iter().flat_map(|run| self.entering(run, *hop, *next, end)).collect()
                    }
                    None => before,
                },
            };
        }
        runs
    }

    /// Notes an interface that a frame passes.
    pub(super) fn note_hop(&self, run: &mut Run, hop: l2::Hop) {
        let name = self.link(hop.at).map_or_else(String::new, |link| link.name.to_string());
        match hop.did {
            Did::Sent => run.step_in(hop.at, Action::Send, name, ""),
            Did::Received => run.step_in(hop.at, Action::Receive, name, ""),
            Did::Bridged { from, to, vlan, known } => {
                let state = self.state(hop.at.namespace);
                let port = |index| state.map_or_else(String::new, |state| words::link(state, index));
                let mut detail = match from {
                    Some(from) => format!("from {} to {}", port(from), port(to)),
                    None => format!("to {}", port(to)),
                };
                if let Some(vlan) = vlan {
                    detail.push_str(", VLAN ");
                    detail.push_str(&vlan.to_string());
                }
                detail.push_str(if known { ", which its table says" } else { ", as by every port" });
                run.step_in(hop.at, Action::Bridge, name, detail);
            }
        }
    }

    /// At a bridge's port, what is for the bridge itself: its rules see it there already, and those of IP that are called by it do
    /// so once (`br_nf_pre_routing`, `ip_sabotage_in`).
    fn entering(&mut self, mut run: Run, port: l2::Hop, next: l2::Hop, end: &End) -> Vec<Run> {
        let Some(state) = self.state(port.at.namespace) else { return vec![run] };
        if !self.is_taken(port, next) || state.nftables.tables.is_empty() {
            return vec![run];
        }
        let mut places = entrance_rules(state, port);
        let ipv6 = run.packet.is_ipv6();
        let called =
            state.settings.bridge_netfilter.is_some_and(|calls| if ipv6 { calls.ipv6 } else { calls.ipv4 });
        if called {
            let at = At::new(Hook::Prerouting, Some(next.at.link), None);
            places.push(At { bridged: true, for_itself: true, ..at });
        }
        if places.is_empty() {
            return vec![run];
        }
        run.namespace = port.at.namespace;
        run.packet.mark = 0;
        run.tracking = Tracking::None;
        run.prerouted = called;
        run.by_bridge = called;
        if called
            && run.fragments.is_some()
            && nft::tracks_connections(&state.nftables, super::hooks::family(&run.packet))
        {
            run.mended = run.fragments.take();
        }
        let to = run.packet.ip.destination;
        let mut passing = vec![run];
        for place in places {
            let on = passing.into_iter().flat_map(|run| self.hook(run, state, place));
            passing = on.map(|(run, _)| run).collect();
        }
        let bridge = next.at.link;
        let stays = |run: &Run| !called || run.packet.ip.destination == to;
        let (mut on, turned): (Vec<Run>, Vec<Run>) = passing.into_iter().partition(stays);
        for run in turned {
            on.extend(self.turned(run, state, port.at, bridge, end.frame.source));
        }
        on
    }

    /// Whether a frame that a port gets is taken by its bridge itself.
    pub(super) fn is_taken(&self, port: l2::Hop, next: l2::Hop) -> bool {
        next.did == Did::Received
            && port.did == Did::Received
            && next.at.namespace == port.at.namespace
            && self.link(port.at).is_some_and(|link| link.master == Some(next.at.link))
            && self.link(next.at).is_some_and(|link| link.as_bridge().is_some())
    }

    /// What rules make of a frame that a bridge passes on: those of the family `bridge`, and those for IP where
    /// `bridge-nf-call-*` is on (`net/bridge/br_netfilter_hooks.c`).
    /// Of those only the first ones if it is `lost` after them.
    fn bridged(&mut self, mut run: Run, hop: l2::Hop, end: &End, lost: bool) -> Vec<Run> {
        let Some(state) = self.state(hop.at.namespace) else { return vec![run] };
        let (own, calls) = (own_rules(state, hop), calls(state, hop, end, run.packet.is_ipv6()));
        if own.is_empty() && calls.is_empty() {
            return vec![run];
        }
        // Between namespaces the mark is taken off (`skb_scrub_packet`).
        if run.namespace != hop.at.namespace {
            run.packet.mark = 0;
        }
        let home = std::mem::replace(&mut run.namespace, hop.at.namespace);
        // A frame that was turned to another neighbour has passed the first hooks.
        let again = run.turned.take().is_some();
        let known = if again { run.tracking.clone() } else { Tracking::None };
        let tracking = std::mem::replace(&mut run.tracking, known);
        let to = run.packet.ip.destination;
        let is_called = !calls.is_empty();
        run.by_bridge = is_called;
        let mut passing = vec![run];
        let passes =
            |at: &At| if lost { at.hook == Hook::Prerouting } else { !again || at.hook != Hook::Prerouting };
        for place in own.into_iter().chain(calls).filter(passes) {
            let next = passing.into_iter().flat_map(|run| self.hook(run, state, place));
            passing = next.map(|(run, _)| run).collect();
            if place.hook == Hook::Prerouting && place.bridged {
                let (on, turned): (Vec<Run>, Vec<Run>) =
                    passing.into_iter().partition(|run| run.packet.ip.destination == to);
                passing = on;
                for run in turned {
                    self.turned_away(run, state, hop, end);
                }
            }
        }
        let mut on = Vec::new();
        for mut run in passing {
            if is_called && !lost {
                super::tracking::confirm(&mut run);
            }
            run.namespace = home;
            run.by_bridge = false;
            run.prerouted = false;
            run.tracking.clone_from(&tracking);
            on.push(run);
        }
        on
    }

    /// The frame gets nowhere.
    fn lost_frame(&mut self, run: Run, at: Port, mac: MacAddr, expected: Option<Port>, lost: &[End]) {
        if let Some(end) = lost.iter().find(|end| matches!(end.outcome, Outcome::Left(_))) {
            return self.left(run, end);
        }
        if let Some(doubt) = circles(lost) {
            let name = self.port(at);
            return self.unknown(run, name, doubt);
        }
        let (cause, end) = if let Some((cause, end)) = self.obstacle(at, expected, lost) {
            (cause, Some(end))
        } else {
            let text = format!("no interface where {} leads has the MAC {mac}", self.port(at));
            let cause = Cause::new(Code::NeighbourFailed, at.namespace, mac.to_string(), text);
            // It goes as far as it gets.
            (cause.at(at.link), lost.iter().max_by_key(|end| end.hops.len()))
        };
        let Some(end) = end else { return self.drop(run, cause) };
        // Rules on its way may do something else with it before.
        for run in self.along(run, end) {
            for run in self.within(run, end) {
                self.drop(run, cause.clone());
            }
        }
    }

    /// Through the first rules of a bridge in which a frame is lost.
    fn within(&mut self, run: Run, end: &End) -> Vec<Run> {
        let Some(hop) = end.hops.last().filter(|hop| hop.did == Did::Received) else { return vec![run] };
        let bridge = self.link(hop.at).and_then(|link| link.master);
        let is_bridge = |link: u32| {
            let at = Port { link, ..hop.at };
            self.link(at).is_some_and(|link| link.as_bridge().is_some())
        };
        let inside = matches!(
            end.outcome,
            Outcome::Lost(
                Lost::SamePort
                    | Lost::NoPort
                    | Lost::NotFlooded
                    | Lost::Isolated
                    | Lost::Vlan(Some(_))
                    | Lost::TooLong { .. }
            )
        );
        let Some(bridge) = bridge.filter(|&link| inside && is_bridge(link)) else { return vec![run] };
        // What comes after prerouting it does not get to.
        let did = Did::Bridged { from: Some(hop.at.link), to: hop.at.link, vlan: None, known: false };
        let at = Port { link: bridge, ..hop.at };
        self.bridged(run, l2::Hop { at, did }, end, true)
    }

    /// A frame leaves what the snapshot holds.
    fn left(&mut self, mut run: Run, end: &End) {
        for hop in &end.hops {
            self.note_hop(&mut run, *hop);
        }
        let name = self.port(end.at);
        let Outcome::Left(left) = &end.outcome else { return };
        let (what, settle) = match left {
            Left::Hardware => {
                (format!("what becomes of it outside of this machine, where it goes by {name}"), "look there")
            }
            Left::Unseen => (
                format!("what is behind {name}: a namespace that was not found or could not be read"),
                "run this as root",
            ),
            Left::Program => (format!("what the program does that holds {name}"), "ask the program"),
            Left::Tunnel => {
                (format!("what becomes of it in the tunnel {name}"), "send it and look at the other end")
            }
        };
        self.unknown(run, name, Doubt::new(what, settle));
    }
}

/// The hooks of the family `bridge` that a frame passes which is for the bridge itself.
pub(super) fn entrance_rules(state: &State, port: l2::Hop) -> Vec<At> {
    if !has_own_rules(state) {
        return Vec::new();
    }
    let own =
        |hook| At { family: Some(Family::Bridge), tracked: true, ..At::new(hook, Some(port.at.link), None) };
    vec![own(Hook::Prerouting), own(Hook::Input)]
}

fn has_own_rules(state: &State) -> bool {
    state.nftables.tables.iter().any(|table| table.id.family == Family::Bridge)
}

/// Whether frames go in circles there: what becomes of others then is a matter of time.
pub(super) fn circles(lost: &[End]) -> Option<Doubt> {
    let end = lost.iter().find(|end| end.outcome == Outcome::Lost(Lost::Loop))?;
    let what = format!("what gets through where frames go in circles ({} hops and more)", end.hops.len());
    Some(Doubt::new(what, "take a cable out of the circle, or let its bridges speak STP"))
}

/// The hooks of the family `bridge` that a frame passes.
pub(super) fn own_rules(state: &State, hop: l2::Hop) -> Vec<At> {
    let Did::Bridged { from, to, .. } = hop.did else { return Vec::new() };
    if !has_own_rules(state) {
        return Vec::new();
    }
    let first = if from.is_some() {
        vec![(Hook::Prerouting, from, None), (Hook::Forward, from, Some(to))]
    } else {
        vec![(Hook::Output, None, Some(to))]
    };
    let all = first.into_iter().chain([(Hook::Postrouting, None, Some(to))]);
    let at = |(hook, input, output)| At {
        family: Some(Family::Bridge),
        tracked: true,
        ..At::new(hook, input, output)
    };
    all.map(at).collect()
}

/// The hooks of IP that a bridged frame passes because of `bridge-nf-call-*`.
pub(super) fn calls(state: &State, hop: l2::Hop, end: &End, ipv6: bool) -> Vec<At> {
    let Did::Bridged { from: Some(_), vlan, .. } = hop.did else { return Vec::new() };
    let Some(calls) = state.settings.bridge_netfilter else { return Vec::new() };
    let on = if ipv6 { calls.ipv6 } else { calls.ipv4 };
    if !on || vlan.is_some() && !calls.vlan_tagged && end.frame.vlan.is_some() {
        return Vec::new();
    }
    let bridge = Some(hop.at.link);
    let at = |hook, input, output| At {
        bridged: true,
        tracked: hook != Hook::Prerouting,
        ..At::new(hook, input, output)
    };
    vec![
        at(Hook::Prerouting, bridge, None),
        at(Hook::Forward, bridge, bridge),
        at(Hook::Postrouting, None, bridge),
    ]
}
