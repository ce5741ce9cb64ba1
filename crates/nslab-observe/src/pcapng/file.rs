//! A recording: packets of many interfaces into one file, or several that follow each other.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use super::block::{self, Direction, Interface, LinkType, Record, Section, Statistics};
use super::{Names, Output, Written};

/// So much is gathered before it is written.
const BUFFER: usize = 1 << 20;
/// What is gathered waits no longer than this for more, if it goes to a file.
const PATIENCE: Duration = Duration::from_millis(250);

/// A packet at an interface.
#[derive(Debug, Clone, Copy)]
pub struct Sighted<'a> {
    /// The namespace, by the caller's number, and the interface in it.
    pub place: (usize, u32),
    /// With what it begins.
    pub link_type: LinkType,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// How long it was.
    pub length: u32,
    /// What was captured of it, in up to three pieces.
    pub bytes: [&'a [u8]; 3],
    /// Which way it went.
    pub direction: Direction,
    /// What it has in common with other sightings of the same packet.
    pub packet_id: Option<u64>,
    /// Whether it was dropped after this; none if that is not said.
    pub is_dropped: Option<bool>,
}

/// What became of a namespace's packets since capturing began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many were lost.
    pub lost: u64,
}

/// An interface in the file that is being written.
#[derive(Debug)]
struct Known {
    number: u32,
    written: u64,
}

/// Where the bytes go.
#[derive(Debug)]
enum Target {
    /// Files by name.
    Files(Names),
    /// A pipe, into which each packet goes at once.
    Pipe,
}

/// Writes what was captured.
#[derive(Debug)]
pub struct Recorder {
    target: Target,
    output: Output,
    section: Section,
    buffer: Vec<u8>,
    sent: Instant,
    /// Of this file.
    interfaces: HashMap<(usize, u32, LinkType), Known>,
    length: u64,
    number: u32,
    began: u64,
    last: u64,
    /// By namespace: what was lost until now, and until this file began.
    totals: Vec<(Totals, Totals)>,
}

impl Recorder {
    /// Into files; the first is created at once.
    pub fn create(names: Names, section: Section, now: u64) -> io::Result<Self> {
        let file = names.create(0, seconds(now))?;
        Self::new(Target::Files(names), file, section, now)
    }

    /// Into a pipe.
    pub fn pipe(file: File, section: Section, now: u64) -> io::Result<Self> {
        Self::new(Target::Pipe, file, section, now)
    }

    fn new(target: Target, file: File, section: Section, now: u64) -> io::Result<Self> {
        let is_own = matches!(target, Target::Files(_));
        let output = Output::new(file, is_own.then_some(block::whole_blocks as fn(&[u8], usize) -> usize))?;
        let mut recorder = Self {
            target,
            output,
            section,
            buffer: Vec::new(),
            sent: Instant::now(),
            interfaces: HashMap::new(),
            length: 0,
            number: 0,
            began: now,
            last: now,
            totals: Vec::new(),
        };
        recorder.begin();
        // Whoever waits at the other end of a pipe knows then that something comes.
        recorder.send();
        Ok(recorder)
    }

    fn begin(&mut self) {
        block::section(&mut self.buffer, &self.section);
        self.length = self.buffer.len() as u64;
    }

    /// Adds a packet. `describe` tells of its interface and is asked once for each file. False if capturing is to end, as
    /// there are as many files as were wanted.
    pub fn packet(
        &mut self,
        sighted: &Sighted<'_>,
        describe: impl FnOnce() -> Interface,
    ) -> io::Result<bool> {
        if !self.make_room(sighted.time)? {
            return Ok(false);
        }
        let before = self.buffer.len();
        let key = (sighted.place.0, sighted.place.1, sighted.link_type);
        let next = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        let known = self.interfaces.entry(key).or_insert_with(|| {
            block::interface(&mut self.buffer, &Interface { link_type: sighted.link_type, ..describe() });
            Known { number: next, written: 0 }
        });
        known.written += 1;
        let record = Record {
            interface: known.number,
            time: sighted.time,
            length: sighted.length,
            bytes: sighted.bytes,
            direction: sighted.direction,
            packet_id: sighted.packet_id,
            is_dropped: sighted.is_dropped,
        };
        block::packet(&mut self.buffer, &record);
        self.last = self.last.max(sighted.time);
        self.length += (self.buffer.len() - before) as u64;
        if self.buffer.len() >= BUFFER {
            self.send();
        }
        Ok(true)
    }

