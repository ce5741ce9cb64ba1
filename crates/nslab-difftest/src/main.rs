//! Random networks and packets, predicted and then really sent.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use nslab_difftest::generate::Mode;
use nslab_difftest::report::Report;
use nslab_difftest::session::{self, Session};
use nslab_difftest::traced::Level;
use nslab_difftest::{faults, generate};

/// Holds predictions against the kernel: makes random networks, predicts random packets, and really sends them.
///
/// Needs the privilege to make network namespaces: root, or `unshare --user --map-root-user --net --mount`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first network's seed; the others' follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many packets to try.
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    /// How many packets to send in each network.
    #[arg(long, default_value_t = 50)]
    packets: usize,
    /// How many networks to have at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Go on after a contradiction.
    #[arg(long)]
    keep_going: bool,
    /// Nothing odd: networks in which everything works.
    #[arg(long)]
    plain: bool,
    /// Routes with several next hops, next hops as objects, and packets for all, for groups and for one link besides.
    #[arg(long, conflicts_with = "plain")]
    wide: bool,
    /// Put one fault of a known kind into each of many healthy networks: the code named must be the fault's.
    #[arg(long)]
    faults: bool,
    /// Trace packets one after the other as `nslab trace` does, in place of seeing them by the tester's own sockets: each step,
    /// the place where it ends and what NAT makes of it must be as predicted.
    #[arg(long, conflicts_with = "wide")]
    trace: bool,
    /// Trace without the kernel's tracepoints, as an ordinary user must.
    #[arg(long, requires = "trace")]
    no_tracepoints: bool,
    /// Trace without nftables' word on rules.
    #[arg(long, requires = "trace")]
    no_rules: bool,
    /// Do not look for the smallest network in which something is still wrong.
    #[arg(long)]
    no_shrink: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Write the figures to this file, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Say now and then how far it is.
    #[arg(long)]
    progress: bool,
    /// Print the network and packets of the first seed as a script, and end.
    #[arg(long)]
    print: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mode = match (arguments.plain, arguments.wide) {
        (true, _) => Mode::Plain,
        (_, true) => Mode::Wide,
        _ => Mode::Odd,
    };
    if arguments.print {
        let (network, probes) = generate::any(arguments.seed, arguments.packets, mode);
        println!("{}", network.script(&[]));
        for probe in probes {
            println!("# {probe:?}");
        }
        return ExitCode::SUCCESS;
    }
    let level = Level { rules: !arguments.no_rules, tracepoints: !arguments.no_tracepoints };
    let session =
        if arguments.trace { Session::tracing(level) } else { Session::begin().map_err(Into::into) };
    let session = match session {
        Ok(session) => session.shrinking(!arguments.no_shrink),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(3);
        }
    };
    let begun = Instant::now();
    let next = AtomicU64::new(arguments.seed);
    let stop = AtomicBool::new(false);
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let mut own = Report::default();
                    let found = if arguments.faults {
                        session::fault(&session, seed, &mut own)
                    } else {
                        session::network(&session, seed, arguments.packets, mode, &mut own)
                    };
                    for text in &found {
                        // What is read by a program is figures alone.
                        if arguments.json {
                            eprintln!("{text}");
                        } else {
                            println!("{text}");
                        }
                    }
                    let mut all = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    all.add(&own);
                    if arguments.progress && seed.is_multiple_of(20) {
                        eprintln!("{} {:?}", all.text(), all.by_passing);
                    }
                    if all.cases >= arguments.cases || !found.is_empty() && !arguments.keep_going {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report.seconds = begun.elapsed().as_secs_f64();
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    if arguments.json {
        println!("{text}");
    } else {
        print!("{}", faults::table(&report.faults));
        println!("{}", report.text());
    }
    if let Some(path) = &arguments.report
        && let Err(error) = std::fs::write(path, text + "\n")
    {
        eprintln!("error: cannot write {}: {error}", path.display());
        return ExitCode::from(3);
    }
    if report.cases == 0 {
        eprintln!("error: nothing was tried");
        return ExitCode::from(3);
    }
    ExitCode::from(u8::from(report.wrong > 0))
}
