//! How well it arrives: latency, loss, bandwidth, path and sizes.

use std::ops::ControlFlow;
use std::time::Duration;

use nslab_filter::{Filter, NameTable};
use nslab_kernel::Namespace;
use nslab_kernel::packet::Instruction;
use nslab_observe::capture::instructions;
use nslab_observe::probe::{Bandwidth, Options, Paths, Probe, Prober};
use nslab_topology::lab::{Bounds, Mtu, Probe as Wanted};

use super::cases::Case;
use super::check::{Finding, How, machine};
use crate::cli::commands::why::passes;
use crate::cli::error::CliError;
use crate::cli::output::duration;

/// What is not the beginning of anything need not be looked at.
const BEGINNINGS: &str = "not (ip and tcp[tcpflags] & (tcp-syn|tcp-ack) != tcp-syn)";
/// So many packets say something about their loss at least, and at most so many are sent.
const LEAST: f64 = 100.0;
const MOST: f64 = 1000.0;
/// A packet of another size needs a little more time than one that was answered.
const TIMES: u32 = 8;
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// The namespaces in which paths are looked at.
pub(super) struct Watch<'a> {
    pub(super) namespaces: &'a [Namespace],
    /// Their names.
    pub(super) names: &'a [String],
}

/// What was measured, as far as it was to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) latency: Option<Duration>,
    /// The share that was lost.
    pub(super) loss: Option<f64>,
    /// Bits in a second.
    pub(super) bandwidth: Option<u64>,
    /// The nodes and switches that were passed.
    pub(super) path: Option<Vec<String>>,
    /// The largest packet that was seen to pass.
    pub(super) mtu: Option<u32>,
}

