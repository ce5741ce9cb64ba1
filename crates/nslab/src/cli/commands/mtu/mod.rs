//! `nslab mtu`.

mod measure;
mod path;
mod report;
mod text;
mod verdict;

use std::process::ExitCode;

use nslab_lab::rootless;
use nslab_observe::pmtu::{Kind, Target};
use nslab_predict::command::Shell;
use nslab_predict::{Code, Network, Prediction, Question, fix, pmtu};
use nslab_snapshot::Options;

pub(super) use report::Report;

use super::explain::{self, Destination};
use super::{DONE, NO};
use crate::cli::args::Mtu;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::places::Places;
use crate::cli::service::Service;
use measure::Measurement;
use verdict::Verdict;

/// All that was found out.
struct Findings<'a> {
    network: &'a Network<'a>,
    question: &'a Question,
    kind: Kind,
    predicted: pmtu::PathMtu,
    measured: Option<Measurement>,
    /// What is wrong by the prediction, if that agrees with what was measured, and the packet that it is of.
    cause: Option<Prediction>,
    fix: Option<fix::Fix>,
    /// Measured, else predicted.
    verdict: Verdict,
    /// Where prediction and measurement are not the same, sentences.
    differences: Vec<String>,
}

pub(super) fn run(args: &Mtu, output: Output) -> Result<ExitCode, CliError> {
    let packet_args = args.as_explain();
    let shell = if args.snapshot.is_none() && rootless::needed() { Shell::Outside } else { Shell::Host };
    let places = Places::open(args.snapshot.as_deref(), Options::default(), output)?;
    let network = Network::of(&places.snapshot);
    let source = places.find(&args.source)?;
    explain::readable(&places.snapshot, source)?;
    let Destination { meant, address, link, service } =
        explain::destination(&packet_args, &places, &network, source)?;
    let kind = match service {
        Service::Echo => Kind::Echo,
        Service::Udp(port) => Kind::Udp(port),
        Service::Tcp(port) => Kind::Tcp(port),
        Service::Other(number) => {
            return Err(CliError::bad_input(format!(
                "protocol {number} has no answers by which its packets can be measured"
            ))
            .hint("ICMP echo, :PORT/tcp and :PORT/udp have"));
        }
    };
    let (packet, _) = explain::packet(&packet_args, &places.snapshot, source, address, service)?;
    let question = Question { namespace: source, packet, established: false, fresh: false, link };
    let target = Target { destination: address, source: args.from, scope: link.unwrap_or(0), kind };
    let predicted = pmtu::discover(&network, &question, target.least());
    let measured = if args.predict || args.snapshot.is_some() {
        None
    } else {
        Some(measure::run(&network, &question, &predicted, target, meant, args.timeout)?)
    };
    let (verdict, foreseen) =
        (verdict::of(&predicted, measured.as_ref()), verdict::of_prediction(&predicted));
    let differences =
        measured.as_ref().map_or_else(Vec::new, |measured| verdict::differences(&predicted, measured));
    // A cause is told only of what happened.
    let cause = verdict::decisive(&predicted).filter(|_| verdict == foreseen).cloned();
    let aim = fix::Aim { shell, destination: meant };
    let fix = cause.as_ref().and_then(|prediction| mend(&network, &question, prediction, &aim));
    let findings = Findings {
        network: &network,
        question: &question,
        kind,
        predicted,
        measured,
        cause,
        fix,
        verdict,
        differences,
    };
    if output.json {
        output.print_json(&Report::of(&findings));
    } else {
        output.print(&nslab_view::path_mtu(&text::of(&findings, output), &output.style()));
    }
    Ok(if verdict.is_good() { DONE } else { NO.into() })
}

/// What lets the packet through; where the sender is not told, what lets it be told.
fn mend(
    network: &Network<'_>,
    question: &Question,
    prediction: &Prediction,
    aim: &fix::Aim,
) -> Option<fix::Fix> {
    let question = pmtu::sized(question, prediction.packet.ip.size);
    let silent = prediction.cause.as_ref().is_some_and(|cause| cause.code == Code::PmtuBlackhole);
    let find = |goal| fix::find_for(network, &question, prediction, aim, goal);
    silent.then(|| find(fix::Goal::Told)).flatten().or_else(|| find(fix::Goal::Arrives))
}
