//! Sets in nft's words.

use std::fmt::Write;

use super::statement::limit_words;
use super::types::{self, Order, Type, quoted};
use super::{Names, rule::Walk};
use crate::nftables::data::Data;
use crate::nftables::set::{Element, ElementValue, MapsTo, Set, SetFlags};
use crate::nftables::table::Table;
use crate::nftables::userdata::UserData;

/// Set flags' words.
const FLAGS: [(SetFlags, &str); 4] = [
    (SetFlags::CONSTANT, "constant"),
    (SetFlags::EVAL, "dynamic"),
    (SetFlags::INTERVAL, "interval"),
    (SetFlags::TIMEOUT, "timeout"),
];
/// `NFTNL_UDATA_SET_MERGE_ELEMENTS` (libnftnl, `include/udata.h`).
const MERGE: u8 = 2;

/// nft's words for a type's number, of one or several values; none if one has none.
fn type_words(number: u32) -> Option<String> {
    let words: Option<Vec<_>> = parts(number).into_iter().map(Type::word).collect();
    Some(words?.join(" . "))
}

/// The types of a key of several values.
fn parts(mut number: u32) -> Vec<u32> {
    let mut parts = Vec::new();
    while number != 0 {
        parts.push(number & 0x3f);
        number >>= 6;
    }
    parts.reverse();
    parts
}

/// A set with its name; the second says whether everything found words.
pub(super) fn definition(set: &Set, table: &Table, names: Names<'_>) -> (String, bool) {
    let mut text = String::new();
    let mut complete = true;
    let word = if set.is_map() { "map" } else { "set" };
    let _ = writeln!(text, "\t{word} {} {{", set.name);
    let noted = UserData::parse(&set.user_data);
    let to = match set.maps_to {
        MapsTo::Nothing => Some(String::new()),
        MapsTo::Verdict => Some(" : verdict".to_owned()),
        MapsTo::Value { kind, .. } => {
            let interval =
                if noted.get(6).is_some_and(|flag| flag.first() == Some(&1)) { "interval " } else { "" };
            type_words(kind).map(|words| format!(" : {interval}{words}"))
        }
        MapsTo::Object(kind) => kind.word().map(|word| format!(" : {word}")),
    };
    let named = type_words(set.key_type).filter(|key| !key.is_empty());
    // A type without a word, as that of a length, is said by what is looked for in the set.
    let used = if named.is_none() && typeof_to(set) { use_of(set, table, names) } else { None };
    match (&named, &used, to) {
        (Some(key), _, Some(to)) => {
            let _ = writeln!(text, "\t\ttype {key}{to}");
        }
        (None, Some((key, _)), Some(to)) => {
            let _ = writeln!(text, "\t\ttypeof {key}{to}");
        }
        _ => {
            complete = false;
            let _ = writeln!(text, "\t\t# type {} to {:?}", set.key_type, set.maps_to);
        }
    }
    let known = used.map(|(_, parts)| parts);
    if set.save_memory {
        text.push_str("\t\tpolicy memory\n");
    }
    // That of a constant set is how many it holds.
    if let Some(size) = set.size.filter(|_| !set.flags.contains(SetFlags::CONSTANT)) {
        let _ = writeln!(text, "\t\tsize {size}");
    }
    let flags: Vec<&str> =
        FLAGS.into_iter().filter(|(flag, _)| set.flags.contains(*flag)).map(|(_, word)| word).collect();
    if !flags.is_empty() {
        let _ = writeln!(text, "\t\tflags {}", flags.join(","));
    }
    if let Some(timeout) = set.timeout {
        let _ = writeln!(text, "\t\ttimeout {}", types::duration(timeout));
    }
    if let Some(interval) = set.gc_interval {
        let _ = writeln!(text, "\t\tgc-interval {}", types::duration(u64::from(interval)));
    }
    if noted.get(MERGE).is_some_and(|flag| flag.first() == Some(&1)) {
        text.push_str("\t\tauto-merge\n");
    }
    for expr in &set.expressions {
        match state_words(expr, table, names) {
            Some(words) => {
                let _ = writeln!(text, "\t\t{words}");
            }
            None => complete = false,
        }
    }
    if let Some(comment) = noted.text(UserData::SET_COMMENT).and_then(quoted) {
        let _ = writeln!(text, "\t\tcomment {comment}");
    }
    if !set.elements.is_empty() {
        if let Some(elements) = elements(set, known.as_deref(), table, names) {
            let _ = writeln!(text, "\t\telements = {{ {} }}", lines(&elements));
        } else {
            complete = false;
            let _ = writeln!(text, "\t\t# {} elements", set.elements.len());
        }
    }
    text.push_str("\t}\n");
    (text, complete)
}

