//! What interfaces do with what they send.

use nslab_kernel::link::Link;
use nslab_types::IfName;

use super::Steps;
use super::cables::Ends;
use crate::actual::ActualNamespace;
use crate::desired::DesiredNamespace;
use crate::plan::{Op, Step};
use crate::shaping::Queue;

/// An interface that the lab file says nothing of keeps whatever queue somebody gave it, unless nslab did.
pub(super) fn diff(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    ends: &Ends,
    steps: &mut Steps,
) {
    let interfaces = space.interfaces.iter().map(|interface| &interface.link);
    for wanted in space.links.iter().chain(interfaces) {
        let shown = is.filter(|_| ends.kept.contains(&wanted.name)).and_then(|is| {
            let link = is.state.links.iter().find(|link| link.name == wanted.name)?;
            Some(Queue::of(&is.state, link.index))
        });
        let before = shown.unwrap_or_default();
        let is_so =
            if wanted.queue.is_default() { !before.is_ours() } else { wanted.queue.is_met_by(&before) };
        if !is_so {
            steps.configure.push(set(place, wanted.name, wanted.queue.clone(), before));
        }
    }
}

/// The step that takes nslab's queue from an interface that goes: when that is undone, it comes back with it.
pub(super) fn take_off(place: usize, link: &Link, space: Option<&ActualNamespace>) -> Option<Step> {
    let before = Queue::of(&space?.state, link.index);
    before.is_ours().then(|| set(place, link.name, Queue::default(), before))
}

fn set(namespace: usize, link: IfName, queue: Queue, before: Queue) -> Step {
    Step { namespace, op: Op::SetQueue { link, queue: Box::new(queue), before: Box::new(before) } }
}
