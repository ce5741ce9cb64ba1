//! `trace` as JSON.

use std::time::Duration;

use nslab_compare::{Count, End, Step, Story};
use nslab_observe::trace::{Heard, Role, Trace};
use nslab_predict::Code;
use nslab_snapshot::Snapshot;
use nslab_view::Explanation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::explain;

/// What became of a packet.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab trace --json")]
pub(in crate::cli) struct Report {
    /// What really became of it: `delivered`, `dropped`, or `rejected`: the sender was told
    #[schemars(extend("enum" = ["delivered", "dropped", "rejected"]))]
    verdict: String,
    /// Why it did not arrive; null if it did
    cause: Option<Cause>,
    /// Whether all was as predicted; null if nothing was predicted, or steps are missing that may have been lost, or an
    /// error that the kernel may have withheld
    agrees: Option<bool>,
    /// In what the prediction was wrong, sentences
    differences: Vec<String>,
    /// By what the packet was seen
    #[schemars(extend("items" = {"enum": ["kernel tracepoints", "nft trace", "packet sockets", "counters", "the sender's socket"]}))]
    evidence: Vec<&'static str>,
    /// What the kernel counted meanwhile, if the packet did not arrive
    counters: Vec<Counted>,
    /// Why the kernel's tracepoints were not used; null if they were
    no_tracepoints: Option<String>,
    /// Namespaces in which rules could not be traced, and why
    untraced: Vec<Untraced>,
    /// The steps of the packet, then of its answer, then of the error about it, as far as there are such
    steps: Vec<At>,
    /// What its sender heard, in this order
    heard: Vec<Told>,
    /// What became of the TCP connection, with --connect; null if it was not made
    connection: Option<super::connection::Report>,
    /// Packets that were lost on their way to nslab, so that they may have been anywhere
    lost: u64,
    /// The kernel told of more rules than there was room for
    missed: bool,
    /// From sending until nothing more was expected, in seconds
    took: f64,
    /// What was predicted
    prediction: explain::Report,
}

/// Why a packet did not arrive.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Cause {
    #[schemars(extend("enum" = Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()))]
    code: String,
    #[serde(rename = "where")]
    place: Place,
    /// Why, a sentence
    text: String,
    /// Commands that, typed in this order, make the packet arrive; empty if none could be proved
    fix: Vec<String>,
    /// It is what was predicted, rather than where the packet was last seen
    predicted: bool,
}

/// Where something is.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Place {
    /// The namespace
    ns: String,
    /// The interface, if it is at one
    link: Option<String>,
    /// The object
    object: String,
}

/// A namespace in which rules could not be traced.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Untraced {
    /// The namespace
    pub(super) ns: String,
    /// Why
    pub(super) why: String,
}

/// A counter of the kernel's that grew: by this packet or by others, as all of the namespace are counted.
#[derive(Serialize, JsonSchema)]
struct Counted {
    /// The namespace
    ns: String,
    /// The interface that counts; null if a protocol does
    link: Option<String>,
    /// Its name: that of `nstat`, or the member of `struct rtnl_link_stats64`
    counter: &'static str,
    /// By how much
    by: u64,
    /// By which causes it can have grown, the most likely one first
    #[schemars(extend("items" = {"enum": Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()}))]
    causes: Vec<&'static str>,
    /// It is where the packet was predicted to stop, and by what makes it grow
    backs: bool,
}

/// A step on a way.
#[derive(Serialize, JsonSchema)]
struct At {
    /// Whose: `request`, `answer`, `error`
    #[schemars(extend("enum" = ["request", "answer", "error"]))]
    of: &'static str,
    #[serde(flatten)]
    step: Done,
}

/// What happened to a packet.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli::commands) struct Done {
    /// Seconds since the packet was sent, or first seen; null of what has no time
    time: Option<f64>,
    #[serde(flatten)]
    place: Place,
    /// What is done, as in `explain`
    action: &'static str,
    /// Why, or how the packet changes
    detail: String,
    /// `seen`: as predicted; `predicted`: nothing shows it; `missing`: predicted, but not seen; `unforeseen`: seen, but not predicted;
    /// `detail`: seen, and the prediction does not tell of such
    #[schemars(extend("enum" = ["seen", "predicted", "missing", "unforeseen", "detail"]))]
    sight: &'static str,
    /// By what it was seen
    by: Option<&'static str>,
}

/// What the sender heard.
#[derive(Serialize, JsonSchema)]
struct Told {
    /// From whom
    from: std::net::IpAddr,
    /// `answer`, `icmp` or `reset`
    #[schemars(extend("enum" = ["answer", "icmp", "reset"]))]
    what: &'static str,
    /// ICMP's type
    kind: Option<u8>,
    /// ICMP's code
    code: Option<u8>,
    /// The MTU that it names
    mtu: Option<u32>,
}

