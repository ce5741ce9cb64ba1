//! What looking costs: a snapshot, one packet explained, all pairs; beside ip(8) in a loop and a sweep of real pings.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use nslab_predict::reach::{Family, Service, address, ask_address, reach};
use nslab_predict::{Network, Verdict};
use nslab_snapshot::{Name, Options, Snapshot};
use serde::Serialize;

use crate::candidates::{self, Places};
use crate::error::{Doing, Error, Result};
use crate::process;
use crate::stats::{Samples, print_table};

/// The lab that is looked at.
const LAB: &str = "see";
/// So many namespaces are read by ip(8) one after the other; more would take minutes.
const MOST_BY_IP: usize = 60;
/// So many hosts are pinged pair by pair.
const MOST_PINGED: usize = 100;
/// What `ip -n NAMESPACE -j` is asked.
const ASKED: [&[&str]; 5] =
    [&["link"], &["address"], &["route", "show", "table", "all"], &["rule"], &["neighbour"]];

/// Three segments of hosts around a firewall.
fn three_tiers(hosts: usize) -> String {
    let mut text = format!(
        "name: {LAB}\naddressing: {{ipv6: none}}\nnodes:\n  fw:\n    forward: true\n    firewall:\n      default: drop\n      allow:\n"
    );
    for line in [
        "{from: web, to: app, tcp: 8080}",
        "{from: app, to: db, tcp: 5432}",
        "{from: web, to: app, icmp: echo-request}",
        "{from: app, to: db, icmp: echo-request}",
    ] {
        let _ = writeln!(text, "        - {line}");
    }
    for tier in ["w", "a", "d"] {
        let _ = writeln!(text, "  {tier}: {{count: {}}}", (hosts / 3).max(1));
    }
    text + "switches: {web: {}, app: {}, db: {}}\n\
            links: [[w, web], [a, app], [d, db], [fw:web, web], [fw:app, app], [fw:db, db]]\n"
}

/// What was measured of one size; times in milliseconds.
#[derive(Debug, Serialize)]
struct Outcome {
    hosts: usize,
    namespaces: usize,
    snapshot: Samples,
    /// `ip -n NAMESPACE -j` in a loop over all, worked out from some of them.
    by_ip: f64,
    network: Samples,
    /// One packet, in microseconds.
    explain: Samples,
    reach: Samples,
    pairs: usize,
    classes: usize,
    delivered: usize,
    /// `nslab ping` of the same pairs; none where they are too many.
    pings: Option<f64>,
    /// The most memory that this process has had so far, in MiB.
    memory: u64,
}

/// Labs of so many hosts, one after the other.
pub fn run(sizes: &[usize], runs: usize, places: &Places, json: bool) -> Result<()> {
    let mut outcomes = Vec::new();
    for &hosts in sizes {
        let file = places.work.join("see.yaml");
        candidates::write(&file, &three_tiers(hosts))?;
        process::run(&places.nslab, &["up".as_ref(), file.as_os_str()])?;
        let outcome = measure(hosts, runs, &places.nslab);
        process::run(&places.nslab, &["down", LAB])?;
        outcomes.push(outcome?);
    }
    let whole = whole_command(runs, places)?;
    if json {
        println!("{:#}", serde_json::json!({"outcomes": outcomes, "whole_command": whole}));
        return Ok(());
    }
    print(&outcomes);
    println!("\n`nslab explain` of a lab of 4 namespaces, the whole command: {} ms", whole.display());
    Ok(())
}

fn taken() -> Result<Snapshot> {
    Snapshot::take(Options::default()).map_err(|error| Error::Usage(error.to_string()))
}

