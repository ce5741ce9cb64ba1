//! How large rings are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nslab_kernel::packet::{Delivery, RingSize};

use super::Options;

const MIB: u64 = 1 << 20;
/// All rings together, unless told otherwise; and each of them.
const TOGETHER: u64 = 640 * MIB;
const LEAST: u64 = MIB;
const MOST: u64 = 32 * MIB;
/// As much more is for those through which more goes than through others: namespaces with many interfaces.
const SPARE: u64 = 128 * MIB;
/// So much of it for each interface beyond what a host has.
const EACH: u64 = 256 << 10;
const FEW: usize = 8;
/// The largest packet that segmentation offload makes (64 KiB, `GSO_LEGACY_MAX_SIZE`) fits a few times; and once, where there are few
/// blocks: each counts when little passes, as it holds what comes within the ring's patience.
const BLOCK: u64 = 256 << 10;
const SMALL_BLOCK: u64 = 128 << 10;
/// No block is smaller: several frames of usual length fit.
const SMALLEST_BLOCK: u64 = 16 << 10;
/// A ring has at least so many blocks: one is read while others are filled.
const BLOCKS: u64 = 4;
/// After how long a block is given that is not full; and where there are more rings than a few. Every ring has a timer of this period,
/// which costs others also where nothing passes; with the longer one stopping takes longer.
const PATIENCE: Duration = Duration::from_millis(100);
const LONGER: Duration = Duration::from_millis(150);
const FEW_RINGS: u64 = 64;
/// The same for what is to be given at once, and is too long for a place of its own.
const SHORT: Duration = Duration::from_millis(4);
/// Frames get places of their own up to this length; with longer ones a ring would have few.
const ALONE: u32 = 2048;
/// And so many, where frames are short. Few packets fill blocks as well, each its own once the ring's patience is over.
const MANY_BLOCKS: u64 = 64;

/// The rings of so many namespaces.
#[derive(Debug)]
pub(super) struct Sizes<'o> {
    options: &'o Options,
    count: u64,
    /// What one ring may take of what is free.
    most: u64,
    /// What is left for switches and the like.
    spare: Arc<AtomicU64>,
    /// Of namespaces that come one after the other: what is left for all that may come.
    left: Option<Arc<AtomicU64>>,
}

/// What a ring takes of what several share; once it is closed others may have that.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: Vec<(Arc<AtomicU64>, u64)>,
}

impl Room {
    /// Takes so much of what is left; returns that.
    fn take(&mut self, pool: &Arc<AtomicU64>, wanted: impl Fn(u64) -> u64) -> u64 {
        let rest = |left: u64| Some(left.saturating_sub(wanted(left)));
        let left = pool.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).unwrap_or(0);
        let taken = wanted(left);
        // Rings have a least size, whatever is left.
        self.taken.push((Arc::clone(pool), taken.min(left)));
        taken
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for (pool, taken) in &self.taken {
            pool.fetch_add(*taken, Ordering::Relaxed);
        }
    }
}

impl<'o> Sizes<'o> {
    pub(super) fn new(options: &'o Options, count: usize) -> Self {
        Self::within(options, count, free())
    }

    /// Of namespaces that come one after the other, where there are so many already. Nobody knows how many more there will be.
    pub(super) fn joining(options: &'o Options, count: usize) -> Self {
        let sizes = Self::new(options, count + 1);
        let taken = sizes.share(&mut Room::default()) * count as u64;
        Self { left: Some(Arc::new(AtomicU64::new(TOGETHER.saturating_sub(taken)))), ..sizes }
    }

    /// Where so many bytes are free: most of them are left to others.
    fn within(options: &'o Options, count: usize, free: u64) -> Self {
        let count = (count as u64).max(1);
        let most = (free / 4 / count).clamp(LEAST / 2, MOST);
        Self { options, count, most, spare: Arc::new(AtomicU64::new(SPARE.min(free / 8))), left: None }
    }

    /// The ring of a namespace that has so many interfaces, and what it takes of what others share, to be kept as long as it is there.
    pub(super) fn ring(&self, interfaces: usize) -> (RingSize, Room) {
        let mut room = Room::default();
        let bytes = self.options.memory.unwrap_or_else(|| {
            let share = self.share(&mut room);
            share + self.spare(MOST.saturating_sub(share), interfaces, &mut room)
        });
        let block = block(bytes, self.options.length);
        let blocks = (bytes / block).clamp(BLOCKS, 1 << 14);
        let delivery = match self.options {
            Options { at_once: true, length: length @ ..=ALONE, .. } => Delivery::Frames { length: *length },
            Options { at_once: true, .. } => Delivery::Blocks { patience: SHORT },
            _ if self.count <= FEW_RINGS => Delivery::Blocks { patience: PATIENCE },
            _ => Delivery::Blocks { patience: LONGER },
        };
        #[allow(clippy::cast_possible_truncation, reason = "below 2¹⁵ and 2¹⁹")]
        let size = RingSize { block: block as u32, blocks: blocks as u32, delivery };
        (size, room)
    }

