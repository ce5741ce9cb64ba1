//! Signals, as something to wait for among other things.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Signal;

/// Signals that come out of a descriptor (signalfd(2)) and interrupt nothing.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: OwnedFd,
    before: Mask,
}

/// Which signals are blocked.
#[derive(Clone, Copy)]
pub(crate) struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Blocks these in the calling thread, and no others. Makes a system call only.
    pub(crate) fn set(&self) -> io::Result<()> {
        // SAFETY: the set is only read.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Signals {
    /// Takes these signals from now on. They are blocked in the calling thread, so call it while that is the only one.
    pub(crate) fn take(signals: &[Signal]) -> io::Result<Self> {
        // SAFETY: `set` is made by sigemptyset before anything reads it, and both calls only read it; `before` is written.
        let (fd, before) = unsafe {
            let mut before = std::mem::zeroed::<libc::sigset_t>();
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, signal.as_raw());
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before) != 0 {
                return Err(io::Error::last_os_error());
            }
            (libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK), Mask(before))
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd just made it, and nobody else knows of it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, before })
    }

    /// What was blocked before.
    pub(crate) fn before(&self) -> Mask {
        self.before
    }

    /// Takes what has come; several of one kind may have become one.
    pub(crate) fn read(&self) -> Vec<i32> {
        self.read_with_origin().into_iter().map(|(signal, _)| signal).collect()
    }

    /// As [`Signals::read`], each with whether a process sent it, and not the kernel, as for a terminal.
    pub(crate) fn read_with_origin(&self) -> Vec<(i32, bool)> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0; SIZE * 8];
        let mut came = Vec::new();
        while let Ok(length @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            for record in buffer[..length].chunks_exact(SIZE) {
                let field = |at: usize| {
                    let bytes: Option<[u8; 4]> =
                        record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                    bytes.map_or(0, i32::from_ne_bytes)
                };
                // `ssi_signo`, `ssi_errno` and `ssi_code` come first (signalfd(2)); codes of processes are not above
                // `SI_USER`, which is 0 (sigaction(2)).
                came.push((field(0), field(8) <= 0));
            }
        }
        came
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives every signal its default action and blocks none. Makes system calls only, so that it can be used after fork.
pub(crate) fn reset_all() {
    for signal in 1..=64 {
        // SAFETY: the default action runs no code of this program. Signals that cannot be set are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: `set` is made by sigemptyset before sigprocmask reads it.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// A signal's name and number.
pub(crate) fn name(signal: i32) -> String {
    const NAMES: [(i32, &str); 17] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    match NAMES.iter().find(|(number, _)| *number == signal) {
        Some((_, name)) => format!("{name} ({signal})"),
        None => format!("signal {signal}"),
    }
}
