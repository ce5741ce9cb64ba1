//! A `/run` of the user's own.

use std::os::unix::fs::symlink;
use std::path::Path;

use nslab_kernel::mount;
use rustix::fs::CWD;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};

use crate::error::{Context, Result};

/// Where the host's `/run` goes.
const HOST: &str = "/run/.host";
/// What the user has of its own.
const OWN: [&str; 2] = ["netns", "nslab"];

/// Whether the calling process sees such a `/run`.
pub(super) fn is_private() -> bool {
    Path::new(HOST).is_dir()
}

/// Gives the calling process, in a mount namespace of its own, a `/run` that it may write to. What the host has there
/// stays in reach under its old name.
pub(super) fn private_run() -> Result<()> {
    mount::make_receiving(Path::new("/"))?;
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let host = open_tree(CWD, "/run", flags).context(|| "copy the mounts below /run")?;
    mount::tmpfs(Path::new("/run"))?;
    let create = |path: &Path| std::fs::create_dir(path).context(|| format!("create {}", path.display()));
    create(Path::new(HOST))?;
    move_mount(&host, "", CWD, HOST, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .context(|| format!("move the host's /run to {HOST}"))?;
    for entry in std::fs::read_dir(HOST).context(|| format!("read {HOST}"))? {
        let name = entry.context(|| format!("read {HOST}"))?.file_name();
        if OWN.iter().all(|own| name != *own) {
            let link = Path::new("/run").join(&name);
            symlink(Path::new(".host").join(&name), &link)
                .context(|| format!("create {}", link.display()))?;
        }
    }
    for own in OWN {
        create(&Path::new("/run").join(own))?;
    }
    // Programs have copies of these mounts. What is unmounted here is to go away there too, or it would live on.
    mount_change("/run", MountPropagationFlags::SHARED).context(|| "share /run among the user's programs")
}
