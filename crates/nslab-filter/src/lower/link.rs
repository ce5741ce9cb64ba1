//! The link layer: types, Ethernet addresses, VLANs, MPLS, PPPoE; and protocols that are words.

use std::ops::Range;

use nslab_types::MacAddr;

use super::layout::{LARGEST_LENGTH, Link, Place};
use super::{Lowering, Result, unsupported};
use crate::graph::condition::{Condition, against};
use crate::graph::known::Against;
use crate::graph::value::Size;
use crate::parse::keyword::Protocol;
use crate::program::ancillary;
use crate::syntax::{Direction, Version};

/// EtherTypes (IEEE 802's registry; `include/uapi/linux/if_ether.h`).
pub(super) mod ether {
    pub(crate) const IP: u32 = 0x0800;
    pub(crate) const ARP: u32 = 0x0806;
    pub(crate) const RARP: u32 = 0x8035;
    pub(crate) const IP6: u32 = 0x86dd;
    pub(crate) const ATALK: u32 = 0x809b;
    pub(crate) const AARP: u32 = 0x80f3;
    pub(crate) const IPX: u32 = 0x8137;
    pub(crate) const MPLS: u32 = 0x8847;
    pub(crate) const PPPOE_SESSION: u32 = 0x8864;
    /// An Ethernet frame inside of something else.
    pub(crate) const FRAME: u32 = 0x6558;
    pub(crate) const DECNET: u32 = 0x6003;
    pub(crate) const LAT: u32 = 0x6004;
    pub(crate) const SCA: u32 = 0x6007;
    pub(crate) const MOPDL: u32 = 0x6001;
    pub(crate) const MOPRC: u32 = 0x6002;
    /// 802.1Q, 802.1ad and what was used before that.
    pub(crate) const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
}

/// Service access points of 802.2.
mod sap {
    pub(super) const IP: u32 = 0x06;
    pub(super) const STP: u32 = 0x42;
    pub(super) const IPX: u32 = 0xe0;
    pub(super) const NETBEUI: u32 = 0xf0;
    pub(super) const ISO: u32 = 0xfe;
}

/// A SNAP header with the type of Ethernet in it, but for the type: service access points, control, organisation.
const SNAP: u32 = 0xaaaa_0300;

