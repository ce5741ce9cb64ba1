//! Figures of a run.

use std::collections::BTreeMap;

use nslab_predict::{Prediction, Verdict};
use serde::Serialize;

use crate::compare::{Contradiction, Finding};
use crate::faults::Tally as Fault;

/// What a run came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Networks that were made.
    pub networks: u64,
    /// Packets that were sent, and held against a prediction or found unknown.
    pub cases: u64,
    /// Predictions that were so.
    pub agreed: u64,
    /// Nothing was predicted.
    pub unknown: u64,
    /// Contradictions of the kernel's that came again, alone in a network made anew.
    pub wrong: u64,
    /// Contradictions that did not come again: what other packets left behind had to do with them.
    pub passing: u64,
    /// Of which kinds those were.
    pub by_passing: BTreeMap<String, u64>,
    /// Packets that could not be sent.
    pub unsent: u64,
    /// Networks in which the tester itself failed.
    pub failed: u64,
    /// Predictions that were so, by verdict.
    pub by_verdict: BTreeMap<String, u64>,
    /// What happened, by verdict, whatever was predicted.
    pub by_outcome: BTreeMap<String, u64>,
    /// Predictions that were so, by the code of their cause.
    pub by_code: BTreeMap<String, u64>,
    /// What was unknown, by why.
    pub by_doubt: BTreeMap<String, u64>,
    /// What was wrong, by part.
    pub by_part: BTreeMap<String, u64>,
    /// What was wrong, by kind.
    pub by_kind: BTreeMap<String, u64>,
    /// Steps of packets that were traced, by how they stood to the prediction.
    pub by_step: BTreeMap<String, u64>,
    /// Faults that were put into a healthy network, by code.
    pub faults: BTreeMap<String, Fault>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Counts a packet.
    pub fn count(&mut self, prediction: &Prediction, happened: Verdict, finding: &Finding) {
        if !matches!(finding, Finding::Unsent(_)) {
            *self.by_outcome.entry(verdict(happened).into()).or_default() += 1;
        }
        match finding {
            Finding::Agrees => {
                self.cases += 1;
                self.agreed += 1;
                *self.by_verdict.entry(verdict(prediction.verdict).into()).or_default() += 1;
                if let Some(cause) = &prediction.cause {
                    *self.by_code.entry(cause.code.to_string()).or_default() += 1;
                }
            }
            Finding::Unknown(why) => {
                self.cases += 1;
                self.unknown += 1;
                *self.by_doubt.entry(why.clone()).or_default() += 1;
            }
            Finding::Unsent(_) => self.unsent += 1,
            Finding::Contradicts(_) => self.cases += 1,
        }
    }

    /// Counts a contradiction that came again, or did not.
    pub fn contradiction(&mut self, contradiction: &Contradiction, kind: &str, came_again: bool) {
        if came_again {
            self.wrong += 1;
            *self.by_part.entry(contradiction.part.as_str().into()).or_default() += 1;
            *self.by_kind.entry(kind.into()).or_default() += 1;
        } else {
            self.passing += 1;
            *self.by_passing.entry(kind.into()).or_default() += 1;
        }
    }

    /// Counts steps of packets that were traced.
    pub fn steps(&mut self, steps: &BTreeMap<String, u64>) {
        for (step, count) in steps {
            *self.by_step.entry(step.clone()).or_default() += count;
        }
    }

    /// Adds another's figures to its own.
    pub fn add(&mut self, other: &Self) {
        self.networks += other.networks;
        self.cases += other.cases;
        self.agreed += other.agreed;
        self.unknown += other.unknown;
        self.wrong += other.wrong;
        self.passing += other.passing;
        self.unsent += other.unsent;
        self.failed += other.failed;
        for (own, others) in [
            (&mut self.by_verdict, &other.by_verdict),
            (&mut self.by_outcome, &other.by_outcome),
            (&mut self.by_code, &other.by_code),
            (&mut self.by_doubt, &other.by_doubt),
            (&mut self.by_part, &other.by_part),
            (&mut self.by_passing, &other.by_passing),
            (&mut self.by_kind, &other.by_kind),
            (&mut self.by_step, &other.by_step),
        ] {
            for (name, count) in others {
                *own.entry(name.clone()).or_default() += count;
            }
        }
        for (name, fault) in &other.faults {
            self.faults.entry(name.clone()).or_default().add(fault);
        }
    }

    /// A line for people.
    pub fn text(&self) -> String {
        let percent = |part: u64| {
            let part = f64::from(u32::try_from(part).unwrap_or(u32::MAX));
            100.0 * part / f64::from(u32::try_from(self.cases.max(1)).unwrap_or(u32::MAX))
        };
        format!(
            "{} networks, {} packets in {:.1} s: {} as predicted, {} unknown ({:.2} %), {} wrong, {} passing, {} unsent, {} networks failed",
            self.networks,
            self.cases,
            self.seconds,
            self.agreed,
            self.unknown,
            percent(self.unknown),
            self.wrong,
            self.passing,
            self.unsent,
            self.failed,
        )
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Dropped => "dropped",
        Verdict::Rejected => "rejected",
        Verdict::Unknown => "unknown",
    }
}
