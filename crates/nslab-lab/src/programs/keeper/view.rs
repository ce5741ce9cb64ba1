//! What the keeper, and so the programs of nodes without files of their own, see of the host's mounts.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nslab_kernel::{Namespace, mount};
use rustix::fs::{Mode, OFlags};
use rustix::thread::UnshareFlags;

use crate::error::{Context, Result};
use crate::exec::Place;
use crate::paths::LabPaths;
use crate::view;

/// The keeper's view: the host's mounts without the pins of any lab.
///
/// Every program gets a copy of the keeper's mounts. With the pins in it, a lab of N programs and N nodes would be N²
/// mounts, and a namespace would live on in the copies after its lab went away.
#[derive(Debug)]
pub(super) struct View {
    paths: LabPaths,
    /// The lab's directory as the host sees it, through which the pins can be reached.
    root: OwnedFd,
}

impl View {
    /// Parts the calling process from the host's view. It must have one thread.
    pub(super) fn apart(paths: &LabPaths) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(paths.root(), flags, Mode::empty())
            .context(|| format!("open {}", paths.root().display()))?;
        // SAFETY: file descriptors stay shared; what changes is what paths mean to this process.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
            .context(|| "create a mount namespace")?;
        mount::make_receiving(Path::new("/"))?;
        for path in view::lab_mounts(paths) {
            view::release(&path)?;
        }
        Ok(Self { paths: paths.clone(), root })
    }

    /// The paths as programs see them.
    pub(super) fn paths(&self) -> &LabPaths {
        &self.paths
    }

    /// A node of the lab.
    pub(super) fn place(&self, node: &str) -> Result<Place> {
        let root = PathBuf::from(format!("/proc/self/fd/{}", self.root.as_raw_fd()));
        let outside = |path: PathBuf| root.join(path.strip_prefix(self.paths.root()).unwrap_or(&path));
        let namespace = Namespace::open(&outside(self.paths.pin(node)))?;
        let view = view::View::open(&outside(self.paths.views()), node)?;
        Place::with_namespaces(&self.paths, node, namespace, view)
    }
}
