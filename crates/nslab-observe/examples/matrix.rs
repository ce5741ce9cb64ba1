//! Measures every pair of N hosts on one bridge: `matrix N [v6] [cut-every K] [down-every K] [settle MS] [runs R] [count C]`. Run as root.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement, not a part of the library")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use nslab_observe::ping::{Event, PingOptions, Probe, ping};
use support::{ETH0, apply, host_v4, host_v6, star};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let hosts: usize = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(100);
    let after = |word: &str| {
        let place = arguments.iter().position(|text| text == word)?;
        arguments.get(place + 1)?.parse::<usize>().ok()
    };
    let v6 = arguments.iter().any(|text| text == "v6");
    let start = Instant::now();
    let namespaces = star(hosts);
    println!("{hosts} hosts built in {:?}", start.elapsed());
    if let Some(every) = after("down-every") {
        for namespace in namespaces[..hosts].iter().step_by(every) {
            let down = nslab_kernel::link::SetLink { index: ETH0, up: Some(false), ..Default::default() };
            apply(namespace, &[&down]);
        }
    }
    if let Some(every) = after("cut-every") {
        for port in (10..).step_by(every).take(hosts.div_ceil(every)) {
            let down = nslab_kernel::link::SetLink { index: port, up: Some(false), ..Default::default() };
            apply(&namespaces[hosts], &[&down]);
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(after("settle").unwrap_or(500) as u64));
    let addresses: Vec<_> =
        (0..hosts).map(|host| (host, if v6 { host_v6(host) } else { host_v4(host) })).collect();
    let probes = Probe::every_pair(&addresses);
    let options =
        PingOptions { count: u32::try_from(after("count").unwrap_or(1)).unwrap(), ..PingOptions::default() };
    for _ in 0..after("runs").unwrap_or(5) {
        let (mut finished, mut failures) = (0, 0);
        let start = Instant::now();
        let outcomes = ping(&namespaces, &probes, &options, &mut |event| match event {
            Event::Finished { .. } => {
                finished += 1;
                if finished % 100_000 == 0 {
                    println!("  {finished} after {:?}", start.elapsed());
                }
            }
            Event::Failure { .. } => failures += 1,
            _ => {}
        })
        .unwrap();
        let took = start.elapsed();
        let lost: u32 = outcomes.iter().map(nslab_observe::ping::Outcome::lost).sum();
        let mut times: Vec<_> =
            outcomes.iter().flat_map(|outcome| outcome.replies.iter().map(|reply| reply.rtt)).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2);
        println!(
            "{} pairs in {took:?}: {lost} lost, {failures} failures, RTT median {median:?}, max {:?}",
            probes.len(),
            times.last()
        );
    }
    let left: usize = namespaces.iter().map(support::neighbours).sum();
    println!("neighbours left in the namespaces: {left}");
}
