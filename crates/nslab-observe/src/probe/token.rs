//! By what a probe's packet is known.

use nslab_decode::{Decoded, IcmpMessage, Icmpv6Message, Network, TcpFlags, Transport};

/// By what a packet is known wherever it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// What its payload begins with.
    Payload([u8; 8]),
    /// The first sequence number of a connection.
    Sequence(u32),
}

/// An odd number, so that products with it are all different.
const FACTOR: u32 = 0x9e37_79b1;
/// Its inverse modulo 2³².
const INVERSE: u32 = {
    // Newton's iteration doubles the bits that are right: three to begin with.
    let mut inverse = FACTOR;
    let mut round = 0;
    while round < 4 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(FACTOR.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
};

/// The tokens of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    /// A random number.
    magic: u32,
    /// How many there are.
    count: usize,
}

impl Tokens {
    pub(super) fn new(magic: u32, count: usize) -> Self {
        Self { magic, count }
    }

    /// The bytes by which all payloads of the call begin.
    pub(super) fn magic(self) -> u32 {
        self.magic
    }

    pub(super) fn payload(self, number: usize) -> [u8; 8] {
        let mut payload = [0; 8];
        payload[..4].copy_from_slice(&self.magic.to_be_bytes());
        payload[4..].copy_from_slice(&Self::number(number).to_be_bytes());
        payload
    }

    pub(super) fn sequence(self, number: usize) -> u32 {
        // Far apart, as sequence numbers of connections are.
        self.magic.wrapping_add(Self::number(number).wrapping_mul(FACTOR))
    }

    pub(super) fn of_payload(self, payload: &[u8]) -> Option<usize> {
        let (magic, rest) = payload.split_first_chunk()?;
        let number = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        (u32::from_be_bytes(*magic) == self.magic && number < self.count).then_some(number)
    }

    pub(super) fn of_sequence(self, sequence: u32) -> Option<usize> {
        let number = sequence.wrapping_sub(self.magic).wrapping_mul(INVERSE);
        usize::try_from(number).ok().filter(|&number| number < self.count)
    }

    /// A call has fewer probes than that.
    fn number(number: usize) -> u32 {
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

impl Token {
    /// That of a packet that may be a probe: the first of a connection, a datagram, a request for an echo.
    pub(super) fn of(decoded: &Decoded<'_>) -> Option<Self> {
        // What a tunnel carries is known by itself.
        match &decoded.innermost().network {
            Network::Ipv4(packet) => Self::of_transport(&packet.transport),
            Network::Ipv6(packet) => Self::of_transport(&packet.transport),
            _ => None,
        }
    }

    fn of_transport(transport: &Transport<'_>) -> Option<Self> {
        let payload = |bytes: &[u8]| Some(Self::Payload(*bytes.get(8..)?.first_chunk()?));
        match transport {
            Transport::Tcp(tcp) if tcp.flags.has(TcpFlags::SYN) && !tcp.flags.has(TcpFlags::ACK) => {
                Some(Self::Sequence(tcp.sequence))
            }
            Transport::Udp(udp) => payload(udp.data.bytes()),
            Transport::Ipv4(packet) => Self::of_transport(&packet.transport),
            Transport::Ipv6(packet) => Self::of_transport(&packet.transport),
            Transport::Icmp(icmp) => match icmp.message {
                IcmpMessage::Echo { is_reply: false, .. } => payload(icmp.data.bytes()),
                _ => None,
            },
            Transport::Icmpv6(icmp) => match icmp.message {
                Icmpv6Message::Echo { is_reply: false, .. } => payload(icmp.data.bytes()),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_are_found_again(magic: u32, count in 1_usize..100_000, number in any::<prop::sample::Index>()) {
            let (tokens, number) = (Tokens::new(magic, count), number.index(count));
            prop_assert_eq!(tokens.of_payload(&tokens.payload(number)), Some(number));
            prop_assert_eq!(tokens.of_sequence(tokens.sequence(number)), Some(number));
        }

        #[test]
        fn others_are_not(magic: u32, count in 1_usize..1000, bytes: [u8; 12]) {
            let tokens = Tokens::new(magic, count);
            prop_assert!(tokens.of_payload(&bytes[..7]).is_none());
            if let Some(number) = tokens.of_payload(&bytes) {
                prop_assert_eq!(&tokens.payload(number), &bytes[..8]);
            }
        }
    }
}
