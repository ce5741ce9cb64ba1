//! What can go wrong.

use std::io;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a namespace.
    #[error(transparent)]
    Kernel(#[from] nslab_kernel::Error),
    /// A socket, a thread or a file of `/proc`.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing came to the other end.
    #[error("nothing got through from one end to the other ({what})")]
    Nothing {
        /// Of what.
        what: &'static str,
    },
}

/// Says what was tried.
pub(crate) trait Doing<T> {
    fn doing(self, action: &'static str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, action: &'static str) -> Result<T> {
        self.map_err(|source| Error::Io { action, source: source.into() })
    }
}
