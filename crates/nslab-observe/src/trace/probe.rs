//! The packet that is sent, and how it is known again.

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::trace::TracePattern;

use super::Options;

/// Bytes of the number by which a probe is known. The payload of a probe that has one is at least as long.
pub const NONCE: usize = 8;
/// Bytes of headers.
const IPV4: u32 = 20;
const IPV6: u32 = 40;
const TRANSPORT: u32 = 8;
/// That IPv6's fragment header follows (`IPPROTO_FRAGMENT`).
const FRAGMENT: u8 = 44;
/// ICMP's and `ICMPv6`'s protocol numbers.
pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The place that sends it.
    pub place: usize,
    /// Its source; whichever the kernel takes if there is none.
    pub source: Option<IpAddr>,
    /// Where it goes.
    pub destination: IpAddr,
    /// The interface that a destination of one link is at.
    pub link: Option<IfIndex>,
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes, IP header and all; at least what its headers and its number need. Of TCP it is what the kernel
    /// makes of it.
    pub size: u32,
    /// TTL or hop limit; none for what the namespace has.
    pub ttl: Option<u8>,
    /// It may not be fragmented.
    pub dont_fragment: bool,
    /// Its mark.
    pub mark: u32,
    /// By what it is known.
    pub nonce: [u8; NONCE],
}

/// What a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An echo request.
    Echo {
        /// Its identifier.
        id: u16,
    },
    /// A datagram.
    Udp {
        /// From which port.
        source: u16,
        /// To which port.
        destination: u16,
    },
    /// A connection's first segment, which the kernel sends for a program that connects. Once it is answered, the
    /// connection is reset, unless it is to be [closed](Options::connect).
    Tcp {
        /// From which port.
        source: u16,
        /// To which port.
        destination: u16,
    },
    /// A packet of another protocol.
    Other(u8),
}

impl Probe {
    /// One of the usual length, with a number by chance.
    pub fn new(place: usize, destination: IpAddr, kind: Kind) -> Self {
        let mut probe = Self {
            place,
            source: None,
            destination,
            link: None,
            kind,
            size: 0,
            ttl: None,
            dont_fragment: false,
            mark: 0,
            nonce: random(),
        };
        probe.size = probe.header() + if let Kind::Echo { .. } = kind { 56 } else { 8 };
        probe
    }

    /// The bytes of its headers.
    pub fn header(&self) -> u32 {
        let ip = if self.destination.is_ipv6() { IPV6 } else { IPV4 };
        match self.kind {
            Kind::Echo { .. } | Kind::Udp { .. } => ip + TRANSPORT,
            Kind::Tcp { .. } => ip + 40,
            Kind::Other(_) => ip,
        }
    }

    /// What it carries.
    pub(super) fn payload(&self) -> Vec<u8> {
        let length = self.size.saturating_sub(self.header()) as usize;
        let mut payload = self.nonce.to_vec();
        payload.extend((0..=u8::MAX).cycle().take(length.saturating_sub(NONCE)));
        payload
    }

    /// TCP's first sequence number.
    pub(super) fn sequence(&self) -> u32 {
        let [one, two, three, four, ..] = self.nonce;
        // The kernel takes 0 for none.
        u32::from_be_bytes([one, two, three, four]).max(1)
    }

    /// Where in what IP carries the nonce stands, unless it is TCP.
    fn nonce_at(&self) -> u32 {
        match self.kind {
            Kind::Other(_) => 0,
            _ => TRANSPORT,
        }
    }

    fn protocol(&self) -> u8 {
        match self.kind {
            Kind::Echo { .. } if self.destination.is_ipv6() => ICMPV6,
            Kind::Echo { .. } => ICMP,
            Kind::Udp { .. } => UDP,
            Kind::Tcp { .. } => TCP,
            Kind::Other(number) => number,
        }
    }

    /// What rules are to be traced for: the probe, its answer, and errors about both.
    pub(super) fn patterns(&self, options: &Options) -> Vec<TracePattern> {
        let ipv6 = self.destination.is_ipv6();
        let of = |protocol, bytes| TracePattern { ipv6, protocol, bytes };
        let protocol = self.protocol();
        let icmp = if ipv6 { ICMPV6 } else { ICMP };
        // Behind the error's own header and the header of the packet that it is about.
        let quoted = TRANSPORT + if ipv6 { IPV6 } else { IPV4 };
        let inner = if ipv6 { TRANSPORT + 6 } else { TRANSPORT + 9 };
        let about =
            |offset: u32, bytes: Vec<u8>| of(icmp, vec![(inner, vec![protocol]), (quoted + offset, bytes)]);
        // Of IPv6 a fragment says so in a header of its own, of 8 bytes (RFC 8200, section 4.5), which names what follows it.
        let about_fragment = |offset: u32, bytes: Vec<u8>| {
            let says = vec![(inner, vec![FRAGMENT]), (quoted, vec![protocol]), (quoted + 8 + offset, bytes)];
            ipv6.then(|| of(icmp, says))
        };
        match self.kind {
            Kind::Tcp { .. } => {
                let first = self.sequence();
                let next = first.wrapping_add(1).to_be_bytes().to_vec();
                let first = first.to_be_bytes().to_vec();
                vec![
                    of(protocol, vec![(4, first.clone())]),
                    of(protocol, vec![(8, next.clone())]),
                    about(4, first),
                    about(8, next),
                ]
            }
            Kind::Udp { source, .. } => {
                let (source, nonce) = (source.to_be_bytes().to_vec(), self.nonce.to_vec());
                let mut all = vec![
                    of(protocol, vec![(self.nonce_at(), nonce.clone())]),
                    // What answers need not carry the number.
                    of(protocol, vec![(2, source.clone())]),
                    about(self.nonce_at(), nonce.clone()),
                    about(2, source),
                ];
                all.extend(about_fragment(self.nonce_at(), nonce));
                let ports = options.ports.iter().map(|port| port.to_be_bytes().to_vec());
                all.extend(ports.map(|port| of(protocol, vec![(0, port)])));
                all
            }
            Kind::Echo { .. } | Kind::Other(_) => {
                let nonce = self.nonce.to_vec();
                let probe = of(protocol, vec![(self.nonce_at(), nonce.clone())]);
                let mut all = vec![probe, about(self.nonce_at(), nonce.clone())];
                all.extend(about_fragment(self.nonce_at(), nonce));
                all
            }
        }
    }

