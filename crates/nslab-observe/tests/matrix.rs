//! Every pair at once on a bridge of the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_observe::ping::{Event, Outcome, PingOptions, Probe, ping};
use nslab_testing::privileged;
use support::{ETH0, apply, host_v4, host_v6, neighbours, star};

/// Waits only for answers that do not come.
fn patient() -> PingOptions {
    PingOptions { timeout: Duration::from_secs(20), ..PingOptions::default() }
}

fn matrix(
    namespaces: &[Namespace],
    hosts: usize,
    v6: bool,
    options: &PingOptions,
) -> (Vec<Probe>, Vec<Outcome>) {
    let addresses: Vec<_> =
        (0..hosts).map(|host| (host, if v6 { host_v6(host) } else { host_v4(host) })).collect();
    let probes = Probe::every_pair(&addresses);
    let mut finished = vec![false; probes.len()];
    let outcomes = ping(namespaces, &probes, options, &mut |event| {
        if let Event::Finished { probe } = event {
            assert!(!std::mem::replace(&mut finished[probe], true), "finished twice");
        }
    })
    .unwrap();
    assert!(finished.into_iter().all(|finished| finished));
    (probes, outcomes)
}

#[test]
fn every_pair_of_thirty_hosts_answers_and_no_trace_is_left() {
    privileged(|| {
        let all = star(30);
        // One entry that was there before stays.
        let kept = patient();
        ping(&all, &[Probe::new(0, host_v4(1))], &kept, &mut |_| {}).unwrap();
        assert_eq!((neighbours(&all[0]), neighbours(&all[1])), (1, 1));
        for v6 in [false, true] {
            let (probes, outcomes) = matrix(&all, 30, v6, &patient());
            assert_eq!(probes.len(), 870);
            for (probe, outcome) in probes.iter().zip(&outcomes) {
                assert_eq!((outcome.sent, outcome.received()), (1, 1), "{probe:?}: {outcome:?}");
                assert_eq!(outcome.replies[0].from, probe.destination);
            }
        }
        let left: usize = all.iter().map(neighbours).sum();
        assert_eq!(left, 2);
    });
}

#[test]
fn hosts_that_are_cut_off_cost_one_timeout() {
    privileged(|| {
        let all = star(24);
        for port in ETH0..ETH0 + 6 {
            let down = nslab_kernel::link::SetLink { index: port, up: Some(false), ..Default::default() };
            apply(&all[24], &[&down]);
        }
        let start = Instant::now();
        let (probes, outcomes) = matrix(&all, 24, false, &PingOptions::default());
        // A generous bound: one after the other they would take over four minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        for (probe, outcome) in probes.iter().zip(&outcomes) {
            let cut = probe.source < 6 || (0..6).any(|host| host_v4(host) == probe.destination);
            assert_eq!(outcome.received(), u32::from(!cut), "{probe:?}: {outcome:?}");
        }
    });
}

#[test]
fn two_matrices_at_once_keep_apart() {
    privileged(|| {
        let all = star(14);
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..2).map(|_| scope.spawn(|| matrix(&all, 14, false, &patient()))).collect();
            for thread in threads {
                let (_, outcomes) = thread.join().unwrap();
                assert!(outcomes.iter().all(|outcome| outcome.received() == 1 && outcome.duplicates == 0));
            }
        });
    });
}
