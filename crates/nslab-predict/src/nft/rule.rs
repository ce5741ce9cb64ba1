//! A rule's expressions one after the other (the inner loop of `nft_do_chain`).

use std::rc::Rc;

use nslab_kernel::nftables::{Expr, LookupInto, Register, Verdict};

use super::bits::Term;
use super::chain::{Evaluator, Place};
use super::connection::Tracking;
use super::logic::{bitwise, byteorder, compare, doubt};
use super::payload::{self, Load, Write};
use super::registers::Registers;
use super::run::{End, Flow, Run};
use super::{ct, meta};
use crate::Doubt;

/// What one expression comes to.
pub(super) enum Effect {
    Next,
    Flow(Flow),
    /// Several may be, and none is known to be.
    Fork(Rc<Doubt>, Vec<Side>),
}

/// One of several that may be.
pub(super) enum Side {
    Next,
    Flow(Flow),
    Load(Register, Term),
}

pub(super) const BREAK: Effect = Effect::Flow(Flow::Break);

impl Effect {
    pub(super) fn end(end: End) -> Self {
        Self::Flow(Flow::End(end))
    }

    pub(super) fn unknown(what: impl Into<String>, settle: &str) -> Self {
        Self::end(End::Unknown(doubt(what, settle)))
    }

    /// The rule may go on here or not.
    pub(super) fn perhaps(why: Rc<Doubt>) -> Self {
        Self::Fork(why, vec![Side::Next, Side::Flow(Flow::Break)])
    }

    /// It goes on if something holds.
    pub(super) fn if_so(holds: Option<bool>, why: impl FnOnce() -> Rc<Doubt>) -> Self {
        match holds {
            Some(true) => Self::Next,
            Some(false) => BREAK,
            None => Self::perhaps(why()),
        }
    }
}

/// The flow of a verdict (the switches of `nft_do_chain`).
pub(super) fn flow(verdict: &Verdict) -> Flow {
    match verdict {
        Verdict::Accept => Flow::End(End::Accept),
        Verdict::Drop => Flow::End(End::Drop),
        Verdict::Continue => Flow::Continue,
        Verdict::Break => Flow::Break,
        Verdict::Return => Flow::Return,
        Verdict::Jump(chain) => Flow::Jump(chain.clone()),
        Verdict::Goto(chain) => Flow::Goto(chain.clone()),
        Verdict::Queue { number, .. } => Flow::End(End::Unknown(queue(&number.to_string()))),
        Verdict::Other(code) => Flow::End(End::Unknown(doubt(
            format!("verdict {code}"),
            "What the kernel makes of this verdict.",
        ))),
    }
}

pub(super) fn queue(number: &str) -> Rc<Doubt> {
    doubt(format!("queue to {number}"), "What the program that listens to the queue decides.")
}

