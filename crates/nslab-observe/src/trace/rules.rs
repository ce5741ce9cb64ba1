//! What the kernel tells of rules, put together by hook.

use std::collections::HashMap;

use nslab_kernel::mark;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::trace::{
    Checkpoint, EARLY, TraceEvent, TraceHooks, TraceMonitor, TraceOptions, TraceStep, TraceTable,
};
use nslab_kernel::nftables::trace::{TraceNews, TracePattern, TraceTuple};
use nslab_kernel::nftables::{Family, Hook, Policy, Ruleset, TransactionError, Verdict};

use super::recognise::{Known, REDIRECT, Recogniser};
use super::{Met, Place, Role, Visit, VisitEnd};

/// What traces rules in a namespace.
#[derive(Debug)]
pub(super) struct Tracer {
    monitor: TraceMonitor,
    table: TraceTable,
    pub(super) events: Vec<TraceEvent>,
    pub(super) missed: bool,
}

impl Tracer {
    /// Sets it up. The error is a sentence's part.
    pub(super) fn begin(place: &Place, patterns: &[TracePattern]) -> Result<Self, String> {
        let bridge = if place.has_bridges { TraceHooks::ALL } else { TraceHooks::default() };
        let priority = earliest(&place.ruleset);
        let options = TraceOptions { bridge, priority, ..TraceOptions::default() };
        Self::with(place, |socket| TraceTable::install(socket, patterns, options))
    }

    /// The same for packets by their ends, at the cost of others that pass only at hooks that have rules.
    pub(super) fn begin_for(
        place: &Place,
        tuples: &[TraceTuple],
        options: TraceOptions,
    ) -> Result<Self, String> {
        Self::with(place, |socket| TraceTable::install_for(socket, tuples, options))
    }

    /// Goes on tracing packets by their ends where rules may have come to other hooks.
    pub(super) fn renew_for(
        &mut self,
        place: &Place,
        tuples: &[TraceTuple],
        options: TraceOptions,
    ) -> Result<(), String> {
        // For a moment there are both, and packets are told of twice, which is noticed where they are sorted.
        self.table = table(place, |socket| TraceTable::install_for(socket, tuples, options))?;
        Ok(())
    }

    fn with(place: &Place, install: impl FnOnce(Socket) -> Installed + Send) -> Result<Self, String> {
        let open = || TraceMonitor::open().map_err(|error| error.to_string());
        let monitor = place.namespace.run(open).map_err(|error| error.to_string())??;
        // The namespace goes when others let it go.
        mark::set(&monitor);
        Ok(Self { monitor, table: table(place, install)?, events: Vec::new(), missed: false })
    }

    /// Whether a packet was seen to be dropped.
    pub(super) fn has_dropped(&self) -> bool {
        self.events.iter().any(|event| is_drop(&event.step))
    }

    /// Takes what has come; whether anything has.
    pub(super) fn read(&mut self) -> bool {
        let before = self.events.len();
        let (events, missed) = (&mut self.events, &mut self.missed);
        let read = self.monitor.read(|news| match news {
            TraceNews::Event(event) => events.push(*event),
            TraceNews::Missed => *missed = true,
        });
        self.missed |= read.is_err();
        self.events.len() > before
    }
}

type Installed = Result<TraceTable, TransactionError>;

/// Makes a table in a namespace, where what others left over is cleaned up.
fn table(place: &Place, install: impl FnOnce(Socket) -> Installed + Send) -> Result<TraceTable, String> {
    let make = || {
        let mut socket = Socket::open(Protocol::Netfilter).map_err(|error| error.to_string())?;
        mark::set(&socket);
        let left = place.ruleset.tables.iter().filter(|table| TraceTable::is_left_over(table));
        let left: Vec<_> = left.map(|table| table.id.clone()).collect();
        if !left.is_empty() {
            // Somebody else may be faster; and they do no harm.
            let _ = TraceTable::clean(&mut socket, &left);
        }
        install(socket).map_err(|error| error.to_string())
    };
    place.namespace.run(make).map_err(|error| error.to_string())?
}

