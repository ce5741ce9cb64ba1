//! A few networks of the differential tester, each time the same.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is all test code")]

use nslab_difftest::faults::{Tally, table};
use nslab_difftest::generate::Mode;
use nslab_difftest::report::Report;
use nslab_difftest::session::{self, Session};
use nslab_difftest::traced::Level;
use nslab_testing::{Nft, Oracle, privileged};

/// So many networks, so many packets in each.
const NETWORKS: usize = 40;
const PACKETS: usize = 40;

/// Networks of these seeds, on two threads.
fn run(
    first: u64,
    count: usize,
    one: impl Fn(&Session, u64, &mut Report) -> Vec<String> + Sync,
) -> (Report, Vec<String>) {
    run_in(&Session::begin().unwrap(), first, count, one)
}

fn run_in(
    session: &Session,
    first: u64,
    count: usize,
    one: impl Fn(&Session, u64, &mut Report) -> Vec<String> + Sync,
) -> (Report, Vec<String>) {
    let count = u64::try_from(count).unwrap();
    let half = |odd: u64| {
        let (mut report, mut texts) = (Report::default(), Vec::new());
        for seed in (first..first + count).filter(|seed| seed % 2 == odd) {
            texts.extend(one(session, seed, &mut report));
        }
        (report, texts)
    };
    let (mut one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().unwrap())
    });
    one.0.add(&other.0);
    one.1.extend(other.1);
    one
}

#[test]
fn what_is_predicted_of_plain_networks_happens() {
    privileged(|| {
        let (Some(_), Some(_)) = (Oracle::find(), Nft::find()) else { return };
        let (report, texts) = run(1, NETWORKS, |session, seed, report| {
            session::network(session, seed, PACKETS, Mode::Plain, report)
        });
        assert!(texts.is_empty() && report.wrong == 0, "{}\n{}", texts.join("\n"), report.text());
        assert!(report.cases > 50 && report.unknown * 20 < report.cases, "{}", report.text());
        eprintln!("{}", report.text());
    });
}

#[test]
fn what_is_predicted_of_odd_networks_happens() {
    privileged(|| {
        let (Some(_), Some(_)) = (Oracle::find(), Nft::find()) else { return };
        let (report, texts) = run(1, NETWORKS, |session, seed, report| {
            session::network(session, seed, PACKETS, Mode::Odd, report)
        });
        assert!(texts.is_empty() && report.wrong == 0, "{}\n{}", texts.join("\n"), report.text());
        assert!(report.cases > 50 && report.unknown * 20 < report.cases, "{}", report.text());
        eprintln!("{}", report.text());
    });
}

/// In many of these networks it is not known which of several ways a packet takes.
#[test]
fn what_is_predicted_of_several_next_hops_happens() {
    privileged(|| {
        let (Some(_), Some(_)) = (Oracle::find(), Nft::find()) else { return };
        let (report, texts) = run(1, NETWORKS / 4, |session, seed, report| {
            session::network(session, seed, PACKETS, Mode::Wide, report)
        });
        assert!(texts.is_empty() && report.wrong == 0, "{}\n{}", texts.join("\n"), report.text());
        assert!(report.cases > 50 && report.unknown * 4 < report.cases, "{}", report.text());
        eprintln!("{}", report.text());
    });
}

#[test]
fn the_code_is_that_of_the_fault() {
    privileged(|| {
        let (Some(_), Some(_)) = (Oracle::find(), Nft::find()) else { return };
        let (report, texts) = run(3000, 20, session::fault);
        let all = Tally::all(&report.faults);
        let said = format!("{}\n{}{}", texts.join("\n"), table(&report.faults), report.text());
        assert!(report.wrong == 0 && all.other.is_empty() && all.right == all.right_object, "{said}");
        assert!(all.cases > 20 && all.unknown * 20 < all.cases && all.mended == all.fixes, "{said}");
        assert!(report.faults.len() > 15, "{said}");
        eprintln!("{}{}", table(&report.faults), report.text());
    });
}

/// As `nslab trace` sees them, with the kernel's tracepoints where those may be used.
#[test]
fn traces_are_as_predicted() {
    privileged(|| {
        let (Some(_), Some(_)) = (Oracle::find(), Nft::find()) else { return };
        let all = Level { rules: true, tracepoints: true };
        let session = Session::tracing(all).or_else(|why| {
            eprintln!("without the kernel's tracepoints: {why}");
            Session::tracing(Level { tracepoints: false, ..all })
        });
        let session = session.unwrap().shrinking(false);
        let (report, texts) = run_in(&session, 1, 4, |session, seed, report| {
            session::network(session, seed, 6, Mode::Odd, report)
        });
        assert!(texts.is_empty() && report.wrong == 0, "{}\n{}", texts.join("\n"), report.text());
        assert!(report.cases > 15 && report.unknown * 4 < report.cases, "{}", report.text());
        let seen = |by: &str| report.by_step.get(by).copied().unwrap_or_default();
        assert!(
            seen("seen by packet sockets") > 100 && seen("seen by nft trace") > 20,
            "{:?}",
            report.by_step
        );
        eprintln!("{}", report.text());
        // Networks in which it was wrong once: an error that waits for the neighbour that it reports is thrown away with it, pieces
        // that go round in a circle, an error of which it is not known whether it gets to the sender.
        for seed in [300_050, 500_000, 500_019] {
            let (report, texts) = run_in(&session, seed, 1, |session, seed, report| {
                session::network(session, seed, 20, Mode::Odd, report)
            });
            assert!(texts.is_empty() && report.cases > 15, "{}\n{}", texts.join("\n"), report.text());
        }
    });
}
