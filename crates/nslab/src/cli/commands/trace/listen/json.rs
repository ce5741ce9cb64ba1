//! `trace --listen --json`: an object on each line.

use nslab_compare::{Foreseen, Passing};
use nslab_decode::{Flow, Points, Style};
use nslab_observe::trace::listen::{Listener, Packet};
use nslab_snapshot::Snapshot;
use schemars::JsonSchema;
use serde::Serialize;

use super::losses::lost;
use super::packet::words;
use crate::cli::commands::capture::text::Teller;
use crate::cli::commands::trace::report::{Cause, Done, Untraced};

/// What `trace --listen --json` prints, one on each line.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(title = "nslab trace --listen --json, each line")]
pub(in crate::cli::commands) enum Line {
    /// A packet came to its end
    Packet(Box<Told>),
    /// The end
    Summary {
        /// How many packets were told of
        packets: u64,
        /// How many of them were not as predicted
        different: u64,
        /// How many frames were lost, as they were not read fast enough
        lost: u64,
        /// How many packets were not followed, as too many were on their way
        skipped: u64,
        /// The kernel had more to tell of rules than there was room for
        missed: bool,
        /// Why the kernel's tracepoints were not used; null if they were
        no_tracepoints: Option<String>,
        /// Namespaces in which rules were not traced, and why
        untraced: Vec<Untraced>,
    },
}

/// A packet that came to its end.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Told {
    /// When it was first seen, in nanoseconds since 1970
    time_ns: u64,
    /// From whom to whom, as it was first
    flow: Ends,
    /// In tcpdump's words, as it was first
    text: String,
    /// `delivered`: it came to a namespace that takes it; `dropped`; `left`: it went out where nobody looks; `lost`: it was seen no more
    /// where it would have been seen
    #[schemars(extend("enum" = ["delivered", "dropped", "left", "lost"]))]
    fate: &'static str,
    /// Why it did not arrive; null if it did, or left
    cause: Option<Cause>,
    /// Whether all was as predicted; null if nothing was predicted for sure, or steps are missing that may be among what was lost
    agrees: Option<bool>,
    /// Why nothing was predicted for sure; null if it was
    not_predicted: Option<String>,
    /// In what the prediction was wrong, sentences
    differences: Vec<String>,
    /// By what the packet was seen
    #[schemars(extend("items" = {"enum": ["kernel tracepoints", "nft trace", "packet sockets"]}))]
    evidence: Vec<&'static str>,
    /// Its steps
    steps: Vec<Done>,
}

/// From whom to whom.
#[derive(Serialize, JsonSchema)]
struct Ends {
    /// Its source
    source: std::net::IpAddr,
    /// The port that it comes from
    source_port: Option<u16>,
    /// Its destination
    destination: std::net::IpAddr,
    /// The port that it goes to
    destination_port: Option<u16>,
    /// The protocol of IP, by its number
    protocol: u8,
}

/// A packet's line.
pub(super) fn packet((seen, tale, foreseen): (&Packet, &Passing, &Foreseen), snapshot: &Snapshot) -> Line {
    let mut text = String::new();
    words(seen, &mut Teller::of(Style::default(), false, 0), &mut text);
    let Flow { source, destination, protocol, points } = seen.flow;
    let (source_port, destination_port) = match points {
        Points::Ports { source, destination } => (Some(source), Some(destination)),
        Points::Echo(_) | Points::None => (None, None),
    };
    Line::Packet(Box::new(Told {
        time_ns: seen.begin,
        flow: Ends { source, source_port, destination, destination_port, protocol },
        text,
        fate: tale.fate.as_str(),
        cause: tale.end.as_ref().map(|(end, predicted)| Cause::of_end(end, *predicted, snapshot)),
        agrees: tale.agrees,
        not_predicted: foreseen.unknown.clone(),
        differences: tale.differences.clone(),
        evidence: tale.evidence.iter().map(|by| by.as_str()).collect(),
        steps: tale.steps.iter().map(|step| Done::of(step, snapshot)).collect(),
    }))
}

/// The last line.
pub(super) fn summary(
    (packets, different): (u64, u64),
    listener: &Listener,
    no_tracepoints: Option<&str>,
    name: impl Fn(usize) -> String,
) -> Line {
    Line::Summary {
        packets,
        different,
        lost: lost(listener),
        skipped: listener.skipped(),
        missed: listener.has_missed(),
        no_tracepoints: no_tracepoints.map(str::to_owned),
        untraced: listener
            .untraced()
            .map(|(place, why)| Untraced { ns: name(place), why: why.to_owned() })
            .collect(),
    }
}