/// How packets are traced by their ends in a namespace with such rules. If others tell of what the kernel drops, `ends_only` are enough
/// where there are no rules.
pub(super) fn options_for(place: &Place, ends_only: bool) -> TraceOptions {
    let (packets, frames) = (hooks(&place.ruleset, false), hooks(&place.ruleset, true));
    TraceOptions {
        // Where rules of IP see a bridge's frames, their way does not begin where that of packets does.
        hooks: if place.has_bridges { TraceHooks::ALL } else { packets },
        bridge: frames,
        // At some interfaces it is not looked, and rules tell that packets came in there.
        ends_only: ends_only && packets.is_empty() && frames.is_empty() && place.interfaces.is_empty(),
        priority: earliest(&place.ruleset),
        ..TraceOptions::default()
    }
}

/// The hooks at which a namespace has chains: of bridges, or of packets.
fn hooks(ruleset: &Ruleset, bridge: bool) -> TraceHooks {
    let is_meant = |family| match family {
        Family::Bridge => bridge,
        Family::Ip | Family::Ip6 | Family::Inet => !bridge,
        _ => false,
    };
    let tables =
        ruleset.tables.iter().filter(|table| is_meant(table.id.family) && !TraceTable::is_one(table));
    tables.flat_map(|table| &table.chains).filter_map(|chain| Some(chain.base.as_ref()?.hook)).collect()
}

/// Before all rules of a namespace that see packets come or go, but no later than usual.
fn earliest(ruleset: &Ruleset) -> i32 {
    let tables = ruleset.tables.iter().filter(|table| !TraceTable::is_one(table));
    let chains = tables.flat_map(|table| &table.chains).filter_map(|chain| chain.base.as_ref());
    let first = chains
        .filter(|base| matches!(base.hook, Hook::Prerouting | Hook::Input | Hook::Forward | Hook::Output))
        .map(|base| base.priority)
        .min();
    first.map_or(EARLY, |first| first.saturating_sub(1).min(EARLY))
}

/// A visit that may go on.
struct Open {
    visit: Visit,
    /// The kernel's number for the packet.
    id: u32,
}

/// The hooks that packets of the probe came to in a namespace, in their order.
pub(super) fn visits(
    events: &[TraceEvent],
    ruleset: &Ruleset,
    recogniser: &mut Recogniser<'_>,
) -> Vec<Visit> {
    visits_by(events, ruleset, &mut |bytes, marked| {
        let found = recogniser.bytes(bytes);
        let sent_to = |error: &Known| recogniser.is_sender(error.flow.destination);
        found.or_else(|| marked.then(|| error(bytes)).flatten().filter(sent_to))
    })
}

/// The same by whatever tells what a packet is by its headers, and by whether it was just marked as one of those that are meant.
pub(super) fn visits_by(
    events: &[TraceEvent],
    ruleset: &Ruleset,
    recognise: &mut dyn FnMut(&[u8], bool) -> Option<Known>,
) -> Vec<Visit> {
    let mut all: Vec<Open> = Vec::new();
    // What is known of the packets that the kernel has numbered.
    let mut known: HashMap<u32, Known> = HashMap::new();
    for event in events {
        let checkpoint = Checkpoint::of(&event.table, &event.chain);
        if let Some(packet) = &event.packet {
            let bytes = [&packet.network[..], &packet.transport[..]].concat();
            let marked = matches!(checkpoint, Some(Checkpoint::Reached(_) | Checkpoint::Arrived))
                && matches!(event.step, TraceStep::Rule { .. });
            let found = recognise(&bytes, marked);
            match found {
                Some(found) => drop(known.insert(event.id, found)),
                // Numbers come again: that of another packet.
                None if marked || is_other(&bytes, known.get(&event.id)) => drop(known.remove(&event.id)),
                None => {}
            }
        }
        let Some(about) = known.get(&event.id).copied() else { continue };
        let hook = match checkpoint {
            Some(Checkpoint::Reached(hook) | Checkpoint::Passed(hook)) => Some(hook),
            Some(Checkpoint::Arrived) => Some(Hook::Input),
            None => hook_of(event, ruleset),
        };
        let family = if event.table.family == Family::Bridge { Family::Bridge } else { Family::Inet };
        // Of a chain without rules some kernels (6.1) tell two things, its end and its policy, of which the first has the packet;
        // of one with a rule all tell that and the policy.
        if matches!(checkpoint, Some(Checkpoint::Passed(_) | Checkpoint::Arrived))
            && event.packet.is_none()
            && all.iter().rfind(|open| open.id == event.id).is_some_and(|open| {
                let Visit { family: before, hook: there, end, .. } = &open.visit;
                (*before, *there, *end) == (family, hook, VisitEnd::Passed)
            })
        {
            continue;
        }
        let ends = event.packet.as_ref().map(|packet| (packet.input, packet.output));
        let same = |open: &Open| {
            let visit = &open.visit;
            open.id == event.id
                && visit.role == about.role
                && visit.family == family
                && visit.end == VisitEnd::Unknown
                // In chains that are jumped to there is no word of the hook.
                && (event.packet.is_none() || visit.hook == hook && Some((visit.input, visit.output)) == ends)
        };
        let at = all.iter().rposition(same);
        let at = at.unwrap_or_else(|| {
            let (input, output) = ends.unwrap_or_default();
            let visit = Visit {
                role: about.role,
                family,
                hook,
                input,
                output,
                flow: about.flow,
                steps: Vec::new(),
                end: VisitEnd::Unknown,
            };
            all.push(Open { visit, id: event.id });
            all.len() - 1
        });
        let visit = &mut all[at].visit;
        match checkpoint {
            Some(Checkpoint::Passed(_) | Checkpoint::Arrived) => visit.end = VisitEnd::Passed,
            Some(Checkpoint::Reached(_)) => {}
            None => {
                visit.steps.push(Met {
                    table: event.table.clone(),
                    chain: event.chain.clone(),
                    step: event.step.clone(),
                });
                if is_drop(&event.step) {
                    visit.end = VisitEnd::Dropped;
                }
            }
        }
    }
    all.into_iter().map(|open| open.visit).collect()
}

