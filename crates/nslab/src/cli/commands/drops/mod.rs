//! `nslab drops`.

mod benign;
mod host;
mod json;
pub(super) mod packet;
mod run;
mod summary;
mod tell;

use std::collections::{HashMap, VecDeque};
use std::process::ExitCode;

use nslab_filter::NameTable;
use nslab_tracepoints::{Filter, Tracepoints, Unavailable};

pub(super) use json::Line;

use crate::cli::args;
use crate::cli::commands::capture::names::{self, FilterNames};
use crate::cli::commands::capture::program::Program;
use crate::cli::commands::capture::{self, targets};
use crate::cli::context::{self, Context};
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;
use run::{Running, Where};
use tell::Drops;

/// Filters look at as much as there is.
const WHOLE: u32 = 262_144;

pub(super) fn run(args: &args::Drops, output: Output) -> Result<ExitCode, CliError> {
    let files = names::files();
    // Before an ordinary user's process enters namespaces of its own, in which the kernel allows none of this.
    let everywhere = args.targets.is_empty() && args.lab.is_none();
    let points = Tracepoints::open(&Filter {
        namespaces: (!everywhere).then(Vec::new),
        memory: args.buffer << 10,
        chooses: args.filter.is_some(),
        ..Filter::default()
    })
    .map_err(|error| unavailable(&error))?;
    let program = Program::prepare(&args.command, false)?;
    match prepare(args, points, files, output) {
        Ok((running, _context)) => running.run(program),
        Err(error) => {
            program.give_up();
            Err(error)
        }
    }
}

fn prepare(
    args: &args::Drops,
    mut points: Tracepoints,
    files: NameTable,
    output: Output,
) -> Result<(Running<'_>, Context), CliError> {
    let context = Context::open(output)?;
    let names = FilterNames::new(files, &context, args.lab.as_deref(), &args.targets);
    let filter = args.filter.as_deref().map(|text| capture::parsed(text, WHOLE, &names)).transpose()?;
    if let Some(filter) = &filter {
        points.choose(filter.tuples()).map_err(|error| unavailable(&error))?;
    }
    let drops = Drops::new(args, filter, output.json);
    let (place, places) = if let Some(lab) = &args.lab {
        let places = targets::nodes(&context::paths(), lab)?;
        (Where::Namespaces { anchors: HashMap::new(), lab: Some(lab.clone()) }, places)
    } else if args.targets.is_empty() {
        (Where::Machine, Vec::new())
    } else {
        let places = targets::named(&args.targets, &context)?;
        (Where::Namespaces { anchors: HashMap::new(), lab: None }, places)
    };
    let mut running = Running { points, drops, place, output, queue: VecDeque::new(), is_last: false };
    for place in places {
        running.watch(place)?;
    }
    Ok((running, context))
}

/// Without programs in the kernel there are no drops to see.
fn unavailable(error: &Unavailable) -> CliError {
    let failed = CliError::new(Kind::Machine, format!("drops cannot be seen: {error}"));
    let failed = error.hint().into_iter().fold(failed, CliError::hint);
    failed.hint("without: `nslab explain SRC DST` says where a packet would stop, `nslab capture --follow` where packets were last seen")
}
