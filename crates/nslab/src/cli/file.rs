//! Lab files: found, read, and their faults shown.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nslab_topology::{Diagnostic, Diagnostics, Loaded, Spanned};
use rustix::fs::{Mode, OFlags};

use super::args::FileArgs;
use super::error::CliError;
use super::foreign;
use super::output::Output;

/// The names under which a lab file is found without being named.
const DEFAULT_NAMES: [&str; 2] = ["lab.yaml", "lab.yml"];
/// A lab file is text that people write; a larger one is a mistake.
const MAX_BYTES: u64 = 8 << 20;

/// A lab file that was read and understood.
pub(super) struct LabFile {
    /// Its path, absolute; none of a shape.
    pub(super) path: Option<PathBuf>,
    /// What it says and means.
    pub(super) loaded: Loaded,
}

impl LabFile {
    /// The directory it is in.
    pub(super) fn directory(&self) -> PathBuf {
        match &self.path {
            Some(path) if path.is_dir() => path.clone(),
            Some(path) => path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf),
            None => std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }
}

/// Reads the lab file that `args` name, or what is to be imported, or makes the shape; shows its warnings.
pub(super) fn load(args: &FileArgs, output: Output) -> Result<LabFile, CliError> {
    if let Some(shape) = &args.topo {
        let loaded = of_shape(shape, args.name.as_deref(), output)?;
        return Ok(LabFile { path: None, loaded });
    }
    let shown = match &args.file {
        Some(path) => path.clone(),
        None => default_file().ok_or_else(|| {
            CliError::bad_input("no lab file was named, and there is no lab.yaml in this directory")
                .hint("nslab up FILE")
        })?,
    };
    let foreign = foreign::is_foreign(&shown);
    let source = if foreign {
        if !args.set.is_empty() {
            let message = format!("{} is imported, which has no variables to set", shown.display());
            return Err(
                CliError::bad_input(message).hint("`nslab import` makes a lab file of it, to be edited")
            );
        }
        let imported = foreign::import(&shown, nslab_import::Options::default(), false)?;
        foreign::tell(&imported, &shown, output);
        imported.lab_file
    } else {
        read(&shown)?
    };
    let path = std::path::absolute(&shown)
        .map_err(|error| CliError::bad_input(format!("cannot use {}: {error}", shown.display())))?;
    let name = if foreign { format!("{} as imported", shown.display()) } else { shown.display().to_string() };
    let style = output.error_style();
    let render = |one: &Diagnostic| nslab_view::diagnostic(one, &source, &name, &style);
    let wrong = |diagnostics: Diagnostics| {
        let mut error = CliError::bad_input("the lab file is wrong");
        error.rendered = Some(diagnostics.list.iter().map(|one| render(one) + "\n").collect());
        error
    };
    let mut loaded = nslab_topology::load(&source, &name, &args.set).map_err(wrong)?;
    if let Some(other) = &args.name {
        loaded.lab.name = Spanned::new(other.clone(), None);
        let resolved = nslab_topology::resolve(&loaded.lab).map_err(wrong)?;
        (loaded.topology, loaded.warnings) = (resolved.topology, resolved.warnings);
    }
    let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
    if loaded.lab.names_files() {
        loaded.lab.read_files(|name| read(&directory.join(name))).map_err(|error| {
            let line = error.span.map_or_else(String::new, |span| format!("{name}:{}: ", span.line));
            CliError { message: format!("{line}{}", error.value.message), ..error.value }
        })?;
        let resolved = nslab_topology::resolve(&loaded.lab).map_err(wrong)?;
        loaded.topology = resolved.topology;
    }
    let unreadable = nslab_lab::view::read_copies(&mut loaded.topology, &directory);
    if !unreadable.is_empty() {
        let list = unreadable.into_iter().map(|one| {
            let place = loaded.lab.nodes.get(one.node).and_then(|node| node.view.files.get(one.file));
            Diagnostic::error("unreadable-file", one.problem).at(place.and_then(|file| file.span), "")
        });
        return Err(wrong(Diagnostics::new(&name, list.collect())));
    }
    for warning in &loaded.warnings {
        output.note(&render(warning));
    }
    Ok(LabFile { path: Some(path), loaded })
}

/// The lab of a shape, `tree,depth=2`.
pub(super) fn of_shape(shape: &str, name: Option<&str>, output: Output) -> Result<Loaded, CliError> {
    let shape = nslab_import::shape::Shape::parse(shape).map_err(|error| {
        let text = CliError::bad_input(error.message);
        error.help.into_iter().fold(text, CliError::hint)
    })?;
    let lab = shape.lab(name.unwrap_or(shape.name()));
    let resolved = nslab_topology::resolve(&lab).map_err(|diagnostics| {
        let why = diagnostics.errors().next().map_or_else(String::new, |error| error.message.clone());
        CliError::bad_input(why)
    })?;
    if shape.has_loops() {
        output.note(
            "note: its switches form loops, so they speak the spanning tree protocol: their ports open about 30 s after `up`",
        );
    }
    Ok(Loaded { lab, topology: resolved.topology, warnings: resolved.warnings })
}

/// The name of the lab whose file is in this directory.
pub(super) fn lab_of_this_directory() -> Option<String> {
    let path = default_file()?;
    let source = read(&path).ok()?;
    let loaded = nslab_topology::load(&source, &path.display().to_string(), &[]).ok()?;
    Some(loaded.topology.name)
}

/// The lab file of this directory.
pub(super) fn default_file() -> Option<PathBuf> {
    DEFAULT_NAMES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Reads a regular file. A FIFO or device, which might never end, is refused before it is read.
pub(super) fn read(path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let fail = |problem: String| CliError::bad_input(format!("cannot read {shown}: {problem}"));
    // NONBLOCK: opening a FIFO nobody writes to would wait for a writer.
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
        .map_err(|error| fail(std::io::Error::from(error).to_string()))?;
    let mut file = File::from(fd);
    let metadata = file.metadata().map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(fail(format!("it is {kind}")));
    }
    if metadata.len() > MAX_BYTES {
        return Err(fail(format!(
            "it has {} MiB, more than the 8 that a lab file may have",
            metadata.len() >> 20
        )));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|&byte| byte == b'\n').count();
        fail(format!("it is not UTF-8 text (line {line})"))
    })
}