fn is_drop(step: &TraceStep) -> bool {
    matches!(step, TraceStep::Rule { verdict: Verdict::Drop, .. } | TraceStep::Policy(Policy::Drop))
}

/// Where the chain of an event stands.
fn hook_of(event: &TraceEvent, ruleset: &Ruleset) -> Option<Hook> {
    let table = ruleset.tables.iter().find(|table| table.id == event.table)?;
    Some(table.chain(&event.chain)?.base.as_ref()?.hook)
}

/// An ICMP error by its header alone: of one there is less at hand than what it quotes; that it was marked says whose it is.
fn error(bytes: &[u8]) -> Option<Known> {
    use nslab_decode::{Flow, Frame, Link, Network, Points, Transport, decode};
    let decoded = decode(&Frame::new(bytes).on(Link::Ip));
    let is_icmp = match decoded.transport()? {
        Transport::Icmp(icmp) => icmp.kind != REDIRECT,
        Transport::Icmpv6(_) => true,
        Transport::Broken(broken) => broken.protocol.starts_with("icmp"),
        _ => false,
    };
    let (source, destination, protocol, ttl) = match &decoded.network {
        Network::Ipv4(packet) => {
            (packet.source.into(), packet.destination.into(), packet.protocol, packet.ttl)
        }
        Network::Ipv6(packet) => {
            (packet.source.into(), packet.destination.into(), packet.protocol, packet.hop_limit)
        }
        _ => return None,
    };
    let flow = Flow { source, destination, protocol, points: Points::None };
    is_icmp.then_some(Known { role: Role::Error, flow, ttl, fragment: None })
}

/// Whether a header is of another packet than what is known under its number.
fn is_other(bytes: &[u8], known: Option<&Known>) -> bool {
    let Some(known) = known else { return false };
    let protocol = match bytes.first().map(|first| first >> 4) {
        Some(4) => bytes.get(9),
        // What follows the header may be an extension.
        _ => return false,
    };
    protocol.is_some_and(|&protocol| protocol != known.flow.protocol)
}

#[cfg(test)]
mod tests {
    use nslab_kernel::nftables::trace::TracePacket;
    use nslab_kernel::nftables::{BaseChain, Chain, Data, Table, TableId};

    use super::super::probe::{Kind, Probe};
    use super::*;

    fn ruleset() -> Ruleset {
        let mut table = Table::new(Family::Inet, "fw");
        table.chains.push(Chain::base("forward", BaseChain::filter(Hook::Forward)));
        table.chains.push(Chain::regular("lan"));
        Ruleset { generation: 1, tables: vec![table] }
    }

