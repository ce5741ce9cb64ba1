//! Networks one after another, and what to say of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;

use nslab_predict::{Prediction, Verdict};

use crate::build::Built;
use crate::chance::Chance;
use crate::compare::{Contradiction, Finding, describe};
use crate::faults::{self, Fault, Healthy, Mended, Named, mend};
use crate::generate::{Draft, Mode};
use crate::network::Network;
use crate::probe::Probe;
use crate::report::Report;
use crate::shrink::shrink;
use crate::traced::{Level, Tracer};
use crate::trial::{self, Trial};
use crate::{Error, generate, sys};

/// A run: which kinds of contradictions were shown already.
#[derive(Debug)]
pub struct Session {
    shown: Mutex<BTreeSet<String>>,
    /// By what packets are seen; the tester's own sockets if by nothing else.
    tracer: Option<Tracer>,
    /// The smallest network is looked for in which something is still wrong.
    shrinks: bool,
    _clock: sys::Socket,
}

impl Session {
    /// Begins one in which packets are seen by the tester's own sockets.
    pub fn begin() -> std::io::Result<Self> {
        Ok(Self { shown: Mutex::default(), tracer: None, shrinks: true, _clock: sys::Socket::clock()? })
    }

    /// Begins one in which packets are traced as `nslab trace` traces them.
    pub fn tracing(level: Level) -> Result<Self, Error> {
        Ok(Self { tracer: Some(Tracer::new(level)?), ..Self::begin()? })
    }

    /// The same, that looks for the smallest network in which something is still wrong, or does not.
    #[must_use]
    pub fn shrinking(self, shrinks: bool) -> Self {
        Self { shrinks, ..self }
    }

    /// Makes a network, predicts packets in it, sends them and compares; the network is still there.
    fn keep(&self, network: &Network, probes: &[Probe]) -> Result<(Built, Trial), Error> {
        match &self.tracer {
            Some(tracer) => tracer.keep(network, probes),
            None => trial::keep(network, probes),
        }
    }

    fn shrink(&self, network: &Network, holds: impl Fn(&Network) -> bool) -> Network {
        if self.shrinks { shrink(network, holds) } else { network.clone() }
    }

    /// The same, and the network is gone.
    fn run(&self, network: &Network, probes: &[Probe]) -> Result<Trial, Error> {
        Ok(self.keep(network, probes)?.1)
    }

    /// What the kernel contradicts of a packet that is sent alone, each time: what it says of its own (MLD, say) may teach
    /// neighbours and bridges something between the look and the packet.
    fn alone(&self, network: &Network, probe: &Probe) -> Option<Contradiction> {
        self.once_alone(network, probe).and_then(|_| self.once_alone(network, probe))
    }

    fn once_alone(&self, network: &Network, probe: &Probe) -> Option<Contradiction> {
        let trial = self.run(network, std::slice::from_ref(probe)).ok()?;
        match trial.outcomes.into_iter().next() {
            Some((_, _, Finding::Contradicts(contradiction))) => Some(contradiction),
            _ => None,
        }
    }

    /// Whether one of its kind was shown already.
    fn is_known(&self, kind: &str) -> bool {
        self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains(kind)
    }

    /// Whether a contradiction is the first of its kind.
    fn is_new(&self, kind: String) -> bool {
        self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(kind)
    }
}

/// What tells kinds of contradictions apart.
fn kind(contradiction: &Contradiction, prediction: &Prediction, happened: Verdict) -> String {
    let code = prediction.cause.as_ref().map(|cause| (cause.code, cause.inner));
    let Contradiction { part, kind, .. } = contradiction;
    format!("{part:?} {kind} {:?} {code:?} {happened:?}", prediction.verdict)
}

