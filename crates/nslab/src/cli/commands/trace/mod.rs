//! `nslab trace`.

mod connection;
mod drops;
mod listen;
mod record;
mod report;
mod tell;

use std::cell::OnceCell;
use std::process::ExitCode;

use nslab_compare::{Facts, Story, Waiting, take_traces};
use nslab_kernel::Namespace;
use nslab_kernel::link::LinkKind;
use nslab_kernel::nftables::{Table, trace::TraceTable};
use nslab_lab::rootless;
use nslab_observe::trace::{self, NONCE, Options, Place, Probe};
use nslab_predict::command::Shell;
use nslab_predict::{Network, Question, Transport, Verdict, fix, predict};
use nslab_snapshot::{Snapshot, State};
use nslab_view::Explanation;

pub(super) use listen::Line;
pub(super) use report::Report;

use super::explain::{self, Destination};
use super::{DONE, NO, capture};
use crate::cli::args::Trace;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;
use crate::cli::places::Places;

pub(super) fn run(args: &Trace, output: Output) -> Result<ExitCode, CliError> {
    if let Some(text) = &args.listen {
        return listen::run(args, text, output);
    }
    let (sender, receiver) = args.pair()?;
    // Before an ordinary user's process sees other files.
    let wanted = args.pcapng.as_deref().map(record::Wanted::find).transpose()?;
    let shell = if rootless::needed() { Shell::Outside } else { Shell::Host };
    // Several descriptors for each namespace.
    nslab_lab::exec::limits::raise();
    let loading = (!rootless::needed()).then(|| drops::Loading::begin(nslab_compare::Drops::open));
    let mut places = Places::open(None, nslab_snapshot::Options { connections: true }, output)?;
    let recording = wanted.map(record::Wanted::create).transpose()?;
    let traces = take_traces(&mut places.snapshot);
    let network = Network::of(&places.snapshot);
    let source = places.find(sender)?;
    explain::readable(&places.snapshot, source)?;
    let mut asked = args.question(sender, receiver);
    let Destination { meant, address, link, service } =
        explain::destination(&asked, &places, &network, source)?;
    let seed = Probe::new(0, address, trace::Kind::Other(0)).nonce;
    sizes(args, service, &mut asked)?;
    if asked.sport.is_none()
        && matches!(service, crate::cli::service::Service::Tcp(_) | crate::cli::service::Service::Udp(_))
    {
        asked.sport = Some(port(places.snapshot.namespaces[source].state(), seed));
    }
    let (mut packet, mut taken) = explain::packet(&asked, &places.snapshot, source, address, service)?;
    if let Transport::Icmp { id, .. } = &mut packet.transport {
        *id = u16::from_be_bytes([seed[6], seed[7]]).max(1);
    }
    let question = Question { namespace: source, packet, established: false, fresh: false, link };
    let mut prediction = predict(&network, &question);
    prediction.assumptions.append(&mut taken);

    let near = nslab_compare::near(&places.snapshot, source, meant);
    let (watched, numbers) = open(&places.snapshot, &near, &traces)?;
    let Some(from) = numbers.iter().position(|&place| place == source) else {
        return Err(CliError::new(Kind::Machine, format!("{sender} is gone")));
    };
    let probe = Probe {
        source: args.from,
        link,
        size: question.packet.ip.size,
        ttl: args.ttl,
        dont_fragment: question.packet.ip.dont_fragment,
        mark: question.packet.mark,
        nonce: seed,
        ..Probe::new(from, address, nslab_compare::kind(question.packet.transport))
    };
    let waiting = Waiting { limit: args.wait, ..Waiting::default() };
    let options = Options {
        rules: !args.no_rules,
        counters: nslab_compare::counted(&numbers, &prediction),
        connect: args.connect,
        ..nslab_compare::options(&places.snapshot, &near, &prediction, waiting)
    };
    let missing = OnceCell::new();
    let mut drops = drops::Late::new(loading, &watched, &missing);
    let tell = |seen: trace::Trace| {
        let aim = fix::Aim { shell, destination: meant };
        let facts = Facts {
            snapshot: &places.snapshot,
            places: &numbers,
            probe: &probe,
            prediction: &prediction,
            trace: &seen,
        };
        let story = Story::of(facts);
        let is_as_said = story.differences.is_empty() && story.verdict == prediction.verdict;
        let fix = if is_as_said && story.verdict != Verdict::Delivered {
            fix::find(&network, &question, &prediction, &aim)
        } else {
            None
        };
        let explanation = Explanation {
            snapshot: &places.snapshot,
            question: &question,
            prediction: &prediction,
            fix: fix.as_ref(),
        };
        let is_known =
            prediction.verdict != Verdict::Unknown && !(story.is_partial && story.differences.is_empty());
        let agrees = is_known.then_some(story.differences.is_empty());
        if let Some(mut recording) = recording {
            recording.add(&seen, story.verdict == Verdict::Dropped, |place| {
                nslab_view::namespace_name(&places.snapshot, numbers.get(place).copied().unwrap_or(0))
            })?;
            recording.finish()?;
        }
        if output.json {
            output.print_json(&Report::of(
                &story,
                &explanation,
                &seen,
                &numbers,
                agrees,
                missing.get().cloned(),
            ));
        } else {
            output.print(&tell::text(
                &story,
                &explanation,
                &seen,
                &numbers,
                missing.get().map(String::as_str),
                &output.style(),
            ));
        }
        let fails = story.verdict != Verdict::Delivered
            || seen.connection.as_ref().is_some_and(connection::fails)
            || args.strict && !story.differences.is_empty();
        Ok(if fails { NO.into() } else { DONE })
    };
    trace::run_then(&watched, &probe, &options, &mut drops, tell).map_err(|error| failed(error, sender))?
}

