//! Packets of others, traced.
//!
//! A [`Listener`] sees of each packet that a filter takes what [`run`](super::run()) sees of its probe, in all namespaces that it was
//! given, and gives it as one [`Packet`] when nothing more happens to it. One packet is known at several places by what its headers
//! have in common, NAT or not, and by what it carries.

mod follow;
mod gather;
mod passage;
mod print;
mod spot;
mod wanted;

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use nslab_decode::{Flow, Identity};
use nslab_filter::{Ancillary, Filter, VlanTag};
use nslab_kernel::nftables::trace::TraceTuple;
use nslab_kernel::nftables::{ChainKind, Ruleset};
use nslab_kernel::packet::{HARDWARE_ETHERNET, HARDWARE_LOOPBACK, PacketKind};

use self::follow::Follower;
use self::gather::{Gatherer, Key, Sight};
use self::passage::Passage;
use self::print::Print;
use self::spot::Spot;
use super::recognise::whole;
use super::run::{captured, decoded, eyes, neighbour, now};
use super::{DropSource, Event, Place, Seen};
use crate::Result;
use crate::capture::{self, Capture, Counts, Opened, Sighting, side_by_side};

pub use wanted::Wanted;

/// What the kernel tells of rules is there at once.
const SETTLED: Duration = Duration::from_millis(30);
/// Ethernet's header, in bytes.
const HEADER: usize = 14;

/// How to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Rules are traced, if the filter says something by which they can be, or [`Self::limit`] is given. It takes `CAP_NET_ADMIN`
    /// in the namespaces.
    pub rules: bool,
    /// The kernel tells of what it drops ([`DropSource`]). Where a namespace has no rules it is enough then to be told of the packets that
    /// it sends and of those that have arrived, so that others are not slowed.
    pub ends_only: bool,
    /// Of at most so many packets a second in each namespace rules are traced; 1000 if nothing is said.
    pub limit: Option<u32>,
    /// A packet of which there was nothing new for so long has come to its end.
    pub quiet: Duration,
    /// At most so many bytes of each packet.
    pub length: u32,
    /// Memory for each namespace's packets that wait to be read, in bytes; by default it depends on how many there are.
    pub memory: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: true,
            ends_only: false,
            limit: None,
            quiet: Duration::from_millis(250),
            length: 512,
            memory: None,
        }
    }
}

/// A packet that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// When it was first seen, in nanoseconds since 1970.
    pub begin: u64,
    /// Between whom it was then.
    pub flow: Flow,
    /// Its bytes from the IP header on, as far as rules or tracepoints showed them; empty where only interfaces did, which have
    /// their frames.
    pub headers: Vec<u8>,
    /// What happened to it, in this order, by its time since it was first seen. All of it has the role of a request.
    pub events: Vec<Event>,
}

impl Packet {
    /// How long it was by its own header, in bytes from there on; 0 where there are no [headers](Self::headers).
    pub fn length(&self) -> usize {
        whole(&self.headers)
    }
}

/// What came to be otherwise while a [`Listener`] listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// NAT came to a place: packets are followed through it from here on, of which there are [other ends](Listener::ends), or it is said
    /// why not. Told once.
    Nat {
        /// The namespace, by its place.
        place: usize,
        /// The error is a sentence's part.
        followed: Result<(), String>,
    },
    /// The rules of a place have changed and cannot be read, or not be traced: packets tell of those alone that were there before. Told
    /// once of each place.
    Unfollowed {
        /// The namespace, by its place.
        place: usize,
        /// A sentence's part.
        why: String,
    },
}

/// Sees packets of others.
pub struct Listener {
    capture: Capture,
    wanted: Wanted,
    options: Options,
    /// The packets of which rules are traced, or why none are.
    tuples: Result<Vec<TraceTuple>, String>,
    news: Vec<News>,
    /// Places of whose rules it was told that they cannot be followed.
    unfollowed: HashSet<usize>,
    /// By place.
    spots: Vec<Spot>,
    rulesets: Vec<Ruleset>,
    gatherer: Gatherer,
    missed: bool,
    /// When was read what the kernel had to tell, of the last [`SETTLED`].
    reads: VecDeque<(Instant, u64)>,
    /// What happened until then, in nanoseconds since 1970, is known; however long ago that is, as whoever asks may have been busy.
    known: u64,
}