/// Tries packets in the network of a seed; what the kernel contradicts, as text.
pub fn network(session: &Session, seed: u64, packets: usize, mode: Mode, report: &mut Report) -> Vec<String> {
    let (network, mut probes) = generate::any(seed, packets, mode);
    if session.tracer.is_some() {
        // `nslab trace` knows no type of service.
        for probe in &mut probes {
            probe.tos = 0;
        }
    }
    let trial = match session.run(&network, &probes) {
        Ok(trial) => trial,
        Err(error) => {
            report.failed += 1;
            return vec![format!("seed {seed}: {error}")];
        }
    };
    report.networks += 1;
    report.steps(&trial.steps);
    let mut texts = Vec::new();
    for (number, (prediction, observed, finding)) in trial.outcomes.iter().enumerate() {
        let probe = &probes[number];
        report.count(prediction, observed.verdict(probe), finding);
        let Finding::Contradicts(contradiction) = finding else { continue };
        let kind = kind(contradiction, prediction, observed.verdict(probe));
        if session.is_known(&kind) {
            // Enough is known to be wrong: more of the same is not looked into.
            report.contradiction(contradiction, &kind, true);
            continue;
        }
        // Alone, in a network made anew, nothing that others left behind has to do with it.
        let again = session.alone(&network, probe);
        report.contradiction(contradiction, &kind, again.is_some());
        if again.is_none() && std::env::var_os("NSLAB_DIFFTEST_SHOW").is_some() {
            texts
                .push(format!("seed {seed}, packet {number}, in passing: {probe:?}\n{}", contradiction.text));
        }
        if let Some(again) = again
            && session.is_new(kind)
        {
            let part = again.part;
            let small = session.shrink(&network, |fewer| {
                session.alone(fewer, probe).is_some_and(|found| found.part == part)
            });
            let first = again.text.lines().next().unwrap_or_default();
            texts.push(format!("{first}\n{}", explain(session, seed, &small, probe)));
        }
    }
    texts
}

/// A contradiction, with all that is needed to see it.
fn explain(session: &Session, seed: u64, network: &Network, probe: &Probe) -> String {
    let mut text = format!("seed {seed}\n{}", network.script(&[probe.from]));
    let _ = writeln!(text, "# {probe:?}");
    let Ok(Trial { taken, outcomes, .. }) = session.run(network, std::slice::from_ref(probe)) else {
        return text;
    };
    let Some((prediction, observed, finding)) = outcomes.into_iter().next() else { return text };
    if let Finding::Contradicts(contradiction) = finding {
        for line in contradiction.text.lines() {
            let _ = writeln!(text, "# {line}");
        }
    }
    let cause = prediction.cause.as_ref().map(|cause| {
        let space = taken.space(cause.namespace).map_or_else(String::new, |space| format!("n{space} "));
        format!("{} at {space}{}: {}", cause.code, cause.object, cause.text)
    });
    let _ = writeln!(
        text,
        "# predicted: {:?}, {}, told {:?}",
        prediction.verdict,
        cause.unwrap_or_default(),
        prediction.told
    );
    for hop in &prediction.hops {
        let space = taken.space(hop.namespace).unwrap_or(usize::MAX);
        let _ = writeln!(text, "#   n{space} {:?} {} {}", hop.action, hop.object, hop.detail);
    }
    for (name, way) in [("answer", &prediction.answer), ("error", &prediction.error)] {
        for hop in way.iter().flatten() {
            let space = taken.space(hop.namespace).unwrap_or(usize::MAX);
            let _ = writeln!(text, "#   {name}: n{space} {:?} {} {}", hop.action, hop.object, hop.detail);
        }
    }
    let _ = writeln!(
        text,
        "# observed: {:?}, arrived {}, answer from {:?}, told {:?}, errno {:?}\n#   seen: {}",
        observed.verdict(probe),
        observed.arrived,
        observed.answer,
        observed.told,
        observed.refused,
        describe(&taken, &observed.seen)
    );
    text
}

/// Puts faults into the healthy network of a seed, one at a time; what is wrong, as text.
pub fn fault(session: &Session, seed: u64, report: &mut Report) -> Vec<String> {
    let mut chance = Chance::new(seed);
    let (draft, probe) = generate::healthy(&mut chance);
    let (faults, mut texts) = match healthy(session, seed, &mut chance, &draft, &probe, report) {
        Ok(found) => found,
        Err(error) => {
            report.failed += 1;
            return vec![format!("seed {seed}: {error}")];
        }
    };
    for fault in faults {
        let code = fault.code;
        match try_fault(session, seed, &fault, report) {
            Ok(found) => texts.extend(found),
            Err(error) => {
                report.failed += 1;
                texts.push(format!("seed {seed}: {code}: {error}"));
            }
        }
    }
    texts
}

