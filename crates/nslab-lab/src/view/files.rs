//! The files of a view, reached from its root.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nslab_topology::LARGEST_FILE;
use nslab_topology::model::{self, Content};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::{Shape, View};
use crate::error::{Context, Result};
use crate::exec::owner_ids;
use crate::paths::LabPaths;

/// Permission bits without the file's type.
const PERMISSIONS: u32 = 0o7777;

/// The inside of a view.
pub(super) struct Inside {
    /// Its root.
    pub(super) root: OwnedFd,
    /// The device numbers of its own file systems.
    pub(super) own: Vec<u64>,
}

impl Inside {
    /// Whether something is at `path`, on a file system of the view's own.
    pub(super) fn has_own(&self, path: &str) -> bool {
        self.open(path, OFlags::PATH)
            .and_then(rustix::fs::fstat)
            .is_ok_and(|stat| self.own.contains(&stat.st_dev))
    }

    /// Reads what a file has now into `file`; says who owns it, or that it is not there.
    pub(super) fn read(&self, file: &mut model::File) -> Result<Option<(u32, u32)>> {
        let action = || format!("read {}", file.path);
        // NONBLOCK: a program may have put a FIFO there, which nobody writes to.
        let opened = match self.open(&file.path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno).context(action),
        };
        let metadata = opened.metadata().context(action)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        // A larger one differs from every one that could be wanted.
        opened.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes).context(action)?;
        file.content = Content::of_bytes(bytes);
        file.mode = metadata.mode() & PERMISSIONS;
        Ok(Some((metadata.uid(), metadata.gid())))
    }

    fn open(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
        openat2(&self.root, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT)
    }
}

/// The directory that something is in.
pub(super) fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above })
}

/// Writes a file of a node's view in place: programs that have it open see the new contents.
pub(crate) fn write(paths: &LabPaths, node: &str, file: &model::File) -> Result<()> {
    let action = || format!("write {} of {node}", file.path);
    let ids = file.owner.as_ref().map(owner_ids).transpose()?;
    let view = View::open(&paths.views(), node)?.ok_or(Errno::NOENT).context(action)?;
    let inside = Inside { root: view.root()?, own: Shape::read(paths, node)?.own };
    let mut flags = OFlags::WRONLY | OFlags::NONBLOCK;
    // Never a file of the host's, and none beside it.
    match (inside.has_own(&file.path), inside.has_own(above(&file.path))) {
        (true, _) => {}
        (false, true) => flags |= OFlags::CREATE | OFlags::EXCL,
        (false, false) => return Err(Errno::XDEV).context(action),
    }
    let opened = File::from(inside.open(&file.path, flags).context(action)?);
    opened.set_len(0).context(action)?;
    fill(opened, file, ids).context(action)
}

/// Gives an open, empty file what it is to have.
pub(super) fn fill(mut opened: File, file: &model::File, ids: Option<(u32, u32)>) -> std::io::Result<()> {
    if let Some((uid, gid)) = ids {
        std::os::unix::fs::fchown(&opened, Some(uid), Some(gid))?;
    }
    // After the owner, whose change takes set-user-id bits away.
    opened.set_permissions(PermissionsExt::from_mode(file.mode))?;
    opened.write_all(file.content.bytes())
}
