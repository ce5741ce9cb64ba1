//! Who gained and who lost since an older snapshot, and because of what.

use std::collections::HashMap;
use std::process::ExitCode;

use nslab_predict::reach::{Cell, Family, Reach, Service, reach};
use nslab_predict::{Network, Verdict};
use nslab_snapshot::Snapshot;
use nslab_view::Matrix;
use schemars::JsonSchema;
use serde::Serialize;

use super::hosts::Hosts;
use super::{CauseRow, cause_row, pairs, word};
use crate::cli::commands::{DONE, NO};
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// What `reach --diff --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab reach --diff --json")]
pub(in crate::cli) struct Report {
    /// Pairs that reach now and did not.
    gained: Vec<Change>,
    /// Pairs that did reach and do not now.
    lost: Vec<Change>,
    /// Hosts that the older snapshot does not have.
    new: Vec<String>,
}

/// A pair.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct Change {
    /// The sender.
    from: String,
    /// The receiver.
    to: String,
    /// `icmp`, `tcp/PORT` or `udp/PORT`.
    #[schemars(with = "String")]
    service: Service,
    /// The outcome before.
    #[schemars(with = "String", extend("enum" = ["delivered", "dropped", "rejected", "unknown"]))]
    was: Verdict,
    /// The outcome now.
    #[schemars(with = "String", extend("enum" = ["delivered", "dropped", "rejected", "unknown"]))]
    is: Verdict,
    /// What stopped it, or does now.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseRow>,
    #[serde(skip)]
    reason: String,
    #[serde(skip)]
    places: (usize, usize),
}

pub(super) fn run(
    old: &Snapshot,
    new: &Snapshot,
    hosts: &Hosts,
    now: &Reach,
    family: Family,
    output: Output,
) -> Result<ExitCode, CliError> {
    // By what people call them: numbers of namespaces are others after a reboot.
    let by_name: HashMap<String, usize> =
        old.namespaces.iter().enumerate().map(|(place, space)| (space.name().to_string(), place)).collect();
    let called = |place: usize| new.namespaces[place].name().to_string();
    let then: Vec<Option<usize>> =
        hosts.places.iter().map(|&place| by_name.get(&called(place)).copied()).collect();
    let known: Vec<usize> = then.iter().flatten().copied().collect();
    if known.is_empty() {
        return Err(CliError::bad_input("the older snapshot has none of these namespaces"));
    }
    let network = Network::of(old);
    let before = reach(&network, &known, now.services(), family);
    let place_then: Vec<Option<usize>> = then
        .iter()
        .map(|place| place.and_then(|place| known.iter().position(|other| *other == place)))
        .collect();
    let mut report = Report { gained: Vec::new(), lost: Vec::new(), new: Vec::new() };
    for (from, to) in pairs(hosts) {
        let (Some(from_then), Some(to_then)) = (place_then[from], place_then[to]) else { continue };
        for (number, &service) in now.services().iter().enumerate() {
            let (Some(was), Some(is)) = (before.cell(from_then, to_then, number), now.cell(from, to, number))
            else {
                continue;
            };
            let (reached, reaches) = (was.verdict == Verdict::Delivered, is.verdict == Verdict::Delivered);
            if reached == reaches {
                continue;
            }
            let (snapshot, cell): (&Snapshot, &Cell) = if reaches { (old, was) } else { (new, is) };
            let cause = cell.cause.as_ref().map(|cause| cause_row(snapshot, cause));
            let reason = match &cause {
                Some(cause) => format!("{} at {} {}", cause.code, cause.r#where.ns, cause.r#where.object),
                None => word(cell.verdict).to_owned(),
            };
            let reason = if now.services().len() > 1 { format!("{service} {reason}") } else { reason };
            let change = Change {
                from: hosts.names[from].clone(),
                to: hosts.names[to].clone(),
                service,
                was: was.verdict,
                is: is.verdict,
                cause,
                reason,
                places: (from, to),
            };
            if reaches { report.gained.push(change) } else { report.lost.push(change) }
        }
    }
    let unseen = place_then.iter().zip(&hosts.names).filter(|(then, _)| then.is_none());
    report.new = unseen.map(|(_, name)| name.clone()).collect();
    let status = if report.lost.is_empty() { DONE } else { NO.into() };
    if output.json {
        output.print_json(&report);
    } else {
        output.print(&text(&report, hosts, output));
    }
    Ok(status)
}

fn text(report: &Report, hosts: &Hosts, output: Output) -> String {
    let mut text = String::new();
    for (title, changes) in [("lost", &report.lost), ("gained", &report.gained)] {
        if changes.is_empty() {
            continue;
        }
        let count = hosts.names.len();
        let mut cells = vec![vec![nslab_view::Cell::None; count]; count];
        for change in changes {
            let (from, to) = change.places;
            let reason = match &cells[from][to] {
                nslab_view::Cell::Failed(other) => format!("{other}; {}", change.reason),
                _ => change.reason.clone(),
            };
            cells[from][to] = nslab_view::Cell::Failed(reason);
        }
        let (sources, destinations) = (&hosts.names, &hosts.names);
        let matrix = Matrix { sources, destinations, cells: &cells, predicted: true };
        let what = if title == "lost" { "lost, because of" } else { "gained; stopped before by" };
        text.extend([format!("{what}\n")]);
        for line in nslab_view::failures(&matrix, &output.style()).lines() {
            text.extend([format!("  {line}\n")]);
        }
    }
    if report.lost.is_empty() && report.gained.is_empty() {
        text.push_str("nobody gained and nobody lost\n");
    }
    if !report.new.is_empty() {
        text.extend([format!("new, and not compared: {}\n", report.new.join(", "))]);
    }
    text
}
