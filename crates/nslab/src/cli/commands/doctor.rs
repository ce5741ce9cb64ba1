//! `nslab doctor`.

use std::process::ExitCode;

use nslab_predict::doctor::{Fault, Severity, examine};
use nslab_snapshot::{Name, Options};
use serde::Serialize;

use super::scan::{load, take};
use super::{DONE, NO};
use crate::cli::args::Doctor;
use crate::cli::error::{CliError, unknown};
use crate::cli::output::Output;

/// What `doctor --json` prints.
#[derive(Serialize)]
struct Report {
    /// So many namespaces are meant.
    namespaces: usize,
    /// So many of them could not be read.
    unreadable: usize,
    faults: Vec<Fault>,
}

pub(super) fn run(args: &Doctor, output: Output) -> Result<ExitCode, CliError> {
    if args.host {
        return Ok(super::preflight::run(output));
    }
    let snapshot = match &args.snapshot {
        Some(file) => load(file)?,
        None => take(Options::default(), output)?,
    };
    let lab_of = |name: &Name| match name {
        Name::Node { lab, .. } => Some(lab.clone()),
        _ => None,
    };
    let is_meant = |place: usize| {
        let names = &snapshot.namespaces[place].names;
        args.lab.as_ref().is_none_or(|lab| names.iter().filter_map(lab_of).any(|own| own == *lab))
    };
    let meant: Vec<usize> = (0..snapshot.namespaces.len()).filter(|&place| is_meant(place)).collect();
    if let (Some(lab), true) = (&args.lab, meant.is_empty()) {
        let mut labs: Vec<String> =
            snapshot.namespaces.iter().flat_map(|space| space.names.iter().filter_map(lab_of)).collect();
        labs.sort();
        labs.dedup();
        return Err(unknown(format!("there is no lab {lab:?}"), lab, &labs, "labs"));
    }
    let unreadable = meant.iter().filter(|&&place| snapshot.namespaces[place].state().is_none()).count();
    let faults = examine(&snapshot, &is_meant);
    let status = if faults.iter().any(|fault| fault.severity == Severity::Error) { NO.into() } else { DONE };
    if output.json {
        output.print_json(&Report { namespaces: meant.len(), unreadable, faults });
    } else {
        output.print(&nslab_view::faults(&faults, meant.len() - unreadable, unreadable, &output.style()));
    }
    Ok(status)
}
