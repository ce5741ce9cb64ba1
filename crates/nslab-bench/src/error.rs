//! What can go wrong while measuring.

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried, with the object's name.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("the kernel refused netlink request {sequence} of {what}: {source}")]
    Netlink {
        /// Which step it belonged to.
        what: &'static str,
        /// Which request of the batch, from 1.
        sequence: u32,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A program that was measured failed.
    #[error("{command} failed ({status}): {stderr}")]
    Program {
        /// The program with its arguments.
        command: String,
        /// How it ended.
        status: String,
        /// The last of what it wrote on its standard error.
        stderr: String,
    },
    /// Bad arguments.
    #[error("{0}")]
    Usage(String),
}

/// Puts what was tried beside what the system answered.
pub trait Doing<T> {
    /// Names the action, in the infinitive with its object.
    fn doing(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::System { action: action(), source })
    }
}
