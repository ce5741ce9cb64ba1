//! A rule in nft's words.
//!
//! The expressions are gone through as the kernel does it, with words in the registers in the place of values. A match that
//! only says which kind of packet follows (`meta l4proto tcp` before `tcp dport`) is left out where nft would put it in again.

use super::context::{Context, Dependency, Words};
use super::term::Term;
use super::types::{self, Order, Type};
use super::{Names, set};
use crate::nftables::data::{Data, Register, Verdict};
use crate::nftables::expr::{BitwiseOp, CmpOp, Expr, HashKind, LookupInto};
use crate::nftables::family::Family;
use crate::nftables::set::{MapsTo, Set};
use crate::nftables::table::Table;

/// A statement, or what could not be put in words.
pub(super) struct Statement {
    pub(super) text: String,
    dependency: Option<Dependency>,
}

/// What is known while a rule is gone through.
pub(super) struct Walk<'a> {
    pub(super) table: &'a Table,
    pub(super) names: Names<'a>,
    pub(super) context: Context,
    registers: [Option<Term>; 16],
    pub(super) statements: Vec<Statement>,
    /// Depth of chains within rules.
    pub(super) depth: usize,
    /// Sets that were looked into, each with the words and the parts of the key.
    pub(super) looked_into: Vec<(String, String, Vec<set::Part>)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(table: &'a Table, names: Names<'a>, depth: usize) -> Self {
        Self {
            table,
            names,
            context: Context::new(table.id.family),
            registers: [const { None }; 16],
            statements: Vec::new(),
            depth,
            looked_into: Vec::new(),
        }
    }

    /// Goes through expressions; says whether all of them found words.
    pub(super) fn expressions(&mut self, all: &[Expr]) -> bool {
        let mut complete = true;
        let mut rest = all;
        while let [expr, after @ ..] = rest {
            // A range is written as two comparisons.
            if let Some(text) = after.first().and_then(|second| self.two_sided(expr, second)) {
                self.push(text);
                rest = &after[1..];
                continue;
            }
            if self.expression(expr).is_none() {
                complete = false;
                self.push(raw(expr));
            }
            rest = after;
        }
        complete
    }

    pub(super) fn push(&mut self, text: impl Into<String>) {
        self.statements.push(Statement { text: text.into(), dependency: None });
    }

    fn put(&mut self, register: Register, term: Term) {
        // What a longer value covers is no longer what it was.
        let slots = usize::try_from(term.len().div_ceil(4)).unwrap_or(0).max(1);
        for slot in self.registers.iter_mut().skip(register.index()).take(slots) {
            *slot = None;
        }
        self.registers[register.index()] = Some(term);
    }

    pub(super) fn get(&self, register: Register) -> Option<&Term> {
        self.registers[register.index()].as_ref()
    }

    /// The words for a register; what they make needless to write is taken out.
    pub(super) fn words(&mut self, register: Register) -> Option<Words> {
        let term = self.get(register)?.clone();
        self.words_of(&term)
    }

    pub(super) fn words_of(&mut self, term: &Term) -> Option<Words> {
        let words = self.context.words(term)?;
        self.spare(&words.implies);
        Some(words)
    }

    /// Takes out what nft puts in by itself: of the statements that only say which kind of packet follows, those right before.
    pub(super) fn spare(&mut self, implied: &[Dependency]) {
        let since = self.statements.iter().rposition(|statement| statement.dependency.is_none());
        let mut kept = self.statements.split_off(since.map_or(0, |last| last + 1));
        kept.retain(|statement| !statement.dependency.is_some_and(|one| implied.contains(&one)));
        self.statements.extend(kept);
    }

    /// One expression; none if there are no words for it.
    fn expression(&mut self, expr: &Expr) -> Option<()> {
        match expr {
            Expr::Immediate { destination, .. }
            | Expr::Payload { destination, .. }
            | Expr::Meta { destination, .. }
            | Expr::Ct { destination, .. }
            | Expr::Rt { destination, .. }
            | Expr::Socket { destination, .. }
            | Expr::Fib { destination, .. }
            | Expr::Exthdr { destination, .. }
            | Expr::Numgen { destination, .. }
            | Expr::Hash { destination, kind: HashKind::Symmetric, .. }
            | Expr::Osf { destination, .. }
            | Expr::Xfrm { destination, .. } => self.put(*destination, Term::loaded(expr)?),
            Expr::Hash { destination, kind: HashKind::Jenkins { source, len, seed }, modulus, offset } => {
                let keys = self.keys(*source, *len)?;
                let seed = seed.map_or(String::new(), |seed| format!(" seed 0x{seed:x}"));
                let plus = if *offset == 0 { String::new() } else { format!(" offset {offset}") };
                let text = format!("jhash {} mod {modulus}{seed}{plus}", join(&keys));
                let term =
                    Term::Named { text, kind: Type::Integer, order: Order::Machine, len: 4, implies: None };
                self.put(*destination, term);
            }
            Expr::Bitwise { source, destination, op, .. } => {
                let of = Box::new(self.get(*source)?.clone());
                let term = match op {
                    BitwiseOp::MaskXor { mask, xor } => {
                        Term::Masked { of, mask: mask.clone(), xor: xor.clone() }
                    }
                    BitwiseOp::ShiftLeft(bits) => Term::Shifted { of, left: true, bits: *bits },
                    BitwiseOp::ShiftRight(bits) => Term::Shifted { of, left: false, bits: *bits },
                    BitwiseOp::Register { .. } => return None,
                };
                self.put(*destination, term);
            }
            Expr::Byteorder { source, destination, .. } => {
                let of = Box::new(self.get(*source)?.clone());
                self.put(*destination, Term::Swapped(of));
            }
            Expr::Cmp { source, op, data } => self.compare(*source, *op, data)?,
            Expr::Range { source, inverted, from, to } => {
                let words = self.words(*source)?;
                let not = if *inverted { "!= " } else { "" };
                let range = self.range(&words, from, to)?;
                self.push(format!("{} {not}{range}", words.text));
            }
            Expr::Lookup { set, source, into, inverted } => self.lookup(set, *source, *into, *inverted)?,
            Expr::Verdict(verdict) => {
                let text = self.verdict(verdict)?;
                self.push(text);
            }
            _ => {
                let text = self.statement(expr)?;
                self.push(text);
            }
        }
        Some(())
    }

    /// A value of what these words stand for.
    pub(super) fn value(&self, words: &Words, data: &[u8]) -> Option<String> {
        if words.shift > 0 {
            let data = types::shifted(data, words.order, words.shift)?;
            return self.names.value(words.kind, Order::Network, &data);
        }
        // A comparison with only the first bytes of an address.
        let whole = match words.kind {
            Type::Ipv4 => Some(32),
            Type::Ipv6 => Some(128),
            _ => None,
        };
        let whole = words.address_len.or(whole.filter(|bits| data.len() * 8 < *bits as usize));
        if let Some(bits) = whole {
            let mut address = data.to_vec();
            address.resize(usize::try_from(bits / 8).ok()?, 0);
            let address = self.names.value(words.kind, words.order, &address)?;
            return Some(format!("{address}/{}", data.len() * 8));
        }
        self.names.value(words.kind, words.order, data)
    }

    fn range(&self, words: &Words, from: &Data, to: &Data) -> Option<String> {
        // There are no ranges of prefixes.
        words.address_len.is_none().then_some(())?;
        Some(format!("{}-{}", self.value(words, from)?, self.value(words, to)?))
    }

    /// `>= a` and then `<= b` of the same register: a range.
    fn two_sided(&mut self, first: &Expr, second: &Expr) -> Option<String> {
        let (
            Expr::Cmp { source, op: CmpOp::GreaterOrEqual, data: from },
            Expr::Cmp { source: same, op: CmpOp::LessOrEqual, data: to },
        ) = (first, second)
        else {
            return None;
        };
        (source == same).then_some(())?;
        let words = self.words(*source)?;
        Some(format!("{} {}", words.text, self.range(&words, from, to)?))
    }

    fn compare(&mut self, source: Register, op: CmpOp, data: &Data) -> Option<()> {
        let term = self.get(source)?.clone();
        let sign = match op {
            CmpOp::Equal => String::new(),
            other => format!("{} ", other.word()?),
        };
        if op == CmpOp::Equal && self.several_fields(&term, data).is_some() {
            return Some(());
        }
        if let Some(text) = self.bits(&term, op, data).or_else(|| self.prefix(&term, &sign, data)) {
            self.push(text);
            return Some(());
        }
        let words = self.words_of(&term)?;
        let value = self.value(&words, data)?;
        let mut dependency = None;
        if op == CmpOp::Equal
            && words.shift == 0
            && let Some(number) = types::number(data, words.order)
        {
            dependency = self.context.learn(&words.text, number);
        }
        // Without the sign, a match of bits asks for one of them, and a mask would have no end.
        let masked = matches!(term, Term::Masked { .. }) && words.text.contains(['&', '|', '^']);
        let signed = masked || matches!(words.kind, Type::Bits(_));
        let sign = if op == CmpOp::Equal && signed { "== ".to_owned() } else { sign };
        self.statements.push(Statement { text: format!("{} {sign}{value}", words.text), dependency });
        Some(())
    }

    /// A comparison of several fields that lie one after the other, which nft puts together.
    fn several_fields(&mut self, term: &Term, data: &Data) -> Option<()> {
        let Term::Payload { base, offset, len } = term else { return None };
        (usize::try_from(*len).ok()? == data.len()).then_some(())?;
        let fields = self.context.split(*base, *offset, *len)?;
        let mut rest = &data[..];
        for (offset, len) in fields {
            let (value, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            rest = after;
            let words = self.words_of(&Term::Payload { base: *base, offset, len })?;
            let number = types::number(value, words.order)?;
            let value = self.value(&words, value)?;
            let dependency = self.context.learn(&words.text, number);
            self.statements.push(Statement { text: format!("{} {value}", words.text), dependency });
        }
        Some(())
    }

    /// A comparison of named bits.
    fn bits(&mut self, term: &Term, op: CmpOp, data: &Data) -> Option<String> {
        let Term::Masked { of, mask, xor } = term else { return None };
        let words = self.context.words(of)?;
        let Type::Bits(table) = words.kind else { return None };
        xor.iter().all(|&byte| byte == 0).then_some(())?;
        let mask = types::number(mask, words.order)?;
        let value = types::number(data, words.order)?;
        // Written out, so that what it makes needless is taken out.
        let words = self.words_of(of)?;
        Some(match (op, value) {
            (CmpOp::NotEqual, 0) => format!("{} {}", words.text, types::bits(table, mask, ",")),
            (CmpOp::Equal | CmpOp::NotEqual, _) => {
                let value = if value == 0 { "0".to_owned() } else { in_parentheses(table, value) };
                let sign = if op == CmpOp::Equal { "==" } else { "!=" };
                format!("{} & {} {sign} {value}", words.text, in_parentheses(table, mask))
            }
            _ => return None,
        })
    }

    /// A comparison of an address's first bits.
    fn prefix(&mut self, term: &Term, sign: &str, data: &Data) -> Option<String> {
        let Term::Masked { of, mask, xor } = term else { return None };
        let words = self.context.words(of)?;
        let whole = words.address_len.is_none() && words.kind.has_prefixes();
        (whole && xor.iter().all(|&byte| byte == 0)).then_some(())?;
        let (first, len) = super::context::run(mask)?;
        (first == 0 && matches!(sign, "" | "!= ")).then_some(())?;
        // Bits beyond the prefix would be lost, and with them that this never matches.
        let within = data.iter().zip(mask.iter()).all(|(byte, mask)| byte & !mask == 0);
        (within && data.len() == mask.len()).then_some(())?;
        let words = self.words_of(of)?;
        let value = self.value(&words, data)?;
        Some(format!("{} {sign}{value}/{len}", words.text))
    }

    /// The words for what a set of this many bytes is looked into with: one term or several one after the other.
    pub(super) fn keys(&mut self, source: Register, len: u32) -> Option<Vec<Key>> {
        let mut keys = Vec::new();
        let (mut slot, mut left) = (source.index(), len);
        while left > 0 {
            let register = Register::slot(u8::try_from(slot).ok()?)?;
            let size = self.get(register)?.len();
            keys.push(Key { words: self.words(register)?, len: usize::try_from(size).ok()? });
            let padded = size.div_ceil(4) * 4;
            slot += usize::try_from(padded / 4).ok()?;
            // A key of one value is as long as that; of several each is padded.
            left = left.saturating_sub(if size == left { left } else { padded });
        }
        Some(keys)
    }

    fn lookup(&mut self, name: &str, source: Register, into: LookupInto, inverted: bool) -> Option<()> {
        let set = self.table.set(name)?;
        let keys = self.keys(source, set.key_len)?;
        let text = join(&keys);
        self.looked_into.push((name.to_owned(), text.clone(), parts(&keys)));
        let content = self.set_words(set, &keys)?;
        match into {
            LookupInto::Nothing => {
                let not = if inverted { "!= " } else { "" };
                self.push(format!("{text} {not}{content}"));
            }
            LookupInto::Verdict => self.push(format!("{text} vmap {content}")),
            LookupInto::Register(destination) => {
                let MapsTo::Value { len, .. } = set.maps_to else { return None };
                self.put(destination, Term::Mapped { text: format!("{text} map {content}"), len });
            }
        }
        Some(())
    }

    /// A set by its name, or what an anonymous one holds.
    pub(super) fn set_words(&self, set: &Set, keys: &[Key]) -> Option<String> {
        if !set.is_anonymous() {
            return Some(format!("@{}", set.name));
        }
        let elements = set::elements(set, Some(&parts(keys)), self.table, self.names)?;
        Some(format!("{{ {} }}", elements.join(", ")))
    }

    pub(super) fn verdict(&self, verdict: &Verdict) -> Option<String> {
        let jump =
            |word: &str, chain: &str| match self.table.chain(chain).filter(|inner| inner.is_anonymous()) {
                Some(inner) if self.depth < 16 => {
                    let indent = "\t".repeat(self.depth + 1);
                    let rules = super::rules(self.table, inner, self.names, self.depth + 1);
                    Some(format!("{word} {{\n{rules}{indent}}}"))
                }
                Some(_) => None,
                None => Some(format!("{word} {chain}")),
            };
        Some(match verdict {
            Verdict::Accept => "accept".to_owned(),
            Verdict::Drop => "drop".to_owned(),
            Verdict::Continue => "continue".to_owned(),
            Verdict::Return => "return".to_owned(),
            Verdict::Jump(chain) => jump("jump", chain)?,
            Verdict::Goto(chain) => jump("goto", chain)?,
            Verdict::Queue { number, bypass } => {
                let flags = if *bypass { " flags bypass" } else { "" };
                format!("queue{flags} to {number}")
            }
            Verdict::Break | Verdict::Other(_) => return None,
        })
    }

    pub(super) fn family(&self) -> Family {
        self.table.id.family
    }
}

