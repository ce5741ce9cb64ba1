//! Logs as they grow.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;

use super::{Keeper, Log};
use crate::error::{Context, Result};
use crate::paths::LabPaths;

/// What a log gained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which log, by its place among those that are followed.
    pub log: usize,
    /// Whole lines; at the end perhaps one that is not ended.
    pub text: Vec<u8>,
}

/// Follows logs until none of their programs runs: an iterator that waits.
#[derive(Debug)]
pub struct Follow {
    sources: Vec<Source>,
    changes: OwnedFd,
    /// Becomes readable when no program runs, or the keeper is gone; none if that has been so.
    running: Option<UnixStream>,
    /// The next source to look at; past the last one it is time to wait.
    next: usize,
    /// Nothing more is written, so that what is not a whole line goes out too.
    ended: bool,
}

#[derive(Debug)]
struct Source {
    log: Log,
    file: File,
    rest: Vec<u8>,
}

impl Follow {
    /// Follows these logs, from the last `tail` lines of each on, or from the beginning.
    pub fn new(paths: &LabPaths, logs: Vec<Log>, tail: Option<usize>) -> Result<Self> {
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .context(|| "watch files (inotify)")?;
        for log in &logs {
            inotify::add_watch(&changes, &log.path, inotify::WatchFlags::MODIFY)
                .context(|| format!("watch {}", log.path.display()))?;
        }
        let programs = logs.iter().map(|log| (log.node.clone(), log.program.clone())).collect();
        let running = Keeper::connect(paths)?.map(|keeper| keeper.watch(programs)).transpose()?;
        let sources = logs
            .into_iter()
            .map(|log| {
                let file = match tail {
                    Some(count) => log.open_at_last(count)?,
                    None => File::open(&log.path).context(|| format!("read {}", log.path.display()))?,
                };
                Ok(Source { log, file, rest: Vec::new() })
            })
            .collect::<Result<Vec<_>>>()?;
        let ended = running.is_none();
        Ok(Self { sources, changes, running, next: 0, ended })
    }

    /// What the source has that was not given out yet.
    fn read(&mut self, index: usize) -> Result<Option<Chunk>> {
        let source = &mut self.sources[index];
        source
            .file
            .read_to_end(&mut source.rest)
            .context(|| format!("read {}", source.log.path.display()))?;
        let whole = match source.rest.iter().rposition(|byte| *byte == b'\n') {
            _ if self.ended => source.rest.len(),
            Some(newline) => newline + 1,
            None => 0,
        };
        let rest = source.rest.split_off(whole);
        let text = std::mem::replace(&mut source.rest, rest);
        Ok((!text.is_empty()).then_some(Chunk { log: index, text }))
    }

    /// Waits until a log has grown or the programs have ended.
    fn wait(&mut self) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let mut fds = [PollFd::new(&self.changes, PollFlags::IN), PollFd::new(running, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno).context(|| "wait for logs"),
        }
        let ended = !fds[1].revents().is_empty();
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.changes, &mut buffer).is_ok_and(|length| length > 0) {}
        if ended {
            self.running = None;
            self.ended = true;
        }
        Ok(())
    }
}

impl Iterator for Follow {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.next < self.sources.len() {
                let index = self.next;
                self.next += 1;
                if let Some(chunk) = self.read(index).transpose() {
                    return Some(chunk);
                }
            }
            if self.ended {
                return None;
            }
            self.next = 0;
            if let Err(error) = self.wait() {
                return Some(Err(error));
            }
        }
    }
}