    /// What each gets at least.
    fn share(&self, room: &mut Room) -> u64 {
        let Some(left) = &self.left else { return (TOGETHER / self.count).clamp(LEAST, MOST).min(self.most) };
        room.take(left, |left| (left / 8).clamp(LEAST, MOST).min(self.most))
    }

    /// Takes of what is spare what a namespace with so many interfaces should have, at most `most`.
    fn spare(&self, most: u64, interfaces: usize, room: &mut Room) -> u64 {
        let wanted = (interfaces.saturating_sub(FEW) as u64).saturating_mul(EACH).min(most);
        if wanted == 0 { 0 } else { room.take(&self.spare, |left| wanted.min(left)) }
    }
}

/// The bytes of a block in a ring of `bytes`, for frames cut to `length`.
fn block(bytes: u64, length: u32) -> u64 {
    let least = (u64::from(length) * 4).next_power_of_two().clamp(SMALLEST_BLOCK, SMALL_BLOCK);
    let wanted = (bytes / MANY_BLOCKS).max(1);
    (1 << wanted.ilog2()).clamp(least, BLOCK)
}

/// What is free of the machine's memory, in bytes.
fn free() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a ring that stays.
    fn bytes((size, room): (RingSize, Room)) -> u64 {
        std::mem::forget(room);
        u64::from(size.block) * u64::from(size.blocks)
    }

    #[test]
    fn rings_are_smaller_where_there_are_many() {
        let of = |count, memory| bytes(Sizes::new(&Options { memory, ..Options::default() }, count).ring(2));
        assert!(of(1, None) <= MOST && of(1, None) >= of(300, None));
        assert!(of(300, None) >= LEAST / 2 && of(100_000, None) >= SMALL_BLOCK * BLOCKS);
        assert_eq!(of(7, Some(8 * MIB)), 8 * MIB);
        assert_eq!(of(7, Some(1)), SMALL_BLOCK * BLOCKS);
    }

    #[test]
    fn however_many_come_they_leave_room_for_more() {
        let options = Options::default();
        for already in [1, 20, 300] {
            let sizes = Sizes::joining(&options, already);
            let came: Vec<u64> = (0..300).map(|_| bytes(sizes.ring(2))).collect();
            assert!(came.iter().sum::<u64>() <= TOGETHER + 300 * LEAST, "{already}");
            assert!(came.is_sorted_by(|one, other| one >= other) && came[0] <= MOST);
        }
    }

    #[test]
    fn what_one_had_that_is_gone_others_may_have() {
        let options = Options::default();
        let sizes = Sizes::joining(&options, 3);
        let first = sizes.ring(100).0;
        for _ in 0..1000 {
            let (size, _room) = sizes.ring(100);
            assert_eq!((size.block, size.blocks), (first.block, first.blocks));
        }
    }

    #[test]
    fn a_switch_of_many_ports_has_more_room_than_its_hosts_and_all_together_have_no_more_than_there_is() {
        let options = Options::default();
        let sizes = Sizes::within(&options, 301, 16 << 30);
        let (host, switch) = (bytes(sizes.ring(2)), bytes(sizes.ring(301)));
        assert_eq!((host, switch), (TOGETHER / 301 / SMALL_BLOCK * SMALL_BLOCK, MOST));
        let switches: u64 = (0..300).map(|_| bytes(sizes.ring(1000))).sum();
        assert!(switches <= TOGETHER + SPARE, "{switches}");
        assert_eq!(bytes(sizes.ring(1000)), host, "nothing is spare any more");
        // What was asked for is kept to, and a small machine has nothing to spare.
        let options = Options { memory: Some(MIB), ..Options::default() };
        assert_eq!(bytes(Sizes::within(&options, 1, 16 << 30).ring(1000)), MIB);
        let options = Options::default();
        assert!(bytes(Sizes::within(&options, 301, 64 * MIB).ring(1000)) <= LEAST / 2 + 8 * MIB);
    }

    #[test]
    fn short_frames_have_many_blocks() {
        let size = |memory, length| {
            let options = Options { memory: Some(memory), length, ..Options::default() };
            let size = Sizes::new(&options, 1).ring(1).0;
            (size.block, size.blocks)
        };
        assert_eq!(size(MIB, 2048), (16 << 10, 64));
        assert_eq!(size(4 * MIB, 96), (64 << 10, 64));
        assert_eq!(size(32 * MIB, 96), (256 << 10, 128));
        // As many as there is room for, where frames are long.
        assert_eq!(size(MIB, 9000), (64 << 10, 16));
        assert_eq!(size(MIB, Options::default().length), (128 << 10, 8));
        assert_eq!(size(32 * MIB, Options::default().length), (256 << 10, 128));
        assert_eq!(size(1, 96), (16 << 10, 4));
    }
}
