//! The path's MTU: what becomes of packets of every size that nobody may cut in pieces, and what a sender learns of it (RFC 1191,
//! RFC 8201).

use std::collections::BTreeMap;

use nslab_kernel::link::Link;
use nslab_snapshot::{Contents, Snapshot, State};

use crate::fib::{self, Flow};
use crate::l2::Port;
use crate::{Action, Code, Error, Network, Prediction, Question, Verdict, predict};

/// The least that a link must carry of IPv6 (RFC 8200, section 5), in bytes.
pub const IPV6_LEAST: u32 = 1280;
/// A path has no more narrow places one after another that each say what would get through.
const MOST_RUNGS: usize = 32;

/// What is predicted of packets of all sizes.
#[derive(Debug, Clone)]
pub struct PathMtu {
    /// The interface by which they leave; none if they do not.
    pub link: Option<Port>,
    /// What it takes, in bytes: the largest packet that the sender can send whole.
    pub full: u32,
    /// What the sender's route says of the path, in bytes, where it says less than the interface.
    pub route: Option<u32>,
    /// The smallest packet.
    pub least: Prediction,
    /// What a sender goes through that begins with the largest size that it knows nothing against, and obeys what it is told. The
    /// last one gets through, or the sender is told nothing.
    pub rungs: Vec<Prediction>,
    /// The largest packet that gets through, and its way; none if none does.
    pub largest: Option<Prediction>,
}

impl PathMtu {
    /// Whether a packet of another size fares as the smallest one: it may be that nobody listens on its port, which is nothing of its
    /// size.
    pub fn gets_through(&self, prediction: &Prediction) -> bool {
        alike(&self.least, prediction) && arrives(prediction)
    }

    /// The largest size that gets through.
    pub fn mtu(&self) -> Option<u32> {
        self.largest.as_ref().map(|largest| largest.packet.ip.size)
    }
}

/// Follows packets as `question` asks of them, of all sizes from `least` up to what the sender's interface takes. That the sender's
/// own route says less than that is passed over, as a program that tests the path passes over it (`IP_PMTUDISC_PROBE`).
pub fn discover(network: &Network<'_>, question: &Question, least: u32) -> PathMtu {
    let (route, relaxed) = match relaxed(network.snapshot, question) {
        Some((mtu, snapshot)) => (Some(mtu), Some(snapshot)),
        None => (None, None),
    };
    let own = relaxed.as_ref().map(Network::of);
    let network = own.as_ref().unwrap_or(network);
    let mut known: BTreeMap<u32, Prediction> = BTreeMap::new();
    let mut ask =
        |size: u32| known.entry(size).or_insert_with(|| predict(network, &sized(question, size))).clone();
    let smallest = ask(least);
    let link = first_link(&smallest, question.namespace).or_else(|| routed_link(network.snapshot, question));
    let found = link.and_then(|at| network.snapshot.namespaces.get(at.namespace)?.state()?.link(at.link));
    let ipv6 = question.packet.is_ipv6();
    let most = if ipv6 { u32::from(u16::MAX) + 40 } else { u32::from(u16::MAX) };
    let full = found.map_or(least, |link| link_mtu(link, ipv6)).clamp(least, most);
    let passes = |prediction: &Prediction| alike(&smallest, prediction) && arrives(prediction);
    let mut rungs = Vec::new();
    let mut size = route.map_or(full, |route| route.clamp(least, full));
    loop {
        let prediction = ask(size);
        let told = told(&prediction).filter(|&mtu| mtu < size && !passes(&prediction));
        rungs.push(prediction);
        match told {
            Some(mtu) if rungs.len() < MOST_RUNGS => size = mtu.max(least),
            _ => break,
        }
    }
    // Between what passes and what does not.
    let largest = if passes(&smallest) {
        let (mut low, mut high) = (least, full + 1);
        for rung in &rungs {
            let size = rung.packet.ip.size;
            if passes(rung) {
                low = low.max(size);
            } else {
                high = high.min(size);
            }
        }
        while high > low + 1 {
            let middle = low + (high - low) / 2;
            if passes(&ask(middle)) { low = middle } else { high = middle }
        }
        Some(ask(low))
    } else {
        None
    };
    PathMtu { link, full, route, least: smallest, rungs, largest }
}

/// A question about a packet of another size.
#[must_use]
pub fn sized(question: &Question, size: u32) -> Question {
    let mut question = question.clone();
    question.packet.ip.size = size;
    question.packet.ip.dont_fragment = !question.packet.is_ipv6();
    question
}

/// What a link takes of a version of IP, in bytes.
pub fn link_mtu(link: &Link, ipv6: bool) -> u32 {
    match link.ipv6 {
        Some(settings) if ipv6 && settings.mtu != 0 => settings.mtu.min(link.mtu),
        _ => link.mtu,
    }
}

/// The size that the sender is told instead.
pub fn told(prediction: &Prediction) -> Option<u32> {
    match prediction.told?.what {
        Error::Icmp { mtu, .. } if prediction.verdict == Verdict::Rejected => mtu,
        _ => None,
    }
}

/// Whether a packet comes to where it is for, whatever is made of it there.
fn arrives(prediction: &Prediction) -> bool {
    let refused = |code| matches!(code, Code::NoListener | Code::ListenerOtherAddress);
    prediction.verdict == Verdict::Delivered
        || prediction.cause.as_ref().is_some_and(|cause| refused(cause.code))
}

fn alike(one: &Prediction, other: &Prediction) -> bool {
    let code = |prediction: &Prediction| prediction.cause.as_ref().map(|cause| cause.code);
    (one.verdict, code(one)) == (other.verdict, code(other))
}

/// The interface by which a packet leaves its sender.
fn first_link(prediction: &Prediction, namespace: usize) -> Option<Port> {
    let sent = prediction.hops.iter().find(|hop| hop.action == Action::Send && hop.namespace == namespace);
    sent.and_then(|hop| Some(Port { namespace, link: hop.link? }))
}

/// The interface by which it would leave, if it got so far.
fn routed_link(snapshot: &Snapshot, question: &Question) -> Option<Port> {
    let state = snapshot.namespaces.get(question.namespace)?.state()?;
    let flow = Flow { oif: question.link, bound: false, ..Flow::of(&question.packet, None) };
    let decision = fib::lookup(state, &flow);
    match &decision.outcomes.first()?.verdict {
        fib::Verdict::Leave(ways) => Some(Port { namespace: question.namespace, link: ways.first()?.link }),
        _ => None,
    }
}

/// What the route of the sender says of the path's MTU, and the snapshot without that.
fn relaxed(snapshot: &Snapshot, question: &Question) -> Option<(u32, Snapshot)> {
    let state = snapshot.namespaces.get(question.namespace)?.state()?;
    let flow = Flow { oif: question.link, bound: false, ..Flow::of(&question.packet, None) };
    let decision = fib::lookup(state, &flow);
    let route = decision.outcomes.first()?.reason.route?;
    let mtu = state.network.routes.get(route)?.mtu?;
    let mut snapshot = snapshot.clone();
    let state: &mut State = match &mut snapshot.namespaces.get_mut(question.namespace)?.contents {
        Contents::State(state) => state,
        Contents::Unreadable { .. } => return None,
    };
    state.network.routes.get_mut(route)?.mtu = None;
    Some((mtu, snapshot))
}
