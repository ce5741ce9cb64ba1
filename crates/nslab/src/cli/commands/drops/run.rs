//! From the first drop to the last.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nslab_lab::interrupt::Caught;
use nslab_tracepoints::{Record, Tracepoints};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::host::{Causes, Host};
use super::tell::{Drops, Next};
use super::{json, unavailable};
use crate::cli::commands::capture::program::Program;
use crate::cli::commands::capture::targets::{self, Anchor, Place};
use crate::cli::context;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;

/// Signals and programs are looked for this often where nothing is dropped.
const GLANCE: Duration = Duration::from_millis(50);
/// Whether namespaces are still there, and whether new ones came, is asked this often.
const ROLL_CALL: Duration = Duration::from_millis(250);
/// So many drops wait here; others wait in the kernel.
const MOST: usize = 1 << 16;

/// Where is watched.
pub(super) enum Where {
    /// Everywhere.
    Machine,
    /// In namespaces by their numbers, and those of a lab that come.
    Namespaces { anchors: HashMap<u32, Anchor>, lab: Option<String> },
}

pub(super) struct Running<'a> {
    pub(super) points: Tracepoints,
    pub(super) drops: Drops<'a>,
    pub(super) place: Where,
    pub(super) output: Output,
    pub(super) queue: VecDeque<Record>,
    /// The host is not looked at any more.
    pub(super) is_last: bool,
}

/// Why a round ends.
enum End {
    /// The host is to be looked at anew.
    Renew,
    /// All is told that is wanted.
    Over,
}

impl Running<'_> {
    /// Takes in a namespace that is meant.
    pub(super) fn watch(&mut self, place: Place) -> Result<(), CliError> {
        let Where::Namespaces { anchors, .. } = &mut self.place else { return Ok(()) };
        let Ok(number) = u32::try_from(place.id().inode) else { return Ok(()) };
        let (anchor, interfaces) = place.release();
        self.points.watch(number).map_err(|error| unavailable(&error))?;
        self.drops.interfaces.insert(number, interfaces);
        anchors.insert(number, anchor);
        Ok(())
    }

    pub(super) fn run(mut self, program: Program) -> Result<ExitCode, CliError> {
        let caught = Caught::new();
        let host = Host::take();
        let mut host = match host {
            Ok(host) => host,
            Err(error) => {
                program.give_up();
                return Err(error);
            }
        };
        let count = match &self.place {
            Where::Machine => host.len(),
            Where::Namespaces { anchors, .. } => anchors.len(),
        };
        let s = if count == 1 { "" } else { "s" };
        self.output.note(&format!("ready: watching {count} namespace{s}"));
        let mut program = program.begin()?;
        let outcome = loop {
            match self.round(&host, &mut program, &caught) {
                Ok(End::Renew) => match Host::take() {
                    Ok(new) => host = new,
                    Err(error) => break Err(error),
                },
                Ok(End::Over) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        program.interrupt();
        let status = program.end();
        let lost = self.points.lost();
        let summary = &self.drops.summary;
        if self.output.json {
            self.drops.text.push_str(&json::summary(summary, lost));
            self.write();
        } else {
            let text = summary.text(lost, self.drops.args().all);
            Output { quiet: self.output.quiet && lost == 0, ..self.output }.note(&text);
        }
        outcome?;
        Ok(status.unwrap_or(ExitCode::SUCCESS))
    }

    /// Tells drops as long as what is known of the host is good enough.
    fn round(&mut self, host: &Host, program: &mut Program, caught: &Caught) -> Result<End, CliError> {
        let mut causes = Causes::of(host);
        let wait = if program.is_some() { GLANCE / 5 } else { GLANCE };
        let mut called = Instant::now();
        let mut renew = false;
        loop {
            let over = caught.interrupt().has_come() || program.is_over();
            self.fill();
            while let Some(record) = self.queue.pop_front() {
                // In the end it is looked at once more, and then what is known has to do.
                let may_renew = !self.is_last;
                match self.drops.take(&record, (host, &mut causes), &self.points, may_renew) {
                    Next::Done => {}
                    Next::Enough => {
                        self.write();
                        return Ok(End::Over);
                    }
                    Next::Renew => {
                        self.queue.push_front(record);
                        renew = true;
                        break;
                    }
                }
            }
            if !self.write() {
                return Ok(End::Over);
            }
            if renew && (over || host.may_go()) {
                self.is_last = over;
                return Ok(End::Renew);
            }
            if over {
                return Ok(End::Over);
            }
            if called.elapsed() >= ROLL_CALL {
                called = Instant::now();
                if !self.call_roll()? && !program.is_some() {
                    self.output.note("nothing is left to watch");
                    return Ok(End::Over);
                }
            }
            if renew {
                // What comes meanwhile waits; it is a matter of a moment.
                std::thread::sleep(GLANCE / 10);
            } else {
                self.wait(wait)?;
            }
        }
    }

    /// Takes over what the kernel has.
    fn fill(&mut self) {
        let queue = &mut self.queue;
        if queue.len() >= MOST {
            return;
        }
        self.points.for_each(|event| {
            queue.push_back(event.record());
            if queue.len() < MOST { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    }

    fn wait(&self, limit: Duration) -> Result<(), CliError> {
        let limit = Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.points, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(CliError::new(Kind::Machine, format!("cannot wait for drops: {error}"))),
        }
    }

    /// Writes what there is; false if nobody reads it any more.
    fn write(&mut self) -> bool {
        let text = std::mem::take(&mut self.drops.text);
        if text.is_empty() {
            return true;
        }
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
    }

    /// Leaves namespaces that are gone, whose numbers others may get, and takes in those that came; false if none is left.
    fn call_roll(&mut self) -> Result<bool, CliError> {
        let Where::Namespaces { anchors, lab } = &mut self.place else { return Ok(true) };
        for number in targets::gone(anchors.iter_mut().map(|(number, anchor)| (*number, anchor))) {
            anchors.remove(&number);
            self.points.unwatch(number);
        }
        let mut came = Vec::new();
        if let Some(lab) = lab
            && let Ok(places) = targets::nodes(&context::paths(), lab)
        {
            came = places;
            came.retain(|place| u32::try_from(place.id().inode).is_ok_and(|one| !anchors.contains_key(&one)));
        }
        for place in came {
            self.watch(place)?;
        }
        let Where::Namespaces { anchors, lab } = &self.place else { return Ok(true) };
        Ok(!anchors.is_empty() || lab.is_some())
    }
}
