//! Whether a file is there, as the programs of a node see it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::Result;
use crate::paths::LabPaths;
use crate::view::View;

/// A file to look for.
pub(super) struct Seen {
    /// The root of the node's own mounts, if it has such.
    root: Option<OwnedFd>,
    pub(super) path: PathBuf,
}

impl Seen {
    pub(super) fn new(paths: &LabPaths, node: &str, path: PathBuf) -> Result<Self> {
        let view = View::open(&paths.views(), node)?;
        Ok(Self { root: view.map(|view| view.root()).transpose()?, path })
    }

    pub(super) fn is_there(&self) -> bool {
        let Some(root) = &self.root else { return self.path.exists() };
        let path: &Path = &self.path;
        openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT).is_ok()
    }
}
