//! Addresses and protocols of the network layer.

use std::ops::Range;

use super::layout::Place;
use super::link::ether;
use super::{Lowering, Result};
use crate::graph::condition::{Condition, against};
use crate::graph::known::Against;
use crate::graph::value::Size;
use crate::syntax::{Carrier, Direction, Prefix, Version};

/// Next header of a fragment (RFC 8200 4.5), whose header has eight bytes and begins with the next one's number.
const FRAGMENT: u32 = 44;

/// Length of an IPv6 header.
pub(super) const IP6_HEADER: u32 = 40;

impl Lowering<'_> {
    pub(super) fn address(
        &mut self,
        carrier: Option<Carrier>,
        direction: Direction,
        prefixes: &[Prefix],
        span: &Range<usize>,
    ) -> Result<Condition> {
        let mut any = Vec::new();
        for prefix in prefixes {
            let carriers: &[Carrier] = match (carrier, prefix) {
                (Some(Carrier::Ip), _) => &[Carrier::Ip],
                (Some(Carrier::Arp), _) => &[Carrier::Arp],
                (Some(Carrier::Rarp), _) => &[Carrier::Rarp],
                (Some(Carrier::Ip6), _) | (None, Prefix::V6 { .. }) => &[Carrier::Ip6],
                (None, Prefix::V4 { .. }) if self.layout.labels > 0 => &[Carrier::Ip],
                (None, Prefix::V4 { .. }) => &[Carrier::Ip, Carrier::Arp, Carrier::Rarp],
            };
            for carrier in carriers {
                any.push(self.carried(*carrier, direction, *prefix, span)?);
            }
        }
        Ok(Condition::Any(any))
    }

    /// Whether a header of one protocol has the address.
    fn carried(
        &mut self,
        carrier: Carrier,
        direction: Direction,
        prefix: Prefix,
        span: &Range<usize>,
    ) -> Result<Condition> {
        // Offsets of the addresses: RFC 791 3.1, RFC 826 with Ethernet and IPv4, RFC 8200 3.
        let (kind, source, destination) = match carrier {
            Carrier::Ip => (ether::IP, 12, 16),
            Carrier::Arp => (ether::ARP, 14, 24),
            Carrier::Rarp => (ether::RARP, 14, 24),
            Carrier::Ip6 => (ether::IP6, 8, 24),
        };
        let kind = self.ether_type(kind, span)?;
        let network = self.layout.network();
        let source = self.prefix_at(network.plus(source), prefix);
        let destination = self.prefix_at(network.plus(destination), prefix);
        Ok(kind.and(match direction {
            Direction::Source => source,
            Direction::Destination => destination,
            Direction::Either => source.or(destination),
            Direction::Both => source.and(destination),
        }))
    }

    fn prefix_at(&mut self, place: Place, prefix: Prefix) -> Condition {
        match prefix {
            Prefix::V4 { address, mask } => self.bits_are(Size::Word, place, mask.into(), address.into()),
            Prefix::V6 { address, mask } => {
                let word = |bits: u128, number: u32| {
                    u32::try_from(bits >> (96 - 32 * number) & 0xffff_ffff).unwrap_or_default()
                };
                let words = (0..4).map(|number| {
                    let (mask, value) = (word(mask, number), word(address.into(), number));
                    self.bits_are(Size::Word, place.plus(4 * number), mask, value)
                });
                words.fold(Condition::Always(true), Condition::and)
            }
        }
    }

    pub(super) fn ip_protocol(
        &mut self,
        version: Option<Version>,
        number: u8,
        span: &Range<usize>,
    ) -> Result<Condition> {
        match version {
            None => {
                let four = self.ip_protocol(Some(Version::V4), number, span)?;
                Ok(four.or(self.ip_protocol(Some(Version::V6), number, span)?))
            }
            Some(Version::V4) => {
                let ip = self.ether_type(ether::IP, span)?;
                Ok(ip.and(self.ip4_carries(number)))
            }
            Some(Version::V6) => {
                let ip6 = self.ether_type(ether::IP6, span)?;
                let direct = self.ip6_carries(number);
                let behind = self.layout.network().plus(IP6_HEADER);
                let fragment = self.field_is(Size::Byte, self.layout.network().plus(6), FRAGMENT);
                let in_fragment = fragment.and(self.field_is(Size::Byte, behind, number.into()));
                Ok(ip6.and(direct.or(in_fragment)))
            }
        }
    }

    /// Whether the IPv4 header names the protocol.
    pub(super) fn ip4_carries(&mut self, number: u8) -> Condition {
        let field = self.layout.network().plus(9);
        self.field_is(Size::Byte, field, number.into())
    }

    /// Whether the IPv6 header names the protocol as the next one.
    pub(super) fn ip6_carries(&mut self, number: u8) -> Condition {
        let field = self.layout.network().plus(6);
        self.field_is(Size::Byte, field, number.into())
    }

    /// Whether an IPv4 packet is whole or a first fragment, and so has the header of what it carries.
    pub(super) fn first_fragment(&mut self) -> Condition {
        let field = self.layout.network().plus(6);
        self.bits_are(Size::Half, field, 0x1fff, 0)
    }

    /// All ones or all zeros; which addresses are broadcasts of a network is known only where the network is.
    pub(super) fn ip_broadcast(&mut self, span: &Range<usize>) -> Result<Condition> {
        let ip = self.ether_type(ether::IP, span)?;
        let destination = self.load(Size::Word, self.layout.network().plus(16));
        let zeros = against(self.values, destination, Against::Equal(0));
        Ok(ip.and(zeros.or(against(self.values, destination, Against::Equal(u32::MAX)))))
    }

    pub(super) fn ip_multicast(&mut self, span: &Range<usize>) -> Result<Condition> {
        let ip = self.ether_type(ether::IP, span)?;
        let first = self.load(Size::Byte, self.layout.network().plus(16));
        Ok(ip.and(against(self.values, first, Against::AtLeast(224))))
    }

    pub(super) fn ip6_multicast(&mut self, span: &Range<usize>) -> Result<Condition> {
        let ip6 = self.ether_type(ether::IP6, span)?;
        let first = self.layout.network().plus(24);
        Ok(ip6.and(self.field_is(Size::Byte, first, 0xff)))
    }
}
