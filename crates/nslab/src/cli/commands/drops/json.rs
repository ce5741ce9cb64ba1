//! `drops --json`: an object on each line.

use std::fmt::Write as _;

use nslab_decode::{Decoded, Style};
use nslab_predict::Code;
use schemars::JsonSchema;
use serde::Serialize;

use super::benign::Benign;
use super::host;
use super::summary::Summary;
use super::tell::Told;

/// What `drops --json` prints, one on each line.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(title = "nslab drops --json, each line")]
pub(in crate::cli::commands) enum Line {
    /// A packet was dropped
    Drop(Box<Drop>),
    /// The end
    Summary {
        /// How many were dropped, without those that are no fault
        dropped: u64,
        /// How many drops could not be told, as they were not read fast enough
        lost: u64,
        /// The same ones together
        causes: Vec<Count>,
        /// Drops that are no fault
        benign: Vec<Folded>,
    },
}

/// A packet that was dropped.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Drop {
    /// Nanoseconds since 1970
    time_ns: u64,
    /// Where
    namespace: String,
    /// The interface that it was at, or came by; null if it was at none
    interface: Option<String>,
    /// The kernel's reason (`enum skb_drop_reason`), as `NETFILTER_DROP`; null before Linux 5.17
    reason: Option<String>,
    /// Where in the kernel's code; null if it does not say
    location: Option<Location>,
    /// What stops it; null if that is not known
    cause: Option<Cause>,
    /// Why it is no fault; null if it may be one
    #[schemars(extend("enum" = Benign::ALL.iter().map(|one| Some(one.name())).chain([None]).collect::<Vec<_>>()))]
    benign: Option<&'static str>,
    /// How many bytes it had
    length: usize,
    /// In tcpdump's words
    text: String,
    /// Its headers, by the names of protocols; null if they are of no kind that is known
    packet: Option<serde_json::Value>,
}

/// A place in the kernel's code.
#[derive(Serialize, JsonSchema)]
struct Location {
    /// The function
    function: String,
    /// How far behind its beginning, in bytes
    offset: u64,
    /// The module, if it is in one
    module: Option<String>,
}

/// What stops a packet.
#[derive(Serialize, JsonSchema)]
struct Cause {
    #[schemars(extend("enum" = Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()))]
    code: String,
    /// The object; null if all that is known is the kernel's reason
    #[serde(rename = "where")]
    place: Option<Place>,
    /// Why, a sentence
    text: Option<String>,
}

/// Where something is.
#[derive(Serialize, JsonSchema)]
struct Place {
    /// The namespace
    ns: String,
    /// The interface, if it is at one
    link: Option<String>,
    /// The object
    object: String,
}

/// Drops that are alike.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Count {
    /// Where
    namespace: String,
    /// The kernel's reason
    reason: Option<String>,
    /// The cause's code
    code: Option<String>,
    /// Its object
    object: Option<String>,
    /// How many
    packets: u64,
}

/// Drops that are no fault.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Folded {
    /// Why they are none
    kind: &'static str,
    /// How many
    packets: u64,
}

/// Adds a drop's line.
pub(super) fn drop(told: &Told, decoded: Option<&Decoded<'_>>, text: &mut String) {
    let cause = told.cause.as_ref().map(|cause| {
        let host::Cause { code, object } = cause.clone();
        let text = object.as_ref().map(|object| object.text.clone());
        let place = object.map(|one| Place { ns: one.namespace, link: one.link, object: one.name });
        Cause { code: code.to_string(), place, text }
    });
    let line = Line::Drop(Box::new(Drop {
        time_ns: told.time,
        namespace: told.namespace.clone(),
        interface: told.link.clone(),
        reason: told.reason.clone(),
        location: told.location.as_ref().map(|one| Location {
            function: one.name.to_string(),
            offset: one.offset,
            module: one.module.as_deref().map(str::to_owned),
        }),
        cause,
        benign: told.benign.map(Benign::name),
        length: told.length,
        text: decoded.map_or_else(String::new, |one| nslab_decode::line(one, &Style::default())),
        packet: decoded.and_then(|one| serde_json::to_value(one).ok()),
    }));
    write(&line, text);
}

/// The last line.
pub(super) fn summary(summary: &Summary, lost: u64) -> String {
    let causes = summary.rows().into_iter().map(|(kind, packets)| Count {
        namespace: kind.namespace.clone(),
        reason: kind.reason.clone(),
        code: kind.cause.as_ref().map(|cause| cause.code.to_string()),
        object: kind.cause.as_ref().and_then(|cause| Some(cause.object.as_ref()?.name.clone())),
        packets,
    });
    let benign = summary.benign().map(|(kind, packets)| Folded { kind: kind.name(), packets });
    let line = Line::Summary {
        dropped: summary.dropped(),
        lost,
        causes: causes.collect(),
        benign: benign.collect(),
    };
    let mut text = String::new();
    write(&line, &mut text);
    text
}

fn write(line: &Line, text: &mut String) {
    // Nothing in it cannot be written as JSON; writing to a String cannot fail.
    let _ = writeln!(text, "{}", serde_json::to_string(line).unwrap_or_default());
}
