//! Echo requests and what answers them, as bytes (RFC 792, RFC 4443).
//!
//! Everything here is pure, and decoding takes any bytes: what is cut short or makes no sense is `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::outcome::{IcmpError, IcmpErrorKind};

/// Bytes of the echo's header: type, code, checksum, identifier, sequence number.
pub(crate) const HEADER: usize = 8;
/// Bytes of [`Nonce`] at the start of the payload, as far as the payload is long enough.
pub(crate) const NONCE: usize = 8;
/// IPv4's protocol number and IPv6's next header of the two ICMPs (`IPPROTO_ICMP`, `IPPROTO_ICMPV6`).
const PROTOCOL_V4: u8 = 1;
const PROTOCOL_V6: u8 = 58;

/// Random bytes that tell a run's packets from those of any other.
pub(crate) type Nonce = [u8; NONCE];

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn request(self) -> u8 {
        if self == Self::V4 { 8 } else { 128 }
    }

    fn reply(self) -> u8 {
        if self == Self::V4 { 0 } else { 129 }
    }
}

/// A message of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// An answer.
    Reply(Echo),
    /// An error about a request, with what it quotes of it.
    Error { error: IcmpError, destination: IpAddr, quoted: Echo },
}

/// What identifies an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) id: u16,
    pub(crate) sequence: u16,
    /// The first bytes of the payload and how many of them there were (an error may quote none).
    pub(crate) nonce: Nonce,
    pub(crate) nonce_len: usize,
}

impl Echo {
    /// Whether nothing in it speaks against its being from the run with this nonce.
    pub(crate) fn is_from(&self, id: u16, nonce: Nonce) -> bool {
        self.id == id && self.nonce[..self.nonce_len] == nonce[..self.nonce_len]
    }
}

