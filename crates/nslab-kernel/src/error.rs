//! What can go wrong between a program and the kernel.

use std::fmt::Display;
use std::io;

use rustix::io::Errno;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal of the kernel, or an answer that makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("cannot {action}: {}", words(source))]
    Io {
        /// What was tried, with the object's name, as `open /run/netns/red`.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("cannot {request}: {refusal}")]
    Refused {
        /// The request in words, as `create link eth0`.
        request: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// A sysctl cannot be read or set.
    #[error("cannot {action}: {obstacle} ({})", words(source))]
    Sysctl {
        /// What was tried, as `set net.ipv4.ip_forward to 1`.
        action: String,
        /// What stands in the way.
        obstacle: crate::sysctl::Obstacle,
        /// What the kernel said.
        source: io::Error,
    },
    /// This kernel was built without something.
    #[error("{what} is not supported by this kernel ({option})")]
    Unsupported {
        /// The thing in words, as `a link of kind vrf`.
        what: String,
        /// The build option that would bring it, as `CONFIG_NET_VRF`.
        option: &'static str,
    },
    /// A dump was overtaken by changes again and again.
    #[error("cannot read a consistent list of {what}: it kept changing while it was read")]
    Unstable {
        /// What was read, as `routes`.
        what: &'static str,
    },
    /// The kernel's message does not have the form its headers promise.
    #[error("the kernel's answer about {what} is malformed: {problem}")]
    Malformed {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        problem: &'static str,
    },
}

/// The kernel's refusal of one netlink request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// The kernel's own words where it gave any (extended acknowledgement, `NLMSGERR_ATTR_MSG`).
    pub text: Option<String>,
    /// Where the attribute that was refused starts, in bytes from the start of the message, where the kernel says so
    /// (`NLMSGERR_ATTR_OFFS`).
    pub offset: Option<u32>,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let meaning = words(&io::Error::from(self.errno));
        match &self.text {
            Some(text) => write!(f, "{meaning}: the kernel says \"{text}\""),
            None => write!(f, "{meaning}"),
        }
    }
}

/// An error in words, without the number that the standard library puts after them.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

impl Error {
    /// An error of a system call, with what was tried.
    pub fn io(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io { action: action.into(), source: source.into() }
    }

    /// The error number behind it, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { source, .. } | Self::Sysctl { source, .. } => Errno::from_io_error(source),
            Self::Refused { refusal, .. } => Some(refusal.errno),
            _ => None,
        }
    }
}

/// Adds what was tried to the error of a system call.
pub trait Context<T> {
    /// `action` completes the sentence "cannot …"; it is only made when there is an error.
    fn context<A: Into<String>>(self, action: impl FnOnce() -> A) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn context<A: Into<String>>(self, action: impl FnOnce() -> A) -> Result<T> {
        self.map_err(|source| Error::io(action(), source))
    }
}
