//! The kernel's memory.

use serde::{Deserialize, Serialize};

use crate::as_f64;
use crate::error::{Doing, Result};

/// Memory of the kernel's own, in KiB (`/proc/meminfo`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// In slabs: what kernel objects are made of (`Slab`).
    pub slab: f64,
    /// For each processor its own (`Percpu`).
    pub percpu: f64,
    /// All that is not free, the two others among it (`MemTotal` less `MemFree`).
    pub used: f64,
}

impl Memory {
    pub(crate) fn now() -> Result<Self> {
        Ok(read(&std::fs::read_to_string("/proc/meminfo").doing("read /proc/meminfo")?))
    }

    /// What came since an earlier reading, for each of `count`.
    pub(crate) fn each_since(self, before: Self, count: usize) -> Self {
        let count = as_f64(count.max(1) as u64);
        Self {
            slab: (self.slab - before.slab) / count,
            percpu: (self.percpu - before.percpu) / count,
            used: (self.used - before.used) / count,
        }
    }
}

fn read(text: &str) -> Memory {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    Memory { slab: of("Slab"), percpu: of("Percpu"), used: of("MemTotal") - of("MemFree") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_there_is() {
        let text = "MemTotal:  1000 kB\nMemFree:    400 kB\nSlab:  70 kB\nSlabX: 1 kB\nPercpu:   8 kB\n";
        assert_eq!(read(text), Memory { slab: 70.0, percpu: 8.0, used: 600.0 });
    }
}
