//! From the first packet to the last.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nslab_kernel::NamespaceId;
use nslab_lab::interrupt::Caught;
use nslab_observe::capture::{Capture, Event, Found, Options, Source, Watch};

use super::packets::Packets;
use super::program::Program;
use super::targets::{self, Anchor, Growth, Named, Naming};
use super::{failed, finish};
use crate::cli::args;
use crate::cli::context::{self, Context};
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// Signals, programs and new namespaces are looked for this often where no packets come.
const GLANCE: Duration = Duration::from_millis(50);
/// Whether namespaces are still there is asked this often.
const ROLL_CALL: Duration = Duration::from_millis(250);

/// A namespace without a name joins when it is so old.
const NAMELESS: Duration = Duration::from_secs(1);

/// Namespaces that are captured in, or were found not to be.
type Known = std::sync::Arc<std::sync::Mutex<HashSet<NamespaceId>>>;

/// A capture that is about to begin.
pub(super) struct Running<'c> {
    capture: Capture,
    anchors: Vec<Option<Anchor>>,
    known: Known,
    growth: Option<Watch>,
    /// Anchors of namespaces that may join, by their names.
    coming: std::sync::Arc<std::sync::Mutex<Vec<(String, Anchor)>>>,
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
        let (places, growth) = targets::find(args, context)?;
        let known: HashSet<NamespaceId> = places.iter().map(targets::Place::id).collect();
        let known: Known = std::sync::Arc::new(std::sync::Mutex::new(known));
        let mut naming = Naming::default();
        let named = naming.all(places);
        let (sources, anchors): (Vec<Source>, Vec<Option<Anchor>>) =
            named.into_iter().map(|Named { source, anchor }| (source, Some(anchor))).unzip();
        if sources.is_empty() {
            return Err(CliError::bad_input("there is no namespace to capture in"));
        }
        let count = sources.len();
        let capture = Capture::open(sources, options.clone()).map_err(failed)?;
        let coming = std::sync::Arc::default();
        let growth = watch(growth, std::sync::Arc::clone(&known), naming, options, count, &coming)?;
        Ok(Self { capture, anchors, known, growth, coming, output, _context: context })
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
            if self.capture.is_over() && self.growth.is_none() && !program.is_some() {
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
            let text = match event {
                Event::InterfaceGone { place, name } => {
                    format!("{}:{name} is gone", self.capture.name(place))
                }
                Event::InterfaceBack { place, name } => {
                    format!("{}:{name} is there again", self.capture.name(place))
                }
                Event::Failed { place, why } => format!("{}: {why}", self.capture.name(place)),
            };
            self.output.note(&format!("note: {text}"));
        }
    }

    /// Takes in namespaces that came.
    fn join(&mut self) {
        while let Some(found) = self.growth.as_ref().and_then(Watch::next) {
            match found {
                Found::Opened(opened) => {
                    let name = opened.name().to_owned();
                    let anchor = {
                        let mut coming =
                            self.coming.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        let at = coming.iter().position(|(known, _)| *known == name);
                        at.map(|at| coming.swap_remove(at).1)
                    };
                    match self.capture.join(*opened) {
                        Ok(_) => {
                            self.anchors.push(anchor);
                            self.output.note(&format!("note: {name} joins"));
                        }
                        Err(error) => self.output.note(&format!("note: {name} cannot join: {error}")),
                    }
                }
                Found::Failed(error) => self.output.note(&format!("note: a namespace cannot join: {error}")),
            }
        }
    }

    /// Leaves namespaces that only this capture holds: they are to go.
    fn call_roll(&mut self) -> Result<(), CliError> {
        for (place, anchor) in self.anchors.iter_mut().enumerate() {
            if anchor.as_mut().is_some_and(|anchor| !anchor.holds()) {
                if let Some(gone) = anchor.take() {
                    let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    known.remove(&gone.id());
                }
                self.output.note(&format!("note: {} is gone", self.capture.name(place)));
                self.capture.leave(place).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Looks for namespaces that come.
fn watch(
    growth: Growth,
    known: Known,
    mut naming: Naming,
    options: &Options,
    count: usize,
    coming: &std::sync::Arc<std::sync::Mutex<Vec<(String, Anchor)>>>,
) -> Result<Option<Watch>, CliError> {
    let paths = context::paths();
    let directories: Vec<PathBuf> = match &growth {
        Growth::None => return Ok(None),
        Growth::Host => vec![paths.netns.clone()],
        Growth::Lab(lab) => vec![paths.lab(lab).pin("x").parent().map(PathBuf::from).unwrap_or_default()],
    };
    let coming = std::sync::Arc::clone(coming);
    let mut nameless: HashMap<NamespaceId, Instant> = HashMap::new();
    let discover = move || {
        let found = match &growth {
            Growth::None => Ok(Vec::new()),
            Growth::Host => targets::host(&HashSet::new()),
            Growth::Lab(lab) => targets::nodes(&paths, lab),
        };
        // A node that is just being made has a file and no namespace yet: nothing is known of the others then, either.
        let Ok(mut places) = found else { return Vec::new() };
        // Numbers of namespaces that are gone may come again.
        let there: HashSet<NamespaceId> = places.iter().map(targets::Place::id).collect();
        let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|id| there.contains(id));
        nameless.retain(|id, _| there.contains(id));
        // A name comes a little after the namespace, which is a process's until then.
        places.retain(|place| {
            let mut is_old = || nameless.entry(place.id()).or_insert_with(Instant::now).elapsed() >= NAMELESS;
            (place.is_named() || is_old()) && known.insert(place.id())
        });
        let named = naming.all(places);
        let mut coming = coming.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        named
            .into_iter()
            .map(|Named { source, anchor }| {
                coming.push((source.name.clone(), anchor));
                source
            })
            .collect()
    };
    Watch::begin(&directories, options, count, discover).map(Some).map_err(failed)
}
