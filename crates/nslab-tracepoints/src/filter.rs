//! Which packets are told of; sorted out in the kernel.

use std::net::IpAddr;
use std::ops::BitOr;

/// What is told of which packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What is told.
    pub hooks: Hooks,
    /// Namespaces by the inode numbers of their files (`stat -L /proc/self/ns/net`); none stands for all of the machine.
    /// [`Tracepoints::watch`](crate::Tracepoints::watch) adds others later.
    pub namespaces: Option<Vec<u32>>,
    /// Packets of this flow only, both ways.
    pub flow: Option<Flow>,
    /// [`Tracepoints::choose`](crate::Tracepoints::choose) is to have an effect. Without, programs are loaded some 10 ms faster.
    pub chooses: bool,
    /// Memory for events that wait to be read, in bytes; rounded up to a power of two. An event takes 232 bytes.
    pub memory: u32,
}

impl Default for Filter {
    /// Drops, everywhere, of all packets until some are chosen; 4 MiB.
    fn default() -> Self {
        Self { hooks: Hooks::DROPS, namespaces: None, flow: None, chooses: true, memory: 1 << 22 }
    }
}

/// Tracepoints, any number of them: `Hooks::DROPS | Hooks::SENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hooks(u8);

impl Hooks {
    /// Packets that die before their time (`kfree_skb`).
    pub const DROPS: Self = Self(1);
    /// Packets that an interface gets, in front of rules and routing (`netif_receive_skb`).
    pub const RECEIVED: Self = Self(2);
    /// Packets that are handed to an interface's driver (`net_dev_start_xmit`).
    pub const SENT: Self = Self(4);
    /// Packets that are freed as their work is done (`consume_skb`): very many.
    pub const CONSUMED: Self = Self(8);

    /// Whether all of `other` are among these.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Hooks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Packets from one end to the other, and back. What is not given may be anything.
///
/// A packet is of it if its own IP header says so: neither what is quoted in an ICMP error counts, nor what is in a tunnel,
/// nor what NAT made of it elsewhere. Ports stand right behind the header: of IPv6 with extension headers they are not found,
/// and pieces of IPv4 packets but the first have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The family, if no address says it.
    pub ipv6: bool,
    /// The IP protocol, as 6 for TCP.
    pub protocol: Option<u8>,
    /// Its ends.
    pub ends: [End; 2],
}

/// An end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port of TCP, UDP or the like.
    pub port: Option<u16>,
}

/// `struct config` of the programs.
pub(crate) fn config(filter: &Filter) -> Vec<u8> {
    let mut words = [0_u32; 15];
    words[14] = filter.chooses.into();
    words[0] = filter.namespaces.is_some().into();
    if let Some(flow) = &filter.flow {
        let ipv6 = flow.ends.iter().find_map(|end| end.address).map_or(flow.ipv6, |one| one.is_ipv6());
        words[1] = if ipv6 { 6 } else { 4 };
        words[2] = flow.protocol.unwrap_or(0).into();
        for (number, end) in flow.ends.iter().enumerate() {
            if let Some(address) = end.address {
                words[3] |= 1 << number;
                let octets = match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                for (word, octets) in words[4 + 4 * number..].iter_mut().zip(octets.chunks_exact(4)) {
                    *word = u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]);
                }
            }
            if let Some(port) = end.port {
                words[3] |= 4 << number;
                words[12 + number] = port.to_be().into();
            }
        }
    }
    words.map(u32::to_ne_bytes).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_written_as_the_program_reads_it() {
        let end = |address: &str, port| End { address: address.parse().ok(), port };
        let flow =
            Flow { ipv6: false, protocol: Some(6), ends: [end("10.0.0.1", None), end("-", Some(0x1234))] };
        let bytes = config(&Filter { flow: Some(flow), namespaces: Some(vec![7]), ..Filter::default() });
        let word = |at: usize| u32::from_ne_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap());
        assert_eq!((word(0), word(1), word(2), word(3)), (1, 4, 6, 0b1001));
        assert_eq!(bytes[16..20], [10, 0, 0, 1]);
        assert_eq!(bytes[13 * 4..13 * 4 + 2], [0x12, 0x34]);
        let flow = Flow { ipv6: false, protocol: None, ends: [end("-", None), end("fd00::2", None)] };
        let bytes = config(&Filter { flow: Some(flow), ..Filter::default() });
        assert_eq!(bytes[32..48], [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(bytes[4], if cfg!(target_endian = "little") { 6 } else { 0 });
        let bytes = config(&Filter { chooses: false, ..Filter::default() });
        assert!(bytes.len() == 60 && bytes.iter().all(|&byte| byte == 0));
        assert_eq!(config(&Filter::default())[56..], 1_u32.to_ne_bytes());
    }

    #[test]
    fn hooks_are_a_set() {
        let both = Hooks::DROPS | Hooks::SENT;
        assert!(both.contains(Hooks::SENT) && !both.contains(Hooks::RECEIVED) && !Hooks::SENT.contains(both));
    }
}
