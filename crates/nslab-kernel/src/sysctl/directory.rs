//! Many sysctls of one namespace, of many namespaces.
//!
//! In one instance of procfs the directories of all namespaces share the hash chain of their name (`proc_sys_compare`,
//! `fs/proc/proc_sysctl.c`): where a thousand namespaces were looked at, each step of a path that begins at the root compares a
//! thousand names. So a directory is kept open while its sysctls are read, and a [`Tree`] of one's own has no such chains.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::{ROOT, failure, relative};
use crate::error::{Context, Result};

/// A value of so many bytes or more is not read: only lists (`net.ipv4.ip_local_reserved_ports`) can get so long.
const LONGEST: usize = 4096;

/// Where sysctls are read: `/proc/sys`, or an instance of procfs that nobody else looks into.
#[derive(Debug)]
pub struct Tree {
    /// The root of an own instance.
    own: Option<OwnedFd>,
}

impl Tree {
    /// `/proc/sys`.
    pub fn shared() -> Self {
        Self { own: None }
    }

    /// A new instance, mounted nowhere, which ends with this. Needs Linux 5.8 (before, all share one) and the privilege to
    /// mount procfs, which an ordinary user's user namespace does not give.
    pub fn own() -> Result<Self> {
        let action = || "make an instance of procfs".to_owned();
        let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).context(action)?;
        rustix::mount::fsconfig_create(context.as_fd()).context(action)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .context(action)?;
        Ok(Self { own: Some(root) })
    }

    /// A directory by its dotted key, as `net.ipv4`, of the namespace that the thread is in; none if there is none.
    pub fn directory(&self, key: &str) -> Result<Option<Directory>> {
        match &self.own {
            Some(root) => Directory::at(root.as_fd(), &Path::new("sys").join(relative(key)), key),
            None => Directory::at(CWD, &Path::new(ROOT).join(relative(key)), key),
        }
    }
}

/// A directory of sysctls, open: of the namespace that the thread was in when it was opened, wherever that thread is now.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    key: String,
}

impl Directory {
    /// One below it, as `conf.all` below `net.ipv4`; none if there is none.
    pub fn directory(&self, key: &str) -> Result<Option<Self>> {
        Self::at(self.fd.as_fd(), &relative(key), &format!("{}.{key}", self.key))
    }

    fn at(above: BorrowedFd<'_>, path: &Path, key: &str) -> Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(above, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, key: key.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failure(key, format!("open {key}"), errno.into())),
        }
    }

    /// The value of one in it, without the newline at its end; none if there is none.
    pub fn read(&self, key: &str) -> Result<Option<String>> {
        let failed = |error: io::Error| {
            let key = format!("{}.{key}", self.key);
            failure(&key, format!("read {key}"), error)
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.fd, relative(key), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno.into())),
        };
        // A sysctl is written whole into the first read (`proc_do_intvec` and its like give nothing at an offset).
        let mut bytes = [0; LONGEST];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut bytes))
            .map_err(|errno| failed(errno.into()))?;
        if length == LONGEST {
            return Err(failed(io::Error::other("it is too long")));
        }
        let text = std::str::from_utf8(&bytes[..length]);
        let text = text.map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        Ok(Some(text.trim_end_matches('\n').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn an_open_directory_gives_the_same() {
        let trees = [Some(Tree::shared()), Tree::own().ok()];
        if trees[1].is_none() {
            eprintln!("skipped in part: this user may not mount procfs");
        }
        for tree in trees.iter().flatten() {
            let directory = tree.directory("net.ipv4").unwrap().unwrap();
            assert_eq!(directory.read("ip_forward").unwrap(), Some(read("net.ipv4.ip_forward").unwrap()));
            assert_eq!(
                directory.read("ip_local_port_range").unwrap(),
                Some(read("net.ipv4.ip_local_port_range").unwrap())
            );
            let all = directory.directory("conf.all").unwrap().unwrap();
            assert_eq!(all.read("rp_filter").unwrap(), Some(read("net.ipv4.conf.all.rp_filter").unwrap()));
            assert_eq!(all.read("nonesuch").unwrap(), None);
            assert!(directory.directory("nonesuch").unwrap().is_none());
            let no_directory = tree.directory("net.ipv4.ip_forward").unwrap_err().to_string();
            assert!(no_directory.contains("net.ipv4.ip_forward"), "{no_directory}");
            assert_eq!(all.read("../../../../../etc/hostname").unwrap(), None);
        }
    }
}
