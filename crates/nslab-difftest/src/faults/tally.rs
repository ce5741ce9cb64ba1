//! Figures of faults, by code.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Fault as Injected, Mended, Named};
use crate::compare::Finding;

/// Of all faults of one code.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fault {
    /// So many were put into a network.
    pub injected: u64,
    /// So many stopped nothing: there was a way around.
    pub harmless: u64,
    /// So many stopped the packet, or made its way a matter of chance. What follows is of these.
    pub cases: u64,
    /// The kernel did with the packet what was predicted.
    pub as_predicted: u64,
    /// Chance decides, so that no verdict is given: the kernel cannot contradict.
    pub by_chance: u64,
    /// The code named was the fault's.
    pub right: u64,
    /// Of these, so many named its object as well.
    pub right_object: u64,
    /// Another code was named that says the same, and why it does.
    pub also: BTreeMap<String, u64>,
    /// Another code was named, which.
    pub other: BTreeMap<String, u64>,
    /// What becomes of the packet was not predicted.
    pub unknown: u64,
    /// Fixes that were offered.
    pub fixes: u64,
    /// Fixes that made the packet arrive, in the kernel.
    pub mended: u64,
    /// None was found.
    pub unmended: u64,
}

impl Fault {
    /// Counts how one was named, and whether what was predicted was so.
    pub(crate) fn count(&mut self, fault: &Injected, named: Named, finding: &Finding) {
        self.cases += 1;
        match finding {
            Finding::Agrees => self.as_predicted += 1,
            Finding::Unknown(_) if fault.is_by_chance() => self.by_chance += 1,
            _ => {}
        }
        match named {
            Named::Right(object) => {
                self.right += 1;
                self.right_object += u64::from(object);
            }
            Named::Also(code, why, _) => *self.also.entry(format!("{code}: {why}")).or_default() += 1,
            Named::Unknown => self.unknown += 1,
            Named::Other(code) => {
                let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
                *self.other.entry(code).or_default() += 1;
            }
        }
    }

    /// Counts what came of its fix.
    pub(crate) fn count_fix(&mut self, mended: &Mended) {
        match mended {
            Mended::NoFix => self.unmended += 1,
            Mended::Arrived => {
                self.fixes += 1;
                self.mended += 1;
            }
            Mended::Lost(_) => self.fixes += 1,
        }
    }

    /// All of them together.
    pub fn all(faults: &BTreeMap<String, Self>) -> Self {
        let mut all = Self::default();
        for fault in faults.values() {
            all.add(fault);
        }
        all
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, others) in [
            (&mut self.injected, other.injected),
            (&mut self.harmless, other.harmless),
            (&mut self.cases, other.cases),
            (&mut self.as_predicted, other.as_predicted),
            (&mut self.by_chance, other.by_chance),
            (&mut self.right, other.right),
            (&mut self.right_object, other.right_object),
            (&mut self.unknown, other.unknown),
            (&mut self.fixes, other.fixes),
            (&mut self.mended, other.mended),
            (&mut self.unmended, other.unmended),
        ] {
            *own += others;
        }
        for (own, others) in [(&mut self.also, &other.also), (&mut self.other, &other.other)] {
            for (name, count) in others {
                *own.entry(name.clone()).or_default() += count;
            }
        }
    }

    fn also_all(&self) -> u64 {
        self.also.values().sum()
    }

    fn other_all(&self) -> u64 {
        self.other.values().sum()
    }
}

fn percent(part: u64, of: u64) -> String {
    let wide = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    format!("{:.2} %", 100.0 * wide(part) / wide(of.max(1)))
}

/// Codes of which no fault can be put into a network here, and why.
const IMPOSSIBLE: &[(&str, &str)] = &[(
    "BRIDGE_VLAN",
    "a kernel without VLAN filtering of bridges; it is tried on Debian's (`cargo xtask vm-test`)",
)];

/// All of it as a table for people.
pub fn table(faults: &BTreeMap<String, Fault>) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "{:24} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>9} {:>9}\n",
        "fault",
        "injected",
        "harmless",
        "right",
        "object",
        "also",
        "other",
        "unknwn",
        "kernel",
        "fixes",
        "no fix"
    );
    let all = Fault::all(faults);
    for (code, fault) in faults.iter().map(|(code, fault)| (code.as_str(), fault)).chain([("all", &all)]) {
        let kernel = if fault.by_chance > 0 && fault.as_predicted == 0 {
            "chance".to_owned()
        } else {
            format!("{}", fault.as_predicted)
        };
        let fixes = format!("{}/{}", fault.mended, fault.fixes);
        let _ = writeln!(
            text,
            "{code:24} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {:>6} {kernel:>7} {fixes:>9} {:>9}",
            fault.injected,
            fault.harmless,
            fault.right,
            fault.right_object,
            fault.also_all(),
            fault.other_all(),
            fault.unknown,
            fault.unmended
        );
    }
    for (code, fault) in faults {
        for (what, count) in &fault.also {
            let _ = writeln!(text, "{code}: {count} times named {what}");
        }
        for (what, count) in &fault.other {
            let _ = writeln!(text, "{code}: {count} times {what} instead");
        }
    }
    let same = all.right + all.also_all();
    let _ = writeln!(
        text,
        "{} faults that stop the packet: the code is the fault's in {} ({}), or another that says the same in {} more ({}); its object is named in {} of {}; unknown {} ({})",
        all.cases,
        all.right,
        percent(all.right, all.cases),
        all.also_all(),
        percent(same, all.cases),
        all.right_object,
        all.right,
        all.unknown,
        percent(all.unknown, all.cases),
    );
    let _ = writeln!(
        text,
        "{} of {} fixes made the packet arrive ({})",
        all.mended,
        all.fixes,
        percent(all.mended, all.fixes)
    );
    for (code, why) in IMPOSSIBLE {
        let _ = writeln!(text, "{code} is not injected: {why}");
    }
    text
}