/// Whether what a map gives can be written beside `typeof`, which knows no words for types.
fn typeof_to(set: &Set) -> bool {
    matches!(set.maps_to, MapsTo::Nothing | MapsTo::Verdict | MapsTo::Object(_))
}

/// The words and the parts of the key with which the first rule that does so looks into a set.
fn use_of(set: &Set, table: &Table, names: Names<'_>) -> Option<(String, Vec<Part>)> {
    table.chains.iter().flat_map(|chain| &chain.rules).find_map(|rule| {
        let mut walk = Walk::new(table, names, 0);
        walk.expressions(&rule.expressions);
        let found = walk.looked_into.into_iter().find(|(name, ..)| *name == set.name);
        found.map(|(_, words, parts)| (words, parts))
    })
}

/// Elements, some on each line.
fn lines(elements: &[String]) -> String {
    let mut text = String::new();
    let mut width = 0;
    for element in elements {
        if width > 0 {
            text.push(',');
            text.push_str(if width + element.len() > 80 { "\n\t\t\t     " } else { " " });
            width = if width + element.len() > 80 { 0 } else { width };
        }
        text.push_str(element);
        width += element.len() + 2;
    }
    text
}

/// What comes with each element of a set, without its state.
fn state_words(expr: &crate::nftables::expr::Expr, table: &Table, names: Names<'_>) -> Option<String> {
    use crate::nftables::expr::Expr;
    match expr {
        Expr::Counter { .. } => Some("counter".to_owned()),
        Expr::Limit(limit) => limit_words(limit),
        other => Walk::new(table, names, 0).statement(other),
    }
}

/// One value of a key.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) kind: Type,
    pub(super) order: Order,
    /// Its bytes.
    pub(super) len: usize,
    /// It is to be shifted to the right by this to be the field's value.
    pub(super) shift: u32,
}

impl Part {
    fn value(self, order: Order, bytes: &[u8], names: Names<'_>) -> Option<String> {
        if self.shift == 0 {
            return names.value(self.kind, order, bytes);
        }
        names.value(self.kind, Order::Network, &types::shifted(bytes, order, self.shift)?)
    }
}

/// The values that a key or what a map gives is made of, by nft's number for it; `len` is all bytes together.
fn parts_of(number: u32, len: usize) -> Option<Vec<Part>> {
    let numbers = parts(number);
    if let [one] = numbers[..] {
        let kind = Type::of_number(one);
        return Some(vec![Part { kind, order: kind.order(), len, shift: 0 }]);
    }
    let part = |number: &u32| {
        let kind = Type::of_number(*number);
        Some(Part { kind, order: kind.order(), len: Type::len_of_number(*number)?, shift: 0 })
    };
    numbers.iter().map(part).collect()
}

/// The elements of a set in order; `known` is what its key is made of where a rule knows it better.
pub(super) fn elements(
    set: &Set,
    known: Option<&[Part]>,
    table: &Table,
    names: Names<'_>,
) -> Option<Vec<String>> {
    let parts = match known {
        Some(known) => known.to_vec(),
        None => parts_of(set.key_type, usize::try_from(set.key_len).ok()?)?,
    };
    let mut texts = Vec::new();
    for (first, last, element) in set.ranges() {
        let key = key_words(&parts, &first, &last, names)?;
        texts.push(key + &tail(set, element, table, names)?);
    }
    for element in set.elements.iter().filter(|element| element.key.is_none()) {
        let tail = tail(set, element, table, names)?;
        texts.push(format!("*{tail}"));
    }
    Some(texts)
}

