//! What places in the kernel's code are called.
//!
//! The kernel is asked for one at a time, by a program of BPF that is run once for each (since Linux 5.13). All of its functions
//! (`/proc/kallsyms`) are read where that cannot be done: it takes the kernel a quarter of a second to write them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aya::maps::{Array, MapData};
use aya::programs::{RawTracePoint, RawTracePointRunOptions, TestRun as _};

/// The length of the programs' `struct text`, in bytes.
const LENGTH: usize = 640;
/// So many are remembered; the kernel has fewer places at which packets die.
const MOST: usize = 4096;

/// `struct text` of the programs.
pub(crate) type Text = [u8; LENGTH];

/// A place in the kernel's code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// The function.
    pub name: Arc<str>,
    /// The module that it is in, if it is in one.
    pub module: Option<Arc<str>>,
    /// How far behind its beginning the place is, in bytes.
    pub offset: u64,
}

/// Places that were asked for, and what tells of others.
pub(crate) struct Symbols {
    known: Mutex<HashMap<u64, Option<Symbol>>>,
    /// What the kernel writes into.
    text: Array<MapData, Text>,
    all: OnceLock<List>,
}

impl Symbols {
    pub(crate) fn new(text: Array<MapData, Text>) -> Self {
        Self { known: Mutex::default(), text, all: OnceLock::new() }
    }

    /// The function in which an address is, which is one that is returned to. `program` asks the kernel, if it can be asked.
    pub(crate) fn find(&self, program: Option<&RawTracePoint>, address: u64) -> Option<Symbol> {
        // As long as this is held, nobody else writes into the text.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(symbol) = known.get(&address) {
            return symbol.clone();
        }
        let symbol = match program.and_then(|program| self.ask(program, address)) {
            Some(text) => parse(&text),
            None => self.all.get_or_init(List::read).find(address),
        };
        if known.len() < MOST {
            known.insert(address, symbol.clone());
        }
        symbol
    }

    /// What the kernel writes for an address; none if it cannot say anything.
    fn ask(&self, program: &RawTracePoint, address: u64) -> Option<String> {
        let mut options = RawTracePointRunOptions::new();
        options.args[0] = address;
        let length = program.test_run(options).ok()?.return_value;
        // That of the text with the zero that ends it; an error is negative.
        let length = usize::try_from(length.cast_signed()).ok()?.checked_sub(1)?;
        let text = self.text.get(&0, 0).ok()?;
        String::from_utf8(text.get(..length)?.to_vec()).ok()
    }
}

/// Reads `function+0x10/0x20 [module]`; none of an address that is in no function, which is written as a number.
fn parse(text: &str) -> Option<Symbol> {
    let mut words = text.split(' ');
    let (name, place) = words.next()?.rsplit_once("+0x")?;
    let (offset, _) = place.split_once('/')?;
    let module = words.next().map(|word| word.trim_matches(['[', ']']).into());
    Some(Symbol { name: name.into(), module, offset: u64::from_str_radix(offset, 16).ok()? })
}

/// The kernel's functions (`/proc/kallsyms`).
#[derive(Debug, Default)]
struct List {
    text: String,
    /// Addresses with the place of the name's line in the text, by address.
    places: Vec<(u64, u32)>,
}

impl List {
    fn read() -> Self {
        Self::parse(std::fs::read_to_string("/proc/kallsyms").unwrap_or_default())
    }

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

    fn find(&self, address: u64) -> Option<Symbol> {
        // What is returned to stands behind the call, which may be a function's last instruction.
        let address = address.checked_sub(1)?;
        let after = self.places.partition_point(|&(begin, _)| begin <= address);
        let (begin, place) = *self.places.get(after.checked_sub(1)?)?;
        let line = self.text.get(place as usize..)?.lines().next()?;
        let mut words = line.split_whitespace();
        let name = words.next()?.into();
        let module = words.next().map(|word| word.trim_matches(['[', ']']).into());
        Some(Symbol { name, module, offset: address - begin + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, module: Option<&str>, offset: u64) -> Symbol {
        Symbol { name: name.into(), module: module.map(Into::into), offset }
    }

    #[test]
    fn functions_are_found_by_addresses_in_them() {
        let text = "0000000000000000 A fixed_percpu\nffffffff81000100 T second\nffffffff81000000 T first\nffffffff81000000 t alias\n\
                    ffffffff81000080 D data\nffffffffc0000000 t own\t[mod]\nodd\n";
        let list = List::parse(text.to_owned());
        assert_eq!(list.find(0xffff_ffff_8100_0010), Some(symbol("first", None, 0x10)));
        assert_eq!(list.find(0xffff_ffff_8100_0100), Some(symbol("first", None, 0x100)));
        assert_eq!(list.find(0xffff_ffff_8100_0101), Some(symbol("second", None, 1)));
        assert_eq!(list.find(0xffff_ffff_c000_0003), Some(symbol("own", Some("mod"), 3)));
        assert_eq!((list.find(0xffff_ffff_8100_0000), list.find(0)), (None, None));
        assert_eq!(List::default().find(7), None);
    }

    #[test]
    fn the_kernel_and_its_list_say_the_same() {
        let filter =
            crate::Filter { namespaces: Some(Vec::new()), chooses: false, ..crate::Filter::default() };
        let points = match crate::Tracepoints::open(&filter) {
            Ok(points) => points,
            Err(error) => return nslab_testing::skip(&error.to_string()),
        };
        if !points.asks() {
            return nslab_testing::kernel_is_older("5.13, which names functions");
        }
        let list = List::read();
        let begin = |name: &str| {
            let line = list.text.lines().find(|line| line.split_whitespace().nth(2) == Some(name)).unwrap();
            u64::from_str_radix(&line[..16], 16).unwrap()
        };
        for name in ["consume_skb", "ip_forward", "tcp_v4_rcv", "schedule"] {
            let place = begin(name) + 0x11;
            assert_eq!(points.symbol(place), list.find(place), "{name}");
            assert_eq!(points.symbol(place).unwrap().name.as_ref(), name);
        }
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(parse("ip_error+0x10c/0x2a0"), Some(symbol("ip_error", None, 0x10c)));
        assert_eq!(
            parse("br_handle_frame+0x1/0x2 [bridge]"),
            Some(symbol("br_handle_frame", Some("bridge"), 1))
        );
        for odd in ["", "0xffffffff81000000", "+", "a+0x", "a+0x1", "a+0xg/0x2"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