/// Measures what bounds of these cases speak of, and says which do not hold.
pub(super) fn measure(
    cases: &[Case<'_>],
    numbers: &[usize],
    findings: &mut [Finding],
    prober: &Prober,
    watch: &Watch<'_>,
    how: &How<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), CliError> {
    for &number in numbers {
        findings[number].problems.clear();
    }
    let options = Options { timeout: how.timeout, stop, ..Options::default() };
    let with = |wants: fn(&Bounds) -> bool| -> Vec<usize> {
        numbers.iter().copied().filter(|&number| wants(&cases[number].expectation.bounds)).collect()
    };
    let probes =
        |numbers: &[usize]| -> Vec<Probe> { numbers.iter().map(|&number| cases[number].probe()).collect() };
    paths(cases, &with(|bounds| !bounds.via.is_empty()), findings, prober, watch, &options)?;
    let asked = with(|bounds| bounds.latency.is_some());
    let latencies = prober.latency(&probes(&asked), &options).map_err(|error| machine(&error))?;
    for (&number, latency) in asked.iter().zip(latencies) {
        let wanted = cases[number].expectation.bounds.latency.unwrap_or_default();
        findings[number].measured.latency = latency.median;
        let problem = match latency.median {
            None if matches!(cases[number].expectation.service, Wanted::Udp(_)) => {
                Some("its latency cannot be measured, as nothing answers".to_owned())
            }
            None => Some("nothing was answered any more".to_owned()),
            Some(median) if median >= wanted => Some(format!("it is {}", time(median))),
            Some(_) => None,
        };
        let problem =
            problem.map(|problem| format!("latency below {} expected, but {problem}", time(wanted)));
        findings[number].problems.extend(problem);
    }
    losses(cases, &with(|bounds| bounds.loss.is_some()), findings, prober, &options)?;
    sizes(cases, &with(|bounds| bounds.mtu.is_some()), findings, prober, &options)?;
    // One after the other: two at once would share what there is.
    for number in with(|bounds| bounds.bandwidth.is_some()) {
        if stop() {
            break;
        }
        bandwidth(&cases[number], &mut findings[number], prober, &options)?;
    }
    Ok(())
}

fn paths(
    cases: &[Case<'_>],
    numbers: &[usize],
    findings: &mut [Finding],
    prober: &Prober,
    watch: &Watch<'_>,
    options: &Options<'_>,
) -> Result<(), CliError> {
    if numbers.is_empty() {
        return Ok(());
    }
    let watched = Paths::watch(watch.namespaces, beginnings()?).map_err(|error| machine(&error))?;
    let probes: Vec<Probe> = numbers.iter().map(|&number| cases[number].probe()).collect();
    let sent = prober.send(&probes, options, &mut |_, _| ControlFlow::Continue(()));
    let mut seen = watched.end().map_err(|error| machine(&error))?;
    for (&number, outcome) in numbers.iter().zip(sent.map_err(|error| machine(&error))?) {
        let Some(outcome) = outcome else { continue };
        let places = seen.remove(&outcome.token).unwrap_or_default();
        let path: Vec<String> = places.into_iter().map(|place| watch.names[place].clone()).collect();
        let wanted = &cases[number].expectation.bounds.via;
        if !passes(&path, wanted) {
            let way = if path.is_empty() { "nobody saw it".to_owned() } else { path.join(" → ") };
            findings[number].problems.push(format!("the way via {} expected, but {way}", wanted.join(", ")));
        }
        findings[number].measured.path = Some(path);
    }
    Ok(())
}

fn beginnings() -> Result<Vec<Instruction>, CliError> {
    let filter = Filter::parse(BEGINNINGS, &NameTable::builtin())
        .map_err(|error| CliError::bad_input(error.message.clone()))?;
    Ok(instructions(&filter))
}

fn losses(
    cases: &[Case<'_>],
    numbers: &[usize],
    findings: &mut [Finding],
    prober: &Prober,
    options: &Options<'_>,
) -> Result<(), CliError> {
    let wanted = |number: usize| {
        cases[number].expectation.bounds.loss.map_or(0.0, nslab_topology::impairment::Share::part)
    };
    // Ten losses are to be expected where it is just as bad as it may be.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "100 to 1000")]
    let count = |number: usize| (10.0 / wanted(number)).clamp(LEAST, MOST) as u32;
    let probes: Vec<(Probe, u32)> =
        numbers.iter().map(|&number| (cases[number].probe(), count(number))).collect();
    let losses = prober.loss(&probes, options).map_err(|error| machine(&error))?;
    for (&number, loss) in numbers.iter().zip(losses) {
        if loss.sent == 0 {
            continue;
        }
        let share = f64::from(loss.lost) / f64::from(loss.sent);
        findings[number].measured.loss = Some(share);
        let most = wanted(number);
        if share >= most && loss.lost > 0 {
            let bound =
                if most == 0.0 { "no loss".to_owned() } else { format!("loss below {}%", most * 100.0) };
            findings[number]
                .problems
                .push(format!("{bound} expected, but {} of {} packets were lost", loss.lost, loss.sent));
        }
    }
    Ok(())
}

fn sizes(
    cases: &[Case<'_>],
    numbers: &[usize],
    findings: &mut [Finding],
    prober: &Prober,
    options: &Options<'_>,
) -> Result<(), CliError> {
    let slowest = numbers.iter().filter_map(|&number| findings[number].outcome.as_ref()).map(|one| one.time);
    let wait = (slowest.max().unwrap_or_default() * TIMES).max(LEAST_WAIT).min(options.timeout);
    let options = Options { timeout: wait, ..*options };
    let probes: Vec<(Probe, u32, bool)> = numbers
        .iter()
        .map(|&number| match cases[number].expectation.bounds.mtu {
            Some(Mtu::AtLeast(size)) => (cases[number].probe(), size, true),
            Some(Mtu::Exactly(size)) => (cases[number].probe(), size, false),
            None => (cases[number].probe(), 0, true),
        })
        .collect();
    let sizes = prober.size(&probes, &options).map_err(|error| machine(&error))?;
    for ((&number, size), (_, wanted, enough)) in numbers.iter().zip(sizes).zip(probes) {
        findings[number].measured.mtu = size.passes;
        let holds = size.passes.is_some_and(|passes| passes == wanted || (enough && passes > wanted));
        if !holds {
            let least = if enough { " or more" } else { "" };
            let found =
                size.passes.map_or_else(|| "none passes".to_owned(), |passes| format!("it is {passes}"));
            findings[number].problems.push(format!(
                "{wanted} bytes{least} expected as the largest that pass unfragmented, but {found}"
            ));
        }
    }
    Ok(())
}

fn bandwidth(
    case: &Case<'_>,
    finding: &mut Finding,
    prober: &Prober,
    options: &Options<'_>,
) -> Result<(), CliError> {
    let wanted = case.expectation.bounds.bandwidth.unwrap_or(0);
    let port = match case.expectation.service {
        Wanted::Tcp(port) => Some(port),
        _ => None,
    };
    let found =
        prober.bandwidth(case.from, case.address, port, wanted, options).map_err(|error| machine(&error))?;
    let problem = match found {
        Bandwidth::Measured(rate) => {
            finding.measured.bandwidth = Some(rate);
            (rate < wanted).then(|| format!("it is {}", bits(rate)))
        }
        Bandwidth::Failed { why } => Some(format!("it cannot be measured: {why}")),
    };
    let problem = problem.map(|problem| format!("a bandwidth of {} expected, but {problem}", bits(wanted)));
    finding.problems.extend(problem);
    Ok(())
}

/// A time, which is often a short one.
pub(super) fn time(time: Duration) -> String {
    if time < Duration::from_millis(1) { format!("{} µs", time.as_micros()) } else { duration(time) }
}

/// Bits in a second, with three figures.
pub(super) fn bits(rate: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
    let rate = rate as f64;
    match rate {
        ..1e3 => format!("{rate} bit/s"),
        ..1e6 => format!("{:.3} kbit/s", rate / 1e3).replace(".000", ""),
        ..1e9 => format!("{:.2} Mbit/s", rate / 1e6).replace(".00", ""),
        _ => format!("{:.2} Gbit/s", rate / 1e9).replace(".00", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        assert_eq!(bits(100_000_000), "100 Mbit/s");
        assert_eq!(bits(9_876_543), "9.88 Mbit/s");
        assert_eq!(bits(1_000_000_000), "1 Gbit/s");
    }

    #[test]
    fn the_filter_is_one() {
        assert!(!beginnings().unwrap_or_default().is_empty());
    }
}