impl Listener {
    /// Prepares everything; nothing is seen before [`Self::start`].
    pub fn open(places: &[Place], wanted: &Wanted, options: &Options) -> Result<Self> {
        let capturing = crate::capture::Options {
            filter: crate::capture::instructions(wanted.capture()),
            length: options.length,
            memory: options.memory,
            at_once: true,
            ..crate::capture::Options::default()
        };
        let tuples = wanted.tuples(options);
        let begin = |number: usize| match &tuples {
            Err(why) => Err(why.clone()),
            Ok(tuples) => Follower::begin(&places[number], tuples, options.ends_only),
        };
        let (capture, followers) = eyes(places, capturing, begin)?;
        let spots = places.iter().zip(followers).map(|(place, follower)| Spot::of(place, follower));
        Ok(Self {
            capture,
            wanted: wanted.clone(),
            options: options.clone(),
            news: Vec::new(),
            unfollowed: HashSet::new(),
            spots: spots.collect(),
            tuples,
            rulesets: places.iter().map(|place| place.ruleset.clone()).collect(),
            gatherer: Gatherer::default(),
            missed: false,
            reads: VecDeque::new(),
            known: 0,
        })
    }

    /// Begins: what passes from when this returns is seen.
    pub fn start(&mut self) -> Result<()> {
        self.capture.start()
    }

    /// How it is captured: for [opening](capture::open) what is to [join](Self::join).
    pub fn capturing(&self) -> &capture::Options {
        self.capture.options()
    }

    /// Takes in a namespace while this runs, which was [opened](capture::open) as this [captures](Self::capturing); returns its place.
    pub fn join(&mut self, opened: Opened, place: &Place) -> Result<usize> {
        let follower = match &self.tuples {
            Err(why) => Err(why.clone()),
            Ok(tuples) => Follower::begin(place, tuples, self.options.ends_only),
        };
        let number = self.capture.join(opened)?;
        self.spots.push(Spot::of(place, follower));
        self.rulesets.push(place.ruleset.clone());
        self.mind_nat(number);
        Ok(number)
    }

    /// Leaves a namespace, which is given back in time; what was seen there until now is taken note of.
    pub fn leave(&mut self, place: usize) -> Result<()> {
        let mut ended = Vec::new();
        if let Some(spot) = self.spots.get_mut(place) {
            spot.leave(&mut ended);
        }
        let time = now();
        for passage in ended {
            self.note(passage, (place, time), self.known);
        }
        self.capture.leave(place)
    }

    /// Tells the rules that a namespace has now: by them chains are known that packets meet.
    pub fn know(&mut self, place: usize, ruleset: &Ruleset) {
        if let Some(known) = self.rulesets.get_mut(place)
            && known.generation != ruleset.generation
        {
            known.clone_from(ruleset);
            self.mind_nat(place);
        }
    }

    /// Follows packets through NAT from here on, if it came to a place.
    fn mind_nat(&mut self, place: usize) {
        if self.wanted.is_through_nat() || !has_nat(&self.rulesets[place]) {
            return;
        }
        self.wanted = self.wanted.clone().through_nat();
        let followed = self.look_anew();
        self.news.push(News::Nat { place, followed });
    }

    /// Looks at what is wanted now.
    fn look_anew(&mut self) -> Result<(), String> {
        let filter = crate::capture::instructions(self.wanted.capture());
        self.capture.refilter(filter).map_err(|error| error.to_string())?;
        self.tuples = self.wanted.tuples(&self.options);
        self.trace_anew()
    }

    fn trace_anew(&mut self) -> Result<(), String> {
        let Self { tuples: Ok(tuples), spots, options, .. } = self else { return Ok(()) };
        // What goes wrong in one is no reason to leave out others.
        spots.iter_mut().map(|spot| spot.trace(tuples, options.ends_only)).fold(Ok(()), Result::and)
    }

