//! `nslab export`.

use std::process::ExitCode;

use nslab_lab::labs::Wanted;
use nslab_topology::{Lab, Topology};

use super::{DONE, plan};
use crate::cli::args::Export;
use crate::cli::context::{self, Context};
use crate::cli::error::CliError;
use crate::cli::file;
use crate::cli::output::Output;

pub(super) fn run(args: &Export, output: Output) -> Result<ExitCode, CliError> {
    if let Some(shape) = &args.topo {
        let loaded = file::of_shape(shape, args.name.as_deref(), output)?;
        print(args, output, &loaded.lab, &loaded.topology);
        return Ok(DONE);
    }
    if args.host || args.snapshot.is_some() {
        return super::adopt::run(args, output);
    }
    let context = Context::open(output)?;
    let running = context::paths().labs().unwrap_or_default();
    let lab = match &args.targets[..] {
        [] => None,
        [one] if running.contains(one) => Some(one.as_str()),
        _ => return super::adopt::run_within(args, output, &context),
    };
    if let Some(name) = &args.name {
        let message =
            format!("--name {name} is for the lab of a shape or of namespaces; a running lab has its name");
        return Err(CliError::bad_input(message));
    }
    let state = context.lab(lab)?;
    let wanted = Wanted {
        lab: state.lab.clone(),
        topology: state.topology.clone(),
        file: state.file.clone(),
        directory: state.directory.clone(),
    };
    let drift = context.labs(|labs| labs.plan(&wanted))?;
    if !drift.is_empty() {
        output.note("note: the kernel differs from the lab that is written down here:");
        for step in drift.steps().take(10) {
            output.note(&format!("note:   to mend it: {}", drift.describe(step)));
        }
    }
    print(args, output, &state.lab, &state.topology);
    Ok(DONE)
}

pub(super) fn print(args: &Export, output: Output, lab: &Lab, topology: &Topology) {
    output.print(&if args.shell {
        plan::fresh(topology).shell()
    } else if args.resolved {
        nslab_topology::to_yaml(topology)
    } else {
        lab.to_yaml()
    });
}
