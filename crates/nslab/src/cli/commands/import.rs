//! `nslab import`.

use std::process::ExitCode;

use nslab_import::Options;

use super::DONE;
use crate::cli::args::Import;
use crate::cli::error::CliError;
use crate::cli::foreign;
use crate::cli::output::Output;

pub(super) fn run(args: &Import, output: Output) -> Result<ExitCode, CliError> {
    let options = Options { run_all: args.run_all, stand_ins: args.stand_ins };
    // On standard output it is taken to be meant for the same directory.
    let beside = args.output.as_ref().is_none_or(|output| {
        let directory = |path: &std::path::Path| {
            std::fs::canonicalize(if path.as_os_str().is_empty() { ".".as_ref() } else { path }).ok()
        };
        directory(foreign::directory(&args.path)) == output.parent().and_then(directory)
    });
    let mut imported = foreign::import(&args.path, options, beside)?;
    if let Some(name) = &args.name {
        let renamed = rename(&imported.lab_file, name);
        nslab_topology::load(&renamed, name, &[]).map_err(|wrong| {
            let why = wrong.errors().next().map_or_else(String::new, |error| error.message.clone());
            CliError::bad_input(why)
        })?;
        (imported.lab_file, imported.lab) = (renamed, name.clone());
    }
    if let Some(path) = &args.output {
        let fail =
            |problem: String| CliError::bad_input(format!("cannot write {}: {problem}", path.display()));
        if is_same(path, &args.path) {
            return Err(fail("it is what is imported".to_owned()));
        }
        std::fs::write(path, &imported.lab_file).map_err(|error| fail(error.to_string()))?;
    }
    if output.json {
        output.print_json(&imported);
        return Ok(DONE);
    }
    if args.output.is_none() {
        output.print(&imported.lab_file);
    }
    foreign::tell(&imported, &args.path, output);
    Ok(DONE)
}

fn is_same(one: &std::path::Path, other: &std::path::Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other || other.join("lab.conf") == one,
        _ => false,
    }
}

/// Gives the lab of a lab file that was just made another name.
fn rename(lab_file: &str, name: &str) -> String {
    let lines = lab_file.lines().map(|line| match line.strip_prefix("name: ") {
        Some(_) => format!("name: {}\n", nslab_topology::yaml::value(name)),
        None => format!("{line}\n"),
    });
    lines.collect()
}
