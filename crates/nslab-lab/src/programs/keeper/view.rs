//! What the keeper, and so its programs, see of the host's mounts.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nslab_kernel::{Namespace, mount};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::error::{Context, Result};
use crate::exec::Place;
use crate::paths::LabPaths;

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
        for lab in paths
            .root()
            .parent()
            .and_then(|state| std::fs::read_dir(state).ok())
            .into_iter()
            .flatten()
            .flatten()
        {
            detach_all(&lab.path().join("ns"))?;
        }
        Ok(Self { paths: paths.clone(), root })
    }

    /// The paths as programs see them.
    pub(super) fn paths(&self) -> &LabPaths {
        &self.paths
    }

    /// A node of the lab.
    pub(super) fn place(&self, node: &str) -> Result<Place> {
        let pins = self.paths.pins();
        let below = pins.strip_prefix(self.paths.root()).unwrap_or(&pins);
        let pin = PathBuf::from(format!("/proc/self/fd/{}", self.root.as_raw_fd())).join(below).join(node);
        Place::with_namespace(&self.paths, node, Namespace::open(&pin)?)
    }
}

/// Takes away all that is mounted on a directory of pins, in this view only.
fn detach_all(pins: &Path) -> Result<()> {
    loop {
        match mount::detach(pins) {
            Ok(()) => {}
            Err(error) if matches!(error.errno(), Some(Errno::INVAL | Errno::NOENT | Errno::NOTDIR)) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
