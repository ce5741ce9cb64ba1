//! DHCP (RFC 2131, RFC 2132), and that of IPv6 by the names of its messages (RFC 8415).

use std::fmt;
use std::net::Ipv4Addr;

use nslab_types::MacAddr;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::data::{Broken, Data};

/// A message of DHCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Dhcp<'a> {
    /// 1 of a client, 2 of a server.
    pub operation: u8,
    /// The kind of hardware address, 1 for Ethernet.
    pub hardware: u8,
    /// Its length in bytes.
    pub hardware_length: u8,
    /// How many relays it went through.
    pub hops: u8,
    /// By which an answer is known.
    pub transaction: u32,
    /// How long the client has been at it.
    pub seconds: u16,
    /// 0x8000: answers are to be broadcast.
    pub flags: u16,
    /// The address that the client has.
    pub client: Ipv4Addr,
    /// The address that it gets.
    pub yours: Ipv4Addr,
    /// Where it is to fetch what it boots.
    pub server: Ipv4Addr,
    /// The relay.
    pub gateway: Ipv4Addr,
    /// The client's address of Ethernet.
    pub client_mac: MacAddr,
    /// What else is said; the message's type is option 53.
    pub options: DhcpOptions<'a>,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// In front of options there stands (RFC 2131 3).
pub(crate) const COOKIE: u32 = 0x6382_5363;

pub(crate) fn read(data: Data<'_>) -> Result<Dhcp<'_>, Broken> {
    let bytes: &[u8; 44] = data.header().map_err(Broken::of("bootp"))?;
    let u16 = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u32 = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let address = |at: usize| Ipv4Addr::from(u32(at));
    let options = if data.u32(236) == Some(COOKIE) { data.skip(240) } else { Data::default() };
    Ok(Dhcp {
        operation: bytes[0],
        hardware: bytes[1],
        hardware_length: bytes[2],
        hops: bytes[3],
        transaction: u32(4),
        seconds: u16(8),
        flags: u16(10),
        client: address(12),
        yours: address(16),
        server: address(20),
        gateway: address(24),
        client_mac: MacAddr(std::array::from_fn(|i| bytes[28 + i])),
        options: DhcpOptions(options),
        data,
    })
}

impl Dhcp<'_> {
    /// 1 discover, 2 offer, 3 request, 4 decline, 5 ACK, 6 NAK, 7 release, 8 inform (RFC 2132 9.6).
    pub fn message_type(&self) -> Option<u8> {
        self.options.into_iter().find(|option| option.kind == 53)?.value.u8(0)
    }
}

/// The options of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpOptions<'a>(Data<'a>);

/// One option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpOption<'a> {
    /// Its number (RFC 2132 and others).
    pub kind: u8,
    /// What it says.
    pub value: Data<'a>,
}

/// Without what fills up; up to the end or to what is cut.
impl<'a> Iterator for DhcpOptions<'a> {
    type Item = DhcpOption<'a>;

    fn next(&mut self) -> Option<DhcpOption<'a>> {
        loop {
            match self.0.u8(0)? {
                0 => self.0 = self.0.skip(1),
                255 => {
                    self.0 = Data::default();
                    return None;
                }
                kind => {
                    let length = usize::from(self.0.u8(1)?);
                    let value = self.0.skip(2).first(length);
                    self.0 = self.0.skip(2 + length);
                    return Some(DhcpOption { kind, value });
                }
            }
        }
    }
}

/// Bytes in hexadecimal digits.
struct Digits<'a>(&'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl Serialize for Digits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// By their numbers, in hexadecimal digits.
impl Serialize for DhcpOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for DhcpOption { kind, value } in *self {
            map.serialize_entry(&kind, &Digits(value.bytes()))?;
        }
        map.end()
    }
}

/// A message of DHCP for IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Dhcp6<'a> {
    /// Its type (RFC 8415 7.3).
    #[serde(rename = "type")]
    pub kind: u8,
    /// By which an answer is known, 24 bits; not of relays' messages.
    pub transaction: u32,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

pub(crate) fn read6(data: Data<'_>) -> Result<Dhcp6<'_>, Broken> {
    let [kind, t0, t1, t2] = *data.header().map_err(Broken::of("dhcp6"))?;
    Ok(Dhcp6 { kind, transaction: u32::from_be_bytes([0, t0, t1, t2]), data })
}
