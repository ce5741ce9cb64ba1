//! `nslab doctor --host`.

use std::process::ExitCode;

use nslab_lab::preflight::{self, Status};
use nslab_view::{Checked, Mark};

use super::{DONE, NO};
use crate::cli::output::Output;

pub(super) fn run(output: Output) -> ExitCode {
    let mut found = preflight::run();
    let status = if found.ready { DONE } else { NO.into() };
    if output.json {
        output.print_json(&found);
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
