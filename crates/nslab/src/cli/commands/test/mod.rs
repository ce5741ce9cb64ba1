//! `nslab test`.

mod bounds;
mod cases;
mod check;
mod forms;
mod report;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_lab::interrupt::Caught;
use nslab_lab::labs::Wanted;
use nslab_lab::{Interrupt, rootless};
use nslab_observe::probe::Prober;
use nslab_predict::command::Shell;
use nslab_predict::reach::Service;
use nslab_topology::Topology;
use nslab_topology::lab::{Expectation, Mtu, Probe};

use self::bounds::Watch;
use self::cases::Case;
use self::check::{Finding, machine};
pub(in crate::cli) use self::report::Report;
use self::report::{Status, Test};
use super::why::{self, Asked, Why};
use super::{DONE, NO, up};
use crate::cli::args::{FileArgs, How, Test as Args};
use crate::cli::context::{self, Context};
use crate::cli::error::{CliError, Kind};
use crate::cli::family::Family;
use crate::cli::file;
use crate::cli::output::Output;

/// In so many namespaces paths are looked at in all, to tell of the way that was taken instead; in more only in those that
/// are named.
const FEW: usize = 64;

/// What is tested.
enum Subject {
    /// What a file says; its path as it was written.
    File(Box<Wanted>, String),
    /// A running lab, or the one that is meant where none is named.
    Lab(Option<String>),
}

pub(super) fn run(args: &Args, output: Output) -> Result<ExitCode, CliError> {
    // Before an ordinary user's process enters namespaces of its own.
    let shell = shell();
    let mut junit = args.junit.as_deref().map(Junit::open).transpose()?;
    if output.json && matches!(junit, Some(Junit::Standard)) {
        return Err(CliError::bad_input("--json and `--junit -` cannot both be standard output"));
    }
    if args.tap && matches!(junit, Some(Junit::Standard)) {
        return Err(CliError::bad_input("--tap and `--junit -` cannot both be standard output"));
    }
    let report = match subject(args, output)? {
        Subject::Lab(name) => {
            let context = Context::open(output)?;
            let state = context.lab(name.as_deref())?;
            let file = state.file.as_ref().and_then(|file| file.file_name());
            let file = file.map(|name| name.to_string_lossy().into_owned());
            some(&state.lab.expectations, &format!("lab {}", state.topology.name))?;
            let subject = Tested { topology: &state.topology, expectations: &state.lab.expectations, file };
            let caught = Caught::new();
            test(&subject, &args.how, shell, caught.interrupt())?
        }
        Subject::File(wanted, shown) => of_file(&wanted, shown, args, shell, output)?,
    };
    if let Some(junit) = &mut junit {
        junit.write(&forms::junit(&report), output)?;
    }
    if output.json {
        output.print_json(&report);
    } else if args.tap {
        output.print(&forms::tap(&report));
    } else if !matches!(junit, Some(Junit::Standard)) {
        output.print(&forms::text(&report, args.verbose, &output.style()));
    }
    Ok(if report.has_failed() { NO.into() } else { DONE })
}

/// Where commands that mend something will be typed.
pub(super) fn shell() -> Shell {
    if rootless::needed() { Shell::Outside } else { Shell::Host }
}

/// Tests a lab that was just built, as `up --test` does.
pub(super) fn built(wanted: &Wanted, file: Option<String>, shell: Shell) -> Result<Report, CliError> {
    let subject = Tested { topology: &wanted.topology, expectations: &wanted.lab.expectations, file };
    let caught = Caught::new();
    test(&subject, &How::default(), shell, caught.interrupt())
}

/// For people.
pub(super) fn text(report: &Report, output: Output) -> String {
    forms::text(report, false, &output.style())
}

/// Whether there is anything to test.
pub(super) fn some(expectations: &[Expectation], what: &str) -> Result<(), CliError> {
    if expectations.is_empty() {
        return Err(
            CliError::bad_input(format!("{what} expects nothing")).hint("expect:\n    - a -> b icmp: ok")
        );
    }
    Ok(())
}

