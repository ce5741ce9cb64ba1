//! `mtu` as JSON.

use std::net::IpAddr;

use nslab_kernel::route;
use nslab_observe::pmtu::{Fate, Kind, Next, Outcome, What};
use nslab_predict::{Network, Prediction, pmtu};
use schemars::JsonSchema;
use serde::Serialize;

use super::measure::Measurement;
use super::{Findings, path, verdict};
use crate::cli::commands::explain::{Cause, Place};
use crate::cli::output::milliseconds;

/// How large a packet gets through, and what becomes of larger ones.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab mtu --json")]
pub(in crate::cli) struct Report {
    /// What was measured, else what is predicted. `whole`: the largest packet that the sender's interface takes gets through;
    /// `discovered`: it does not, and the sender learns what does; `lost`: packets are lost and the sender goes on sending
    /// them; `unreachable`: the smallest packet does not get through either; `unknown`
    #[schemars(extend("enum" = ["whole", "discovered", "lost", "unreachable", "unknown"]))]
    verdict: String,
    /// What stops packets, as predicted; null if nothing does, or if something else was measured than predicted
    cause: Option<Cause>,
    source: IpAddr,
    destination: IpAddr,
    /// `icmp`, `udp` or `tcp`
    protocol: String,
    port: Option<u16>,
    /// What the sender's interface takes, in bytes of IP
    full: u32,
    /// The interfaces on the way of the largest packet that gets through
    hops: Vec<Hop>,
    predicted: Predicted,
    /// Null if nothing was sent
    measured: Option<Measured>,
    /// What the sender's kernel knows; null if nothing was sent
    sender: Option<Sender>,
    /// Where prediction and measurement are not the same, sentences
    differences: Vec<String>,
}

/// An interface on the way.
#[derive(Serialize, JsonSchema)]
struct Hop {
    ns: String,
    link: String,
    /// Bytes of IP that it takes
    mtu: u32,
    /// Bytes that tunnels put around the packet there
    overhead: u32,
    /// Packets end there that are larger
    narrow: bool,
}

/// What is predicted.
#[derive(Serialize, JsonSchema)]
struct Predicted {
    #[schemars(extend("enum" = ["whole", "discovered", "lost", "unreachable", "unknown"]))]
    verdict: String,
    /// The largest packet that gets through, in bytes of IP; null if none does
    mtu: Option<u32>,
    /// What the sender's own route says of the path, if it says less than the interface takes
    route: Option<u32>,
    /// What a sender goes through that begins with the largest packet and obeys what it is told
    steps: Vec<PredictedStep>,
}

/// A packet, as predicted.
#[derive(Serialize, JsonSchema)]
struct PredictedStep {
    size: u32,
    /// As of `explain`
    verdict: String,
    /// The code of its cause
    code: Option<String>,
    /// Who says that it is too big
    from: Option<IpAddr>,
    /// What that says would get through
    mtu: Option<u32>,
}

/// What was measured.
#[derive(Serialize, JsonSchema)]
struct Measured {
    #[schemars(extend("enum" = ["whole", "discovered", "lost", "unreachable", "unknown"]))]
    verdict: String,
    /// The largest packet that got through, in bytes of IP; null if none did
    mtu: Option<u32>,
    /// What the sender went through that began with the largest packet and obeyed what it was told
    steps: Vec<u32>,
    /// All sizes that were sent
    probes: Vec<Probe>,
}

/// What became of packets of one size.
#[derive(Serialize, JsonSchema)]
struct Probe {
    size: u32,
    /// `answered`; `arrived`: it came to the destination, and no answer came back; `too_big`: the sender was told so; `refused`: by
    /// another ICMP error; `not_sent`: by the sender's own kernel; `silent`
    #[schemars(extend("enum" = ["answered", "arrived", "too_big", "refused", "not_sent", "silent"]))]
    outcome: String,
    passes: bool,
    rtt_ms: Option<f64>,
    /// Who sent the error that came
    from: Option<IpAddr>,
    /// The MTU that it names
    mtu: Option<u32>,
    /// Where the packet was seen, in the order of time, as `NAMESPACE:INTERFACE`
    seen: Vec<String>,
    /// Where the word that it is too big was seen
    errors: Vec<Told>,
    /// It was cut in pieces all the same
    in_pieces: bool,
}

/// A sighting of an ICMP error.
#[derive(Serialize, JsonSchema)]
struct Told {
    /// The interface, as `NAMESPACE:INTERFACE`
    at: String,
    /// It goes out there
    out: bool,
    from: IpAddr,
    mtu: u32,
}

/// What the sender's kernel knows of the path.
#[derive(Serialize, JsonSchema)]
struct Sender {
    before: Known,
    after: Known,
    /// What it does with the next packet of the full size: `refuses` it, as it obeys what it was told, or `sends` it; null if it
    /// was told nothing
    #[schemars(extend("enum" = ["refuses", "sends", "fails", null]))]
    next: Option<String>,
}

/// What a route lookup says.
#[derive(Serialize, JsonSchema)]
struct Known {
    /// In bytes of IP; null is the interface's
    mtu: Option<u32>,
    /// So many seconds it is remembered; null if a route says so, or nobody
    expires: Option<u64>,
}