    /// Begins another file if this one is full at `now`, in nanoseconds since 1970. False if there are as many as were
    /// wanted.
    pub fn make_room(&mut self, now: u64) -> io::Result<bool> {
        let Target::Files(names) = &self.target else { return Ok(true) };
        let rotation = names.rotation();
        let age = Duration::from_nanos(now.saturating_sub(self.began));
        let is_old = rotation.age.is_some_and(|most| age >= most);
        let is_large = rotation.size.is_some_and(|most| self.length >= most);
        if !is_old && !is_large {
            return Ok(true);
        }
        if rotation.ends_with(self.number) {
            return Ok(false);
        }
        // As tcpdump numbers them: by size, and from the beginning with each new time in the name.
        let number = if is_old && rotation.size.is_some() { 0 } else { self.number.wrapping_add(1) };
        let file = names.create(number, seconds(now))?;
        self.end();
        self.send();
        self.output.next(file);
        self.number = number;
        self.began = now;
        self.interfaces.clear();
        for (totals, before) in &mut self.totals {
            *before = *totals;
        }
        self.begin();
        Ok(true)
    }

    /// Takes note of what was lost in a namespace so far.
    pub fn totals(&mut self, namespace: usize, totals: Totals) {
        if self.totals.len() <= namespace {
            self.totals.resize(namespace + 1, Default::default());
        }
        self.totals[namespace].0 = totals;
    }

    /// To be called after each round of packets: sends what should not wait.
    pub fn pause(&mut self) {
        let waits = matches!(self.target, Target::Files(_)) && self.sent.elapsed() < PATIENCE;
        if !self.buffer.is_empty() && !waits {
            self.send();
        }
    }

    /// How long what was gathered may still wait; none if there is nothing.
    pub fn patience(&self) -> Option<Duration> {
        (!self.buffer.is_empty()).then(|| PATIENCE.saturating_sub(self.sent.elapsed()))
    }

    /// Whether it could not be written; [`Self::finish`] tells why.
    pub fn has_failed(&self) -> bool {
        self.output.has_failed()
    }

    /// Ends the file with what became of each interface's packets.
    pub fn finish(mut self) -> io::Result<Written> {
        self.end();
        self.send();
        self.output.finish()
    }

    fn send(&mut self) {
        self.output.send(&mut self.buffer);
        self.sent = Instant::now();
    }

    /// Adds the statistics. The kernel counts what is lost for the whole namespace, so that it is told of with its first
    /// interface, and the sum over all is right.
    fn end(&mut self) {
        let mut interfaces: Vec<_> = self.interfaces.iter().collect();
        interfaces.sort_by_key(|(_, known)| known.number);
        let mut told = Vec::new();
        for (&(namespace, ..), known) in interfaces {
            let (totals, before) = self.totals.get(namespace).copied().unwrap_or_default();
            let is_first = !told.contains(&namespace);
            if is_first {
                told.push(namespace);
            }
            let lost = if is_first { totals.lost - before.lost } else { 0 };
            let comment = (lost > 0).then_some("lost packets are those of all interfaces of this namespace");
            let statistics = Statistics {
                interface: known.number,
                began: self.began,
                ended: self.last,
                received: known.written + lost,
                lost,
                written: known.written,
                comment,
            };
            block::statistics(&mut self.buffer, &statistics);
        }
    }
}

fn seconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX)
}