fn subject(args: &Args, output: Output) -> Result<Subject, CliError> {
    let is_file = |text: &str| {
        let path = Path::new(text);
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        text.contains('/') || is_yaml || path.is_file()
    };
    let file = match &args.subject {
        Some(text) if !is_file(text) => {
            if !args.set.is_empty() || args.name.is_some() {
                let message = format!("{text} is taken for a running lab, which has no variables to set");
                return Err(CliError::bad_input(message).hint("name a lab file"));
            }
            return Ok(Subject::Lab(Some(text.clone())));
        }
        Some(text) => Some(PathBuf::from(text)),
        None if file::default_file().is_none() && args.set.is_empty() && args.name.is_none() => {
            return Ok(Subject::Lab(None));
        }
        None => None,
    };
    let files = FileArgs { file, topo: None, set: args.set.clone(), name: args.name.clone() };
    let shown = files.file.clone().or_else(file::default_file).unwrap_or_default().display().to_string();
    let wanted = up::from_file(&files, output)?;
    some(&wanted.lab.expectations, &shown)?;
    Ok(Subject::File(Box::new(wanted), shown))
}

/// Tests what a file says: on the lab that runs, else on one that is built for it.
fn of_file(
    wanted: &Wanted,
    shown: String,
    args: &Args,
    shell: Shell,
    output: Output,
) -> Result<Report, CliError> {
    let name = &wanted.topology.name;
    let goes_out = wanted.topology.nodes.iter().any(|node| node.uplink.is_some());
    let context =
        if goes_out { Context::open_with_way_out(output)? } else { Context::open_or_create(output)? };
    if context::paths().lab(name).root().exists() {
        let state = context.lab(Some(name))?;
        if state.topology != wanted.topology {
            output.note(&format!(
                "note: lab {name} runs, but not as the file says; `nslab plan {shown}` shows what differs"
            ));
        }
        let expectations = &wanted.lab.expectations;
        let subject = Tested { topology: &state.topology, expectations, file: Some(shown) };
        let caught = Caught::new();
        return test(&subject, &args.how, shell, caught.interrupt());
    }
    // Whether there is anything to try is known before anything is built.
    if let Err(error) = cases(&wanted.lab.expectations, &wanted.topology, &args.how) {
        context.release()?;
        return Err(error);
    }
    // From here on Ctrl-C leaves no lab behind; a second one ends the process.
    let caught = Caught::new();
    if let Err(error) = up::change(&context, |labs| labs.up(wanted)) {
        // If this was to be the user's first lab, no holder stays for it.
        context.release()?;
        return Err(error);
    }
    let expectations = &wanted.lab.expectations;
    let subject = Tested { topology: &wanted.topology, expectations, file: Some(shown) };
    let result = test(&subject, &args.how, shell, caught.interrupt());
    if args.keep {
        output.note(&format!("lab {name} runs on; `nslab down {name}` takes it away"));
        return result;
    }
    let gone = context.with_labs(&|_| {}, Interrupt::default(), |labs| labs.down(name));
    context.release()?;
    let report = result?;
    gone?;
    Ok(report)
}

/// A lab that is there, and what is expected of it.
struct Tested<'a> {
    topology: &'a Topology,
    expectations: &'a [Expectation],
    /// The file's name, for people.
    file: Option<String>,
}

fn test(subject: &Tested<'_>, how: &How, shell: Shell, interrupt: Interrupt) -> Result<Report, CliError> {
    let began = Instant::now();
    let Tested { topology, expectations, file } = subject;
    nslab_lab::exec::limits::raise();
    let cases = cases(expectations, topology, how)?;
    let paths = context::paths().lab(&topology.name);
    let open = |name: &String| Namespace::open(&paths.pin(name));
    let names: Vec<String> = topology.nodes.iter().map(|node| node.name.clone()).collect();
    let namespaces = names.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let prober = Prober::new(namespaces).map_err(|error| machine(&error))?;
    let watched = watched(topology, &cases);
    let looked_at = watched.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let watch = Watch { namespaces: &looked_at, names: &watched };
    let stop = || interrupt.has_come();
    let checked = check::How {
        timeout: how.timeout.unwrap_or(check::TIMEOUT).max(Duration::from_millis(1)),
        within: how.within,
        fail_fast: how.fail_fast,
        stop: &stop,
    };
    let findings = check::check(&cases, &prober, &watch, &checked)?;
    if interrupt.has_come() {
        return Err(CliError::new(Kind::Interrupted, "interrupted; what was tested until then is not told"));
    }
    let whys = whys(&cases, &findings, &prober, shell)?;
    let tests: Vec<Test> = cases
        .iter()
        .zip(findings)
        .zip(whys)
        .map(|((case, finding), why)| Test::of(case, &names[case.from], finding, why))
        .collect();
    Ok(Report {
        lab: topology.name.clone(),
        file: file.clone(),
        passed: Report::count(&tests, Status::Passed),
        failed: Report::count(&tests, Status::Failed),
        not_run: Report::count(&tests, Status::NotRun),
        milliseconds: crate::cli::output::milliseconds(began.elapsed()),
        tests,
    })
}

