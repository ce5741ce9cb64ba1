//! `explain` as JSON.

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use nslab_predict::fix::Fix;
use nslab_predict::{Code, Error, Evidence, Hop, Told};
use nslab_snapshot::Snapshot;
use nslab_view::Explanation;
use schemars::JsonSchema;
use serde::Serialize;

/// What becomes of a packet.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab explain --json")]
pub(in crate::cli) struct Report {
    /// `delivered`: it arrives, and where it is answered the answer comes back; `dropped`; `rejected`: the sender is told;
    /// `unknown`: what it hangs on is not known
    #[schemars(extend("enum" = ["delivered", "dropped", "rejected", "unknown"]))]
    verdict: String,
    /// What stops it; null if it is delivered
    cause: Option<Cause>,
    /// The packet as it leaves the program
    packet: Packet,
    /// Its way
    hops: Vec<Step>,
    /// The way of the answer; null if there is none
    #[serde(rename = "return")]
    answer: Option<Vec<Step>>,
    /// The way of the ICMP error or TCP reset that tells the sender; null if there is none
    error: Option<Vec<Step>>,
    /// What the sender is told; null if nothing
    told: Option<Heard>,
    /// What was taken for granted
    assumptions: Vec<String>,
}

/// The object that stops a packet.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct Cause {
    #[schemars(extend("enum" = Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()))]
    code: String,
    #[serde(rename = "where")]
    place: Place,
    /// Why, a sentence
    text: String,
    /// Commands that, typed in this order, make the packet arrive; empty if none could be proved
    fix: Vec<String>,
    /// The same, by what each mends
    steps: Vec<Mending>,
    /// Why an answer or ICMP error does not come back
    inner: Option<String>,
    /// What would settle an unknown verdict
    resolve: Option<String>,
}

/// Where something is.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct Place {
    /// The namespace
    ns: String,
    /// The interface, if it is at one
    link: Option<String>,
    /// The object
    object: String,
}

/// A part of a fix.
#[derive(Serialize, JsonSchema)]
struct Mending {
    /// The cause that it mends
    code: String,
    /// What it does
    text: String,
    commands: Vec<String>,
}

/// A packet's headers.
#[derive(Serialize, JsonSchema)]
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    /// The IP protocol's number
    protocol: u8,
    /// The ports of TCP and UDP
    sport: Option<u16>,
    dport: Option<u16>,
    /// TTL or hop limit
    ttl: u8,
    /// Bytes, IP header and all
    size: u32,
    /// It may not be fragmented
    df: bool,
    mark: u32,
}

/// A step on a way.
#[derive(Serialize, JsonSchema)]
struct Step {
    #[serde(flatten)]
    place: Place,
    /// What is done: `make`, `route`, `filter`, `change`, `resolve`, `send`, `receive`, `bridge`, `fragment`, `encapsulate`,
    /// `decapsulate`, `deliver`, `stop`
    action: String,
    /// Why, or how the packet changes
    detail: String,
}

/// What the sender hears.
#[derive(Serialize, JsonSchema)]
struct Heard {
    /// Who says so
    from: IpAddr,
    /// `icmp` or `reset`
    error: String,
    /// ICMP's type
    kind: Option<u8>,
    /// ICMP's code
    code: Option<u8>,
    /// The MTU that it names
    mtu: Option<u32>,
}

impl Report {
    pub(in crate::cli) fn of(explanation: &Explanation<'_>) -> Self {
        let Explanation { snapshot, prediction, fix, .. } = explanation;
        let steps = |hops: &[Hop]| hops.iter().map(|hop| Step::of(hop, snapshot)).collect::<Vec<_>>();
        let cause = prediction.cause.as_ref().map(|cause| Cause::of(snapshot, cause, *fix));
        let ip = &prediction.packet.ip;
        let ports = prediction.packet.ports();
        Self {
            verdict: nslab_view::verdict_word(prediction.verdict).to_owned(),
            cause,
            packet: Packet {
                source: ip.source,
                destination: ip.destination,
                protocol: prediction.packet.protocol(),
                sport: ports.map(|(source, _)| source),
                dport: ports.map(|(_, destination)| destination),
                ttl: ip.ttl,
                size: ip.size,
                df: ip.dont_fragment,
                mark: prediction.packet.mark,
            },
            hops: steps(&prediction.hops),
            answer: prediction.answer.as_deref().map(steps),
            error: prediction.error.as_deref().map(steps),
            told: prediction.told.as_ref().map(Heard::of),
            assumptions: prediction.assumptions.clone(),
        }
    }
}

impl Cause {
    pub(in crate::cli) fn of(snapshot: &Snapshot, cause: &nslab_predict::Cause, fix: Option<&Fix>) -> Self {
        Self {
            code: cause.code.to_string(),
            place: Place::of(snapshot, cause.namespace, cause.link, &cause.object),
            text: cause.text.clone(),
            fix: fix.iter().flat_map(|fix| fix.commands().map(str::to_owned)).collect(),
            steps: fix
                .iter()
                .flat_map(|fix| &fix.steps)
                .map(|step| Mending {
                    code: step.code.to_string(),
                    text: step.text.clone(),
                    commands: step.commands.clone(),
                })
                .collect(),
            inner: cause.inner.map(|code| code.to_string()),
            resolve: match &cause.evidence {
                Evidence::Doubts(doubts) => {
                    let settle: Vec<&str> = doubts.iter().map(|doubt| &doubt.settle[..]).collect();
                    (!settle.is_empty()).then(|| settle.join("; "))
                }
                _ => None,
            },
        }
    }
}

impl Place {
    pub(in crate::cli) fn of(
        snapshot: &Snapshot,
        namespace: usize,
        link: Option<IfIndex>,
        object: &str,
    ) -> Self {
        let ns = nslab_view::namespace_name(snapshot, namespace);
        let object = nslab_view::short_object(object, &ns).to_owned();
        let link = link.and_then(|link| nslab_view::link_name(snapshot, namespace, link));
        Self { ns, link, object }
    }
}

impl Place {
    /// The namespace and the interface.
    pub(in crate::cli) fn into_port(self) -> (String, String) {
        (self.ns, self.link.unwrap_or_default())
    }
}

impl Step {
    fn of(hop: &Hop, snapshot: &Snapshot) -> Self {
        Self {
            place: Place::of(snapshot, hop.namespace, hop.link, &hop.object),
            action: nslab_view::action_word(hop.action).to_owned(),
            detail: hop.detail.clone(),
        }
    }
}

impl Heard {
    fn of(told: &Told) -> Self {
        let (error, kind, code, mtu) = match told.what {
            Error::Icmp { kind, code, mtu } => ("icmp", Some(kind), Some(code), mtu),
            Error::Reset => ("reset", None, None, None),
        };
        Self { from: told.from, error: error.to_owned(), kind, code, mtu }
    }
}
