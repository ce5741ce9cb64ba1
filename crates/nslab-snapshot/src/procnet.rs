//! Files below `/proc/net`, of the namespace that the thread is in.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// The directory, open: each step of the path to it costs as much as a file in it.
#[derive(Debug)]
pub(crate) struct ProcNet {
    fd: OwnedFd,
}

impl ProcNet {
    /// That of the namespace that the thread is in; it stays that one's.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::openat(CWD, "/proc/thread-self/net", flags, Mode::empty())? })
    }

    /// The text of a file; none if the kernel has none of that name.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<String>> {
        let file = match rustix::fs::openat(&self.fd, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut piece))? {
                0 => break,
                length => text.extend_from_slice(&piece[..length]),
            }
        }
        String::from_utf8(text).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
