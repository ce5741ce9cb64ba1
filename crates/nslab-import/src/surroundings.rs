//! What is beside a file that is imported. Only who reads files knows; the import itself reads none.

use std::collections::BTreeMap;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A regular file, with its size in bytes.
    File(u64),
    /// A directory, with the regular files below it: their paths within it, and their sizes. Links are not followed.
    Directory(BTreeMap<String, u64>),
    /// A device, a socket or the like, or what cannot be looked at.
    Other,
}

/// Tells what is beside the file that is imported. Paths are relative to its directory, or absolute.
pub trait Surroundings {
    /// What is at a path.
    fn look(&self, path: &str) -> Found;

    /// Whether this machine has a directory: of the root directory's, in which a node can have nothing else of its own.
    fn has_directory(&self, path: &str) -> bool;

    /// The text of a file; none if it is no text.
    fn text(&self, path: &str) -> Option<String>;

    /// The path of a file as it stands in the lab file, which is perhaps to be in another directory.
    fn written(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// Nothing is beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Surroundings for Nowhere {
    fn look(&self, _: &str) -> Found {
        Found::Nothing
    }

    fn has_directory(&self, _: &str) -> bool {
        false
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }
}
