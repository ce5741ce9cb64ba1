//! `nslab logs`.

use std::io::Write as _;
use std::process::ExitCode;

use nslab_lab::programs::{self, Follow};

use super::DONE;
use crate::cli::args::Logs;
use crate::cli::context::{self, Context};
use crate::cli::error::{self, CliError};
use crate::cli::output::Output;
use crate::cli::target::Target;

pub(super) fn run(args: &Logs, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let labs = context::paths().labs().unwrap_or_default();
    let (lab, node) = match &args.target {
        None => (context.lab_name(None)?, None),
        Some(name) if labs.contains(name) => (name.clone(), None),
        Some(name) => match Target::parse(name, &context)? {
            Target::Node { lab, node } => (lab, Some(node)),
            _ => {
                return Err(CliError::bad_input(format!(
                    "{name} is not a node of a lab; only those have programs"
                )));
            }
        },
    };
    let paths = context::paths().lab(&lab);
    let logs = programs::logs(&paths, node.as_deref(), args.program.as_deref())?;
    if let (true, Some(program)) = (logs.is_empty(), &args.program) {
        let all = programs::logs(&paths, node.as_deref(), None)?;
        let known: Vec<String> = all.into_iter().map(|log| log.program).collect();
        let place = node.map_or_else(|| format!("lab {lab}"), |node| format!("{lab}/{node}"));
        return Err(error::unknown(
            format!("no program {program:?} has run in {place}"),
            program,
            &known,
            "programs",
        ));
    }
    if logs.is_empty() {
        output.note("no program has run there");
        return Ok(DONE);
    }
    // Whose line it is, where there is more than one program.
    let several = logs.len() > 1;
    let names: Vec<String> = logs.iter().map(|log| format!("{}.{}", log.node, log.program)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    let mut show = |log: usize, text: &[u8]| -> bool {
        let written = if several {
            text.split_inclusive(|&byte| byte == b'\n').try_for_each(|line| {
                write!(out, "{:width$} | ", names[log]).and_then(|()| out.write_all(line))
            })
        } else {
            out.write_all(text)
        };
        // A reader that went away ends it.
        written.and_then(|()| out.flush()).is_ok()
    };
    if args.follow {
        for chunk in Follow::new(&paths, logs, args.tail)? {
            let chunk = chunk?;
            if !show(chunk.log, &chunk.text) {
                break;
            }
        }
        return Ok(DONE);
    }
    for (number, log) in logs.iter().enumerate() {
        let text = args.tail.map_or_else(|| log.read(), |count| log.last(count))?;
        if !show(number, &text) {
            break;
        }
    }
    Ok(DONE)
}
