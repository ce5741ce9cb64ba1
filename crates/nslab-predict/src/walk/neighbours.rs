//! From one namespace to the next: who answers for the next hop, and how the frame gets there (`ip_finish_output2`,
//! `net/ipv4/ip_output.c`; `neigh_resolve_output`, `net/core/neighbour.c`).

use std::net::{IpAddr, Ipv4Addr};

use nslab_kernel::link::{Link, LinkKind};
use nslab_kernel::nftables::Hook;
use nslab_snapshot::State;
use nslab_types::MacAddr;

use super::hooks::At;
use super::run::Run;
use super::{Walk, words};
use crate::l2::{self, Did, End, Frame, Left, Outcome, Port};
use crate::neighbour::{self, Answer};
use crate::nft::{self, Context, LinkHeader, Socket, Tracking};
use crate::walk::surroundings::{Here, device};
use crate::{Action, Cause, Code, Doubt, Evidence, Ip, Packet, Transport, fib};

/// States of neighbours that are not asked for (`NUD_NOARP`, `NUD_PERMANENT`, `include/uapi/linux/neighbour.h`).
const FIXED: u16 = 0x40 | 0x80;
/// Types of `ICMPv6` (RFC 4861).
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// `RT_SCOPE_LINK`.
const SCOPE_LINK: u8 = 253;

