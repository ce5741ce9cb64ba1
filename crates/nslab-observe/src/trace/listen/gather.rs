//! Packets on their way, put together of what is seen of them.

use std::collections::{HashMap, VecDeque};

use nslab_decode::{Flow, Identity};
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::nftables::trace::Checkpoint;

use super::super::recognise::Known;
use super::super::rules::visits_by;
use super::super::timeline::{merge, since};
use super::super::{Event, Neighbour, Role, Seen, Visit, What};
use super::Packet;
use super::passage::Passage;
use super::print::Print;
use crate::comes_by_again;

/// So many packets are followed at a time.
const MOST: usize = 20_000;
/// Before a packet was first seen it waited at most so long for a neighbour; if it is seen by rules alone, what they tell may be
/// read so much later. In nanoseconds.
const WAITED: u64 = 20_000_000;
const UNSEEN: u64 = 250_000_000;
/// News of neighbours are kept for so long, in nanoseconds: the kernel asks three times, a second apart, before it gives up
/// (`mcast_solicit`, `retrans_time_ms` of `net/core/neighbour.c`).
const NEWS: u64 = 5_000_000_000;
/// So many packets are remembered that still waited for a neighbour when they were told.
const WAITING: usize = 1024;

/// Something that was seen of a packet.
pub(super) enum Sight {
    /// At an interface; with what it is known by, if all of it is at hand.
    Seen(Box<Seen>, Identity),
    /// By rules; of which it is known only that it was not before a time, in nanoseconds since 1970.
    Rules(Box<Passage>, u64),
    /// It was thrown away, in a function at an address.
    Dropped { reason: String, address: Option<u64>, headers: Vec<u8> },
}

/// By what a packet is found again.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) print: u64,
    pub(super) number: Option<(u32, u8, std::net::IpAddr, std::net::IpAddr)>,
    pub(super) flow: Flow,
}

impl Key {
    /// Of a packet by its headers.
    pub(super) fn of(print: &Print) -> Self {
        Self { print: print.key, number: print.number, flow: print.flow }
    }

    /// Of what is no IP.
    pub(super) fn other(identity: &Identity) -> Self {
        Self { print: identity.key(), number: None, flow: identity.flow }
    }
}

/// A packet on its way.
struct Way {
    key: u64,
    /// What its sightings have in common.
    identity: Option<u64>,
    flow: Flow,
    headers: Vec<u8>,
    /// Some of what was seen is of what is looked for.
    is_wanted: bool,
    /// When there was first something, as far as is known, in nanoseconds since 1970.
    first: u64,
    /// When there was last something, likewise.
    last: u64,
    /// Rules did not see it before.
    earliest: u64,
    timed: Vec<(u64, usize, What)>,
    /// By places of `timed`.
    addresses: Vec<(usize, u64)>,
    passages: Vec<(usize, u64, Passage)>,
}

/// Packets on their way, in the order in which they were first seen.
#[derive(Default)]
pub(super) struct Gatherer {
    ways: VecDeque<Way>,
    /// How many came before the first of them.
    gone: usize,
    by_key: HashMap<u64, Vec<usize>>,
    /// Of packets and their fragments.
    by_number: HashMap<(u32, u8, std::net::IpAddr, std::net::IpAddr), usize>,
    /// Who was asked for, or answered: when and in which place.
    neighbours: VecDeque<(u64, usize, Neighbour)>,
    /// Packets that were told while somebody was asked for and had not answered: by what they are known, and when. That the kernel
    /// gives up then is no news.
    waiting: VecDeque<(u64, u64)>,
    /// Packets that were not followed as there were too many.
    pub(super) skipped: u64,
}