/// One of the values that a set is looked into with.
pub(super) struct Key {
    words: Words,
    /// Bytes that it has in registers.
    len: usize,
}

/// Bits by their names, as one operand.
fn in_parentheses(table: &'static [(u64, &'static str)], number: u128) -> String {
    let words = types::bits(table, number, " | ");
    if words.contains('|') { format!("({words})") } else { words }
}

/// What a key is made of.
fn parts(keys: &[Key]) -> Vec<set::Part> {
    let part = |key: &Key| {
        let Words { kind, order, shift, .. } = key.words;
        set::Part { kind, order, len: key.len, shift }
    };
    keys.iter().map(part).collect()
}

pub(super) fn join(keys: &[Key]) -> String {
    let texts: Vec<&str> = keys.iter().map(|key| key.words.text.as_str()).collect();
    texts.join(" . ")
}

/// An expression without words, as it is.
pub(super) fn raw(expr: &Expr) -> String {
    match expr {
        Expr::Unknown { name, data: Some(data) } => format!("[ {name} {data} ]"),
        Expr::Unknown { name, data: None } => format!("[ {name} ]"),
        Expr::Xt { target, name, revision, info } => {
            let kind = if *target { "target" } else { "match" };
            format!("[ {kind} {name} revision {revision} {info} ]")
        }
        other => format!("[ {other:?} ]"),
    }
}