impl Walk<'_> {
    /// To the next hop on the link.
    pub(super) fn by_neighbour(
        &mut self,
        mut run: Run,
        state: &State,
        at: Port,
        target: IpAddr,
        is_gateway: bool,
    ) {
        let Some(link) = state.link(at.link) else {
            return self.unknown(
                run,
                "routes",
                Doubt::new("a route by an interface that is gone", "look again"),
            );
        };
        let name = link.name.to_string();
        if !link.up {
            let cause = Cause::new(Code::LinkDown, at.namespace, name.clone(), format!("{name} is down"));
            return self.drop(run, cause.at(at.link));
        }
        if !link.carrier {
            let cause = self.no_carrier(at);
            return self.drop(run, cause);
        }
        if !resolves(link) {
            return self.frame(run, at, MacAddr([0xff; 6]), None);
        }
        let known = state.network.neighbours.iter().find(|entry| {
            entry.link == at.link && entry.address == target && !entry.proxy && entry.state & FIXED != 0
        });
        if let Some(mac) = known.and_then(|entry| entry.mac) {
            run.step_at(at.link, Action::Resolve, target.to_string(), format!("{mac}, by a permanent entry"));
            return self.frame(run, at, mac, None);
        }
        let Some(source) = asks_from(state, link, run.packet.ip.source, target) else {
            let text = format!("{name} has no address that it could ask for {target} from");
            let cause = Cause::new(Code::NoSourceAddress, at.namespace, name, text).at(at.link);
            return self.no_neighbour(run, cause);
        };
        let (snapshot, wiring) = (self.network.snapshot, &self.network.wiring);
        let resolution = neighbour::ask(snapshot, wiring, &mut run.learned, at, source, target);
        let mut answers: Vec<Answer> = Vec::new();
        let mut refusals = Vec::new();
        for answer in resolution.answers {
            match self.nd_passes(at, answer.at, source, target) {
                Ok(doubts) => answers.push(Answer { doubts: [answer.doubts, doubts].concat(), ..answer }),
                Err(cause) => refusals.push(cause),
            }
        }
        if answers.is_empty() {
            let cause = match refusals.into_iter().next() {
                Some(cause) => Some(*cause),
                None => self.diagnose(at, source, target, is_gateway, &resolution.unanswered),
            };
            if let Some(cause) = cause {
                return self.no_neighbour(run, cause);
            }
            let what = format!("who answers for {target} where {name} leads, outside of what is seen");
            return self.unknown(run, name, Doubt::new(what, format!("ask: ping {target}")));
        }
        self.answered(run, at, target, &answers);
    }

    /// Somebody answers; where several do, chance decides.
    fn answered(&mut self, mut run: Run, at: Port, target: IpAddr, answers: &[Answer]) {
        let mut macs: Vec<&Answer> = Vec::new();
        for answer in answers {
            if !macs.iter().any(|known| known.mac == answer.mac) {
                macs.push(answer);
            }
        }
        if macs.len() > 1 {
            let names: Vec<String> = answers.iter().map(|answer| self.port(answer.at)).collect();
            let text =
                format!("{} answer for {target}: which answer comes first is chance", names.join(" and "));
            let owners = answers.iter().map(|answer| answer.at).collect();
            let first = answers[0].at;
            let cause = Cause::new(Code::DuplicateAddress, first.namespace, self.port(first), text)
                .at(first.link)
                .with(Evidence::Neighbour { target, owners });
            run.chance.get_or_insert(cause);
        }
        for answer in macs {
            let mut run = run.clone();
            let who = self.port(answer.at);
            let detail = if answer.is_own {
                format!("{who} answers: {}", answer.mac)
            } else {
                format!("{who} answers in its place: {}", answer.mac)
            };
            run.step_at(at.link, Action::Resolve, target.to_string(), detail);
            for doubt in &answer.doubts {
                self.perhaps(&run, &who, doubt);
            }
            self.frame(run, at, answer.mac, Some(answer.at));
        }
    }

    /// Nobody answers. A host that passes a packet on tells its sender in the end.
    fn no_neighbour(&mut self, run: Run, cause: Cause) {
        let ipv6 = run.packet.is_ipv6();
        let error = if ipv6 { (1, 3) } else { (3, 1) };
        let error = (!run.made).then_some(crate::Error::Icmp { kind: error.0, code: error.1, mtu: None });
        self.fail_quietly(run, cause, error);
    }

    /// Whether question and answer of neighbour discovery pass the rules on both sides; what they hang on.
    fn nd_passes(
        &self,
        asker: Port,
        owner: Port,
        source: IpAddr,
        target: IpAddr,
    ) -> Result<Vec<Doubt>, Box<Cause>> {
        let IpAddr::V6(address) = target else { return Ok(Vec::new()) };
        let low = address.octets();
        let group = std::net::Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(low[13]),
            u16::from_be_bytes([low[14], low[15]]),
        );
        let packet = |from: IpAddr, to: IpAddr, kind| Packet {
            ip: Ip { source: from, destination: to, ttl: 255, tos: 0, dont_fragment: false, size: 72 },
            transport: Transport::Icmp { kind, code: 0, id: 0 },
            mark: 0,
        };
        let question = packet(source, group.into(), SOLICITATION);
        let answer = packet(target, source, ADVERTISEMENT);
        let mut doubts = Vec::new();
        for (from, to, packet) in [(asker, owner, &question), (owner, asker, &answer)] {
            for (at, hook) in
                [(from, Hook::Output), (from, Hook::Postrouting), (to, Hook::Prerouting), (to, Hook::Input)]
            {
                doubts.extend(self.rules_pass(at, hook, packet)?);
            }
        }
        Ok(doubts)
    }

    /// Whether the rules of a namespace let a packet of neighbour discovery pass.
    fn rules_pass(&self, at: Port, hook: Hook, packet: &Packet) -> Result<Vec<Doubt>, Box<Cause>> {
        let Some(state) = self.state(at.namespace) else { return Ok(Vec::new()) };
        if state.nftables.tables.is_empty() {
            return Ok(Vec::new());
        }
        let link = state.link(at.link).map(|link| device(state, link));
        let goes_out = matches!(hook, Hook::Output | Hook::Postrouting);
        let context = Context {
            family: super::hooks::family(packet),
            hook,
            packet,
            vague: &[],
            input: link.filter(|_| !goes_out),
            output: link.filter(|_| goes_out),
            // Connection tracking leaves neighbour discovery alone (`nf_conntrack_icmpv6_error`).
            tracking: if nft::tracks_connections(&state.nftables, super::hooks::family(packet)) {
                Tracking::Untracked
            } else {
                Tracking::None
            },
            tracked_before: !matches!(hook, Hook::Prerouting | Hook::Output),
            link_header: if goes_out { LinkHeader::Absent } else { LinkHeader::Unknown },
            packet_type: None,
            socket: Socket::Absent,
            priority: None,
        };
        let branches = nft::evaluate(&state.nftables, &context, &Here(state));
        let passes = branches.iter().filter(|branch| branch.fate == nft::Fate::Accepted).count();
        if passes == branches.len() {
            return Ok(Vec::new());
        }
        let lost = branches.iter().find(|branch| branch.fate != nft::Fate::Accepted);
        if passes > 0 || lost.is_some_and(|branch| matches!(branch.fate, nft::Fate::Unknown(_))) {
            let mut doubts: Vec<Doubt> =
                branches.iter().flat_map(|branch| branch.doubts.iter().cloned()).collect();
            doubts.push(Doubt::new("whether the rules let neighbour discovery pass", "send a packet"));
            doubts.truncate(1);
            return Ok(doubts);
        }
        let step = lost.and_then(nft::Branch::decided_by).copied();
        let Some(step) = step else { return Ok(Vec::new()) };
        let (object, text) = words::rule(state, &step);
        let kind = if matches!(packet.transport, Transport::Icmp { kind: SOLICITATION, .. }) {
            "question for the next hop's MAC (neighbour solicitation)"
        } else {
            "answer with the next hop's MAC (neighbour advertisement)"
        };
        let text = format!("the {kind} is dropped by {text}");
        Err(Box::new(
            Cause::new(Code::FirewallDrop, at.namespace, object, text).with(Evidence::Firewall(step)),
        ))
    }

    /// The frame, to whoever has the MAC.
    fn frame(&mut self, mut run: Run, at: Port, mac: MacAddr, expected: Option<Port>) {
        let Some(link) = self.link(at) else { return };
        let source = link.mac.unwrap_or(MacAddr([0; 6]));
        let frame = Frame { source, destination: mac, vlan: None, size: run.size() };
        let (snapshot, wiring) = (self.network.snapshot, &self.network.wiring);
        let ends = l2::send(snapshot, wiring, &mut run.learned, at, frame);
        let (taken, lost): (Vec<End>, Vec<End>) =
            ends.into_iter().partition(|end| end.outcome == Outcome::Taken);
        if taken.is_empty() {
            return self.lost_frame(run, at, mac, expected, &lost);
        }
        if taken.len() > 1 {
            let names: Vec<String> = taken.iter().map(|end| self.port(end.at)).collect();
            let text =
                format!("{} have the MAC {mac}: which of them gets the frame is chance", names.join(" and "));
            let first = taken[0].at;
            let cause =
                Cause::new(Code::DuplicateMac, first.namespace, self.port(first), text).at(first.link);
            run.chance.get_or_insert(cause);
        }
        for end in taken {
            for doubt in &end.doubts {
                self.perhaps(&run, &self.port(end.at), doubt);
            }
            let hops = run.hops.len();
            for mut run in self.carried(run.clone(), &end) {
                if run.hops.len() == hops {
                    self.note_frame(&mut run, &end);
                }
                for run in self.bridged(run, &end) {
                    self.pending.push((run, end.at));
                }
            }
        }
    }

    /// Notes the interfaces that a frame passes.
    pub(super) fn note_frame(&self, run: &mut Run, end: &End) {
        for hop in &end.hops {
            self.note_hop(run, *hop);
        }
    }

    /// Notes one of them.
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

    /// What rules make of a frame that bridges pass on: those of the family `bridge`, and those for IP where
    /// `bridge-nf-call-*` is on (`net/bridge/br_netfilter_hooks.c`).
    fn bridged(&mut self, run: Run, end: &End) -> Vec<Run> {
        let home = run.namespace;
        let mut runs = vec![run];
        for hop in &end.hops {
            let Did::Bridged { from, to, vlan, .. } = hop.did else { continue };
            let Some(state) = self.state(hop.at.namespace) else { continue };
            let bridge = hop.at.link;
            let own = state
                .nftables
                .tables
                .iter()
                .any(|table| table.id.family == nslab_kernel::nftables::Family::Bridge);
            let calls = from.is_some()
                && state.settings.bridge_netfilter.is_some_and(|calls| {
                    let on = match &runs.first() {
                        Some(run) if run.packet.is_ipv6() => calls.ipv6,
                        _ => calls.ipv4,
                    };
                    on && (vlan.is_none() || calls.vlan_tagged || end.frame.vlan.is_none())
                });
            let mut places = Vec::new();
            if own {
                let family = Some(nslab_kernel::nftables::Family::Bridge);
                let first = if from.is_some() {
                    vec![(Hook::Prerouting, from, None), (Hook::Forward, from, Some(to))]
                } else {
                    vec![(Hook::Output, None, Some(to))]
                };
                let all = first.into_iter().chain([(Hook::Postrouting, None, Some(to))]);
                places.extend(all.map(|(hook, input, output)| At {
                    family,
                    tracked: true,
                    ..At::new(hook, input, output)
                }));
            }
            if calls {
                let at = |hook, input, output| At {
                    bridged: true,
                    tracked: hook != Hook::Prerouting,
                    ..At::new(hook, input, output)
                };
                places.push(at(Hook::Prerouting, Some(bridge), None));
                places.push(at(Hook::Forward, Some(bridge), Some(bridge)));
                places.push(at(Hook::Postrouting, None, Some(bridge)));
            }
            for mut run in std::mem::take(&mut runs) {
                run.namespace = hop.at.namespace;
                run.tracking = Tracking::None;
                let before = run.packet.clone();
                let mut passing = vec![run];
                for &place in &places {
                    passing = passing
                        .into_iter()
                        .flat_map(|run| self.hook(run, state, place))
                        .map(|(run, _)| run)
                        .collect();
                }
                for mut run in passing {
                    if run.packet.ip != before.ip && calls {
                        let what = "where a bridged frame goes whose addresses rules changed";
                        self.unknown(run, words::link(state, bridge), Doubt::new(what, "send it and look"));
                        continue;
                    }
                    if calls {
                        super::tracking::confirm(&mut run);
                    }
                    run.namespace = home;
                    runs.push(run);
                }
            }
        }
        runs
    }

    /// The frame gets nowhere.
    fn lost_frame(&mut self, run: Run, at: Port, mac: MacAddr, expected: Option<Port>, lost: &[End]) {
        if let Some(end) = lost.iter().find(|end| matches!(end.outcome, Outcome::Left(_))) {
            return self.left(run, end);
        }
        let mut run = run;
        if let Some((cause, end)) = self.obstacle(at, expected, lost) {
            self.note_frame(&mut run, end);
            return self.drop(run, cause);
        }
        let text = format!("no interface where {} leads has the MAC {mac}", self.port(at));
        let cause = Cause::new(Code::NeighbourFailed, at.namespace, mac.to_string(), text).at(at.link);
        self.drop(run, cause);
    }

    /// A frame leaves what the snapshot holds.
    fn left(&mut self, mut run: Run, end: &End) {
        self.note_frame(&mut run, end);
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

    /// An interface that is up and has no carrier.
    pub(super) fn no_carrier(&self, at: Port) -> Cause {
        let name = self.link(at).map_or_else(String::new, |link| link.name.to_string());
        let peer = self.peer(at).map(|peer| self.port(peer));
        let text = match peer {
            Some(peer) => format!("{name} has no carrier: its other end {peer} is down"),
            None => format!("{name} has no carrier"),
        };
        Cause::new(Code::NoCarrier, at.namespace, name, text).at(at.link)
    }
}