impl Gatherer {
    /// Takes note of something that was seen in a place at a time.
    pub(super) fn take(&mut self, key: Key, (place, time): (usize, u64), sight: Sight, is_wanted: bool) {
        let found = self.find(key, (place, time), &sight);
        let is_given_up = matches!(&sight, Sight::Dropped { reason, .. } if gives_up(reason));
        if found.is_none() && is_given_up && self.was_waiting(key.print, time) {
            return;
        }
        let Some(at) = found.or_else(|| self.begin(key, is_wanted)) else { return };
        let way = &mut self.ways[at - self.gone];
        way.is_wanted |= is_wanted;
        way.first = way.first.min(time);
        way.last = way.last.max(time);
        match sight {
            Sight::Seen(seen, identity) => {
                way.identity.get_or_insert(identity.key_through_nat());
                way.timed.push((time, place, What::Seen(*seen)));
            }
            Sight::Rules(passage, earliest) => {
                way.earliest = way.earliest.min(earliest);
                if way.headers.is_empty() {
                    way.headers.clone_from(&passage.headers);
                }
                way.passages.push((place, time, *passage));
            }
            Sight::Dropped { reason, address, headers } => {
                if way.headers.is_empty() {
                    way.headers = headers;
                }
                way.addresses.extend(address.map(|address| (way.timed.len(), address)));
                let what = What::Dropped { role: Role::Request, reason, location: None };
                way.timed.push((time, place, what));
            }
        }
        if let Some(number) = key.number {
            self.by_number.insert(number, at);
        }
        let ways = self.by_key.entry(key.print).or_default();
        if !ways.contains(&at) {
            ways.push(at);
        }
    }

    /// Whether a packet that is dropped was told of as one that waits.
    fn was_waiting(&mut self, print: u64, time: u64) -> bool {
        self.waiting.retain(|(_, told)| time.saturating_sub(*told) <= NEWS);
        let found = self.waiting.iter().position(|(known, _)| *known == print);
        found.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// Takes note of who asks for whom.
    pub(super) fn hear(&mut self, place: usize, time: u64, neighbour: Neighbour) {
        while self.neighbours.front().is_some_and(|(first, ..)| time.saturating_sub(*first) > NEWS) {
            self.neighbours.pop_front();
        }
        self.neighbours.push_back((time, place, neighbour));
    }

    /// The packet that this is of, if it is on its way: the oldest of which this was not seen yet.
    fn find(&mut self, key: Key, at: (usize, u64), sight: &Sight) -> Option<usize> {
        let (ways, gone) = (&self.ways, self.gone);
        let may = |way: &usize| {
            way.checked_sub(gone).and_then(|way| ways.get(way)).is_some_and(|way| fits(way, at, sight))
        };
        if let Some(all) = self.by_key.get_mut(&key.print) {
            all.retain(|at| *at >= gone);
            if let Some(at) = all.iter().copied().find(may) {
                return Some(at);
            }
        }
        let number = self.by_number.get(&key.number?).copied()?;
        // Only pieces are found so, and what they are pieces of.
        let is_piece = |way: &Way| {
            let cut = |what: &What| matches!(what, What::Seen(seen) if seen.fragment.is_some());
            way.timed.iter().any(|(.., what)| cut(what))
                || way.passages.iter().any(|(.., passage)| passage.print.fragment.is_some())
                || match sight {
                    Sight::Seen(seen, _) => seen.fragment.is_some(),
                    Sight::Rules(passage, _) => passage.print.fragment.is_some(),
                    Sight::Dropped { .. } => false,
                }
        };
        let way = number.checked_sub(gone).and_then(|at| ways.get(at))?;
        is_piece(way).then_some(number)
    }

    fn begin(&mut self, key: Key, is_wanted: bool) -> Option<usize> {
        if self.ways.len() >= MOST {
            self.skipped += u64::from(is_wanted);
            return None;
        }
        self.ways.push_back(Way {
            key: key.print,
            identity: None,
            flow: key.flow,
            headers: Vec::new(),
            is_wanted,
            first: u64::MAX,
            last: 0,
            earliest: u64::MAX,
            timed: Vec::new(),
            addresses: Vec::new(),
            passages: Vec::new(),
        });
        Some(self.gone + self.ways.len() - 1)
    }

    /// When the first of all packets that are on their way was first seen.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.ways.iter().filter(|way| way.is_wanted).map(|way| way.first).min()
    }

