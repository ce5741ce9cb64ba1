//! What is listened to in one namespace, but for its interfaces.

use std::time::Instant;

use nslab_kernel::NamespaceId;
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::nftables::trace::TraceTuple;

use super::super::Place;
use super::follow::Follower;
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
    Traced(Box<Follower>),
    /// Why they are not.
    Untraced(String),
    /// It was left.
    Left,
}

impl Spot {
    pub(super) fn of(place: &Place, follower: Result<Follower, String>) -> Self {
        Self {
            id: place.namespace.id().ok(),
            interfaces: place.interfaces.clone(),
            rules: follower.map_or_else(Rules::Untraced, |follower| Rules::Traced(Box::new(follower))),
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
        let Rules::Traced(follower) = &mut self.rules else { return false };
        self.passages.take(follower.events(), now, ended);
        if let Some(before) = before {
            self.passages.settle(before, ended);
        }
        follower.has_missed()
    }

    /// Traces the rules of other packets from here on, where it traces any. The error is a sentence's part.
    pub(super) fn trace(&mut self, tuples: &[TraceTuple], ends_only: bool) -> Result<(), String> {
        match &mut self.rules {
            Rules::Traced(follower) => follower.trace(tuples, ends_only),
            Rules::Untraced(_) | Rules::Left => Ok(()),
        }
    }

    /// Follows its rules where they changed, if they are traced. The error is a sentence's part.
    pub(super) fn renew(&mut self) -> Result<(), String> {
        match &mut self.rules {
            Rules::Traced(follower) => follower.renew(),
            Rules::Untraced(_) | Rules::Left => Ok(()),
        }
    }

    /// Its rules, if they are followed.
    pub(super) fn ruleset(&self) -> Option<&Ruleset> {
        match &self.rules {
            Rules::Traced(follower) => Some(follower.ruleset()),
            Rules::Untraced(_) | Rules::Left => None,
        }
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
