//! `nslab scan` and `nslab snapshot`.

use std::path::Path;
use std::process::ExitCode;

use nslab_snapshot::{Contents, Options, Snapshot};
use serde::Serialize;

use super::DONE;
use crate::cli::args::{Scan, SnapshotCommand};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) fn scan(args: &Scan, output: Output) -> Result<ExitCode, CliError> {
    let snapshot = match &args.snapshot {
        Some(file) => load(file)?,
        None => take(Options::default(), output)?,
    };
    if output.json {
        output.print_json(&snapshot);
    } else {
        output.print(&nslab_view::host(&snapshot, &output.style()));
    }
    Ok(DONE)
}

/// What `snapshot save --json` prints.
#[derive(Serialize)]
struct Saved<'a> {
    file: &'a Path,
    namespaces: usize,
    unreadable: usize,
}

pub(super) fn snapshot(command: &SnapshotCommand, output: Output) -> Result<ExitCode, CliError> {
    let SnapshotCommand::Save { file, connections } = command;
    // Before an ordinary user's process enters namespaces of its own, where it is in another directory.
    let file = &std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let snapshot = take(Options { connections: *connections }, output)?;
    snapshot.save(file)?;
    let is_unreadable =
        |namespace: &&nslab_snapshot::Namespace| matches!(namespace.contents, Contents::Unreadable { .. });
    let unreadable = snapshot.namespaces.iter().filter(is_unreadable).count();
    let namespaces = snapshot.namespaces.len();
    if output.json {
        output.print_json(&Saved { file, namespaces, unreadable });
    } else {
        let but = if unreadable == 0 { String::new() } else { format!(", {unreadable} of them unreadable") };
        let s = if namespaces == 1 { "" } else { "s" };
        output.print(&format!("{}: {namespaces} namespace{s}{but}\n", file.display()));
    }
    Ok(DONE)
}

/// This host, as far as the user may look: without root, from inside the namespaces that hold the user's labs.
pub(super) fn take(options: Options, output: Output) -> Result<Snapshot, CliError> {
    let _context = Context::open(output)?;
    Ok(Snapshot::take(options)?)
}

pub(in crate::cli) fn load(file: &Path) -> Result<Snapshot, CliError> {
    Ok(Snapshot::load(file)?)
}
