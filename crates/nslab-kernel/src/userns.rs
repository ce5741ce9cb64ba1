//! User namespaces: how an ordinary user comes to own network namespaces.

use std::io::Read as _;
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

/// Runs `work` in a child process that is root in namespaces of its own ([`unshare_as_root`]), and returns what it gives;
/// none if there can be no such namespaces, or if this process has further threads, whose locks a child would find as
/// they were. What the child makes is gone when this returns.
pub fn in_child(work: impl FnOnce() -> Vec<u8>) -> Result<Option<Vec<u8>>> {
    let threads = std::fs::read_dir("/proc/self/task").context(|| "count threads")?.count();
    if threads != 1 {
        return Ok(None);
    }
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context(|| "make a pipe")?;
    // SAFETY: this process has one thread, so that the child finds no lock held; it ends by _exit and runs nothing of
    // what this process would run at its end.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(Error::io("start a process", std::io::Error::last_os_error()));
    }
    if child == 0 {
        drop(reader);
        let given = unshare_as_root().ok().map(|()| work());
        let sent = given
            .is_some_and(|given| std::io::Write::write_all(&mut std::fs::File::from(writer), &given).is_ok());
        // SAFETY: it ends this process, the child, and does nothing else.
        unsafe { libc::_exit(i32::from(!sent)) }
    }
    drop(writer);
    let mut given = Vec::new();
    let read = std::fs::File::from(reader).read_to_end(&mut given);
    let pid = rustix::process::Pid::from_raw(child);
    let status =
        rustix::io::retry_on_intr(|| rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()));
    read.context(|| "read from a process")?;
    let done = status.is_ok_and(|status| status.is_some_and(|(_, status)| status.exit_status() == Some(0)));
    Ok(done.then_some(given))
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
