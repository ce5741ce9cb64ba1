//! `nslab bench`.

mod chart;
mod figures;
mod host;
mod network;
mod report;
mod text;
mod way;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nslab_lab::interrupt::Caught;
use nslab_load::{Ends, Load, NamespaceCost, Sample, Timing, measure, namespaces};

pub(super) use host::serve;
pub(super) use report::Report;

use super::DONE;
use crate::cli::args::{Bench, Way};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;
use host::Host;
use network::{Network, Passed};

/// What is to be measured.
struct Plan {
    ways: Vec<Way>,
    rounds: usize,
    timing: Timing,
    /// How many namespaces are made at once, and how often.
    namespaces: (usize, usize),
}

/// What was measured.
struct Results {
    /// By way and load, in the order of rounds.
    samples: BTreeMap<(Way, Load), Vec<Sample>>,
    /// What passed the interfaces of each way meanwhile, and its last rule.
    passed: BTreeMap<Way, (Vec<Passed>, Option<u64>)>,
    namespaces: NamespaceCost,
}

impl Plan {
    fn of(args: &Bench) -> Self {
        let chosen = |way: &Way| args.only.is_empty() || args.only.contains(way);
        let measured = args.seconds.unwrap_or(Duration::from_millis(if args.quick { 100 } else { 500 }));
        let measured = measured.max(Duration::from_millis(10));
        Self {
            ways: Way::ALL.into_iter().filter(chosen).collect(),
            rounds: args.rounds.map_or(if args.quick { 6 } else { 7 }, usize::from),
            timing: Timing { warm: measured / 5, measured },
            namespaces: if args.quick { (30, 3) } else { (100, 5) },
        }
    }
}

pub(super) fn run(args: &Bench, output: Output) -> Result<ExitCode, CliError> {
    let plan = Plan::of(args);
    // Both before an ordinary user's process enters namespaces of its own, where it sees other files and another loopback.
    let svg = args.svg.as_deref().map(create).transpose()?;
    let host = plan.ways.contains(&Way::Host).then(Host::start).transpose()?;
    let context = Context::open_or_create(output)?;
    let outcome = work(&plan, host, &context, output);
    context.release()?;
    let results = outcome?;
    let report = Report::of(&plan, &results);
    if let Some((mut file, path)) = svg {
        let text = nslab_view::chart(&chart::of(&report));
        file.write_all(text.as_bytes()).map_err(|error| cannot_write(&path, &error))?;
        output.note(&format!("wrote {}", path.display()));
    }
    if output.json {
        output.print_json(&report);
    } else {
        output.print(&text::of(&report, &output.style()));
    }
    Ok(DONE)
}

fn create(path: &Path) -> Result<(File, PathBuf), CliError> {
    File::create(path).map(|file| (file, path.to_owned())).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::bad_input(format!("cannot write {}: {error}", path.display()))
}

fn work(plan: &Plan, mut host: Option<Host>, context: &Context, output: Output) -> Result<Results, CliError> {
    // From here on Ctrl-C is looked for, and the lab is taken away whatever happens.
    let caught = Caught::new();
    let interrupt = caught.interrupt();
    let network = Network::build(context, &plan.ways, interrupt)?;
    let results = samples(plan, &mut host, &network, &|| interrupt.has_come(), output);
    network.end()?;
    drop(caught);
    results?.ok_or_else(|| CliError::new(Kind::Interrupted, "interrupted; nothing is left"))
}

/// All rounds. None if they were cut short.
fn samples(
    plan: &Plan,
    host: &mut Option<Host>,
    network: &Network<'_>,
    is_over: &(dyn Fn() -> bool + Sync),
    output: Output,
) -> Result<Option<Results>, CliError> {
    let mut ends: BTreeMap<Way, Ends> = BTreeMap::new();
    let mut before = BTreeMap::new();
    for &way in &plan.ways {
        ends.extend(network.ends(way)?.map(|ends| (way, ends)));
        before.insert(way, (network.passed(way)?, network.counted(way)?));
    }
    let bar = bar(plan, output);
    let mut samples: BTreeMap<(Way, Load), Vec<Sample>> = BTreeMap::new();
    for round in 0..plan.rounds {
        for load in Load::ALL {
            // Each begins once, so that none is always measured after the same other one.
            for place in 0..plan.ways.len() {
                let way = plan.ways[(place + round) % plan.ways.len()];
                bar.set_message(format!("round {} of {}: {}", round + 1, plan.rounds, way.name()));
                let sample = match (ends.get(&way), &mut *host) {
                    (Some(ends), _) => {
                        measure(ends, load, plan.timing, is_over).map_err(|error| failed(&error))?
                    }
                    (None, Some(host)) => host.measure(load, plan.timing)?,
                    (None, None) => None,
                };
                let Some(sample) = sample.filter(|_| !is_over()) else { return Ok(None) };
                samples.entry((way, load)).or_default().push(sample);
                bar.inc(1);
            }
        }
    }
    // Last, as the kernel is busy for a while with taking them away.
    bar.set_message("namespaces");
    let (each, batches) = plan.namespaces;
    let Some(cost) = namespaces(each, batches, is_over).map_err(|error| failed(&error))? else {
        return Ok(None);
    };
    bar.finish_and_clear();
    let mut passed = BTreeMap::new();
    for &way in &plan.ways {
        let (earlier, counted) = &before[&way];
        let mut now = network.passed(way)?;
        for (one, before) in now.iter_mut().zip(earlier) {
            one.packets = one.packets.saturating_sub(before.packets);
        }
        let rules = network.counted(way)?.map(|now| now.saturating_sub(counted.unwrap_or(0)));
        passed.insert(way, (now, rules));
    }
    Ok(Some(Results { samples, passed, namespaces: cost }))
}

/// A bar on a terminal.
fn bar(plan: &Plan, output: Output) -> ProgressBar {
    let visible = !output.quiet && !output.json && std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let total = plan.rounds * plan.ways.len() * Load::ALL.len();
    let bar = ProgressBar::with_draw_target(Some(total as u64), target);
    let style = ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn failed(error: &nslab_load::Error) -> CliError {
    CliError::new(Kind::Machine, error.to_string())
}
