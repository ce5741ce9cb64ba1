//! The steps into a place, prepared so that they can be carried out between fork and exec.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::process::{Gid, Uid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::place::Place;
use crate::error::{Context, Error, Result};

/// What is mounted below `/sys` that belongs to the host and not to a network namespace: it stays visible.
const KEPT: [&CStr; 4] = [c"/sys/fs/cgroup", c"/sys/fs/bpf", c"/sys/kernel/debug", c"/sys/kernel/tracing"];

/// A place, ready to be entered without another allocation.
#[derive(Debug)]
pub(super) struct Entry {
    namespace: OwnedFd,
    surroundings: Surroundings,
    directory: Option<CString>,
    /// Do without the directory if it is not in sight.
    directory_is_optional: bool,
    /// The numbers of the user to become: group, groups, user.
    user: Option<(Gid, Vec<Gid>, Uid)>,
}

/// Where mounts and host name come from.
#[derive(Debug)]
enum Surroundings {
    /// They are made for this program.
    Own { hosts: Option<CString>, resolv: Option<CString>, hostname: Option<String> },
    /// They are the node's: a mount and a UTS namespace.
    Kept { mounts: OwnedFd, name: OwnedFd },
}

/// What can be refused on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Network = 1,
    Separate,
    Receive,
    Name,
    Hosts,
    Directory,
    View,
    User,
    Resolv,
}

impl Step {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Network,
            Self::Separate,
            Self::Receive,
            Self::Name,
            Self::Hosts,
            Self::Directory,
            Self::View,
            Self::User,
            Self::Resolv,
        ]
        .into_iter()
        .find(|step| *step as u8 == byte)
    }
}

impl Entry {
    pub(super) fn new(place: &Place) -> Result<Self> {
        Ok(Self {
            namespace: duplicate(place.namespace.as_fd())?,
            surroundings: match &place.view {
                Some(view) => Surroundings::Kept {
                    mounts: duplicate(view.mounts.as_fd())?,
                    name: duplicate(view.name.as_fd())?,
                },
                None => Surroundings::Own {
                    hosts: place.hosts.as_deref().map(c_path).transpose()?,
                    resolv: place.resolv.as_deref().map(c_path).transpose()?,
                    hostname: place.hostname.clone(),
                },
            },
            directory: place.directory.as_deref().map(c_path).transpose()?,
            directory_is_optional: place.directory_is_optional,
            user: place.user.as_ref().filter(|user| !user.is_current()).map(|user| {
                let groups = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
                (Gid::from_raw(user.gid), groups, Uid::from_raw(user.uid))
            }),
        })
    }

