//! `nslab capture`.

mod finish;
mod follow;
pub(super) mod growth;
mod json;
pub(super) mod names;
mod packets;
pub(super) mod program;
pub(super) mod record;
mod run;
pub(super) mod targets;
pub(super) mod text;
pub(super) mod view;

use std::process::ExitCode;

use nslab_filter::{Filter, FilterError};
use nslab_kernel::packet::{Direction, Instruction};
use nslab_observe::capture::{LONGEST, Options, instructions};

pub(super) use json::Event;
pub(super) use program::after;

use crate::cli::args::{self, Capture};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Kind, unknown};
use crate::cli::output::Output;
use names::FilterNames;
use packets::Packets;
use program::Program;
use record::Destination;
use run::Running;

pub(super) fn run(args: &Capture, output: Output) -> Result<ExitCode, CliError> {
    // All before an ordinary user's process enters namespaces of its own, where it sees other files.
    let files = names::files();
    let destination = Destination::find(args)?;
    let aside = args.write.as_deref() == Some("-".as_ref());
    let program = Program::prepare(&args.command, aside)?;
    let context = Context::open(output)?;
    let outcome = options(args, &FilterNames::new(files, &context, args.lab.as_deref(), &args.targets))
        .and_then(|options| Running::prepare(args, &options, &context, output))
        .and_then(|running| Ok((Packets::begin(args, destination, output)?, running)));
    match outcome {
        Ok((packets, running)) => running.run(packets, program),
        Err(error) => {
            program.give_up();
            Err(error)
        }
    }
}

fn options(args: &Capture, names: &FilterNames<'_>) -> Result<Options, CliError> {
    let length = args.snaplen.filter(|&length| length > 0).unwrap_or(LONGEST);
    Ok(Options {
        filter: filter(args, length, names)?,
        direction: match args.direction {
            args::Direction::In => Direction::In,
            args::Direction::Out => Direction::Out,
            args::Direction::Inout => Direction::Both,
        },
        length,
        memory: args.buffer.map(|kib| u64::from(kib) << 10),
        at_once: false,
    })
}

fn filter(args: &Capture, length: u32, names: &FilterNames<'_>) -> Result<Vec<Instruction>, CliError> {
    let Some(text) = &args.filter else { return Ok(Vec::new()) };
    Ok(instructions(&parsed(text, length, names)?))
}

/// A filter that keeps so many bytes.
pub(super) fn parsed(text: &str, length: u32, names: &FilterNames<'_>) -> Result<Filter, CliError> {
    Filter::parse_keeping(text, names, length).map_err(|error| wrong_filter(text, &error))
}

/// What is wrong with a filter, with the place.
pub(super) fn wrong_filter(text: &str, error: &FilterError) -> CliError {
    let columns = |text: Option<&str>| text.unwrap_or_default().chars().count();
    let before = columns(text.get(..error.span.start));
    let marked = columns(text.get(error.span.clone())).max(1);
    // On one line, whatever is in it.
    let shown: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    let wrong = CliError::bad_input(format!("the filter is wrong: {}", error.message))
        .detail(shown)
        .detail(format!("{:before$}{:^<marked$}", "", ""));
    error.hint.iter().fold(wrong, CliError::hint)
}

/// An error of capturing, with what to do about it.
pub(super) fn failed(error: nslab_observe::Error) -> CliError {
    let message = error.to_string();
    match error {
        nslab_observe::Error::NoSuchInterface { name, known, .. } => {
            unknown(message, &name, &known, "its interfaces")
        }
        nslab_observe::Error::FilterTooLong => {
            CliError::bad_input(message).hint("fewer interfaces or a shorter filter")
        }
        nslab_observe::Error::Kernel(error) => {
            let errno = error.errno();
            let failed = CliError::new(Kind::Machine, message);
            if errno == Some(rustix::io::Errno::PERM) {
                failed.hint("capturing needs root or CAP_NET_RAW; an ordinary user's own labs need neither")
            } else if errno == Some(rustix::io::Errno::NOMEM) {
                failed.hint("less memory for each namespace, as with -B 1024, or fewer namespaces")
            } else if errno == Some(rustix::io::Errno::MFILE) {
                failed.hint(
                    "`ulimit -Hn` is the most files that a process may have open: three for each namespace",
                )
            } else {
                failed
            }
        }
        _ => CliError::new(Kind::Machine, message),
    }
}