    /// The oldest packet, if there was nothing new of it since a time, or whatever there was.
    pub(super) fn next(
        &mut self,
        before: Option<u64>,
        rulesets: &[Ruleset],
        name: &mut dyn FnMut(u64) -> Option<String>,
    ) -> Option<Packet> {
        loop {
            let front = self.ways.front()?;
            if before.is_some_and(|before| front.last >= before) {
                return None;
            }
            let way = self.ways.pop_front()?;
            let at = self.gone;
            self.gone += 1;
            if let Some(all) = self.by_key.get_mut(&way.key) {
                all.retain(|one| *one > at);
                if all.is_empty() {
                    self.by_key.remove(&way.key);
                }
            }
            if self.ways.is_empty() {
                self.by_key.clear();
                self.by_number.clear();
            }
            if way.is_wanted {
                return Some(self.told(way, rulesets, name));
            }
        }
    }

    /// All that is known of a packet, in order.
    fn told(
        &mut self,
        way: Way,
        rulesets: &[Ruleset],
        name: &mut dyn FnMut(u64) -> Option<String>,
    ) -> Packet {
        let Way { key, flow, headers, mut timed, addresses, mut passages, last, earliest, .. } = way;
        for (at, address) in addresses {
            if let What::Dropped { location, .. } = &mut timed[at].2 {
                *location = name(address);
            }
        }
        let first =
            timed.iter().map(|(time, ..)| *time).chain(passages.iter().map(|(_, time, _)| *time)).min();
        let begin = timed.iter().map(|(time, ..)| *time).min().or(first).unwrap_or(last);
        // Who was asked for while it was on its way, or right before.
        let places: Vec<usize> = timed
            .iter()
            .map(|(_, place, _)| *place)
            .chain(passages.iter().map(|(place, ..)| *place))
            .collect();
        let since_then = if timed.is_empty() {
            begin.saturating_sub(UNSEEN).min(earliest)
        } else {
            begin.saturating_sub(WAITED)
        };
        let near = since_then..=last;
        let news: Vec<_> = self
            .neighbours
            .iter()
            .filter(|(time, place, _)| near.contains(time) && places.contains(place))
            .copied()
            .collect();
        let is_dropped = timed.iter().any(|(.., what)| matches!(what, What::Dropped { .. }));
        if !is_dropped && is_asking(&news) {
            self.waiting.truncate(WAITING - 1);
            self.waiting.push_front((key, last));
        }
        timed.extend(news.into_iter().map(|(time, place, one)| (time, place, What::Neighbour(one))));
        timed.sort_by_key(|(time, ..)| *time);
        let timed =
            timed.into_iter().map(|(time, place, what)| Event { place, at: Some(since(begin, time)), what });
        passages.sort_by_key(|(place, time, _)| (*place, *time));
        let mut hooks: Vec<(usize, Vec<Visit>)> = Vec::new();
        for (place, _, passage) in passages {
            let visits = visits_of(&passage, rulesets.get(place));
            match hooks.iter_mut().find(|(known, _)| *known == place) {
                Some((_, all)) => all.extend(visits),
                None => hooks.push((place, visits)),
            }
        }
        let events = merge(timed.collect(), hooks);
        let first = events.iter().find_map(|event| match &event.what {
            What::Seen(seen) => Some(seen.flow),
            What::Hook(visit) => Some(visit.flow),
            _ => None,
        });
        Packet { begin, flow: first.unwrap_or(flow), headers, events }
    }
}

/// Whether the kernel can mean by a reason that nobody answered: it says nothing of what it hands back to who sent it (`neigh_invalidate`).
fn gives_up(reason: &str) -> bool {
    reason.starts_with("NEIGH_") || reason == "NOT_SPECIFIED"
}

/// Whether somebody was asked for, and has not answered.
fn is_asking(news: &[(u64, usize, Neighbour)]) -> bool {
    let answers = |target| news.iter().any(|(.., one)| one.target == target && one.mac.is_some());
    news.iter().any(|(.., one)| one.sent && one.mac.is_none() && !answers(one.target))
}

fn visits_of(passage: &Passage, ruleset: Option<&Ruleset>) -> Vec<Visit> {
    let mut known = |bytes: &[u8], _: bool| {
        // NAT changes it on its way.
        let print = Print::of(bytes).unwrap_or(passage.print);
        let Print { flow, ttl, fragment, .. } = print;
        Some(Known { role: Role::Request, flow, ttl, fragment })
    };
    let none = Ruleset { generation: 0, tables: Vec::new() };
    visits_by(&passage.events, ruleset.unwrap_or(&none), &mut known)
}

