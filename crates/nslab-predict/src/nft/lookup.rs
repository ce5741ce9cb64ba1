//! Sets and maps in rules (`nft_lookup_eval`, `nft_dynset_eval`, `nft_objref_map_eval`) and routes (`nft_fib4_eval`).

use std::rc::Rc;

use nslab_kernel::nftables::{
    Dynset, Element, ElementValue, Expr, FibFlags, FibResult, Hook, LookupInto, ObjectContent, Objref,
    Register,
};

use super::bits::Term;
use super::chain::{Evaluator, Place};
use super::context::FibQuestion;
use super::logic::doubt;
use super::payload::Load;
use super::registers::Registers;
use super::rule::{BREAK, Effect, Side, destination, flow};
use super::run::{Flow, Run, Touched};
use super::set;

/// More sides than these are not followed one by one.
const SIDES: usize = 32;

impl Evaluator<'_> {
    #[expect(clippy::too_many_arguments, reason = "they are what the expression is made of")]
    pub(super) fn lookup(
        &self,
        place: Place,
        name: &str,
        source: Register,
        into: LookupInto,
        inverted: bool,
        run: &Run,
        registers: &mut Registers,
    ) -> Effect {
        let Some(set) = self.table(place).and_then(|table| table.set(name)) else {
            return Effect::unknown(format!("set {name}"), "What is in the set, which could not be read.");
        };
        let key = registers.read(source, usize::try_from(set.key_len).unwrap_or(usize::MAX));
        let why =
            || key.doubt.clone().unwrap_or_else(|| doubt(format!("@{name}"), "Which elements are in it."));
        if let Some(touched) = touched(run, place, name, &key) {
            return match (touched, into) {
                (Touch::There, LookupInto::Nothing) => Effect::if_so(Some(!inverted), why),
                (Touch::Gone, LookupInto::Nothing) => Effect::if_so(Some(inverted), why),
                // What a packet puts into a map it seldom asks for.
                _ => Effect::unknown(format!("@{name}"), "What this very packet puts into it."),
            };
        }
        let found = set::lookup(set, &key.bits);
        let mut sides: Vec<Option<&Element>> = found.elements.into_iter().map(Some).collect();
        if found.perhaps_none {
            if inverted && found.catch_all.is_some() {
                // Kernels differ (6.16 changed `nft_lookup_eval`).
                return Effect::perhaps(doubt(format!("!= @{name} with *"), "The version of the kernel."));
            }
            sides.push(found.catch_all);
        }
        if let [Some(_), ..] = sides[..]
            && inverted
            && found.catch_all.is_some()
        {
            return Effect::perhaps(doubt(format!("!= @{name} with *"), "The version of the kernel."));
        }
        if let Some(limited) =
            sides.iter().flatten().find_map(|element| element.expressions.iter().find(|expr| decides(expr)))
        {
            return Effect::perhaps(doubt(
                format!("@{name} with {}", word(limited)),
                "How much has come by.",
            ));
        }
        let mut distinct: Vec<Side> = Vec::new();
        let mut effects: Vec<(Option<&ElementValue>, bool)> = Vec::new();
        for side in sides {
            let outcome = (side.and_then(|element| element.value.as_ref()), side.is_some() != inverted);
            if !effects.contains(&outcome) {
                effects.push(outcome);
            }
        }
        for (value, holds) in effects {
            distinct.push(match (value, into) {
                _ if !holds => Side::Flow(Flow::Break),
                (Some(ElementValue::Verdict(verdict)), LookupInto::Verdict) => Side::Flow(flow(verdict)),
                (Some(ElementValue::Value(value)), _) => match destination(into) {
                    Some(register) => Side::Load(register, Term::known(value)),
                    None => Side::Next,
                },
                _ => Side::Next,
            });
        }
        if distinct.len() > SIDES {
            return Effect::unknown(why().what.clone(), &why().settle);
        }
        one_or_fork(distinct, why, registers)
    }

    pub(super) fn dynset(
        &self,
        place: Place,
        dynset: &Dynset,
        run: &mut Run,
        registers: &Registers,
    ) -> Effect {
        let Some(set) = self.table(place).and_then(|table| table.set(&dynset.set)) else {
            return Effect::unknown(
                format!("set {}", dynset.set),
                "What is in the set, which could not be read.",
            );
        };
        let key = registers.read(dynset.key, usize::try_from(set.key_len).unwrap_or(usize::MAX));
        let removed = dynset.op == 2;
        // Once an element is in, adding it again changes nothing.
        let found = set::lookup(set, &key.bits);
        let there = !found.perhaps_none && key.bits.is_known();
        let touched = Touched { table: place.table, set: dynset.set.clone(), key, removed };
        if (removed || !there) && !run.core.touched.contains(&touched) {
            run.core.touched.push(touched);
        }
        if removed {
            return Effect::Next;
        }
        let full = set.size.is_some_and(|size| u32::try_from(set.elements.len()).unwrap_or(u32::MAX) >= size);
        if full && !there {
            return Effect::perhaps(doubt(
                format!("add @{}", dynset.set),
                "Whether the set is full by then.",
            ));
        }
        let comes_with = if dynset.expressions.is_empty() { &set.expressions } else { &dynset.expressions };
        if let Some(limited) = comes_with.iter().find(|expr| decides(expr)) {
            let what = format!("add @{} with {}", dynset.set, word(limited));
            return Effect::perhaps(doubt(what, "How much has come by."));
        }
        if dynset.inverted { BREAK } else { Effect::Next }
    }

    pub(super) fn objref(&self, place: Place, objref: &Objref, registers: &Registers) -> Effect {
        let table = self.table(place);
        let names: Vec<Option<&str>> = match objref {
            Objref::Named { name, .. } => vec![Some(name)],
            Objref::Map { set, source } => {
                let Some(set) = table.and_then(|table| table.set(set)) else {
                    return Effect::unknown(format!("map {set}"), "What is in the map.");
                };
                let key = registers.read(*source, usize::try_from(set.key_len).unwrap_or(usize::MAX));
                let found = set::lookup(set, &key.bits);
                let mut elements: Vec<Option<&Element>> = found.elements.into_iter().map(Some).collect();
                if found.perhaps_none {
                    elements.push(found.catch_all);
                }
                let name = |element: &Element| match &element.value {
                    Some(ElementValue::Object(name)) => Some(name.clone()),
                    _ => None,
                };
                if elements.iter().all(Option::is_none) {
                    return BREAK;
                }
                let several = elements.len() > 1;
                let decisive =
                    elements.iter().flatten().filter_map(|element| name(element)).find_map(|name| {
                        table
                            .and_then(|table| table.object(&name))
                            .and_then(|object| object_decides(&object.content))
                    });
                return match decisive {
                    Some(what) => Effect::perhaps(doubt(what, "How much has come by.")),
                    None if several => Effect::perhaps(key.reason()),
                    None => Effect::Next,
                };
            }
        };
        let kind = match objref {
            Objref::Named { kind, .. } => Some(*kind),
            Objref::Map { .. } => None,
        };
        let objects = table.map_or(&[][..], |table| &table.objects);
        let object = objects.iter().find(|object| {
            names.contains(&Some(&object.name)) && kind.is_none_or(|kind| object.content.kind() == kind)
        });
        match object.map(|object| object_decides(&object.content)) {
            Some(None) => Effect::Next,
            Some(Some(what)) => Effect::perhaps(doubt(what, "How much has come by.")),
            None => Effect::perhaps(doubt("an object", "What it is, which could not be read.")),
        }
    }

    /// What the routing tables say. What comes in by `lo` has its own answer, as has a packet without a source.
    pub(super) fn fib(&self, run: &Run, result: FibResult, flags: FibFlags) -> Load {
        let (packet, vague) = run.core.header.packet(self.context.packet);
        let mut packet = packet;
        match run.core.mark.to_word() {
            Some(mark) => packet.mark = mark,
            None if flags.contains(FibFlags::MARK) => {
                return Load::Term(Term::unknown(16, run.core.mark.reason()));
            }
            None => {}
        }
        if let Some((_, why)) = vague.first() {
            return Load::Term(Term::unknown(16, Rc::new(why.clone())));
        }
        let question = FibQuestion { context: self.context, packet: &packet, flags };
        let present = flags.contains(FibFlags::PRESENT);
        if result == FibResult::AddressType {
            return Load::Term(match self.surroundings.address_type(&question) {
                Ok(kind) => Term::word(kind),
                Err(why) => Term::unknown(4, Rc::new(why)),
            });
        }
        let input = self.context.input.filter(super::context::Device::is_loopback);
        let device = match input.filter(|_| self.context.hook == Hook::Prerouting) {
            Some(input) => Ok(Some((input.index, input.name.to_owned()))),
            None => self.surroundings.route_device(&question),
        };
        Load::Term(match (result, device) {
            (_, Err(why)) => Term::unknown(if result == FibResult::OifName { 16 } else { 4 }, Rc::new(why)),
            (FibResult::OifName, Ok(device)) if !present => {
                let mut name = device.map(|(_, name)| name.into_bytes()).unwrap_or_default();
                name.resize(16, 0);
                Term::known(&name)
            }
            (_, Ok(device)) if present => Term::word(u32::from(device.is_some())),
            (_, Ok(device)) => Term::word(device.map_or(0, |(index, _)| index)),
        })
    }
}

