//! What is predicted of packets that belong together.

use std::collections::{HashMap, HashSet};

use nslab_compare::{Foreseen, Only};
use nslab_decode::{Decoded, Flow, IcmpMessage, Icmpv6Message, Identity, Transport as Carried};
use nslab_observe::trace::listen::Packet;
use nslab_predict::l2::Port;
use nslab_predict::{
    Action, Arrival, Hop, Network, Prediction, Question, Tcp, Transport, Verdict, predict, predict_arrival,
};
use nslab_snapshot::Snapshot;

use super::packet::{self, Origin};
use crate::cli::commands::drops::packet::macs;

/// So many conversations are remembered.
const MOST: usize = 10_000;
/// Of so many kinds of packets of one conversation what was predicted is remembered.
const MOST_SIZES: usize = 64;

/// Nothing is predicted.
pub(super) fn nothing(why: &str) -> Foreseen {
    Foreseen { unknown: Some(why.to_owned()), ..Foreseen::default() }
}

/// A conversation, by what was predicted of the packet that began it, and of the others that go the same way.
struct Conversation {
    /// The place of the trace where it began.
    place: usize,
    packet: nslab_predict::Packet,
    /// What was predicted, of packets that begin it or belong to it.
    predicted: HashMap<(nslab_predict::Packet, bool), Prediction>,
    is_answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Forth,
    Back,
}

/// Conversations that were seen, in a host as it was at one time.
#[derive(Default)]
pub(super) struct Conversations {
    all: Vec<Conversation>,
    by_flow: HashMap<Flow, (usize, Side)>,
    /// What was seen coming from where nobody looks.
    came: HashSet<Flow>,
}

impl Conversations {
    /// What is predicted of a packet. `places` are the places of the trace in the snapshot, `only` the interfaces at which alone it
    /// is looked.
    pub(super) fn foresee(
        &mut self,
        network: &Network<'_>,
        around: (&Snapshot, &[usize], &Only),
        seen: &Packet,
    ) -> Foreseen {
        if self.all.len() >= MOST {
            *self = Self::default();
        }
        packet::with_decoded(seen, |decoded, _| match decoded {
            Some(decoded) => self.look(network, around, seen, decoded),
            None => nothing("it is of no kind that is predicted"),
        })
    }

    fn look(
        &mut self,
        network: &Network<'_>,
        (snapshot, places, only): (&Snapshot, &[usize], &Only),
        seen: &Packet,
        decoded: &Decoded<'_>,
    ) -> Foreseen {
        if let Some(quoted) = quoted(decoded) {
            let known = self.by_flow.get(&quoted).copied();
            return match known {
                Some((number, Side::Forth)) => self.all[number].error((network, places)),
                _ => nothing("it is an error about a packet that was not seen"),
            };
        }
        let Some(mut asked) = packet::question(decoded, &seen.headers) else {
            return nothing("only packets of IP are predicted");
        };
        if let Transport::Tcp(_) = asked.transport {
            // The kernel cuts it into segments only where an interface wants it so.
            let mtu = packet::first(seen).and_then(|(place, seen)| {
                let state = snapshot.namespaces.get(*places.get(place)?)?.state()?;
                Some(state.link(seen.link)?.mtu)
            });
            asked.ip.size = asked.ip.size.min(mtu.unwrap_or(u32::MAX));
        }
        let flows = packet::flows(seen);
        if let Some((number, side)) = self.by_flow.get(&seen.flow).copied() {
            self.learn(&flows, number, side);
            let conversation = &mut self.all[number];
            return match side {
                Side::Back => conversation.back((network, places), goes_on(&asked)),
                Side::Forth => {
                    let goes_on = !begins(&asked) && conversation.is_answered;
                    conversation
                        .predict((network, places), asked, goes_on)
                        .map_or_else(Foreseen::default, forth)
                }
            };
        }
        let is_loopback = |place: usize, link: u32| {
            let state = places.get(place).and_then(|&place| snapshot.namespaces.get(place)?.state());
            state.and_then(|state| state.link(link)).is_some_and(|link| link.loopback)
        };
        let multicast = asked.ip.destination.is_multicast()
            || asked.ip.destination == std::net::IpAddr::from([255, 255, 255, 255]);
        if multicast {
            return nothing("what is for many is not predicted");
        }
        // Where not all interfaces are watched it may have come in by another.
        let may_be_made = |place: usize| {
            let Some(number) = places.get(place).filter(|number| only.contains_key(number)) else {
                return true;
            };
            let state = snapshot.namespaces.get(*number).and_then(nslab_snapshot::Namespace::state);
            let addresses = state.into_iter().flat_map(|state| &state.network.addresses);
            addresses.into_iter().any(|own| own.address.addr() == asked.ip.source)
        };
        let Some(origin) = packet::origin(seen, is_loopback, may_be_made) else {
            return nothing("it is not known where it came from");
        };
        if matches!(asked.transport, Transport::Tcp(_)) && !begins(&asked) {
            return nothing("its connection began before it was listened");
        }
        match origin {
            Origin::Made(place) => {
                let packet = asked.clone();
                self.all.push(Conversation { place, packet, predicted: HashMap::new(), is_answered: false });
                let number = self.all.len() - 1;
                self.learn(&flows, number, Side::Forth);
                let prediction = self.all[number].predict((network, places), asked, false);
                prediction.map_or_else(Foreseen::default, forth)
            }
            Origin::Came(place, link) => {
                let Some(&namespace) = places.get(place) else { return Foreseen::default() };
                let is_answer = self.came.contains(&seen.flow.reversed());
                if self.came.len() >= MOST {
                    self.came.clear();
                }
                self.came.extend(flows);
                let has_rules = |event: &nslab_observe::trace::Event| {
                    let space = places.get(event.place).and_then(|&place| snapshot.namespaces.get(place));
                    let state = space.and_then(nslab_snapshot::Namespace::state);
                    state.is_some_and(|state| !state.nftables.tables.is_empty())
                };
                if is_answer && seen.events.iter().any(has_rules) {
                    return nothing("what it answers came from where nobody looks");
                }
                let at = Port { namespace, link };
                let mut foreseen =
                    forth(&predict_arrival(network, &Arrival { at, packet: asked, macs: macs(decoded) }));
                // A prediction begins behind it.
                let object = nslab_view::link_name(snapshot, namespace, link).unwrap_or_default();
                let detail = String::new();
                let arrival = Hop { namespace, link: Some(link), action: Action::Receive, object, detail };
                for way in &mut foreseen.ways {
                    way.insert(0, arrival.clone());
                }
                foreseen
            }
        }
    }