/// Writes an echo request of `size` payload bytes. The checksum over IPv6, which covers addresses that only the kernel
/// knows, is left to it (RFC 3542 section 3.1).
pub(crate) fn encode(
    family: Family,
    id: u16,
    sequence: u16,
    nonce: Nonce,
    size: usize,
    packet: &mut Vec<u8>,
) {
    packet.clear();
    packet.extend_from_slice(&[family.request(), 0, 0, 0]);
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&nonce[..NONCE.min(size)]);
    // The rest counts up, so that a byte that was changed or shifted on the way can be seen in a capture.
    packet.extend((0..=u8::MAX).cycle().skip(NONCE).take(size.saturating_sub(NONCE)));
    if family == Family::V4 {
        let sum = checksum(packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Reads an ICMP message with its IP header, as a raw socket gives it (raw(7)): the header's TTL and the message.
/// The kernel hands messages to raw sockets before it looks at their checksums, so that is done here.
pub(crate) fn decode_v4(packet: &[u8]) -> Option<(u8, Message)> {
    let ttl = *packet.get(8)?;
    let message = packet.get(header_len_v4(packet)?..)?;
    if checksum(message) != 0 {
        return None;
    }
    Some((ttl, decode(Family::V4, message)?))
}

/// Reads an ICMP message over IPv6, which a raw socket gives without IP header and with its checksum checked (RFC 3542).
pub(crate) fn decode_v6(message: &[u8]) -> Option<Message> {
    decode(Family::V6, message)
}

fn decode(family: Family, message: &[u8]) -> Option<Message> {
    let &[kind, code, _, _, a, b, c, d] = message.first_chunk::<HEADER>()?;
    if kind == family.reply() {
        return Some(Message::Reply(echo(message)?));
    }
    let rest = u32::from_be_bytes([a, b, c, d]);
    let (error, quote) = (error(family, kind, code, rest)?, message.get(HEADER..)?);
    let (destination, request) = match family {
        Family::V4 => quoted_v4(quote)?,
        Family::V6 => quoted_v6(quote)?,
    };
    if *request.first()? != family.request() {
        return None;
    }
    Some(Message::Error { error, destination, quoted: echo(request)? })
}

fn echo(message: &[u8]) -> Option<Echo> {
    let header = message.first_chunk::<HEADER>()?;
    let payload = &message[HEADER..];
    let (mut nonce, nonce_len) = ([0; NONCE], payload.len().min(NONCE));
    nonce[..nonce_len].copy_from_slice(&payload[..nonce_len]);
    let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    Some(Echo { id: half(4), sequence: half(6), nonce, nonce_len })
}

fn header_len_v4(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let len = usize::from(first & 0xf) * 4;
    (first >> 4 == 4 && len >= 20).then_some(len)
}

/// The destination and the ICMP part of a quoted IPv4 packet.
fn quoted_v4(quote: &[u8]) -> Option<(IpAddr, &[u8])> {
    let header = quote.get(..20)?;
    // Only the first fragment has the ICMP header.
    let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    if header[9] != PROTOCOL_V4 || offset != 0 {
        return None;
    }
    let destination = Ipv4Addr::from(*header[16..].first_chunk::<4>()?);
    Some((destination.into(), quote.get(header_len_v4(quote)?..)?))
}

/// The destination and the ICMP part of a quoted IPv6 packet.
fn quoted_v6(quote: &[u8]) -> Option<(IpAddr, &[u8])> {
    let header = quote.get(..40)?;
    let destination = Ipv6Addr::from(*header[24..].first_chunk::<16>()?);
    let (mut next, mut rest) = (header[6], &quote[40..]);
    // Extension headers (RFC 8200 section 4): each at least eight bytes, so the loop ends.
    while next != PROTOCOL_V6 {
        let &[following, len, high, low] = rest.first_chunk::<4>()?;
        let len = match next {
            // Hop-by-hop options, routing, destination options.
            0 | 43 | 60 => (usize::from(len) + 1) * 8,
            // A fragment; only the first has what we look for.
            44 if u16::from_be_bytes([high, low]) & 0xfff8 == 0 => 8,
            _ => return None,
        };
        (next, rest) = (following, rest.get(len..)?);
    }
    Some((destination.into(), rest))
}

/// What an error message says; `None` for messages that are no errors.
pub(crate) fn error(family: Family, kind: u8, code: u8, rest: u32) -> Option<IcmpError> {
    use IcmpErrorKind as Kind;
    let meaning = match (family, kind, code) {
        // RFC 1191: the MTU is in the lower half.
        (Family::V4, 3, 4) => Kind::FragmentationNeeded { mtu: rest & 0xffff },
        // RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
        (Family::V4, 3, 0 | 6 | 11) | (Family::V6, 1, 0) => Kind::NetworkUnreachable,
        (Family::V4, 3, 1 | 7 | 8 | 12) | (Family::V6, 1, 3) => Kind::HostUnreachable,
        (Family::V4, 3, 2) => Kind::ProtocolUnreachable,
        (Family::V4, 3, 3) | (Family::V6, 1, 4) => Kind::PortUnreachable,
        (Family::V4, 3, 9 | 10 | 13) | (Family::V6, 1, 1 | 5 | 6) => Kind::Prohibited,
        (Family::V4, 3, _) | (Family::V6, 1, _) => Kind::Unreachable,
        (Family::V4, 11, 0) | (Family::V6, 3, 0) => Kind::TimeExceeded,
        (Family::V4, 11, _) | (Family::V6, 3, _) => Kind::ReassemblyTimeExceeded,
        (Family::V4, 12, _) => Kind::ParameterProblem { pointer: rest >> 24 },
        (Family::V6, 2, _) => Kind::FragmentationNeeded { mtu: rest },
        (Family::V6, 4, _) => Kind::ParameterProblem { pointer: rest },
        _ => return None,
    };
    Some(IcmpError { kind: meaning, icmp_type: kind, code })
}

/// The Internet checksum (RFC 1071). Over a message that has one in it, it is 0.
pub(crate) fn checksum(message: &[u8]) -> u16 {
    let mut words = message.chunks_exact(2);
    let mut sum: u32 = words.by_ref().map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    if let [last] = words.remainder() {
        sum += u32::from(*last) << 8;
    }
    // At most 32768 words were added, so two folds leave no carry.
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE_: Nonce = *b"nslab-42";

    fn packet_v4(icmp: &[u8], to: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 61, 1, 0, 0, 10, 0, 0, 1];
        packet.extend_from_slice(&to);
        packet.extend_from_slice(icmp);
        packet
    }

    fn packet_v6(next: u8, payload: &[u8], to: Ipv6Addr) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        packet.extend_from_slice(&[0; 16]);
        packet.extend_from_slice(&to.octets());
        packet.extend_from_slice(payload);
        packet
    }

    fn with_checksum(mut message: Vec<u8>) -> Vec<u8> {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    #[test]
    fn knows_the_checksum_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn reads_an_error_with_its_quote() {
        let mut request = Vec::new();
        encode(Family::V4, 7, 9, NONCE_, 56, &mut request);
        let quote = packet_v4(&request, [10, 0, 0, 2]);
        for (kind, code, rest, meaning) in [
            (3, 0, 0, IcmpErrorKind::NetworkUnreachable),
            (3, 1, 0, IcmpErrorKind::HostUnreachable),
            (3, 4, 1400, IcmpErrorKind::FragmentationNeeded { mtu: 1400 }),
            (3, 13, 0, IcmpErrorKind::Prohibited),
            (11, 0, 0, IcmpErrorKind::TimeExceeded),
            (12, 0, 5 << 24, IcmpErrorKind::ParameterProblem { pointer: 5 }),
        ] {
            let mut message = vec![kind, code, 0, 0];
            message.extend_from_slice(&u32::to_be_bytes(rest));
            message.extend_from_slice(&quote);
            let outer = packet_v4(&with_checksum(message), [10, 0, 0, 1]);
            let Some((61, Message::Error { error, destination, quoted })) = decode_v4(&outer) else {
                panic!("{kind}/{code} is an error")
            };
            assert_eq!((error.kind, destination), (meaning, IpAddr::from([10, 0, 0, 2])));
            assert!(quoted.is_from(7, NONCE_) && !quoted.is_from(8, NONCE_) && quoted.sequence == 9);
            assert!(!quoted.is_from(7, *b"nslab-43"));
        }
    }

    #[test]
    fn looks_past_extension_headers_of_a_quote() {
        let to: Ipv6Addr = "fd00::2".parse().unwrap();
        let mut request = Vec::new();
        encode(Family::V6, 7, 9, NONCE_, 4, &mut request);
        let mut fragment = vec![58, 0, 0, 1, 0, 0, 0, 9];
        fragment.extend_from_slice(&request);
        let mut message = vec![2, 0, 0, 0, 0, 0, 5, 0];
        message.extend_from_slice(&packet_v6(44, &fragment, to));
        let Some(Message::Error { error, destination, quoted }) = decode_v6(&message) else {
            panic!("an error")
        };
        assert_eq!(error.kind, IcmpErrorKind::FragmentationNeeded { mtu: 1280 });
        assert_eq!((destination, quoted.nonce_len), (to.into(), 4));
        assert!(quoted.is_from(7, NONCE_));
    }

    #[test]
    fn a_changed_byte_is_no_reply() {
        let mut reply = Vec::new();
        encode(Family::V4, 1, 1, NONCE_, 56, &mut reply);
        reply[0] = 0;
        reply[2..4].fill(0);
        let mut packet = packet_v4(&with_checksum(reply), [10, 0, 0, 1]);
        assert!(decode_v4(&packet).is_some());
        *packet.last_mut().unwrap() ^= 1;
        assert!(decode_v4(&packet).is_none());
    }

    proptest! {
        #[test]
        fn decoding_takes_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_v4(&bytes);
            let _ = decode_v6(&bytes);
            // The same behind headers that let it get further.
            let _ = decode_v4(&packet_v4(&with_checksum([&[3, 4, 0, 0], &bytes[..]].concat()), [0; 4]));
            for (kind, next) in [(1, 58), (2, 44), (3, 0), (4, 60), (129, 58)] {
                let quote = packet_v6(next, &bytes, Ipv6Addr::LOCALHOST);
                let _ = decode_v6(&[&[kind, 0, 0, 0, 0, 0, 0, 0], &quote[..]].concat());
            }
        }

        #[test]
        fn a_reply_is_read_back(id: u16, sequence: u16, nonce: Nonce, size in 0_usize..2000) {
            let mut packet = Vec::new();
            encode(Family::V6, id, sequence, nonce, size, &mut packet);
            prop_assert_eq!(packet.len(), HEADER + size);
            packet[0] = 129;
            let Some(Message::Reply(echo)) = decode_v6(&packet) else { panic!("a reply") };
            prop_assert!(echo.is_from(id, nonce));
            prop_assert_eq!((echo.sequence, echo.nonce_len), (sequence, size.min(NONCE)));
            encode(Family::V4, id, sequence, nonce, size, &mut packet);
            prop_assert_eq!(checksum(&packet), 0);
        }
    }
}
