//! `--follow`: one line for each packet, with all places where it was seen.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nslab_decode::{Flow, Identity, Network, Points};
use nslab_kernel::packet::PacketKind;
use nslab_observe::capture::Sighting;
use nslab_observe::comes_by_again;

use super::json::{self, At, Ends, Event, Hop};
use super::text::Teller;
use super::view::View;
use crate::cli::args::Capture;

/// A packet that was not seen for so long has come to its end. Longer than queues of bad links usually hold it.
const QUIET: Duration = Duration::from_millis(250);
/// So many packets are followed at a time; the oldest are told early.
const MOST: usize = 100_000;
/// Addresses of a namespace are asked for anew after so long.
const FRESH: Duration = Duration::from_secs(1);
/// Among so many places it is looked for those where a packet was before.
const LONG: usize = 64;

/// Where a packet was seen, and as what.
struct Seen {
    at: At,
    place: usize,
    interface: u32,
    kind: PacketKind,
    flow: Flow,
    /// TTL or hop limit; 0 of what has none.
    ttl: u8,
}

/// A packet on its way.
struct Way {
    key: u64,
    /// The last sighting's time, in nanoseconds since 1970.
    last: u64,
    seen: Vec<Seen>,
    /// What is said of it, as it was first.
    text: String,
    is_arp: bool,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Lost,
    Unknown,
}

/// Packets on their way.
pub(super) struct Follow {
    teller: Teller,
    json: bool,
    /// In the order in which they were first seen; those that were told are empty until they are at the front.
    ways: VecDeque<Way>,
    /// How many came before the first of them.
    gone: usize,
    /// Where in all those that there ever were, by what they are known by, the oldest first.
    by_key: HashMap<u64, VecDeque<usize>>,
    addresses: HashMap<usize, (Instant, Vec<IpAddr>)>,
    left: Option<u64>,
}

/// Gives the addresses of a namespace, by its place.
pub(super) type Addresses<'a> = &'a mut dyn FnMut(usize) -> Vec<IpAddr>;

impl Follow {
    pub(super) fn new(args: &Capture, json: bool) -> Self {
        Self {
            teller: Teller::new(args),
            json,
            ways: VecDeque::new(),
            gone: 0,
            by_key: HashMap::new(),
            addresses: HashMap::new(),
            left: args.count,
        }
    }

    /// Takes a sighting in a namespace of that name, of which all interfaces are captured or not.
    pub(super) fn take(
        &mut self,
        (namespace, is_whole): (&str, bool),
        sighting: &Sighting<'_>,
        view: &View<'_>,
    ) {
        let decoded = view.decoded();
        // Without --decap a tunnel's packet and what is in it are two packets.
        let identity = decoded.as_ref().and_then(Identity::of);
        let raw = &sighting.frame;
        let is_arp = identity.is_some_and(|identity| identity.is_arp);
        let (key, flow) =
            identity.map_or_else(|| unknown(view), |identity| (identity.key_through_nat(), identity.flow));
        let seen = Seen {
            at: At::of(namespace, sighting),
            place: sighting.place,
            interface: raw.interface,
            kind: raw.kind,
            flow,
            ttl: match decoded.as_ref().map(|decoded| &decoded.network) {
                Some(Network::Ipv4(packet)) => packet.ttl,
                Some(Network::Ipv6(packet)) => packet.hop_limit,
                _ => 0,
            },
        };
        if let Some(way) = self.open(key, &seen, is_whole) {
            way.last = way.last.max(raw.time);
            // The kernel's processors write for themselves, and any may be held up.
            let after = way.seen.iter().rposition(|one| one.at.time_ns <= raw.time);
            way.seen.insert(after.map_or(0, |at| at + 1), seen);
            return;
        }
        let mut text = String::new();
        self.teller.words(decoded.as_ref(), raw, &mut text);
        self.by_key.entry(key).or_default().push_back(self.gone + self.ways.len());
        self.ways.push_back(Way { key, last: raw.time, seen: vec![seen], text, is_arp });
    }

    /// The packet that this is, if it is on its way: the oldest one of the same key that was not seen there yet.
    fn open(&mut self, key: u64, seen: &Seen, is_whole: bool) -> Option<&mut Way> {
        let numbers = self.by_key.get(&key)?;
        let is_new = |way: &Way| {
            let is_same = |one: &Seen| {
                (one.place, one.interface) == (seen.place, seen.interface)
                    && (one.kind == PacketKind::Outgoing) == (seen.kind == PacketKind::Outgoing)
                    && !comes_by_again((one.at.time_ns, one.ttl), (seen.at.time_ns, seen.ttl))
            };
            // What goes out after all that was seen, without having come in, begins there: the kernel says the same on several
            // interfaces.
            let came_in = |one: &Seen| one.place == seen.place && one.kind != PacketKind::Outgoing;
            let begins = is_whole
                && seen.kind == PacketKind::Outgoing
                && way.seen.iter().all(|one| !came_in(one) && one.at.time_ns <= seen.at.time_ns);
            !begins && !way.seen.iter().any(is_same)
        };
        let number = numbers.iter().find(|&&number| is_new(&self.ways[number - self.gone]))?;
        self.ways.get_mut(number - self.gone)
    }