/// The number by which the packet is known needs room.
fn sizes(
    args: &Trace,
    service: crate::cli::service::Service,
    asked: &mut crate::cli::args::Explain,
) -> Result<(), CliError> {
    use crate::cli::service::Service;
    match (service, args.size) {
        (Service::Echo | Service::Udp(_) | Service::Other(_), _) if args.connect => {
            return Err(CliError::bad_input("--connect is for TCP only: nothing else makes connections")
                .hint("name a port, as in `nslab trace red blue:80/tcp --connect`"));
        }
        (Service::Tcp(_), Some(_)) => {
            return Err(CliError::bad_input("--size is not for TCP: the kernel makes the segment"));
        }
        (_, Some(size)) if usize::from(size) < NONCE => {
            let text = format!("--size is at least {NONCE}: by so many bytes the packet is known");
            return Err(CliError::bad_input(text));
        }
        (Service::Udp(_) | Service::Other(_), None) => asked.size = u16::try_from(NONCE).ok(),
        _ => {}
    }
    Ok(())
}

/// A port of those that the kernel gives to clients.
fn port(state: Option<&State>, seed: [u8; NONCE]) -> u16 {
    let (first, last) = state.map_or((32_768, 60_999), |state| state.settings.local_ports);
    let count = u32::from(last.saturating_sub(first)) + 1;
    let chance = u32::from_be_bytes([seed[2], seed[3], seed[4], seed[5]]) % count;
    first.saturating_add(u16::try_from(chance).unwrap_or(0))
}

/// Handles on namespaces of the snapshot, as far as they are there still; with their places in it.
fn open(
    snapshot: &Snapshot,
    near: &[usize],
    traces: &[Vec<Table>],
) -> Result<(Vec<Place>, Vec<usize>), CliError> {
    let mut handles: Vec<(nslab_kernel::NamespaceId, Namespace)> = nslab_snapshot::places()?
        .into_iter()
        .filter_map(|place| Some((place.id, place.namespace.ok()?)))
        .collect();
    let (mut places, mut numbers) = (Vec::new(), Vec::new());
    for &number in near {
        let space = &snapshot.namespaces[number];
        let Some(at) = handles.iter().position(|(id, _)| *id == space.id) else { continue };
        let (_, namespace) = handles.swap_remove(at);
        if let Some(place) = place(space, namespace, &traces[number]) {
            places.push(place);
            numbers.push(number);
        }
    }
    Ok((places, numbers))
}

/// How to trace in a namespace, where these tables of traces are; none if it could not be read.
fn place(space: &nslab_snapshot::Namespace, namespace: Namespace, traces: &[Table]) -> Option<Place> {
    let state = space.state()?;
    let is_bridge = |link: &nslab_kernel::link::Link| matches!(link.kind, Some(LinkKind::Bridge(_)));
    // Those that somebody left behind are taken away.
    let mut ruleset = state.nftables.clone();
    ruleset.tables.extend(traces.iter().filter(|table| TraceTable::is_left_over(table)).cloned());
    Some(Place {
        name: space.name().to_string(),
        namespace,
        ruleset,
        has_bridges: state.network.links.iter().any(is_bridge),
        interfaces: Vec::new(),
    })
}

/// An error of tracing, with what to do about it.
fn failed(error: nslab_observe::Error, source: &str) -> CliError {
    if let nslab_observe::Error::Kernel(kernel) = &error
        && matches!(kernel.errno(), Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS))
    {
        return CliError::new(Kind::Machine, error.to_string())
            .detail(format!("to send from {source} and to watch takes CAP_NET_RAW and CAP_NET_ADMIN there"))
            .hint("run it as root; an ordinary user's own labs need no privilege; `nslab explain` sends nothing");
    }
    capture::failed(error)
}
