//! Ports and protocols as identifiers.

use super::id::{Kindof, Qualifiers};
use super::keyword::Protocol;
use super::token::value;
use super::{Parser, Result};
use crate::error::ErrorKind;
use crate::names::Transport;
use crate::syntax::{Primitive, Version};

impl Parser<'_> {
    pub(super) fn port_value(&self, first: usize, value: u32) -> Result<u16> {
        u16::try_from(value)
            .map_err(|_| self.refused(ErrorKind::OutOfRange, first, "a port is at most 65535"))
    }

    /// A port's name, and whose it is if it is only of one protocol.
    pub(super) fn port_name(&self, first: usize, name: &str) -> Result<(u16, Option<Transport>)> {
        let [tcp, udp] = [Transport::Tcp, Transport::Udp].map(|transport| self.names.port(name, transport));
        match (tcp, udp) {
            (Some(tcp), Some(udp)) if tcp == udp => Ok((tcp, None)),
            (Some(tcp), _) => Ok((tcp, Some(Transport::Tcp))),
            (None, Some(udp)) => Ok((udp, Some(Transport::Udp))),
            (None, None) => {
                let error = self.refused(ErrorKind::UnknownName, first, format!("no port is named {name:?}"));
                let is_range =
                    name.split_once('-').is_some_and(|(low, high)| value(low).and(value(high)).is_some());
                Err(if is_range {
                    error.hint(format!("write \"portrange {name}\""))
                } else {
                    error.hint("write its number")
                })
            }
        }
    }

    /// One end of a range: a number or a name.
    pub(super) fn port_text(&self, first: usize, text: &str) -> Result<(u16, Option<Transport>)> {
        match value(text).filter(|_| text.starts_with(|digit: char| digit.is_ascii_digit())) {
            Some(value) => Ok((self.port_value(first, value)?, None)),
            None => self.port_name(first, text),
        }
    }

    /// Which protocol's ports the qualifiers say.
    pub(super) fn transport(&self, first: usize, qualifiers: &Qualifiers) -> Result<Option<Transport>> {
        Ok(Some(match qualifiers.protocol {
            None => return Ok(None),
            Some(Protocol::Tcp) => Transport::Tcp,
            Some(Protocol::Udp) => Transport::Udp,
            Some(Protocol::Sctp) => Transport::Sctp,
            Some(protocol) => {
                let error = self.unfit(qualifiers, first, "ports: only tcp, udp and sctp have them");
                let kind = qualifiers.kind().word();
                return Err(error.hint(format!("write \"{} and {kind} …\"", protocol.word())));
            }
        }))
    }

    pub(super) fn ports(
        &self,
        first: usize,
        qualifiers: &Qualifiers,
        named: Option<Transport>,
        low: u16,
        high: u16,
    ) -> Result<Primitive> {
        let said = self.transport(first, qualifiers)?;
        if let (Some(said), Some(named)) = (said, named)
            && said != named
        {
            let (named, said) = (named.name(), said.name());
            let message = format!("{:?} is a port of {named}, not of {said}", self.written(first));
            return Err(self.refused(ErrorKind::UnknownName, first, message));
        }
        let direction = qualifiers.direction();
        Ok(Primitive::Port { transport: said.or(named), direction, first: low, last: high })
    }

    pub(super) fn protocol_name(&self, first: usize, name: &str, qualifiers: &Qualifiers) -> Result<u32> {
        let found = match qualifiers.protocol {
            None | Some(Protocol::Ip | Protocol::Ip6) => self.names.protocol(name).map(u32::from),
            Some(Protocol::Link) => {
                ETHER_TYPES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
            }
            Some(Protocol::Iso) => ISO.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind),
            Some(_) => return Err(self.unfit(qualifiers, first, "anything: it carries no protocols")),
        };
        found.ok_or_else(|| {
            let message = format!("no protocol is named {name:?} here");
            self.refused(ErrorKind::UnknownName, first, message).hint("write its number")
        })
    }

    pub(super) fn protocol_number(
        &self,
        first: usize,
        number: u32,
        qualifiers: &Qualifiers,
    ) -> Result<Primitive> {
        if qualifiers.kind() == Kindof::ProtoChain {
            let message =
                "the kernel's filters cannot follow a chain of headers: \"protochain\" is not done here";
            return Err(self
                .refused(ErrorKind::Unsupported, first, message)
                .hint("\"proto\" looks at the first header, and behind that of an IPv6 fragment"));
        }
        let byte = |number| {
            u8::try_from(number)
                .map_err(|_| self.refused(ErrorKind::OutOfRange, first, "a protocol's number is at most 255"))
        };
        Ok(match qualifiers.protocol {
            None => Primitive::IpProtocol { version: None, number: byte(number)? },
            Some(Protocol::Ip) => Primitive::IpProtocol { version: Some(Version::V4), number: byte(number)? },
            Some(Protocol::Ip6) => {
                Primitive::IpProtocol { version: Some(Version::V6), number: byte(number)? }
            }
            Some(Protocol::Iso) => Primitive::IsoProtocol(byte(number)?),
            Some(Protocol::Link) if number > 0xffff => {
                return Err(self.refused(ErrorKind::OutOfRange, first, "an EtherType is at most 0xffff"));
            }
            Some(Protocol::Link) => Primitive::EtherType(number),
            Some(_) => return Err(self.unfit(qualifiers, first, "anything: it carries no protocols")),
        })
    }
}

/// Names after `ether proto`: EtherTypes and, below 256, service access points of 802.2 (IEEE 802's registries).
const ETHER_TYPES: &[(&str, u32)] = &[
    ("aarp", 0x80f3),
    ("arp", 0x0806),
    ("atalk", 0x809b),
    ("decnet", 0x6003),
    ("ip", 0x0800),
    ("ip6", 0x86dd),
    ("lat", 0x6004),
    ("loopback", 0x9000),
    ("mopdl", 0x6001),
    ("moprc", 0x6002),
    ("rarp", 0x8035),
    ("sca", 0x6007),
    ("iso", 0xfe),
    ("stp", 0x42),
    ("ipx", 0xe0),
    ("netbeui", 0xf0),
];

/// Names after `iso proto` (ISO/IEC TR 9577).
const ISO: &[(&str, u32)] = &[("clnp", 0x81), ("esis", 0x82), ("isis", 0x83)];
