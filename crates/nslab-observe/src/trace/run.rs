//! From sending until nothing more happens.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use nslab_decode::{ArpOperation, Decoded, Frame, Icmpv6Message, Link, NdValue, Network, Tag, Transport};
use nslab_filter::{Filter, NameTable};
use nslab_kernel::NamespaceId;
use nslab_kernel::packet::{HARDWARE_ETHERNET, HARDWARE_LOOPBACK, PacketKind};

use super::connection::{Closing, Collector};
use super::count::{self, Before};
use super::ending::is_final;
use super::probe::{Kind, Probe};
use super::recognise::Recogniser;
use super::rules::{Tracer, visits};
use super::send::Sender;
use super::timeline::{merge, since};
use super::{Captured, DropSource, Event, Heard, Neighbour, Options, Place, Role, Seen, Trace, What};
use crate::capture::{Capture, Sighting, Source, side_by_side};
use crate::{Error, Result};

/// Sockets are looked at this often.
const TICK: Duration = Duration::from_millis(1);
/// What follows on a packet that was dropped or heard of does so at once.
const SETTLE: Duration = Duration::from_millis(15);
/// Few packets pass the filter.
const MEMORY: u64 = 1 << 20;
/// As long as frames are at least kept, for neighbours and errors; and what tunnels and headers add to the probe.
const SHORT: u32 = 2048;
const HEADERS: u32 = 512;

/// Sends a probe and sees what becomes of it.
pub fn run(places: &[Place], probe: &Probe, options: &Options, drops: &mut dyn DropSource) -> Result<Trace> {
    run_then(places, probe, options, drops, |trace| trace)
}

/// The same, and has `then` make something of it while the kernel is waited for, which takes a while to close what watched.
pub fn run_then<R>(
    places: &[Place],
    probe: &Probe,
    options: &Options,
    drops: &mut dyn DropSource,
    then: impl FnOnce(Trace) -> R,
) -> Result<R> {
    let count = places.len();
    let sender = places.get(probe.place);
    let sender =
        sender.ok_or(Error::NoSuchNamespace { probe: 0, source_index: probe.place, namespaces: count })?;
    let mut sender = sender.namespace.run(|| Sender::open(probe, options.connect))??;
    let is_tcp = matches!(probe.kind, Kind::Tcp { .. });
    let mut watch = Watch::open(places, probe, options)?;
    drops.begin();
    watch.capture.start()?;
    let begun = Instant::now();
    watch.begin = now();
    let mut trace = Trace { refused: sender.send().err(), ..Trace::default() };
    let mut last = begun;
    loop {
        if watch.turn()? {
            last = Instant::now();
        }
        if watch.drain(drops) {
            last = Instant::now();
        }
        sender.hear(&watch.recogniser, &mut trace.heard);
        let quiet = last.elapsed();
        let is_over = !trace.heard.is_empty()
            || trace.refused.is_some()
            || quiet >= SETTLE && watch.has_ended(probe.place)
            || quiet >= options.quiet && watch.asked.is_empty();
        if is_over || begun.elapsed() >= options.limit {
            break;
        }
    }
    let closing = sender.made().map(|made| Closing::begin(made, begun.elapsed()));
    let closing = closing.map(|closing| watch.close(closing, options)).transpose()?;
    trace.took = begun.elapsed();
    if !matches!(trace.heard.first(), Some(Heard::Answer { .. })) {
        trace.counters = count::grown(std::mem::take(&mut watch.before));
    }
    watch.finish()?;
    watch.drain(drops);
    watch.look_at_drops();
    sender.hear(&watch.recogniser, &mut trace.heard);
    if !matches!(trace.heard.first(), Some(Heard::Answer { .. })) {
        watch.name_functions(drops);
    }
    if let (Some(closing), Some(collector)) = (closing, watch.collector.take()) {
        trace.connection = Some(closing.conclude(collector, trace.took));
    }
    let eyes = watch.conclude(places, &mut trace);
    if is_tcp && matches!(trace.heard.first(), Some(Heard::Answer { .. })) {
        // A reset of what was made says nothing of the probe and its answer.
        trace.events.retain(|event| event.role() != Some(Role::Error));
    }
    Ok(eyes.close_beside(|| then(trace)))
}

/// What has seen enough.
struct Eyes {
    capture: Capture,
    tracers: Vec<Tracer>,
}