/// Tries the network without a fault; the faults to put in, or what is wrong already.
fn healthy(
    session: &Session,
    seed: u64,
    chance: &mut Chance,
    draft: &Draft,
    probe: &Probe,
    report: &mut Report,
) -> Result<(Vec<Fault>, Vec<String>), Error> {
    let network = draft.clone().network();
    report.networks += 1;
    let trial = session.run(&network, std::slice::from_ref(probe))?;
    let Some((prediction, observed, finding)) = trial.outcomes.first() else {
        return Ok((Vec::new(), Vec::new()));
    };
    if observed.verdict(probe) != Verdict::Delivered {
        report.failed += 1;
        return Ok((Vec::new(), vec![format!("not healthy: {}", explain(session, seed, &network, probe))]));
    }
    report.count(prediction, Verdict::Delivered, finding);
    if let Finding::Contradicts(contradiction) = finding {
        report.contradiction(contradiction, "", true);
        return Ok((Vec::new(), vec![explain(session, seed, &network, probe)]));
    }
    let healthy = Healthy::of(draft, probe, &trial.taken, observed);
    let faults = healthy.map_or_else(Vec::new, |healthy| faults::inject(chance, &healthy));
    Ok((faults, Vec::new()))
}

fn try_fault(
    session: &Session,
    seed: u64,
    fault: &Fault,
    report: &mut Report,
) -> Result<Option<String>, Error> {
    let (network, probe) = (fault.draft.clone().network(), &fault.probe);
    report.networks += 1;
    let (mut built, trial) = session.keep(&network, std::slice::from_ref(probe))?;
    let Some((prediction, observed, finding)) = trial.outcomes.first() else { return Ok(None) };
    let verdict = observed.verdict(probe);
    report.count(prediction, verdict, finding);
    report.faults.entry(fault.code.to_string()).or_default().injected += 1;
    if let Finding::Contradicts(contradiction) = finding {
        drop(built);
        let again = session.alone(&network, probe);
        let kind = kind(contradiction, prediction, verdict);
        report.contradiction(contradiction, &kind, again.is_some());
        let is_new = session.is_new(kind);
        let Some(again) = again.filter(|_| is_new) else { return Ok(None) };
        let small = session.shrink(&network, |fewer| {
            session.alone(fewer, probe).is_some_and(|found| found.part == again.part)
        });
        return Ok(Some(format!("{}: {}", fault.code, explain(session, seed, &small, probe))));
    }
    let own = report.faults.entry(fault.code.to_string()).or_default();
    // There may be a way around it.
    if verdict == Verdict::Delivered && !fault.is_by_chance() {
        own.harmless += 1;
        return Ok(None);
    }
    let named = fault.named(prediction.cause.as_ref(), &trial.taken);
    own.count(fault, named, finding);
    let (text, kind) = match named {
        Named::Right(true) | Named::Also(.., true) => (None, String::new()),
        Named::Unknown => (Some("is unknown"), "unknown".to_owned()),
        Named::Right(false) => (Some("is named at another object"), "object".to_owned()),
        Named::Also(code, ..) => (Some("is named at another object"), format!("object {code}")),
        Named::Other(code) => (Some("is not named"), format!("{code:?}")),
    };
    let mended = mend(&mut built, &trial.taken, probe, prediction, fault.meant)?;
    drop(built);
    own.count_fix(&mended);
    let is_new = |kind: &str| session.is_new(format!("{} {kind}", fault.code));
    if let Some(text) = text.filter(|_| is_new(&kind)) {
        let places = &fault.places;
        return Ok(Some(format!(
            "{} {text}, {places:?}: {}",
            fault.code,
            explain(session, seed, &network, probe)
        )));
    }
    match mended {
        Mended::Lost(told) if is_new("fix") => Ok(Some(format!(
            "{}: a fix did not help: {}{told}",
            fault.code,
            explain(session, seed, &network, probe)
        ))),
        Mended::NoFix if !fault.is_for_people() && is_new("no fix") => {
            Ok(Some(format!("{}: no fix is found: {}", fault.code, explain(session, seed, &network, probe))))
        }
        _ => Ok(None),
    }
}
