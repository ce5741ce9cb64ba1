//! What the expressions so far say of the packet, and what fields are then called.

use super::fields::Header;
use super::types::{Order, Type};
use crate::nftables::data::Data;
use crate::nftables::expr::PayloadBase;
use crate::nftables::family::Family;

use super::term::Term;

const ETHERTYPE_IP: u32 = 0x0800;
const ETHERTYPE_ARP: u32 = 0x0806;
const ETHERTYPE_IP6: u32 = 0x86dd;
const ETHERTYPE_VLAN: u32 = 0x8100;
/// Bits of an Ethernet header.
const ETHER_BITS: u32 = 112;

/// Which of the matches that only say what kind of packet follows a field makes needless to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dependency {
    /// That the device is an Ethernet device.
    Link,
    /// That it is tagged.
    Vlan,
    /// Which network protocol.
    Network,
    /// Which transport protocol.
    Transport,
}

/// What is known of the packet.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    vlan: bool,
    network: Option<Header>,
    protocol: Option<u8>,
}

/// A term with its words.
pub(super) struct Words {
    pub(super) text: String,
    pub(super) kind: Type,
    pub(super) order: Order,
    /// The value in the register is to be shifted to the right by this to be the field's.
    pub(super) shift: u32,
    /// An address of which only the first bytes are there.
    pub(super) address_len: Option<u32>,
    /// What need not be written before it.
    pub(super) implies: Vec<Dependency>,
}

impl Words {
    fn new(text: impl Into<String>, kind: Type, order: Order) -> Self {
        Self { text: text.into(), kind, order, shift: 0, address_len: None, implies: Vec::new() }
    }
}

impl Context {
    pub(super) fn new(family: Family) -> Self {
        let network = match family {
            Family::Ip => Some(Header::Ip),
            Family::Ip6 => Some(Header::Ip6),
            Family::Arp => Some(Header::Arp),
            Family::Inet | Family::Bridge | Family::Netdev => None,
        };
        Self { network, ..Self::default() }
    }

    /// Learns from a match of one value; says if it is one that a later field may make needless to write.
    pub(super) fn learn(&mut self, text: &str, value: u128) -> Option<Dependency> {
        let value = u32::try_from(value).ok()?;
        match text {
            "meta nfproto" => {
                self.network = match value {
                    2 => Some(Header::Ip),
                    10 => Some(Header::Ip6),
                    _ => self.network,
                };
                Some(Dependency::Network)
            }
            "meta protocol" => {
                self.ethertype(value);
                Some(Dependency::Network)
            }
            "ether type" | "vlan type" => {
                self.ethertype(value);
                match (text, value) {
                    ("ether type", ETHERTYPE_VLAN) => Some(Dependency::Vlan),
                    // What nft puts in before other protocols is `meta protocol`.
                    ("ether type", ETHERTYPE_ARP) | ("vlan type", _) => Some(Dependency::Network),
                    _ => None,
                }
            }
            "meta l4proto" => {
                self.protocol = u8::try_from(value).ok();
                Some(Dependency::Transport)
            }
            "ip protocol" | "ip6 nexthdr" => {
                self.protocol = u8::try_from(value).ok();
                None
            }
            "meta iiftype" if value == 1 => Some(Dependency::Link),
            _ => None,
        }
    }

    fn ethertype(&mut self, value: u32) {
        match value {
            ETHERTYPE_IP => self.network = Some(Header::Ip),
            ETHERTYPE_IP6 => self.network = Some(Header::Ip6),
            ETHERTYPE_ARP => self.network = Some(Header::Arp),
            ETHERTYPE_VLAN => self.vlan = true,
            _ => {}
        }
    }

    /// Learns that one of several network protocols is matched: none is known.
    pub(super) fn is_ipv6(&self) -> Option<bool> {
        match self.network {
            Some(Header::Ip) => Some(false),
            Some(Header::Ip6) => Some(true),
            _ => None,
        }
    }

    /// Header at which bits of a payload are looked for, with the offset in it.
    fn header(&self, base: PayloadBase, offset: u32) -> Option<(Header, u32)> {
        match base {
            PayloadBase::Link if offset < ETHER_BITS => Some((Header::Ether, offset)),
            PayloadBase::Link if self.vlan => Some((Header::Vlan, offset - ETHER_BITS)),
            PayloadBase::Network => Some((self.network?, offset)),
            PayloadBase::Transport => {
                let header = self.protocol.map_or(Some(Header::Transport), Header::of_protocol)?;
                Some((header, offset))
            }
            _ => None,
        }
    }

    fn implied(header: Header) -> Vec<Dependency> {
        match header {
            Header::Ether => vec![Dependency::Link],
            Header::Vlan => vec![Dependency::Vlan, Dependency::Link],
            Header::Ip | Header::Ip6 | Header::Arp => vec![Dependency::Network],
            Header::Icmp | Header::Icmpv6 | Header::Igmp => vec![Dependency::Transport, Dependency::Network],
            Header::Transport => Vec::new(),
            _ => vec![Dependency::Transport],
        }
    }

    /// The field at exactly this place, in bits.
    fn field(&self, base: PayloadBase, offset: u32, len: u32) -> Option<Words> {
        let (header, offset) = self.header(base, offset)?;
        let field = header.field(offset, len)?;
        let mut words = Words::new(format!("{} {}", header.word(), field.name), field.kind, Order::Network);
        words.implies = Self::implied(header);
        Some(words)
    }

