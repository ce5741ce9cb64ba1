//! The process that keeps a user's namespaces alive.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nslab_kernel::link::SetLink;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::userns;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, FlockOperation};
use rustix::net::SocketFlags;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::namespaces::Namespaces;
use super::{mounts, runtime};
use crate::error::{Context, Error, Result};
use crate::exec::{mute, signals::Signals};
use crate::paths::Paths;
use crate::programs::socket;

/// What the holder tells who started it, by its standard output: one JSON value.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// It serves.
    Ready,
    /// This machine cannot, see [`Error::Machine`].
    Machine { what: String, hint: Option<String> },
}

/// A client asks the holder to end, if it is the last and there are no labs.
pub(super) const END: u8 = b'e';
/// The holder ends. Anything else means that it does not.
pub(super) const ENDING: u8 = b'y';
const STAYING: u8 = b'n';

/// Is the holder until it is not needed any more. For the process that [`enter`](super::enter) starts, in the runtime
/// directory and with the socket as its standard input, while it has one thread.
pub fn holder_main() -> Result<()> {
    let listener = socket::take_stdin().context(|| "hold a user's namespaces")?;
    let _ = rustix::thread::set_name(c"nslab-holder");
    let files = Files::new().context(|| "look at the runtime directory")?;
    let (report, served) = match prepare() {
        Ok(namespaces) => (Report::Ready, Ok(namespaces)),
        Err(error) => (report(&error), Err(error)),
    };
    let signals = Signals::take(&[Signal::TERM, Signal::HUP, Signal::INT])
        .context(|| "take signals from a descriptor")?;
    rustix::io::ioctl_fionbio(&listener, true).context(|| "set up the holder's socket")?;
    let mut stdout = std::io::stdout();
    let line = serde_json::to_vec(&report).map_err(std::io::Error::from).context(|| "write a report")?;
    stdout.write_all(&line).and_then(|()| stdout.flush()).context(|| "report to who started this")?;
    mute(&stdout).context(|| "let go of the standard output")?;
    Holder { namespaces: served?, listener, files, signals, clients: Vec::new() }.run()
}

/// Makes the namespaces.
fn prepare() -> Result<Namespaces> {
    userns::unshare_as_root()?;
    mounts::private_run()?;
    let up = SetLink { index: 1, up: Some(true), ..SetLink::default() };
    Socket::open(Protocol::Route)?.request(&up)?;
    rustix::process::chdir("/").context(|| "change to /")?;
    Namespaces::own()
}

/// What is wrong with this machine that it refused.
fn report(error: &Error) -> Report {
    let obstacle = match error {
        Error::Kernel(error) => userns::obstacle(error),
        _ => None,
    };
    match obstacle {
        Some(obstacle) => Report::Machine {
            what: format!(
                "an ordinary user cannot have network namespaces on this machine: {}",
                obstacle.what
            ),
            hint: Some(obstacle.fix.to_owned()),
        },
        None => Report::Machine {
            what: format!("a user namespace for labs could not be set up: {error}"),
            hint: Some("run nslab as root".to_owned()),
        },
    }
}

#[derive(Debug)]
struct Holder {
    namespaces: Namespaces,
    listener: OwnedFd,
    files: Files,
    signals: Signals,
    clients: Vec<OwnedFd>,
}

impl Holder {
    fn run(mut self) -> Result<()> {
        loop {
            let mut fds =
                vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            fds.extend(self.clients.iter().map(|client| PollFd::new(client, PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno).context(|| "wait for events"),
            }
            let told = self.signals.read().contains(&Signal::TERM.as_raw());
            // Who connects from here on and gets no answer knows that this holder has ended.
            self.accept();
            if self.serve() || told {
                self.files.remove();
                for client in &self.clients {
                    say(client, ENDING);
                }
                return Ok(());
            }
        }
    }

    fn accept(&mut self) {
        while let Ok(client) =
            rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        {
            let is_ours = rustix::net::sockopt::socket_peercred(&client)
                .is_ok_and(|peer| peer.uid == rustix::process::geteuid());
            if is_ours && self.namespaces.send(&client).is_ok() {
                self.clients.push(client);
            }
        }
    }

    /// Listens to the clients; says whether to end.
    fn serve(&mut self) -> bool {
        let mut asking = Vec::new();
        let mut one_left = false;
        self.clients.retain(|client| {
            let mut byte = [0];
            match rustix::io::read(client, &mut byte) {
                Ok(1) if byte[0] == END => {
                    // A second descriptor, to answer by when it is known who else is there.
                    asking.extend(rustix::io::fcntl_dupfd_cloexec(client, 3));
                    true
                }
                Ok(1) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
                _ => {
                    one_left = true;
                    false
                }
            }
        });
        let idle = self.clients.len() == asking.len() && (one_left || !asking.is_empty());
        if idle && is_without_labs() {
            return true;
        }
        for client in asking {
            say(&client, STAYING);
        }
        false
    }
}

/// A list that cannot be read is no proof that there are no labs.
fn is_without_labs() -> bool {
    Paths::default().labs().is_ok_and(|labs| labs.is_empty())
}

fn say(client: impl AsFd, word: u8) {
    // Who does not listen any more need not know.
    let _ = rustix::net::send(client, &[word], rustix::net::SendFlags::NOSIGNAL);
}

/// What the holder has in the file system.
#[derive(Debug)]
struct Files {
    /// The runtime directory, the one that it is in, and its name there.
    directory: OwnedFd,
    parent: OwnedFd,
    name: std::ffi::OsString,
    /// The socket's device and inode.
    socket: (u64, u64),
}

impl Files {
    /// Those in the working directory.
    fn new() -> std::io::Result<Self> {
        let path = std::env::current_dir()?;
        let directory = runtime::open(Path::new("."))?;
        let socket = Self::socket(&directory)?;
        Ok(Self {
            directory,
            parent: runtime::open(Path::new(".."))?,
            name: path.file_name().unwrap_or_default().to_owned(),
            socket,
        })
    }

    fn socket(directory: &OwnedFd) -> std::io::Result<(u64, u64)> {
        let stat = rustix::fs::statat(directory, runtime::SOCKET, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Takes them away. Until this process ends, its socket still takes connections, which then end unanswered.
    fn remove(&self) {
        if Self::socket(&self.directory).ok() == Some(self.socket) {
            let _ = rustix::fs::unlinkat(&self.directory, runtime::SOCKET, AtFlags::empty());
        }
        // Not if somebody has it locked, who is about to start the next holder.
        if runtime::lock(&self.directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(&self.parent, self.name.as_os_str(), AtFlags::REMOVEDIR);
        }
    }
}