/// Whether something can be of a packet of which other things were seen. What happened later may have been told earlier: the kernel's
/// processors write for themselves, and any may be held up.
fn fits(way: &Way, (place, time): (usize, u64), sight: &Sight) -> bool {
    match sight {
        Sight::Seen(seen, identity) => {
            let is_piece = seen.fragment.is_some();
            if !is_piece && way.identity.is_some_and(|known| known != identity.key_through_nat()) {
                return false;
            }
            let sightings = || {
                way.timed.iter().filter_map(|(time, place, what)| match what {
                    What::Seen(seen) => Some((*place, *time, seen)),
                    _ => None,
                })
            };
            let same =
                |one: &Seen| (one.link, one.sent, one.fragment) == (seen.link, seen.sent, seen.fragment);
            // What goes out, after all that was seen, without having been there before begins there.
            let begins = seen.sent
                && sightings().next().is_some()
                && sightings().all(|(other, before, _)| other != place && before < time);
            !begins
                && !sightings().any(|(other, before, one)| {
                    other == place && same(one) && !comes_by_again((before, one.ttl), (time, seen.ttl))
                })
        }
        Sight::Rules(passage, _) => !way.passages.iter().any(|(other, _, one)| {
            let what = |one: &Passage| (one.first, one.is_bridge, one.input, one.print.fragment);
            let is_new = what(one) != what(passage) || one.print.ttl > passage.print.ttl;
            // What is sent anew from here is another packet.
            *other == place && !is_new && matches!(one.first, Checkpoint::Reached(_) | Checkpoint::Arrived)
        }),
        Sight::Dropped { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use nslab_kernel::nftables::Hook;

    use super::super::super::examples;
    use super::*;

    /// UDP from 10.0.0.1 to 10.0.0.77.
    const PACKET: [u8; 28] =
        [0x45, 0, 0, 28, 0, 9, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 77, 0, 7, 0, 7, 0, 8, 0, 0];
    const SECOND: u64 = 1_000_000_000;

    fn next(gatherer: &mut Gatherer) -> Option<Packet> {
        gatherer.next(None, &[], &mut |_| None)
    }

    fn dropped(reason: &str) -> Sight {
        Sight::Dropped { reason: reason.into(), address: None, headers: PACKET.to_vec() }
    }

    /// A sighting of a packet.
    fn seen(link: u32, sent: bool) -> Sight {
        let seen = examples::seen(link, sent);
        let identity = Identity {
            flow: seen.flow,
            is_arp: false,
            ip_id: 9,
            fragment: None,
            sequence: 0,
            payload_length: 0,
            payload_hash: 0,
        };
        Sight::Seen(Box::new(seen), identity)
    }

    #[test]
    fn what_is_told_late_is_of_the_same_packet() {
        let key = Key::of(&Print::of(&PACKET).unwrap());
        // Through a router, in the order of time, and with one of three told after the others.
        let way = [(0, 1, true), (1, 1, false), (1, 2, true), (2, 1, false)];
        for late in [None, Some(0), Some(1), Some(2)] {
            let mut gatherer = Gatherer::default();
            let mut order: Vec<usize> = (0..way.len()).filter(|step| Some(way[*step].0) != late).collect();
            order.extend((0..way.len()).filter(|step| Some(way[*step].0) == late));
            for step in order {
                let (place, link, sent) = way[step];
                gatherer.take(key, (place, step as u64), seen(link, sent), true);
            }
            let places: Vec<usize> =
                next(&mut gatherer).unwrap().events.iter().map(|event| event.place).collect();
            assert_eq!((places, next(&mut gatherer)), (vec![0, 1, 1, 2], None), "{late:?}");
        }
        // What goes out somewhere after that is another.
        let mut gatherer = Gatherer::default();
        for (step, (place, link, sent)) in way.into_iter().chain([(7, 1, true)]).enumerate() {
            gatherer.take(key, (place, step as u64), seen(link, sent), true);
        }
        assert_eq!([next(&mut gatherer), next(&mut gatherer)].map(|one| one.unwrap().events.len()), [4, 1]);
    }

    #[test]
    fn what_goes_round_is_one_packet() {
        let key = Key::of(&Print::of(&PACKET).unwrap());
        let at = |link: u32, sent: bool, ttl: u8| {
            let Sight::Seen(mut seen, identity) = seen(link, sent) else { unreachable!() };
            seen.ttl = ttl;
            Sight::Seen(seen, identity)
        };
        // From a host to two routers, each of which sends it to the other; some of it is told late.
        let way = [(0, 1, true), (1, 1, false)].map(|(place, link, sent)| (place, link, sent, 64));
        let round = (0..8_u8).flat_map(|hop| {
            let (from, to) = if hop % 2 == 0 { (1, 2) } else { (2, 1) };
            [(from, 2, true, 63 - hop), (to, 2, false, 63 - hop)]
        });
        let mut way: Vec<_> = way.into_iter().chain(round).enumerate().collect();
        way.swap(5, 9);
        let mut gatherer = Gatherer::default();
        for &(time, (place, link, sent, ttl)) in &way {
            gatherer.take(key, (place, time as u64), at(link, sent, ttl), true);
        }
        assert_eq!((next(&mut gatherer).unwrap().events.len(), next(&mut gatherer)), (way.len(), None));
        // One that is sent again is another, with whatever TTL.
        for again in [64, 70] {
            for (time, ttl) in [(0, 64), (5, again)] {
                gatherer.take(key, (0, time), at(1, true, ttl), true);
                gatherer.take(key, (1, time + 1), at(1, false, ttl), true);
            }
            let told = [next(&mut gatherer), next(&mut gatherer)].map(|one| one.map(|one| one.events.len()));
            assert_eq!(told, [Some(2), Some(2)], "{again}");
        }
    }

    #[test]
    fn what_rules_tell_of_pieces_is_of_one_packet() {
        let passage = |offset: u8, more: u8| {
            let mut headers = PACKET.to_vec();
            headers[6..8].copy_from_slice(&[more << 5, offset]);
            let print = Print::of(&headers).unwrap();
            let first = Checkpoint::Reached(Hook::Prerouting);
            Passage { print, headers, first, is_bridge: false, input: Some(2), events: Vec::new() }
        };
        // Before anything is seen of it at interfaces.
        let mut gatherer = Gatherer::default();
        for (place, offset, more) in [(1, 0, 1), (1, 185, 0), (2, 0, 1), (2, 185, 0)] {
            let passage = Box::new(passage(offset, more));
            gatherer.take(Key::of(&passage.print), (place, SECOND), Sight::Rules(passage, SECOND), true);
        }
        assert!(next(&mut gatherer).is_some() && next(&mut gatherer).is_none());
    }

    #[test]
    fn that_the_kernel_gives_up_asking_is_no_packet_of_its_own() {
        let print = Print::of(&PACKET).unwrap();
        let key = Key::of(&print);
        let mut gatherer = Gatherer::default();
        let ask = Neighbour { link: 2, sent: true, target: "10.0.0.77".parse().unwrap(), mac: None };
        gatherer.hear(0, SECOND, ask);
        let first = Checkpoint::Reached(Hook::Output);
        let headers = PACKET.to_vec();
        let passage = Passage { print, headers, first, is_bridge: false, input: None, events: Vec::new() };
        // Rules are read late: it is known only that it was not before.
        gatherer.take(key, (0, 3 * SECOND), Sight::Rules(Box::new(passage), SECOND), true);
        let packet = next(&mut gatherer).unwrap();
        assert!(packet.events.iter().any(|event| matches!(event.what, What::Neighbour(_))), "{packet:?}");
        // Another reason is news.
        gatherer.take(key, (0, 4 * SECOND), dropped("NETFILTER_DROP"), true);
        assert!(next(&mut gatherer).is_some());
        gatherer.take(key, (0, 4 * SECOND), dropped("NEIGH_FAILED"), true);
        assert!(next(&mut gatherer).is_none());
        // Once, and not for ever.
        gatherer.take(key, (0, 5 * SECOND), dropped("NEIGH_FAILED"), true);
        assert!(next(&mut gatherer).is_some());
    }
}
