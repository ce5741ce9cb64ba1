//! Network namespaces.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::mark;
use crate::mount;
use crate::nsfile::namespace_type;
use crate::processes;

/// The calling thread's own network namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// A handle on a network namespace, which keeps it alive.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

/// What tells namespaces apart: device and inode of their file. It is unique among the namespaces that exist, and
/// may come again once this one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamespaceId {
    /// The device number of the kernel's namespace file system.
    pub device: u64,
    /// The inode number in it, as in `net:[4026531840]`.
    pub inode: u64,
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.inode)
    }
}

impl Namespace {
    /// The namespace that the calling thread is in.
    pub fn current() -> Result<Self> {
        Self::open(Path::new(OWN))
    }

    /// The namespace behind a file: a pin as in `/run/netns`, or `/proc/PID/ns/net`. Errors with `EINVAL` if the
    /// file is something else.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
            .context(|| format!("open the network namespace {}", path.display()))?;
        Self::from_fd(fd).context(|| format!("open {} as a network namespace", path.display()))
    }

    /// The namespace of a process.
    pub fn of_process(pid: rustix::process::Pid) -> Result<Self> {
        Self::open(Path::new(&format!("/proc/{}/ns/net", pid.as_raw_nonzero())))
    }

    /// Takes a descriptor of a namespace file. Errors with `EINVAL` if it is not one.
    pub fn from_fd(fd: OwnedFd) -> std::io::Result<Self> {
        if namespace_type(fd.as_fd()) != Some(libc::CLONE_NEWNET) {
            return Err(rustix::io::Errno::INVAL.into());
        }
        Ok(Self { fd })
    }

    /// What tells it from other namespaces.
    pub fn id(&self) -> Result<NamespaceId> {
        let stat = rustix::fs::fstat(&self.fd).context(|| "look at a network namespace")?;
        Ok(NamespaceId { device: stat.st_dev, inode: stat.st_ino })
    }

    /// A second handle on the same namespace.
    pub fn duplicate(&self) -> Result<Self> {
        let fd =
            rustix::io::fcntl_dupfd_cloexec(&self.fd, 3).context(|| "duplicate a namespace's descriptor")?;
        Ok(Self { fd })
    }

    /// Moves the calling thread into the namespace until the guard is dropped.
    pub fn enter(&self) -> Result<Entered> {
        let home = Self::current()?;
        mark::set_home(&home);
        self.move_thread()?;
        Ok(Entered { home, _this_thread_only: PhantomData })
    }

    /// Moves the calling thread into the namespace; `stay` brings it back when it is dropped. Between one namespace and
    /// the next the thread does not come back, which is what makes this the fast way through many.
    pub fn enter_next(&self, stay: &mut Option<Entered>) -> Result<()> {
        if stay.is_none() {
            *stay = Some(self.enter()?);
            return Ok(());
        }
        self.move_thread()
    }

    /// Moves the calling thread into the namespace for good; for a process that is about to become another program.
    pub fn move_thread(&self) -> Result<()> {
        rustix::thread::move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .context(|| "enter a network namespace")
    }

    /// Runs `inside` in the namespace, on the calling thread.
    pub fn run<T>(&self, inside: impl FnOnce() -> T) -> Result<T> {
        let _guard = self.enter()?;
        Ok(inside())
    }

    /// Makes a new namespace: no interface but `lo`, which is down. The calling thread stays where it is.
    pub fn create() -> Result<Self> {
        let mut made = Err(Error::io("create a network namespace", std::io::ErrorKind::Other));
        create_each(1, |_, namespace| {
            made = Ok(namespace);
            Ok::<_, Error>(())
        })?;
        made
    }

    /// The namespaces pinned in a directory, as `/run/netns`, by name; see [`processes::pinned`].
    pub fn list(directory: &Path) -> Result<Vec<(String, Self)>> {
        processes::pinned(directory)
    }

    /// Mounts it on an existing empty file, so that it lives on without a process and can be opened by that path.
    pub fn pin(&self, path: &Path) -> Result<()> {
        mount::bind(Path::new(&format!("/proc/self/fd/{}", self.fd.as_raw_fd())), path)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes `count` namespaces and runs `inside` in each, on the calling thread, with its number and handle. The thread
/// comes back at the end, also after an error, which ends the series.
///
/// This is the fast way to many namespaces: the thread goes from one new namespace to the next without coming back
/// in between, and sockets opened inside belong to it already.
pub fn create_each<E: From<Error>>(
    count: usize,
    mut inside: impl FnMut(usize, Namespace) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    // SAFETY: only the network namespace of this thread changes, on which no memory safety depends; file descriptors
    // stay shared. `_stay` brings the thread back.
    let unshare = || unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) };
    if count == 0 {
        return Ok(());
    }
    let home = Namespace::current()?;
    unshare().context(|| "create a network namespace")?;
    // Not before the first is made: without the privilege to make one there is none to come back either.
    let _stay = Entered { home, _this_thread_only: PhantomData };
    for number in 0..count {
        if number > 0 {
            unshare().context(|| "create a network namespace")?;
        }
        inside(number, Namespace::current()?)?;
    }
    Ok(())
}

/// A thread's stay in another namespace; dropping it brings the thread back.
#[derive(Debug)]
pub struct Entered {
    home: Namespace,
    // A namespace is a thread's, so the guard may not be sent to another.
    _this_thread_only: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Err(error) = self.home.move_thread() {
            // The thread would go on in a network where it does not belong: whatever it did next would be done to
            // the wrong one. setns(2) to a namespace one came from fails only when the privilege was given up.
            panic!("this thread cannot return to its network namespace: {error}");
        }
    }
}

/// The processes whose first thread is in one of the namespaces; see [`processes::list`].
pub fn processes<S: BuildHasher>(
    ids: &HashSet<NamespaceId, S>,
) -> Result<Vec<(rustix::process::Pid, NamespaceId)>> {
    processes::list(processes::Depth::Processes, |id| ids.contains(&id))
}
