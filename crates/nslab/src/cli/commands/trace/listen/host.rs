//! The host as it was a moment ago.

use std::time::{Duration, Instant};

use nslab_kernel::nftables::Table;
use nslab_snapshot::{Options, Snapshot};

use crate::cli::error::CliError;

/// It is not looked at more often than this, nor for more than a tenth of the time, unless that takes very long.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const SHARE: u32 = 10;

/// The host at one time.
pub(super) struct Host {
    pub(super) snapshot: Snapshot,
    /// When it was begun to be looked at, in nanoseconds since 1970.
    time: u64,
    taken: Instant,
    cost: Duration,
}

impl Host {
    /// Looks at it; gives the tables of traces as well, which are not in it, by namespace.
    pub(super) fn take() -> Result<(Self, Vec<Vec<Table>>), CliError> {
        let (taken, now) = (Instant::now(), std::time::SystemTime::now());
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut snapshot = Snapshot::take(Options { connections: true })?;
        let traces = nslab_compare::take_traces(&mut snapshot);
        let time = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        Ok((Self { snapshot, time, cost: taken.elapsed(), taken }, traces))
    }

    /// Whether it may be looked at anew already.
    pub(super) fn may_go(&self) -> bool {
        self.taken.elapsed() >= (self.cost * SHARE).clamp(PAUSE, LONGEST_PAUSE)
    }

    /// Whether it may be looked at anew for what came: that takes half of the time at most.
    pub(super) fn has_rested(&self) -> bool {
        self.taken.elapsed() >= self.cost * 2
    }

    /// Whether it was looked at after that time.
    pub(super) fn is_since(&self, time: u64) -> bool {
        self.time > time
    }
}
