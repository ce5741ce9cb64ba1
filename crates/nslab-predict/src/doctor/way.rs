//! The way of a packet from namespace to namespace, as far as routes and rules decide it. Whoever has a next hop on the segment
//! is taken to answer; what else may be in the way is told by other functions.

use std::net::IpAddr;

use nslab_kernel::link::{IfIndex, LinkKind};
use nslab_kernel::nftables::Hook;

use super::Host;
use super::filter::{Kind, Passage, pass};
use crate::fib::{self, DropReason, Fate, Flow, Stop, Verdict};
use crate::l2::Port;
use crate::nft::Step;
use crate::{Packet, Transport};

/// A namespace on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) namespace: usize,
    /// The interface it came in by; none where it was made.
    pub(super) input: Option<IfIndex>,
    /// The interface it leaves by; none where it ends.
    pub(super) output: Option<IfIndex>,
    /// The address it is handed to there.
    pub(super) next: Option<IpAddr>,
}

/// Where a way ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It arrives.
    Arrived,
    /// The last namespace has no route.
    NoRoute,
    /// The last namespace does not take it by that interface: the way back leads by another one (`rp_filter`).
    ReversePath,
    /// The last namespace does not take it, as it has no route back to where it comes from (`rp_filter` too).
    NoWayBack,
    /// It leaves toward somebody who is not seen.
    Outside,
    /// It is dropped or rejected by a rule of the last namespace.
    Filtered(Step),
    /// The last namespace translates addresses.
    Translated,
    /// It comes where it was before.
    Loop,
    /// Something else, which is told elsewhere or not known.
    Other,
}

/// A way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// The namespaces passed, the last one too.
    pub(super) hops: Vec<Hop>,
    pub(super) end: End,
    /// The packet's source, which the first namespace chose if there was none.
    pub(super) source: IpAddr,
}

impl Way {
    /// Where it ends.
    pub(super) fn last(&self) -> Hop {
        let none = Hop { namespace: 0, input: None, output: None, next: None };
        self.hops.last().copied().unwrap_or(none)
    }
}

/// So many ways of one packet are followed, where routes have several.
const MOST_WAYS: usize = 16;
/// So many namespaces are passed at most (the TTL that packets mostly begin with).
const MOST_HOPS: usize = 64;

/// All ways of a packet that a namespace sends.
pub(super) fn follow(host: &Host<'_>, from: usize, packet: &Packet, kind: &Kind) -> Vec<Way> {
    let mut walk = Walk { host, kind, ways: Vec::new() };
    walk.send(from, packet);
    walk.ways
}

struct Walk<'a> {
    host: &'a Host<'a>,
    kind: &'a Kind,
    ways: Vec<Way>,
}

