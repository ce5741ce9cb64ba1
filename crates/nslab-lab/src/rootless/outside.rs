//! A helper process that stays in the host's network, for programs that carry a way out.
//!
//! Once a command has entered the user's namespaces it cannot go back to the host's network, which is not the user's. So
//! before it leaves that network it forks; the child is in the user's user and mount namespaces, where it sees the pins
//! and may enter them, and in the host's network, where the user's programs have sockets as ever.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

/// What is to be run outside.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// It stays in the foreground, and writes to descriptor 3 when it is ready; otherwise it is ready when it has put
    /// itself into the background.
    pub(crate) ready_on_3: bool,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// It is ready. Its process, if it stayed in the foreground.
    Ready(Option<i32>),
    /// It is not, and said this.
    Failed(String),
}

/// The helper; it ends when this is dropped.
#[derive(Debug)]
pub struct Outside {
    stream: Mutex<UnixStream>,
    child: Pid,
}

impl Outside {
    /// Forks. The process must have one thread.
    pub(super) fn fork() -> Result<Self> {
        let action = || "start a helper in the host's network";
        let (ours, theirs) = UnixStream::pair().context(action)?;
        // SAFETY: the process has one thread, so the child may do what any process may.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error()).context(action),
            0 => {
                drop(ours);
                serve(&theirs);
                // SAFETY: ends the child without running what the parent has to run at its end.
                unsafe { libc::_exit(0) }
            }
            pid => {
                let child = Pid::from_raw(pid);
                let child =
                    child.ok_or_else(|| std::io::Error::other("fork gave no process")).context(action)?;
                Ok(Self { stream: Mutex::new(ours), child })
            }
        }
    }

    /// Runs a program there and waits until it is ready. Gives its process, if it stayed in the foreground.
    pub(crate) fn run(&self, request: &Request) -> Result<Option<Pid>> {
        let action = || format!("run {} in the host's network", request.program);
        let stream = self.stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut line = serde_json::to_vec(request).map_err(std::io::Error::from).context(action)?;
        line.push(b'\n');
        (&*stream).write_all(&line).context(action)?;
        let mut answer = String::new();
        BufReader::new(&*stream).read_line(&mut answer).context(action)?;
        match serde_json::from_str(&answer).map_err(std::io::Error::from).context(action)? {
            Answer::Ready(pid) => Ok(pid.and_then(Pid::from_raw)),
            Answer::Failed(said) => Err(Error::Machine {
                what: format!("{} could not make a way out: {}", request.program, said.trim()),
                hint: None,
            }),
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let stream = self.stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        let _ = rustix::process::waitpid(Some(self.child), rustix::process::WaitOptions::empty());
    }
}

/// The child's life.
fn serve(stream: &UnixStream) {
    let _ = rustix::thread::set_name(c"nslab-outside");
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => start(&request).unwrap_or_else(|error| Answer::Failed(error.to_string())),
            Err(error) => Answer::Failed(error.to_string()),
        };
        line.clear();
        let mut text = serde_json::to_vec(&answer).unwrap_or_default();
        text.push(b'\n');
        if (&*stream).write_all(&text).is_err() {
            return;
        }
    }
}

fn start(request: &Request) -> std::io::Result<Answer> {
    let mut command = Command::new(&request.program);
    command.args(&request.arguments).stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
    let log = tempfile()?;
    command.stderr(log.try_clone()?);
    let said = |log: std::fs::File| {
        use std::io::{Read, Seek};
        let mut log = log;
        let mut text = String::new();
        let _ = log.rewind().and_then(|()| log.read_to_string(&mut text));
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Answer::Failed(last.to_owned())
    };
    if !request.ready_on_3 {
        let status = command.status()?;
        return Ok(if status.success() { Answer::Ready(None) } else { said(log) });
    }
    let (mut reader, writer) = std::io::pipe()?;
    let raw = writer.as_raw_fd();
    // SAFETY: between fork and exec system calls only. Descriptor 3 of the child is nobody's after exec but the
    // program's.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            if raw == 3 {
                return rustix::io::fcntl_setfd(
                    std::os::fd::BorrowedFd::borrow_raw(3),
                    rustix::io::FdFlags::empty(),
                )
                .map_err(Into::into);
            }
            if libc::dup2(raw, 3) < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
    let mut child = command.spawn()?;
    drop(writer);
    let mut byte = [0];
    match std::io::Read::read(&mut reader, &mut byte)? {
        0 => {
            let _ = child.kill();
            let _ = child.wait();
            Ok(said(log))
        }
        _ => Ok(Answer::Ready(i32::try_from(child.id()).ok())),
    }
}

/// A file without a name.
fn tempfile() -> std::io::Result<std::fs::File> {
    let fd: OwnedFd = rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC)?;
    let raw = std::os::fd::IntoRawFd::into_raw_fd(fd);
    // SAFETY: the descriptor was just made and is handed over.
    Ok(unsafe { std::fs::File::from_raw_fd(raw) })
}
