//! Networks one after another, and what to say of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;

use nslab_predict::{Code, Prediction, Verdict};

use crate::chance::Chance;
use crate::compare::{Contradiction, Finding, describe};
use crate::faults::{self, Healthy};
use crate::network::Network;
use crate::probe::Probe;
use crate::report::Report;
use crate::shrink::shrink;
use crate::trial::{self, Trial};
use crate::{Error, generate, sys};

/// A run: which kinds of contradictions were shown already.
#[derive(Debug)]
pub struct Session {
    shown: Mutex<BTreeSet<String>>,
    _clock: sys::Socket,
}

impl Session {
    /// Begins one.
    pub fn begin() -> std::io::Result<Self> {
        Ok(Self { shown: Mutex::default(), _clock: sys::Socket::clock()? })
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
    format!("{:?} {:?} {code:?} {happened:?}", contradiction.part, prediction.verdict)
}

/// Tries packets in the network of a seed; what the kernel contradicts, as text.
pub fn network(
    session: &Session,
    seed: u64,
    packets: usize,
    plain: bool,
    report: &mut Report,
) -> Vec<String> {
    let (network, probes) = generate::any(seed, packets, plain);
    let trial = match trial::run(&network, &probes) {
        Ok(trial) => trial,
        Err(error) => {
            report.failed += 1;
            return vec![format!("seed {seed}: {error}")];
        }
    };
    report.networks += 1;
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
        let again = alone(&network, probe);
        report.contradiction(contradiction, &kind, again.is_some());
        if let Some(again) = again
            && session.is_new(kind)
        {
            let part = again.part;
            let small = shrink(&network, |fewer| alone(fewer, probe).is_some_and(|found| found.part == part));
            texts.push(format!("{}\n{}", again.text, explain(seed, &small, probe)));
        }
    }
    texts
}

/// What the kernel contradicts of a packet that is sent alone, each time: what it says of its own (MLD, say) may teach neighbours
/// and bridges something between the look and the packet.
fn alone(network: &Network, probe: &Probe) -> Option<Contradiction> {
    once_alone(network, probe).and_then(|_| once_alone(network, probe))
}

fn once_alone(network: &Network, probe: &Probe) -> Option<Contradiction> {
    let trial = trial::run(network, std::slice::from_ref(probe)).ok()?;
    match trial.outcomes.into_iter().next() {
        Some((_, _, Finding::Contradicts(contradiction))) => Some(contradiction),
        _ => None,
    }
}

/// A contradiction, with all that is needed to see it.
fn explain(seed: u64, network: &Network, probe: &Probe) -> String {
    let mut text = format!("seed {seed}\n{}", network.script(&[probe.from]));
    let _ = writeln!(text, "# {probe:?}");
    let Ok(Trial { taken, outcomes }) = trial::run(network, std::slice::from_ref(probe)) else { return text };
    let Some((prediction, observed, finding)) = outcomes.into_iter().next() else { return text };
    if let Finding::Contradicts(contradiction) = finding {
        let _ = writeln!(text, "# {}", contradiction.text);
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

/// Puts a fault into the healthy network of a seed; what is wrong, as text.
pub fn fault(session: &Session, seed: u64, report: &mut Report) -> Vec<String> {
    match try_fault(session, seed, report) {
        Ok(text) => Vec::from_iter(text),
        Err(error) => {
            report.failed += 1;
            vec![format!("seed {seed}: {error}")]
        }
    }
}

fn try_fault(session: &Session, seed: u64, report: &mut Report) -> Result<Option<String>, Error> {
    let mut chance = Chance::new(seed);
    let (draft, probe) = generate::healthy(&mut chance);
    let network = draft.clone().network();
    report.networks += 1;
    let (finding, healthy) = {
        let trial = trial::run(&network, std::slice::from_ref(&probe))?;
        let Some((prediction, observed, finding)) = trial.outcomes.first() else { return Ok(None) };
        if observed.verdict(&probe) != Verdict::Delivered {
            report.failed += 1;
            return Ok(Some(format!("not healthy: {}", explain(seed, &network, &probe))));
        }
        report.count(prediction, Verdict::Delivered, finding);
        let healthy = Healthy::of(&draft, &probe, &trial.taken, observed);
        (finding.clone(), healthy)
    };
    if let Finding::Contradicts(contradiction) = &finding {
        report.contradiction(contradiction, "", true);
        return Ok(Some(explain(seed, &network, &probe)));
    }
    let Some(fault) = healthy.and_then(|healthy| faults::inject(&mut chance, &healthy)) else {
        return Ok(None);
    };
    let (network, probe) = (fault.draft.network(), fault.probe);
    let trial = trial::run(&network, std::slice::from_ref(&probe))?;
    let Some((prediction, observed, finding)) = trial.outcomes.first() else { return Ok(None) };
    let verdict = observed.verdict(&probe);
    report.count(prediction, verdict, finding);
    let by_chance = [Code::DuplicateAddress, Code::DuplicateMac].contains(&fault.code);
    if let Finding::Contradicts(contradiction) = finding {
        let again = alone(&network, &probe);
        let kind = kind(contradiction, prediction, verdict);
        report.contradiction(contradiction, &kind, again.is_some());
        let is_new = session.is_new(kind);
        let Some(again) = again.filter(|_| is_new) else { return Ok(None) };
        let small =
            shrink(&network, |fewer| alone(fewer, &probe).is_some_and(|found| found.part == again.part));
        return Ok(Some(format!("{}: {}", fault.code, explain(seed, &small, &probe))));
    }
    // Another way may have been found around it.
    if verdict == Verdict::Delivered && !by_chance {
        return Ok(None);
    }
    let own = report.faults.entry(fault.code.to_string()).or_default();
    own.cases += 1;
    let code = prediction.cause.as_ref().map(|cause| cause.code);
    if code.is_some_and(|code| code == fault.code || fault.or.contains(&code)) {
        return Ok(None);
    }
    if matches!(finding, Finding::Unknown(_)) {
        own.unknown += 1;
        return Ok(None);
    }
    own.other_code += 1;
    if !session.is_new(format!("{} {code:?}", fault.code)) {
        return Ok(None);
    }
    Ok(Some(format!("{} is not named: {}", fault.code, explain(seed, &network, &probe))))
}
