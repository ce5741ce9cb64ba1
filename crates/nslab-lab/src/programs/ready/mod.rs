//! Waiting for a program to be ready.

mod seen;
mod sockets;
mod started;
mod trial;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_topology::model::{Program, Ready};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};

use self::sockets::Sockets;
use super::{Keeper, Log, ProgramStatus, State};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::paths::LabPaths;

/// How often to look: soon at first, as most programs are quick, then less and less often.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How many lines of its log are shown of a program that failed.
const LOG_LINES: usize = 10;

/// Waits until the program is ready. `directory` is the one that it runs in.
pub(super) fn wait(
    keeper: &mut Keeper,
    paths: &LabPaths,
    node: &str,
    program: &Program,
    directory: &Path,
    interrupt: Interrupt,
) -> Result<()> {
    let failed = |problem: String| Error::Program {
        node: node.to_owned(),
        program: program.name.clone(),
        problem,
        log: last_lines(paths, node, &program.name),
    };
    let status = find(keeper, node, program)?.ok_or_else(|| failed("it was not started".to_owned()))?;
    let mut sign = Sign::of(program, paths, node, directory, &status)?;
    let mut end = EndOf::new(keeper, node, program, &status)?;
    let limit = program.timeout;
    let deadline = Instant::now() + limit;
    let mut pause = if program.ready.is_some() { FIRST_PAUSE } else { FIRST_PAUSE / 8 };
    loop {
        if interrupt.has_come() {
            return Err(Error::Interrupted { left: Vec::new() });
        }
        // In this order: a port may be another program's, and ours have failed because of it.
        if end.has_come()
            && let Some(status) = find(keeper, node, program)?
            && status.state != State::Running
        {
            let succeeded = status.state == State::Exited { code: 0 };
            // A command that has done its work is fine; if there is a sign, the work includes that.
            let enough = matches!(program.ready, None | Some(Ready::Exit));
            if succeeded && (enough || sign.is_seen(deadline)?) {
                return Ok(());
            }
            if !succeeded || status.left_behind == 0 {
                let ended = ended(program, status.state);
                return Err(failed(match program.ready {
                    None | Some(Ready::Exit) => ended,
                    Some(_) => format!("{ended} before it was ready: {}", sign.lacking()),
                }));
            }
            // It went into the background, and may yet become ready there.
            end = EndOf::Unknown;
        } else if sign.is_seen(deadline)? {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(format!("was not ready within {limit:?}: {}", sign.lacking())));
        }
        end.wait(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What shows that a program is ready, set up so that looking is cheap.
enum Sign<'a> {
    Port(Sockets, &'a Ready),
    File(seen::Seen),
    Command(trial::Trial<'a>),
    /// Its end, which the waiting itself sees.
    Exit,
    /// Nothing was said, so having started is enough: the program was executed, or the shell got to its command.
    Started(Option<started::Text>),
}

impl<'a> Sign<'a> {
    fn of(
        program: &'a Program,
        paths: &'a LabPaths,
        node: &'a str,
        directory: &'a Path,
        status: &ProgramStatus,
    ) -> Result<Self> {
        Ok(match &program.ready {
            Some(ready @ (Ready::Tcp(port) | Ready::Udp(port))) => {
                let namespace = Namespace::open(&paths.pin(node))?;
                Self::Port(Sockets::open(&namespace, matches!(ready, Ready::Tcp(_)), *port)?, ready)
            }
            Some(Ready::File(path)) => Self::File(seen::Seen::new(paths, node, directory.join(path))?),
            Some(Ready::Command(words)) => {
                Self::Command(trial::Trial { paths, node, directory, program, words })
            }
            Some(Ready::Exit) => Self::Exit,
            None if program.command.len() == 1 => Self::Started(pid_of(status).map(started::Text::new)),
            None => Self::Started(None),
        })
    }

    /// Looks once.
    fn is_seen(&mut self, deadline: Instant) -> Result<bool> {
        Ok(match self {
            Self::Port(sockets, _) => sockets.is_there()?,
            Self::File(file) => file.is_there(),
            Self::Command(trial) => trial.succeeds(deadline)?,
            Self::Exit => false,
            Self::Started(text) => text.as_ref().is_none_or(started::Text::has_started),
        })
    }

    /// What is not there, as a sentence's part.
    fn lacking(&self) -> String {
        match self {
            Self::Port(_, Ready::Udp(port)) => format!("no socket is bound to UDP port {port}"),
            Self::Port(_, Ready::Tcp(port)) => format!("nothing listens on TCP port {port}"),
            Self::Exit => "it has not ended".to_owned(),
            Self::Port(..) | Self::Started(_) => "the shell has not got to a command".to_owned(),
            Self::File(file) => format!("there is no {}", file.path.display()),
            Self::Command(trial) => format!("{:?} does not succeed", trial.words.join(" ")),
        }
    }
}

/// How a program ended, in words. Shells end with 127 where there is no command of the name, and with 126 where what has
/// it cannot be executed (POSIX, Shell Command Language, 2.8.2).
fn ended(program: &Program, state: State) -> String {
    let why = match state {
        State::Exited { code: 127 } => ": the shell did not find a command",
        State::Exited { code: 126 } => ": the shell could not execute a command",
        _ => "",
    };
    let why = if program.command.len() == 1 { why } else { "" };
    format!("{state}{why}")
}

/// The end of a program's process.
enum EndOf {
    /// Its descriptor becomes readable then.
    Process(OwnedFd),
    /// It has ended already, but another sign is still to come.
    Unknown,
    /// It has ended.
    Come,
}

impl EndOf {
    fn new(keeper: &mut Keeper, node: &str, program: &Program, status: &ProgramStatus) -> Result<Self> {
        let handle =
            pid_of(status).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        // The pid may have passed to another process before it was opened; not if it is the program's still.
        let now = find(keeper, node, program)?;
        let runs = now.is_some_and(|now| now.state == State::Running && now.pid == status.pid);
        Ok(match handle {
            Some(handle) if runs => Self::Process(handle),
            _ => Self::Come,
        })
    }

    fn has_come(&self) -> bool {
        match self {
            Self::Process(handle) => wait_for(handle, Duration::ZERO),
            Self::Come => true,
            Self::Unknown => false,
        }
    }

    /// Waits until it comes, at most that long.
    fn wait(&self, limit: Duration) {
        match self {
            // Readable already means that the keeper has yet to take note, which it does at once.
            Self::Process(handle) if !self.has_come() => drop(wait_for(handle, limit)),
            _ => std::thread::sleep(limit.min(FIRST_PAUSE)),
        }
    }
}

/// Waits until the process has ended; says whether it has.
fn wait_for(handle: &OwnedFd, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).ok();
    poll(&mut [PollFd::new(handle, PollFlags::IN)], timeout.as_ref()).is_ok_and(|ready| ready > 0)
}

fn pid_of(status: &ProgramStatus) -> Option<Pid> {
    (status.state == State::Running).then(|| Pid::from_raw(status.pid.cast_signed())).flatten()
}

fn find(keeper: &mut Keeper, node: &str, program: &Program) -> Result<Option<ProgramStatus>> {
    Ok(keeper.status()?.into_iter().find(|status| status.node == node && status.name == program.name))
}

fn last_lines(paths: &LabPaths, node: &str, program: &str) -> Vec<String> {
    let log = Log { node: node.to_owned(), program: program.to_owned(), path: paths.log(node, program) };
    let text = log.last(LOG_LINES).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}