impl Evaluator<'_> {
    /// Everything that may come of a rule, each with how it goes on.
    pub(super) fn rule(
        &self,
        place: Place,
        expressions: &[Expr],
        mut run: Run,
        mut registers: Registers,
        out: &mut Vec<(Run, Flow)>,
    ) {
        for (at, expression) in expressions.iter().enumerate() {
            match self.expression(place, expression, &mut run, &mut registers) {
                // A verdict of "continue" out of a map lets the rule go on.
                Effect::Next | Effect::Flow(Flow::Continue) => {}
                Effect::Flow(flow) => {
                    out.push((run, flow));
                    return;
                }
                Effect::Fork(why, sides) => {
                    let rest = &expressions[at + 1..];
                    for side in sides {
                        let mut run = run.clone();
                        run.suppose(&why);
                        let mut registers = registers.clone();
                        match side {
                            Side::Flow(Flow::Continue) | Side::Next => {}
                            Side::Flow(flow) => {
                                out.push((run, flow));
                                continue;
                            }
                            Side::Load(register, term) => registers.write(register, &term),
                        }
                        if !self.is_spent(out.len()) {
                            self.rule(place, rest, run, registers, out);
                        }
                    }
                    return;
                }
            }
        }
        out.push((run, Flow::Continue));
    }

    fn expression(&self, place: Place, expr: &Expr, run: &mut Run, registers: &mut Registers) -> Effect {
        let context = self.context;
        let mut load = |loaded: Load, destination: Register| match loaded {
            Load::Term(term) => {
                registers.write(destination, &term);
                Effect::Next
            }
            Load::Break => BREAK,
            Load::Perhaps(term) => {
                let why = term.reason();
                Effect::Fork(why, vec![Side::Load(destination, term), Side::Flow(Flow::Break)])
            }
        };
        match expr {
            Expr::Immediate { destination, data } => load(Load::Term(Term::known(data)), *destination),
            Expr::Verdict(verdict) => Effect::Flow(flow(verdict)),
            Expr::Cmp { source, op, data } => {
                let term = registers.read(*source, data.len());
                Effect::if_so(compare(&term.bits, *op, data), || term.reason())
            }
            Expr::Range { source, inverted, from, to } => {
                let term = registers.read(*source, from.len());
                Effect::if_so(term.bits.within(from, to).map(|within| within != *inverted), || term.reason())
            }
            Expr::Bitwise { source, destination, len, op } => {
                // What the kernel calculates are whole words.
                let words = usize::try_from(*len).unwrap_or(usize::MAX).min(64).next_multiple_of(4);
                let result = bitwise(&registers.read(*source, words), op, registers);
                registers.write(*destination, &result);
                Effect::Next
            }
            Expr::Byteorder { source, destination, len, size, .. } => {
                let len = usize::try_from(*len).unwrap_or(usize::MAX);
                let result = byteorder(&registers.read(*source, len), usize::try_from(*size).unwrap_or(0));
                registers.write(*destination, &result);
                Effect::Next
            }
            Expr::Payload { destination, base, offset, len } => {
                load(payload::load(context, &run.core.header, *base, *offset, *len), *destination)
            }
            Expr::PayloadSet { source, base, offset, len, .. } => {
                let len = usize::try_from(*len).unwrap_or(usize::MAX);
                let term = registers.read(*source, len);
                match payload::store(&mut run.core.header, *base, *offset, &term) {
                    Write::Done => Effect::Next,
                    Write::Break => BREAK,
                    Write::Strange => {
                        Effect::unknown(format!("@{base},{offset} set"), "What packet it makes of this one.")
                    }
                }
            }
            Expr::Exthdr { destination, kind, number, len, present, .. } => {
                load(payload::extension(&run.core.header, *kind, *number, *len, *present), *destination)
            }
            Expr::ExthdrSet { .. } | Expr::ExthdrReset { .. } => Effect::if_so(
                // TCP options only; one that is not there is not changed.
                Some(run.core.header.protocol() == 6),
                || doubt("tcp option set", ""),
            ),
            Expr::Meta { destination, key } => {
                let family = self.table(place).map_or(context.family, |table| table.id.family);
                load(meta::load(context, family, &run.core, *key), *destination)
            }
            Expr::MetaSet { source, key } => {
                let term = registers.read(*source, if meta_is_byte(*key) { 1 } else { 4 });
                if meta::store(&mut run.core, *key, term) {
                    Effect::Next
                } else {
                    Effect::unknown(format!("meta {key} set"), "What the kernel makes of it.")
                }
            }
            Expr::Ct { destination, key, direction } => {
                load(ct::load(&run.core, *key, *direction), *destination)
            }
            Expr::CtSet { source, key, .. } => {
                let len = if *key == nslab_kernel::nftables::CtKey::Zone { 2 } else { 4 };
                let term = registers.read(*source, len);
                if ct::store(&mut run.core, *key, &term) {
                    Effect::Next
                } else {
                    Effect::unknown(format!("ct {key} set"), "The connection of the packet in that zone.")
                }
            }
            Expr::Notrack => {
                if run.core.tracking == Tracking::None {
                    run.core.tracking = Tracking::Untracked;
                    run.core.untracked = true;
                }
                Effect::Next
            }
            Expr::Lookup { set, source, into, inverted } => {
                self.lookup(place, set, *source, *into, *inverted, run, registers)
            }
            Expr::Fib { destination, result, flags } => load(self.fib(run, *result, *flags), *destination),
            other => self.statement(place, other, run, registers),
        }
    }
}

/// Keys that are set from a single byte (`nft_meta_set_init`).
fn meta_is_byte(key: nslab_kernel::nftables::MetaKey) -> bool {
    use nslab_kernel::nftables::MetaKey;
    matches!(key, MetaKey::Trace | MetaKey::PacketType | MetaKey::BridgeRoute)
}

/// Where what a lookup finds goes.
pub(super) fn destination(into: LookupInto) -> Option<Register> {
    match into {
        LookupInto::Register(register) => Some(register),
        LookupInto::Nothing | LookupInto::Verdict => None,
    }
}
