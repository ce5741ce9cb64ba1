//! The client's side of a keeper.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nslab_topology::model::Program;

use super::message::{Reply, Request, Start};
use super::{ProgramStatus, ready, socket};
use crate::error::{Context, Error, Result};
use crate::exec::spawn_detached;
use crate::interrupt::Interrupt;
use crate::paths::LabPaths;

/// How often a keeper is started that ends before it answers.
const TRIES: usize = 3;
/// How much of what a keeper said is shown when it is gone.
const LAST_WORDS: usize = 1000;

/// A connection to a lab's keeper.
#[derive(Debug)]
pub struct Keeper {
    paths: LabPaths,
    stream: BufReader<UnixStream>,
}

impl Keeper {
    /// Connects to the lab's keeper, if it has one.
    pub fn connect(paths: &LabPaths) -> Result<Option<Self>> {
        let path = paths.keeper();
        let stream = socket::connect(&path).context(|| format!("connect to {}", path.display()))?;
        Ok(stream.map(|stream| Self { paths: paths.clone(), stream: BufReader::new(stream) }))
    }

    /// Connects to the lab's keeper, and starts it first if there is none. Call it while the lab is locked.
    ///
    /// `launcher` makes the command that ends up in [`keeper_main`](super::keeper_main) for this lab.
    pub fn launch(paths: &LabPaths, launcher: &dyn Fn() -> Command) -> Result<Self> {
        if let Some(mut keeper) = Self::connect(paths)? {
            match keeper.status() {
                // One that is just being killed takes connections and gives no answers.
                Err(error) if is_gone(&error) => {}
                answer => return answer.map(|_| keeper),
            }
        }
        // One that is gone before its first answer has done nothing, so another can take its place: a signal meant for a
        // whole session or everything of a user may have hit it before it was deaf to it.
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::begin(paths, launcher) {
                Err(error) if is_gone(&error) && tries < TRIES => {}
                result => return result,
            }
        }
    }

    /// Starts a keeper and hears its first answer.
    fn begin(paths: &LabPaths, launcher: &dyn Fn() -> Command) -> Result<Self> {
        let path = paths.keeper();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
        // The socket listens before the keeper runs: there is nothing to wait for, and nothing to come too early for.
        let listener = socket::listen(&path).context(|| format!("listen on {}", path.display()))?;
        let log = paths.keeper_log();
        let log = File::create(&log).context(|| format!("create {}", log.display()))?;
        let mut command = launcher();
        command.stdin(listener).stdout(Stdio::null()).stderr(log);
        if let Err(error) = spawn_detached(command) {
            let _ = std::fs::remove_file(&path);
            return Err(error).context(|| "start the process that runs the lab's programs");
        }
        let mut keeper = Self::connect(paths)?.ok_or_else(|| gone(paths, "nobody listens there any more"))?;
        keeper.status()?;
        Ok(keeper)
    }

    /// Starts a program. It has been executed when this returns; whether it is ready is another question
    /// ([`Keeper::wait_ready`]). `lab_directory` is the lab file's: a program's directory is relative to it.
    pub fn start(&mut self, node: &str, program: &Program, lab_directory: &Path) -> Result<u32> {
        let start = Start {
            node: node.to_owned(),
            name: program.name.clone(),
            command: program.command.clone(),
            env: program.env.clone(),
            // What is not UTF-8 cannot be written as JSON; nobody has missed it yet.
            inherited: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            directory: directory_of(program, lab_directory),
            directory_is_optional: program.directory.is_none(),
            user: program.user.clone(),
        };
        match self.ask(&Request::Start(Box::new(start)))? {
            Reply::Started { pid } => Ok(pid),
            Reply::Failed { problem } => Err(Error::Program {
                node: node.to_owned(),
                program: program.name.clone(),
                problem,
                log: Vec::new(),
            }),
            reply => Err(self.unexpected(&reply)),
        }
    }

    /// Waits until a program that was started is ready, or has been started for sure if it does not say what shows
    /// that it is. Fails when it ended before, and when its time is up.
    pub fn wait_ready(&mut self, node: &str, program: &Program, lab_directory: &Path) -> Result<()> {
        self.wait_ready_until(node, program, lab_directory, Interrupt::default())
    }

    /// As [`Keeper::wait_ready`], but an interrupt ends it.
    pub fn wait_ready_until(
        &mut self,
        node: &str,
        program: &Program,
        lab_directory: &Path,
        interrupt: Interrupt,
    ) -> Result<()> {
        let paths = self.paths.clone();
        ready::wait(self, &paths, node, program, &directory_of(program, lab_directory), interrupt)
    }

    /// What became of the programs, in the order they were started.
    pub fn status(&mut self) -> Result<Vec<ProgramStatus>> {
        match self.ask(&Request::Status)? {
            Reply::Status { programs } => Ok(programs),
            reply => Err(self.unexpected(&reply)),
        }
    }

    /// Stops a program and everything that it left behind, and forgets it. Nothing is left of it on return, and one
    /// that was never started is no error.
    pub fn stop(&mut self, node: &str, name: &str, grace: Duration) -> Result<()> {
        self.expect_done(&Request::Stop { node: node.to_owned(), name: name.to_owned(), grace })
    }

    /// Stops all programs, the last started first, and forgets them. They share one time of grace.
    pub fn stop_all(&mut self, grace: Duration) -> Result<()> {
        self.expect_done(&Request::StopAll { grace })
    }

    /// Stops all programs and then the keeper itself, which takes its socket away.
    pub fn end(mut self, grace: Duration) -> Result<()> {
        self.expect_done(&Request::End { grace })
    }

    /// Asks to be told when none of these programs runs; the stream becomes readable then.
    pub(super) fn watch(mut self, programs: Vec<(String, String)>) -> Result<UnixStream> {
        self.send(&Request::Wait { programs })?;
        Ok(self.stream.into_inner())
    }

    fn expect_done(&mut self, request: &Request) -> Result<()> {
        match self.ask(request)? {
            Reply::Done => Ok(()),
            reply => Err(self.unexpected(&reply)),
        }
    }

    fn send(&mut self, request: &Request) -> Result<()> {
        let mut line =
            serde_json::to_vec(request).map_err(std::io::Error::from).context(|| "write a request")?;
        line.push(b'\n');
        self.stream
            .get_mut()
            .write_all(&line)
            .context(|| format!("talk to the keeper at {}", self.paths.keeper().display()))
    }

    fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.send(request)?;
        let path = self.paths.keeper();
        let mut line = String::new();
        let length = self
            .stream
            .read_line(&mut line)
            .context(|| format!("hear from the keeper at {}", path.display()))?;
        if length == 0 {
            return Err(gone(&self.paths, "it has ended"));
        }
        serde_json::from_str(&line).map_err(|error| Error::Damaged {
            path,
            problem: format!("the keeper's answer is no JSON: {error}"),
        })
    }

    fn unexpected(&self, reply: &Reply) -> Error {
        let problem = match reply {
            Reply::Failed { problem } => problem.clone(),
            _ => "the keeper's answer is to another question".to_owned(),
        };
        Error::Damaged { path: self.paths.keeper(), problem }
    }
}

/// Where a program runs: its directory is relative to the lab file's.
fn directory_of(program: &Program, lab_directory: &Path) -> PathBuf {
    program
        .directory
        .as_ref()
        .map_or_else(|| lab_directory.to_owned(), |directory| lab_directory.join(directory))
}

/// Whether a keeper ended before it could answer.
pub(crate) fn is_gone(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), BrokenPipe | ConnectionReset | UnexpectedEof))
}

/// What is said of a keeper that is not there any more, with its last words if it had any.
fn gone(paths: &LabPaths, how: &str) -> Error {
    let words = std::fs::read(paths.keeper_log()).unwrap_or_default();
    let words = String::from_utf8_lossy(&words[words.len().saturating_sub(LAST_WORDS)..]).trim().to_owned();
    let problem = if words.is_empty() { how.to_owned() } else { format!("{how}; its last words: {words}") };
    Error::Io {
        action: format!("hear from the keeper at {}", paths.keeper().display()),
        source: std::io::Error::new(std::io::ErrorKind::UnexpectedEof, problem),
    }
}