fn measure(hosts: usize, runs: usize, nslab: &Path) -> Result<Outcome> {
    let services = [Service::Echo];
    let (mut snapshot_times, mut network_times, mut explain_times, mut reach_times) =
        (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    drop(taken()?);
    for _ in 0..runs {
        let start = Instant::now();
        drop(black_box(taken()?));
        snapshot_times.push(start.elapsed());
    }
    let snapshot = taken()?;
    let is_host = |name: &Name| matches!(name, Name::Node { lab, .. } if lab == LAB);
    let all: Vec<usize> = (0..snapshot.namespaces.len())
        .filter(|&place| snapshot.namespaces[place].names.iter().any(is_host))
        .filter(|&place| {
            let state = snapshot.namespaces[place].state();
            state.is_some_and(|state| address(None, state, Family::Any).is_some())
        })
        .collect();
    let mut found = (0, 0, 0);
    for run in 0..=runs {
        let start = Instant::now();
        let network = Network::of(&snapshot);
        let network_time = start.elapsed();
        let start = Instant::now();
        let reached = reach(&network, &all, &services, Family::Any);
        let reach_time = start.elapsed();
        let one = one_packet(&network, &all);
        if run > 0 {
            network_times.push(network_time);
            reach_times.push(reach_time);
            // Samples are in milliseconds: a thousand packets of a microsecond each are one.
            explain_times.push(one * 1000);
        }
        let delivered = (0..all.len())
            .flat_map(|from| (0..all.len()).map(move |to| (from, to)))
            .filter_map(|(from, to)| reached.cell(from, to, 0))
            .filter(|cell| cell.verdict == Verdict::Delivered)
            .count();
        found = (all.len() * all.len().saturating_sub(1), reached.class_count(), delivered);
    }
    Ok(Outcome {
        hosts,
        namespaces: snapshot.namespaces.len(),
        snapshot: snapshot_times,
        by_ip: by_ip(&snapshot)?,
        network: network_times,
        explain: explain_times,
        reach: reach_times,
        pairs: found.0,
        classes: found.1,
        delivered: found.2,
        pings: if hosts <= MOST_PINGED { Some(pings(nslab)?) } else { None },
        memory: peak_memory(),
    })
}

/// How long one packet takes, over many different pairs.
fn one_packet(network: &Network<'_>, hosts: &[usize]) -> Duration {
    let state = |place: usize| network.snapshot.namespaces.get(place).and_then(|space| space.state());
    let pairs = (0..hosts.len()).map(|number| (hosts[number], hosts[(number * 7 + 3) % hosts.len()]));
    let asked: Vec<_> = pairs
        .filter(|(from, to)| from != to)
        .filter_map(|(from, to)| Some((from, address(state(from), state(to)?, Family::Any)?)))
        .take(1000)
        .collect();
    let start = Instant::now();
    for &(from, to) in &asked {
        black_box(ask_address(network, from, to, Service::Tcp(8080)));
    }
    start.elapsed() / u32::try_from(asked.len().max(1)).unwrap_or(1)
}

/// Milliseconds for all namespaces, from some of them.
fn by_ip(snapshot: &Snapshot) -> Result<f64> {
    let names = snapshot.namespaces.iter().flat_map(|space| &space.names).filter_map(|name| match name {
        Name::Netns(name) => Some(name),
        _ => None,
    });
    let names: Vec<&String> = names.take(MOST_BY_IP).collect();
    let start = Instant::now();
    for name in &names {
        for asked in ASKED {
            let words: Vec<&str> = ["-n", name, "-j"].into_iter().chain(asked.iter().copied()).collect();
            process::run("ip", &words)?;
        }
    }
    let each =
        start.elapsed().as_secs_f64() * 1e3 / f64::from(u32::try_from(names.len().max(1)).unwrap_or(1));
    Ok(each * f64::from(u32::try_from(snapshot.namespaces.len()).unwrap_or(u32::MAX)))
}

/// Milliseconds for a ping of every pair.
fn pings(nslab: &Path) -> Result<f64> {
    let start = Instant::now();
    // Most pairs are dropped by the firewall, so that its exit status is 1.
    std::process::Command::new(nslab)
        .args(["ping", "--lab", LAB, "-W", "1"])
        .stdout(std::process::Stdio::null())
        .status()
        .doing(|| "run nslab ping".to_owned())?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// `nslab explain` from start to end.
fn whole_command(runs: usize, places: &Places) -> Result<Samples> {
    let file = places.work.join("see.yaml");
    let text = format!(
        "name: {LAB}\nnodes: {{red: {{}}, blue: {{}}, green: {{}}}}\nswitches: {{br0: {{}}}}\n\
         links: [[red, br0], [blue, br0], [green, br0]]\n"
    );
    candidates::write(&file, &text)?;
    process::run(&places.nslab, &["up".as_ref(), file.as_os_str()])?;
    let mut samples = Samples::default();
    for run in 0..=runs.max(10) {
        let start = Instant::now();
        process::run(&places.nslab, &["explain", "see/red", "see/blue"])?;
        if run > 0 {
            samples.push(start.elapsed());
        }
    }
    process::run(&places.nslab, &["down", LAB])?;
    Ok(samples)
}

/// `VmHWM` of `/proc/self/status`, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

fn print(outcomes: &[Outcome]) {
    let header = [
        "hosts",
        "namespaces",
        "snapshot ms",
        "ip loop ms",
        "ratio",
        "index ms",
        "a packet µs",
        "all pairs ms",
        "pairs",
        "classes",
        "reach",
        "pings ms",
        "peak MiB",
    ];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|one| {
            vec![
                one.hosts.to_string(),
                one.namespaces.to_string(),
                one.snapshot.display(),
                format!("{:.0}", one.by_ip),
                format!("x{:.3}", one.snapshot.median() / one.by_ip),
                one.network.display(),
                one.explain.display(),
                one.reach.display(),
                one.pairs.to_string(),
                one.classes.to_string(),
                one.delivered.to_string(),
                one.pings.map_or_else(|| "-".to_owned(), |pings| format!("{pings:.0}")),
                one.memory.to_string(),
            ]
        })
        .collect();
    print_table(&header, &rows);
}
