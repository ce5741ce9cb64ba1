//! Where in a packet the headers are that an expression speaks of.

use super::Lowering;
use crate::graph::condition::{Condition, against};
use crate::graph::known::Against;
use crate::graph::value::{Size, ValueId};
use crate::machine::Arithmetic;

/// Length of an Ethernet header.
const ETHERNET: u32 = 14;

/// A place in a packet: a constant, and before it what depends on the packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) base: Option<ValueId>,
    pub(super) offset: u32,
}

impl Place {
    pub(super) fn at(offset: u32) -> Self {
        Self { base: None, offset }
    }

    pub(super) fn plus(self, more: u32) -> Self {
        Self { offset: self.offset + more, ..self }
    }
}

/// What the numbers in the type field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// EtherTypes, but no Ethernet header.
    Type,
    Ppp,
}

#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The link layer's header.
    pub(super) link: Place,
    pub(super) kind: Link,
    /// The field with the type of what the link layer carries.
    pub(super) kind_field: Place,
    /// What the link layer carries.
    pub(super) payload: Place,
    /// How far behind that the network layer is, with labels of MPLS between.
    pub(super) labels: u32,
    /// How many tags were looked for.
    pub(super) tags: u32,
    /// Whether this is inside something else than VLANs.
    pub(super) inside: bool,
    /// A tunnel that was met.
    pub(super) tunnel: Option<Tunnel>,
}

/// What tells apart the cases in which a tunnel's inside is at different places.
#[derive(Debug, Clone)]
pub(super) struct Tunnel {
    /// Whether the outer header is of IPv6.
    pub(super) outer_is_ip6: Condition,
    /// Whether there is an Ethernet frame inside, where there may be something else.
    pub(super) has_frame: Option<Condition>,
}

impl Layout {
    pub(super) fn outermost() -> Self {
        Self::ethernet(Place::at(0))
    }

    /// An Ethernet frame at a place.
    pub(super) fn ethernet(link: Place) -> Self {
        Self {
            link,
            kind: Link::Ethernet,
            kind_field: link.plus(ETHERNET - 2),
            payload: link.plus(ETHERNET),
            labels: 0,
            tags: 0,
            inside: false,
            tunnel: None,
        }
    }

    /// The network layer's header.
    pub(super) fn network(&self) -> Place {
        self.payload.plus(4 * self.labels)
    }
}

/// Bytes of the Ethernet types up to which the field is a length (IEEE 802.3).
pub(super) const LARGEST_LENGTH: u32 = 1500;

impl Lowering<'_> {
    pub(super) fn load(&mut self, size: Size, place: Place) -> ValueId {
        self.values.load(size, place.base, place.offset)
    }

    /// Whether a field has a value.
    pub(super) fn field_is(&mut self, size: Size, place: Place, value: u32) -> Condition {
        let field = self.load(size, place);
        against(self.values, field, Against::Equal(value))
    }

    /// Whether some bits of a field have a value.
    pub(super) fn bits_are(&mut self, size: Size, place: Place, mask: u32, value: u32) -> Condition {
        let field = self.load(size, place);
        let masked = self.masked(field, mask);
        against(self.values, masked, Against::Equal(value))
    }

    pub(super) fn masked(&mut self, value: ValueId, mask: u32) -> ValueId {
        let mask = self.values.constant(mask);
        // Only divisions have no result.
        self.values.binary(Arithmetic::And, value, mask).unwrap_or(value)
    }

    /// Length of the IPv4 header at a place, and of what is before it and depends on the packet.
    pub(super) fn behind_ip4(&mut self, network: Place) -> Place {
        let length = match network.base {
            None => self.values.header_length(network.offset),
            Some(base) => {
                let first = self.load(Size::Byte, network);
                let words = self.masked(first, 0xf);
                let two = self.values.constant(2);
                let bytes = self.values.binary(Arithmetic::ShiftLeft, words, two).unwrap_or(words);
                self.values.binary(Arithmetic::Add, bytes, base).unwrap_or(bytes)
            }
        };
        Place { base: Some(length), offset: network.offset }
    }
}
