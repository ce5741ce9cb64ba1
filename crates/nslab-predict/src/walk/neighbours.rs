//! From one namespace to the next: who answers for the next hop, and how the frame gets there (`ip_finish_output2`,
//! `net/ipv4/ip_output.c`; `neigh_resolve_output`, `net/core/neighbour.c`).

use std::net::{IpAddr, Ipv4Addr};

use nslab_kernel::link::{Encapsulation, Link, LinkKind};
use nslab_snapshot::State;
use nslab_types::MacAddr;

use super::Walk;
use super::frames::circles;
use super::run::{Phase, Run};
use crate::l2::Port;
use crate::neighbour::{self, Answer};
use crate::{Action, Cause, Code, Doubt, Evidence, fib};

/// States of neighbours that are not asked for (`NUD_NOARP`, `NUD_PERMANENT`, `include/uapi/linux/neighbour.h`).
const FIXED: u16 = 0x40 | 0x80;
/// States in which a neighbour's MAC is used (`NUD_REACHABLE`, `NUD_STALE`, `NUD_DELAY`, `NUD_PROBE`).
const VALID: u16 = 0x02 | 0x04 | 0x08 | 0x10;
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
            // Such an ipvlan has no neighbours and sends to its own MAC, which is that of all (`arp_constructor`, `net/ipv4/arp.c`).
            let mac = link.mac.filter(|_| crate::l2::routes_by_lower(link));
            return self.frame(run, at, mac.unwrap_or(MacAddr([0xff; 6])), None);
        }
        // Without a local table all that is not known is a broadcast (`__inet_dev_addr_type`, `net/ipv4/fib_frontend.c`).
        if target.is_ipv4() && !state.network.addresses.iter().any(|own| own.address.addr().is_ipv4()) {
            let what = "whether the namespace has ever had an address of IPv4: one that has not sends to all";
            run.doubts.push(Doubt::new(what, "give it an address"));
            self.frame(run.clone(), at, MacAddr([0xff; 6]), None);
        }
        let known = state.network.neighbours.iter().find(|entry| {
            entry.link == at.link && entry.address == target && !entry.proxy && entry.state & FIXED != 0
        });
        if let Some(mac) = known.and_then(|entry| entry.mac) {
            run.step_at(at.link, Action::Resolve, target.to_string(), format!("{mac}, by a permanent entry"));
            return self.frame(run, at, mac, None);
        }
        // Who was asked by somebody knows that one from then on (`neigh_event_ns`, `net/core/neighbour.c`).
        let asked = run.met.iter().find(|(port, address, ..)| (*port, *address) == (at, target)).copied();
        if let Some((.., mac, who)) = asked {
            let detail = format!("{mac}, as {} was heard before", self.port(who));
            run.step_at(at.link, Action::Resolve, target.to_string(), detail);
            return self.frame(run, at, mac, Some(who));
        }
        if !self.fresh
            && let Some(mac) = self.heard(state, at, target)
        {
            run.step_at(
                at.link,
                Action::Resolve,
                target.to_string(),
                format!("{mac}, by the neighbour table"),
            );
            run.assume(format!("the neighbour {target} is still as the table has it"));
            return self.frame(run, at, mac, None);
        }
        let Some(source) = asks_from(state, link, run.packet.ip.source, target) else {
            let text = format!("{name} has no address that it could ask for {target} from");
            let cause = Cause::new(Code::NoSourceAddress, at.namespace, name, text).at(at.link);
            return self.no_neighbour(run, cause, (at, target));
        };
        let (snapshot, wiring) = (self.network.snapshot, &self.network.wiring);
        let resolution = neighbour::ask(snapshot, wiring, &mut run.learned, at, source, target);
        let mut answers: Vec<Answer> = Vec::new();
        let mut refusals = Vec::new();
        for answer in resolution.answers {
            let passes = self.question_passes(&run, at, &answer, source, target);
            match passes {
                Ok(mut doubts) => {
                    doubts.extend(answer.doubts.iter().cloned());
                    answers.push(Answer { doubts, ..answer });
                }
                Err(cause) => refusals.push(cause),
            }
        }
        if answers.is_empty() {
            let cause = match refusals.into_iter().next() {
                Some(cause) => Some(*cause),
                None => self.diagnose(at, source, target, is_gateway, &resolution.unanswered),
            };
            if let Some(cause) = cause {
                return self.no_neighbour(run, cause, (at, target));
            }
            let what = format!("who answers for {target} where {name} leads, outside of what is seen");
            return self.unknown(run, name, Doubt::new(what, format!("ask: ping {target}")));
        }
        if let Some(doubt) = circles(&resolution.unanswered) {
            self.perhaps(&run, &name, &doubt);
        }
        self.answered(&run, at, source, target, &answers);
    }

    /// The MAC that the neighbour table has for an address, if it is still right: somebody there takes frames for it
    /// (`NUD_VALID`, without what is fixed).
    fn heard(&self, state: &State, at: Port, target: IpAddr) -> Option<MacAddr> {
        let mut entries = state.network.neighbours.iter();
        let entry = entries.find(|entry| {
            entry.link == at.link && entry.address == target && !entry.proxy && entry.state & VALID != 0
        })?;
        let mac = entry.mac?;
        let members = self.network.segments.members(self.network.segments.number(at)?);
        let has = |port: &Port| {
            let owns = self
                .state(port.namespace)
                .is_some_and(|state| state.network.addresses.iter().any(|own| own.address.addr() == target));
            owns && self.link(*port).is_some_and(|link| link.mac == Some(mac) && link.is_running())
        };
        members.iter().any(has).then_some(mac)
    }

    /// Somebody answers; where several do, chance decides.
    fn answered(&mut self, run: &Run, at: Port, source: IpAddr, target: IpAddr, answers: &[Answer]) {
        let mut run = run.clone();
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
            let cause = Cause::new(Code::DuplicateAddress, first.namespace, self.link_name(first), text)
                .at(first.link)
                .with(Evidence::Neighbour { target, owners });
            run.chance.get_or_insert(cause);
        }
        for answer in macs {
            let mut run = run.clone();
            let who = self.port(answer.at);
            run.met.push((at, target, answer.mac, answer.at));
            if let Some(own) = self.link(at).and_then(|link| link.mac).filter(|_| !source.is_unspecified()) {
                run.met.push((answer.at, source, own, at));
            }
            let detail = if answer.is_own {
                format!("{who} answers: {}", answer.mac)
            } else {
                format!("{who} answers in its place: {}", answer.mac)
            };
            run.step_at(at.link, Action::Resolve, target.to_string(), detail);
            for doubt in &answer.doubts {
                self.perhaps(&run, &who, doubt);
            }
            if let Phase::Error(refused) = &run.phase
                && refused.in_vain == Some((at, target))
            {
                // The entry throws away what its own reports have queued at it (`neigh_invalidate`).
                let text = format!(
                    "{target} answers this time, but an error that reports it as unreachable does not wait for that"
                );
                let cause =
                    Cause::new(Code::NeighbourFailed, at.namespace, self.link_name(at), text).at(at.link);
                self.drop(run, cause);
                continue;
            }
            self.frame(run, at, answer.mac, Some(answer.at));
        }
    }

    /// Nobody answers. A host that passes a packet on tells its sender in the end.
    fn no_neighbour(&mut self, run: Run, cause: Cause, neighbour: (Port, IpAddr)) {
        if cause.code == Code::Unmodelled {
            let doubt = Doubt::new(cause.text, "send it and look");
            return self.unknown(run, cause.object, doubt);
        }
        let ipv6 = run.packet.is_ipv6();
        let error = if ipv6 { (1, 3) } else { (3, 1) };
        let error = (!run.made).then_some(crate::Error::Icmp { kind: error.0, code: error.1, mtu: None });
        self.fail_in_vain(run, cause, error, neighbour);
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
        Some(LinkKind::Tunnel(tunnel)) => {
            matches!(tunnel.encapsulation, Encapsulation::Gretap | Encapsulation::Ip6gretap)
        }
        Some(LinkKind::Wireguard | LinkKind::Dummy) => false,
        Some(LinkKind::Ipvlan(_)) if crate::l2::routes_by_lower(link) => false,
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
