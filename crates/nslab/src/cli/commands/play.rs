//! `nslab play`: a timeline, event after event.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nslab_lab::Interrupt;
use nslab_lab::interrupt::Caught;
use nslab_lab::labs::Wanted;
use nslab_topology::impairment::{Impairment, Impairments};
use nslab_topology::lab::{Action, Occurrence, schedule};
use nslab_topology::{EditError, Lab, Topology};
use serde::Serialize;

use super::{DONE, edit};
use crate::cli::args::{FileArgs, Play};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Kind};
use crate::cli::file;
use crate::cli::output::{Output, milliseconds};

/// How long a wait for the next event may go on before Ctrl-C is looked for.
const GLANCE: Duration = Duration::from_millis(20);

/// What `play --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    lab: &'a str,
    seed: u64,
    speed: f64,
    events: Vec<Played>,
    /// Ctrl-C ended it.
    interrupted: bool,
    /// Links are as they were before.
    restored: bool,
}

/// One event that happened.
#[derive(Serialize)]
struct Played {
    /// When it was to happen, from the beginning.
    planned_ms: f64,
    /// When it had happened.
    actual_ms: f64,
    action: &'static str,
    interfaces: Vec<String>,
    /// What was set, as in a lab file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: BTreeMap<&'static str, String>,
}

/// An interface as it was before anything happened to it.
#[derive(Clone, Copy)]
struct Was {
    up: bool,
    /// None for a path that was none.
    impairment: Option<Impairment>,
}

pub(super) fn run(args: &Play, output: Output) -> Result<ExitCode, CliError> {
    let from_file = match &args.what {
        Some(what) if is_file(what) => {
            let file = FileArgs { file: Some(what.into()), topo: None, set: Vec::new(), name: None };
            Some(file::load(&file, output)?.loaded.lab)
        }
        _ => None,
    };
    let context = Context::open(output)?;
    let named = from_file.as_ref().map(|lab| lab.name.value.clone()).or_else(|| args.what.clone());
    let state = context.lab(named.as_deref())?;
    let mut lab = edit::settled(&state);
    if let Some(file) = &from_file {
        lab.timeline.clone_from(&file.timeline);
        lab.seed = file.seed;
    }
    if lab.timeline.is_empty() {
        return Err(CliError::bad_input(format!("lab {} has no timeline", lab.name.value))
            .hint("write one into its file, as `timeline: [{at: 5s, set: 'red:eth0', loss: 5%}]`"));
    }
    let topology = resolved(&lab)?;
    let seed = args.seed.or(lab.seed).unwrap_or_else(chance);
    let occurrences = schedule(&lab, &topology, seed);
    rehearse(&occurrences, &topology)?;

    let mut player =
        Player { context: &context, name: topology.name.clone(), before: BTreeMap::new(), seed: None };
    // netem's own chance is made to follow from the seed as well, as far as this kernel can.
    if args.seed.is_some() && args.seed != state.topology.seed {
        player.seed = Some((state.topology.seed, args.seed));
        player.change(Interrupt::default(), |lab| {
            lab.seed = args.seed;
            Ok(())
        })?;
    }
    output.note(&format!("playing {} events on lab {}, seed {seed}", occurrences.len(), player.name));
    let caught = Caught::new();
    let began = Instant::now();
    let mut events = Vec::new();
    let mut failed = None;
    for one in &occurrences {
        let planned = one.at.div_f64(args.speed);
        while let Some(left) = planned.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            if caught.interrupt().has_come() {
                break;
            }
            std::thread::sleep(left.min(GLANCE));
        }
        if caught.interrupt().has_come() {
            break;
        }
        if let Err(error) = player.play(one, caught.interrupt()) {
            failed = Some(error);
            break;
        }
        let actual = began.elapsed();
        if !output.json {
            output.print(&line(planned, actual, one));
        }
        events.push(Played {
            planned_ms: milliseconds(planned),
            actual_ms: milliseconds(actual),
            action: one.action.key(),
            interfaces: one.interfaces.clone(),
            set: match &one.action {
                Action::Set(said) => said.entries().into_iter().collect(),
                _ => BTreeMap::new(),
            },
        });
    }
    let interrupted = caught.interrupt().has_come();
    let restored = !args.keep;
    if restored {
        player.restore()?;
    }
    drop(caught);
    if let Some(error) = failed.filter(|_| !interrupted) {
        return Err(if restored { error.detail("links are as they were before") } else { error });
    }
    if output.json {
        let report = Report { lab: &player.name, seed, speed: args.speed, events, interrupted, restored };
        output.print_json(&report);
    } else if restored {
        output.note("links are as they were before");
    }
    Ok(if interrupted { ExitCode::from(Kind::Interrupted.exit_code()) } else { DONE })
}

/// Whether a lab file is meant rather than a lab.
fn is_file(what: &str) -> bool {
    let path = std::path::Path::new(what);
    what.contains('/') || path.extension().is_some_and(|end| end == "yaml" || end == "yml") || path.is_file()
}

