//! `nslab ls`.

use std::process::ExitCode;
use std::time::SystemTime;

use nslab_lab::labs::{Status, Summary};
use nslab_lab::programs::{ProgramStatus, State as ProgramState};
use nslab_topology::model::{Device, Topology};
use serde::Serialize;

use super::DONE;
use crate::cli::args::Ls;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// A node in `ls LAB --json`.
#[derive(Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    namespace: String,
    interfaces: Vec<Interface>,
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Program {
    name: String,
    command: Vec<String>,
    #[serde(flatten)]
    state: ProgramState,
    /// Its process, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Seconds since 1970.
    started: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<f64>,
}

impl From<&ProgramStatus> for Program {
    fn from(status: &ProgramStatus) -> Self {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            (since.as_secs_f64() * 1000.0).round() / 1000.0
        };
        Self {
            name: status.name.clone(),
            command: status.command.clone(),
            state: status.state,
            pid: (status.state == ProgramState::Running).then_some(status.pid),
            started: seconds(status.started),
            ended: status.ended.map(seconds),
        }
    }
}

#[derive(Serialize)]
struct Interface {
    name: String,
    addresses: Vec<String>,
}

pub(super) fn run(args: &Ls, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    match &args.lab {
        Some(lab) => nodes(&context, lab, output),
        None => labs(&context, output),
    }
}

fn labs(context: &Context, output: Output) -> Result<ExitCode, CliError> {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general enough")]
    let labs = context.labs(|labs| labs.list())?;
    if output.json {
        output.print_json(&labs);
    } else if labs.is_empty() {
        output.note("no lab is running");
    } else {
        let rows: Vec<Vec<String>> = labs.iter().map(row).collect();
        output.print(&nslab_view::table(
            &["LAB", "STATUS", "NODES", "SWITCHES", "LINKS", "FILE"],
            &rows,
            &output.style(),
        ));
    }
    Ok(DONE)
}

fn row(lab: &Summary) -> Vec<String> {
    let status = match lab.status {
        Status::Running => "running",
        Status::Changing => "changing",
        Status::Interrupted => "interrupted",
    };
    vec![
        lab.name.clone(),
        status.to_owned(),
        lab.nodes.len().to_string(),
        lab.switches.len().to_string(),
        lab.links.to_string(),
        lab.file.as_ref().map_or_else(|| "-".to_owned(), |file| file.display().to_string()),
    ]
}

fn nodes(context: &Context, lab: &str, output: Output) -> Result<ExitCode, CliError> {
    let state = context.lab(Some(lab))?;
    let programs = context.labs(|labs| nslab_lab::runner::status(&labs.paths.lab(lab)))?;
    let rows = rows(&state.topology, &programs);
    if output.json {
        output.print_json(&rows);
    } else {
        let text: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let interfaces: Vec<String> = row
                    .interfaces
                    .iter()
                    .map(|one| {
                        std::iter::once(&one.name)
                            .chain(&one.addresses)
                            .cloned()
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                    .collect();
                let programs: Vec<String> =
                    row.programs.iter().map(|one| format!("{} ({})", one.name, one.state)).collect();
                let shown = if row.kind == "switch" {
                    format!("{} port{}", interfaces.len(), if interfaces.len() == 1 { "" } else { "s" })
                } else {
                    interfaces.join(", ")
                };
                vec![row.name.clone(), row.kind.to_owned(), row.namespace.clone(), shown, programs.join(", ")]
            })
            .collect();
        output.print(&nslab_view::table(
            &["NAME", "KIND", "NAMESPACE", "INTERFACES", "PROGRAMS"],
            &text,
            &output.style(),
        ));
    }
    Ok(DONE)
}

fn rows(topology: &Topology, programs: &[ProgramStatus]) -> Vec<Row> {
    let mut rows: Vec<Row> = topology
        .nodes
        .iter()
        .map(|node| Row {
            name: node.name.clone(),
            kind: if node.forward { "router" } else { "host" },
            namespace: node.namespace.clone(),
            interfaces: Vec::new(),
            programs: programs.iter().filter(|one| one.node == node.name).map(Program::from).collect(),
        })
        .collect();
    rows.extend(topology.switches.iter().map(|switch| Row {
        name: switch.name.clone(),
        kind: "switch",
        namespace: switch.namespace.clone(),
        interfaces: Vec::new(),
        programs: Vec::new(),
    }));
    for end in topology.links.iter().flat_map(|link| &link.ends) {
        let place = match end.device {
            Device::Node(node) => node,
            Device::Switch(switch) => topology.nodes.len() + switch,
        };
        rows[place].interfaces.push(Interface {
            name: end.name.to_string(),
            addresses: end.addresses.iter().map(ToString::to_string).collect(),
        });
    }
    for (node, row) in topology.nodes.iter().zip(&mut rows) {
        row.interfaces.extend(node.interfaces.iter().map(|interface| Interface {
            name: interface.name.to_string(),
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
        }));
    }
    rows
}