impl Lowering<'_> {
    /// What a protocol's name alone says.
    pub(super) fn protocol(&mut self, protocol: Protocol, span: &Range<usize>) -> Result<Condition> {
        use Protocol as P;
        let number = match protocol {
            P::Ip => return self.ether_type(ether::IP, span),
            P::Ip6 => return self.ether_type(ether::IP6, span),
            P::Arp => return self.ether_type(ether::ARP, span),
            P::Rarp => return self.ether_type(ether::RARP, span),
            P::Atalk => return self.ether_type(ether::ATALK, span),
            P::Aarp => return self.ether_type(ether::AARP, span),
            P::Decnet => return self.ether_type(ether::DECNET, span),
            P::Lat => return self.ether_type(ether::LAT, span),
            P::Sca => return self.ether_type(ether::SCA, span),
            P::Mopdl => return self.ether_type(ether::MOPDL, span),
            P::Moprc => return self.ether_type(ether::MOPRC, span),
            P::Iso => return self.ether_type(sap::ISO, span),
            P::Stp => return self.ether_type(sap::STP, span),
            P::Ipx => return self.ether_type(sap::IPX, span),
            P::Netbeui => return self.ether_type(sap::NETBEUI, span),
            P::Clnp => return self.iso_protocol(0x81, span),
            P::Esis => return self.iso_protocol(0x82, span),
            P::Isis => return self.iso_protocol(0x83, span),
            P::Link => return Ok(Condition::Always(true)),
            P::Icmp => (Some(Version::V4), 1),
            P::Igmp => (Some(Version::V4), 2),
            P::Igrp => (Some(Version::V4), 9),
            P::Vrrp | P::Carp => (Some(Version::V4), 112),
            P::Icmp6 => (Some(Version::V6), 58),
            P::Tcp => (None, 6),
            P::Udp => (None, 17),
            P::Sctp => (None, 132),
            P::Esp => (None, 50),
            P::Ah => (None, 51),
            P::Pim => (None, 103),
        };
        self.ip_protocol(number.0, number.1, span)
    }

    /// Whether the link layer carries a type of Ethernet, or a service of 802.2 if the number is no type.
    pub(super) fn ether_type(&mut self, number: u32, span: &Range<usize>) -> Result<Condition> {
        if self.layout.labels > 0 {
            return self.below_labels(number, span);
        }
        let field = self.layout.kind_field;
        if self.layout.kind == Link::Ppp {
            return Ok(self.field_is(Size::Half, field, ppp_type(number)));
        }
        let (ether, service) = match number {
            ether::ATALK => (Some(number), Some(self.snap(0x0800_0700, number))),
            ether::AARP => (Some(number), Some(self.snap(0, number))),
            sap::IPX => {
                let payload = self.layout.payload;
                let snap = self.snap(0, ether::IPX);
                let service = self.field_is(Size::Byte, payload, sap::IPX);
                let raw = self.field_is(Size::Half, payload, 0xffff);
                (Some(ether::IPX), Some(snap.or(service).or(raw)))
            }
            sap::ISO | sap::IP | sap::NETBEUI => {
                let payload = self.layout.payload;
                (None, Some(self.field_is(Size::Half, payload, number << 8 | number)))
            }
            0..=LARGEST_LENGTH => (None, Some(self.field_is(Size::Byte, self.layout.payload, number))),
            _ => (Some(number), None),
        };
        let kind = self.load(Size::Half, field);
        let service = service.map(|service| {
            against(self.values, kind, Against::AtLeast(LARGEST_LENGTH + 1)).negated().and(service)
        });
        let ether = ether.map(|number| against(self.values, kind, Against::Equal(number)));
        Ok(match (ether, service) {
            (Some(ether), Some(service)) => ether.or(service),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Condition::Always(false),
        })
    }

    /// Whether a SNAP header with the organisation and type begins the payload.
    fn snap(&mut self, organisation: u32, kind: u32) -> Condition {
        let payload = self.layout.payload;
        let last = self.field_is(Size::Word, payload.plus(4), organisation << 8 & 0xffff_0000 | kind);
        last.and(self.field_is(Size::Word, payload, SNAP | organisation >> 24))
    }

    /// Behind labels of MPLS nothing says what is there: the version of IP has to do.
    fn below_labels(&mut self, number: u32, span: &Range<usize>) -> Result<Condition> {
        let version = match number {
            ether::IP => 0x40,
            ether::IP6 => 0x60,
            _ => return Err(unsupported(span, "behind \"mpls\" only IPv4 and IPv6 can be told apart")),
        };
        let network = self.layout.network();
        let last = self.last_label();
        Ok(last.and(self.bits_are(Size::Byte, network, 0xf0, version)))
    }

    /// Whether the label before the network layer is the last one (RFC 3032 2.1).
    fn last_label(&mut self) -> Condition {
        let network = self.layout.network();
        let before = Place { offset: network.offset - 2, ..network };
        self.bits_are(Size::Byte, before, 1, 1)
    }

    pub(super) fn iso_protocol(&mut self, number: u8, span: &Range<usize>) -> Result<Condition> {
        let iso = self.ether_type(sap::ISO, span)?;
        // Behind three bytes of 802.2.
        let kind = self.layout.network().plus(3);
        Ok(iso.and(self.field_is(Size::Byte, kind, number.into())))
    }

    pub(super) fn ether_address(
        &mut self,
        direction: Direction,
        address: MacAddr,
        span: &Range<usize>,
    ) -> Result<Condition> {
        self.need_ethernet(span)?;
        if self.layout.kind == Link::Type {
            return Ok(Condition::Always(false));
        }
        let destination = self.layout.link;
        let source = destination.plus(6);
        Ok(match direction {
            Direction::Source => self.address_is(source, address),
            Direction::Destination => self.address_is(destination, address),
            Direction::Either => self.address_is(source, address).or(self.address_is(destination, address)),
            Direction::Both => self.address_is(source, address).and(self.address_is(destination, address)),
        })
    }

    fn need_ethernet(&self, span: &Range<usize>) -> Result<()> {
        match self.layout.kind {
            Link::Ethernet | Link::Type => Ok(()),
            Link::Ppp => Err(unsupported(span, "behind \"pppoes\" there are no Ethernet addresses")),
        }
    }

    fn address_is(&mut self, place: Place, address: MacAddr) -> Condition {
        let bits = address.0.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let low = u32::try_from(bits & 0xffff_ffff).unwrap_or_default();
        let high = u32::try_from(bits >> 32).unwrap_or_default();
        // The end tells more addresses apart than the manufacturer's number.
        let end = self.field_is(Size::Word, place.plus(2), low);
        end.and(self.field_is(Size::Half, place, high))
    }

    pub(super) fn ether_broadcast(&mut self, span: &Range<usize>) -> Result<Condition> {
        self.ether_address(Direction::Destination, MacAddr([0xff; 6]), span)
    }

    pub(super) fn ether_multicast(&mut self, span: &Range<usize>) -> Result<Condition> {
        self.need_ethernet(span)?;
        if self.layout.kind == Link::Type {
            return Ok(Condition::Always(false));
        }
        let first = self.load(Size::Byte, self.layout.link);
        Ok(against(self.values, first, Against::AnyBit(1)))
    }

    /// A VLAN tag; what stands behind it in the text is about what is behind the tag.
    pub(super) fn vlan(&mut self, id: Option<u16>, span: &Range<usize>) -> Result<Condition> {
        if self.layout.labels > 0 {
            return Err(unsupported(span, "behind \"mpls\" there are no VLAN tags"));
        }
        self.need_ethernet(span)?;
        let beside = self.case.tag_beside && self.layout.tags == 0 && !self.layout.inside;
        self.layout.tags += 1;
        if beside {
            let Some(id) = id else { return Ok(Condition::Always(true)) };
            let tag = self.values.ancillary(ancillary::VLAN_TAG);
            let tag = self.masked(tag, 0xfff);
            return Ok(against(self.values, tag, Against::Equal(id.into())));
        }
        let kind = self.load(Size::Half, self.layout.kind_field);
        let tags = ether::TAGS.map(|tag| against(self.values, kind, Against::Equal(tag)));
        let mut condition = Condition::Any(tags.into());
        if let Some(id) = id {
            condition = condition.and(self.bits_are(Size::Half, self.layout.payload, 0xfff, id.into()));
        }
        self.layout.kind_field = self.layout.kind_field.plus(4);
        self.layout.payload = self.layout.payload.plus(4);
        Ok(condition)
    }

    /// A label of MPLS; what stands behind it in the text is about what is behind the label.
    pub(super) fn mpls(&mut self, label: Option<u32>, span: &Range<usize>) -> Result<Condition> {
        let mut condition = if self.layout.labels > 0 {
            self.last_label().negated()
        } else if self.layout.kind == Link::Ppp {
            // RFC 3032 4.1.
            self.field_is(Size::Half, self.layout.kind_field, 0x0281)
        } else {
            self.ether_type(ether::MPLS, span)?
        };
        if let Some(label) = label {
            let network = self.layout.network();
            condition = condition.and(self.bits_are(Size::Word, network, 0xffff_f000, label << 12));
        }
        self.layout.labels += 1;
        Ok(condition)
    }

    /// A session of PPPoE (RFC 2516 4); what stands behind it in the text is about the packet of PPP.
    pub(super) fn pppoe_session(&mut self, session: Option<u16>, span: &Range<usize>) -> Result<Condition> {
        let mut condition = self.ether_type(ether::PPPOE_SESSION, span)?;
        let network = self.layout.network();
        if let Some(session) = session {
            condition = condition.and(self.field_is(Size::Half, network.plus(2), session.into()));
        }
        let ppp = network.plus(6);
        self.layout.link = ppp;
        self.layout.kind = Link::Ppp;
        self.layout.kind_field = ppp;
        self.layout.payload = ppp.plus(2);
        self.layout.labels = 0;
        self.layout.inside = true;
        Ok(condition)
    }
}

/// PPP's number of a protocol (IANA's registry of PPP DLL protocol numbers); others keep theirs.
fn ppp_type(number: u32) -> u32 {
    match number {
        ether::IP => 0x21,
        ether::IP6 => 0x57,
        ether::DECNET => 0x27,
        ether::ATALK => 0x29,
        sap::IPX => 0x2b,
        sap::ISO => 0x23,
        sap::STP => 0x31,
        sap::NETBEUI => 0x3f,
        other => other,
    }
}
