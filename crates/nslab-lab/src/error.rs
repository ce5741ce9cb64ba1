//! What can go wrong with a lab.

use std::path::PathBuf;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done with a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel, or this crate's view of it.
    #[error(transparent)]
    Kernel(#[from] nslab_kernel::Error),
    /// A file or socket of the lab's own.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, with the object's name.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such lab.
    #[error("there is no lab {name:?}")]
    NoSuchLab {
        /// The name that was asked for.
        name: String,
        /// The labs that there are.
        known: Vec<String>,
    },
    /// The lab has no such node.
    #[error("lab {lab:?} has no node {name:?}")]
    NoSuchNode {
        /// The lab.
        lab: String,
        /// The name that was asked for.
        name: String,
        /// The nodes and switches that there are.
        known: Vec<String>,
    },
    /// A name that the lab needs is in use by something that is not the lab's.
    #[error("{name} exists and is not part of lab {lab:?}: {holder}")]
    Conflict {
        /// The lab that needs it.
        lab: String,
        /// What exists, as `the namespace /run/netns/red`.
        name: String,
        /// Who holds it, as far as can be seen.
        holder: String,
    },
    /// A namespace that a node is to be cannot be had.
    #[error("node {node}: {source}{}", if *held { " any more; the lab still holds what was there" } else { "" })]
    Existing {
        /// The node.
        node: String,
        /// The lab has joined one that was called so.
        held: bool,
        /// Why not.
        source: crate::existing::FindError,
    },
    /// Steps of a change were refused; the change was undone.
    #[error("the kernel refused {}", refusals.first().map_or_else(|| "a step".to_owned(), ToString::to_string))]
    Refused {
        /// What was refused, at least one.
        refusals: Vec<Refusal>,
        /// What could not be undone, empty if all was.
        left: Vec<String>,
    },
    /// nft does not take a text of the lab file.
    #[error("nft does not take the text of {node}: {message}")]
    Nft {
        /// The node.
        node: String,
        /// The line of the lab file, or the file and its line.
        place: Option<String>,
        /// What nft says.
        message: String,
        /// The line as nft shows it, with marks below it.
        shown: Vec<String>,
    },
    /// A program of the lab did not start or did not become ready.
    #[error("program {program:?} of {node}: {problem}")]
    Program {
        /// The node.
        node: String,
        /// The program's name.
        program: String,
        /// What happened.
        problem: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// The user wanted it to end; what had been done was taken back.
    #[error("interrupted")]
    Interrupted {
        /// What could not be taken back, empty if all was.
        left: Vec<String>,
    },
    /// This machine lacks what is needed.
    #[error("{what}")]
    Machine {
        /// What is lacking and why.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A file of a lab's state cannot be understood.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// One step that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step in words, with its namespace.
    pub step: String,
    /// Why.
    pub reason: String,
    /// This kernel cannot do it at all.
    pub unsupported: bool,
}

impl Refusal {
    /// A step that was refused for `reason`.
    pub fn new(step: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { step: step.into(), reason: reason.into(), unsupported: false }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "to {}: {}", self.step, self.reason)
    }
}

/// Adds what was tried to an I/O error.
pub(crate) trait Context<T> {
    fn context<A: Into<String>>(self, action: impl FnOnce() -> A) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context<A: Into<String>>(self, action: impl FnOnce() -> A) -> Result<T> {
        self.map_err(|source| Error::Io { action: action().into(), source: source.into() })
    }
}
