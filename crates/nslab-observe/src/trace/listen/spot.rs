//! What is listened to in one namespace, but for its interfaces.

use std::time::Instant;

use nslab_kernel::NamespaceId;

use super::super::Place;
use super::super::rules::Tracer;
use super::passage::{Passage, Passages};

/// A namespace.
pub(super) struct Spot {
    /// None if it was left.
    pub(super) id: Option<NamespaceId>,
    /// The interfaces at which alone it is looked; all if there is none here.
    pub(super) interfaces: Vec<String>,
    rules: Rules,
    passages: Passages,
}

/// What tells of its rules.
enum Rules {
    Traced(Box<Tracer>),
    /// Why they are not.
    Untraced(String),
    /// It was left.
    Left,
}

impl Spot {
    pub(super) fn of(place: &Place, tracer: Result<Tracer, String>) -> Self {
        Self {
            id: place.namespace.id().ok(),
            interfaces: place.interfaces.clone(),
            rules: tracer.map_or_else(Rules::Untraced, |tracer| Rules::Traced(Box::new(tracer))),
            passages: Passages::default(),
        }
    }

    /// Why its rules are not traced.
    pub(super) fn untraced(&self) -> Option<&str> {
        match &self.rules {
            Rules::Untraced(why) => Some(why),
            Rules::Traced(_) | Rules::Left => None,
        }
    }

    /// Gives passages of which nothing more was told since `before`; returns whether the kernel had more to tell than there was room for.
    pub(super) fn read(&mut self, now: Instant, before: Option<Instant>, ended: &mut Vec<Passage>) -> bool {
        let Rules::Traced(tracer) = &mut self.rules else { return false };
        tracer.read();
        self.passages.take(std::mem::take(&mut tracer.events), now, ended);
        if let Some(before) = before {
            self.passages.settle(before, ended);
        }
        tracer.missed
    }

    /// Lets it go; gives all passages that were told of.
    pub(super) fn leave(&mut self, ended: &mut Vec<Passage>) {
        let now = Instant::now();
        self.read(now, None, ended);
        self.passages.all(ended);
        self.id = None;
        self.rules = Rules::Left;
    }
}
