//! `capture --json`: an object on each line.

use std::fmt::Write as _;
use std::net::IpAddr;

use nslab_decode::{Identity, Style};
use nslab_observe::capture::{Capture, Sighting};
use schemars::JsonSchema;
use serde::Serialize;

use super::text::direction;
use super::view::View;

/// What `capture --json` prints, one on each line.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(title = "nslab capture --json, each line")]
pub(in crate::cli::commands) enum Event {
    /// A packet was seen at an interface
    Packet {
        /// Where and when
        #[serde(flatten)]
        at: At,
        /// How many bytes it had
        length: u32,
        /// How many of them were captured
        captured: usize,
        /// What it has in common with other sightings of the same packet, as hexadecimal digits; null if that cannot be told
        id: Option<String>,
        /// In tcpdump's words
        text: String,
        /// Its headers, by the names of protocols; null if they are of no kind that is known
        packet: Option<serde_json::Value>,
    },
    /// A packet was seen at interfaces one after the other (--follow)
    Way {
        /// Where and when
        hops: Vec<Hop>,
        /// `delivered`: it came to a namespace that has its address; `lost`: it came in somewhere and went no further; `unknown`:
        /// it went out where nobody looks, or was lost on the way
        #[schemars(extend("enum" = ["delivered", "lost", "unknown"]))]
        end: &'static str,
        /// In tcpdump's words, as it was first
        text: String,
        /// As in a packet
        id: String,
    },
    /// The end
    Summary {
        /// How many packets were captured
        captured: u64,
        /// How many the filter took
        received: u64,
        /// How many of them were lost, as they were not read fast enough
        lost: u64,
        /// The same for each namespace
        namespaces: Vec<OfNamespace>,
    },
}

/// Where and when a packet was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(in crate::cli::commands) struct At {
    /// Nanoseconds since 1970
    pub(super) time_ns: u64,
    /// The namespace
    pub(super) namespace: String,
    /// The interface
    pub(super) interface: String,
    /// `Out`, or in: `In`, `B` to all, `M` to a group, `P` to somebody else
    #[schemars(extend("enum" = ["In", "Out", "B", "M", "P"]))]
    pub(super) direction: &'static str,
}

impl At {
    /// Whether it is the same place and direction.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        (&self.namespace, &self.interface, self.direction)
            == (&other.namespace, &other.interface, other.direction)
    }
}

/// A place where a packet was seen on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Hop {
    /// Where and when
    #[serde(flatten)]
    pub(super) at: At,
    /// From whom to whom it was there, if NAT had changed that since the last place
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) translated: Option<Ends>,
}

/// From whom to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Ends {
    /// Its source
    pub(super) source: IpAddr,
    /// The port that it comes from
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_port: Option<u16>,
    /// Its destination
    pub(super) destination: IpAddr,
    /// The port that it goes to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination_port: Option<u16>,
}

/// What became of a namespace's packets.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct OfNamespace {
    /// The namespace
    namespace: String,
    /// How many the filter took
    received: u64,
    /// How many of them were lost
    lost: u64,
}

impl At {
    pub(super) fn of(namespace: &str, sighting: &Sighting<'_>) -> Self {
        Self {
            time_ns: sighting.frame.time,
            namespace: namespace.to_owned(),
            interface: sighting.interface.name.clone(),
            direction: direction(sighting.frame.kind),
        }
    }
}

/// An id as it is written.
pub(super) fn id(key: u64) -> String {
    format!("{key:016x}")
}

/// Adds an event's line.
pub(super) fn line(event: &Event, text: &mut String) {
    // Nothing in it cannot be written as JSON; writing to a String cannot fail.
    let _ = writeln!(text, "{}", serde_json::to_string(event).unwrap_or_default());
}

/// Adds a packet's line.
pub(super) fn packet(namespace: &str, sighting: &Sighting<'_>, view: &View<'_>, text: &mut String) {
    let decoded = view.decoded();
    let event = Event::Packet {
        at: At::of(namespace, sighting),
        length: view.length,
        captured: view.pieces().iter().map(|piece| piece.len()).sum(),
        id: decoded.as_ref().and_then(Identity::of).map(|identity| id(identity.key_through_nat())),
        text: decoded.as_ref().map_or_else(String::new, |one| nslab_decode::line(one, &Style::default())),
        packet: decoded.as_ref().and_then(|decoded| serde_json::to_value(decoded).ok()),
    };
    line(&event, text);
}

/// The last line.
pub(super) fn summary(capture: &Capture, captured: u64) -> String {
    let counts = capture.counts().iter().enumerate();
    let namespaces: Vec<OfNamespace> = counts
        .map(|(place, one)| OfNamespace {
            namespace: capture.name(place).to_owned(),
            received: one.seen,
            lost: one.lost,
        })
        .collect();
    let (received, lost) =
        namespaces.iter().fold((0, 0), |(received, lost), one| (received + one.received, lost + one.lost));
    let mut text = String::new();
    line(&Event::Summary { captured, received, lost, namespaces }, &mut text);
    text
}
