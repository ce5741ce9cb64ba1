//! One change of a lab at a time.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::interrupt::Interrupt;
use crate::pins::make_directory;

/// The lock of a lab, held until dropped. It is the lab's directory itself, so it leaves nothing behind, and the
/// kernel lets go of it when its holder dies.
#[derive(Debug)]
pub struct Lock {
    _directory: OwnedFd,
}

impl Lock {
    /// Waits for the lock of the lab with the directory `root`, making the directory if there is none. `waiting` is
    /// called once if somebody else holds it; an interrupt ends the waiting.
    pub fn create(root: &Path, waiting: &mut dyn FnMut(), interrupt: Interrupt) -> Result<Self> {
        loop {
            make_directory(root)?;
            if let Some(lock) = Self::open(root, waiting, interrupt)? {
                return Ok(lock);
            }
        }
    }

    /// Waits for the lock of the lab with the directory `root`; `None` if there is no such lab, or none any more once
    /// the one who held the lock let go of it.
    pub fn existing(root: &Path, waiting: &mut dyn FnMut(), interrupt: Interrupt) -> Result<Option<Self>> {
        loop {
            match std::fs::symlink_metadata(root) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error).context(|| format!("look at {}", root.display())),
            }
            if let Some(lock) = Self::open(root, waiting, interrupt)? {
                return Ok(Some(lock));
            }
        }
    }

    /// Whether somebody holds the lock just now.
    pub fn is_held(root: &Path) -> Result<bool> {
        let Some(directory) = open(root)? else { return Ok(false) };
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error).context(|| format!("lock {}", root.display())),
        }
    }

    /// `None` if the directory went away meanwhile.
    fn open(root: &Path, waiting: &mut dyn FnMut(), interrupt: Interrupt) -> Result<Option<Self>> {
        let Some(directory) = open(root)? else { return Ok(None) };
        let locked = match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                waiting();
                let wait = || rustix::fs::flock(&directory, FlockOperation::LockExclusive);
                let waited = interrupt.standing_aside(|| rustix::io::retry_on_intr(wait));
                waited.ok_or_else(|| Error::Interrupted { left: Vec::new() })?
            }
            result => result,
        };
        locked.context(|| format!("lock {}", root.display()))?;
        // Whoever held it may have taken the lab away, and somebody else may have made it anew.
        let held = rustix::fs::fstat(&directory).context(|| format!("look at {}", root.display()))?;
        let current = rustix::fs::stat(root);
        let same = current.is_ok_and(|now| (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino));
        Ok(same.then_some(Self { _directory: directory }))
    }
}

fn open(root: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(root, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).context(|| format!("open {}", root.display())),
    }
}