fn key_words(parts: &[Part], first: &Data, last: &Data, names: Names<'_>) -> Option<String> {
    if let [one] = parts {
        return range_words(*one, first, last, names);
    }
    let mut at = 0;
    let mut words = Vec::new();
    for part in parts {
        let of = |data: &Data| data.get(at..at + part.len).map(Data::from);
        words.push(range_words(*part, &of(first)?, &of(last)?, names)?);
        at += part.len.next_multiple_of(4);
    }
    Some(words.join(" . "))
}

/// The length of the prefix that goes from the first to the last address, if they are the ends of one.
pub(super) fn prefix_length(first: &[u8], last: &[u8]) -> Option<u32> {
    let (from, to) = (types::number(first, Order::Network)?, types::number(last, Order::Network)?);
    let host = from ^ to;
    let all = u32::try_from(first.len() * 8).ok()?;
    let is_prefix = from & host == 0 && host & host.wrapping_add(1) == 0 && first.len() == last.len();
    is_prefix.then(|| all - host.count_ones())
}

fn range_words(part: Part, first: &Data, last: &Data, names: Names<'_>) -> Option<String> {
    let Part { kind, order, .. } = part;
    if first == last {
        return part.value(order, first, names);
    }
    if kind == Type::InterfaceName {
        // A name's start, padded with the least and with the greatest bytes.
        let same = first.iter().zip(last.iter()).take_while(|(a, b)| a == b).count();
        let padded =
            first[same..].iter().all(|&byte| byte == 0) && last[same..].iter().all(|&byte| byte == 0xff);
        return padded.then(|| part.value(order, &first[..same], names))?;
    }
    if kind.has_prefixes()
        && let Some(length) = prefix_length(first, last)
    {
        return Some(format!("{}/{length}", part.value(order, first, names)?));
    }
    // Ranges are kept in network order, whatever the order of the type.
    let order = if matches!(order, Order::Machine) { Order::Network } else { order };
    Some(format!("{}-{}", part.value(order, first, names)?, part.value(order, last, names)?))
}

/// What follows an element's key.
fn tail(set: &Set, element: &Element, table: &Table, names: Names<'_>) -> Option<String> {
    let mut text = String::new();
    let mut walk = Walk::new(table, names, 0);
    for expr in &element.expressions {
        text += &format!(" {}", walk.statement(expr)?);
    }
    if let Some(timeout) = element.timeout {
        text += &format!(" timeout {}", types::duration(timeout));
    }
    if let Some(expires) = element.expires {
        text += &format!(" expires {}", types::duration(expires));
    }
    if let Some(comment) = UserData::parse(&element.user_data).comment() {
        text += &format!(" comment {}", quoted(comment)?);
    }
    match &element.value {
        None => {}
        Some(ElementValue::Verdict(verdict)) => text += &format!(" : {}", walk.verdict(verdict)?),
        Some(ElementValue::Object(name)) => text += &format!(" : {}", quoted(name)?),
        Some(ElementValue::Value(value)) => text += &format!(" : {}", mapped(set, value, names)?),
    }
    Some(text)
}

/// What a map has for a key.
fn mapped(set: &Set, value: &Data, names: Names<'_>) -> Option<String> {
    let MapsTo::Value { kind, .. } = set.maps_to else { return None };
    let mut parts = parts_of(kind, value.len())?;
    // Some maps give ranges: all least values, then all greatest ones.
    let len: usize = match &parts[..] {
        [one] => Type::len_of_number(kind).unwrap_or(one.len),
        several => several.iter().map(|part| part.len.next_multiple_of(4)).sum(),
    };
    if let [one] = &mut parts[..] {
        one.len = len;
    }
    if value.len() == 2 * len {
        return key_words(&parts, &Data::from(&value[..len]), &Data::from(&value[len..]), names);
    }
    key_words(&parts, value, value, names)
}
