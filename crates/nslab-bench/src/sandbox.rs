//! A place where nothing can be left behind.
//!
//! The program starts itself again in new PID, mount and network namespaces, with an empty `/run`: whatever the
//! measured tools pin, write or start there ends when the inner process does, and that ends with the outer one, even
//! by `kill -9`. An ordinary user gets a user namespace as well and is root in it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::error::{Doing, Error, Result};
use crate::sys;

/// Tells the program what it was started as.
pub const ROLE_VARIABLE: &str = "NSLAB_BENCH_ROLE";

/// What the inner process is started as.
pub const ROLE: &str = "inner";

/// Where tools pin namespaces.
const PINS: &str = "/run/netns";

/// Where this program's own files are.
pub const WORK: &str = "/run/nslab-bench";

/// The outer half: starts the inner one and ends with it. Its exit status is the inner one's.
pub fn outer() -> Result<ExitCode> {
    let (user, group) = sys::effective_user();
    if user != 0 {
        sys::unshare(libc::CLONE_NEWUSER).map_err(|error| {
            Error::Usage(format!(
                "this needs root, or a user namespace in which to be root, which was refused ({error}): run it as root"
            ))
        })?;
        for (file, text) in [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("0 {user} 1")),
            ("/proc/self/gid_map", format!("0 {group} 1")),
        ] {
            std::fs::write(file, text).doing(|| format!("write {file}"))?;
        }
    }
    sys::block_signals().doing(|| "block signals".to_owned())?;
    sys::unshare(libc::CLONE_NEWPID).doing(|| "make a PID namespace".to_owned())?;
    let mut inner = Command::new("/proc/self/exe")
        .arg0("nslab-bench")
        .args(std::env::args_os().skip(1))
        .env(ROLE_VARIABLE, ROLE)
        .spawn()
        .doing(|| "start the inner process".to_owned())?;
    loop {
        let child = sys::wait_for_signal().doing(|| "wait".to_owned())?;
        if !child {
            sys::kill(inner.id());
            let _ = inner.wait();
            return Ok(ExitCode::from(130));
        }
        if let Some(status) = inner.try_wait().doing(|| "wait".to_owned())? {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
    }
}

/// The inner half makes its surroundings.
pub fn enter() -> Result<()> {
    sys::die_with_parent().doing(|| "tie this process to its parent".to_owned())?;
    sys::unblock_signals().doing(|| "unblock signals".to_owned())?;
    sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET)
        .doing(|| "make mount and network namespaces".to_owned())?;
    let nothing = Path::new("none");
    let mounts: [(&str, &str, libc::c_ulong); 3] =
        [("/", "", libc::MS_REC | libc::MS_PRIVATE), ("/proc", "proc", 0), ("/run", "tmpfs", 0)];
    for (target, kind, flags) in mounts {
        sys::mount(nothing, Path::new(target), kind, flags).doing(|| format!("mount {kind} on {target}"))?;
    }
    for directory in [PINS, WORK, "/run/lock"] {
        std::fs::create_dir(directory).doing(|| format!("make {directory}"))?;
    }
    sys::raise_file_limit().doing(|| "raise the limit of open files".to_owned())
}

/// Takes away whatever a tool that failed has left pinned.
pub fn purge() -> Result<()> {
    let failed = || format!("clear {PINS}");
    for entry in std::fs::read_dir(PINS).doing(failed)? {
        let path = entry.doing(failed)?.path();
        let _ = sys::unmount(&path);
        std::fs::remove_file(&path).doing(failed)?;
    }
    // `ip netns add` makes the directory a mount of itself.
    let _ = sys::unmount(Path::new(PINS));
    Ok(())
}
