//! Options of sockets.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// setsockopt(2) for options that rustix does not have.
pub(crate) fn set<T>(fd: BorrowedFd<'_>, (level, option): (i32, i32), value: &T) -> Result<(), Errno> {
    #[allow(clippy::cast_possible_truncation, reason = "an option has a few bytes")]
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `value`, which is borrowed for the call. Callers pass the type
    // that the option is documented with; the pointer in a sock_fprog points to a program that outlives the call.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}
