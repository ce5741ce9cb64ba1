//! What can go wrong with a snapshot as a whole.

use std::path::PathBuf;

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no snapshot. What goes wrong with one namespace is in the snapshot instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something was refused that is needed to find namespaces at all.
    #[error(transparent)]
    Kernel(#[from] nslab_kernel::Error),
    /// A file could not be read or written.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no snapshot, or not a whole one.
    #[error("{} is not a snapshot that nslab can read: {problem}", path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
