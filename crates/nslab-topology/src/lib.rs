//! The lab file: text in, an exact network out. Pure: no I/O, no kernel, no clock, no randomness.
//!
//! ```text
//! text ──parse──▶ Lab (what was written: groups repeated, variables filled in, gaps left open)
//!      ──resolve─▶ Topology (every name, address, MAC and route chosen) + Diagnostics
//! ```
//!
//! [`load`] does both and reports the errors of both at once. [`Lab`] can also be built and changed step by step, and
//! written as a lab file again ([`Lab::to_yaml`], [`to_yaml`]).

mod decode;
mod diagnostic;
mod export;
pub mod impairment;
pub mod lab;
pub mod model;
mod resolve;
pub mod yaml;

pub use decode::LARGEST_FILE;
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity, Span, Spanned, closest};
pub use export::to_yaml;
pub use lab::{EditError, Lab, LinkOptions};
pub use model::Topology;
pub use resolve::{Resolved, resolve};

/// Reads `netns:NAME`, `pid:N` or `container:NAME`; `None` if the text begins otherwise, an error in words if the rest
/// cannot be a name.
pub fn existing(text: &str) -> Option<Result<model::Existing, String>> {
    decode::parse_existing(text).map(|read| read.map_err(|problem| problem.message))
}

/// Reads a time as a lab file writes it: `500ms`, `5s`, `2m`; none if it is none.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    decode::units::duration(text)
}

/// A lab file read and resolved.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub lab: Lab,
    /// What it means.
    pub topology: Topology,
    /// What likely isn't meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a lab file. `overrides` are the values of `--set`.
///
/// Warnings are in [`Lab::notes`].
pub fn parse(source: &str, file_name: &str, overrides: &[(String, String)]) -> Result<Lab, Diagnostics> {
    let (decoded, errors) = read(source, file_name, overrides);
    match decoded {
        Some(decoded) if errors.is_empty() => Ok(decoded.lab),
        _ => Err(Diagnostics::new(file_name, errors)),
    }
}

/// Reads and resolves a lab file, and reports the errors of both steps at once.
pub fn load(source: &str, file_name: &str, overrides: &[(String, String)]) -> Result<Loaded, Diagnostics> {
    let (decoded, mut problems) = read(source, file_name, overrides);
    let Some(decoded) = decoded else { return Err(Diagnostics::new(file_name, problems)) };
    let resolution = resolve::run(&decoded.lab, decoded.whole);
    match resolution.topology {
        Some(topology) if problems.is_empty() => {
            Ok(Loaded { topology, warnings: diagnostic::tidy(resolution.diagnostics), lab: decoded.lab })
        }
        _ => {
            problems.extend(resolution.diagnostics);
            Err(Diagnostics::new(file_name, problems))
        }
    }
}

fn read(
    source: &str,
    file_name: &str,
    overrides: &[(String, String)],
) -> (Option<decode::Decoded>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let Some(root) = yaml::load(source, &mut problems) else { return (None, problems) };
    let mut decoded = decode::decode(&root, file_name, overrides);
    decoded.whole &= problems.is_empty();
    problems.append(&mut decoded.diagnostics);
    (Some(decoded), problems)
}