impl Eyes {
    /// Closes all while something else is done: the kernel makes each closing wait.
    fn close_beside<R>(self, other: impl FnOnce() -> R) -> R {
        let Self { capture, tracers } = self;
        std::thread::scope(|scope| {
            scope.spawn(|| side_by_side(tracers, drop));
            scope.spawn(|| drop(capture));
            other()
        })
    }
}

/// All sockets that see.
struct Watch<'p> {
    capture: Capture,
    /// By place.
    tracers: Vec<Result<Tracer, String>>,
    ids: Vec<Option<NamespaceId>>,
    /// What was counted before, by place.
    before: Vec<Option<Before>>,
    recogniser: Recogniser<'p>,
    /// What follows on the probe and its answer, if it is TCP.
    collector: Option<Collector>,
    /// When the probe was sent, in nanoseconds since 1970.
    begin: u64,
    /// With the times, since 1970.
    timed: Vec<(u64, Event)>,
    /// Who was asked for and has not answered: place, interface, address.
    asked: BTreeSet<(usize, u32, IpAddr)>,
    /// Packets that were dropped.
    dropped: Vec<Drop>,
    /// Where in the kernel's code packets were dropped, by their places in `timed`.
    addresses: Vec<(usize, u64)>,
}

/// A packet that was dropped, which is looked at once all are known that passed interfaces before it.
struct Drop {
    place: usize,
    time: u64,
    packet: Vec<u8>,
    reason: String,
    location: Option<u64>,
}

impl<'p> Watch<'p> {
    fn open(places: &[Place], probe: &'p Probe, options: &Options) -> Result<Self> {
        let is_tcp = matches!(probe.kind, Kind::Tcp { .. });
        let text = probe.filter(options);
        // A filter of ours is always one; if it were not, all would be looked at.
        let filter =
            Filter::parse(&text, &NameTable::builtin()).map(|filter| crate::capture::instructions(&filter));
        let capturing = crate::capture::Options {
            filter: filter.unwrap_or_default(),
            length: probe.size.saturating_add(HEADERS).max(SHORT),
            memory: Some(MEMORY),
            at_once: true,
            ..crate::capture::Options::default()
        };
        let patterns = probe.patterns(options);
        let begin = |number: usize| {
            let place = &places[number];
            let tracer = if options.rules {
                Tracer::begin(place, &patterns)
            } else {
                Err("it was not asked for".to_owned())
            };
            (tracer, options.counters.contains(&number).then(|| Before::read(place)).flatten())
        };
        let (capture, opened) = eyes(places, capturing, begin)?;
        let (tracers, before) = opened.into_iter().unzip();
        Ok(Self {
            capture,
            tracers,
            before,
            ids: places.iter().map(|place| place.namespace.id().ok()).collect(),
            recogniser: Recogniser::new(probe),
            collector: is_tcp.then(|| Collector::new(probe.sequence(), probe.place)),
            begin: 0,
            timed: Vec::new(),
            asked: BTreeSet::new(),
            dropped: Vec::new(),
            addresses: Vec::new(),
        })
    }

    /// Waits a little, and takes what has come; whether anything has.
    fn turn(&mut self) -> Result<bool> {
        let Self { capture, recogniser, collector, begin, timed, asked, .. } = self;
        let before = timed.len();
        let mut any = false;
        capture.turn(TICK, &mut |sighting| {
            if collector.as_mut().is_some_and(|one| one.takes(sighting, *begin)) {
                any = true;
            } else {
                take(sighting, recogniser, *begin, timed, asked);
            }
            ControlFlow::Continue(())
        })?;
        any |= timed.len() > before;
        for tracer in self.tracers.iter_mut().flatten() {
            any |= tracer.read();
        }
        Ok(any)
    }

    /// Waits until a connection has ended, and nothing more comes. The other end is a program's, which closes it when it gets round to it.
    fn close(&mut self, mut closing: Closing, options: &Options) -> Result<Closing> {
        let begun = Instant::now();
        let mut last = begun;
        loop {
            let any = self.turn()?;
            if any | closing.hear() {
                last = Instant::now();
            }
            let is_over = self.collector.as_ref().is_none_or(|collector| closing.is_over(collector));
            let is_quiet = closing.has_ended() && last.elapsed() >= options.quiet;
            if is_over || is_quiet || begun.elapsed() >= options.limit {
                return Ok(closing);
            }
        }
    }

