//! The keeper process: one thread, one poll loop.

mod connection;
mod start;
mod stop;
mod table;
mod tree;
mod view;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitOptions};

use self::connection::{Awaited, Connection};
pub(super) use self::start::command;
use self::stop::{Scope, Stop};
use self::table::Table;
use self::view::View;
use super::message::{Reply, Request};
use super::{GRACE, State, socket};
use crate::error::{Context, Result};
use crate::exec::{limits, signals::Signals};
use crate::paths::LabPaths;

/// Is a lab's keeper until it is told to end. For the process that [`Keeper::launch`](super::Keeper::launch) starts,
/// and while that has one thread.
pub fn keeper_main(paths: &LabPaths) -> Result<()> {
    let listener = socket::take_stdin().context(|| "be a lab's keeper")?;
    match prepare(paths, &listener) {
        Ok((socket, view, signals)) => {
            let (connections, stops) = (Vec::new(), Vec::new());
            let table = Table::new(paths);
            Keeper { view, listener, socket, signals, connections, table, stops, told_to_end: false }.run()
        }
        Err(error) => {
            // Whoever started it has asked a question by now, or will at once; nobody hears anything else of it.
            let problem = format!("the keeper cannot begin: {error}");
            if let Ok(stream) = rustix::net::accept_with(&listener, rustix::net::SocketFlags::CLOEXEC) {
                Connection::new(stream).reply(&Reply::Failed { problem });
            }
            Err(error)
        }
    }
}

/// What a keeper has to be before it is one.
fn prepare(paths: &LabPaths, listener: &OwnedFd) -> Result<(SocketFile, View, Signals)> {
    let socket = SocketFile::new(paths.keeper());
    let _ = rustix::thread::set_name(c"nslab-keeper");
    rustix::process::chdir(c"/").context(|| "change to /")?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context(|| "become a subreaper")?;
    limits::raise();
    let view = View::apart(paths)?;
    // A terminal's signals reach no session but its own; should they come from elsewhere, the lab's programs stay.
    let signals = Signals::take(&[Signal::CHILD, Signal::TERM, Signal::HUP, Signal::INT])
        .context(|| "take signals from a descriptor")?;
    rustix::io::ioctl_fionbio(listener, true).context(|| "set up the keeper's socket")?;
    Ok((socket, view, signals))
}

#[derive(Debug)]
struct Keeper {
    view: View,
    listener: OwnedFd,
    socket: SocketFile,
    signals: Signals,
    connections: Vec<Connection>,
    table: Table,
    /// What is being stopped.
    stops: Vec<Stop>,
    /// By a signal; a client's word is in its connection.
    told_to_end: bool,
}

impl Keeper {
    fn run(mut self) -> Result<()> {
        loop {
            self.wait()?;
            let signals = self.signals.read();
            self.reap();
            if signals.contains(&Signal::TERM.as_raw()) {
                self.told_to_end = true;
                self.stop(Scope::All, GRACE);
            }
            self.accept();
            self.serve();
            self.pursue_stops();
            self.answer_waiting();
            self.connections.retain(|connection| !connection.is_closed());
            let told = self.connections.iter().any(Connection::has_ended_keeper);
            if told || self.told_to_end && self.stops.is_empty() {
                self.socket.remove();
                for connection in &mut self.connections {
                    connection.finish();
                }
                return Ok(());
            }
        }
    }

    fn wait(&self) -> Result<()> {
        let timeout = self.stops.iter().map(Stop::next_look).min().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
        });
        let mut fds =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.connections.iter().map(Connection::poll_fd));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).context(|| "wait for events"),
        }
    }

    /// Takes note of every child that ended: programs, and what they left behind.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let state = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => State::Exited { code },
                (None, Some(signal)) => State::Killed { signal },
                (None, None) => continue,
            };
            self.table.ended(pid, state);
        }
    }

    fn accept(&mut self) {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        while let Ok(stream) = rustix::net::accept_with(&self.listener, flags) {
            self.connections.push(Connection::new(stream));
        }
    }

    fn serve(&mut self) {
        for index in 0..self.connections.len() {
            while let Some(request) = self.connections[index].next_request() {
                match request.map(|request| self.carry_out(request)) {
                    Ok(Ok(reply)) => self.connections[index].reply(&reply),
                    Ok(Err(awaited)) => self.connections[index].awaits(awaited),
                    Err(problem) => self.connections[index].reply(&Reply::Failed { problem }),
                }
            }
        }
    }

    /// Carries out a request, or says what the reply has to wait for.
    fn carry_out(&mut self, request: Request) -> Result<Reply, Awaited> {
        match request {
            Request::Start(request) => Ok(match self.table.start(&self.view, *request) {
                Ok(pid) => Reply::Started { pid },
                Err(problem) => Reply::Failed { problem },
            }),
            Request::Status => Ok(Reply::Status { programs: self.table.status() }),
            Request::Stop { node, name, grace } => {
                let program = (node, name);
                if self.table.find(&program).is_none() {
                    return Ok(Reply::Done);
                }
                self.stop(Scope::Program(program.clone()), grace);
                Err(Awaited::Stopped(Scope::Program(program)))
            }
            Request::StopAll { grace } => {
                self.stop(Scope::All, grace);
                Err(Awaited::Stopped(Scope::All))
            }
            Request::End { grace } => {
                self.stop(Scope::All, grace);
                Err(Awaited::Ended)
            }
            Request::Wait { programs } => Err(Awaited::NoneRuns(programs)),
        }
    }

    fn stop(&mut self, scope: Scope, grace: Duration) {
        self.stops.push(Stop::begin(&self.table, scope, grace));
    }

    fn pursue_stops(&mut self) {
        let Self { stops, table, .. } = self;
        stops.retain_mut(|stop| {
            let left = stop.pursue(table);
            if !left {
                table.forget(stop.scope());
            }
            left
        });
    }

    fn answer_waiting(&mut self) {
        for connection in &mut self.connections {
            let done = match connection.awaited() {
                None => continue,
                Some(Awaited::Stopped(scope)) => !self.stops.iter().any(|stop| stop.scope() == scope),
                Some(Awaited::Ended) => !self.stops.iter().any(|stop| *stop.scope() == Scope::All),
                Some(Awaited::NoneRuns(programs)) => !programs.iter().any(|program| self.table.runs(program)),
            };
            if done {
                connection.answer();
            }
        }
    }
}

/// The socket's file, to be taken away only if it is still ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: PathBuf) -> Self {
        let id = file_id(&path).ok();
        Self { path, id }
    }

    fn remove(&self) {
        if self.id.is_some() && file_id(&self.path).ok() == self.id {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}
