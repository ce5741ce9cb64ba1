//! From text to an expression: libpcap's grammar, read by descent.
//!
//! `and` and `or` bind equally and to the left; `not` binds tighter. An identifier after them stands for itself with the
//! qualifiers that were last written: `tcp dst port 80 or 443`. What was last written is a value that goes along.

mod arithmetic;
mod hint;
mod id;
pub(crate) mod keyword;
mod primitive;
mod service;
mod token;

use std::ops::Range;

use self::keyword::Keyword;
use self::token::{Kind, Token, tokens};
use crate::error::{ErrorKind, FilterError};
use crate::names::Names;
use crate::syntax::Expr;

/// So deep may parentheses, negations and changes between `and` and `or` be in each other.
const DEEPEST: usize = 200;

/// Longer texts are no filters: programs that long are not taken either.
const LONGEST: usize = 256 * 1024;

type Result<T> = std::result::Result<T, FilterError>;

/// The expression of a text; nothing if there is none in it.
pub(crate) fn parse(text: &str, names: &dyn Names) -> Result<Option<Expr>> {
    if text.len() > LONGEST {
        let message = format!("the filter is longer than {LONGEST} bytes");
        return Err(FilterError::new(ErrorKind::TooLarge, 0..0, message));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let closing = closing(&tokens)?;
    let mut parser = Parser { text, tokens, closing, next: 0, depth: 0, names };
    let (expr, _) = parser.expression(None)?;
    if parser.peek().is_some() {
        return Err(parser.left_over());
    }
    Ok(Some(expr))
}

/// For each opening parenthesis the place of its closing one.
fn closing(tokens: &[Token]) -> Result<Vec<usize>> {
    let mut closing = vec![0; tokens.len()];
    let mut open = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => open.push(place),
            Kind::Close => {
                let Some(start) = open.pop() else {
                    let message = "nothing is open that this closes";
                    return Err(FilterError::new(ErrorKind::Syntax, token.span.clone(), message));
                };
                closing[start] = place;
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(place) => {
            let span = tokens[place].span.clone();
            Err(FilterError::new(ErrorKind::Syntax, span, "this parenthesis is never closed"))
        }
        None => Ok(closing),
    }
}

/// The qualifiers that an identifier takes over from what stands before it.
type Inherited = Option<id::Qualifiers>;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    closing: Vec<usize>,
    next: usize,
    depth: usize,
    names: &'a dyn Names,
}

/// Which of the two operators joins the parts of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