    /// Tells of packets that came to their end, where all is known until a time, in nanoseconds since 1970; or of all. False if no more
    /// are wanted.
    pub(super) fn tell(
        &mut self,
        known: u64,
        addresses: Addresses<'_>,
        all: bool,
        text: &mut String,
    ) -> bool {
        let quiet = u64::try_from(QUIET.as_nanos()).unwrap_or(u64::MAX);
        let before = known.saturating_sub(quiet);
        while self.left != Some(0) {
            let is_over = |way: &Way| all || way.last < before || self.ways.len() > MOST;
            if !self.ways.front().is_some_and(is_over) {
                return true;
            }
            let Some(way) = self.ways.pop_front() else { return true };
            self.gone += 1;
            if let Some(numbers) = self.by_key.get_mut(&way.key) {
                // The oldest is the first of its key, too.
                numbers.pop_front();
                if numbers.is_empty() {
                    self.by_key.remove(&way.key);
                }
            }
            self.one(&way, addresses, text);
            self.left = self.left.map(|left| left - 1);
        }
        false
    }

    fn one(&mut self, way: &Way, addresses: Addresses<'_>, text: &mut String) {
        let end = self.end(way, addresses);
        let hops = hops(way);
        if self.json {
            let end = match end {
                End::Delivered => "delivered",
                End::Lost => "lost",
                End::Unknown => "unknown",
            };
            let event = Event::Way { hops, end, text: way.text.clone(), id: json::id(way.key) };
            return json::line(&event, text);
        }
        let first = hops.first().map_or(0, |hop| hop.at.time_ns);
        self.teller.time(first, text);
        let mut again = 0;
        for (number, hop) in hops.iter().enumerate() {
            // What goes round is told of once.
            let is_same = |one: &Hop| one.at.is_at(&hop.at) && one.translated == hop.translated;
            if hops[..number.min(LONG)].iter().any(is_same) {
                again += 1;
                continue;
            }
            let arrow = if number == 0 { "" } else { " → " };
            // Writing to a String cannot fail, here and below.
            let _ = write!(text, "{arrow}{}:{}", hop.at.namespace, hop.at.interface);
            if let Some(ends) = &hop.translated {
                let _ = write!(
                    text,
                    " [{} > {}]",
                    point(ends.source, ends.source_port),
                    point(ends.destination, ends.destination_port)
                );
            }
        }
        if again > 0 {
            let _ = write!(text, " → … {again} more, round in a circle");
        }
        text.push_str(match end {
            End::Delivered => " ✓",
            End::Lost => " ✗",
            End::Unknown => " → ?",
        });
        let _ = write!(text, "  {}", way.text);
        let took = hops.last().map_or(0, |hop| hop.at.time_ns.saturating_sub(first));
        let _ = writeln!(text, "  ({}.{:03} ms)", took / 1_000_000, took / 1000 % 1000);
    }

    /// What became of it, as far as it was seen.
    fn end(&mut self, way: &Way, addresses: Addresses<'_>) -> End {
        let comes_in = |one: &&Seen| one.kind != PacketKind::Outgoing;
        for one in way.seen.iter().filter(comes_in) {
            let is_for_all = matches!(one.kind, PacketKind::Broadcast | PacketKind::Multicast);
            if (is_for_all && !way.is_arp) || self.has(one.place, one.flow.destination, addresses) {
                return End::Delivered;
            }
        }
        match way.seen.last() {
            Some(last) if last.kind != PacketKind::Outgoing => End::Lost,
            _ => End::Unknown,
        }
    }

    /// Whether a namespace has an address.
    fn has(&mut self, place: usize, address: IpAddr, addresses: Addresses<'_>) -> bool {
        let known = self.addresses.get(&place);
        if known.is_none_or(|(when, all)| !all.contains(&address) && when.elapsed() > FRESH) {
            self.addresses.insert(place, (Instant::now(), addresses(place)));
        }
        let is_loopback = address.is_loopback();
        is_loopback || self.addresses.get(&place).is_some_and(|(_, all)| all.contains(&address))
    }
}

/// What cannot be taken apart is known by its bytes, and is from nobody to nobody.
fn unknown(view: &View<'_>) -> (u64, Flow) {
    let mut hasher = DefaultHasher::new();
    view.pieces().hash(&mut hasher);
    let nobody = IpAddr::from([0, 0, 0, 0]);
    (hasher.finish(), Flow { source: nobody, destination: nobody, protocol: 0, points: Points::None })
}

/// The places, with what NAT changed between them.
fn hops(way: &Way) -> Vec<Hop> {
    let mut before = way.seen.first().map(|one| one.flow);
    let hop = |one: &Seen| {
        let translated = (before != Some(one.flow)).then(|| {
            let (source_port, destination_port) = match one.flow.points {
                Points::Ports { source, destination } => (Some(source), Some(destination)),
                Points::Echo(_) | Points::None => (None, None),
            };
            let Flow { source, destination, .. } = one.flow;
            Ends { source, source_port, destination, destination_port }
        });
        before = Some(one.flow);
        Hop { at: one.at.clone(), translated }
    };
    way.seen.iter().map(hop).collect()
}

fn point(address: IpAddr, port: Option<u16>) -> String {
    port.map_or_else(|| address.to_string(), |port| format!("{address}.{port}"))
}
