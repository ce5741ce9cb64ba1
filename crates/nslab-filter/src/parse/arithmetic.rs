//! Arithmetic expressions and comparisons.

use super::keyword::{Keyword, Protocol};
use super::token::Kind;
use super::{Parser, Result};
use crate::error::{ErrorKind, FilterError};
use crate::machine::Arithmetic;
use crate::syntax::{Number, Relation};

/// How tight an operator binds. `%` and `^` have no place in libpcap's order: they take all that is to the right of them,
/// however tight what is to the left binds.
enum Tightness {
    Level(u8),
    ToTheRight,
}

/// Tighter than any operator of two operands.
const SIGN: u8 = 6;

/// The operator that a token is.
pub(super) fn operator(kind: Kind) -> Option<Arithmetic> {
    Some(match kind {
        Kind::Plus => Arithmetic::Add,
        Kind::Minus => Arithmetic::Sub,
        Kind::Star => Arithmetic::Mul,
        Kind::Slash => Arithmetic::Div,
        Kind::Percent => Arithmetic::Mod,
        Kind::And => Arithmetic::And,
        Kind::Or => Arithmetic::Or,
        Kind::Xor => Arithmetic::Xor,
        Kind::ShiftLeft => Arithmetic::ShiftLeft,
        Kind::ShiftRight => Arithmetic::ShiftRight,
        _ => return None,
    })
}

/// The comparison that a token is.
pub(super) fn relation(kind: Kind) -> Option<Relation> {
    Some(match kind {
        Kind::Equal => Relation::Equal,
        Kind::NotEqual => Relation::NotEqual,
        Kind::Less => Relation::Less,
        Kind::LessEqual => Relation::LessEqual,
        Kind::Greater => Relation::Greater,
        Kind::GreaterEqual => Relation::GreaterEqual,
        _ => return None,
    })
}

fn tightness(operator: Arithmetic) -> Tightness {
    Tightness::Level(match operator {
        Arithmetic::Or => 1,
        Arithmetic::And => 2,
        Arithmetic::ShiftLeft | Arithmetic::ShiftRight => 3,
        Arithmetic::Add | Arithmetic::Sub => 4,
        Arithmetic::Mul | Arithmetic::Div => 5,
        Arithmetic::Mod | Arithmetic::Xor => return Tightness::ToTheRight,
    })
}

impl Parser<'_> {
    /// An arithmetic expression whose operators bind at least so tight.
    pub(super) fn number(&mut self, least: u8) -> Result<Number> {
        self.deeper(|parser| parser.operands(least))
    }

    fn operands(&mut self, least: u8) -> Result<Number> {
        let first = self.next;
        let mut left = self.operand()?;
        let depth = self.depth;
        while let Some(operator) = self.peek().and_then(operator) {
            let right_least = match tightness(operator) {
                Tightness::Level(level) if level < least => break,
                Tightness::Level(level) => level + 1,
                Tightness::ToTheRight => 0,
            };
            // What is joined to the left gets deeper as well.
            self.depth += 1;
            self.check_depth(self.depth)?;
            self.next += 1;
            let right_start = self.next;
            let right = self.number(right_least)?;
            self.check_constant(operator, &right, right_start)?;
            left = Number::Binary(operator, Box::new(left), Box::new(right), self.since(first));
        }
        self.depth = depth;
        Ok(left)
    }

    fn check_constant(&self, operator: Arithmetic, right: &Number, start: usize) -> Result<()> {
        let Number::Constant(value) = right else { return Ok(()) };
        let message = match (operator, value) {
            (Arithmetic::Div | Arithmetic::Mod, 0) => "division by zero",
            (Arithmetic::ShiftLeft | Arithmetic::ShiftRight, 32..) => {
                "numbers have 32 bits; a shift is by at most 31"
            }
            _ => return Ok(()),
        };
        Err(FilterError::new(ErrorKind::OutOfRange, self.since(start), message))
    }

    fn operand(&mut self) -> Result<Number> {
        let word = self.next;
        match self.peek() {
            Some(Kind::Number(value)) => {
                self.next += 1;
                Ok(Number::Constant(value))
            }
            Some(Kind::Keyword(Keyword::Len)) => {
                self.next += 1;
                Ok(Number::Length)
            }
            Some(Kind::Minus) => {
                self.next += 1;
                Ok(Number::Negate(Box::new(self.number(SIGN)?)))
            }
            Some(Kind::Open) => {
                self.next += 1;
                let inner = self.number(0)?;
                self.expect_in_number(Kind::Close, ")")?;
                Ok(inner)
            }
            Some(Kind::Keyword(Keyword::Protocol(protocol))) => {
                self.next += 1;
                if !self.eat(Kind::OpenIndex) {
                    return self.syntax(format!(
                        "a field of {0} is written {0}[OFFSET] or {0}[OFFSET:SIZE]",
                        protocol.word()
                    ));
                }
                self.field(protocol, word)
            }
            Some(Kind::Name) => Err(self.unknown_word(word)),
            None => self.syntax("a number is missing at the end"),
            Some(_) => self.syntax(format!("a number is wanted, not {:?}", self.written(word))),
        }
    }

    /// What follows `tcp[`.
    fn field(&mut self, protocol: Protocol, word: usize) -> Result<Number> {
        let offset = Box::new(self.number(0)?);
        let mut size = 1;
        if self.eat(Kind::Colon) {
            let Some(Kind::Number(bytes @ (1 | 2 | 4))) = self.peek() else {
                return self.syntax("the size of a field is 1, 2 or 4 bytes");
            };
            self.next += 1;
            size = if bytes == 1 {
                1
            } else if bytes == 2 {
                2
            } else {
                4
            };
        }
        self.expect_in_number(Kind::CloseIndex, "]")?;
        if !has_fields(protocol) {
            let message = format!("fields of {} cannot be looked at", protocol.word());
            return Err(FilterError::new(ErrorKind::Unsupported, self.span_at(word), message));
        }
        Ok(Number::Field { protocol, offset, size })
    }

    fn expect_in_number(&mut self, kind: Kind, sign: &str) -> Result<()> {
        if self.eat(kind) {
            return Ok(());
        }
        let found = match self.peek() {
            None => "the filter ends".to_owned(),
            Some(Kind::Name) => return Err(self.unknown_word(self.next)),
            Some(_) => format!("{:?} stands", self.written(self.next)),
        };
        self.syntax(format!("{found} where {sign:?} or an operator is wanted"))
    }
}

/// Whether libpcap finds the protocol's header.
fn has_fields(protocol: Protocol) -> bool {
    use Protocol as P;
    !matches!(
        protocol,
        P::Ah | P::Esp | P::Aarp | P::Iso | P::Esis | P::Isis | P::Clnp | P::Stp | P::Ipx | P::Netbeui
    )
}
