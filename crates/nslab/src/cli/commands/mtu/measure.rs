//! Measuring, on this host.

use std::collections::BTreeSet;
use std::time::Duration;

use nslab_filter::{Filter, NameTable};
use nslab_kernel::packet::Instruction;
use nslab_kernel::route::PathMtu;
use nslab_observe::capture::{Source, instructions};
use nslab_observe::pmtu::{Kind, Measured, Next, Plan, Prober, Target, search};
use nslab_predict::{Action, Hop, Network, Prediction, Question, pmtu};

use crate::cli::error::{CliError, Kind as ErrorKind};

/// What was measured.
pub(super) struct Measurement {
    pub(super) measured: Measured,
    /// The namespaces that were watched, by their places in the snapshot.
    pub(super) places: Vec<usize>,
    /// What the sender's kernel took the way to carry before, and after.
    pub(super) before: PathMtu,
    pub(super) after: PathMtu,
    /// What it does then with a packet that it was told is too big.
    pub(super) next: Option<Next>,
}

impl Measurement {
    /// With which size a sender begins: what its route says, if it says something, else the full one.
    pub(super) fn start(&self) -> u32 {
        let route = self.before.mtu.filter(|_| self.before.expires.is_none());
        route.map_or(self.measured.full, |mtu| mtu.min(self.measured.full))
    }
}

pub(super) fn run(
    network: &Network<'_>,
    question: &Question,
    predicted: &pmtu::PathMtu,
    target: Target,
    meant: Option<usize>,
    patience: Duration,
) -> Result<Measurement, CliError> {
    let way = || predicted.rungs.iter().chain([&predicted.least]).chain(&predicted.largest);
    let places: Vec<usize> =
        way().flat_map(namespaces).chain([question.namespace]).collect::<BTreeSet<_>>().into_iter().collect();
    let destination = meant.or_else(|| way().find_map(delivered));
    let (places, sources) = sources(network, places)?;
    let place = |wanted: usize| places.iter().position(|&place| place == wanted);
    let source = place(question.namespace).ok_or_else(|| {
        CliError::new(ErrorKind::Machine, "the sender's namespace is gone").hint("once more")
    })?;
    let plan = Plan {
        source,
        destination: destination.and_then(place),
        places: sources,
        target,
        filter: filter(target)?,
        patience,
    };
    let mut prober = Prober::open(plan).map_err(|error| failed(&error))?;
    // A way that there is not has none.
    let before = prober.known().unwrap_or_default();
    let mut guesses: Vec<u32> = predicted.rungs.iter().map(|rung| rung.packet.ip.size).collect();
    guesses.extend(predicted.mtu());
    guesses.extend(before.mtu);
    let full = predicted.full.min(target.most());
    let mut measured = search(full, target.least(), &guesses, |sizes| prober.round(sizes))
        .map_err(|error| failed(&error))?;
    let after = prober.known().unwrap_or_default();
    let told = measured.discovery(full).len() > 1 || after.mtu.is_some_and(|mtu| mtu < full);
    let next = if told { Some(prober.next(full).map_err(|error| failed(&error))?) } else { None };
    measured.outcomes = prober.finish().map_err(|error| failed(&error))?;
    Ok(Measurement { measured, places, before, after, next })
}

/// All namespaces that a packet, its answer or the word about it comes by.
fn namespaces(prediction: &Prediction) -> impl Iterator<Item = usize> + '_ {
    let ways = [Some(&prediction.hops), prediction.answer.as_ref(), prediction.error.as_ref()];
    let hops = ways.into_iter().flatten().chain(&prediction.others).flatten();
    hops.map(|hop| hop.namespace).chain(prediction.cause.as_ref().map(|cause| cause.namespace))
}

/// Where a packet is delivered.
fn delivered(prediction: &Prediction) -> Option<usize> {
    let last: &Hop = prediction.hops.iter().rev().find(|hop| hop.action == Action::Deliver)?;
    Some(last.namespace)
}

/// Handles on namespaces of a snapshot, of those that can be entered.
fn sources(network: &Network<'_>, places: Vec<usize>) -> Result<(Vec<usize>, Vec<Source>), CliError> {
    let mut found = nslab_snapshot::places()?;
    let mut sources = Vec::new();
    for place in places {
        let space = &network.snapshot.namespaces[place];
        let Some(at) = found.iter().position(|one| one.id == space.id) else { continue };
        if let Ok(namespace) = found.swap_remove(at).namespace {
            sources.push((place, Source::all(space.name().to_string(), namespace)));
        }
    }
    Ok(sources.into_iter().unzip())
}

/// Probes, their answers, and errors; of TCP only what begins or ends connections.
fn filter(target: Target) -> Result<Vec<Instruction>, CliError> {
    let text = match (target.kind, target.destination.is_ipv6()) {
        (Kind::Echo, false) => "icmp".to_owned(),
        (Kind::Echo, true) => "icmp6".to_owned(),
        (Kind::Udp(_), v6) => format!("udp or {}", if v6 { "icmp6" } else { "icmp" }),
        (Kind::Tcp(_), false) => "(tcp[tcpflags] & (tcp-syn|tcp-rst) != 0) or icmp".to_owned(),
        (Kind::Tcp(_), true) => "(ip6 proto 6 and ip6[53] & 6 != 0) or icmp6".to_owned(),
    };
    let wrong = |error: nslab_filter::FilterError| CliError::new(ErrorKind::Machine, error.message);
    let filter = Filter::parse(&text, &NameTable::builtin()).map_err(wrong)?;
    Ok(instructions(&filter))
}

fn failed(error: &nslab_observe::Error) -> CliError {
    let refused = matches!(error, nslab_observe::Error::Kernel(error) if error.errno() == Some(rustix::io::Errno::PERM));
    let failed = CliError::new(ErrorKind::Machine, error.to_string());
    if refused {
        failed.hint(
            "measuring needs root or CAP_NET_RAW, which an ordinary user's own labs have; --predict sends nothing",
        )
    } else {
        failed
    }
}