/// What the packet itself did to the element that it now asks for.
#[derive(Clone, Copy)]
enum Touch {
    There,
    Gone,
    Perhaps,
}

fn touched(run: &Run, place: Place, name: &str, key: &Term) -> Option<Touch> {
    let mut all = run.core.touched.iter().rev().filter(|it| it.table == place.table && it.set == name);
    all.find_map(|it| match (it.key.bits.bytes(), key.bits.bytes()) {
        (Some(a), Some(b)) => (a == b).then_some(if it.removed { Touch::Gone } else { Touch::There }),
        _ => Some(Touch::Perhaps),
    })
}

fn one_or_fork(
    mut sides: Vec<Side>,
    why: impl FnOnce() -> Rc<crate::Doubt>,
    registers: &mut Registers,
) -> Effect {
    if sides.len() != 1 {
        return Effect::Fork(why(), sides);
    }
    match sides.pop() {
        Some(Side::Flow(flow)) => Effect::Flow(flow),
        Some(Side::Load(register, term)) => {
            registers.write(register, &term);
            Effect::Next
        }
        _ => Effect::Next,
    }
}

/// Whether something that comes with an element decides whether the rule goes on.
fn decides(expr: &Expr) -> bool {
    !matches!(expr, Expr::Counter { .. } | Expr::Last { .. })
}

fn word(expr: &Expr) -> &'static str {
    match expr {
        Expr::Limit(_) => "limit",
        Expr::Quota(_) => "quota",
        Expr::Connlimit { .. } => "ct count",
        _ => "a statement",
    }
}

/// What an object is that decides whether a rule goes on.
fn object_decides(content: &ObjectContent) -> Option<String> {
    match content {
        ObjectContent::Quota(_) | ObjectContent::Limit(_) | ObjectContent::Connlimit { .. } => {
            Some(format!("{} name", content.kind()))
        }
        ObjectContent::Synproxy(_) | ObjectContent::Unknown { .. } => Some(content.kind().to_string()),
        _ => None,
    }
}
