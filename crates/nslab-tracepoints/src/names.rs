//! What the kernel calls reasons.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::btf::Types;

/// What precedes all reasons.
const PREFIX: &str = "SKB_DROP_REASON_";
/// Where other parts of the kernel have reasons of their own, by these bits (`include/net/dropreason.h`).
const SUBSYSTEM: u32 = 0xffff_0000;

/// The names of reasons.
#[derive(Debug, Default)]
pub struct Names {
    reasons: HashMap<u32, String>,
}

impl Names {
    pub(crate) fn of(types: &Types<'_>) -> Self {
        let strip = |name: String| {
            let bare = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix("SKB_"));
            bare.map(str::to_owned).unwrap_or(name)
        };
        let reasons = types.values("skb_drop_reason").into_iter();
        Self { reasons: reasons.map(|(value, name)| (value, strip(name))).collect() }
    }

    /// The name of a reason as this kernel has it (`enum skb_drop_reason`), without what precedes all of them: `NO_SOCKET`.
    /// Numbers mean other things in other kernels. One that has none is told by its number.
    pub fn reason(&self, reason: u32) -> Cow<'_, str> {
        match self.reasons.get(&reason) {
            Some(name) => name.into(),
            None if reason & SUBSYSTEM != 0 => {
                format!("SUBSYSTEM_{}_REASON_{}", reason >> 16, reason & !SUBSYSTEM).into()
            }
            None => format!("REASON_{reason}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_without_a_name_are_told_by_number() {
        let names = Names { reasons: HashMap::from([(3, "NO_SOCKET".to_owned())]) };
        assert_eq!(names.reason(3), "NO_SOCKET");
        assert_eq!(names.reason(4), "REASON_4");
        assert_eq!(names.reason(0x0002_0005), "SUBSYSTEM_2_REASON_5");
    }
}
