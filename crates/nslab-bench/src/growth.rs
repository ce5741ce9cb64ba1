//! How the cost of a host grows with the number of hosts, and in which step.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::barrier::Barrier;
use crate::candidates::Places;
use crate::error::{Doing, Result};
use crate::floor::{Batch, End, Floor, Socket, Tricks};
use crate::shape::Shape;
use crate::stats::{Samples, print_table, short};
use crate::sys;
use crate::up::{self, Plan};

/// What each host costs at one size, in microseconds.
#[derive(Debug, Serialize)]
pub struct Step {
    /// The candidate or the floor's step.
    pub what: String,
    /// One for each size.
    pub microseconds_a_host: Vec<f64>,
}

/// Measures and prints all tables.
pub fn run(sizes: &[usize], runs: usize, candidates: &[String], places: &Places, json: bool) -> Result<()> {
    let plan = Plan {
        shapes: sizes.iter().map(|&hosts| Shape::Star { hosts }).collect(),
        candidates: candidates.to_vec(),
        runs,
        budget: Duration::from_secs(120),
        settle: None,
    };
    let outcomes = up::measure(&plan, places, |outcome| {
        if !json {
            eprintln!("{} done", outcome.shape);
        }
    })?;
    let mut whole = Vec::new();
    for (at, name) in candidates.iter().enumerate() {
        for (what, pick) in [("up", 0), ("down, kernel finished", 1)] {
            let figures = outcomes.iter().map(|outcome| {
                let figures = &outcome.figures[at];
                let samples = if pick == 0 { &figures.up } else { &figures.down_complete };
                samples.median() * 1e3 / as_float(outcome.nodes)
            });
            whole.push(Step { what: format!("{name}: {what}"), microseconds_a_host: figures.collect() });
        }
    }
    let phases = phases(sizes, runs, &places.work)?;
    let ports = ports(sizes, runs)?;
    if json {
        let all = serde_json::json!({"hosts": sizes, "whole": whole, "floor_steps": phases, "veth": ports});
        println!("{all:#}");
        return Ok(());
    }
    print("Each host of a star, µs (median)", sizes, &whole);
    print("The floor's steps, µs a host", sizes, &phases);
    print(
        "One veth pair more, when there are so many already, µs (median of 20 pairs, each its own send)",
        sizes,
        &ports,
    );
    Ok(())
}

fn print(title: &str, sizes: &[usize], steps: &[Step]) {
    println!("\n{title}");
    let sizes: Vec<String> = sizes.iter().map(|size| format!("N={size}")).collect();
    let mut header = vec![""];
    header.extend(sizes.iter().map(String::as_str));
    header.push("last/first");
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let figures = &step.microseconds_a_host;
            let growth = figures.last().zip(figures.first()).map_or(f64::NAN, |(last, first)| last / first);
            std::iter::once(step.what.clone())
                .chain(figures.iter().map(|&figure| short(figure)))
                .chain([format!("×{growth:.2}")])
                .collect()
        })
        .collect();
    print_table(&header, &rows);
}

fn as_float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn phases(sizes: &[usize], runs: usize, work: &Path) -> Result<Vec<Step>> {
    let mut barrier = Barrier::start()?;
    let names = ["unshare", "pin", "veth pairs into the bridge", "addresses, links up"];
    let mut steps = names.map(|what| Step { what: what.to_owned(), microseconds_a_host: Vec::new() });
    for &hosts in sizes {
        let mut samples: [Samples; 4] = Default::default();
        for _ in 0..runs {
            barrier.wait()?;
            let floor = Floor::build(Shape::Star { hosts }, Tricks::NONE, &work.join("growth"))?;
            let phases = floor.phases;
            floor.remove()?;
            let each = [phases.namespaces, phases.pins, phases.pairs, phases.settings];
            for (samples, phase) in samples.iter_mut().zip(each) {
                samples.push(phase);
            }
        }
        for (step, samples) in steps.iter_mut().zip(&samples) {
            step.microseconds_a_host.push(samples.median() * 1e3 / as_float(hosts));
        }
    }
    Ok(steps.into())
}

/// Where the peer of a pair goes, and whether its other end joins the bridge.
#[derive(Debug, Clone, Copy)]
struct Kind {
    what: &'static str,
    /// Each peer in a namespace of its own; else beside its pair.
    apart: bool,
    port: bool,
    up: bool,
}

const KINDS: [Kind; 5] = [
    Kind { what: "both ends in one namespace, no bridge", apart: false, port: false, up: false },
    Kind { what: "peer in a namespace of its own, no bridge", apart: true, port: false, up: false },
    Kind { what: "both ends in one namespace, a port of the bridge", apart: false, port: true, up: false },
    Kind { what: "peer in a namespace of its own, a port", apart: true, port: true, up: false },
    Kind { what: "peer in a namespace of its own, a port, up", apart: true, port: true, up: true },
];

/// The time of one more veth pair as their number grows, for each kind.
fn ports(sizes: &[usize], runs: usize) -> Result<Vec<Step>> {
    const SAMPLE: usize = 20;
    let most = sizes.iter().copied().max().unwrap_or(0);
    let mut barrier = Barrier::start()?;
    let mut steps = Vec::new();
    for kind in KINDS {
        let mut samples = vec![Samples::default(); sizes.len()];
        for _ in 0..runs {
            barrier.wait()?;
            // A thread of its own, which takes the namespaces with it.
            let times = std::thread::scope(|scope| {
                scope.spawn(|| pairs(kind, most)).join().unwrap_or_else(|_| Ok(Vec::new()))
            })?;
            for (samples, &size) in samples.iter_mut().zip(sizes) {
                times[size.saturating_sub(SAMPLE)..size.min(times.len())]
                    .iter()
                    .for_each(|&time| samples.push(time));
            }
        }
        let microseconds_a_host = samples.iter().map(|samples| samples.median() * 1e3).collect();
        steps.push(Step { what: kind.what.to_owned(), microseconds_a_host });
    }
    Ok(steps)
}

fn pairs(kind: Kind, count: usize) -> Result<Vec<Duration>> {
    const BRIDGE: u32 = 2;
    let mut peers = Vec::new();
    for _ in 0..if kind.apart { count } else { 0 } {
        sys::unshare(libc::CLONE_NEWNET).doing(|| "make a network namespace".to_owned())?;
        peers.push(crate::floor::own_namespace()?);
    }
    sys::unshare(libc::CLONE_NEWNET).doing(|| "make a network namespace".to_owned())?;
    let socket = Socket::open()?;
    let mut batch = Batch::default();
    batch.bridge(BRIDGE, "br0", true);
    socket.send(batch, "the bridge")?;
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let index = 2 * u32::try_from(number).unwrap_or(0) + 3;
        let (name, peer) = (format!("p{number}"), format!("q{number}"));
        let port =
            End { index, name: &name, master: kind.port.then_some(BRIDGE), up: kind.up, ..End::default() };
        let namespace = peers.get(number).map(AsFd::as_fd);
        let mut batch = Batch::default();
        batch.veth(&port, &End { index: index + 1, name: &peer, namespace, ..End::default() });
        let start = Instant::now();
        socket.send(batch, "a veth pair")?;
        times.push(start.elapsed());
    }
    Ok(times)
}
