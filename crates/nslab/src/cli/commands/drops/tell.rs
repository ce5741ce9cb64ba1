//! Drops, one after the other.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use nslab_decode::{Decoded, Style};
use nslab_filter::Filter;
use nslab_predict::reason;
use nslab_tracepoints::{Event, Record, Symbol, Tracepoints, What};

use super::benign::Benign;
use super::host::{Asked, Cause, Causes, Host};
use super::json;
use super::packet::{self, View};
use super::summary::Summary;
use crate::cli::args;
use crate::cli::commands::capture::text::Teller;

/// Where nothing was found of late, nothing is looked for again.
const BARREN: Duration = Duration::from_secs(2);
const MOST_BARREN: usize = 10_000;

/// A drop with all that is said of it.
pub(super) struct Told {
    pub(super) time: u64,
    pub(super) namespace: String,
    pub(super) link: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) location: Option<Symbol>,
    pub(super) benign: Option<Benign>,
    pub(super) cause: Option<Cause>,
    pub(super) length: usize,
}

/// What becomes of a drop that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is told, or left out.
    Done,
    /// The host has to be looked at anew first.
    Renew,
    /// It was the last one that was wanted.
    Enough,
}

/// What drops have in common that come again and again: namespace, interfaces, and a hash of reason and function.
type Kind = (Option<u32>, Option<u32>, Option<u32>, u64);

/// Tells drops.
pub(super) struct Drops<'a> {
    args: &'a args::Drops,
    filter: Option<Filter>,
    teller: Teller,
    json: bool,
    /// By namespace: the interfaces that are meant, if not all.
    pub(super) interfaces: HashMap<u32, Vec<String>>,
    pub(super) summary: Summary,
    /// For what no cause was found in a host that was looked at after it happened.
    barren: HashMap<Kind, Instant>,
    shown: u64,
    /// What waits to be written.
    pub(super) text: String,
}

impl<'a> Drops<'a> {
    pub(super) fn new(args: &'a args::Drops, filter: Option<Filter>, json: bool) -> Self {
        let style = Style { verbosity: args.verbose, link: args.link, ..Style::default() };
        Self {
            args,
            filter,
            teller: Teller::of(style, args.numeric == 0, args.time),
            json,
            interfaces: HashMap::new(),
            summary: Summary::default(),
            barren: HashMap::new(),
            shown: 0,
            text: String::new(),
        }
    }

    /// The command's arguments.
    pub(super) fn args(&self) -> &'a args::Drops {
        self.args
    }

    /// Looks at a drop. `may_renew`: the host may be looked at anew for it.
    pub(super) fn take(
        &mut self,
        record: &Record,
        (host, causes): (&Host, &mut Causes<'_>),
        points: &Tracepoints,
        may_renew: bool,
    ) -> Next {
        let event = record.event();
        let What::Dropped { reason, location } = event.what else { return Next::Done };
        let view = View::of(&event);
        if self.filter.as_ref().is_some_and(|filter| !view.is_taken_by(filter)) {
            return Next::Done;
        }
        let is_stale = may_renew && !host.is_since(event.time);
        let is_unknown = event.namespace.is_some_and(|one| host.place(one).is_none());
        if is_unknown && is_stale {
            return Next::Renew;
        }
        let link = host.link(&event);
        if let Some(wanted) = event.namespace.and_then(|one| self.interfaces.get(&one))
            && !wanted.is_empty()
            && !link.as_ref().is_some_and(|link| wanted.contains(link))
        {
            return Next::Done;
        }
        let decoded = view.decoded();
        let reason = reason.map(|reason| points.names().reason(reason).into_owned());
        let location = points.symbol(location);
        let function: &str = location.as_ref().map_or("", |one| &one.name);
        let benign = Benign::of(&event, decoded.as_ref(), reason.as_deref(), function);
        let mut cause = None;
        if benign.is_none() {
            // An older kernel gives none.
            let is_queued = || function == "kfree_skb_list" && host.goes_out(&event, decoded.as_ref());
            let meant = reason
                .as_deref()
                .or_else(|| reason::of_function(function))
                .or_else(|| is_queued().then_some("QDISC_DROP"));
            let asked = asked(&event, host, decoded.as_ref(), meant);
            cause = asked.as_ref().and_then(|asked| causes.find(asked));
            if cause.is_none() && asked.is_some() {
                let kind = (event.namespace, event.link, event.came_by, hash(reason.as_deref(), function));
                let is_barren = self.barren.get(&kind).is_some_and(|when| when.elapsed() < BARREN);
                if is_stale && !is_barren {
                    return Next::Renew;
                }
                if host.is_since(event.time) {
                    if self.barren.len() >= MOST_BARREN {
                        self.barren.clear();
                    }
                    self.barren.insert(kind, Instant::now());
                }
            }
            cause = cause.or_else(|| causes.by_reason(&event, meant));
        }
        let namespace = host.name(event.namespace);
        let told = Told {
            time: event.time,
            namespace,
            link,
            reason,
            location,
            benign,
            cause,
            length: view.length(),
        };
        self.summary.add(&told);
        if benign.is_some() && !self.args.all {
            return Next::Done;
        }
        if self.json {
            json::drop(&told, decoded.as_ref(), &mut self.text);
        } else {
            self.tell(&told, &event, decoded.as_ref());
        }
        self.shown += 1;
        if self.args.count == Some(self.shown) { Next::Enough } else { Next::Done }
    }

    /// Two lines: the packet, and what became of it.
    fn tell(&mut self, told: &Told, event: &Event<'_>, decoded: Option<&Decoded<'_>>) {
        let text = &mut self.text;
        self.teller.time(told.time, text);
        text.push_str(&told.namespace);
        if let Some(link) = &told.link {
            text.extend([":", link]);
        }
        text.push(' ');
        let length = u32::try_from(told.length).unwrap_or(u32::MAX);
        self.teller.packet(decoded, (event.protocol, length), text);
        text.push_str("\n    ");
        text.push_str(told.reason.as_deref().unwrap_or("dropped"));
        if let Some(location) = &told.location {
            // Writing to a String cannot fail, here and below.
            let _ = write!(text, " at {}", location.name);
            if let Some(module) = &location.module {
                let _ = write!(text, " [{module}]");
            }
        }
        if let Some(benign) = told.benign {
            let _ = write!(text, ": no fault, {}", benign.words());
        }
        match &told.cause {
            Some(Cause { code, object: Some(object) }) => {
                let _ = write!(text, ": {code}");
                if object.namespace != told.namespace {
                    let _ = write!(text, " in {}", object.namespace);
                }
                let _ = write!(text, " {}: {}", object.name, object.text);
            }
            Some(Cause { code, object: None }) => drop(write!(text, ": {code}")),
            None => {}
        }
        text.push('\n');
    }
}

/// What is asked about a drop; none if predictions are of no such packets.
fn asked(
    event: &Event<'_>,
    host: &Host,
    decoded: Option<&Decoded<'_>>,
    reason: Option<&str>,
) -> Option<Asked> {
    let decoded = decoded?;
    Some(Asked {
        place: host.place(event.namespace?)?,
        came_by: event.came_by,
        packet: packet::question(decoded, event.mark)?,
        macs: packet::macs(decoded),
        reason: reason.map(str::to_owned),
    })
}

fn hash(reason: Option<&str>, function: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (reason, function).hash(&mut hasher);
    hasher.finish()
}
