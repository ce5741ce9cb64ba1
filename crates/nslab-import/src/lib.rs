//! Networks described for other tools, as nslab lab files. Pure: texts in, text out.
//!
//! - [`containerlab`]: topology files, `*.clab.yml`;
//! - [`kathara`]: `lab.conf` and what belongs to it;
//! - [`shape`]: the shapes of Mininet's `--topo`, and a few more.
//!
//! What is imported is always a lab file that loads without errors. What is not carried over is in
//! [`Imported::skipped`], each thing with its place and the reason: nothing is lost in silence.

mod check;
mod command;
pub mod containerlab;
mod draft;
pub mod kathara;
mod names;
mod own_files;
mod place;
mod render;
mod script;
pub mod shape;
mod surroundings;

pub use place::{Place, Source};
pub use surroundings::{Found, Nowhere, Surroundings};

use nslab_topology::Diagnostics;
use serde::Serialize;

/// How to import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Carry over every command, also those that were meant for a container's own files: they will run on this
    /// machine's. Otherwise only commands that configure the network are.
    pub run_all: bool,
    /// Put a plain router without addresses in the place of each node that needs an image, so that the links to it are
    /// kept.
    pub stand_ins: bool,
}

/// A network that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The lab's name.
    pub lab: String,
    /// The lab file, with comments that say where each thing comes from.
    pub lab_file: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// How many switches it has.
    pub switches: usize,
    /// How many links it has.
    pub links: usize,
    /// What was not carried over, in the order of the files.
    pub skipped: Vec<Skipped>,
    /// What is otherwise than in the tool that it was written for.
    pub notes: Vec<String>,
}

/// A thing that was not carried over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Where it is written.
    #[serde(flatten)]
    pub place: Place,
    /// What it is, mostly as it is written.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A file that is wrong: what, and its text to show it in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{diagnostics}")]
pub struct Malformed {
    /// The file's text.
    pub text: String,
    /// The file's name and everything that is wrong with it.
    pub diagnostics: Diagnostics,
}
