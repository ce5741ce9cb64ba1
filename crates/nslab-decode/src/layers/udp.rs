//! UDP (RFC 768).

use serde::Serialize;

use crate::checksum::{self, Checked};
use crate::data::{Broken, Data, Fault};
use crate::layers::Walk;
use crate::layers::dhcp::{self, Dhcp, Dhcp6};
use crate::layers::dns::{self, Dns};
use crate::layers::geneve::{self, Geneve};
use crate::layers::ip::{Ends, protocol};
use crate::layers::vxlan::{self, Vxlan};

/// A datagram of UDP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Udp<'a> {
    /// From which port.
    pub source_port: u16,
    /// To which port.
    pub destination_port: u16,
    /// The datagram's length as it says itself, with this header of 8 bytes.
    pub length: u16,
    /// As it stands there; 0 is none (IPv4 only).
    pub checksum: u16,
    /// What is in it.
    #[serde(flatten)]
    pub payload: UdpPayload<'a>,
    /// From the header on, as long as `length` says, or as what carries it has room for.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What a datagram holds, by its ports.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UdpPayload<'a> {
    /// Names asked for and told (port 53; 5353 of multicast DNS).
    Dns(Dns<'a>),
    /// Addresses asked for and given (ports 67 and 68).
    Dhcp(Dhcp<'a>),
    /// The same of IPv6 (ports 546 and 547).
    Dhcp6(Dhcp6<'a>),
    /// The time (port 123).
    Ntp {
        /// The protocol's version.
        version: u8,
        /// 3 of a client, 4 of a server (RFC 5905 7.3).
        mode: u8,
        /// All of it.
        data: Data<'a>,
    },
    /// A frame or a packet in it (port 6081).
    Geneve(Geneve<'a>),
    /// A frame of a network over the network.
    Vxlan(Vxlan<'a>),
    /// Something else.
    Payload(Data<'a>),
    /// It should be of the kind that its port says, but could not be read.
    Broken(Broken),
}

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Udp<'a>, Broken> {
    let broken = |fault| Broken::of("udp")(fault).with_ports(data);
    let [s0, s1, d0, d1, l0, l1, c0, c1] = *data.header().map_err(broken)?;
    let length = u16::from_be_bytes([l0, l1]);
    // Zero says of a datagram longer than 65535 bytes that it is (RFC 2675).
    let whole = if length == 0 && data.length() > 0xffff { data.length() } else { usize::from(length) };
    if whole < 8 {
        return Err(broken(Fault::Length { length: whole }));
    }
    let data = data.first(whole);
    let (source_port, destination_port) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Ok(Udp {
        source_port,
        destination_port,
        length,
        checksum: u16::from_be_bytes([c0, c1]),
        payload: payload(source_port, destination_port, data.skip(8), walk)
            .unwrap_or_else(UdpPayload::Broken),
        data,
    })
}

fn payload<'a>(from: u16, to: u16, data: Data<'a>, walk: Walk<'_>) -> Result<UdpPayload<'a>, Broken> {
    let either = |port| from == port || to == port;
    Ok(match to {
        _ if either(53) || either(5353) => UdpPayload::Dns(dns::read(data)?),
        _ if either(67) || either(68) => UdpPayload::Dhcp(dhcp::read(data)?),
        _ if either(546) || either(547) => UdpPayload::Dhcp6(dhcp::read6(data)?),
        _ if either(123) => {
            let [first] = *data.header().map_err(Broken::of("ntp"))?;
            UdpPayload::Ntp { version: first >> 3 & 7, mode: first & 7, data }
        }
        geneve::PORT => UdpPayload::Geneve(geneve::read(data, walk)?),
        _ if data.length() == 0 => UdpPayload::Payload(data),
        port if vxlan::is_port(port, walk) => UdpPayload::Vxlan(vxlan::read(data, walk)?),
        _ => UdpPayload::Payload(data),
    })
}

impl Udp<'_> {
    pub(crate) fn check(&self, ends: Ends) -> Checked {
        if self.checksum == 0 && ends.source.is_ipv4() {
            return Checked::Absent;
        }
        checksum::check_message(self.checksum, ends.source, ends.destination, protocol::UDP, self.data)
    }
}
