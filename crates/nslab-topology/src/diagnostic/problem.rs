//! What is wrong with a piece of text that may or may not stand in a file.

use std::ops::Range;

/// A problem with a text: an endpoint, a route, an address. It becomes a [`super::Diagnostic`] where the text
/// stands in a lab file, and an [`crate::EditError`] where it was typed on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The bytes of the text that are wrong; all of it if unknown.
    pub(crate) range: Option<Range<usize>>,
    pub(crate) help: Vec<String>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), range: None, help: Vec::new() }
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Says where, unless that is already known more exactly.
    pub(crate) fn within(mut self, range: Range<usize>) -> Self {
        self.range = Some(match self.range {
            Some(inner) => range.start + inner.start..range.start + inner.end,
            None => range,
        });
        self
    }
}
