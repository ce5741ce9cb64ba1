//! `nslab plan`.

use std::fmt::Write as _;
use std::process::ExitCode;

use nslab_lab::Plan;
use nslab_lab::actual::Actual;
use nslab_lab::desired::{Desired, NewNamespaces};

use super::{DONE, up};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;

/// Plans with more steps than this are shown in parts.
const LONG: usize = 200;

pub(super) fn run(args: &args::Plan, output: Output) -> Result<ExitCode, CliError> {
    let wanted = up::from_file(&args.file, output)?;
    let plan = if args.fresh {
        fresh(&wanted.topology)
    } else {
        Context::open(output)?.labs(|labs| labs.plan(&wanted))?
    };
    for conflict in &plan.conflicts {
        output.note(&format!(
            "conflict: {} exists and is not part of the lab: {}",
            conflict.name, conflict.holder
        ));
    }
    for note in &plan.notes {
        output.note(&format!("note: {note}"));
    }
    if output.json {
        output.print_json(&plan);
    } else if args.shell {
        output.print(&plan.shell());
    } else if plan.is_empty() {
        output.print(&format!("lab {} is as the file says; there is nothing to do", plan.lab));
    } else {
        output.print(&prose(&plan, output.quiet));
    }
    // `up` would refuse.
    Ok(if plan.conflicts.is_empty() { DONE } else { ExitCode::from(Kind::BadInput.exit_code()) })
}

/// The plan of a first build.
pub(super) fn fresh(topology: &nslab_topology::Topology) -> Plan {
    // Where nothing can be asked, as by an ordinary user without labs, a kernel that has all.
    let shaper = nslab_lab::shaping::probe(topology, None).unwrap_or_default();
    let mut desired = Desired::new(topology, NewNamespaces { shaper, ..NewNamespaces::default() });
    desired.add_name_servers(topology);
    desired.add_ways_out(&nslab_lab::uplink::imagined(topology));
    let nothing = Actual::nothing(&desired);
    nslab_lab::diff::plan(&desired, &nothing, &[])
}

/// Stage by stage; of a stage with very many steps, the first and the last.
fn prose(plan: &Plan, whole: bool) -> String {
    let mut text = String::new();
    let mut number = 0;
    for stage in &plan.stages {
        let _ = writeln!(text, "{} ({})", stage.kind, stage.steps.len());
        let cut = !whole && plan.len() > LONG && stage.steps.len() > 24;
        for (place, step) in stage.steps.iter().enumerate() {
            number += 1;
            if cut && place == 10 {
                let _ = writeln!(text, "   …  {} more like these (-q shows all)", stage.steps.len() - 20);
            }
            if !cut || place < 10 || place >= stage.steps.len() - 10 {
                let _ = writeln!(text, "{number:>4}  {}", plan.describe(step));
            }
        }
    }
    let plural = if plan.len() == 1 { "" } else { "s" };
    let _ = write!(text, "{} step{plural}", plan.len());
    text
}
