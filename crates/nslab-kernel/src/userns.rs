//! User namespaces: how an ordinary user comes to own network namespaces.

use std::path::Path;

use rustix::thread::UnshareFlags;

use crate::error::{Context, Error, Result};

/// Moves the calling, single-threaded process into a new user namespace in which it is root, and into new mount, UTS
/// and network namespaces that belong to it. Its user and group outside are mapped to 0 inside; no other ids exist
/// there (`user_namespaces(7)`).
pub fn unshare_as_root() -> Result<()> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let all = UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWUTS;
    // SAFETY: file descriptors stay shared; what changes is what paths, hostnames and networks mean to this process.
    unsafe { rustix::thread::unshare_unsafe(all) }.context(|| "create a user namespace")?;
    let write = |file: &str, text: String| {
        std::fs::write(Path::new(file), text).context(|| format!("map ids in {file}"))
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
    write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))
}

/// What stands in the way of user namespaces on this host, as far as its settings tell: the setting, and the command
/// that would change it.
pub fn obstacle(error: &Error) -> Option<Obstacle> {
    let setting = |path: &str| std::fs::read_to_string(path).ok().map(|value| value.trim().to_owned());
    if setting("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return Some(Obstacle {
            what: "kernel.unprivileged_userns_clone is 0 (a Debian setting)",
            fix: "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        });
    }
    if setting("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        return Some(Obstacle {
            what: "user.max_user_namespaces is 0",
            fix: "sudo sysctl -w user.max_user_namespaces=65536",
        });
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return Some(Obstacle {
            what: "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu from 23.10 on)",
            fix: "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        });
    }
    match error.errno() {
        Some(rustix::io::Errno::NOSPC) => Some(Obstacle {
            what: "the limit on namespaces is reached (user.max_user_namespaces, user.max_net_namespaces)",
            fix: "sudo sysctl -w user.max_user_namespaces=65536 user.max_net_namespaces=65536",
        }),
        Some(rustix::io::Errno::INVAL) => Some(Obstacle {
            what: "this kernel has no user namespaces (CONFIG_USER_NS)",
            fix: "run nslab as root",
        }),
        Some(rustix::io::Errno::PERM) => Some(Obstacle {
            what: "this process may not make user namespaces: it is in a chroot or a container whose seccomp filter forbids it",
            fix: "run nslab as root, or the container with --security-opt seccomp=unconfined",
        }),
        _ => None,
    }
}

/// A setting that forbids user namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is, as a sentence's part.
    pub what: &'static str,
    /// What to type against it.
    pub fix: &'static str,
}
