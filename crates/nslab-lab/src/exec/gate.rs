//! A program that is started now and begins later.

use std::ffi::OsStr;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Child, Command};

use rustix::io::{FdFlags, fcntl_setfd};

/// A process that waits to become a program. If it is dropped, it never does.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    gate: PipeWriter,
}

impl Waiting {
    /// Starts `command`, to which the number of a descriptor is added and then `program`; it is to call [`pass`]. What the
    /// calling process does to itself afterwards (namespaces that it enters) does not change what the program finds.
    pub fn start<S: AsRef<OsStr>>(mut command: Command, program: &[S]) -> io::Result<Self> {
        let (reader, gate) = io::pipe()?;
        fcntl_setfd(&reader, FdFlags::empty())?;
        command.arg(reader.as_raw_fd().to_string()).arg("--").args(program);
        Ok(Self { child: command.spawn()?, gate })
    }

    /// Lets it begin.
    pub fn begin(mut self) -> io::Result<Child> {
        self.gate.write_all(b"!")?;
        Ok(self.child)
    }

    /// Ends it.
    pub fn give_up(mut self) -> io::Result<()> {
        drop(self.gate);
        self.child.wait().map(drop)
    }
}

/// Waits in the process that [`Waiting::start`] started; false if it is to end.
pub fn pass(descriptor: RawFd) -> bool {
    if descriptor <= 2 {
        return false;
    }
    // SAFETY: the number is the one that `start` handed down for this, and nothing else in this process knows it. Were it
    // another's, or nobody's, closing it at the end would be the worst that happens to a process with nothing open.
    let gate = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let mut byte = [0];
    matches!(io::PipeReader::from(gate).read(&mut byte), Ok(1))
}