    /// What passed until now is still in the kernel's hands.
    fn finish(&mut self) -> Result<()> {
        let Self { capture, recogniser, collector, begin, timed, asked, .. } = self;
        capture.finish(&mut |sighting| {
            if !collector.as_mut().is_some_and(|one| one.takes(sighting, *begin)) {
                take(sighting, recogniser, *begin, timed, asked);
            }
            ControlFlow::Continue(())
        })?;
        for tracer in self.tracers.iter_mut().flatten() {
            tracer.read();
        }
        Ok(())
    }

    /// Takes what was dropped; whether anything was.
    fn drain(&mut self, drops: &mut dyn DropSource) -> bool {
        let Self { ids, recogniser, dropped, .. } = self;
        let before = dropped.len();
        drops.drain(&mut |one| {
            let place = ids.iter().position(|id| *id == Some(one.namespace));
            let Some(place) = place.filter(|_| recogniser.role_of(one.packet).is_some()) else { return };
            let (time, location) = (one.time, one.location);
            let (packet, reason) = (one.packet.to_vec(), one.reason.to_owned());
            dropped.push(Drop { place, time, packet, reason, location });
        });
        dropped.len() > before
    }

    fn look_at_drops(&mut self) {
        let Self { dropped, recogniser, begin, timed, addresses, .. } = self;
        for Drop { place, time, packet, reason, location } in std::mem::take(dropped) {
            let Some(known) = recogniser.bytes(&packet) else { continue };
            addresses.extend(location.map(|address| (timed.len(), address)));
            let what = What::Dropped { role: known.role, reason, location: None };
            timed.push((time, Event { place, at: Some(since(*begin, time)), what }));
        }
    }

    /// Finds the names of functions, which takes a while: not for what a program got a copy of.
    fn name_functions(&mut self, drops: &mut dyn DropSource) {
        for (number, address) in std::mem::take(&mut self.addresses) {
            if let What::Dropped { location, .. } = &mut self.timed[number].1.what {
                *location = drops.function(address);
            }
        }
    }

    /// Whether a packet of the probe's was seen to be dropped, and nothing more can come of it.
    fn has_ended(&mut self, sender: usize) -> bool {
        if self.tracers.iter().flatten().any(Tracer::has_dropped) {
            return true;
        }
        let Self { recogniser, timed, asked, dropped, .. } = self;
        asked.is_empty()
            && dropped.iter().any(|drop| {
                let events = timed.iter().map(|(_, event)| event);
                let ends = |role| is_final(events, role, (drop.place, &drop.reason), sender);
                recogniser.role_of(&drop.packet).is_some_and(ends)
            })
    }

    fn conclude(self, places: &[Place], trace: &mut Trace) -> Eyes {
        let Self { capture, tracers, mut recogniser, mut timed, .. } = self;
        // What one namespace saw at the same time stays as it was.
        timed.sort_by_key(|(time, _)| *time);
        trace.lost = capture.counts().iter().map(|counts| counts.lost).sum();
        let mut hooks = Vec::new();
        let mut used = Vec::new();
        for (number, tracer) in tracers.into_iter().enumerate() {
            match tracer {
                Ok(mut tracer) => {
                    trace.missed |= tracer.missed;
                    let events = std::mem::take(&mut tracer.events);
                    hooks.push((number, visits(&events, &places[number].ruleset, &mut recogniser)));
                    used.push(tracer);
                }
                Err(why) => trace.untraced.push((number, why)),
            }
        }
        trace.events = merge(timed.into_iter().map(|(_, event)| event).collect(), hooks);
        Eyes { capture, tracers: used }
    }
}

/// Opens a capture in all places, and what else looks in each, by its number.
pub(super) fn eyes<T: Send>(
    places: &[Place],
    capturing: crate::capture::Options,
    begin: impl Fn(usize) -> T + Send + Sync,
) -> Result<(Capture, Vec<T>)> {
    let sources = places
        .iter()
        .map(|place| {
            let (name, interfaces) = (place.name.clone(), place.interfaces.clone());
            Ok(Source { name, namespace: place.namespace.duplicate()?, interfaces })
        })
        .collect::<Result<Vec<_>>>()?;
    // Both make the thread wait for the kernel.
    let (capture, tracers) = std::thread::scope(|scope| {
        let tracers = scope.spawn(|| side_by_side((0..places.len()).collect(), begin));
        (Capture::open(sources, capturing), tracers.join())
    });
    let tracers = tracers.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok((capture?, tracers))
}

