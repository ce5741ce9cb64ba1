//! From the first packet to the last.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nslab_lab::interrupt::Caught;
use nslab_observe::capture::{Capture, Options, Source};

use super::growth::{self, Came, Coming};
use super::packets::Packets;
use super::program::Program;
use super::targets::{self, Anchor, Named, Naming};
use super::{failed, finish};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// Signals, programs and new namespaces are looked for this often where no packets come.
const GLANCE: Duration = Duration::from_millis(50);
/// Whether namespaces are still there is asked this often.
const ROLL_CALL: Duration = Duration::from_millis(250);

/// A capture that is about to begin.
pub(super) struct Running<'c> {
    capture: Capture,
    anchors: Vec<Option<Anchor>>,
    coming: Option<Coming>,
    output: Output,
    _context: &'c Context,
}

impl<'c> Running<'c> {
    pub(super) fn prepare(
        args: &args::Capture,
        options: &Options,
        context: &'c Context,
        output: Output,
    ) -> Result<Self, CliError> {
        // Three descriptors for each namespace.
        nslab_lab::exec::limits::raise();
        let (places, growth) = targets::find(args.all, &args.targets, args.lab.as_deref(), context)?;
        let known = places.iter().map(targets::Place::id).collect();
        let mut naming = Naming::default();
        let named = naming.all(places);
        let (sources, anchors): (Vec<Source>, Vec<Option<Anchor>>) =
            named.into_iter().map(|Named { source, anchor }| (source, Some(anchor))).unzip();
        if sources.is_empty() {
            return Err(CliError::bad_input("there is no namespace to capture in"));
        }
        let count = sources.len();
        let capture = Capture::open(sources, options.clone()).map_err(failed)?;
        let coming = Coming::begin(growth, known, naming, options, count)?;
        Ok(Self { capture, anchors, coming, output, _context: context })
    }

    pub(super) fn run(mut self, mut packets: Packets<'_>, program: Program) -> Result<ExitCode, CliError> {
        packets.know(&self.capture);
        let caught = Caught::new();
        self.capture.start().map_err(failed)?;
        self.tell_ready(&packets);
        let mut program = program.begin()?;
        let outcome = self.work(&mut packets, &mut program, &caught);
        // What passed until now is still in the kernel's hands.
        let rest = match outcome {
            Ok(true) => self.capture.finish(&mut |sighting| packets.take(sighting)).map_err(failed).map(drop),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        program.interrupt();
        let status = program.end();
        let count = packets.count;
        self.capture.count();
        let counts = self.capture.counts().to_vec();
        let written = packets.finish(&mut self.capture);
        finish::tell(&self.capture, count, &counts, self.output);
        rest?;
        written?;
        Ok(status.unwrap_or(ExitCode::SUCCESS))
    }

    /// Until something ends it; false if no further packets are wanted.
    fn work(
        &mut self,
        packets: &mut Packets<'_>,
        program: &mut Program,
        caught: &Caught,
    ) -> Result<bool, CliError> {
        let wait = if program.is_some() { GLANCE / 5 } else { GLANCE };
        let mut called = Instant::now();
        loop {
            let over = self.capture.turn(wait, &mut |sighting| packets.take(sighting)).map_err(failed)?;
            if !packets.pause(&mut self.capture, false) || over {
                return Ok(false);
            }
            self.tell_events();
            self.join();
            packets.know(&self.capture);
            if called.elapsed() >= ROLL_CALL {
                called = Instant::now();
                self.call_roll()?;
            }
            if caught.interrupt().has_come() || program.is_over() {
                return Ok(true);
            }
            if self.capture.is_over() && self.coming.is_none() && !program.is_some() {
                self.output.note("nothing is left to capture");
                return Ok(true);
            }
        }
    }

    fn tell_ready(&self, _packets: &Packets<'_>) {
        let count = self.capture.len();
        let mut names: Vec<&str> = (0..count.min(6)).map(|place| self.capture.name(place)).collect();
        if count > names.len() {
            names.push("…");
        }
        let s = if count == 1 { "" } else { "s" };
        self.output.note(&format!("ready: capturing in {count} namespace{s} ({})", names.join(", ")));
    }

    fn tell_events(&mut self) {
        for event in self.capture.events() {
            let text = growth::words(event, |place| self.capture.name(place).to_owned());
            self.output.note(&format!("note: {text}"));
        }
    }

    /// Takes in namespaces that came.
    fn join(&mut self) {
        while let Some(came) = self.coming.as_ref().and_then(Coming::next) {
            match came {
                Ok(Came { opened, anchor, .. }) => {
                    let (name, id) = (opened.name().to_owned(), anchor.as_ref().map(Anchor::id));
                    match self.capture.join(*opened) {
                        Ok(_) => {
                            self.anchors.push(anchor);
                            self.output.note(&format!("note: {name} joins"));
                        }
                        Err(error) => {
                            if let (Some(coming), Some(id)) = (&self.coming, id) {
                                coming.forget(id);
                            }
                            self.output.note(&format!("note: {name} cannot join: {error}"));
                        }
                    }
                }
                Err(error) => self.output.note(&format!("note: a namespace cannot join: {error}")),
            }
        }
    }

    /// Leaves namespaces that only this capture holds: they are to go.
    fn call_roll(&mut self) -> Result<(), CliError> {
        let anchors = self.anchors.iter_mut().enumerate();
        for place in targets::gone(anchors.filter_map(|(place, anchor)| Some((place, anchor.as_mut()?)))) {
            if let (Some(gone), Some(coming)) = (self.anchors[place].take(), &self.coming) {
                coming.forget(gone.id());
            }
            self.output.note(&format!("note: {} is gone", self.capture.name(place)));
            self.capture.leave(place).map_err(failed)?;
        }
        Ok(())
    }
}
