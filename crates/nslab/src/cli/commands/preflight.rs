//! `nslab doctor --host`.

use std::process::ExitCode;

use nslab_lab::preflight::{self, Check, Status};
use nslab_view::{Checked, Mark};
use schemars::JsonSchema;
use serde::Serialize;

use super::{DONE, NO};
use crate::cli::output::Output;

/// Whether a machine has what labs need.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab doctor --host --json")]
pub(super) struct Report {
    /// Nothing is lacking
    ready: bool,
    /// Each thing that was looked at
    checks: Vec<Row>,
}

/// One thing that was looked at.
#[derive(Serialize, JsonSchema)]
struct Row {
    /// What, a name that stays the same: `user-namespaces`, `CONFIG_VETH`
    name: String,
    /// `lacking`: no lab can be built; `warning`: labs that use it fail or are disturbed; `note`: worth knowing
    #[schemars(extend("enum" = ["ok", "note", "warning", "lacking"]))]
    status: String,
    /// How it is, in words
    text: String,
    /// What may be typed against it
    fix: Vec<String>,
}

impl From<&Check> for Row {
    fn from(check: &Check) -> Self {
        let status = match check.status {
            Status::Ok => "ok",
            Status::Note => "note",
            Status::Warning => "warning",
            Status::Lacking => "lacking",
        };
        Self {
            name: check.name.clone(),
            status: status.to_owned(),
            text: check.text.clone(),
            fix: check.fix.clone(),
        }
    }
}

pub(super) fn run(output: Output) -> ExitCode {
    let mut found = preflight::run();
    let status = if found.ready { DONE } else { NO.into() };
    if output.json {
        let checks = found.checks.iter().map(Row::from).collect();
        output.print_json(&Report { ready: found.ready, checks });
        return status;
    }
    // The worst first.
    found.checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    let rows: Vec<Checked<'_>> = found
        .checks
        .iter()
        .map(|check| Checked {
            mark: match check.status {
                Status::Ok => Mark::Ok,
                Status::Note => Mark::Note,
                Status::Warning => Mark::Warning,
                Status::Lacking => Mark::Lacking,
            },
            name: &check.name,
            text: &check.text,
            fix: &check.fix,
        })
        .collect();
    output.print(&nslab_view::checks(&rows, &output.style()));
    status
}
