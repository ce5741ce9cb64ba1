//! Whether there can be a PID namespace with a `/proc` of its own here.

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;

use crate::error::{Context, Error, Result};

/// An exit status up to this one is an error number of the namespaces, one above it that of the mount plus this.
const LAST: i32 = 127;

/// Makes one in a process of its own, with which it goes away again. Fails as the making did.
pub fn try_out() -> Result<()> {
    // SAFETY: the child makes system calls only, as it must where this process has further threads, and ends by _exit.
    let child = match unsafe { libc::fork() } {
        0 => {
            let status = outer();
            // SAFETY: it ends the child and does nothing else.
            unsafe { libc::_exit(status) }
        }
        child => rustix::process::Pid::from_raw(child),
    };
    let failed = || Error::io("start a process", std::io::Error::last_os_error());
    let child = child.filter(|child| child.as_raw_nonzero().get() > 0).ok_or_else(failed)?;
    let status = rustix::io::retry_on_intr(|| {
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())
    });
    let status = status.context(|| "wait for a process")?.and_then(|(_, status)| status.exit_status());
    match status.unwrap_or(Errno::CANCELED.raw_os_error().min(LAST)) {
        0 => Ok(()),
        errno @ ..=LAST => Err(Errno::from_raw_os_error(errno)).context(|| "create a PID namespace"),
        more => Err(Errno::from_raw_os_error(more - LAST)).context(|| "mount a /proc of its own"),
    }
}

/// In a process of its own: has a second one be the first of a PID namespace.
fn outer() -> i32 {
    let number = |errno: Errno| errno.raw_os_error().min(LAST);
    // SAFETY: this process has one thread, and shares nothing that changes.
    if let Err(errno) = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWPID) }
    {
        return number(errno);
    }
    if let Err(errno) =
        rustix::mount::mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
    {
        return number(errno);
    }
    // SAFETY: as in `try_out`.
    match unsafe { libc::fork() } {
        0 => {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            let mounted = rustix::mount::mount(c"nslab", c"/proc", c"proc", flags, None);
            // SAFETY: it ends the child and does nothing else.
            unsafe { libc::_exit(mounted.err().map_or(0, number)) }
        }
        child => {
            let Some(child) = rustix::process::Pid::from_raw(child.max(0)) else {
                return number(Errno::AGAIN);
            };
            let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
            match status.ok().flatten().and_then(|(_, status)| status.exit_status()) {
                Some(0) => 0,
                Some(errno) => LAST + errno,
                None => number(Errno::CHILD),
            }
        }
    }
}