impl Report {
    pub(super) fn of(findings: &Findings<'_>) -> Self {
        let Findings { network, predicted, measured, .. } = findings;
        let packet = &predicted.least.packet;
        let name = match packet.protocol() {
            6 => "tcp",
            17 => "udp",
            _ => "icmp",
        };
        let cause = findings.cause.as_ref().and_then(|prediction| prediction.cause.as_ref());
        Self {
            verdict: findings.verdict.word().to_owned(),
            cause: cause.map(|cause| Cause::of(network.snapshot, cause, findings.fix.as_ref())),
            source: packet.ip.source,
            destination: packet.ip.destination,
            protocol: name.to_owned(),
            port: packet.ports().map(|(_, port)| port),
            full: predicted.full,
            hops: hops(network, predicted),
            predicted: Predicted {
                verdict: verdict::of_prediction(predicted).word().to_owned(),
                mtu: predicted.mtu(),
                route: predicted.route,
                steps: predicted.rungs.iter().map(step).collect(),
            },
            measured: measured.as_ref().map(|measured| Measured::of(network, measured)),
            sender: measured.as_ref().map(Sender::of),
            differences: findings.differences.clone(),
        }
    }
}

fn hops(network: &Network<'_>, predicted: &pmtu::PathMtu) -> Vec<Hop> {
    let stages = path::stages(network, predicted);
    let hop = |stage: path::Stage| {
        let place = Place::of(network.snapshot, stage.at.namespace, Some(stage.at.link), "");
        let (ns, link) = place.into_port();
        Hop { ns, link, mtu: stage.mtu, overhead: stage.overhead, narrow: stage.narrow }
    };
    stages.into_iter().map(hop).collect()
}

fn step(prediction: &Prediction) -> PredictedStep {
    let mtu = pmtu::told(prediction);
    PredictedStep {
        size: prediction.packet.ip.size,
        verdict: nslab_view::verdict_word(prediction.verdict).to_owned(),
        code: prediction.cause.as_ref().map(|cause| cause.code.to_string()),
        from: prediction.told.filter(|_| mtu.is_some()).map(|told| told.from),
        mtu,
    }
}

impl Measured {
    fn of(network: &Network<'_>, measurement: &Measurement) -> Self {
        let measured = &measurement.measured;
        Self {
            verdict: verdict::of_measurement(measurement).word().to_owned(),
            mtu: measured.largest,
            steps: measured.discovery(measurement.start()).iter().map(|step| step.size).collect(),
            probes: measured
                .outcomes
                .iter()
                .map(|outcome| Probe::of(network, measurement, outcome))
                .collect(),
        }
    }
}

impl Probe {
    fn of(network: &Network<'_>, measurement: &Measurement, outcome: &Outcome) -> Self {
        let word = match outcome.fate {
            Fate::Answered(_) => "answered",
            Fate::Arrived => "arrived",
            Fate::TooBig { .. } => "too_big",
            Fate::Refused { .. } => "refused",
            Fate::NotSent(_) => "not_sent",
            Fate::Silent => "silent",
        };
        let (from, mtu) = match outcome.fate {
            Fate::TooBig { from, mtu } => (Some(from), Some(mtu)),
            Fate::Refused { from, .. } => (Some(from), None),
            _ => (None, None),
        };
        let at = |place: usize, interface: &str| {
            let place = measurement.places.get(place).copied().unwrap_or_default();
            format!("{}:{interface}", nslab_view::namespace_name(network.snapshot, place))
        };
        let mut seen: Vec<String> = Vec::new();
        for one in outcome.seen.iter().filter(|one| matches!(one.what, What::Probe { .. })) {
            let at = at(one.place, &one.interface);
            if !seen.contains(&at) {
                seen.push(at);
            }
        }
        let mut errors: Vec<Told> = Vec::new();
        for one in &outcome.seen {
            let What::TooBig { from, mtu } = one.what else { continue };
            let at = at(one.place, &one.interface);
            if !errors.iter().any(|known| known.at == at && known.out == one.outgoing) {
                errors.push(Told { at, out: one.outgoing, from, mtu });
            }
        }
        Self {
            size: outcome.size,
            outcome: word.to_owned(),
            passes: outcome.passes,
            rtt_ms: match outcome.fate {
                Fate::Answered(time) => Some(milliseconds(time)),
                _ => None,
            },
            from,
            mtu,
            seen,
            errors,
            in_pieces: outcome.seen.iter().any(|one| one.what == What::Probe { in_pieces: true }),
        }
    }
}

impl Sender {
    fn of(measurement: &Measurement) -> Self {
        let known = |known: &route::PathMtu| Known {
            mtu: known.mtu,
            expires: known.expires.map(|expires| expires.as_secs()),
        };
        let next = measurement.next.map(|next| match next {
            Next::Refuses => "refuses",
            Next::Sends => "sends",
            Next::Fails(_) => "fails",
        });
        Self {
            before: known(&measurement.before),
            after: known(&measurement.after),
            next: next.map(str::to_owned),
        }
    }
}

/// What a protocol is called, with its port.
pub(super) fn protocol(kind: Kind) -> String {
    match kind {
        Kind::Echo => "ICMP echo".to_owned(),
        Kind::Udp(port) => format!("UDP to port {port}"),
        Kind::Tcp(port) => format!("TCP to port {port}"),
    }
}
