//! Comparisons of numbers and of fields of headers.

use std::ops::Range;

use super::host::IP6_HEADER;
use super::layout::Place;
use super::{Lowering, Result};
use crate::error::{ErrorKind, FilterError};
use crate::graph::condition::{self, Condition};
use crate::graph::value::{Size, ValueId};
use crate::machine::Arithmetic;
use crate::parse::keyword::Protocol;
use crate::syntax::{Number, Relation, Version};

impl Lowering<'_> {
    pub(super) fn compare(
        &mut self,
        left: &Number,
        relation: Relation,
        right: &Number,
        span: &Range<usize>,
    ) -> Result<Condition> {
        let mut needed = Condition::Always(true);
        let left = self.number(left, &mut needed, span)?;
        let right = self.number(right, &mut needed, span)?;
        let compared = condition::compare(self.values, left, relation, right);
        Ok(needed.and(compared))
    }

    /// A number's value, where what is needed holds: that a packet has the headers that are looked into.
    fn number(&mut self, number: &Number, needed: &mut Condition, span: &Range<usize>) -> Result<ValueId> {
        Ok(match number {
            Number::Constant(value) => self.values.constant(*value),
            Number::Length => self.values.length(),
            Number::Negate(inner) => {
                let inner = self.number(inner, needed, span)?;
                self.values.negate(inner)
            }
            Number::Binary(operation, left, right, place) => {
                let left = self.number(left, needed, span)?;
                let right = self.number(right, needed, span)?;
                if matches!(operation, Arithmetic::ShiftLeft | Arithmetic::ShiftRight)
                    && self.values.as_constant(right).is_some_and(|bits| bits > 31)
                {
                    let message = "numbers have 32 bits; a shift is by at most 31";
                    return Err(FilterError::new(ErrorKind::OutOfRange, place.clone(), message));
                }
                self.values.binary(*operation, left, right).ok_or_else(|| {
                    FilterError::new(ErrorKind::OutOfRange, place.clone(), "division by zero")
                })?
            }
            Number::Field { protocol, offset, size } => {
                let offset = self.number(offset, needed, span)?;
                let (header, condition) = self.header(*protocol, span)?;
                let before = std::mem::replace(needed, Condition::Always(true));
                *needed = before.and(condition);
                let size = match size {
                    1 => Size::Byte,
                    2 => Size::Half,
                    _ => Size::Word,
                };
                let base = match header.base {
                    None => offset,
                    Some(base) => self.values.binary(Arithmetic::Add, base, offset).unwrap_or(base),
                };
                self.values.load(size, Some(base), header.offset)
            }
        })
    }

    /// Where a protocol's header is, and in which packets it is there.
    fn header(&mut self, protocol: Protocol, span: &Range<usize>) -> Result<(Place, Condition)> {
        use Protocol as P;
        let network = self.layout.network();
        Ok(match protocol {
            P::Link => (self.layout.link, Condition::Always(true)),
            P::Tcp | P::Udp | P::Sctp | P::Icmp | P::Igmp | P::Igrp | P::Pim | P::Vrrp | P::Carp => {
                let number = match protocol {
                    P::Tcp => 6,
                    P::Udp => 17,
                    P::Sctp => 132,
                    P::Icmp => 1,
                    P::Igmp => 2,
                    P::Igrp => 9,
                    P::Pim => 103,
                    _ => 112,
                };
                let carried = self.ip_protocol(Some(Version::V4), number, span)?;
                let condition = carried.and(self.first_fragment());
                (self.behind_ip4(network), condition)
            }
            P::Icmp6 => {
                let ip6 = self.protocol(P::Ip6, span)?;
                (network.plus(IP6_HEADER), ip6.and(self.ip6_carries(58)))
            }
            _ => (network, self.protocol(protocol, span)?),
        })
    }
}
