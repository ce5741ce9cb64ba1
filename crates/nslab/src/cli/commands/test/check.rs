//! Expectations held against what packets meet.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nslab_observe::probe::{Options, Outcome, Probe, Prober, Verdict};
use nslab_topology::lab::Expected;

use super::bounds::{self, Measured};
use super::cases::Case;
use crate::cli::error::CliError;

/// How long to wait for an answer unless told otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// Where it is tried again, the first tries wait for less, so that the first after a network has settled is not far.
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];
/// The time between two tries: a tenth of what it took so far, within these.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// How to check.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) timeout: Duration,
    /// In place of what the file says.
    pub(super) within: Option<Duration>,
    pub(super) fail_fast: bool,
    /// Whether to end early.
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
}

/// What came of a case.
#[derive(Debug, Clone, Default)]
pub(super) struct Finding {
    /// What was observed last; none if it was not tried.
    pub(super) outcome: Option<Outcome>,
    /// What of its bounds does not hold, clauses.
    pub(super) problems: Vec<String>,
    pub(super) measured: Measured,
    /// How often it was tried.
    pub(super) tries: u32,
    /// How long all of that took.
    pub(super) time: Duration,
    /// Its bounds were not measured, as it was to end early.
    pub(super) is_cut: bool,
}

impl Finding {
    /// Whether it holds; none if that was not found out.
    pub(super) fn holds(&self, case: &Case<'_>) -> Option<bool> {
        let outcome = self.outcome.as_ref()?;
        let holds = is_met(case.expectation.outcome, outcome.verdict());
        if holds && self.is_cut { None } else { Some(holds && self.problems.is_empty()) }
    }
}

/// Whether an outcome is the expected one. To refuse is one way to reject.
pub(super) fn is_met(expected: Expected, verdict: Verdict) -> bool {
    match expected {
        Expected::Ok => verdict == Verdict::Ok,
        Expected::Drop => verdict == Verdict::Drop,
        Expected::Reject => matches!(verdict, Verdict::Reject | Verdict::Refused),
        Expected::Refused => verdict == Verdict::Refused,
    }
}

/// Checks all cases: who reaches whom at once, then how well.
pub(super) fn check(
    cases: &[Case<'_>],
    prober: &Prober,
    watch: &bounds::Watch<'_>,
    how: &How<'_>,
) -> Result<Vec<Finding>, CliError> {
    let began = Instant::now();
    let failed = AtomicBool::new(false);
    let stop = || (how.stop)() || failed.load(Ordering::Relaxed);
    let findings = Mutex::new(vec![Finding::default(); cases.len()]);
    let within = |case: &Case<'_>| how.within.or(case.expectation.within);
    // What is tried once waits as long as it must; what is tried again must not wait for it, nor for what is to be silent.
    let mut groups: [Vec<usize>; 3] = Default::default();
    for (number, case) in cases.iter().enumerate() {
        let group = match (within(case), case.expectation.outcome) {
            (None, _) => 0,
            (Some(_), Expected::Drop) => 1,
            (Some(_), _) => 2,
        };
        groups[group].push(number);
    }
    let run = Run { cases, prober, how, within: &within, findings: &findings, failed: &failed, stop: &stop };
    std::thread::scope(|scope| {
        let threads: Vec<_> = groups
            .iter()
            .enumerate()
            .map(|(group, numbers)| {
                let run = &run;
                scope.spawn(move || run.reach(numbers, group == 2, began))
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
    .map_err(|error| machine(&error))?;
    let mut findings = findings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut open: Vec<usize> = (0..cases.len())
        .filter(|&number| !cases[number].expectation.bounds.is_empty())
        .filter(|&number| findings[number].holds(&cases[number]) == Some(true))
        .collect();
    while !open.is_empty() && !stop() {
        bounds::measure(cases, &open, &mut findings, prober, watch, how, &stop)?;
        for &number in &open {
            findings[number].time = began.elapsed();
        }
        if (how.stop)() {
            // A bound that was not measured to its end shows no problem, which is not to say that it holds.
            break;
        }
        open.retain(|&number| {
            let is_late = within(&cases[number]).is_none_or(|within| began.elapsed() >= within);
            let fails = !findings[number].problems.is_empty();
            if fails && is_late && how.fail_fast {
                failed.store(true, Ordering::Relaxed);
            }
            fails && !is_late
        });
        if !open.is_empty() {
            std::thread::sleep(pause(began));
        }
    }
    for number in open {
        findings[number].is_cut = findings[number].problems.is_empty();
    }
    Ok(findings)
}

/// What all groups share.
struct Run<'a> {
    cases: &'a [Case<'a>],
    prober: &'a Prober,
    how: &'a How<'a>,
    within: &'a (dyn Fn(&Case<'_>) -> Option<Duration> + Sync),
    findings: &'a Mutex<Vec<Finding>>,
    failed: &'a AtomicBool,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Run<'_> {
    /// Tries cases, again and again where they may take time.
    fn reach(&self, numbers: &[usize], is_hasty: bool, began: Instant) -> nslab_observe::Result<()> {
        let mut open = numbers.to_vec();
        let mut round = 0;
        while !open.is_empty() && !(self.stop)() {
            let begun = Instant::now();
            // The last try waits as long as any.
            let is_last = |haste: &Duration| {
                let end = began.elapsed() + *haste;
                open.iter()
                    .any(|&number| (self.within)(&self.cases[number]).is_none_or(|within| within <= end))
            };
            let haste = PATIENCE.get(round).copied().filter(|haste| is_hasty && !is_last(haste));
            let timeout = haste.map_or(self.how.timeout, |haste| haste.min(self.how.timeout));
            self.once(&open, timeout, began)?;
            let findings = self.findings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            open.retain(|&number| {
                let case = &self.cases[number];
                let holds = findings[number].holds(case);
                holds != Some(true) && (self.within)(case).is_some_and(|within| began.elapsed() < within)
            });
            drop(findings);
            round += 1;
            if !open.is_empty() {
                std::thread::sleep(pause(began).saturating_sub(begun.elapsed()));
            }
        }
        Ok(())
    }

    /// Tries cases once. What several ask is sent once.
    fn once(&self, open: &[usize], timeout: Duration, began: Instant) -> nslab_observe::Result<()> {
        let mut places: HashMap<Probe, usize> = HashMap::new();
        let (mut probes, mut askers): (Vec<Probe>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
        for &number in open {
            let probe = self.cases[number].probe();
            let place = *places.entry(probe).or_insert_with(|| {
                probes.push(probe);
                askers.push(Vec::new());
                probes.len() - 1
            });
            askers[place].push(number);
        }
        let options = Options { timeout, stop: self.stop, ..Options::default() };
        self.prober.send(&probes, &options, &mut |place, outcome| {
            let mut findings = self.findings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for &number in &askers[place] {
                let case = &self.cases[number];
                let finding = &mut findings[number];
                finding.tries += 1;
                finding.time = began.elapsed();
                finding.outcome = Some(outcome.clone());
                let is_late = (self.within)(case).is_none_or(|within| began.elapsed() >= within);
                if self.how.fail_fast && is_late && finding.holds(case) == Some(false) {
                    self.failed.store(true, Ordering::Relaxed);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    }
}

/// How long to wait for the next try: programs and logs need not suffer from a network that takes minutes.
fn pause(began: Instant) -> Duration {
    (began.elapsed() / 10).clamp(PAUSES[0], PAUSES[1])
}

/// What could not be observed at all.
pub(super) fn machine(error: &nslab_observe::Error) -> CliError {
    CliError::new(crate::cli::error::Kind::Machine, error.to_string())
}