/// `  5.000 s  + 3.1 ms  set red:eth0: loss 5%`.
fn line(planned: Duration, actual: Duration, one: &Occurrence) -> String {
    let late = milliseconds(actual.saturating_sub(planned));
    let what = match &one.action {
        Action::Set(said) => {
            let words: Vec<String> =
                said.entries().into_iter().map(|(key, value)| format!("{key} {value}")).collect();
            format!(": {}", words.join(", "))
        }
        _ => String::new(),
    };
    let interfaces = one.interfaces.join(", ");
    format!("{:>9.3} s  +{late:.1} ms  {} {interfaces}{what}", planned.as_secs_f64(), one.action.key())
}

fn resolved(lab: &Lab) -> Result<Topology, CliError> {
    let resolved = nslab_topology::resolve(lab).map_err(|diagnostics| {
        let error = CliError::bad_input("the timeline does not fit the lab that runs");
        diagnostics.errors().fold(error, |error, one| error.detail(one.message.clone()))
    })?;
    Ok(resolved.topology)
}

/// Goes through all events before the first happens, and refuses what cannot be done.
fn rehearse(occurrences: &[Occurrence], topology: &Topology) -> Result<(), CliError> {
    let mut now: BTreeMap<String, Impairments> = BTreeMap::new();
    for (place, sent) in topology.sent() {
        now.insert(place, sent.impairment.into());
    }
    for one in occurrences {
        for interface in &one.interfaces {
            // A path begins as what its interface does to all else.
            let before = interface.split_once(" -> ").and_then(|(from, _)| now.get(from)).copied();
            let state = now.entry(interface.clone()).or_insert_with(|| before.unwrap_or_default());
            match one.action {
                Action::Set(said) => *state = said.or(*state),
                Action::Clear => *state = Impairments::default(),
                Action::Down | Action::Up => {}
            }
            if let Some(problem) = state.settled().contradiction() {
                return Err(CliError::bad_input(format!(
                    "the timeline's event {} sets {interface} to what cannot be: {problem}",
                    one.event + 1
                ))
                .detail("nothing was changed"));
            }
        }
    }
    Ok(())
}

/// A number that nobody can foresee.
fn chance() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Each of these begins with random keys of its own.
    let number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    // Short enough to be typed again.
    number % 1_000_000
}

struct Player<'a> {
    context: &'a Context,
    name: String,
    /// What was touched, as it was.
    before: BTreeMap<String, Was>,
    /// The lab's seed before and now, if it was changed.
    seed: Option<(Option<u64>, Option<u64>)>,
}

impl Player<'_> {
    /// Lets one event happen.
    fn play(&mut self, one: &Occurrence, interrupt: Interrupt) -> Result<(), CliError> {
        let state = self.context.lab(Some(&self.name))?;
        let sent = state.topology.sent();
        for place in &one.interfaces {
            let was = sent.get(place).map(|sent| Was { up: sent.up, impairment: Some(sent.impairment) });
            let was = was.unwrap_or(Was { up: true, impairment: None });
            self.before.entry(place.clone()).or_insert(was);
        }
        self.change(interrupt, |lab| {
            for interface in &one.interfaces {
                match one.action {
                    Action::Set(said) => lab.set_impairments(interface, said)?,
                    Action::Clear => lab.clear_impairments(interface)?,
                    Action::Down => lab.set_up(interface, false)?,
                    Action::Up => lab.set_up(interface, true)?,
                }
            }
            Ok(())
        })
    }

    /// Brings what was touched back to what it was.
    fn restore(&self) -> Result<(), CliError> {
        if self.before.is_empty() && self.seed.is_none() {
            return Ok(());
        }
        self.change(Interrupt::default(), |lab| {
            for (interface, was) in &self.before {
                match was.impairment {
                    Some(impairment) => lab.replace_impairments(interface, impairment.into())?,
                    None => lab.remove_path(interface)?,
                }
                if !interface.contains(" -> ") {
                    lab.set_up(interface, was.up)?;
                }
            }
            if let Some((before, _)) = self.seed {
                lab.seed = before;
            }
            Ok(())
        })
    }

    /// Changes the lab as it is now, whoever else may have changed it meanwhile.
    fn change(
        &self,
        interrupt: Interrupt,
        change: impl FnOnce(&mut Lab) -> Result<(), EditError>,
    ) -> Result<(), CliError> {
        let state = self.context.lab(Some(&self.name))?;
        let mut lab = edit::settled(&state);
        change(&mut lab).map_err(|error| CliError::bad_input(error.to_string()))?;
        let topology = resolved(&lab)?;
        let (file, directory) = (state.file.clone(), state.directory.clone());
        let wanted = Wanted { lab, topology, file, directory };
        self.context.with_labs(&|_| {}, interrupt, |labs| labs.tune(&wanted))?;
        Ok(())
    }
}
