//! What a lab file expects, held against what is predicted.

use std::path::Path;
use std::process::ExitCode;

use nslab_predict::reach::{Cell, Family, Service, ask, ask_address};
use nslab_predict::{Network, Verdict};
use nslab_topology::Loaded;
use nslab_topology::lab::{Expectation, Expected, Party, Probe};
use nslab_topology::model::Device;
use schemars::JsonSchema;
use serde::Serialize;

use super::hosts::Hosts;
use super::{CauseRow, cause_row};
use crate::cli::args::FileArgs;
use crate::cli::commands::{DONE, NO};
use crate::cli::error::CliError;
use crate::cli::file;
use crate::cli::output::Output;

/// One expectation of one pair in JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "a line of nslab reach --expect --json")]
pub(in crate::cli) struct Row {
    /// The line of the lab file.
    line: usize,
    /// The sender.
    from: String,
    /// The receiver.
    to: String,
    /// `icmp`, `tcp/PORT` or `udp/PORT`.
    #[schemars(with = "String")]
    service: Service,
    /// What the file expects.
    #[schemars(with = "String")]
    expected: Expected,
    /// What is predicted.
    #[schemars(with = "String", extend("enum" = ["delivered", "dropped", "rejected", "unknown"]))]
    verdict: Verdict,
    /// Whether the one is the other.
    holds: bool,
    /// What stops the packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseRow>,
}

/// Reads a lab file that has expectations.
pub(super) fn read(path: &Path, output: Output) -> Result<Loaded, CliError> {
    let args = FileArgs { file: Some(path.to_owned()), ..FileArgs::default() };
    let loaded = file::load(&args, output)?.loaded;
    if loaded.lab.expectations.is_empty() {
        return Err(CliError::bad_input(format!("{} expects nothing", path.display()))
            .hint("expect:\n    - a -> b icmp: ok"));
    }
    Ok(loaded)
}

pub(super) fn run(
    loaded: &Loaded,
    network: &Network<'_>,
    hosts: &Hosts,
    family: Family,
    output: Output,
) -> Result<ExitCode, CliError> {
    let mut rows = Vec::new();
    for expectation in &loaded.lab.expectations {
        rows.extend(check(expectation, loaded, network, hosts, family)?);
    }
    let failed = rows.iter().filter(|row| !row.holds).count();
    if output.json {
        output.print_json(&rows);
    } else {
        output.print(&text(&rows));
    }
    Ok(if failed == 0 { DONE } else { NO.into() })
}

fn check(
    expectation: &Expectation,
    loaded: &Loaded,
    network: &Network<'_>,
    hosts: &Hosts,
    family: Family,
) -> Result<Vec<Row>, CliError> {
    let service = match expectation.service {
        Probe::Icmp => Service::Echo,
        Probe::Tcp(port) => Service::Tcp(port),
        Probe::Udp(port) => Service::Udp(port),
    };
    let row = |from: usize, to: String, cell: Cell| {
        let holds = match expectation.outcome {
            Expected::Ok => cell.verdict == Verdict::Delivered,
            Expected::Drop => cell.verdict == Verdict::Dropped,
            Expected::Reject => cell.verdict == Verdict::Rejected,
        };
        Row {
            line: expectation.line,
            from: hosts.names[from].clone(),
            to,
            service,
            expected: expectation.outcome,
            verdict: cell.verdict,
            holds,
            cause: cell.cause.as_ref().map(|cause| cause_row(network.snapshot, cause)),
        }
    };
    let mut rows = Vec::new();
    for from in side(&expectation.from, loaded, hosts, expectation.line)? {
        if let Party::Address(address) = expectation.to {
            let cell = ask_address(network, hosts.places[from], address, service);
            rows.push(row(from, address.to_string(), cell));
            continue;
        }
        for to in side(&expectation.to, loaded, hosts, expectation.line)? {
            if to != from {
                let cell = ask(network, hosts.places[from], hosts.places[to], service, family);
                rows.push(row(from, hosts.names[to].clone(), cell));
            }
        }
    }
    Ok(rows)
}

/// The hosts of one side, as places in their list.
fn side(party: &Party, loaded: &Loaded, hosts: &Hosts, line: usize) -> Result<Vec<usize>, CliError> {
    let name = match party {
        Party::Every => return Ok((0..hosts.names.len()).collect()),
        Party::Address(_) => return Ok(Vec::new()),
        Party::Named(name) => name,
    };
    if let Some(place) = hosts.names.iter().position(|known| known == name) {
        return Ok(vec![place]);
    }
    // All that are plugged into the switch.
    let topology = &loaded.topology;
    let called = |device: &Device| match device {
        Device::Node(place) => topology.nodes.get(*place).map(|node| &node.name),
        Device::Switch(place) => topology.switches.get(*place).map(|switch| &switch.name),
    };
    let at_switch: Vec<usize> = topology
        .links
        .iter()
        .filter(|link| link.ends.iter().any(|end| called(&end.device) == Some(name)))
        .flat_map(|link| &link.ends)
        .filter_map(|end| hosts.names.iter().position(|known| Some(known) == called(&end.device)))
        .collect();
    if at_switch.is_empty() {
        return Err(CliError::bad_input(format!("line {line}: {name} is no running node with an address"))
            .hint("`nslab up` brings the lab to what the file says"));
    }
    Ok(at_switch)
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| !row.holds) {
        let expected = match row.expected {
            Expected::Ok => "ok",
            Expected::Drop => "drop",
            Expected::Reject => "reject",
        };
        let why =
            row.cause.as_ref().map_or_else(String::new, |cause| format!(": {}: {}", cause.code, cause.text));
        text.extend([format!(
            "line {}: {} -> {} {}: expected {expected}, predicted {}{why}\n",
            row.line,
            row.from,
            row.to,
            row.service,
            super::word(row.verdict)
        )]);
    }
    let failed = rows.iter().filter(|row| !row.holds).count();
    let all = rows.len();
    text.extend([match failed {
        0 => format!("{all} of {all} as expected\n"),
        failed => format!("{} of {all} as expected, {failed} not\n", all - failed),
    }]);
    text
}
