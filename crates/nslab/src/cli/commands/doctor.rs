//! `nslab doctor`.

use std::process::ExitCode;

use nslab_predict::Code;
use nslab_predict::doctor::{Fault, Severity, examine};
use nslab_snapshot::{Name, Options};
use schemars::JsonSchema;
use serde::Serialize;

use super::scan::{load, take};
use super::{DONE, NO};
use crate::cli::args::Doctor;
use crate::cli::error::{CliError, unknown};
use crate::cli::output::Output;

/// What is wrong with the networks of a host.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab doctor --json")]
pub(super) struct Report {
    /// So many namespaces are meant
    namespaces: usize,
    /// So many of them could not be read
    unreadable: usize,
    /// The worst first
    faults: Vec<Found>,
}

/// A fault.
#[derive(Serialize, JsonSchema)]
struct Found {
    /// `error`: packets are lost; `warning`: they may be, or go elsewhere than meant; `note`: worth knowing
    #[schemars(extend("enum" = ["error", "warning", "note"]))]
    severity: String,
    #[schemars(extend("enum" = Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()))]
    code: String,
    /// What is wrong, a sentence
    text: String,
    /// Where, the object to blame first
    #[serde(rename = "where")]
    places: Vec<Place>,
    /// What it can be seen by
    evidence: Vec<String>,
    /// Commands that mend it, to be typed; empty where that is for people to decide
    fix: Vec<String>,
}

/// Where a fault is.
#[derive(Serialize, JsonSchema)]
struct Place {
    /// The namespace
    ns: String,
    /// The object: an interface, a sysctl, a rule
    object: String,
}

impl From<&Fault> for Found {
    fn from(fault: &Fault) -> Self {
        let severity = match fault.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let place = |place: &nslab_predict::doctor::Place| Place {
            ns: place.ns.clone(),
            object: place.object.clone(),
        };
        Self {
            severity: severity.to_owned(),
            code: fault.code.to_string(),
            text: fault.text.clone(),
            places: fault.places.iter().map(place).collect(),
            evidence: fault.evidence.clone(),
            fix: fault.fix.clone(),
        }
    }
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
        let faults = faults.iter().map(Found::from).collect();
        output.print_json(&Report { namespaces: meant.len(), unreadable, faults });
    } else {
        output.print(&nslab_view::faults(&faults, meant.len() - unreadable, unreadable, &output.style()));
    }
    Ok(status)
}
