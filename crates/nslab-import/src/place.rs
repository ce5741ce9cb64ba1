//! Places in the files that are imported.

use std::sync::Arc;

use nslab_topology::{Diagnostic, Diagnostics, Span};
use serde::Serialize;

use crate::Malformed;

/// A file that is imported.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name as it is to be shown.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file's name.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

fn as_text<S: serde::Serializer>(file: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(file)
}

impl Place {
    pub(crate) fn new(file: &Arc<str>, line: usize) -> Self {
        Self { file: Arc::clone(file), line }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Source<'_> {
    /// The error that the file is wrong.
    pub(crate) fn wrong(&self, list: Vec<Diagnostic>) -> Malformed {
        Malformed { text: self.text.to_owned(), diagnostics: Diagnostics::new(self.name, list) }
    }

    /// The place of a stretch of bytes within one line.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Span {
            start,
            end,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
