//! What came of a test, as facts.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::bounds::Measured;
use super::cases::Case;
use super::check::Finding;
use crate::cli::commands::reach::CauseRow;
use crate::cli::commands::why::Why;
use crate::cli::output::milliseconds;

/// What `test --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "nslab test --json")]
pub(in crate::cli) struct Report {
    /// The lab.
    pub(super) lab: String,
    /// The lab file; none if the lab has none.
    pub(super) file: Option<String>,
    /// How many hold.
    pub(super) passed: usize,
    /// How many do not.
    pub(super) failed: usize,
    /// How many were not tried to the end, as it was to end early.
    pub(super) not_run: usize,
    /// How long it took.
    pub(super) milliseconds: f64,
    /// Each pair of each expectation, in the order of the file.
    pub(super) tests: Vec<Test>,
}

/// One pair of one expectation.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Test {
    /// What is sent, as `a -> b tcp/80`.
    pub(super) name: String,
    /// The line of the lab file.
    pub(super) line: usize,
    /// The sender.
    pub(super) from: String,
    /// The receiver, or the address if one is written.
    pub(super) to: String,
    /// The address that was sent to.
    pub(super) address: IpAddr,
    /// `icmp`, `tcp/PORT` or `udp/PORT`.
    pub(super) service: String,
    /// What the file expects.
    #[schemars(extend("enum" = ["ok", "drop", "reject", "refused"]))]
    pub(super) expected: &'static str,
    /// What was observed; none if it was not tried.
    #[schemars(with = "Option<String>", extend("enum" = ["ok", "drop", "reject", "refused", null]))]
    pub(super) observed: Option<&'static str>,
    /// The same in words.
    pub(super) detail: String,
    /// Whether the one is the other, and all bounds hold.
    #[schemars(with = "String", extend("enum" = ["passed", "failed", "not_run"]))]
    pub(super) status: Status,
    /// Bounds that do not hold, clauses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
    /// What was measured for its bounds.
    #[serde(flatten)]
    pub(super) measured: Figures,
    /// How often it was tried.
    pub(super) tries: u32,
    /// How long that took.
    pub(super) milliseconds: f64,
    /// What is predicted, where it failed.
    #[schemars(with = "Option<String>", extend("enum" = ["delivered", "dropped", "rejected", "unknown", null]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) predicted: Option<&'static str>,
    /// What stops the packet, by prediction, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<CauseRow>,
    /// Commands that, typed in this order, make the packet arrive; none if none could be proved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fix: Vec<String>,
    /// The namespaces that it passes, by prediction, where it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) way: Vec<String>,
}

/// What was measured.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Figures {
    /// The median time of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency_ms: Option<f64>,
    /// The share of packets that were lost, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss: Option<f64>,
    /// Bits in a second; as soon as there were enough it was left at that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bandwidth: Option<u64>,
    /// The nodes and switches that were passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Vec<String>>,
    /// The largest packet that was seen to pass unfragmented, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mtu: Option<u32>,
}

/// Whether an expectation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Status {
    /// It does.
    Passed,
    /// It does not.
    Failed,
    /// That was not found out.
    NotRun,
}

impl Report {
    /// How many are of a status.
    pub(super) fn count(tests: &[Test], status: Status) -> usize {
        tests.iter().filter(|test| test.status == status).count()
    }

    /// Whether an expectation does not hold.
    pub(in crate::cli) fn has_failed(&self) -> bool {
        self.failed > 0
    }
}

impl Test {
    pub(super) fn of(case: &Case<'_>, sender: &str, finding: Finding, why: Option<Why>) -> Self {
        let expectation = case.expectation;
        let status = match finding.holds(case) {
            Some(true) => Status::Passed,
            Some(false) => Status::Failed,
            None => Status::NotRun,
        };
        let Finding { outcome, problems, measured, tries, time, .. } = finding;
        let Measured { latency, loss, bandwidth, path, mtu } = measured;
        let (mut predicted, mut cause, mut fix, mut way) = (None, None, Vec::new(), Vec::new());
        if let Some(why) = why {
            predicted = Some(crate::cli::commands::reach::word(why.verdict));
            (cause, fix, way) = (why.cause, why.fix, why.way);
        }
        Self {
            name: case.label.clone(),
            line: expectation.line,
            from: sender.to_owned(),
            to: case.to.clone(),
            address: case.address,
            service: expectation.service.to_string(),
            expected: expectation.outcome.word(),
            observed: outcome.as_ref().map(|outcome| outcome.verdict().word()),
            detail: outcome.as_ref().map_or_else(|| "it was not tried".to_owned(), ToString::to_string),
            status,
            problems,
            measured: Figures { latency_ms: latency.map(milliseconds), loss, bandwidth, path, mtu },
            tries,
            milliseconds: milliseconds(time),
            predicted,
            cause,
            fix,
            way,
        }
    }

    /// What is wrong, a sentence.
    pub(super) fn complaint(&self) -> String {
        if !self.problems.is_empty() {
            return self.problems.join("; ");
        }
        match self.observed {
            Some(observed) => format!("expected {}, observed {observed}: {}", self.expected, self.detail),
            None => "not run".to_owned(),
        }
    }

    /// Why, in lines: the cause and what mends it, or the way of what should not have arrived.
    pub(super) fn reasons(&self, lab: &str) -> Vec<String> {
        let short = |name: &str| name.strip_prefix(&format!("{lab}/")).unwrap_or(name).to_owned();
        let mut lines = Vec::new();
        if let Some(cause) = &self.cause {
            let inner = cause.inner.map_or_else(String::new, |inner| format!(" ({inner})"));
            lines.push(format!("{}{inner} at {}: {}", cause.code, short(&cause.r#where.ns), cause.text));
            lines.extend(self.fix.iter().map(|command| format!("fix: {command}")));
        } else if self.predicted == Some("delivered") && self.expected != "ok" {
            let way: Vec<String> = self.way.iter().map(|name| short(name)).collect();
            lines.push(format!("it goes {}", way.join(" → ")));
        } else if self.predicted == Some("delivered") && self.problems.is_empty() {
            lines.push("by what the kernel has it should arrive: no cause is known".to_owned());
        }
        if self.tries > 1 {
            lines.push(format!("tried {} times in {:.1} s", self.tries, self.milliseconds / 1e3));
        }
        lines
    }
}