    /// Forgets what was predicted: the host was looked at anew.
    pub(super) fn renew(&mut self) {
        for conversation in &mut self.all {
            conversation.predicted.clear();
        }
    }

    fn learn(&mut self, flows: &[Flow], number: usize, side: Side) {
        let other = match side {
            Side::Forth => Side::Back,
            Side::Back => Side::Forth,
        };
        for flow in flows {
            self.by_flow.entry(*flow).or_insert((number, side));
            self.by_flow.entry(flow.reversed()).or_insert((number, other));
        }
        if side == Side::Back {
            self.all[number].is_answered = true;
        }
    }
}

impl Conversation {
    fn predict(
        &mut self,
        (network, places): (&Network<'_>, &[usize]),
        packet: nslab_predict::Packet,
        established: bool,
    ) -> Option<&Prediction> {
        let namespace = *places.get(self.place)?;
        if self.predicted.len() >= MOST_SIZES {
            self.predicted.clear();
        }
        Some(self.predicted.entry((packet, established)).or_insert_with_key(|(packet, established)| {
            let (packet, established) = (packet.clone(), *established);
            predict(network, &Question { namespace, packet, established, fresh: false, link: None })
        }))
    }

    /// Of what answers it.
    fn back(&mut self, around: (&Network<'_>, &[usize]), goes_on: bool) -> Foreseen {
        let packet = self.packet.clone();
        let Some(prediction) = self.predict(around, packet, goes_on) else { return Foreseen::default() };
        way_back(prediction, prediction.answer.as_ref().or(prediction.error.as_ref()))
    }

    /// Of an error about it.
    fn error(&mut self, around: (&Network<'_>, &[usize])) -> Foreseen {
        let packet = self.packet.clone();
        let Some(prediction) = self.predict(around, packet, false) else { return Foreseen::default() };
        way_back(prediction, prediction.error.as_ref())
    }
}

fn way_back(prediction: &Prediction, hops: Option<&Vec<Hop>>) -> Foreseen {
    let Some(hops) = hops.filter(|hops| !hops.is_empty()) else {
        return nothing("no answer is predicted to what it answers");
    };
    Foreseen {
        ways: vec![hops.clone()],
        unknown: nslab_compare::unknown(prediction),
        cause: prediction.cause.clone().filter(|_| stops(hops)),
    }
}

fn forth(prediction: &Prediction) -> Foreseen {
    let ways: Vec<Vec<Hop>> = std::iter::once(&prediction.hops).chain(&prediction.others).cloned().collect();
    let cause = prediction.cause.clone().filter(|_| ways.iter().any(|hops| stops(hops)));
    let unknown =
        if prediction.verdict == Verdict::Unknown { nslab_compare::unknown(prediction) } else { None };
    Foreseen { ways, unknown, cause }
}

fn stops(hops: &[Hop]) -> bool {
    hops.last().is_some_and(|hop| hop.action == Action::Stop)
}

/// Whether it is one that begins a conversation, as far as one can say by itself.
fn begins(packet: &nslab_predict::Packet) -> bool {
    match packet.transport {
        Transport::Tcp(tcp) => tcp.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN,
        _ => false,
    }
}

/// Whether it is one of TCP that belongs to a connection that was made.
fn goes_on(packet: &nslab_predict::Packet) -> bool {
    matches!(packet.transport, Transport::Tcp(tcp) if tcp.flags & (Tcp::SYN | Tcp::RST) == 0)
}

/// Between whom the packet was that an ICMP error is about.
fn quoted(decoded: &Decoded<'_>) -> Option<Flow> {
    let quoted = match decoded.transport()? {
        Carried::Icmp(icmp) if !matches!(icmp.message, IcmpMessage::Echo { .. }) => icmp.quoted()?,
        Carried::Icmpv6(icmp) if !matches!(icmp.message, Icmpv6Message::Echo { .. }) => icmp.quoted()?,
        _ => return None,
    };
    Identity::of_quoted_packet(quoted).map(|identity| identity.flow)
}