    fn probe() -> Probe {
        Probe::new(0, "10.0.0.2".parse().unwrap(), Kind::Echo { id: 7 })
    }

    /// An echo request of the probe's.
    fn packet(probe: &Probe) -> TracePacket {
        let mut network = vec![0x45, 0, 0, 84, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        network[3] = 84;
        let mut transport = vec![8, 0, 0, 0, 0, 7, 0, 1];
        transport.extend(probe.nonce);
        transport.extend([0; 4]);
        TracePacket {
            protocol: 2,
            input: Some(3),
            output: Some(4),
            network: Data::from(network),
            transport: Data::from(transport),
            ..TracePacket::default()
        }
    }

    fn event(table: &str, chain: &str, step: TraceStep, packet: Option<TracePacket>) -> TraceEvent {
        let table = TableId::new(Family::Inet, table);
        TraceEvent { id: 5, table, chain: chain.into(), step, mark: 0, packet }
    }

    #[test]
    fn steps_of_one_hook_are_one_visit() {
        let (probe, ruleset) = (probe(), ruleset());
        let jump = TraceStep::Rule { handle: 2, verdict: Verdict::Jump("lan".into()) };
        let accept = TraceStep::Policy(Policy::Accept);
        let events = [
            event("fw", "forward", jump, Some(packet(&probe))),
            event("fw", "lan", TraceStep::Return { handle: None }, None),
            event("fw", "forward", accept.clone(), None),
            event("nslab-trace-1-0", "passed-forward", accept.clone(), Some(packet(&probe))),
            event("nslab-trace-1-0", "passed-postrouting", accept, Some(packet(&probe))),
        ];
        let seen = visits(&events, &ruleset, &mut Recogniser::new(&probe));
        assert_eq!(seen.len(), 2, "{seen:#?}");
        assert_eq!(
            (seen[0].hook, seen[0].end, seen[0].steps.len()),
            (Some(Hook::Forward), VisitEnd::Passed, 3)
        );
        assert_eq!((seen[1].hook, seen[1].steps.len()), (Some(Hook::Postrouting), 0));
        assert_eq!((seen[0].role, seen[0].input, seen[0].output), (Role::Request, Some(3), Some(4)));
    }

    #[test]
    fn the_end_of_a_chain_and_its_policy_are_one_visit() {
        let probe = probe();
        let passed = |step, packet| event("nslab-trace-1-0", "passed-output", step, packet);
        let events = [
            passed(TraceStep::Return { handle: None }, Some(packet(&probe))),
            passed(TraceStep::Policy(Policy::Accept), None),
            event("nslab-trace-1-0", "passed-postrouting", TraceStep::Policy(Policy::Accept), None),
        ];
        let seen = visits(&events, &ruleset(), &mut Recogniser::new(&probe));
        let seen: Vec<_> = seen.iter().map(|visit| (visit.hook, visit.end)).collect();
        assert_eq!(seen, [Hook::Output, Hook::Postrouting].map(|hook| (Some(hook), VisitEnd::Passed)));
    }

    #[test]
    fn what_drops_it_is_the_last_step() {
        let (probe, ruleset) = (probe(), ruleset());
        let drop = TraceStep::Rule { handle: 9, verdict: Verdict::Drop };
        let events = [event("fw", "forward", drop, Some(packet(&probe)))];
        let seen = visits(&events, &ruleset, &mut Recogniser::new(&probe));
        assert_eq!((seen[0].hook, seen[0].end), (Some(Hook::Forward), VisitEnd::Dropped));
    }

    #[test]
    fn packets_of_others_are_none_of_it() {
        let (own, other) = (probe(), probe());
        let events = [event("fw", "forward", TraceStep::Policy(Policy::Accept), Some(packet(&other)))];
        assert_eq!(visits(&events, &ruleset(), &mut Recogniser::new(&own)), []);
    }

    #[test]
    fn packets_are_marked_before_the_first_chain() {
        let mut ruleset = ruleset();
        assert_eq!(earliest(&ruleset), EARLY);
        let base = BaseChain { priority: -500, ..BaseChain::filter(Hook::Prerouting) };
        ruleset.tables[0].chains.push(Chain::base("first", base));
        assert_eq!(earliest(&ruleset), -501);
    }
}
