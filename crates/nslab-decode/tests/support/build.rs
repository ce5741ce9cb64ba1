//! Frames, from the inside out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Two hosts and a router.
pub(crate) const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const R: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
pub(crate) const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
pub(crate) const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn ether(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&MAC_B, &MAC_A, &kind.to_be_bytes(), payload])
}

/// A tag and what it tags, to be put behind its `EtherType`.
pub(crate) fn tag(tci: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&tci.to_be_bytes(), &kind.to_be_bytes(), payload])
}

/// What IPv4 or IPv6 carries, in a frame.
pub(crate) fn frame(packet: &[u8]) -> Vec<u8> {
    ether(if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 }, packet)
}

pub(crate) fn arp(operation: u16, sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    join(&[&head, &operation.to_be_bytes(), &sender.0, &sender.1.octets(), &target.0, &target.1.octets()])
}

pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[derive(Clone)]
pub(crate) struct Ip4 {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub tos: u8,
    pub id: u16,
    /// Flags and offset as they stand there.
    pub fragment: u16,
    pub ttl: u8,
    pub options: Vec<u8>,
}

impl Default for Ip4 {
    fn default() -> Self {
        let options = Vec::new();
        Self { source: A, destination: B, tos: 0, id: 4711, fragment: 0x4000, ttl: 64, options }
    }
}

impl Ip4 {
    pub(crate) fn carry(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        assert_eq!(self.options.len() % 4, 0);
        let header = 20 + self.options.len();
        let mut bytes = vec![0x40 | (header / 4) as u8, self.tos];
        bytes.extend(((header + payload.len()) as u16).to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([self.ttl, protocol, 0, 0]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.options);
        let sum = checksum(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(payload);
        bytes
    }
}

pub(crate) fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    Ip4::default().carry(protocol, payload)
}

#[derive(Clone)]
pub(crate) struct Ip6 {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub class: u8,
    pub label: u32,
    pub hops: u8,
}

impl Default for Ip6 {
    fn default() -> Self {
        Self { source: A6, destination: B6, class: 0, label: 0, hops: 64 }
    }
}

impl Ip6 {
    pub(crate) fn carry(&self, next: u8, payload: &[u8]) -> Vec<u8> {
        let first = 6_u32 << 28 | u32::from(self.class) << 20 | self.label;
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([next, self.hops]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(payload);
        bytes
    }
}

pub(crate) fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    Ip6::default().carry(next, payload)
}

/// Sets the checksum at `at` of a message of `protocol`.
pub(crate) fn summed(mut message: Vec<u8>, at: usize, protocol: u8, from: IpAddr, to: IpAddr) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(address) => Ipv4Addr::octets(&address).to_vec(),
        IpAddr::V6(address) => Ipv6Addr::octets(&address).to_vec(),
    };
    message[at..at + 2].fill(0);
    let length = (message.len() as u32).to_be_bytes();
    let pseudo = join(&[&octets(from), &octets(to), &length, &[0, 0, 0, protocol], &message]);
    message[at..at + 2].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    message
}

#[derive(Clone)]
pub(crate) struct Tcp {
    pub ports: (u16, u16),
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u16,
    pub window: u16,
    pub urgent: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            ports: (40312, 8080),
            sequence: 1000,
            acknowledgement: 0,
            flags: 2,
            window: 64240,
            urgent: 0,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }
}

impl Tcp {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.ports.0.to_be_bytes().to_vec();
        bytes.extend(self.ports.1.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        let words = (20 + self.options.len()).div_ceil(4) as u16;
        bytes.extend((words << 12 | self.flags).to_be_bytes());
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.to_be_bytes());
        bytes.extend(&self.options);
        bytes.resize(usize::from(words) * 4, 0);
        bytes.extend(&self.payload);
        bytes
    }

    pub(crate) fn over4(&self) -> Vec<u8> {
        ip4(6, &summed(self.bytes(), 16, 6, A.into(), B.into()))
    }

    pub(crate) fn over6(&self) -> Vec<u8> {
        ip6(6, &summed(self.bytes(), 16, 6, A6.into(), B6.into()))
    }
}

pub(crate) fn udp_message(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    join(&[&from.to_be_bytes(), &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload])
}

pub(crate) fn udp4(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    ip4(17, &summed(udp_message(from, to, payload), 6, 17, A.into(), B.into()))
}

pub(crate) fn udp6(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    ip6(17, &summed(udp_message(from, to, payload), 6, 17, A6.into(), B6.into()))
}

pub(crate) fn icmp_message(kind: u8, code: u8, word: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = join(&[&[kind, code, 0, 0], &word.to_be_bytes(), payload]);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

pub(crate) fn icmp(kind: u8, code: u8, word: u32, payload: &[u8]) -> Vec<u8> {
    ip4(1, &icmp_message(kind, code, word, payload))
}

/// An error of the router's, about a packet.
pub(crate) fn icmp_error(kind: u8, code: u8, word: u32, about: &[u8]) -> Vec<u8> {
    let packet = Ip4 { source: R, destination: A, fragment: 0, tos: 0xc0, ..Ip4::default() };
    packet.carry(1, &icmp_message(kind, code, word, about))
}

pub(crate) fn icmp6_between(from: Ipv6Addr, to: Ipv6Addr, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let message = join(&[&[kind, code, 0, 0], rest]);
    let hops = if (133..=137).contains(&kind) { 255 } else { 64 };
    let packet = Ip6 { source: from, destination: to, hops, ..Ip6::default() };
    packet.carry(58, &summed(message, 2, 58, from.into(), to.into()))
}

pub(crate) fn icmp6(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    icmp6_between(A6, B6, kind, code, rest)
}
