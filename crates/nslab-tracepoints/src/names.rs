//! What the kernel calls reasons and places in its code.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use crate::btf::Types;

/// What precedes all reasons.
const PREFIX: &str = "SKB_DROP_REASON_";
/// Where other parts of the kernel have reasons of their own, by these bits (`include/net/dropreason.h`).
const SUBSYSTEM: u32 = 0xffff_0000;

/// The names of reasons, and of functions by their addresses.
#[derive(Debug, Default)]
pub struct Names {
    reasons: HashMap<u32, String>,
    symbols: OnceLock<Symbols>,
}

/// A place in the kernel's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol<'a> {
    /// The function.
    pub name: &'a str,
    /// The module that it is in, if it is in one.
    pub module: Option<&'a str>,
    /// How far behind its beginning the place is, in bytes.
    pub offset: u64,
}

impl Names {
    pub(crate) fn of(types: &Types<'_>) -> Self {
        let strip = |name: String| {
            let bare = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix("SKB_"));
            bare.map(str::to_owned).unwrap_or(name)
        };
        let reasons = types.values("skb_drop_reason").into_iter();
        Self {
            reasons: reasons.map(|(value, name)| (value, strip(name))).collect(),
            symbols: OnceLock::new(),
        }
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

    /// The function in which an address is, which is one that is returned to; none if the kernel does not say
    /// (`kernel.kptr_restrict`). All functions are read once, at the first question, which takes some 50 ms.
    pub fn symbol(&self, address: u64) -> Option<Symbol<'_>> {
        let symbols = self
            .symbols
            .get_or_init(|| Symbols::parse(std::fs::read_to_string("/proc/kallsyms").unwrap_or_default()));
        symbols.find(address)
    }
}

/// The kernel's functions (`/proc/kallsyms`).
#[derive(Debug, Default)]
struct Symbols {
    text: String,
    /// Addresses with the place of the name's line in the text, by address.
    places: Vec<(u64, u32)>,
}

impl Symbols {
    fn parse(text: String) -> Self {
        let mut places = Vec::with_capacity(text.len() / 40);
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            // ffffffff81000000 T name	[module]
            if let Some((address, rest)) = line.split_once(' ')
                && matches!(rest.as_bytes(), [b't' | b'T' | b'w' | b'W', b' ', ..])
                && let Ok(address) = u64::from_str_radix(address, 16)
                && address != 0
                && let Ok(place) = u32::try_from(at + line.len() - rest.len() + 2)
            {
                places.push((address, place));
            }
            at += line.len();
        }
        // Of several names the first is kept.
        places.sort_by_key(|&(address, _)| address);
        places.dedup_by_key(|&mut (address, _)| address);
        Self { text, places }
    }

    fn find(&self, address: u64) -> Option<Symbol<'_>> {
        // What is returned to stands behind the call, which may be a function's last instruction.
        let address = address.checked_sub(1)?;
        let after = self.places.partition_point(|&(begin, _)| begin <= address);
        let (begin, place) = *self.places.get(after.checked_sub(1)?)?;
        let line = self.text.get(place as usize..)?.lines().next()?;
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let module = words.next().map(|word| word.trim_matches(['[', ']']));
        Some(Symbol { name, module, offset: address - begin + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_addresses_in_them() {
        let text = "0000000000000000 A fixed_percpu\nffffffff81000100 T second\nffffffff81000000 T first\nffffffff81000000 t alias\n\
                    ffffffff81000080 D data\nffffffffc0000000 t own\t[mod]\nodd\n";
        let symbols = Symbols::parse(text.to_owned());
        let at = |address| symbols.find(address).map(|one| (one.name, one.module, one.offset));
        assert_eq!(at(0xffff_ffff_8100_0010), Some(("first", None, 0x10)));
        assert_eq!(at(0xffff_ffff_8100_0100), Some(("first", None, 0x100)));
        assert_eq!(at(0xffff_ffff_8100_0101), Some(("second", None, 1)));
        assert_eq!(at(0xffff_ffff_c000_0003), Some(("own", Some("mod"), 3)));
        assert_eq!((at(0xffff_ffff_8100_0000), at(0)), (None, None));
        assert_eq!(Symbols::default().find(7), None);
    }

    #[test]
    fn reasons_without_a_name_are_told_by_number() {
        let names = Names { reasons: HashMap::from([(3, "NO_SOCKET".to_owned())]), ..Names::default() };
        assert_eq!(names.reason(3), "NO_SOCKET");
        assert_eq!(names.reason(4), "REASON_4");
        assert_eq!(names.reason(0x0002_0005), "SUBSYSTEM_2_REASON_5");
    }
}
