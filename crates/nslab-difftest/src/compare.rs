//! What was predicted beside what happened.

use nslab_predict::l2::Port;
use nslab_predict::{Action, Cause, Code, Error as Refusal, Evidence, Hop, Prediction, Told, Verdict};
use nslab_snapshot::State;

use crate::build::Taken;
use crate::observe::{Observation, Sighting};
use crate::probe::{Kind, Probe};

/// How a prediction stands beside what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It was so.
    Agrees,
    /// Nothing was predicted, and why.
    Unknown(String),
    /// The packet could not be sent, for the reason given, so nothing is said of it.
    Unsent(&'static str),
    /// It was otherwise.
    Contradicts(Contradiction),
}

/// In what the kernel contradicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// Which part.
    pub part: Part,
    /// What of it, so that the same elsewhere is known for the same.
    pub kind: String,
    /// In words.
    pub text: String,
}

/// A part of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The outcome.
    Verdict,
    /// What the sender hears.
    Told,
    /// The way.
    Way,
    /// A step of it, or of the answer's or error's, as `nslab trace` tells them.
    Step,
    /// Why the kernel threw it away.
    Reason,
}

impl Part {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Told => "told",
            Self::Way => "way",
            Self::Step => "step",
            Self::Reason => "reason",
        }
    }
}

/// Holds one against the other.
pub fn compare(taken: &Taken, probe: &Probe, prediction: &Prediction, observed: &Observation) -> Finding {
    if probe.source.is_some() && observed.refused == Some(libc::EADDRNOTAVAIL) {
        return Finding::Unsent("its source is no address of the sender's");
    }
    let is_own = |state: &State| {
        state.network.addresses.iter().any(|address| address.address.addr() == probe.destination)
    };
    let comes_back = observed.seen.iter().any(|one| one.space == probe.from && !one.sent && !one.is_others);
    if matches!(probe.what, Kind::Other(_)) && (comes_back || taken.state(probe.from).is_some_and(is_own)) {
        return Finding::Unsent("what it is sent by would take it, too");
    }
    if prediction.cause.as_ref().is_some_and(|cause| is_of_route(taken, probe, cause)) {
        return Finding::Unsent("what it is sent by heeds no MTU of a route");
    }
    if prediction.verdict == Verdict::Unknown {
        return Finding::Unknown(why_unknown(prediction));
    }
    let contradicts = |part, text| Finding::Contradicts(Contradiction { part, kind: String::new(), text });
    let verdict = observed.verdict(probe);
    let given_up = verdict == Verdict::Rejected
        && prediction.verdict == Verdict::Dropped
        // On another of several ways it may be the neighbour that does not answer.
        && (hangs_on_neighbours(prediction) || prediction.ways().nth(1).is_some())
        && observed.told.iter().all(|told| {
            is_host_unreachable(told) && (prediction.told == Some(*told)
                    || gave_up(taken, observed, told)
                    || is_own_word(taken, probe, prediction, observed, told))
        });
    if verdict != prediction.verdict && !given_up {
        return contradicts(
            Part::Verdict,
            format!("predicted {:?}, but it was {verdict:?}", prediction.verdict),
        );
    }
    if prediction.verdict == Verdict::Rejected {
        match prediction.told {
            Some(told) if observed.told.contains(&told) => {}
            // Who says so hangs on the way.
            None if !prediction.others.is_empty() => {}
            told => {
                return contradicts(
                    Part::Told,
                    format!("predicted {told:?}, but the sender heard {:?}", observed.told),
                );
            }
        }
    }
    let mut differences = Vec::new();
    for expected in prediction.ways() {
        match way(taken, &expected, &observed.seen) {
            Some(text) => differences.push(text),
            None => return Finding::Agrees,
        }
    }
    contradicts(Part::Way, differences.swap_remove(0))
}

/// Whether the sender is said to be told of the MTU of a route that is smaller than that of the link: probes are sent in a way
/// (`IP_PMTUDISC_PROBE`) that what was learned of paths does not get in the way of.
fn is_of_route(taken: &Taken, probe: &Probe, cause: &Cause) -> bool {
    let Evidence::Mtu { mtu, .. } = cause.evidence else { return false };
    let link = |link| taken.state(probe.from).and_then(|state| state.link(link));
    cause.code == Code::MtuExceeded
        && taken.space(cause.namespace) == Some(probe.from)
        && cause.link.and_then(link).is_some_and(|link| mtu < link.mtu)
}

/// That nobody answers for the next hop is no word over the network to those who define verdicts, though a router does tell.
fn hangs_on_neighbours(prediction: &Prediction) -> bool {
    let Some(cause) = &prediction.cause else { return false };
    let is_of_others = matches!(
        cause.inner.unwrap_or(cause.code),
        Code::NoRoute
            | Code::RouteBlackhole
            | Code::RouteUnreachable
            | Code::RouteProhibit
            | Code::RouteThrow
            | Code::ForwardingOff
            | Code::TtlExpired
            | Code::NoListener
            | Code::ListenerOtherAddress
    );
    !is_of_others || stops_asking(&prediction.hops)
}