impl Parser<'_> {
    fn peek(&self) -> Option<Kind> {
        self.kind_at(self.next)
    }

    fn kind_at(&self, place: usize) -> Option<Kind> {
        self.tokens.get(place).map(|token| token.kind)
    }

    fn eat(&mut self, kind: Kind) -> bool {
        let found = self.peek() == Some(kind);
        self.next += usize::from(found);
        found
    }

    fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        self.eat(Kind::Keyword(keyword))
    }

    /// Where the next token is; the empty place at the end if there is none.
    fn span(&self) -> Range<usize> {
        self.span_at(self.next)
    }

    fn span_at(&self, place: usize) -> Range<usize> {
        self.tokens.get(place).map_or(self.text.len()..self.text.len(), |token| token.span.clone())
    }

    /// From a token to the last one that was read.
    fn since(&self, first: usize) -> Range<usize> {
        self.span_at(first).start..self.span_at(self.next.saturating_sub(1).max(first)).end
    }

    fn written(&self, place: usize) -> &str {
        self.text.get(self.span_at(place)).unwrap_or_default()
    }

    /// Terms joined by `and` and `or`, as far as they go.
    fn expression(&mut self, inherited: Inherited) -> Result<(Expr, Inherited)> {
        self.deeper(|parser| {
            let (first, qualifiers) = parser.term(inherited)?;
            parser.joined(first, qualifiers, |parser, qualifiers| {
                if parser.starts_id(parser.next) {
                    let qualifiers = parser.inherit(qualifiers)?;
                    return Ok((parser.id(&qualifiers)?, Some(qualifiers)));
                }
                parser.term(qualifiers)
            })
        })
    }

    /// A list of operands, the first of which was read.
    fn joined<Q>(
        &mut self,
        first: Expr,
        mut qualifiers: Q,
        mut operand: impl FnMut(&mut Self, Q) -> Result<(Expr, Q)>,
    ) -> Result<(Expr, Q)> {
        let mut parts = vec![first];
        let mut joint = None;
        let mut changes = self.depth;
        loop {
            let found = match self.peek() {
                Some(Kind::Keyword(Keyword::And)) => Joint::And,
                Some(Kind::Keyword(Keyword::Or)) => Joint::Or,
                _ => break,
            };
            if joint.is_some_and(|joint| joint != found) {
                changes += 1;
                self.check_depth(changes)?;
                parts = vec![list(joint, parts)];
            }
            joint = Some(found);
            self.next += 1;
            let (part, now) = operand(self, qualifiers)?;
            qualifiers = now;
            parts.push(part);
        }
        Ok((list(joint, parts), qualifiers))
    }

    fn term(&mut self, inherited: Inherited) -> Result<(Expr, Inherited)> {
        match self.peek() {
            Some(Kind::Keyword(Keyword::Not)) => {
                self.next += 1;
                let (inner, qualifiers) = self.deeper(|parser| {
                    if parser.starts_id(parser.next) {
                        let qualifiers = parser.inherit(inherited)?;
                        return Ok((parser.id(&qualifiers)?, Some(qualifiers)));
                    }
                    parser.term(inherited)
                })?;
                Ok((Expr::Not(Box::new(inner)), qualifiers))
            }
            Some(Kind::Open) if !self.opens_number(self.next) => {
                self.next += 1;
                let (inner, _) = self.expression(inherited.clone())?;
                if !self.eat(Kind::Close) {
                    return Err(self.left_over());
                }
                Ok((inner, inherited))
            }
            _ => self.primitive(),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        self.check_depth(self.depth)?;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn check_depth(&self, depth: usize) -> Result<()> {
        if depth <= DEEPEST {
            return Ok(());
        }
        let message = format!("more than {DEEPEST} groups are in each other here");
        Err(FilterError::new(ErrorKind::TooLarge, self.span(), message))
    }

    /// Whether an identifier, and no whole term, begins at a token: a name, an address, or a number that is not reckoned with.
    fn starts_id(&self, place: usize) -> bool {
        let mut place = place;
        while matches!(self.kind_at(place), Some(Kind::Open | Kind::Keyword(Keyword::Not))) {
            place += 1;
        }
        match self.kind_at(place) {
            Some(Kind::Name | Kind::Dotted | Kind::Ip6(_) | Kind::Mac(_) | Kind::ShortMac) => true,
            Some(Kind::Number(_)) => {
                let mut after = place + 1;
                while self.kind_at(after) == Some(Kind::Close) {
                    after += 1;
                }
                !self.is_reckoning(after)
            }
            _ => false,
        }
    }

    /// Whether the parenthesis at a token is part of an arithmetic expression: it is if an operator or a comparison follows it,
    /// and no words are in it that are none of arithmetic.
    fn opens_number(&self, place: usize) -> bool {
        let Some(close) = self.closing.get(place).filter(|close| self.is_reckoning(**close + 1)) else {
            return false;
        };
        let inside = self.tokens.get(place..*close).unwrap_or_default();
        inside.iter().all(|token| match token.kind {
            Kind::Keyword(keyword) => matches!(keyword, Keyword::Protocol(_) | Keyword::Len),
            _ => true,
        })
    }

    /// Whether a token is an arithmetic operator or compares numbers.
    fn is_reckoning(&self, place: usize) -> bool {
        self.kind_at(place)
            .is_some_and(|kind| arithmetic::operator(kind).is_some() || arithmetic::relation(kind).is_some())
    }

    fn syntax<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(FilterError::new(ErrorKind::Syntax, self.span(), message))
    }
}

fn list(joint: Option<Joint>, mut parts: Vec<Expr>) -> Expr {
    match joint {
        Some(Joint::And) => Expr::All(parts),
        Some(Joint::Or) => Expr::Any(parts),
        None => parts.pop().unwrap_or(Expr::All(Vec::new())),
    }
}
