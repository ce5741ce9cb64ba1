//! `--connect`: the rest of a TCP connection.

use std::time::Duration;

use nslab_observe::trace::{Connection, ConnectionEnd, Passage, Segment};
use nslab_predict::Action;
use nslab_snapshot::Snapshot;
use nslab_view::{TraceRow, TraceSection, TraceSight};
use schemars::JsonSchema;
use serde::Serialize;

use super::report::seconds;
use crate::cli::output::duration;

/// What became of a TCP connection.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Connection")]
pub(super) struct Report {
    /// `in order`: both ends closed it; `half open`: the sender closed it, and the other end keeps its own half; `reset`: not by the sender;
    /// `silent`: nobody acknowledges its end
    #[schemars(extend("enum" = ["in order", "half open", "reset", "silent"]))]
    end: &'static str,
    /// From sending the first segment until the connection was made, in seconds
    made: f64,
    /// From sending the first segment until it ended, or nothing more was expected, in seconds
    ended: f64,
    /// Bytes that the other end sent unasked
    received: u64,
    /// Its segments behind SYN and SYN-ACK, in their order
    segments: Vec<Piece>,
}

/// A segment of a TCP connection.
#[derive(Serialize, JsonSchema)]
struct Piece {
    /// `sender` or `receiver`
    #[schemars(extend("enum" = ["sender", "receiver"]))]
    from: &'static str,
    /// Its flags, as `ack`
    flags: Vec<&'static str>,
    /// Bytes of data
    length: u64,
    /// Whether it came in where it was to go; null if nobody looks there
    arrived: Option<bool>,
    /// At which interfaces it was seen
    seen: Vec<Seen>,
}

/// A segment at an interface.
#[derive(Serialize, JsonSchema)]
struct Seen {
    /// Seconds since the first segment was sent
    time: f64,
    /// The namespace
    ns: String,
    /// The interface
    link: String,
    /// `send` or `receive`
    #[schemars(extend("enum" = ["send", "receive"]))]
    action: &'static str,
}

impl Report {
    pub(super) fn of(connection: &Connection, places: &[usize], snapshot: &Snapshot) -> Self {
        let seen = |passage: &Passage| Seen {
            time: seconds(passage.at),
            ns: name(passage, places, snapshot),
            link: passage.name.clone(),
            action: if passage.sent { "send" } else { "receive" },
        };
        let piece = |segment: &Segment| Piece {
            from: if segment.from_sender { "sender" } else { "receiver" },
            flags: segment.flags.names().collect(),
            length: segment.length,
            arrived: segment.arrived,
            seen: segment.seen.iter().map(seen).collect(),
        };
        Self {
            end: match connection.end {
                ConnectionEnd::InOrder => "in order",
                ConnectionEnd::HalfOpen => "half open",
                ConnectionEnd::Reset => "reset",
                ConnectionEnd::Silent => "silent",
            },
            made: seconds(connection.made),
            ended: seconds(connection.ended),
            received: connection.received,
            segments: connection.segments.iter().map(piece).collect(),
        }
    }
}

fn name(passage: &Passage, places: &[usize], snapshot: &Snapshot) -> String {
    places.get(passage.place).map_or_else(String::new, |&place| nslab_view::namespace_name(snapshot, place))
}

/// Whether a connection came to an end that nobody wants.
pub(super) fn fails(connection: &Connection) -> bool {
    matches!(connection.end, ConnectionEnd::Reset | ConnectionEnd::Silent)
}

/// Where each segment was seen first, and where last: it takes the way of the first two.
pub(super) fn section(
    connection: &Connection,
    places: &[usize],
    snapshot: &Snapshot,
    last: &mut Duration,
) -> TraceSection {
    let mut rows = Vec::new();
    for segment in &connection.segments {
        let flags = segment.flags.names().collect::<Vec<_>>().join(" ");
        let what = match segment.length {
            0 => flags,
            length => format!("{flags}, {length} bytes"),
        };
        let ends = match once(segment) {
            [first, .., last] => vec![first, last],
            few => few.iter().collect(),
        };
        let count = ends.len();
        for (number, passage) in ends.into_iter().enumerate() {
            let is_lost = number + 1 == count && segment.arrived == Some(false);
            let since = passage.at.saturating_sub(*last);
            *last = passage.at.max(*last);
            rows.push(TraceRow {
                sight: if is_lost { TraceSight::Unforeseen } else { TraceSight::Detail },
                since: Some(since),
                namespace: name(passage, places, snapshot),
                link: Some(passage.name.clone()),
                action: if passage.sent { Action::Send } else { Action::Receive },
                object: passage.name.clone(),
                detail: if is_lost {
                    format!("{what}, and is seen nowhere after that")
                } else {
                    what.clone()
                },
            });
        }
    }
    TraceSection { title: Some("the rest of the connection".to_owned()), rows, left: 0 }
}

/// The way that a segment went the first time, if it did not get to its end later.
fn once(segment: &Segment) -> &[Passage] {
    let at = |one: &Passage| (one.place, one.link, one.sent);
    let seen = &segment.seen;
    let again = (0..seen.len()).find(|&number| seen[..number].iter().any(|one| at(one) == at(&seen[number])));
    match again.filter(|_| segment.arrived == Some(false)) {
        Some(again) => &seen[..again],
        None => seen,
    }
}

/// How it ended, a line.
pub(super) fn end(connection: &Connection) -> String {
    let (made, ended) = (duration(connection.made), duration(connection.ended));
    let end = match connection.end {
        ConnectionEnd::InOrder => format!("closed in order after {ended}"),
        ConnectionEnd::HalfOpen => "closed by the sender; the other end keeps its half open".to_owned(),
        ConnectionEnd::Reset => format!("reset by the other end, or on the way, after {ended}"),
        ConnectionEnd::Silent => "closed by the sender, which nobody acknowledges".to_owned(),
    };
    let received = match connection.received {
        0 => String::new(),
        count => format!("; {count} bytes came unasked"),
    };
    format!("the connection is made after {made}, and {end}{received}\n")
}
