//! The commands' side of the holder.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags};

use super::holder::{END, ENDING, Report};
use super::namespaces::Namespaces;
use super::outside::Outside;
use super::runtime::{Locked, RuntimeDir};
use crate::error::{Context, Error, Result};
use crate::exec::spawn_detached;
use crate::programs::socket;

/// The stay of this process in the user's namespaces: while it lives, the holder does not end.
#[derive(Debug)]
pub struct Entered {
    stream: UnixStream,
    /// A helper that stayed in the host's network.
    outside: Option<Outside>,
}

impl Entered {
    /// The helper that stayed in the host's network, if there is one.
    pub fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }
}

/// Moves the calling process into the user's namespaces, for good. The process must have one thread. If the user has
/// none yet they are made where `create` says so; otherwise the process stays where it is and gets `None`.
///
/// `launcher` makes the command that ends up in [`holder_main`](super::holder_main).
pub fn enter(runtime: &RuntimeDir, create: bool, launcher: &dyn Fn() -> Command) -> Result<Option<Entered>> {
    go(runtime, create, false, launcher)
}

/// As [`enter`], and makes namespaces if the user has none; a helper process stays in the host's network, for labs with
/// a way out.
pub fn enter_keeping_outside(
    runtime: &RuntimeDir,
    launcher: &dyn Fn() -> Command,
) -> Result<Option<Entered>> {
    go(runtime, true, true, launcher)
}

fn go(
    runtime: &RuntimeDir,
    create: bool,
    outside: bool,
    launcher: &dyn Fn() -> Command,
) -> Result<Option<Entered>> {
    let found = match connect(runtime)? {
        Some(found) => Some(found),
        None if create => Some(connect_or_launch(runtime, launcher)?),
        None => None,
    };
    let Some((stream, namespaces)) = found else { return Ok(None) };
    let directory = WorkingDirectory::remember();
    let mut helper = None;
    namespaces.enter(&mut || {
        if outside {
            helper = Some(Outside::fork()?);
        }
        Ok(())
    })?;
    directory.restore()?;
    Ok(Some(Entered { stream, outside: helper }))
}

/// Lets the holder end, if no lab is left and no other command is at work; it has then taken away its files. Call it
/// when the last lab has gone.
pub fn release(entered: Entered) -> Result<()> {
    let Entered { mut stream, outside } = entered;
    // It holds a copy of the connection.
    drop(outside);
    let mut answer = [0];
    let asked = stream.write_all(&[END]).and_then(|()| stream.read(&mut answer));
    match asked {
        // It ends: the connection does too when it has.
        Ok(1) if answer[0] == ENDING => {
            let _ = stream.read(&mut answer);
            Ok(())
        }
        Ok(_) => Ok(()),
        // It has ended already.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error).context(|| "talk to the holder of the user's namespaces"),
    }
}

/// Gets the namespaces from a holder that runs.
fn connect(runtime: &RuntimeDir) -> Result<Option<(UnixStream, Namespaces)>> {
    let path = runtime.socket();
    let failed = || format!("connect to {}", path.display());
    while runtime.check()? {
        let Some(stream) = socket::connect(&path).context(failed)? else { return Ok(None) };
        let peer = rustix::net::sockopt::socket_peercred(&stream).context(failed)?;
        if peer.uid != rustix::process::geteuid() {
            return Err(Error::Machine {
                what: format!(
                    "{} is served by another user's process (uid {})",
                    path.display(),
                    peer.uid.as_raw()
                ),
                hint: Some(format!("remove {}", runtime.path().display())),
            });
        }
        // One that ends without a word took its socket away before.
        if let Some(namespaces) = Namespaces::receive(&stream).context(failed)? {
            return Ok(Some((stream, namespaces)));
        }
    }
    Ok(None)
}

/// As [`connect`], but starts a holder if there is none. The lock sees to it that there is only one.
fn connect_or_launch(
    runtime: &RuntimeDir,
    launcher: &dyn Fn() -> Command,
) -> Result<(UnixStream, Namespaces)> {
    let locked = runtime.lock()?;
    if let Some(found) = connect(runtime)? {
        return Ok(found);
    }
    launch(runtime, &locked, launcher).inspect_err(|_| {
        let _ = locked.remove_socket();
        locked.remove();
    })
}

fn launch(
    runtime: &RuntimeDir,
    locked: &Locked,
    launcher: &dyn Fn() -> Command,
) -> Result<(UnixStream, Namespaces)> {
    let action = || "start the holder of the user's namespaces";
    let path = runtime.socket();
    locked.remove_socket()?;
    let listener = socket::listen(&path).context(|| format!("listen on {}", path.display()))?;
    // Connected before the holder runs: it cannot end, for want of clients, before it has seen this one.
    let stream = socket::connect(&path).context(action)?;
    let (mut reader, writer) = std::io::pipe().context(action)?;
    let mut command = launcher();
    command.current_dir(runtime.path()).stdin(listener).stdout(writer).stderr(Stdio::null());
    spawn_detached(command).context(action)?;
    let mut text = String::new();
    reader.read_to_string(&mut text).context(action)?;
    if let Ok(Report::Machine { what, hint }) = serde_json::from_str(&text) {
        return Err(Error::Machine { what, hint });
    }
    let ended = || Error::Machine {
        what: "the holder of the user's namespaces ended before it was ready".to_owned(),
        hint: None,
    };
    let stream = stream.ok_or_else(ended)?;
    let namespaces = Namespaces::receive(&stream).context(action)?.ok_or_else(ended)?;
    Ok((stream, namespaces))
}

/// The working directory, which entering a mount namespace changes to `/`.
struct WorkingDirectory {
    path: Option<PathBuf>,
    handle: Option<OwnedFd>,
}

impl WorkingDirectory {
    fn remember() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self {
            path: std::env::current_dir().ok(),
            handle: rustix::fs::openat(CWD, ".", flags, Mode::empty()).ok(),
        }
    }

    /// Goes back: by its path, so that it is in the new tree of mounts. If something else is there now, or nothing,
    /// then to the directory itself, in the old tree.
    fn restore(self) -> Result<()> {
        if let Some(path) = &self.path
            && rustix::process::chdir(path).is_ok()
            && self.handle.as_ref().is_none_or(is_here)
        {
            return Ok(());
        }
        match self.handle {
            Some(handle) => rustix::process::fchdir(&handle).context(|| "go back to the working directory"),
            // It had been deleted.
            None => Ok(()),
        }
    }
}

fn is_here(directory: &OwnedFd) -> bool {
    let id = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let here = rustix::fs::stat(".").ok().map(id);
    here.is_some() && here == rustix::fs::fstat(directory).ok().map(id)
}
