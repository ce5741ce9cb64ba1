//! Files of other tools: found out, read, imported, and told of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use nslab_import::kathara::Files;
use nslab_import::{Found, Imported, Malformed, Options, Source, Surroundings, containerlab, kathara};

use super::error::CliError;
use super::file;
use super::output::Output;

/// Below a directory no more files are looked at than this.
const MOST_FILES: usize = 10_000;
/// A script that is longer is not read.
const LONGEST_SCRIPT: u64 = 1 << 20;

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

/// Imports whatever is at a path. The lab file names files beside it by paths that are relative to their directory if the
/// lab file is to be there, `beside`, and absolute if not.
pub(super) fn import(path: &Path, options: Options, beside: bool) -> Result<Imported, CliError> {
    if let Some(directory) = lab_directory(path) {
        return import_lab(directory, options, beside);
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
    let surroundings = Directory::new(path.parent().unwrap_or(Path::new("")), beside);
    containerlab::import(&source, &options, &surroundings)
        .map_err(|wrong| malformed(&wrong, &path.display().to_string()))
}

const WHAT: &str = "containerlab topology files (*.clab.yml) and directories of Kathará labs can be imported";

/// The directory of what is imported.
pub(super) fn directory(path: &Path) -> &Path {
    lab_directory(path).or_else(|| path.parent()).unwrap_or(Path::new(""))
}

/// What is in and around a directory.
struct Directory {
    path: PathBuf,
    beside: bool,
}

impl Directory {
    fn new(path: &Path, beside: bool) -> Self {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), beside }
    }
}

impl Surroundings for Directory {
    fn look(&self, path: &str) -> Found {
        let path = self.path.join(path);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Found::File(found.len()),
            Ok(found) if found.is_dir() => Found::Directory(files_below(&path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Nothing,
            _ => Found::Other,
        }
    }

    fn has_directory(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }

    fn text(&self, path: &str) -> Option<String> {
        let path = self.path.join(path);
        let found = std::fs::metadata(&path).ok()?;
        let is_read = found.is_file() && found.len() <= LONGEST_SCRIPT;
        is_read.then(|| std::fs::read_to_string(&path).ok()).flatten()
    }

    fn written(&self, path: &str) -> String {
        if self.beside { path.to_owned() } else { self.path.join(path).display().to_string() }
    }
}

fn import_lab(directory: &Path, options: Options, beside: bool) -> Result<Imported, CliError> {
    let fail =
        |error: std::io::Error| CliError::bad_input(format!("cannot read {}: {error}", directory.display()));
    let mut texts = BTreeMap::new();
    let mut directories = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type().map_err(fail)?.is_dir() {
            directories.push(name);
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
    directories.sort();
    files.directories = directories.iter().map(String::as_str).collect();
    for (name, text) in &texts {
        files.take(Source { name, text });
    }
    kathara::import(&files, &options, &Directory::new(directory, beside))
        .map_err(|wrong| malformed(&wrong, &directory.join(&wrong.diagnostics.file).display().to_string()))
}

/// The files below a directory, by their paths within it, with their sizes; links are not followed.
fn files_below(directory: &Path) -> BTreeMap<String, u64> {
    let mut open = vec![PathBuf::new()];
    let mut files = BTreeMap::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(directory.join(&next)).into_iter().flatten().flatten() {
            let path = next.join(entry.file_name());
            match entry.metadata() {
                Ok(found) if found.is_dir() => open.push(path),
                Ok(found) if found.is_file() => {
                    files.extend(path.to_str().map(|path| (path.to_owned(), found.len())));
                }
                _ => {}
            }
            if files.len() >= MOST_FILES {
                return files;
            }
        }
    }
    files
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
