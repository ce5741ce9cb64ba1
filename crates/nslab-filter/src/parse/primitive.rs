//! Terms without operators: `tcp`, `src host 10.0.0.1`, `vlan 5`, `ip[0] = 0x45`.

use super::arithmetic::relation;
use super::id::{Kindof, Qualifiers};
use super::keyword::{Keyword, Protocol};
use super::token::Kind;
use super::{Inherited, Parser, Result};
use crate::error::{ErrorKind, FilterError};
use crate::machine::Arithmetic;
use crate::syntax::{Direction, Expr, Number, Primitive, Relation};

impl Parser<'_> {
    /// One term, and the qualifiers that identifiers after it take over.
    pub(super) fn primitive(&mut self) -> Result<(Expr, Inherited)> {
        let first = self.next;
        match self.peek() {
            Some(Kind::Number(_) | Kind::Open | Kind::Minus | Kind::Keyword(Keyword::Len)) => {
                Ok((self.comparison()?, None))
            }
            Some(Kind::Keyword(Keyword::Protocol(protocol))) => self.of_protocol(protocol),
            Some(Kind::Keyword(keyword)) => {
                if let Some(primitive) = self.without_protocol(keyword)? {
                    return Ok((Expr::Is(primitive, self.since(first)), None));
                }
                self.qualified(None, first)
            }
            Some(Kind::Name) => Err(self.unknown_word(first)),
            Some(Kind::Dotted | Kind::Ip6(_)) => {
                let what = self.written(first);
                let error = FilterError::new(
                    ErrorKind::Syntax,
                    self.span(),
                    format!("the address {what} needs a word before it"),
                );
                let masked = self.kind_at(first + 1) == Some(Kind::Slash);
                let network = || format!("write \"net {what}/{}\"", self.written(first + 2));
                Err(error.hint(if masked { network() } else { format!("write \"host {what}\"") }))
            }
            Some(Kind::Mac(_)) => {
                let error = FilterError::new(
                    ErrorKind::Syntax,
                    self.span(),
                    "an Ethernet address needs words before it",
                );
                Err(error.hint(format!("write \"ether host {}\"", self.written(first))))
            }
            None => self.syntax("the filter ends where a condition is wanted"),
            Some(_) => self.syntax(format!("a condition is wanted, not {:?}", self.written(first))),
        }
    }

    fn comparison(&mut self) -> Result<Expr> {
        let first = self.next;
        let left = self.number(0)?;
        let Some(relation) = self.peek().and_then(relation) else {
            return match self.peek() {
                Some(Kind::Name) => Err(self.unknown_word(self.next)),
                _ => Err(FilterError::new(
                    ErrorKind::Syntax,
                    self.since(first),
                    "a number alone is no condition",
                )
                .hint("compare it, as \"!= 0\", or say what it is, as \"port\"")),
            };
        };
        self.next += 1;
        let right = self.number(0)?;
        Ok(Expr::Is(Primitive::Compare(left, relation, right), self.since(first)))
    }

    /// What begins with a protocol's name.
    fn of_protocol(&mut self, protocol: Protocol) -> Result<(Expr, Inherited)> {
        let first = self.next;
        let after = self.kind_at(first + 1);
        if after == Some(Kind::OpenIndex) {
            return Ok((self.comparison()?, None));
        }
        self.next += 1;
        let primitive = match after {
            Some(Kind::Keyword(Keyword::Broadcast)) => {
                self.next += 1;
                match protocol {
                    Protocol::Link => Primitive::EtherBroadcast,
                    Protocol::Ip => Primitive::IpBroadcast,
                    _ => return Err(self.misqualified(first, "only \"ether\" and \"ip\" have broadcasts")),
                }
            }
            Some(Kind::Keyword(Keyword::Multicast)) => {
                self.next += 1;
                match protocol {
                    Protocol::Link => Primitive::EtherMulticast,
                    Protocol::Ip => Primitive::IpMulticast,
                    Protocol::Ip6 => Primitive::Ip6Multicast,
                    _ => {
                        return Err(
                            self.misqualified(first, "only \"ether\", \"ip\" and \"ip6\" have multicasts")
                        );
                    }
                }
            }
            Some(Kind::Keyword(
                Keyword::Src
                | Keyword::Dst
                | Keyword::Host
                | Keyword::Net
                | Keyword::Port
                | Keyword::PortRange
                | Keyword::Proto
                | Keyword::ProtoChain,
            )) => return self.qualified(Some(protocol), first),
            Some(Kind::Keyword(Keyword::Foreign(why))) => return Err(self.foreign(self.next, why)),
            _ if protocol == Protocol::Link => {
                let message = format!("{:?} alone is no condition: every frame has one", self.written(first));
                return Err(FilterError::new(ErrorKind::Qualifier, self.span_at(first), message)
                    .hint("write \"ether host\", \"ether proto\" or \"ether[OFFSET]\""));
            }
            _ => Primitive::Protocol(protocol),
        };
        Ok((Expr::Is(primitive, self.since(first)), None))
    }

    fn misqualified(&self, first: usize, message: &str) -> FilterError {
        FilterError::new(ErrorKind::Qualifier, self.since(first), message)
    }

    fn foreign(&self, place: usize, why: &str) -> FilterError {
        let message = format!("{:?} {why}", self.written(place));
        let error = FilterError::new(ErrorKind::Unsupported, self.span_at(place), message);
        match (self.written(place.saturating_sub(1)), self.written(place)) {
            ("icmp", "type") => error.hint("write \"icmp[icmptype] = icmp-echo\""),
            ("icmp6", "type") => error.hint("write \"icmp6[icmp6type] = icmp6-echo\""),
            _ => error,
        }
    }

    /// Primitives that are words of their own; nothing if the word is a qualifier.
    fn without_protocol(&mut self, keyword: Keyword) -> Result<Option<Primitive>> {
        let place = self.next;
        self.next += 1;
        Ok(Some(match keyword {
            Keyword::Broadcast => Primitive::EtherBroadcast,
            Keyword::Multicast => Primitive::EtherMulticast,
            Keyword::Less => {
                let most = self.plain_number("a length in bytes")?;
                Primitive::Compare(Number::Length, Relation::LessEqual, Number::Constant(most))
            }
            Keyword::Greater => {
                let least = self.plain_number("a length in bytes")?;
                Primitive::Compare(Number::Length, Relation::GreaterEqual, Number::Constant(least))
            }
            Keyword::Byte => self.byte()?,
            Keyword::Inbound => Primitive::Outgoing(false),
            Keyword::Outbound => Primitive::Outgoing(true),
            Keyword::IfIndex => Primitive::Interface(self.plain_number("the number of an interface")?),
            Keyword::Vlan => Primitive::Vlan(self.optional("a VLAN id", 4095)?.map(small)),
            Keyword::Mpls => Primitive::Mpls(self.optional("an MPLS label", 0xf_ffff)?),
            Keyword::PppoeDiscovery => Primitive::EtherType(0x8863),
            Keyword::PppoeSession => {
                Primitive::PppoeSession(self.optional("a PPPoE session", 0xffff)?.map(small))
            }
            Keyword::Geneve => Primitive::Geneve(self.optional("a Geneve network", 0xff_ffff)?),
            Keyword::Vxlan => Primitive::Vxlan(self.optional("a VXLAN network", 0xff_ffff)?),
            Keyword::Foreign(why) => return Err(self.foreign(place, why)),
            _ => {
                self.next = place;
                return Ok(None);
            }
        }))
    }

    fn plain_number(&mut self, what: &str) -> Result<u32> {
        let Some(Kind::Number(value)) = self.peek() else {
            return self.syntax(format!("{what} is wanted here"));
        };
        self.next += 1;
        Ok(value)
    }

    /// A number in parentheses or without, if one is there.
    fn optional(&mut self, what: &str, most: u32) -> Result<Option<u32>> {
        let start = self.next;
        let mut open = 0;
        while self.eat(Kind::Open) {
            open += 1;
        }
        let Some(Kind::Number(value)) = self.peek() else {
            self.next = start;
            return Ok(None);
        };
        self.next += 1;
        for _ in 0..open {
            if !self.eat(Kind::Close) {
                return Err(self.left_over());
            }
        }
        if value > most {
            let message = format!("{what} is at most {most}");
            return Err(FilterError::new(ErrorKind::OutOfRange, self.since(start), message));
        }
        Ok(Some(value))
    }

    /// What follows `byte`: an offset in the frame, an operator, a value.
    fn byte(&mut self) -> Result<Primitive> {
        let offset = self.plain_number("an offset in the frame")?;
        let operator = self.peek();
        self.next += 1;
        let value_place = self.next;
        let value = self.plain_number("a byte's value")?;
        if value > 0xff {
            let message = "a byte is at most 255";
            return Err(FilterError::new(ErrorKind::OutOfRange, self.span_at(value_place), message));
        }
        let field =
            Number::Field { protocol: Protocol::Link, offset: Box::new(Number::Constant(offset)), size: 1 };
        let constant = Number::Constant(value);
        let bits = |operation, constant| {
            Number::Binary(operation, Box::new(field.clone()), Box::new(constant), self.since(value_place))
        };
        Ok(match operator {
            Some(Kind::Equal) => Primitive::Compare(field, Relation::Equal, constant),
            Some(Kind::Less) => Primitive::Compare(field, Relation::Less, constant),
            Some(Kind::Greater) => Primitive::Compare(field, Relation::Greater, constant),
            Some(Kind::And) => {
                Primitive::Compare(bits(Arithmetic::And, constant), Relation::NotEqual, Number::Constant(0))
            }
            Some(Kind::Or) => {
                Primitive::Compare(bits(Arithmetic::Or, constant), Relation::NotEqual, Number::Constant(0))
            }
            _ => {
                self.next = value_place - 1;
                return self.syntax("one of = < > & | is wanted here");
            }
        })
    }

    /// Qualifiers and the identifier they are for.
    fn qualified(&mut self, protocol: Option<Protocol>, first: usize) -> Result<(Expr, Inherited)> {
        let direction = self.direction();
        let kind = match self.peek() {
            Some(Kind::Keyword(keyword)) => match keyword {
                Keyword::Host => Some(Kindof::Host),
                Keyword::Net => Some(Kindof::Net),
                Keyword::Port => Some(Kindof::Port),
                Keyword::PortRange => Some(Kindof::PortRange),
                Keyword::Proto if direction.is_none() => Some(Kindof::Proto),
                Keyword::ProtoChain if direction.is_none() => Some(Kindof::ProtoChain),
                _ => None,
            },
            _ => None,
        };
        if kind.is_none() && direction.is_none() {
            return self.syntax(format!("a condition is wanted, not {:?}", self.written(self.next)));
        }
        self.next += usize::from(kind.is_some());
        let words = self.since(first);
        let qualifiers = Qualifiers { protocol, direction, kind, words };
        let id = self.id(&qualifiers)?;
        Ok((id, Some(qualifiers)))
    }

    /// `src`, `dst`, or both joined by `or` or `and`.
    fn direction(&mut self) -> Option<Direction> {
        let Some(Kind::Keyword(first @ (Keyword::Src | Keyword::Dst))) = self.peek() else { return None };
        self.next += 1;
        let (other, one) = if first == Keyword::Src {
            (Keyword::Dst, Direction::Source)
        } else {
            (Keyword::Src, Direction::Destination)
        };
        if self.kind_at(self.next + 1) != Some(Kind::Keyword(other)) {
            return Some(one);
        }
        let both = match self.peek() {
            Some(Kind::Keyword(Keyword::Or)) => Direction::Either,
            Some(Kind::Keyword(Keyword::And)) => Direction::Both,
            _ => return Some(one),
        };
        self.next += 2;
        Some(both)
    }
}

/// A number that was found to have at most 16 bits.
fn small(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