impl Place {
    fn of(snapshot: &Snapshot, namespace: usize, link: Option<u32>, object: &str) -> Self {
        let ns = nslab_view::namespace_name(snapshot, namespace);
        let object = nslab_view::short_object(object, &ns).to_owned();
        Self { link: link.and_then(|link| nslab_view::link_name(snapshot, namespace, link)), ns, object }
    }
}

impl Cause {
    /// Where a packet ended, which was predicted or only seen.
    pub(super) fn of_end(end: &End, predicted: bool, snapshot: &Snapshot) -> Self {
        Self {
            code: end.code.to_string(),
            place: Place::of(snapshot, end.namespace, end.link, &end.object),
            text: end.text.clone(),
            fix: Vec::new(),
            predicted,
        }
    }
}

impl Counted {
    fn of(count: &Count, snapshot: &Snapshot) -> Self {
        let link = count.counter.link();
        Self {
            ns: nslab_view::namespace_name(snapshot, count.namespace),
            link: link.and_then(|link| nslab_view::link_name(snapshot, count.namespace, link)),
            counter: count.counter.name(),
            by: count.by,
            causes: count.causes().iter().map(|code| code.as_str()).collect(),
            backs: count.backs,
        }
    }
}

impl Done {
    pub(super) fn of(step: &Step, snapshot: &Snapshot) -> Self {
        Self {
            time: step.at.map(seconds),
            place: Place::of(snapshot, step.namespace, step.link, &step.object),
            action: nslab_view::action_word(step.action),
            detail: step.detail.clone(),
            sight: step.sight.as_str(),
            by: step.by.map(nslab_compare::By::as_str),
        }
    }
}

impl Report {
    pub(super) fn of(
        story: &Story,
        explanation: &Explanation<'_>,
        trace: &Trace,
        places: &[usize],
        agrees: Option<bool>,
        no_tracepoints: Option<String>,
    ) -> Self {
        let snapshot = explanation.snapshot;
        let name = |place: usize| nslab_view::namespace_name(snapshot, place);
        let place = |namespace, link, object: &str| Place::of(snapshot, namespace, link, object);
        let predicted = explanation.prediction.cause.as_ref().filter(|_| story.end.is_none());
        let cause = match (&story.end, predicted) {
            (Some(end), _) => Some(Cause::of_end(end, false, snapshot)),
            (None, Some(cause)) if story.verdict != nslab_predict::Verdict::Delivered => Some(Cause {
                code: cause.code.to_string(),
                place: place(cause.namespace, cause.link, &cause.object),
                text: cause.text.clone(),
                fix: explanation.fix.iter().flat_map(|fix| fix.commands().map(str::to_owned)).collect(),
                predicted: true,
            }),
            _ => None,
        };
        let at = |role: Role, step: &Step| At {
            of: match role {
                Role::Request => "request",
                Role::Answer => "answer",
                Role::Error => "error",
            },
            step: Done::of(step, snapshot),
        };
        let steps = story.ways.iter().flat_map(|(role, steps)| steps.iter().map(|step| at(*role, step)));
        Self {
            verdict: nslab_view::verdict_word(story.verdict).to_owned(),
            cause,
            agrees,
            differences: story.differences.clone(),
            evidence: story.evidence.iter().map(|by| by.as_str()).collect(),
            counters: story.counts.iter().map(|count| Counted::of(count, snapshot)).collect(),
            no_tracepoints,
            untraced: trace
                .untraced
                .iter()
                .map(|(number, why)| Untraced {
                    ns: places.get(*number).map_or_else(String::new, |&place| name(place)),
                    why: why.clone(),
                })
                .collect(),
            steps: steps.collect(),
            heard: trace.heard.iter().map(|heard| told(*heard)).collect(),
            connection: trace
                .connection
                .as_ref()
                .map(|connection| super::connection::Report::of(connection, places, snapshot)),
            lost: trace.lost,
            missed: trace.missed,
            took: seconds(trace.took),
            prediction: explain::Report::of(explanation),
        }
    }
}

fn told(heard: Heard) -> Told {
    match heard {
        Heard::Answer { from } => Told { from, what: "answer", kind: None, code: None, mtu: None },
        Heard::Reset { from } => Told { from, what: "reset", kind: None, code: None, mtu: None },
        Heard::Error { from, kind, code, mtu } => {
            Told { from, what: "icmp", kind: Some(kind), code: Some(code), mtu }
        }
    }
}

pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e9
}