/// Whether a way ends between a route and the MAC of its next hop: what stops it stops the question, which a tunnel carries.
pub(crate) fn stops_asking(hops: &[Hop]) -> bool {
    matches!(hops, [.., Hop { action: Action::Route, .. }, Hop { action: Action::Stop, .. }])
}

/// Whether it was told by somebody who asked for a neighbour in vain.
fn gave_up(taken: &Taken, observed: &Observation, told: &Told) -> bool {
    observed.gave_up.iter().any(|&space| {
        taken.state(space).is_some_and(|state| {
            state.network.addresses.iter().any(|address| address.address.addr() == told.from)
        })
    })
}

/// Whether the sender's own host asked for a neighbour in vain that its own rules led the packet to, and says so with the source
/// that they turn back to where the packet was to go: an address that need not be its own. Nothing of the packet left the host.
fn is_own_word(
    taken: &Taken,
    probe: &Probe,
    prediction: &Prediction,
    observed: &Observation,
    told: &Told,
) -> bool {
    let is_led_away = prediction
        .cause
        .as_ref()
        .and_then(|cause| cause.packet.as_ref())
        .is_some_and(|packet| packet.ip.destination != probe.destination);
    let stays = prediction.hops.iter().all(|hop| taken.space(hop.namespace) == Some(probe.from));
    is_led_away
        && stays
        && stops_asking(&prediction.hops)
        && observed.seen.is_empty()
        && observed.gave_up.contains(&probe.from)
        && told.from == probe.destination
}

fn is_host_unreachable(told: &Told) -> bool {
    match told.what {
        Refusal::Icmp { kind, code, .. } if told.from.is_ipv6() => (kind, code) == (1, 3),
        Refusal::Icmp { kind, code, .. } => (kind, code) == (3, 1),
        Refusal::Reset => false,
    }
}

/// Why nothing was predicted.
fn why_unknown(prediction: &Prediction) -> String {
    match prediction.cause.as_ref() {
        // Chance decides, and which.
        Some(cause) if cause.code != Code::Unmodelled => cause.code.to_string(),
        Some(cause) => match &cause.evidence {
            Evidence::Doubts(doubts) if !doubts.is_empty() => {
                let mut all: Vec<&str> = doubts.iter().map(|doubt| &*doubt.what).collect();
                all.sort_unstable();
                all.dedup();
                format!("{}: {}", cause.code, all.join("; "))
            }
            _ => format!("{}: {}", cause.code, cause.text),
        },
        None => "no cause is given".into(),
    }
}

/// In what a way differs from what was seen.
fn way(taken: &Taken, expected: &[(Port, bool)], seen: &[Sighting]) -> Option<String> {
    let expected: Vec<(usize, u32, bool)> =
        expected.iter().filter_map(|&(at, sent)| Some((taken.space(at.namespace)?, at.link, sent))).collect();
    let matches =
        |seen: &Sighting, expected: &(usize, u32, bool)| (seen.space, seen.link, seen.sent) == *expected;
    let mut rest = &expected[..];
    let mut surplus = None;
    for sighting in seen {
        match rest {
            [first, others @ ..] if matches(sighting, first) => rest = others,
            _ if is_flood(taken, sighting) => {}
            _ => {
                surplus.get_or_insert(sighting);
            }
        }
    }
    if let Some(missing) = rest.first() {
        return Some(format!(
            "it should have been {}, where it was not seen",
            place(taken, missing.0, missing.1, missing.2)
        ));
    }
    surplus.map(|sighting| {
        format!("it was {}, unforeseen", place(taken, sighting.space, sighting.link, sighting.sent))
    })
}

/// Whether it may be a copy that a bridge or tunnel made, for others.
fn is_flood(taken: &Taken, sighting: &Sighting) -> bool {
    let link = taken.state(sighting.space).and_then(|state| state.link(sighting.link));
    sighting.is_others
        || sighting.in_tunnel
        || link.is_some_and(|link| {
            link.master.is_some()
                || matches!(link.kind, Some(nslab_kernel::link::LinkKind::Bridge(_))) && sighting.sent
        })
}

fn place(taken: &Taken, space: usize, link: u32, sent: bool) -> String {
    let name = taken
        .state(space)
        .and_then(|state: &State| state.link(link))
        .map_or_else(|| format!("interface {link}"), |link| link.name.to_string());
    format!("{} n{space} {name}", if sent { "sent by" } else { "received by" })
}

/// Sightings as text.
pub fn describe(taken: &Taken, seen: &[Sighting]) -> String {
    let one = |sighting: &Sighting| {
        let mut text = place(taken, sighting.space, sighting.link, sighting.sent);
        if sighting.is_others {
            text += " (for another)";
        }
        if sighting.in_tunnel {
            text += " (in a tunnel)";
        }
        text
    };
    seen.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
