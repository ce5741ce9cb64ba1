//! Processes that live on when nslab and its terminal are gone.

use std::fs::OpenOptions;
use std::io;
use std::io::{PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use super::{limits, signals};

/// Starts `command` in a session of its own, as no child of this process, with the signals' defaults and without
/// other descriptors than stdio.
pub(crate) fn spawn_detached(command: Command) -> io::Result<()> {
    detach(command, None)
}

/// As [`spawn_detached`], as the first process of a new PID namespace; returns the pid that it has here.
pub(crate) fn spawn_first(command: Command) -> io::Result<Pid> {
    let (mut reader, writer) = io::pipe()?;
    detach(command, Some(writer))?;
    let mut pid = [0; 4];
    reader.read_exact(&mut pid)?;
    Pid::from_raw(i32::from_ne_bytes(pid)).ok_or_else(|| io::Error::other("a process without a pid"))
}

/// With `first`, it is told the pid of the process, which is the first of a new PID namespace.
fn detach(mut command: Command, first: Option<PipeWriter>) -> io::Result<()> {
    let nofile = limits::original();
    // SAFETY: between fork and exec the closure makes system calls only. The second fork leaves one thread, as the
    // first did.
    unsafe {
        command.pre_exec(move || {
            if first.is_some() {
                rustix::thread::unshare_unsafe(UnshareFlags::NEWPID)?;
            }
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()),
                0 => {}
                pid => {
                    if let Some(first) = &first {
                        // Without it, who waits for it sees the end of the pipe.
                        let _ = rustix::io::write(first, &pid.to_ne_bytes());
                    }
                    libc::_exit(0);
                }
            }
            rustix::process::setsid()?;
            limits::set(nofile);
            signals::reset_all();
            close_at_exec()
        });
    }
    // `spawn` returns when the program has been executed, or could not be; what is waited for is the first of the two
    // processes, which has ended by then.
    command.spawn()?.wait().map(drop)
}

/// Puts `/dev/null` in the place of a standard stream.
pub(crate) fn mute(stream: &impl AsRawFd) -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: the descriptor stays open and goes on to be a standard stream, which is all that its users rely on.
    if unsafe { libc::dup2(null.as_raw_fd(), stream.as_raw_fd()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Marks everything but stdio to be closed when another program is executed. The pipe by which the standard library
/// reports a failure is so marked already.
fn close_at_exec() -> io::Result<()> {
    // SAFETY: nothing is closed now, so no descriptor that somebody owns goes away.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    let error = io::Error::last_os_error();
    // Kernels before 5.11 do not know it; what others leaked into nslab is then leaked on.
    if result == 0 || matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) {
        Ok(())
    } else {
        Err(error)
    }
}
