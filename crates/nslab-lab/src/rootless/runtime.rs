//! The directory in which a user's commands find the holder.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::error::{Context, Error, Result};

/// The directory in which a user's commands find the holder: the user's own, and nobody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeDir {
    path: PathBuf,
}

/// The holder's socket in it.
pub(super) const SOCKET: &str = "holder.sock";

impl RuntimeDir {
    /// The calling user's: `$XDG_RUNTIME_DIR/nslab`, or `/tmp/nslab-UID` if that variable does not name a directory
    /// of the user's.
    pub fn find() -> Self {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|base| {
            base.is_absolute()
                && std::fs::symlink_metadata(base).is_ok_and(|file| file.is_dir() && is_ours(&file))
        });
        Self::at(match base {
            Some(base) => base.join("nslab"),
            None => PathBuf::from(format!("/tmp/nslab-{}", rustix::process::geteuid().as_raw())),
        })
    }

    /// This directory, which need not exist.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    /// Whether it exists. Fails if it is not what it should be: anyone can make a directory in `/tmp`.
    pub(crate) fn check(&self) -> Result<bool> {
        match std::fs::symlink_metadata(&self.path) {
            // No permission for group and others.
            Ok(file) if file.is_dir() && is_ours(&file) && file.mode().trailing_zeros() >= 6 => Ok(true),
            Ok(_) => Err(Error::Machine {
                what: format!("{} is not a directory that only this user may use", self.path.display()),
                hint: Some(format!(
                    "chmod 700 {0}, or set XDG_RUNTIME_DIR if it is another user's",
                    self.path.display()
                )),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context(|| format!("look at {}", self.path.display())),
        }
    }

    /// Locks it, and makes it first if there is none. Waits for others that have it locked.
    pub(super) fn lock(&self) -> Result<Locked> {
        let action = || format!("lock {}", self.path.display());
        loop {
            match std::fs::DirBuilder::new().mode(0o700).create(&self.path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).context(|| format!("create the directory {}", self.path.display()));
                }
                _ => {}
            }
            if !self.check()? {
                continue;
            }
            let directory = match open(&self.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                result => result.context(action)?,
            };
            lock(&directory, FlockOperation::LockExclusive).context(action)?;
            // While this process waited, who had the lock may have taken the directory away.
            if same_directory(&directory, &self.path) {
                return Ok(Locked { directory, path: self.path.clone() });
            }
        }
    }
}

/// A locked directory; dropping it unlocks it.
#[derive(Debug)]
pub(super) struct Locked {
    directory: OwnedFd,
    path: PathBuf,
}

impl Locked {
    /// Takes the socket away, if there is one.
    pub(super) fn remove_socket(&self) -> Result<()> {
        match rustix::fs::unlinkat(&self.directory, SOCKET, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno).context(|| format!("remove {}", self.path.join(SOCKET).display())),
        }
    }

    /// Takes the directory away, unless it is in use.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

pub(super) fn lock(directory: &OwnedFd, operation: FlockOperation) -> io::Result<()> {
    loop {
        match rustix::fs::flock(directory, operation) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

fn same_directory(directory: &OwnedFd, path: &Path) -> bool {
    match (rustix::fs::fstat(directory), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.st_dev, open.st_ino) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn is_ours(file: &Metadata) -> bool {
    file.uid() == rustix::process::geteuid().as_raw()
}