    /// The kernel does not tell of what it drops: rules are to tell as much as they can ([`Options::ends_only`]). The error is a
    /// sentence's part.
    pub fn without_drops(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.options.ends_only) {
            return Ok(());
        }
        self.trace_anew()
    }

    /// What came to be otherwise since this was last asked.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The ends of packets of IP that matter: each is of one of these.
    pub fn ends(&self) -> Vec<nslab_filter::Tuple> {
        self.wanted.ends()
    }

    /// What happened to namespaces and interfaces since this was last asked.
    pub fn events(&mut self) -> Vec<capture::Event> {
        self.capture.events()
    }

    /// Whether nothing can come any more: all namespaces were left, or the interfaces at which it is looked are gone.
    pub fn is_over(&self) -> bool {
        self.capture.is_over()
    }

    /// Why rules are not traced, by place.
    pub fn untraced(&self) -> impl Iterator<Item = (usize, &str)> {
        self.spots.iter().enumerate().filter_map(|(place, spot)| Some((place, spot.untraced()?)))
    }

    /// Asks the kernel what became of packets until now, which [`Self::counts`] tells then; that happens now and then by itself.
    pub fn count(&mut self) {
        self.capture.count();
    }

    /// What became of what the filter took, by place.
    pub fn counts(&self) -> &[Counts] {
        self.capture.counts()
    }

    /// Packets that were not looked at, as too many were on their way.
    pub fn skipped(&self) -> u64 {
        self.gatherer.skipped
    }

    /// Whether the kernel had more to tell of rules than there was room for.
    pub fn has_missed(&self) -> bool {
        self.missed
    }

    /// Waits for something to happen, at most so long, and takes note of it.
    pub fn turn(&mut self, wait: Duration, drops: &mut dyn DropSource) -> Result<()> {
        let Self { capture, wanted: Wanted { filter, .. }, gatherer, .. } = self;
        capture.turn(wait, &mut |sighting| {
            take(sighting, filter, gatherer);
            ControlFlow::Continue(())
        })?;
        self.rest(drops, false);
        Ok(())
    }

    /// Ends seeing; what was seen until now is taken note of.
    pub fn finish(&mut self, drops: &mut dyn DropSource) -> Result<()> {
        let Self { capture, wanted: Wanted { filter, .. }, gatherer, .. } = self;
        capture.finish(&mut |sighting| {
            take(sighting, filter, gatherer);
            ControlFlow::Continue(())
        })?;
        self.rest(drops, true);
        self.capture.count();
        Ok(())
    }

    /// The next packet that has come to its end; with `all` also one of which there may be more.
    pub fn next(&mut self, drops: &mut dyn DropSource, all: bool) -> Option<Packet> {
        let quiet = u64::try_from(self.options.quiet.as_nanos()).unwrap_or(u64::MAX);
        let before = (!all).then(|| self.known.saturating_sub(quiet));
        self.gatherer.next(before, &self.rulesets, &mut |address| drops.function(address))
    }

    /// When the first of those packets was first seen that have not come to their end, in nanoseconds since 1970.
    pub fn oldest(&self) -> Option<u64> {
        self.gatherer.oldest()
    }

    /// Rules and drops.
    fn rest(&mut self, drops: &mut dyn DropSource, all: bool) {
        let (instant, time) = (Instant::now(), now());
        let settled = instant.checked_sub(SETTLED);
        let before = if all { Some(instant + SETTLED) } else { settled };
        // What is read now and has settled came after this.
        let since = self.known;
        let mut ended = Vec::new();
        for place in 0..self.spots.len() {
            self.missed |= self.spots[place].read(instant, before, &mut ended);
            for passage in ended.drain(..) {
                self.note(passage, (place, time), since);
            }
            self.follow(place);
        }
        self.reads.push_back((instant, time));
        while let Some(&(_, read)) =
            self.reads.front().filter(|(read, _)| settled.is_some_and(|end| *read < end))
        {
            self.known = read;
            self.reads.pop_front();
        }
        let Self { spots, wanted: Wanted { filter, .. }, gatherer, .. } = self;
        drops.drain(&mut |dropped| {
            let place = spots.iter().position(|spot| spot.id == Some(dropped.namespace));
            let (Some(place), Some(print)) = (place, Print::of(dropped.packet)) else { return };
            let sight = Sight::Dropped {
                reason: dropped.reason.to_owned(),
                address: dropped.location,
                headers: dropped.packet.to_vec(),
            };
            // At which interface it was is not told.
            let is_wanted = spots[place].interfaces.is_empty() && is_taken(filter, dropped.packet);
            gatherer.take(Key::of(&print), (place, dropped.time), sight, is_wanted);
        });
    }

    /// Goes by the rules that a place has now.
    fn follow(&mut self, place: usize) {
        if let Err(why) = self.spots[place].renew()
            && self.unfollowed.insert(place)
        {
            self.news.push(News::Unfollowed { place, why });
        }
        if let Some(ruleset) = self.spots[place].ruleset()
            && ruleset.generation != self.rulesets[place].generation
        {
            self.rulesets[place].clone_from(ruleset);
            self.mind_nat(place);
        }
    }

    fn note(&mut self, passage: Passage, (place, time): (usize, u64), since: u64) {
        let chosen = &self.spots[place].interfaces;
        let is_chosen = |link: u32| {
            let mut known = self.capture.interfaces(place).filter(|one| one.index == link);
            known.any(|one| chosen.iter().any(|name| one.answers_to(name)))
        };
        let is_wanted = (chosen.is_empty() || passage.links().any(is_chosen))
            && is_taken(&self.wanted.filter, &passage.headers);
        let key = Key::of(&passage.print);
        self.gatherer.take(key, (place, time), Sight::Rules(Box::new(passage), since), is_wanted);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Closing makes the kernel wait, for each anew.
        side_by_side(std::mem::take(&mut self.spots), drop);
    }
}

