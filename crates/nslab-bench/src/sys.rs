//! The system calls that the standard library lacks, one function each. All `unsafe` of the crate is here.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

fn check(status: libc::c_int) -> Result<libc::c_int> {
    if status < 0 { Err(Error::last_os_error()) } else { Ok(status) }
}

fn c_string(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Moves the calling thread into new namespaces.
pub fn unshare(flags: libc::c_int) -> Result<()> {
    // SAFETY: takes no pointers; the flags used (NEWNET, NEWNS, NEWUSER, NEWPID) share no memory anew.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Moves the calling thread into a network namespace.
pub fn enter_network_namespace(namespace: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes no pointers; the descriptor is open as it is borrowed.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// mount(2).
pub fn mount(source: &Path, target: &Path, kind: &str, flags: libc::c_ulong) -> Result<()> {
    let (source, target, kind) = (c_string(source)?, c_string(target)?, CString::new(kind)?);
    // SAFETY: three NUL-terminated strings that live across the call; no data argument.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) })
        .map(drop)
}

/// Takes a mount and all that is mounted below it out of the tree.
pub fn unmount(target: &Path) -> Result<()> {
    let target = c_string(target)?;
    // SAFETY: a NUL-terminated string that lives across the call.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// A route netlink socket of the namespace that the thread is in.
pub fn netlink_socket() -> Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
    })?;
    // SAFETY: a descriptor just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends one datagram to the kernel.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    // SAFETY: the slice is readable for its length. An unconnected netlink socket sends to the kernel.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
    if sent < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Receives one datagram, cut to the buffer.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the slice is writable for its length.
    let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(got).map_err(|_| Error::last_os_error())
}

/// Lets this process open as many files as it may.
pub fn raise_file_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable and then readable for the two calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)).map(drop)
    }
}

/// Has the kernel kill this process when the thread that started it ends.
pub fn die_with_parent() -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}

/// Makes sleeps of this thread end on time instead of up to 50 µs later.
pub fn precise_sleeps() -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) }).map(drop)
}

/// The effective user.
pub fn effective_user() -> (u32, u32) {
    // SAFETY: both always succeed and take nothing.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Sends SIGKILL.
pub fn kill(process: u32) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: takes no pointers. A process that is gone already is no error here.
        unsafe { libc::kill(process, libc::SIGKILL) };
    }
}

/// Sends SIGINT.
pub fn interrupt(process: u32) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: takes no pointers. A process that is gone already is no error here.
        unsafe { libc::kill(process, libc::SIGINT) };
    }
}

/// The signals that end a program from outside, and that of a child's end.
const SIGNALS: [libc::c_int; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGCHLD];

fn change_mask(how: libc::c_int) -> Result<libc::sigset_t> {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set before anything reads it; the signals are valid numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in SIGNALS {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        let set = set.assume_init();
        check(libc::sigprocmask(how, &raw const set, std::ptr::null_mut()))?;
        Ok(set)
    }
}

/// Holds back the signals that [`wait_for_signal`] waits for.
pub fn block_signals() -> Result<()> {
    change_mask(libc::SIG_BLOCK).map(drop)
}

/// The opposite of [`block_signals`].
pub fn unblock_signals() -> Result<()> {
    change_mask(libc::SIG_UNBLOCK).map(drop)
}

/// Waits until the user (or a supervisor) wants an end, or a child has ended. True: a child.
pub fn wait_for_signal() -> Result<bool> {
    let set = change_mask(libc::SIG_BLOCK)?;
    let mut signal = 0;
    // SAFETY: the set is initialised, the number writable.
    match unsafe { libc::sigwait(&raw const set, &raw mut signal) } {
        0 => Ok(signal == libc::SIGCHLD),
        error => Err(Error::from_raw_os_error(error)),
    }
}

/// Processor time that the whole machine has spent on soft interrupts, which is where packets between namespaces are
/// handled, from `/proc/stat`.
pub fn softirq_time() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/stat")?;
    // "cpu", user, nice, system, idle, iowait, irq, softirq; in hundredths of a second.
    let field = text.lines().next().unwrap_or_default().split_ascii_whitespace().nth(7);
    let ticks: u64 = field.and_then(|field| field.parse().ok()).unwrap_or(0);
    Ok(Duration::from_millis(ticks * 10))
}
