//! `nslab down`.

use std::fmt::Write as _;
use std::process::ExitCode;

use nslab_lab::interrupt::Caught;
use serde::Serialize;

use super::DONE;
use crate::cli::args::Down;
use crate::cli::context::{self, Context};
use crate::cli::error::{CliError, Kind};
use crate::cli::output::{Output, duration, milliseconds};

/// What `down --json` prints for each lab.
#[derive(Serialize)]
struct Report {
    lab: String,
    namespaces: usize,
    /// Processes that were ended besides the lab's own programs.
    processes: usize,
    milliseconds: f64,
}

pub(super) fn run(args: &Down, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let names = if args.all {
        context::paths().labs().unwrap_or_default()
    } else {
        vec![context.lab_name(args.lab.as_deref())?]
    };
    // A lab that is being taken away goes to its end also if Ctrl-C comes; the next one then stays.
    let caught = Caught::new();
    let mut reports = Vec::new();
    for name in names {
        if caught.interrupt().has_come() {
            return Err(CliError::new(
                Kind::Interrupted,
                format!("interrupted; lab {name} is left as it is"),
            ));
        }
        let gone = context.with_labs(&|_| {}, caught.interrupt(), |labs| labs.down(&name))?;
        if !output.json {
            let mut text = format!("lab {name} is gone ({})", duration(gone.time));
            if gone.processes > 0 {
                let plural = if gone.processes == 1 { "" } else { "es" };
                let _ = write!(text, "; ended {} process{plural} in its namespaces", gone.processes);
            }
            output.note(&text);
        }
        reports.push(Report {
            lab: name,
            namespaces: gone.namespaces,
            processes: gone.processes,
            milliseconds: milliseconds(gone.time),
        });
    }
    if output.json {
        output.print_json(&reports);
    } else if args.all && reports.is_empty() {
        output.note("no lab is running");
    }
    context.release()?;
    Ok(DONE)
}
