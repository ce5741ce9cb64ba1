//! One client of the keeper.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};

use super::stop::Scope;
use crate::programs::message::{Reply, Request};

/// What a reply waits for.
#[derive(Debug)]
pub(super) enum Awaited {
    /// Nothing of it runs any more.
    Stopped(Scope),
    /// As with all stopped; the keeper ends then.
    Ended,
    /// None of these runs.
    NoneRuns(Vec<(String, String)>),
}

/// More than any request needs: a client that sends this much without a newline is none.
const LONGEST: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    awaited: Option<Awaited>,
    closed: bool,
    ended_keeper: bool,
}

impl Connection {
    pub(super) fn new(stream: OwnedFd) -> Self {
        Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            awaited: None,
            closed: false,
            ended_keeper: false,
        }
    }

    /// What to wait for: more of its words, or room for ours.
    pub(super) fn poll_fd(&self) -> PollFd<'_> {
        let mut flags = PollFlags::IN;
        if !self.output.is_empty() {
            flags |= PollFlags::OUT;
        }
        PollFd::new(&self.stream, flags)
    }

    /// The next request, unless the reply to the last one is still to come.
    pub(super) fn next_request(&mut self) -> Option<Result<Request, String>> {
        self.flush();
        self.read();
        if self.awaited.is_some() {
            return None;
        }
        let newline = self.input.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.input.drain(..=newline).collect();
        Some(serde_json::from_slice(&line).map_err(|error| format!("the request is not understood: {error}")))
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        match serde_json::to_vec(reply) {
            Ok(line) => {
                self.output.extend(line);
                self.output.push(b'\n');
                self.flush();
            }
            Err(_) => self.closed = true,
        }
    }

    pub(super) fn awaits(&mut self, awaited: Awaited) {
        self.awaited = Some(awaited);
    }

    pub(super) fn awaited(&self) -> Option<&Awaited> {
        self.awaited.as_ref()
    }

    /// What was waited for has come.
    pub(super) fn answer(&mut self) {
        match self.awaited.take() {
            // Answered when the socket is gone.
            Some(Awaited::Ended) => self.ended_keeper = true,
            Some(_) => self.reply(&Reply::Done),
            None => {}
        }
    }

    pub(super) fn has_ended_keeper(&self) -> bool {
        self.ended_keeper
    }

    /// The last words before the keeper ends.
    pub(super) fn finish(&mut self) {
        if self.ended_keeper || self.awaited.is_some() {
            self.reply(&Reply::Done);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while !self.closed {
            match rustix::io::read(&self.stream, &mut buffer) {
                Ok(length @ 1..) if self.input.len() < LONGEST => {
                    self.input.extend_from_slice(&buffer[..length]);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Ok(_) | Err(_) => self.closed = true,
            }
        }
    }

    fn flush(&mut self) {
        while !self.output.is_empty() {
            match rustix::net::send(&self.stream, &self.output, rustix::net::SendFlags::NOSIGNAL) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }
}
