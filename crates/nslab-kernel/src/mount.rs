//! The few mounts that namespaces need.

use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::error::{Context, Result};

/// Shows `source` at `target` too (`MS_BIND`). Both must exist.
pub fn bind(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind(source, target)
        .context(|| format!("bind {} on {}", source.display(), target.display()))
}

/// As [`bind`], with everything mounted below (`MS_REC`).
pub fn bind_tree(source: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind_recursive(source, target)
        .context(|| format!("bind the tree {} on {}", source.display(), target.display()))
}

/// Mounts an empty file system in memory, mode 0755.
pub fn tmpfs(target: &Path) -> Result<()> {
    rustix::mount::mount("nslab", target, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=755"))
        .context(|| format!("mount a tmpfs on {}", target.display()))
}

/// Mounts the calling thread's network namespace's view of `/sys`.
pub fn sysfs(target: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("nslab", target, "sysfs", flags, None)
        .context(|| format!("mount sysfs on {}", target.display()))
}

/// Mounts a `/proc` with the processes of the calling process's PID namespace. In a user namespace that is refused with
/// `EPERM` where something hides a part of every `/proc` in sight (`mount_too_revealing`, `fs/namespace.c`).
pub fn proc(target: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("nslab", target, "proc", flags, None)
        .context(|| format!("mount a /proc of its own on {}", target.display()))
}

/// Keeps mounts made below `target` from spreading to other mount namespaces (`MS_PRIVATE`).
pub fn make_private(target: &Path) -> Result<()> {
    rustix::mount::mount_change(target, MountPropagationFlags::PRIVATE)
        .context(|| format!("make the mount {} private", target.display()))
}

/// Lets mounts made below `target` spread to copies of it in mount namespaces that are made later, and above all lets
/// unmounting spread (`MS_SHARED`).
pub fn make_shared(target: &Path) -> Result<()> {
    rustix::mount::mount_change(target, MountPropagationFlags::SHARED)
        .context(|| format!("make the mount {} shared", target.display()))
}

/// Lets mounts of the parent mount namespace come in below `target`, and none go out
/// (`MS_SLAVE | MS_REC`).
pub fn make_receiving(target: &Path) -> Result<()> {
    rustix::mount::mount_change(target, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .context(|| format!("make the mounts below {} receive only", target.display()))
}

/// Takes the mount on `target`, with all below it, out of the tree at once (`MNT_DETACH`); nothing is mounted there
/// afterwards or an error is returned. A symbolic link is not followed.
pub fn detach(target: &Path) -> Result<()> {
    rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .context(|| format!("unmount {}", target.display()))
}
