//! Files of other tools: found out, read, imported, and told of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use nslab_import::kathara::Files;
use nslab_import::{Imported, Malformed, Options, Source, containerlab, kathara};

use super::error::CliError;
use super::file;
use super::output::Output;

/// Below a lab's directory no more files are counted than this.
const MOST_FILES: usize = 10_000;

/// Whether a path is what another tool has: a `*.clab.yml`, or a directory with `lab.conf`.
pub(super) fn is_foreign(path: &Path) -> bool {
    is_topology_file(path) || lab_directory(path).is_some()
}

fn is_topology_file(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| [".clab.yml", ".clab.yaml"].iter().any(|tail| name.ends_with(tail)))
}

/// The directory of a Kathará lab: it, or its `lab.conf`.
fn lab_directory(path: &Path) -> Option<&Path> {
    if path.is_dir() {
        return path.join("lab.conf").is_file().then_some(path);
    }
    let is_conf = path.file_name().is_some_and(|name| name == "lab.conf");
    is_conf.then(|| path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Imports whatever is at a path.
pub(super) fn import(path: &Path, options: Options) -> Result<Imported, CliError> {
    if let Some(directory) = lab_directory(path) {
        return import_lab(directory, options);
    }
    if path.is_dir() {
        let message = format!("{} is no lab of Kathará: there is no lab.conf in it", path.display());
        return Err(CliError::bad_input(message).hint(WHAT));
    }
    let known = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    if !known && path.exists() {
        return Err(
            CliError::bad_input(format!("{} is nothing that can be imported", path.display())).hint(WHAT)
        );
    }
    let text = file::read(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let source = Source { name: &name, text: &text };
    containerlab::import(&source, &options).map_err(|wrong| malformed(&wrong, &path.display().to_string()))
}

const WHAT: &str = "containerlab topology files (*.clab.yml) and directories of Kathará labs can be imported";

fn import_lab(directory: &Path, options: Options) -> Result<Imported, CliError> {
    let fail =
        |error: std::io::Error| CliError::bad_input(format!("cannot read {}: {error}", directory.display()));
    let mut texts = BTreeMap::new();
    let mut directories = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type().map_err(fail)?.is_dir() {
            directories.insert(name, files_below(&entry.path()));
        } else if ["lab.conf", "lab.dep", "lab.ext", "lab.int"].contains(&&name[..])
            || name.ends_with(".startup")
            || name.ends_with(".shutdown")
        {
            texts.insert(name, file::read(&entry.path())?);
        }
    }
    let own = std::path::absolute(directory).ok();
    let own = own.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let own = own.unwrap_or_else(|| "lab".to_owned());
    let mut files = Files { directory: &own, ..Files::default() };
    files.directories = directories.iter().map(|(name, count)| (&name[..], *count)).collect();
    for (name, text) in &texts {
        files.take(Source { name, text });
    }
    kathara::import(&files, &options)
        .map_err(|wrong| malformed(&wrong, &directory.join(&wrong.diagnostics.file).display().to_string()))
}

/// How many files are below a directory; links are not followed.
fn files_below(directory: &Path) -> usize {
    let mut open = vec![directory.to_path_buf()];
    let mut count = 0;
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else {
                count += 1;
            }
            if count >= MOST_FILES {
                return count;
            }
        }
    }
    count
}

fn malformed(wrong: &Malformed, name: &str) -> CliError {
    let style = super::output::Output { json: false, quiet: false }.error_style();
    let mut error = CliError::bad_input("the file is wrong");
    let shown = wrong.diagnostics.list.iter();
    error.rendered =
        Some(shown.map(|one| nslab_view::diagnostic(one, &wrong.text, name, &style) + "\n").collect());
    error
}

/// Tells what was imported and what was not.
pub(super) fn tell(imported: &Imported, path: &Path, output: Output) {
    let count =
        |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let mut text = format!(
        "imported {} from {}",
        [
            count(imported.nodes, "node", "nodes"),
            count(imported.switches, "switch", "switches"),
            count(imported.links, "link", "links")
        ]
        .join(", "),
        path.display()
    );
    match imported.skipped.len() {
        0 => {}
        1 => text.push_str("; one thing was not carried over:"),
        // Writing to a String cannot fail, here and below.
        many => drop(write!(text, "; {many} things were not carried over:")),
    }
    for one in &imported.skipped {
        let mut lines = one.what.lines();
        let first = lines.next().unwrap_or_default();
        let more = if lines.next().is_some() { " …" } else { "" };
        let _ = write!(text, "\n  {}: {first}{more}\n      {}", one.place, one.why);
    }
    for note in &imported.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    output.note(&text);
}
