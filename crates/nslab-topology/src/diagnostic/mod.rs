//! What is wrong with a lab file, and where.

mod problem;
mod span;
mod suggest;

use std::fmt;

pub(crate) use problem::Problem;
pub use span::{Span, Spanned};
pub use suggest::closest;
pub(crate) use suggest::did_you_mean;

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing can be built.
    Error,
    /// It can be built, but likely isn't what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// A place in the lab file that a [`Diagnostic`] points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What there is to say about it; may be empty.
    pub text: String,
    /// It is the place that is wrong, not one that explains why.
    pub primary: bool,
}

/// One thing that is wrong with a lab file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A name for this kind of problem that stays the same from release to release.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where. Empty if the lab did not come from a file.
    pub labels: Vec<Label>,
    /// Why it is wrong, or what follows from it.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self { severity, code, message, labels: Vec::new(), notes: Vec::new(), help: Vec::new() }
    }

    /// Points at the place that is wrong, if it is known.
    #[must_use]
    pub fn at(self, span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        self.label(span.into(), text.into(), true)
    }

    /// Points at a place that explains why, if it is known.
    #[must_use]
    pub fn because(self, span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        self.label(span.into(), text.into(), false)
    }

    fn label(mut self, span: Option<Span>, text: String, primary: bool) -> Self {
        self.labels.extend(span.map(|span| Label { span, text, primary }));
        self
    }

    /// Adds why.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// The place that is wrong; the first place at all if none is marked so.
    pub fn span(&self) -> Option<Span> {
        self.labels.iter().find(|label| label.primary).or(self.labels.first()).map(|label| label.span)
    }

    /// One line as compilers print it: `FILE:LINE:COLUMN: error[CODE]: MESSAGE`.
    pub fn one_line<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        OneLine { diagnostic: self, file }
    }
}

struct OneLine<'a> {
    diagnostic: &'a Diagnostic,
    file: &'a str,
}

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { severity, code, message, .. } = self.diagnostic;
        write!(f, "{}:", self.file)?;
        if let Some(span) = self.diagnostic.span() {
            write!(f, "{}:{}:", span.line, span.column)?;
        }
        write!(f, " {severity}[{code}]: {message}")
    }
}

/// Everything that is wrong with a lab file: at least one error, and the warnings beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file's name as it was given.
    pub file: String,
    /// The problems, in the order of their places.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Puts problems in the order of their places and drops those that only repeat another one, as a repeated
    /// node's do.
    pub fn new(file: impl Into<String>, list: Vec<Diagnostic>) -> Self {
        Self { file: file.into(), list: tidy(list) }
    }

    /// Only the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Only the warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning)
    }
}

/// Sorts by place and drops repetitions: of one kind of problem in one place only the first is kept.
pub(crate) fn tidy(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = std::collections::HashSet::new();
    list.retain(|diagnostic| match diagnostic.span() {
        Some(span) => seen.insert((diagnostic.code, span.start, span.end)),
        None => true,
    });
    list.sort_by_key(|diagnostic| diagnostic.span().map_or(usize::MAX, |span| span.start));
    list
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", diagnostic.one_line(&self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
