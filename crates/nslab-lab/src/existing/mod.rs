//! Namespaces that are there without the lab: found by what they are called.
//!
//! A name, a process or a container is looked at once, and what comes of it is a descriptor. A process id is never kept:
//! it may come to mean another process.

mod container;
mod proc;

use std::path::{Path, PathBuf};

use nslab_kernel::Namespace;
use nslab_topology::model::Existing;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

/// Why there is no namespace to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Nothing is called so.
    #[error("{what}")]
    Missing {
        /// What there is not, in words.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// It may not be entered by this user.
    #[error("{what}")]
    Denied {
        /// What may not be entered, in words.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The kernel said no.
    #[error(transparent)]
    Kernel(#[from] nslab_kernel::Error),
}

impl FindError {
    fn missing(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), hint: hint.into() }
    }

    fn denied(what: impl Into<String>) -> Self {
        let hint = "an ordinary user can join what is in a user namespace of their own (`nslab exec host` is in it), \
                    root all";
        Self::Denied { what: what.into(), hint: hint.to_owned() }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Missing { hint, .. } | Self::Denied { hint, .. } => Some(hint),
            Self::Kernel(_) => None,
        }
    }
}

/// Opens the namespace, and sees to it that it may be entered. `netns` is the directory of names (`/run/netns`).
pub fn open(existing: &Existing, netns: &Path) -> Result<Namespace, FindError> {
    let namespace = match existing {
        Existing::Netns(name) => named(name, netns)?,
        Existing::Pid(pid) => {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            match pid {
                Some(pid) => of_process(pid)?,
                None => return Err(no_process(0)),
            }
        }
        Existing::Container(name) => container::open(name)?,
    };
    match namespace.enter() {
        Ok(_) => Ok(namespace),
        Err(error) if matches!(error.errno(), Some(Errno::PERM | Errno::ACCESS)) => {
            Err(FindError::denied(format!("{existing} belongs to another user's namespace")))
        }
        Err(error) => Err(error.into()),
    }
}

fn named(name: &str, netns: &Path) -> Result<Namespace, FindError> {
    let path = if name.starts_with('/') { PathBuf::from(name) } else { netns.join(name) };
    Namespace::open(&path).map_err(|error| match error.errno() {
        Some(Errno::NOENT | Errno::NOTDIR) => {
            // What the host has under that name is root's.
            if !name.starts_with('/') && Path::new("/run/.host/netns").join(name).exists() {
                return FindError::denied(format!("the host's namespace {name:?} is root's"));
            }
            FindError::missing(
                format!("there is no namespace {name:?}"),
                "`ip netns list` shows those that have a name",
            )
        }
        // `ip netns` leaves the file of a namespace that could not be mounted.
        Some(Errno::INVAL) => {
            FindError::missing(format!("{} is not a network namespace", path.display()), "name another one")
        }
        Some(Errno::PERM | Errno::ACCESS) => {
            FindError::denied(format!("{} may not be opened", path.display()))
        }
        _ => error.into(),
    })
}

/// The namespace of a process that is alive when it has been opened, so that it is that process's own and not that of
/// another which got its number.
fn of_process(pid: Pid) -> Result<Namespace, FindError> {
    let number = pid.as_raw_nonzero().get();
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| match errno {
        Errno::SRCH | Errno::INVAL => no_process(number),
        errno => nslab_kernel::Error::io(format!("open process {number}"), errno).into(),
    })?;
    let namespace = Namespace::of_process(pid).map_err(|error| match error.errno() {
        Some(Errno::NOENT | Errno::SRCH) => no_process(number),
        Some(Errno::PERM | Errno::ACCESS) => {
            FindError::denied(format!("process {number} is not yours to look into"))
        }
        _ => error.into(),
    })?;
    let mut polled = [PollFd::new(&handle, PollFlags::IN)];
    let ended = rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    if ended.is_ok_and(|ended| ended > 0) { Err(no_process(number)) } else { Ok(namespace) }
}

fn no_process(pid: i32) -> FindError {
    FindError::missing(format!("there is no process {pid}"), "`ps` shows those that there are")
}
