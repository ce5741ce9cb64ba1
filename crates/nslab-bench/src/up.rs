//! Building and taking away, every candidate in turn.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::barrier::Barrier;
use crate::candidates::{self, Candidate, Places};
use crate::error::{Doing, Error, Result};
use crate::sandbox;
use crate::shape::Shape;
use crate::stats::{Samples, print_table, short};
use crate::sys;

/// What is built, by whom, how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The networks.
    pub shapes: Vec<Shape>,
    /// The candidates, by name. The first to be measured is what the others are held against.
    pub candidates: Vec<String>,
    /// How often, after one that does not count.
    pub runs: usize,
    /// A candidate sits out the rest of a shape's runs after so long, but is measured once.
    pub budget: Duration,
    /// After each build, waits so long and takes the time that the machine spends on soft interrupts in it.
    pub settle: Option<Duration>,
}

/// The figures of one candidate and one shape, in milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Its name.
    pub candidate: String,
    /// How long building took.
    pub up: Samples,
    /// How long the command that takes it away took.
    pub down_command: Samples,
    /// From the start of that command until the kernel had finished.
    pub down_complete: Samples,
    /// Time that the machine spent on soft interrupts while the network was left alone, where asked for.
    pub settle_busy: Samples,
    /// Why it was not measured.
    pub skipped: Option<String>,
}

/// The figures of one shape.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub shape: String,
    /// How many hosts or routers it has.
    pub nodes: usize,
    /// How much too long `down_complete` may be: one round of the kernel's with nothing to do.
    pub idle_milliseconds: f64,
    /// One for each candidate.
    pub figures: Vec<Figures>,
}

/// Measures all, shape by shape; `done` is called with each shape's figures.
pub fn measure(plan: &Plan, places: &Places, mut done: impl FnMut(&Outcome)) -> Result<Vec<Outcome>> {
    let mut barrier = Barrier::start()?;
    let mut outcomes = Vec::new();
    for &shape in &plan.shapes {
        let outcome = measure_shape(plan, places, shape, &mut barrier)?;
        done(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

struct Entrant {
    figures: Figures,
    candidate: Option<Box<dyn Candidate>>,
    spent: Duration,
}

fn measure_shape(plan: &Plan, places: &Places, shape: Shape, barrier: &mut Barrier) -> Result<Outcome> {
    let mut entrants = Vec::new();
    let only_floor = |name: &str| name == "nslab" || name.starts_with("floor");
    for name in &plan.candidates {
        if matches!(shape, Shape::FatTree(_)) && !only_floor(name) {
            continue;
        }
        let (candidate, skipped) = match candidates::named(name, places)? {
            Ok(candidate) => (Some(candidate), None),
            Err(reason) => (None, Some(reason)),
        };
        let figures = Figures { candidate: name.clone(), skipped, ..Figures::default() };
        entrants.push(Entrant { figures, candidate, spent: Duration::ZERO });
    }
    for run in 0..=plan.runs {
        for entrant in &mut entrants {
            let over = entrant.spent > plan.budget && entrant.figures.up.count() > 0;
            let Some(candidate) = entrant.candidate.as_mut().filter(|_| !over) else { continue };
            let start = Instant::now();
            // A slow candidate's first run counts, so as not to run it twice.
            let counts = run > 0;
            match measure_once(candidate.as_mut(), shape, plan.settle, barrier) {
                Ok(sample) if counts || start.elapsed() > plan.budget => entrant.figures.push(&sample),
                Ok(_) => {}
                Err(error @ (Error::Program { .. } | Error::Netlink { .. })) => {
                    let _ = candidate.down();
                    sandbox::purge()?;
                    entrant.figures.skipped = Some(error.to_string());
                    entrant.candidate = None;
                }
                Err(error) => return Err(error),
            }
            entrant.spent += start.elapsed();
        }
    }
    let figures = entrants.into_iter().map(|entrant| entrant.figures).collect();
    let idle_milliseconds = barrier.idle().as_secs_f64() * 1e3;
    Ok(Outcome { shape: shape.name(), nodes: shape.nodes(), idle_milliseconds, figures })
}

/// One build and its removal.
struct Sample {
    up: Duration,
    command: Duration,
    complete: Duration,
    busy: Option<Duration>,
}

impl Figures {
    fn push(&mut self, sample: &Sample) {
        self.up.push(sample.up);
        self.down_command.push(sample.command);
        self.down_complete.push(sample.complete);
        if let Some(busy) = sample.busy {
            self.settle_busy.push(busy);
        }
    }
}

fn measure_once(
    candidate: &mut dyn Candidate,
    shape: Shape,
    settle: Option<Duration>,
    barrier: &mut Barrier,
) -> Result<Sample> {
    candidate.prepare(shape)?;
    barrier.wait()?;
    let start = Instant::now();
    candidate.up(shape)?;
    let up = start.elapsed();
    let busy = settle.map(busy_during).transpose()?;
    // Sockets closed while building may still hold namespaces: wait for their RCU callbacks.
    barrier.wait()?;
    let start = Instant::now();
    candidate.down()?;
    let command = start.elapsed();
    let complete = barrier.finished()?.saturating_duration_since(start);
    Ok(Sample { up, command, complete, busy })
}

fn busy_during(wait: Duration) -> Result<Duration> {
    let busy = || sys::softirq_time().doing(|| "read /proc/stat".to_owned());
    let before = busy()?;
    std::thread::sleep(wait);
    Ok(busy()?.saturating_sub(before))
}

/// Prints one shape's table.
pub fn print(outcome: &Outcome) {
    println!("\n{} (ms: median of runs, least–greatest)", outcome.shape);
    let settled = outcome.figures.iter().any(|figures| figures.settle_busy.count() > 0);
    let base = outcome.figures.iter().find(|figures| figures.up.count() > 0);
    let mut rows = Vec::new();
    for figures in &outcome.figures {
        let mut row = vec![figures.candidate.clone()];
        if let Some(base) = base.filter(|_| figures.up.count() > 0) {
            row.push(figures.up.count().to_string());
            for (mine, theirs) in [
                (&figures.up, &base.up),
                (&figures.down_command, &base.down_command),
                (&figures.down_complete, &base.down_complete),
            ] {
                row.push(mine.display());
                row.push(format!("×{:.2}", mine.median() / theirs.median()));
            }
            if settled {
                row.push(short(figures.settle_busy.median()));
            }
        }
        rows.push(row);
    }
    let mut header =
        vec!["", "runs", "up", "", "down: command", "", "down: kernel finished", "", "softirq after up"];
    header.truncate(if settled { 9 } else { 8 });
    print_table(&header, &rows);
    println!(
        "\"kernel finished\" may be too long by {} ms, never too short",
        short(outcome.idle_milliseconds)
    );
    for figures in &outcome.figures {
        if let Some(reason) = &figures.skipped {
            println!("{} not measured: {reason}", figures.candidate);
        }
    }
}