/// Whether rules may change addresses and ports.
pub fn has_nat(ruleset: &Ruleset) -> bool {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.filter_map(|chain| chain.base.as_ref()).any(|base| base.kind == ChainKind::Nat)
}

/// Takes note of a frame.
fn take(sighting: &Sighting<'_>, filter: &Filter, gatherer: &mut Gatherer) {
    let raw = &sighting.frame;
    let decoded = decoded(raw);
    let is_wanted = matches(filter, raw);
    if let Some((target, mac)) = neighbour(&decoded) {
        let sent = raw.kind == PacketKind::Outgoing;
        let news = super::Neighbour { link: raw.interface, sent, target, mac };
        gatherer.hear(sighting.place, raw.time, news);
        // They are seen for others' sake.
        if !is_wanted {
            return;
        }
    }
    let Some(identity) = Identity::of(&decoded) else { return };
    let print = Print::of(raw.bytes.get(raw.network..).unwrap_or_default());
    let key = print.as_ref().map_or_else(|| Key::other(&identity), Key::of);
    let seen = Seen {
        role: super::Role::Request,
        link: raw.interface,
        name: sighting.interface.name.clone(),
        sent: raw.kind == PacketKind::Outgoing,
        for_others: raw.kind == PacketKind::OtherHost,
        in_tunnel: false,
        flow: identity.flow,
        ttl: print.map_or(0, |print| print.ttl),
        fragment: identity.fragment,
        frame: captured(raw),
    };
    gatherer.take(key, (sighting.place, raw.time), Sight::Seen(Box::new(seen), identity), is_wanted);
}

/// Whether a filter takes a frame.
fn matches(filter: &Filter, raw: &nslab_kernel::packet::Frame<'_>) -> bool {
    if !matches!(raw.hardware, HARDWARE_ETHERNET | HARDWARE_LOOPBACK) {
        return is_taken(filter, raw.bytes.get(raw.network..).unwrap_or_default());
    }
    let packet_type = match raw.kind {
        PacketKind::Host => 0,
        PacketKind::Broadcast => 1,
        PacketKind::Multicast => 2,
        PacketKind::OtherHost => 3,
        PacketKind::Outgoing => 4,
    };
    let vlan = raw.vlan.map(|vlan| VlanTag { control: vlan.control, protocol: vlan.protocol });
    let ancillary =
        Ancillary { packet_type, interface: raw.interface, protocol: raw.protocol, vlan, mark: 0 };
    filter.program().matches(&nslab_filter::Frame { bytes: raw.bytes, length: raw.length, ancillary })
}

/// Whether a filter takes a packet of which there is what stands from its IP header on.
fn is_taken(filter: &Filter, packet: &[u8]) -> bool {
    let protocol: u16 = if packet.first().is_some_and(|first| first >> 4 == 6) { 0x86dd } else { 0x0800 };
    let mut bytes = vec![0; HEADER];
    bytes[HEADER - 2..].copy_from_slice(&protocol.to_be_bytes());
    bytes.extend(packet);
    let length = u32::try_from(whole(packet) + HEADER).unwrap_or(u32::MAX);
    let ancillary = Ancillary { protocol, ..Ancillary::default() };
    filter.program().matches(&nslab_filter::Frame { bytes: &bytes, length, ancillary })
}