/// Whether the next hop's MAC matters at an interface.
fn resolves(link: &Link) -> bool {
    match &link.kind {
        None => !link.loopback && link.mac.is_some(),
        Some(LinkKind::Tunnel(_) | LinkKind::Wireguard | LinkKind::Dummy) => false,
        Some(_) => link.mac.is_some(),
    }
}

/// The address from which an interface asks for a neighbour (`arp_solicit`, `net/ipv4/arp.c`; `ndisc_solicit`,
/// `net/ipv6/ndisc.c`); none if it cannot.
fn asks_from(state: &State, link: &Link, source: IpAddr, target: IpAddr) -> Option<IpAddr> {
    match target {
        IpAddr::V4(target) => {
            let own = link.ipv4.map_or(0, |own| own.arp_announce).max(state.settings.ipv4_all.arp_announce);
            let is_local = source.is_ipv4()
                && state.network.addresses.iter().any(|address| address.address.addr() == source);
            let on_link = state.network.addresses.iter().any(|address| {
                address.link == link.index
                    && address.address.addr().is_ipv4()
                    && address.address.contains(&IpAddr::V4(target))
                    && address.address.contains(&source)
            });
            if is_local && (own == 0 || own == 1 && on_link) {
                return Some(source);
            }
            let choices = fib::select_source4(state, link.index, Some(target), SCOPE_LINK);
            Some(choices.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into()))
        }
        IpAddr::V6(_) => {
            let usable = |address: &&nslab_kernel::address::Address| {
                address.link == link.index && !address.tentative && !address.duplicate
            };
            let mut own = state.network.addresses.iter().filter(usable);
            if own.clone().any(|address| address.address.addr() == source) {
                return Some(source);
            }
            own.find(
                |address| matches!(address.address.addr(), IpAddr::V6(own) if own.is_unicast_link_local()),
            )
            .map(|address| address.address.addr())
        }
    }
}
