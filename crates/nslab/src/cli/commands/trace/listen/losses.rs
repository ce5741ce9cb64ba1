//! When packets were lost on their way here.

use nslab_observe::trace::listen::Listener;

/// How many were lost, as far as the kernel was asked.
pub(super) fn lost(listener: &Listener) -> u64 {
    listener.counts().iter().map(|one| one.lost).sum()
}

/// What the kernel says that it lost, with when it was asked.
#[derive(Debug, Default)]
pub(super) struct Losses {
    total: u64,
    /// When it was last seen to have lost more, in nanoseconds since 1970.
    last: u64,
}

impl Losses {
    /// Takes note of how many were lost until now.
    pub(super) fn note(&mut self, total: u64, now: u64) {
        if total > self.total {
            (self.total, self.last) = (total, now);
        }
    }

    /// Whether sightings of a packet that began then may be among them.
    pub(super) fn may_be_of(&self, begin: u64) -> bool {
        begin <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_a_loss_is_whole() {
        let mut losses = Losses::default();
        losses.note(0, 10);
        assert!(!losses.may_be_of(5));
        losses.note(2, 20);
        losses.note(2, 30);
        assert_eq!((losses.may_be_of(5), losses.may_be_of(20), losses.may_be_of(25)), (true, true, false));
    }
}
