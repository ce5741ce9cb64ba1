//! How large rings are.

use std::time::Duration;

use nslab_kernel::packet::RingSize;

use super::Options;

const MIB: u64 = 1 << 20;
/// All rings together, unless told otherwise; and each of them.
const TOGETHER: u64 = 640 * MIB;
const LEAST: u64 = 2 * MIB;
const MOST: u64 = 32 * MIB;
/// The largest packet that segmentation offload makes (64 KiB, `GSO_LEGACY_MAX_SIZE`) fits a few times.
const BLOCK: u64 = 256 << 10;
/// A ring has at least so many blocks: one is read while others are filled.
const BLOCKS: u64 = 4;

/// The ring of each of `count` namespaces.
pub(super) fn ring(options: &Options, count: usize) -> RingSize {
    let count = (count as u64).max(1);
    // Of what is free, most is left to others.
    let most = (free() / 4 / count).clamp(LEAST / 2, MOST);
    let bytes = options.memory.unwrap_or_else(|| (TOGETHER / count).clamp(LEAST, MOST).min(most));
    let blocks = (bytes / BLOCK).clamp(BLOCKS, 1 << 14);
    // Every ring has a timer of this period, which costs something also where nothing passes.
    let patience = Duration::from_millis(if count <= 64 { 20 } else { 60 });
    #[allow(clippy::cast_possible_truncation, reason = "below 2¹⁵ and 2¹⁹")]
    RingSize { block: BLOCK as u32, blocks: blocks as u32, patience: options.patience.unwrap_or(patience) }
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

    #[test]
    fn rings_are_smaller_where_there_are_many() {
        let bytes = |count, memory| {
            let size = ring(&Options { memory, ..Options::default() }, count);
            u64::from(size.block) * u64::from(size.blocks)
        };
        assert!(bytes(1, None) <= MOST && bytes(1, None) >= bytes(300, None));
        assert!(bytes(300, None) >= LEAST / 2 && bytes(100_000, None) >= BLOCK * BLOCKS);
        assert_eq!(bytes(7, Some(8 * MIB)), 8 * MIB);
        assert_eq!(bytes(7, Some(1)), BLOCK * BLOCKS);
    }
}