    /// The same, roughly, as a filter in libpcap's language: all that could be of the probe, and neighbours.
    pub(super) fn filter(&self, options: &Options) -> String {
        let ipv6 = self.destination.is_ipv6();
        let mut parts = Vec::new();
        // Words of four bytes at an offset of what IP carries.
        let word = |protocol: &str, number: u8, offset: u32, value: u32| {
            if ipv6 {
                format!("ip6[6] = {number} and ip6[{}:4] = {value}", IPV6 + offset)
            } else {
                format!("{protocol}[{offset}:4] = {value}")
            }
        };
        let (words, _) = self.nonce.as_chunks::<4>();
        let [upper, lower] = [words[0], words[1]].map(u32::from_be_bytes);
        let nonce = |protocol: &str, number: u8, offset: u32| {
            let first = word(protocol, number, offset, upper);
            format!("({first} and {})", word(protocol, number, offset + 4, lower))
        };
        match self.kind {
            Kind::Echo { .. } => parts.push(nonce("icmp", ICMPV6, TRANSPORT)),
            Kind::Udp { source, destination } => {
                parts.push(nonce("udp", UDP, TRANSPORT));
                parts.push(format!("udp port {source}"));
                // NAT may have changed the port that it came from.
                parts.push(format!("(udp src port {destination} and src host {})", self.destination));
                parts.extend(options.ports.iter().map(|port| format!("udp src port {port}")));
            }
            Kind::Tcp { source, .. } => {
                let first = self.sequence();
                parts.push(format!("tcp port {source}"));
                parts.push(format!("({})", word("tcp", TCP, 4, first)));
                parts.push(format!("({})", word("tcp", TCP, 8, first.wrapping_add(1))));
                if options.connect {
                    // It is closed behind that.
                    for (offset, after) in [(4, 1), (4, 2), (8, 2)] {
                        parts.push(format!("({})", word("tcp", TCP, offset, first.wrapping_add(after))));
                    }
                }
            }
            Kind::Other(number) => {
                parts.push(format!("{} proto {number}", if ipv6 { "ip6" } else { "ip" }));
            }
        }
        if ipv6 {
            parts.push("(icmp6 and ip6[40] != 128 and ip6[40] != 129)".to_owned());
            parts.push("ip6[6] = 44".to_owned());
        } else {
            parts.push("(icmp and icmp[0] != 0 and icmp[0] != 8)".to_owned());
            parts.push("ip[6:2] & 0x3fff != 0".to_owned());
            parts.push("arp".to_owned());
        }
        for port in &options.vxlan {
            parts.push(format!("udp port {port}"));
        }
        for protocol in &options.tunnels {
            parts.push(format!("ip proto {protocol} or ip6 proto {protocol}"));
        }
        parts.join(" or ")
    }
}

/// A number that nobody else has: from the kernel's generator, or if that has nothing yet, from the clock.
fn random() -> [u8; NONCE] {
    let mut bytes = [0; NONCE];
    let read = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK);
    if !matches!(read, Ok(NONCE)) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        bytes = (now.tv_sec.cast_unsigned().rotate_left(32) ^ now.tv_nsec.cast_unsigned()).to_ne_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use nslab_filter::{Filter, NameTable};

    use super::*;

    #[test]
    fn filters_are_of_the_language() {
        let kinds = [
            Kind::Echo { id: 7 },
            Kind::Udp { source: 40000, destination: 53 },
            Kind::Tcp { source: 40000, destination: 80 },
            Kind::Other(47),
        ];
        let options = Options {
            vxlan: vec![4789],
            tunnels: vec![4, 41, 47],
            ports: vec![5353],
            connect: true,
            ..Options::default()
        };
        for kind in kinds {
            for destination in ["10.0.0.1", "fd00::1"] {
                let probe = Probe::new(0, destination.parse().unwrap(), kind);
                let text = probe.filter(&options);
                let names = NameTable::builtin();
                if let Err(error) = Filter::parse(&text, &names) {
                    panic!("{text}: {error:?}");
                }
                assert!(probe.patterns(&options).len() >= 2);
                assert_eq!(probe.payload()[..NONCE], probe.nonce);
            }
        }
    }
}
