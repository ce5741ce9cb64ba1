//! The first process of a node that has processes of its own.
//!
//! A PID namespace lives as long as its first process, which the kernel makes the parent of all whose own parent ends;
//! with it the kernel ends all others (`pid_namespaces(7)`). Here that is a copy of nslab that reaps and does nothing
//! else. It mounts the view's `/proc`, as that shows the processes of who mounts it. It is no descendant of who starts it,
//! and no keeper's: it lives from the making of the view to its end, with programs or without.
//!
//! Until it is [let go](Starting::let_go) it ends with who starts it, so that an interrupted `up` leaves none.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nslab_kernel::nsfile::Kind;
use nslab_kernel::{NamespaceFile, mount};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use crate::error::{Context, Error, Result};
use crate::exec::{mute, signals::Signals, spawn_first};

/// The pin of the PID namespace.
pub(super) const PROCESSES: &str = "pid";
/// The file with the pid of its first process.
const FIRST: &str = "init";
/// How long the kernel may take to end a namespace's processes. Longer only where one's parent, outside, was stopped and
/// so takes no note of its end.
const PATIENCE: Duration = Duration::from_secs(2);
/// `/proc`, which every view has.
const PROC: &str = "/proc";

/// Is the first process of a PID namespace until it is killed. For the process that is started as
/// [`Helper::Init`](crate::labs::Helper::Init).
pub fn init_main() -> Result<()> {
    if rustix::process::getpid() != Pid::INIT {
        return Err(io::Error::other("this command is nslab's own: the first process of a node"))
            .context(|| "be a node's first process");
    }
    let _ = rustix::thread::set_name(c"nslab-init");
    let action = || "talk to who started this";
    let stdin = io::stdin();
    let stream = rustix::io::fcntl_dupfd_cloexec(&stdin, 3).context(action)?;
    mute(&stdin).context(action)?;
    let mut stream = UnixStream::from(stream);
    // What its parent shall not miss is taken from a descriptor; all other signals do nothing to a first process.
    let signals = Signals::take(&[Signal::CHILD]).context(|| "take signals from a descriptor")?;
    let mounted = mount::proc(Path::new(PROC));
    let errno = mounted.as_ref().err().map_or(0, |error| error.errno().map_or(-1, Errno::raw_os_error));
    stream.write_all(&errno.to_ne_bytes()).context(action)?;
    mounted?;
    // Nothing comes if who started this has ended.
    if stream.read(&mut [0]).context(action)? == 0 {
        return Ok(());
    }
    drop(stream);
    rustix::process::chdir(c"/").context(|| "change to /")?;
    loop {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        match rustix::event::poll(&mut [PollFd::new(&signals, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => drop(signals.read()),
            Err(errno) => return Err(errno).context(|| "wait for events"),
        }
    }
}

/// A first process that has been started, and ends when this is dropped.
#[derive(Debug)]
pub(super) struct Starting {
    pid: Pid,
    stream: UnixStream,
}

impl Starting {
    /// Starts it, by a command that ends up in [`init_main`], in the namespaces of the calling thread and a new PID
    /// namespace. Its `/proc` is mounted when this returns.
    pub(super) fn new(mut command: Command) -> Result<Self> {
        let action = || "start a node's first process";
        let (mut stream, its) = UnixStream::pair().context(action)?;
        command.stdin(OwnedFd::from(its)).stdout(Stdio::null()).stderr(Stdio::null());
        let pid = spawn_first(command).context(action)?;
        let mut errno = [0; 4];
        stream.read_exact(&mut errno).context(action)?;
        match i32::from_ne_bytes(errno) {
            0 => Ok(Self { pid, stream }),
            errno => Err(io::Error::from_raw_os_error(errno)).context(|| "mount the node's /proc"),
        }
    }

    /// Pins the namespace beside the other files of a view in `directory`.
    pub(super) fn pin(&self, directory: &Path) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).context(|| format!("write {}", path.display())).map(|()| path)
        };
        let pin = write(PROCESSES, "")?;
        write(FIRST, &self.pid.to_string())?;
        Ok(of_process(self.pid)?.pin(&pin)?)
    }

    /// From here on it ends only when it is killed.
    pub(super) fn let_go(mut self) -> Result<()> {
        self.stream.write_all(b"g").context(|| "start a node's first process")
    }
}

/// The first process of a node, which was found alive, and its PID namespace.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) namespace: NamespaceFile,
    pub(crate) pid: Pid,
    handle: OwnedFd,
}

/// Which processes are those of a view.
#[derive(Debug)]
pub(crate) enum Processes {
    /// The machine's.
    Host,
    /// The node's own.
    Private(Init),
    /// They were the node's own; the first one, and so all, have ended.
    Ended,
}

impl Processes {
    /// Those of the view whose files are in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        match NamespaceFile::open(&directory.join(PROCESSES), Kind::Pid) {
            Ok(namespace) => Ok(Init::find(namespace, directory)?.map_or(Self::Ended, Self::Private)),
            Err(error) => match error.errno() {
                Some(Errno::NOENT) => Ok(Self::Host),
                // It was written, and not mounted upon or not any more.
                Some(Errno::INVAL) => Ok(Self::Ended),
                _ => Err(error.into()),
            },
        }
    }
}

impl Init {
    /// Its pid may have passed to another process, but the namespace, which is pinned, cannot.
    fn find(namespace: NamespaceFile, directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(FIRST);
        let text = std::fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
        let Some(pid) = text.parse().ok().and_then(Pid::from_raw) else { return Ok(None) };
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return Ok(None) };
        let is_in = of_process(pid).and_then(|its| Ok(its.is_same(&namespace)?)).unwrap_or(false);
        let init = Self { namespace, pid, handle };
        Ok((is_in && !init.has_ended(Instant::now())?).then_some(init))
    }

    /// Waits at most until `end`.
    fn has_ended(&self, end: Instant) -> Result<bool> {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
        let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&timeout)));
        Ok(ready.context(|| "wait for a node's first process")? > 0)
    }
}

/// Ends the first processes of the views whose files are in these directories, and all processes with them.
pub(super) fn end(directories: &[PathBuf]) -> Result<()> {
    let mut ending = Vec::new();
    for directory in directories {
        if let Processes::Private(init) = Processes::open(directory)? {
            // It may have ended meanwhile, which is what is wanted.
            let _ = rustix::process::pidfd_send_signal(&init.handle, Signal::KILL);
            ending.push(init);
        }
    }
    let limit = Instant::now() + PATIENCE;
    ending.iter().try_for_each(|init| init.has_ended(limit).map(drop))
}

fn of_process(pid: Pid) -> Result<NamespaceFile> {
    Ok(NamespaceFile::open(Path::new(&format!("/proc/{pid}/ns/pid")), Kind::Pid)?)
}

/// What is said of a node whose first process has ended.
pub(crate) fn ended(node: &str) -> Error {
    Error::Machine {
        what: format!(
            "the first process of {node} was killed, and all processes of the node have ended with it"
        ),
        hint: Some("`nslab up` makes them anew".to_owned()),
    }
}
