//! `nslab up`.

use std::path::PathBuf;
use std::process::ExitCode;

use nslab_lab::Labs;
use nslab_lab::interrupt::Caught;
use nslab_lab::labs::{Built, Wanted};
use nslab_topology::Lab;
use serde::Serialize;

use super::{DONE, NO, ping, test};
use crate::cli::args::Up;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::file;
use crate::cli::output::{Output, duration, milliseconds};
use crate::cli::progress::Progress;

/// What `up --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    lab: &'a str,
    /// It did not run before.
    new: bool,
    /// Steps that were carried out.
    steps: usize,
    milliseconds: f64,
    nodes: usize,
    switches: usize,
    links: usize,
    plan: &'a nslab_lab::Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    ping: Option<Vec<ping::Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'a test::Report>,
}

pub(super) fn run(args: &Up, output: Output) -> Result<ExitCode, CliError> {
    // Everything about the file comes first: bad input makes nothing, not even a user namespace.
    let wanted = match &args.empty {
        Some(name) => empty(name)?,
        None => from_file(&args.file, output)?,
    };
    let shell = test::shell();
    let shown = wanted.file.as_ref().and_then(|file| file.file_name());
    let shown = shown.map(|name| name.to_string_lossy().into_owned());
    if args.test {
        test::some(&wanted.lab.expectations, shown.as_deref().unwrap_or("the lab"))?;
    }
    let goes_out = wanted.topology.nodes.iter().any(|node| node.uplink.is_some());
    let context =
        if goes_out { Context::open_with_way_out(output)? } else { Context::open_or_create(output)? };
    let built = match build(&context, &wanted) {
        Ok(built) => built,
        Err(error) => {
            // If this was to be the user's first lab, no holder stays for it.
            context.release()?;
            return Err(error);
        }
    };
    let topology = &wanted.topology;
    let pinged = args.ping.then(|| ping::every_pair(topology, output)).transpose()?;
    let tested = args.test.then(|| test::built(&wanted, shown, shell)).transpose()?;
    if output.json {
        output.print_json(&Report {
            lab: &topology.name,
            new: built.new,
            steps: built.steps,
            milliseconds: milliseconds(built.time),
            nodes: topology.nodes.len(),
            switches: topology.switches.len(),
            links: topology.links.len(),
            plan: &built.plan,
            ping: pinged.as_ref().map(ping::Pinged::rows),
            test: tested.as_ref(),
        });
    } else {
        if !output.quiet {
            output.print(&nslab_view::picture(topology, &output.style()));
            output.print("");
        }
        if let Some(matrix) = &pinged {
            output.print(&matrix.text(output));
        }
        output.note(&summary(&built, &wanted));
        if let Some(report) = &tested {
            output.print(&test::text(report, output));
        }
    }
    if tested.as_ref().is_some_and(test::Report::has_failed) {
        return Ok(NO.into());
    }
    Ok(pinged.map_or(DONE, |matrix| matrix.exit_code()))
}

/// What a lab file says the lab shall be.
pub(super) fn from_file(args: &crate::cli::args::FileArgs, output: Output) -> Result<Wanted, CliError> {
    let file = file::load(args, output)?;
    let directory = file.directory();
    Ok(Wanted { lab: file.loaded.lab, topology: file.loaded.topology, file: file.path, directory })
}

/// A lab with nothing in it.
fn empty(name: &str) -> Result<Wanted, CliError> {
    let lab = Lab::empty(name);
    let resolved = nslab_topology::resolve(&lab).map_err(|diagnostics| {
        let why = diagnostics.errors().next().map_or_else(String::new, |error| error.message.clone());
        CliError::bad_input(why)
    })?;
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Ok(Wanted { lab, topology: resolved.topology, file: None, directory })
}

/// Builds, with progress on a terminal.
fn build(context: &Context, wanted: &Wanted) -> Result<Built, CliError> {
    change(context, |labs| labs.up(wanted))
}

/// Changes a lab by `work`, with progress on a terminal.
pub(super) fn change(
    context: &Context,
    work: impl FnOnce(&Labs<'_>) -> nslab_lab::Result<Built>,
) -> Result<Built, CliError> {
    let progress = Progress::new(context.output);
    // From here on Ctrl-C makes the change be taken back; afterwards it ends the process again.
    let caught = Caught::new();
    let built = context.with_labs(&|event| progress.tell(event), caught.interrupt(), work);
    drop(caught);
    progress.end();
    let built = built?;
    for note in &built.plan.notes {
        context.output.note(&format!("note: {note}"));
    }
    Ok(built)
}

fn summary(built: &Built, wanted: &Wanted) -> String {
    let name = &wanted.topology.name;
    let time = duration(built.time);
    if built.new {
        let topology = &wanted.topology;
        let count = |count: usize, what: &str, plural: &str| {
            format!("{count} {}", if count == 1 { what } else { plural })
        };
        return format!(
            "lab {name} is up: {}, {}, {} in {time}",
            count(topology.nodes.len(), "node", "nodes"),
            count(topology.switches.len(), "switch", "switches"),
            count(topology.links.len(), "link", "links"),
        );
    }
    match built.steps {
        0 => format!("lab {name} is as the file says; nothing was changed ({time})"),
        1 => format!("lab {name}: 1 change in {time}"),
        steps => format!("lab {name}: {steps} changes in {time}"),
    }
}
