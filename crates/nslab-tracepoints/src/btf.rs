//! The kernel's types, as far as programs have to be chosen by them (`/sys/kernel/btf/vmlinux`;
//! Documentation/bpf/btf.rst, `include/uapi/linux/btf.h`).

use std::collections::{BTreeMap, HashMap};

/// What it begins with.
const MAGIC: u16 = 0xeb9f;
/// The kinds of types that are looked at.
const PTR: u32 = 2;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const FUNC_PROTO: u32 = 13;
const ENUM64: u32 = 19;

/// Types, found by their names.
#[derive(Debug)]
pub(crate) struct Types<'a> {
    all: &'a [u8],
    strings: &'a [u8],
    /// Where each begins, by its number less one.
    places: Vec<u32>,
}

/// A type.
#[derive(Debug, Clone, Copy)]
struct Type<'a> {
    kind: u32,
    /// The number of the type that it is of, where it is.
    of: u32,
    /// How many members it has.
    count: usize,
    /// What follows its head.
    rest: &'a [u8],
}

/// What the type of a tracepoint's function is called.
fn typedef(tracepoint: &str) -> String {
    format!("btf_trace_{tracepoint}")
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl<'a> Types<'a> {
    /// Reads the whole. An error in words.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        // struct btf_header
        let head = |at| word(bytes, at).map(|word| word as usize).ok_or("it is too short");
        if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err("it is of another kind");
        }
        let (length, types, types_length) = (head(4)?, head(8)?, head(12)?);
        let (strings, strings_length) = (head(16)?, head(20)?);
        let part = |from: usize, length_of: usize| {
            let from = length.checked_add(from)?;
            bytes.get(from..from.checked_add(length_of)?)
        };
        let types = part(types, types_length).ok_or("it is cut off")?;
        let strings = part(strings, strings_length).ok_or("it is cut off")?;
        let mut read = Self { all: types, strings, places: Vec::with_capacity(types.len() / 24) };
        let mut at = 0;
        while at < types.len() {
            let info = word(types, at + 4).ok_or("a type is cut off")?;
            let count = (info & 0xffff) as usize;
            let more = match (info >> 24) & 0x1f {
                // INT, VAR, DECL_TAG
                1 | 14 | 17 => 4,
                // ARRAY
                3 => 12,
                // STRUCT, UNION, DATASEC, ENUM64
                4 | 5 | 15 | ENUM64 => count * 12,
                ENUM | FUNC_PROTO => count * 8,
                // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
                PTR | FWD..=12 | 16 | 18 => 0,
                _ => return Err("it has types of an unknown kind"),
            };
            read.places.push(u32::try_from(at).map_err(|_| "it is too long")?);
            at += 12 + more;
        }
        Ok(read)
    }

    fn get(&self, number: u32) -> Option<Type<'a>> {
        let at = *self.places.get(number.checked_sub(1)? as usize)? as usize;
        self.at(at)
    }

    fn at(&self, at: usize) -> Option<Type<'a>> {
        let info = word(self.all, at + 4)?;
        Some(Type {
            kind: (info >> 24) & 0x1f,
            of: word(self.all, at + 8)?,
            count: (info & 0xffff) as usize,
            rest: self.all.get(at + 12..)?,
        })
    }

    fn string(&self, at: u32) -> &'a str {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
        std::str::from_utf8(&rest[..end]).unwrap_or_default()
    }

    /// Whether what begins there is of a kind and a name.
    fn is(&self, at: u32, kind: u32, name: &str) -> bool {
        let at = at as usize;
        let Some(info) = word(self.all, at + 4) else { return false };
        let own = || self.strings.get(word(self.all, at)? as usize..)?.strip_prefix(name.as_bytes())?.first();
        (info >> 24) & 0x1f == kind && own() == Some(&0)
    }

    /// Types of a kind and a name.
    fn named<'s>(&'s self, kind: u32, name: &'s str) -> impl Iterator<Item = Type<'a>> + 's {
        self.places.iter().filter(move |&&at| self.is(at, kind, name)).filter_map(|&at| self.at(at as usize))
    }

    /// Types with the numbers that the kernel's have, in BTF: those by which programs at these tracepoints are told where they are, and
    /// others that stand for all that have lower numbers.
    pub(crate) fn numbers_of<'t>(&self, tracepoints: impl Iterator<Item = &'t str>) -> Vec<u8> {
        let mut strings = vec![0];
        let mut found = BTreeMap::new();
        for tracepoint in tracepoints {
            let name = typedef(tracepoint);
            let place = self.places.iter().position(|&at| self.is(at, TYPEDEF, &name));
            if let Some(place) = place {
                found.insert(place, strings.len());
                strings.extend(name.bytes().chain([0]));
            }
        }
        let count = found.last_key_value().map_or(0, |(&place, _)| place + 1);
        let mut types = Vec::with_capacity(count * 12);
        for place in 0..count {
            let (name, kind) = found.get(&place).map_or((0, FWD), |&name| (name, TYPEDEF));
            // Numbers that BTF has room for: it is shorter than what was read.
            types.extend([u32::try_from(name).unwrap_or(0), kind << 24, 0].map(u32::to_ne_bytes).concat());
        }
        // struct btf_header
        let [types_length, strings_length] =
            [types.len(), strings.len()].map(|length| u32::try_from(length).unwrap_or(0));
        let mut all = MAGIC.to_ne_bytes().to_vec();
        all.extend([1, 0]);
        for word in [24, 0, types_length, types_length, strings_length] {
            all.extend(word.to_ne_bytes());
        }
        [all, types, strings].concat()
    }

    /// How many arguments a tracepoint has, that of its own machinery not counted.
    pub(crate) fn arguments(&self, tracepoint: &str) -> Option<usize> {
        // Each has a typedef of a pointer to its function (`__bpf_trace_…`, `include/trace/bpf_probe.h`).
        let name = typedef(tracepoint);
        let pointer = self.named(TYPEDEF, &name).find_map(|one| self.get(one.of))?;
        let function = self.get(pointer.of)?;
        (pointer.kind == PTR && function.kind == FUNC_PROTO).then_some(function.count.saturating_sub(1))
    }

    /// The names of an enumeration's values.
    pub(crate) fn values(&self, enumeration: &str) -> HashMap<u32, String> {
        let mut values = HashMap::new();
        for one in self.named(ENUM, enumeration) {
            for member in one.rest.chunks_exact(8).take(one.count) {
                if let (Some(name), Some(value)) = (word(member, 0), word(member, 4)) {
                    values.entry(value).or_insert_with(|| self.string(name).to_owned());
                }
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `void (*)(void *, int)` as `btf_trace_x`, and `enum e { A, B = 7 }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0btf_trace_x\0e\0A\0B\0";
        let types: [u32; 31] = [
            0,
            1 << 24,
            4,
            0, // 1: INT
            0,
            PTR << 24,
            0, // 2: void *
            0,
            FUNC_PROTO << 24 | 2,
            0,
            0,
            2,
            0,
            1, // 3: the function
            0,
            PTR << 24,
            3, // 4: a pointer to it
            1,
            TYPEDEF << 24,
            4, // 5
            13,
            ENUM << 24 | 2,
            4,
            15,
            0,
            17,
            7, // 6
            13,
            4 << 24,
            0, // 7: a structure of the same name
            0, // cut off by the length below
        ];
        let types = types.map(u32::to_ne_bytes).concat();
        let length = u32::try_from(types.len() - 4).unwrap();
        let mut all = 0xeb9f_u16.to_ne_bytes().to_vec();
        all.extend([1, 0]);
        for word in [24, 0, length, length, u32::try_from(strings.len()).unwrap()] {
            all.extend(word.to_ne_bytes());
        }
        all.extend(&types[..types.len() - 4]);
        all.extend(strings);
        all
    }

    #[test]
    fn types_are_found() {
        let bytes = sample();
        let types = Types::parse(&bytes).unwrap();
        assert_eq!((types.arguments("x"), types.arguments("y")), (Some(1), None));
        let values = types.values("e");
        assert_eq!(values, HashMap::from([(0, "A".to_owned()), (7, "B".to_owned())]));
        assert!(types.values("f").is_empty());
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_an_error_or_less() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(Types::parse(&bytes[..length]).is_err(), "{length}");
        }
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut wrong = bytes.clone();
                wrong[place] = value;
                if let Ok(types) = Types::parse(&wrong) {
                    let _ = (types.arguments("x"), types.values("e"));
                }
            }
        }
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let bytes = sample();
        let types = Types::parse(&bytes).unwrap();
        let few = types.numbers_of(["x", "y"].into_iter());
        let few = Types::parse(&few).unwrap();
        assert_eq!((few.places.len(), few.get(5).unwrap().kind, few.get(4).unwrap().kind), (5, TYPEDEF, FWD));
        assert!(
            few.is(few.places[4], TYPEDEF, "btf_trace_x") && !few.is(few.places[4], TYPEDEF, "btf_trace_")
        );
        let none = types.numbers_of(std::iter::empty());
        assert!(Types::parse(&none).unwrap().places.is_empty());
    }

    #[test]
    fn this_kernels_types() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            return nslab_testing::kernel_lacks("CONFIG_DEBUG_INFO_BTF");
        };
        let types = Types::parse(&bytes).unwrap();
        assert_eq!(types.arguments("netif_receive_skb"), Some(1));
        assert!((2..=4).contains(&types.arguments("kfree_skb").unwrap()));
    }
}