/// The pairs that are to be tried, at least one.
fn cases<'e>(
    expectations: &'e [Expectation],
    topology: &Topology,
    how: &How,
) -> Result<Vec<Case<'e>>, CliError> {
    let family = Family::of_flags(how.ipv4, how.ipv6);
    let cases = cases::of(expectations, topology, family, how.filter.as_deref())?;
    if let (Some(text), true) = (&how.filter, cases.is_empty()) {
        return Err(CliError::bad_input(format!("no expectation contains {text:?}")));
    }
    // To have tried nothing is no success.
    if cases.is_empty() {
        let message = format!("the expectations are about no pair of nodes with {}addresses", family.word());
        return Err(CliError::bad_input(message));
    }
    Ok(cases)
}

/// The names of the namespaces in which paths are looked at.
fn watched(topology: &Topology, cases: &[Case<'_>]) -> Vec<String> {
    let mut named: Vec<String> =
        cases.iter().flat_map(|case| &case.expectation.bounds.via).cloned().collect();
    if !named.is_empty() && topology.nodes.len() <= FEW {
        named.extend(topology.nodes.iter().map(|node| node.name.clone()));
    }
    named.sort();
    named.dedup();
    named
}

/// Why those that failed did.
fn whys(
    cases: &[Case<'_>],
    findings: &[Finding],
    prober: &Prober,
    shell: Shell,
) -> Result<Vec<Option<Why>>, CliError> {
    let (mut places, mut asked) = (Vec::new(), Vec::new());
    for (place, (case, finding)) in cases.iter().zip(findings).enumerate() {
        if finding.holds(case) != Some(false) {
            continue;
        }
        let largest = finding.measured.mtu;
        let size = match case.expectation.bounds.mtu {
            Some(Mtu::Exactly(size) | Mtu::AtLeast(size)) if largest.is_none_or(|largest| largest < size) => {
                Some(size)
            }
            _ => None,
        };
        // Why something is slow or takes another way is not known by prediction.
        if !finding.problems.is_empty() && size.is_none() {
            continue;
        }
        places.push(place);
        asked.push(Asked {
            from: prober.namespaces()[case.from].id()?,
            address: case.address,
            service: match case.expectation.service {
                Probe::Icmp => Service::Echo,
                Probe::Tcp(port) => Service::Tcp(port),
                Probe::Udp(port) => Service::Udp(port),
            },
            size,
        });
    }
    let mut whys: Vec<Option<Why>> = cases.iter().map(|_| None).collect();
    for (place, why) in places.into_iter().zip(why::explain(&asked, shell)?) {
        whys[place] = why;
    }
    Ok(whys)
}

/// Where JUnit's XML goes.
enum Junit {
    Standard,
    File(PathBuf, File),
}

impl Junit {
    /// Opens it before anything is tested, so that a path that cannot be written is no surprise afterwards.
    fn open(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self::File(path.to_owned(), file))
    }

    fn write(&mut self, text: &str, output: Output) -> Result<(), CliError> {
        match self {
            Self::Standard => output.print(text),
            Self::File(path, file) => {
                file.write_all(text.as_bytes()).map_err(|error| cannot_write(path, &error))?;
            }
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::bad_input(format!("cannot write {}: {error}", path.display()))
}
