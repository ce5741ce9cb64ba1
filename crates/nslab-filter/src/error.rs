//! What is wrong with a filter, and where.

use std::ops::Range;

/// Why a filter was refused.
///
/// `Display` says it in one sentence, without the place; `span` is where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What kind of mistake it is.
    pub kind: ErrorKind,
    /// Bytes of the filter's text that it is about, between characters. Empty at the text's end if something is missing there.
    pub span: Range<usize>,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

/// Kinds of mistakes in a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text is no filter.
    Syntax,
    /// A name of a host, port or protocol that nobody knows.
    UnknownName,
    /// A number, address or mask that cannot be.
    OutOfRange,
    /// Words that do not go together, such as `tcp host` or `udp proto`.
    Qualifier,
    /// Part of libpcap's language that is not for Ethernet frames, or is not done here.
    Unsupported,
    /// No packet can match.
    MatchesNothing,
    /// The program would be longer than the kernel takes, or its text deeper than is sensible.
    TooLarge,
}

impl FilterError {
    pub(crate) fn new(kind: ErrorKind, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { kind, span, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
