//! What is not known.

use serde::Serialize;

/// Something on which the way of a packet hangs and which is not known: chance, time, a program, something that nslab does
/// not model, or something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Doubt {
    /// What, a sentence's part: `limit rate 10/second`, `the XDP program 17`.
    pub what: String,
    /// What would settle it, a sentence.
    pub settle: String,
}

impl Doubt {
    /// What is not known, and what would settle it.
    pub fn new(what: impl Into<String>, settle: impl Into<String>) -> Self {
        Self { what: what.into(), settle: settle.into() }
    }
}

/// Whether something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// That is not known.
    Unknown(Doubt),
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Truth {
    /// Whether both hold. What is false is so whatever the other is.
    #[must_use]
    pub fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            doubt @ Self::Unknown(_) => match other() {
                Self::No => Self::No,
                _ => doubt,
            },
        }
    }
}
