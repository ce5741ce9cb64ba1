//! Identifiers: the names, numbers and addresses that qualifiers are for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use nslab_types::MacAddr;

use super::keyword::{Keyword, Protocol};
use super::token::{Kind, value};
use super::{Inherited, Parser, Result};
use crate::error::{ErrorKind, FilterError};
use crate::syntax::{Carrier, Direction, Expr, Prefix, Primitive};

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kindof {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    ProtoChain,
}

impl Kindof {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Net => "net",
            Self::Port => "port",
            Self::PortRange => "portrange",
            Self::Proto => "proto",
            Self::ProtoChain => "protochain",
        }
    }
}

/// What was said of an identifier, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Qualifiers {
    pub(super) protocol: Option<Protocol>,
    pub(super) direction: Option<Direction>,
    pub(super) kind: Option<Kindof>,
    pub(super) words: Range<usize>,
}

impl Qualifiers {
    pub(super) fn kind(&self) -> Kindof {
        self.kind.unwrap_or(Kindof::Host)
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction.unwrap_or(Direction::Either)
    }
}

impl Parser<'_> {
    /// The qualifiers that an identifier without any takes over.
    pub(super) fn inherit(&self, inherited: Inherited) -> Result<Qualifiers> {
        let what = self.written(self.next);
        inherited.ok_or_else(|| match self.peek() {
            Some(Kind::Name) => self.unknown_word(self.next),
            _ => FilterError::new(
                ErrorKind::Syntax,
                self.span(),
                format!("what stands before {what:?} does not say what it is"),
            )
            .hint("before a name, number or address say what it is, as \"host\", \"net\" or \"port\""),
        })
    }

    /// An identifier, a negated one, or several in parentheses.
    pub(super) fn id(&mut self, qualifiers: &Qualifiers) -> Result<Expr> {
        if self.eat_keyword(Keyword::Not) {
            let inner = self.deeper(|parser| parser.id(qualifiers))?;
            return Ok(Expr::Not(Box::new(inner)));
        }
        if self.eat(Kind::Open) {
            let inner = self.deeper(|parser| {
                let first = parser.id(qualifiers)?;
                Ok(parser.joined(first, (), |parser, ()| Ok((parser.id(qualifiers)?, ())))?.0)
            })?;
            if !self.eat(Kind::Close) {
                return Err(self.left_over());
            }
            return Ok(inner);
        }
        let first = self.next;
        let token = self.peek();
        self.next += 1;
        let primitive = match token {
            Some(Kind::Name) => self.name(first, qualifiers)?,
            Some(Kind::Number(value)) => self.plain(first, value, qualifiers)?,
            Some(Kind::Dotted) => self.dotted(first, qualifiers)?,
            Some(Kind::Ip6(address)) => self.ip6(first, address, qualifiers)?,
            Some(Kind::Mac(address)) => self.mac(first, address, qualifiers)?,
            Some(Kind::ShortMac) => {
                return Err(self.refused(
                    ErrorKind::Unsupported,
                    first,
                    "addresses of one byte are not for Ethernet",
                ));
            }
            _ => return Err(self.missing(first, qualifiers)),
        };
        Ok(Expr::Is(primitive, qualifiers.words.start..self.since(first).end))
    }

    /// The error of something else where an identifier is wanted.
    fn missing(&mut self, place: usize, qualifiers: &Qualifiers) -> FilterError {
        self.next = place;
        let kind = qualifiers.kind();
        let wanted = match kind {
            Kindof::Host | Kindof::Net => "an address or name",
            Kindof::Port => "a port",
            Kindof::PortRange => "two ports, as 8000-8080,",
            Kindof::Proto | Kindof::ProtoChain => "a protocol",
        };
        let found = self.written(place);
        let after = self.text.get(qualifiers.words.clone()).unwrap_or(kind.word());
        if let Some(Kind::Keyword(_)) = self.peek() {
            let message =
                format!("{wanted} is wanted after {after:?}, and {found:?} is a word of the language");
            let error = self.refused(ErrorKind::Syntax, place, message);
            return error.hint(format!("if a name is meant, write \\{found}"));
        }
        if let Some(Kind::Equal) = self.peek() {
            let message = format!("{wanted} is wanted after {after:?}, not {found:?}");
            let next = self.written(place + 1);
            let error = self.refused(ErrorKind::Syntax, place, message);
            return error.hint(format!("leave out the sign: \"{after} {next}\""));
        }
        let but = if found.is_empty() { String::new() } else { format!(", not {found:?}") };
        self.refused(ErrorKind::Syntax, place, format!("{wanted} is wanted after {after:?}{but}"))
    }

    pub(super) fn refused(&self, kind: ErrorKind, first: usize, message: impl Into<String>) -> FilterError {
        FilterError::new(kind, self.since(first), message)
    }

    /// The error of qualifiers that do not fit what they are for.
    pub(super) fn unfit(&self, qualifiers: &Qualifiers, first: usize, what: &str) -> FilterError {
        let words = self.text.get(qualifiers.words.clone()).unwrap_or_default();
        self.refused(ErrorKind::Qualifier, first, format!("{words:?} does not go with {what}"))
    }

    fn name(&mut self, first: usize, qualifiers: &Qualifiers) -> Result<Primitive> {
        let name = self.written(first);
        let name = name.strip_prefix('\\').unwrap_or(name).to_owned();
        match qualifiers.kind() {
            Kindof::Host if qualifiers.protocol == Some(Protocol::Link) => {
                let address = self.names.ethernet(&name).ok_or_else(|| {
                    self.refused(
                        ErrorKind::UnknownName,
                        first,
                        format!("no Ethernet address is known of {name:?}"),
                    )
                    .hint("write the address itself, as 02:00:5e:10:00:01")
                })?;
                Ok(Primitive::EtherAddress { direction: qualifiers.direction(), address })
            }
            Kindof::Host => self.host_name(first, &name, qualifiers),
            Kindof::Net => Err(self
                .refused(ErrorKind::UnknownName, first, format!("{name:?} is no network's address"))
                .hint("write the address, as \"net 10.0.0.0/8\"; names of networks are not looked up")),
            Kindof::Port => {
                self.transport(first, qualifiers)?;
                let (port, transport) = self.port_name(first, &name)?;
                self.ports(first, qualifiers, transport, port, port)
            }
            Kindof::PortRange => {
                self.transport(first, qualifiers)?;
                let Some((low, high)) = name.split_once('-') else {
                    let message = format!("{name:?} is no range of ports");
                    return Err(self.refused(ErrorKind::Syntax, first, message).hint(
                        "write two ports with a hyphen and without spaces, as \"portrange 8000-8080\"",
                    ));
                };
                let (low, low_transport) = self.port_text(first, low)?;
                let (high, high_transport) = self.port_text(first, high)?;
                let transport = if low_transport == high_transport { low_transport } else { None };
                self.ports(first, qualifiers, transport, low, high)
            }
            Kindof::Proto | Kindof::ProtoChain => {
                let number = self.protocol_name(first, &name, qualifiers)?;
                self.protocol_number(first, number, qualifiers)
            }
        }
    }

    fn host_name(&self, first: usize, name: &str, qualifiers: &Qualifiers) -> Result<Primitive> {
        let carrier = self.carrier(first, qualifiers)?;
        if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            let message = format!("{name:?} is no address");
            return Err(self.refused(ErrorKind::OutOfRange, first, message));
        }
        let addresses = self.names.hosts(name).map_err(|why| {
            self.refused(ErrorKind::UnknownName, first, format!("{name:?} is no address")).hint(why)
        })?;
        let prefixes: Vec<Prefix> = addresses
            .into_iter()
            .filter(|address| match carrier {
                None => true,
                Some(Carrier::Ip6) => address.is_ipv6(),
                Some(_) => address.is_ipv4(),
            })
            .map(|address| match address {
                IpAddr::V4(address) => Prefix::V4 { address, mask: Ipv4Addr::BROADCAST },
                IpAddr::V6(address) => Prefix::V6 { address, mask: u128::MAX },
            })
            .collect();
        if prefixes.is_empty() {
            let message = format!("no address is known of the host {name:?}");
            return Err(self.refused(ErrorKind::UnknownName, first, message));
        }
        Ok(Primitive::Address { carrier, direction: qualifiers.direction(), prefixes })
    }

    /// In which protocol the qualifiers say to look for an address.
    fn carrier(&self, first: usize, qualifiers: &Qualifiers) -> Result<Option<Carrier>> {
        Ok(Some(match qualifiers.protocol {
            None => return Ok(None),
            Some(Protocol::Ip) => Carrier::Ip,
            Some(Protocol::Arp) => Carrier::Arp,
            Some(Protocol::Rarp) => Carrier::Rarp,
            Some(Protocol::Ip6) => Carrier::Ip6,
            Some(Protocol::Link) => return Err(self.unfit(qualifiers, first, "an address of IP")),
            Some(protocol) => {
                let error = self.unfit(qualifiers, first, "an address");
                let (word, kind) = (protocol.word(), qualifiers.kind().word());
                return Err(error.hint(format!("write \"{word} and {kind} …\"")));
            }
        }))
    }

    /// A number without dots.
    fn plain(&mut self, first: usize, value: u32, qualifiers: &Qualifiers) -> Result<Primitive> {
        match qualifiers.kind() {
            kind @ (Kindof::Host | Kindof::Net) => {
                if self.peek() == Some(Kind::Slash) && kind == Kindof::Net {
                    let message = "a prefix length needs an address with a dot in it";
                    let error = self.refused(ErrorKind::Syntax, first, message);
                    let length = self.written(self.next + 1);
                    return Err(error.hint(format!("write \"net {value}.0.0.0/{length}\"")));
                }
                let mut address = value;
                let mut mask = u32::MAX;
                while kind == Kindof::Net && address != 0 && address >> 24 == 0 {
                    address <<= 8;
                    mask <<= 8;
                }
                self.ip4(first, address, mask, qualifiers)
            }
            Kindof::Port | Kindof::PortRange => {
                let port = self.port_value(first, value)?;
                self.ports(first, qualifiers, None, port, port)
            }
            Kindof::Proto | Kindof::ProtoChain => self.protocol_number(first, value, qualifiers),
        }
    }

    /// Numbers with dots, and the mask or prefix length after them.
    fn dotted(&mut self, first: usize, qualifiers: &Qualifiers) -> Result<Primitive> {
        let kind = qualifiers.kind();
        if !matches!(kind, Kindof::Host | Kindof::Net) {
            return Err(self.unfit(qualifiers, first, "an address"));
        }
        let (address, given) = self.dotted_value(first)?;
        let mut mask = prefix_mask(given);
        let masked = matches!(self.peek(), Some(Kind::Slash | Kind::Keyword(Keyword::Mask)));
        if self.eat(Kind::Slash) {
            let Some(Kind::Number(length)) = self.peek() else {
                return self.syntax("a prefix length is wanted after \"/\"");
            };
            self.next += 1;
            if length > 32 {
                let message = "a prefix of IPv4 has at most 32 bits";
                return Err(self.refused(ErrorKind::OutOfRange, self.next - 1, message));
            }
            mask = prefix_mask(length);
        } else if self.eat_keyword(Keyword::Mask) {
            if self.peek() != Some(Kind::Dotted) {
                return self.syntax("a mask is wanted after \"mask\", as 255.255.0.0");
            }
            self.next += 1;
            mask = self.dotted_value(self.next - 1)?.0;
        }
        if masked && kind != Kindof::Net {
            let error = self.refused(ErrorKind::Qualifier, first, "masks are for networks, not for hosts");
            let network = Ipv4Addr::from(address & mask);
            let length = mask.leading_ones();
            return Err(if mask == u32::MAX {
                error.hint(format!("write \"host {network}\""))
            } else if prefix_mask(length) == mask {
                error.hint(format!("write \"net {network}/{length}\""))
            } else {
                error.hint(format!("write \"net {network} mask {}\"", Ipv4Addr::from(mask)))
            });
        }
        if address & !mask != 0 {
            let error =
                self.refused(ErrorKind::OutOfRange, first, "the address has bits outside of its mask");
            let network = Ipv4Addr::from(address & mask);
            let length = mask.leading_ones();
            return Err(if prefix_mask(length) == mask {
                error.hint(format!("the network is {network}/{length}"))
            } else {
                error.hint(format!("the network is {network} mask {}", Ipv4Addr::from(mask)))
            });
        }
        self.ip4(first, address, mask, qualifiers)
    }

    /// The value of numbers with dots, as far left as it goes, and how many bits were given.
    fn dotted_value(&self, place: usize) -> Result<(u32, u32)> {
        let parts: Option<Vec<u32>> =
            self.written(place).split('.').map(|part| value(part).filter(|part| *part < 256)).collect();
        let parts = parts.ok_or_else(|| {
            let message = format!("{:?} is no address: its parts are 0 to 255", self.written(place));
            FilterError::new(ErrorKind::OutOfRange, self.span_at(place), message)
        })?;
        let bits = u32::try_from(parts.len() * 8).unwrap_or(32).min(32);
        let value = parts.iter().fold(0, |value, part| value << 8 | part);
        Ok((value << (32 - bits), bits))
    }

    fn ip4(&self, first: usize, address: u32, mask: u32, qualifiers: &Qualifiers) -> Result<Primitive> {
        let carrier = self.carrier(first, qualifiers)?;
        if carrier == Some(Carrier::Ip6) {
            return Err(self.unfit(qualifiers, first, "an address of IPv4"));
        }
        let prefix = Prefix::V4 { address: address.into(), mask: mask.into() };
        Ok(Primitive::Address { carrier, direction: qualifiers.direction(), prefixes: vec![prefix] })
    }

    fn ip6(&mut self, first: usize, address: Ipv6Addr, qualifiers: &Qualifiers) -> Result<Primitive> {
        let kind = qualifiers.kind();
        if !matches!(kind, Kindof::Host | Kindof::Net) {
            return Err(self.unfit(qualifiers, first, "an address"));
        }
        let mut length = 128;
        if self.eat(Kind::Slash) {
            let Some(Kind::Number(given)) = self.peek() else {
                return self.syntax("a prefix length is wanted after \"/\"");
            };
            self.next += 1;
            if given > 128 {
                let message = "a prefix of IPv6 has at most 128 bits";
                return Err(self.refused(ErrorKind::OutOfRange, self.next - 1, message));
            }
            length = given;
        }
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        let bits = u128::from(address);
        if kind == Kindof::Host && length != 128 {
            let error = self.refused(ErrorKind::Qualifier, first, "masks are for networks, not for hosts");
            return Err(error.hint(format!("write \"net {}/{length}\"", Ipv6Addr::from(bits & mask))));
        }
        if bits & !mask != 0 {
            let network = Ipv6Addr::from(bits & mask);
            return Err(self
                .refused(ErrorKind::OutOfRange, first, "the address has bits outside of its mask")
                .hint(format!("the network is {network}/{length}")));
        }
        let carrier = self.carrier(first, qualifiers)?;
        if !matches!(carrier, None | Some(Carrier::Ip6)) {
            return Err(self.unfit(qualifiers, first, "an address of IPv6"));
        }
        let prefix = Prefix::V6 { address, mask };
        Ok(Primitive::Address { carrier, direction: qualifiers.direction(), prefixes: vec![prefix] })
    }

    fn mac(&self, first: usize, address: MacAddr, qualifiers: &Qualifiers) -> Result<Primitive> {
        if qualifiers.kind() != Kindof::Host || qualifiers.protocol != Some(Protocol::Link) {
            return Err(self
                .unfit(qualifiers, first, "an Ethernet address")
                .hint(format!("write \"ether host {}\"", self.written(first))));
        }
        Ok(Primitive::EtherAddress { direction: qualifiers.direction(), address })
    }
}

fn prefix_mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}
