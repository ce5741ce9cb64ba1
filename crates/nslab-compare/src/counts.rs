//! What the kernel counted while a packet was traced, beside what is said to have become of it.

use std::collections::BTreeSet;

use nslab_kernel::counters::Counter;
use nslab_observe::trace::Role;
use nslab_predict::{Action, Cause, Code, Hop, Prediction, counter};
use nslab_snapshot::{Snapshot, Where};
use nslab_view::TraceSight as Sight;

use crate::story::{Facts, place};
use crate::weave::{By, Step};

/// In so many namespaces all is counted, wherever the packet is predicted to go.
const FEW: usize = 16;

/// A counter that grew while a packet was traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The place of the namespace in the snapshot.
    pub namespace: usize,
    /// Which.
    pub counter: Counter,
    /// By how much.
    pub by: u64,
    /// It backs the cause: there the packet is said to stop, by something that makes it grow. It is no proof, as other packets count, too.
    pub backs: bool,
}

impl Count {
    /// By which causes it can have grown; see [`counter::causes`].
    pub fn causes(&self) -> &'static [Code] {
        counter::causes(self.counter)
    }

    /// In words: `IpInNoRoutes +1`, `rx_dropped +1 at lab/red:eth0`.
    pub fn text(&self, snapshot: &Snapshot) -> String {
        let Self { namespace, counter, by, .. } = *self;
        match counter.link() {
            Some(_) => format!("{counter} +{by} at {}", place(snapshot, namespace, counter.link())),
            None => format!("{counter} +{by}"),
        }
    }
}

/// In which of the places of a trace it is worth to look at counters: the numbers of those through which the packet, its answer or an
/// error about it may go, or of all where they are few. The namespaces' places in the snapshot are given.
pub fn counted(places: &[usize], prediction: &Prediction) -> Vec<usize> {
    let Prediction { hops, others, answer, error, .. } = prediction;
    let ways = std::iter::once(hops).chain(others).chain(answer).chain(error);
    let touched: BTreeSet<usize> = ways.flatten().map(|hop: &Hop| hop.namespace).collect();
    let all = places.iter().enumerate();
    all.filter(|(_, place)| places.len() <= FEW || touched.contains(place))
        .map(|(number, _)| number)
        .collect()
}

/// What grew, beside the cause that is blamed, if it is one that was predicted.
pub(crate) fn counts(facts: Facts<'_>, blamed: Option<&Cause>) -> Vec<Count> {
    let grown = facts.trace.counters.iter();
    grown
        .filter_map(|one| {
            let namespace = *facts.places.get(one.place)?;
            let mut count = Count { namespace, counter: one.counter, by: one.by, backs: false };
            count.backs = blamed.is_some_and(|cause| backs(facts.snapshot, &count, cause));
            Some(count)
        })
        .collect()
}

fn backs(snapshot: &Snapshot, count: &Count, cause: &Cause) -> bool {
    let codes = [Some(cause.code), cause.inner, (cause.code == Code::NoReturnRoute).then_some(Code::NoRoute)];
    if !codes.into_iter().flatten().any(|code| count.causes().contains(&code)) {
        return false;
    }
    let Some(link) = count.counter.link() else { return count.namespace == cause.namespace };
    // Of a cable both ends count.
    let here = (count.namespace, link);
    let (Some(blamed), Some(state)) = (cause.link, snapshot.namespaces[cause.namespace].state()) else {
        return false;
    };
    let ends = state.peers.iter().filter(|peer| peer.link == blamed);
    here == (cause.namespace, blamed)
        || ends.into_iter().any(|peer| (peer.namespace, peer.lower) == (Where::Namespace(here.0), here.1))
}

/// Puts a step with what backs the cause before the one at which the packet stops.
pub(crate) fn show(snapshot: &Snapshot, counts: &[Count], cause: &Cause, ways: &mut [(Role, Vec<Step>)]) {
    let texts: Vec<String> =
        counts.iter().filter(|count| count.backs).map(|count| count.text(snapshot)).collect();
    let is_end = |step: &Step| {
        step.action == Action::Stop && step.namespace == cause.namespace && step.sight == Sight::Seen
    };
    let ends = ways.iter_mut().rev().find_map(|(_, steps)| Some((steps.iter().rposition(is_end)?, steps)));
    let Some((at, steps)) = ends.filter(|_| !texts.is_empty()) else { return };
    let step = Step {
        sight: Sight::Detail,
        at: None,
        namespace: cause.namespace,
        link: None,
        action: Action::Stop,
        object: "counters".to_owned(),
        detail: texts.join(", "),
        by: Some(By::Counters),
    };
    steps.insert(at, step);
}