/// Notes a frame if it is of the probe's, or about neighbours.
fn take(
    sighting: &Sighting<'_>,
    recogniser: &mut Recogniser<'_>,
    begin: u64,
    timed: &mut Vec<(u64, Event)>,
    asked: &mut BTreeSet<(usize, u32, IpAddr)>,
) {
    let raw = &sighting.frame;
    let decoded = decoded(raw);
    let sent = raw.kind == PacketKind::Outgoing;
    let what = if let Some((known, in_tunnel)) = recogniser.frame(&decoded) {
        What::Seen(Seen {
            role: known.role,
            link: raw.interface,
            name: sighting.interface.name.clone(),
            sent,
            for_others: raw.kind == PacketKind::OtherHost,
            in_tunnel,
            flow: known.flow,
            ttl: known.ttl,
            fragment: known.fragment,
            frame: captured(raw),
        })
    } else if let Some((target, mac)) = neighbour(&decoded) {
        let key = (sighting.place, raw.interface, target);
        if mac.is_none() && sent {
            asked.insert(key);
        } else if mac.is_some() {
            asked.remove(&key);
        }
        What::Neighbour(Neighbour { link: raw.interface, sent, target, mac })
    } else {
        return;
    };
    let at = Some(since(begin, raw.time));
    timed.push((raw.time, Event { place: sighting.place, at, what }));
}

/// A frame taken apart, as far as it is of a kind that is known.
pub(super) fn decoded<'a>(raw: &nslab_kernel::packet::Frame<'a>) -> Decoded<'a> {
    let (link, bytes) = match raw.hardware {
        HARDWARE_ETHERNET | HARDWARE_LOOPBACK => (Link::Ethernet, raw.bytes),
        _ => (Link::Ip, raw.bytes.get(raw.network..).unwrap_or_default()),
    };
    let before = raw.bytes.len() - bytes.len();
    nslab_decode::decode(&Frame {
        bytes,
        length: (raw.length as usize).saturating_sub(before).max(bytes.len()),
        link,
        vlan: raw.vlan.map(|vlan| Tag::of_tci(vlan.protocol, vlan.control)),
        partial_checksum: raw.checksum_pending,
    })
}

/// A copy of a frame.
pub(super) fn captured(raw: &nslab_kernel::packet::Frame<'_>) -> Captured {
    Captured {
        time: raw.time,
        length: raw.length,
        bytes: raw.bytes.to_vec(),
        network: raw.network,
        kind: raw.kind,
        hardware: raw.hardware,
        protocol: raw.protocol,
        vlan: raw.vlan,
        checksum_pending: raw.checksum_pending,
    }
}

/// Who is asked for, or says where it is.
pub(super) fn neighbour(decoded: &Decoded<'_>) -> Option<(IpAddr, Option<nslab_types::MacAddr>)> {
    if let Network::Arp(arp) = &decoded.network {
        let addresses = arp.addresses?;
        return match arp.operation {
            ArpOperation::Request => Some((addresses.target.into(), None)),
            ArpOperation::Reply => Some((addresses.sender.into(), Some(addresses.sender_mac))),
            _ => None,
        };
    }
    let Transport::Icmpv6(icmp) = decoded.transport()? else { return None };
    match &icmp.message {
        // One from nowhere asks whether an address is free (RFC 4862, section 5.4).
        Icmpv6Message::NeighborSolicitation { target, .. } => match &decoded.network {
            Network::Ipv6(packet) if !packet.source.is_unspecified() => Some(((*target).into(), None)),
            _ => None,
        },
        Icmpv6Message::NeighborAdvertisement { target, options, .. } => {
            let mac = options.into_iter().find_map(|option| match option.value {
                NdValue::TargetLinkAddress(mac) => Some(mac),
                _ => None,
            });
            let mac = mac.or_else(|| decoded.ethernet.map(|header| header.source));
            Some(((*target).into(), mac))
        }
        _ => None,
    }
}

/// The time of day, in nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}