    /// The address of which these are the first bits.
    fn address_start(&self, base: PayloadBase, offset: u32, len: u32) -> Option<Words> {
        let (header, offset) = self.header(base, offset)?;
        let field = header.address_start(offset, len)?;
        let mut words = Words::new(format!("{} {}", header.word(), field.name), field.kind, Order::Network);
        words.implies = Self::implied(header);
        words.address_len = Some(field.len);
        Some(words)
    }

    /// The places, in bytes, of the two or more fields that these bytes are.
    pub(super) fn split(&self, base: PayloadBase, offset: u32, len: u32) -> Option<Vec<(u32, u32)>> {
        let (header, start) = self.header(base, offset * 8)?;
        if header.field(start, len * 8).is_some() || header == Header::Transport {
            return None;
        }
        let mut places = Vec::new();
        let mut at = 0;
        while at < len {
            let size = (1..=len - at).find(|size| header.field(start + at * 8, size * 8).is_some())?;
            places.push((offset + at, size));
            at += size;
        }
        (places.len() > 1).then_some(places)
    }

    /// The words for a term; none for a fixed value, which has none of its own.
    pub(super) fn words(&self, term: &Term) -> Option<Words> {
        match term {
            Term::Named { text, kind, order, implies, .. } => {
                let implies = implies.iter().copied().collect();
                Some(Words { implies, ..Words::new(text.clone(), *kind, *order) })
            }
            Term::Mapped { text, .. } => Some(Words::new(text.clone(), Type::Integer, Order::Network)),
            Term::Fixed(_) => None,
            Term::Payload { base, offset, len } => Some(self.payload(*base, *offset * 8, *len * 8)),
            Term::Swapped(of) => {
                let words = self.words(of)?;
                let order = match words.order {
                    Order::Network => Order::Machine,
                    Order::Machine => Order::Network,
                };
                Some(Words { order, ..words })
            }
            Term::Shifted { of, left, bits } => {
                let words = self.words(of)?;
                if !left && words.shift == *bits && *bits > 0 {
                    return Some(Words { shift: 0, ..words });
                }
                let sign = if *left { "<<" } else { ">>" };
                Some(Words { text: format!("{} {sign} {bits}", words.text), kind: Type::Integer, ..words })
            }
            Term::Masked { of, mask, xor } => self.masked(of, mask, xor),
        }
    }

    fn payload(&self, base: PayloadBase, offset: u32, len: u32) -> Words {
        self.field(base, offset, len).or_else(|| self.address_start(base, offset, len)).unwrap_or_else(|| {
            let base = match base.word() {
                Some(word) => word.to_owned(),
                None => base.number().to_string(),
            };
            Words::new(format!("@{base},{offset},{len}"), Type::Raw, Order::Network)
        })
    }

    fn masked(&self, of: &Term, mask: &Data, xor: &Data) -> Option<Words> {
        let unchanged = xor.iter().all(|&byte| byte == 0);
        if let (Term::Payload { base, offset, .. }, true) = (of, unchanged) {
            // A field that is not made of whole bytes.
            if let Some((first, len)) = run(mask)
                && let Some(mut words) = self.field(*base, offset * 8 + first, len)
            {
                let all = u32::try_from(mask.len() * 8).unwrap_or(0);
                if len < all {
                    words.shift = all - first - len;
                    return Some(words);
                }
            }
        }
        let words = self.words(of)?;
        let value = |data: &Data| super::types::value(plain(words.kind), words.order, data);
        let full = mask.iter().all(|&byte| byte == 0xff);
        let or = mask.iter().zip(xor.iter()).all(|(mask, xor)| *mask == !xor);
        let text = match (unchanged, full, or) {
            (true, true, _) => words.text.clone(),
            (true, false, _) => format!("{} & {}", words.text, value(mask)?),
            (false, _, true) => format!("{} | {}", words.text, value(xor)?),
            (false, true, _) => format!("{} ^ {}", words.text, value(xor)?),
            (false, false, false) => format!("{} & {} ^ {}", words.text, value(mask)?, value(xor)?),
        };
        Some(Words { text, ..words })
    }

    /// The field that is replaced when `(packet & mask) ^ xor` is written at this place: its words, and its new value.
    pub(super) fn replaced(
        &self,
        base: PayloadBase,
        offset: u32,
        mask: &Data,
        xor: &Data,
    ) -> Option<(Words, u128)> {
        let cleared = Data::from(mask.iter().map(|byte| !byte).collect::<Vec<_>>());
        let (first, len) = run(&cleared)?;
        let words = self.field(base, offset * 8 + first, len)?;
        let all = u32::try_from(mask.len() * 8).ok()?;
        let value = super::types::number(xor, Order::Network)? >> (all - first - len);
        (len < 128 && value < 1 << len).then_some((words, value))
    }
}

/// The type in which a mask is written: names of single bits would be read alike, but addresses and the like are best as
/// they are.
fn plain(kind: Type) -> Type {
    match kind {
        Type::Bits(_) | Type::Mark | Type::Ipv4 | Type::Ipv6 | Type::Mac => kind,
        _ => Type::Integer,
    }
}

/// The one run of set bits in a mask: the first, counted from the highest, and how many; none if there are several or none.
pub(super) fn run(mask: &[u8]) -> Option<(u32, u32)> {
    let number = super::types::number(mask, Order::Network).filter(|&number| number != 0)?;
    let all = u32::try_from(mask.len() * 8).ok()?;
    let first = all.checked_sub(128 - number.leading_zeros())?;
    let len = number.count_ones();
    (number >> number.trailing_zeros() == u128::MAX >> (128 - len)).then_some((first, len))
}