impl Walk<'_> {
    fn end(&mut self, mut hops: Vec<Hop>, last: Hop, end: End, packet: &Packet) {
        hops.push(last);
        self.ways.push(Way { hops, end, source: packet.ip.source });
    }

    /// Where a packet is made.
    fn send(&mut self, namespace: usize, packet: &Packet) {
        let here = Hop { namespace, input: None, output: None, next: None };
        let Some(state) = self.host.state(namespace) else { return };
        let decision = fib::lookup(state, &Flow::of(packet, None));
        let ways = match decision.only().map(|outcome| &outcome.verdict) {
            Some(Verdict::Leave(ways)) => ways,
            Some(Verdict::Deliver { .. }) => return self.end(Vec::new(), here, End::Arrived, packet),
            Some(Verdict::Stop(Stop::NoRoute)) => return self.end(Vec::new(), here, End::NoRoute, packet),
            _ => return self.end(Vec::new(), here, End::Other, packet),
        };
        for way in ways {
            let mut packet = packet.clone();
            if packet.ip.source.is_unspecified() {
                match way.source {
                    Some(source) => packet.ip.source = source,
                    None => return self.end(Vec::new(), here, End::Other, &packet),
                }
            }
            let here = Hop { output: Some(way.link), ..here };
            self.leave(Vec::new(), here, way.gateway, &[Hook::Output, Hook::Postrouting], &packet);
        }
    }

    /// Past the hooks on the way out, and to the next one.
    fn leave(
        &mut self,
        mut hops: Vec<Hop>,
        here: Hop,
        gateway: Option<IpAddr>,
        hooks: &[Hook],
        packet: &Packet,
    ) {
        if self.ways.len() >= MOST_WAYS {
            return;
        }
        if let Some(end) = self.stopped(here, hooks, packet) {
            return self.end(hops, here, end, packet);
        }
        let next = gateway.unwrap_or(packet.ip.destination);
        let here = Hop { next: Some(next), ..here };
        let Some(out) = here.output.map(|link| Port { namespace: here.namespace, link }) else { return };
        match self.host.neighbour(out, next) {
            Neighbour::One(at) => {
                let again =
                    hops.iter().any(|hop| hop.namespace == at.namespace && hop.input == Some(at.link));
                let there = Hop { namespace: at.namespace, input: Some(at.link), output: None, next: None };
                hops.push(here);
                if again {
                    return self.end(hops, there, End::Loop, packet);
                }
                self.receive(hops, there, packet);
            }
            Neighbour::Unseen => self.end(hops, here, End::Outside, packet),
            Neighbour::None => self.end(hops, here, End::Other, packet),
        }
    }

    /// Where a packet comes in.
    fn receive(&mut self, hops: Vec<Hop>, here: Hop, packet: &Packet) {
        let (Some(state), Some(link)) = (self.host.state(here.namespace), here.input) else { return };
        if let Some(end) = self.stopped(here, &[Hook::Prerouting], packet) {
            return self.end(hops, here, end, packet);
        }
        let decision = fib::input(state, &Flow::of(packet, Some(link)), link);
        let ways = match decision.only().map(|arrival| &arrival.fate) {
            Some(Fate::Forward(ways)) if hops.len() < MOST_HOPS => ways,
            Some(Fate::Local { .. }) => {
                let end = self.stopped(here, &[Hook::Input], packet).unwrap_or(End::Arrived);
                return self.end(hops, here, end, packet);
            }
            Some(Fate::Drop(DropReason::Routing(Stop::NoRoute))) => {
                return self.end(hops, here, End::NoRoute, packet);
            }
            Some(Fate::Drop(DropReason::ReversePath { .. })) => {
                let back = fib::lookup(state, &Flow::to(packet.ip.source));
                let none =
                    matches!(back.only().map(|outcome| &outcome.verdict), Some(Verdict::Stop(Stop::NoRoute)));
                return self.end(hops, here, if none { End::NoWayBack } else { End::ReversePath }, packet);
            }
            _ => return self.end(hops, here, End::Other, packet),
        };
        for way in ways {
            let here = Hop { output: Some(way.link), ..here };
            self.leave(hops.clone(), here, way.gateway, &[Hook::Forward, Hook::Postrouting], packet);
        }
    }

    /// Why a packet does not pass some hooks unchanged.
    fn stopped(&self, here: Hop, hooks: &[Hook], packet: &Packet) -> Option<End> {
        let state = self.host.state(here.namespace)?;
        hooks.iter().find_map(|&hook| {
            // Rules see no incoming interface of what leaves, nor an outgoing one of what comes in.
            let input = here.input.filter(|_| hook != Hook::Postrouting || here.output.is_some());
            let output = here.output.filter(|_| hook != Hook::Prerouting);
            match pass(state, hook, packet, self.kind, [input, output]) {
                Passage::Passes => None,
                Passage::Translated => Some(End::Translated),
                Passage::Stopped(step) => Some(End::Filtered(step)),
                Passage::Unknown => Some(End::Other),
            }
        })
    }
}

/// Who has an address on a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Neighbour {
    One(Port),
    /// Somebody beyond what the snapshot holds, perhaps.
    Unseen,
    /// Nobody, or chance decides who.
    None,
}

impl Host<'_> {
    /// Who has an address on the segment of an interface that packets leave by.
    pub(super) fn neighbour(&self, out: Port, address: IpAddr) -> Neighbour {
        let Some(link) = self.link(out).filter(|link| link.is_running()) else { return Neighbour::None };
        let Some(segment) = self.segments.number(out) else { return Neighbour::None };
        let all = self.owners.get(&address).map_or(&[][..], |all| all);
        let mut here = all.iter().filter(|&&at| self.segments.number(at) == Some(segment) && at != out);
        match (here.next(), here.next()) {
            (Some(&at), None) if self.link(at).is_some_and(nslab_kernel::link::Link::is_running) => {
                Neighbour::One(at)
            }
            (None, _) if self.segments.is_open(segment) => {
                let is_tunnel = matches!(
                    link.kind,
                    Some(
                        LinkKind::Wireguard
                            | LinkKind::Tun(_)
                            | LinkKind::Tunnel(_)
                            | LinkKind::Geneve(_)
                            | LinkKind::Vxlan(_)
                    )
                );
                if is_tunnel { Neighbour::None } else { Neighbour::Unseen }
            }
            _ => Neighbour::None,
        }
    }
}

/// The answer to a packet, from whoever got it.
pub(super) fn answer(packet: &Packet) -> Packet {
    let mut answer = packet.clone();
    (answer.ip.source, answer.ip.destination) = (packet.ip.destination, packet.ip.source);
    answer.transport = match packet.transport {
        Transport::Tcp(tcp) => Transport::Tcp(crate::Tcp {
            source: tcp.destination,
            destination: tcp.source,
            flags: crate::Tcp::SYN | crate::Tcp::ACK,
        }),
        Transport::Udp { source, destination } => Transport::Udp { source: destination, destination: source },
        Transport::Icmp { kind, code, id } => {
            Transport::Icmp { kind: if kind == 8 { 0 } else { 129 }, code, id }
        }
        other @ Transport::Other(_) => other,
    };
    answer
}
