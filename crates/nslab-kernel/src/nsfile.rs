//! Namespaces of the other kinds, by their files: what a process sees as mounts, as its host name and of processes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::LinkNameSpaceType;

use crate::error::{Context, Result};
use crate::mount;

/// `NSFS_MAGIC` (`include/uapi/linux/magic.h`).
const NSFS_MAGIC: libc::c_long = 0x6e73_6673;
/// `NS_GET_NSTYPE`, `_IO(0xb7, 3)` (`include/uapi/linux/nsfs.h`).
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// `NS_GET_MNTNS_ID`, `_IOR(0xb7, 5, __u64)` (`include/uapi/linux/nsfs.h`, kernel 6.10).
const NS_GET_MNTNS_ID: libc::Ioctl = 0x8008_b705_u32 as libc::Ioctl;

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What is mounted where.
    Mount,
    /// The host name.
    Uts,
    /// Processes.
    Pid,
}

impl Kind {
    /// Its name in `/proc/PID/ns`.
    fn name(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Uts => "uts",
            Self::Pid => "pid",
        }
    }

    /// The type by which setns(2) takes it.
    pub fn link_type(self) -> LinkNameSpaceType {
        match self {
            Self::Mount => LinkNameSpaceType::Mount,
            Self::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
            Self::Pid => LinkNameSpaceType::ProcessID,
        }
    }

    fn clone_flag(self) -> libc::c_int {
        match self {
            Self::Mount => libc::CLONE_NEWNS,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Pid => libc::CLONE_NEWPID,
        }
    }
}

/// A handle on a namespace, which keeps it alive.
#[derive(Debug)]
pub struct NamespaceFile {
    fd: OwnedFd,
    kind: Kind,
}

impl NamespaceFile {
    /// The one that the calling thread is in.
    pub fn own(kind: Kind) -> Result<Self> {
        Self::open(Path::new(&format!("/proc/thread-self/ns/{}", kind.name())), kind)
    }

    /// The namespace behind a file: a pin, or one in `/proc/PID/ns`. Errors with `EINVAL` if the file is something
    /// else.
    pub fn open(path: &Path, kind: Kind) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let what = || format!("open the {} namespace {}", kind.name(), path.display());
        let fd = rustix::fs::open(path, flags, Mode::empty()).context(what)?;
        if namespace_type(fd.as_fd()) == Some(kind.clone_flag()) {
            Ok(Self { fd, kind })
        } else {
            Err(Errno::INVAL).context(what)
        }
    }

    /// What tells it from the others of its kind that exist, as in `mnt:[4026531841]`.
    pub fn id(&self) -> Result<String> {
        let stat = rustix::fs::fstat(&self.fd).context(|| "look at a namespace")?;
        Ok(format!("{}:[{}]", self.kind.name(), stat.st_ino))
    }

    /// Whether both are the same.
    pub fn is_same(&self, other: &Self) -> Result<bool> {
        let stat = |file: &Self| rustix::fs::fstat(&file.fd).context(|| "look at a namespace");
        let (own, other) = (stat(self)?, stat(other)?);
        Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
    }

    /// The number by which the kernel tells which of two mount namespaces is the older; none before 6.10, and of other
    /// kinds.
    ///
    /// From 6.18 on these numbers are given out in batches for each CPU (`DEFINE_COOKIE`, `kernel/nstree.c`), so that a
    /// new namespace may have a smaller one than an old one that was made on another CPU.
    pub fn age_number(&self) -> Option<u64> {
        let mut number = 0_u64;
        // SAFETY: the ioctl writes one number of 64 bits, for which there is room.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), NS_GET_MNTNS_ID, &raw mut number) };
        (result == 0 && self.kind == Kind::Mount).then_some(number)
    }

    /// Mounts it on an existing file. A mount namespace can only be mounted in an older one ([`Self::age_number`]), on a mount that is
    /// private (`mnt_ns_loop` and `propagate_one`, `fs/namespace.c` and `fs/pnode.c`); copies of that mount do not have
    /// it.
    pub fn pin(&self, path: &Path) -> Result<()> {
        mount::bind(Path::new(&format!("/proc/self/fd/{}", self.fd.as_raw_fd())), path)
    }

    /// Moves the calling thread into it. For a mount namespace, the thread must share root and working directory with no
    /// other; both become the root of that namespace. For a PID namespace, which must be the thread's own or one below
    /// it, the thread itself stays where it is, and what it forks from then on is in it; where the first process of the
    /// namespace has ended, forking fails with `ENOMEM` (`pid_namespaces(7)`).
    pub fn enter(&self) -> Result<()> {
        rustix::thread::move_into_link_name_space(self.fd.as_fd(), Some(self.kind.link_type()))
            .context(|| format!("enter a {} namespace", self.kind.name()))
    }
}

impl AsFd for NamespaceFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The `CLONE_NEW…` flag of the kind of namespace that a file is; `None` if it is no namespace's.
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> Option<libc::c_int> {
    if rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type as libc::c_long == NSFS_MAGIC) {
        // SAFETY: the ioctl takes no argument and, on a namespace file, only reports the namespace's type.
        let kind = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
        return (kind >= 0).then_some(kind);
    }
    None
}