    /// Moves the calling thread into the place. Makes system calls only, so that it can be used after fork.
    pub(super) fn carry_out(&self) -> Result<(), (Step, Errno)> {
        let at = |step: Step| move |errno: Errno| (step, errno);
        rustix::thread::move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(at(Step::Network))?;
        match &self.surroundings {
            Surroundings::Own { hosts, resolv, hostname } => {
                separate(hosts.as_deref(), resolv.as_deref(), hostname.as_deref())?;
            }
            Surroundings::Kept { mounts, name } => {
                let kinds =
                    [(mounts, LinkNameSpaceType::Mount), (name, LinkNameSpaceType::HostNameAndNISDomainName)];
                for (fd, kind) in kinds {
                    rustix::thread::move_into_link_name_space(fd.as_fd(), Some(kind))
                        .map_err(at(Step::View))?;
                }
            }
        }
        if let Some(directory) = &self.directory {
            match rustix::process::chdir(directory.as_c_str()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) if self.directory_is_optional => {
                    rustix::process::chdir(c"/").map_err(at(Step::Directory))?;
                }
                result => result.map_err(at(Step::Directory))?,
            }
        }
        if let Some((gid, groups, uid)) = &self.user {
            // Groups first: without the user's number 0 they cannot be changed any more.
            rustix::thread::set_thread_groups(groups).map_err(at(Step::User))?;
            rustix::thread::set_thread_res_gid(*gid, *gid, *gid).map_err(at(Step::User))?;
            rustix::thread::set_thread_res_uid(*uid, *uid, *uid).map_err(at(Step::User))?;
        }
        Ok(())
    }

    /// The error for a step that failed.
    pub(super) fn explain(&self, step: Step, source: io::Error) -> Error {
        let path = |path: &Option<CString>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let (hosts, hostname) = match &self.surroundings {
            Surroundings::Own { hosts, hostname, .. } => (path(hosts), hostname.clone()),
            Surroundings::Kept { .. } => (None, None),
        };
        let action = match step {
            Step::Network => "enter the node's network namespace".to_owned(),
            Step::Separate => "create a mount and a UTS namespace".to_owned(),
            Step::Receive => "part the mounts below / from the host's".to_owned(),
            Step::Name => format!("set the host name {}", hostname.unwrap_or_default()),
            Step::Hosts => format!("show {} as /etc/hosts", hosts.unwrap_or_default()),
            Step::View => "enter the node's mount and UTS namespaces".to_owned(),
            Step::Resolv => "show the node's /etc/resolv.conf".to_owned(),
            Step::User => {
                let uid = self.user.as_ref().map_or(0, |(_, _, uid)| uid.as_raw());
                format!("become the user with number {uid}")
            }
            Step::Directory => {
                format!("change to the directory {}", path(&self.directory).unwrap_or_default())
            }
        };
        Error::Io { action, source }
    }
}

/// Gives the calling thread mounts and a host name of its own, and makes them the node's. Makes system calls only.
fn separate(
    hosts: Option<&CStr>,
    resolv: Option<&CStr>,
    hostname: Option<&str>,
) -> Result<(), (Step, Errno)> {
    let at = |step: Step| move |errno: Errno| (step, errno);
    // SAFETY: file descriptors stay shared; what changes is what paths and the host's name mean to this thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWUTS) }
        .map_err(at(Step::Separate))?;
    // Mounts made here must not show on the host, and what the host unmounts must not live on here.
    let receive = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", receive).map_err(at(Step::Receive))?;
    if let Some(name) = hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(at(Step::Name))?;
    }
    if let Some(resolv) = resolv {
        match rustix::mount::mount_bind(resolv, c"/etc/resolv.conf") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err((Step::Resolv, errno)),
        }
    }
    if let Some(hosts) = hosts {
        match rustix::mount::mount_bind(hosts, c"/etc/hosts") {
            // This system has no /etc/hosts, so nothing would read it.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err((Step::Hosts, errno)),
        }
    }
    show_sys();
    Ok(())
}

/// Mounts a `/sys` that shows the interfaces of the network namespace. It is laid over the old one: taking that away
/// first would wait for the kernel's readers (RCU), and lose what is mounted below.
///
/// Containers often forbid it; then `/sys` goes on to show the host's interfaces, which is no reason not to run.
pub(crate) fn show_sys() {
    let kept = KEPT.map(|path| if is_mounted(path) { pick_up(path) } else { None });
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RELATIME;
    let mounted = [flags, flags | MountFlags::RDONLY]
        .into_iter()
        .any(|flags| rustix::mount::mount(c"nslab", c"/sys", c"sysfs", flags, None).is_ok());
    if mounted {
        for (tree, path) in kept.iter().zip(KEPT) {
            if let Some(tree) = tree {
                let _ =
                    rustix::mount::move_mount(tree, c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
            }
        }
    }
}

/// A copy of the mounts at and below `path`, attached nowhere.
fn pick_up(path: &CStr) -> Option<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags).ok()
}

/// Whether something is mounted exactly at `path` (`STATX_ATTR_MOUNT_ROOT`, kernel 5.8).
fn is_mounted(path: &CStr) -> bool {
    statx(CWD, path, AtFlags::NO_AUTOMOUNT, StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn duplicate(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).context(|| "duplicate a namespace's descriptor")
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(io::Error::from)
        .context(|| format!("use the path {}", path.display()))
}
