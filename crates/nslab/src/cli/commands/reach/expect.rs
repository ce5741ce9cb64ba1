//! What a lab file expects, held against what is predicted.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use nslab_predict::reach::{Family, Service, address, question};
use nslab_predict::{Code, Network, Prediction, Question, Verdict, predict};
use nslab_topology::Loaded;
use nslab_topology::lab::{Expectation, Expected, Mtu, Party, Probe};
use nslab_topology::model::Device;
use schemars::JsonSchema;
use serde::Serialize;

use super::hosts::Hosts;
use super::{CauseRow, cause_row};
use crate::cli::args::FileArgs;
use crate::cli::commands::why::{passes, way};
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
    /// Whether the one is the other, and what of the way and of sizes is expected is predicted as well.
    holds: bool,
    /// What of these is not, clauses. Latency, loss and bandwidth are not predicted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
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
    let mut rows = Vec::new();
    let mut row = |from: usize, to: String, to_address: Option<IpAddr>| {
        let predicted = to_address.map(|to| {
            let question = question(network, hosts.places[from], to, service);
            (predict(network, &question), question)
        });
        let verdict = predicted.as_ref().map_or(Verdict::Unknown, |(prediction, _)| prediction.verdict);
        let cause = predicted.as_ref().and_then(|(prediction, _)| prediction.cause.as_ref());
        let by_itself = |code| matches!(code, Code::NoListener | Code::ListenerOtherAddress);
        let is_met = match expectation.outcome {
            Expected::Ok => verdict == Verdict::Delivered,
            Expected::Drop => verdict == Verdict::Dropped,
            Expected::Reject => verdict == Verdict::Rejected,
            Expected::Refused => {
                verdict == Verdict::Rejected && cause.is_some_and(|cause| by_itself(cause.code))
            }
        };
        let problems = match &predicted {
            Some((prediction, question)) if is_met => problems(expectation, network, prediction, question),
            _ => Vec::new(),
        };
        rows.push(Row {
            line: expectation.line,
            from: hosts.names[from].clone(),
            to,
            service,
            expected: expectation.outcome,
            verdict,
            holds: is_met && problems.is_empty(),
            problems,
            cause: cause.map(|cause| cause_row(network.snapshot, cause)),
        });
    };
    let state = |place: usize| network.snapshot.namespaces.get(place)?.state();
    for from in side(&expectation.from, loaded, hosts, expectation.line)? {
        if let Party::Address(to) = expectation.to {
            row(from, to.to_string(), Some(to));
            continue;
        }
        for to in side(&expectation.to, loaded, hosts, expectation.line)? {
            if to != from {
                let there = state(hosts.places[to]);
                let nearest = there.and_then(|there| address(state(hosts.places[from]), there, family));
                row(from, hosts.names[to].clone(), nearest);
            }
        }
    }
    Ok(rows)
}

/// What of the way and of sizes is not as it is expected, of a packet that arrives.
fn problems(
    expectation: &Expectation,
    network: &Network<'_>,
    prediction: &Prediction,
    question: &Question,
) -> Vec<String> {
    let mut problems = Vec::new();
    let wanted = &expectation.bounds.via;
    if !wanted.is_empty() {
        let way = way(network.snapshot, prediction);
        // As the file calls them.
        let way: Vec<String> =
            way.iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect();
        if !passes(&way, wanted) {
            problems.push(format!("the way via {} expected, but {}", wanted.join(", "), way.join(" → ")));
        }
    }
    let arrives = |size: u32| {
        let mut question = question.clone();
        question.packet.ip.size = size;
        question.packet.ip.dont_fragment = true;
        predict(network, &question).verdict == Verdict::Delivered
    };
    match expectation.bounds.mtu {
        Some(Mtu::Exactly(size) | Mtu::AtLeast(size)) if !arrives(size) => {
            problems.push(format!("{size} bytes expected to pass unfragmented"));
        }
        Some(Mtu::Exactly(size)) if arrives(size + 1) => {
            problems
                .push(format!("{size} bytes expected as the most to pass unfragmented, but {} do", size + 1));
        }
        _ => {}
    }
    problems
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
        let why =
            row.cause.as_ref().map_or_else(String::new, |cause| format!(": {}: {}", cause.code, cause.text));
        let what = if row.problems.is_empty() {
            format!("expected {}, predicted {}{why}", row.expected.word(), super::word(row.verdict))
        } else {
            row.problems.join("; ")
        };
        text.extend([format!("line {}: {} -> {} {}: {what}\n", row.line, row.from, row.to, row.service)]);
    }
    let failed = rows.iter().filter(|row| !row.holds).count();
    let all = rows.len();
    text.extend([match failed {
        0 => format!("{all} of {all} as expected\n"),
        failed => format!("{} of {all} as expected, {failed} not\n", all - failed),
    }]);
    text
}
