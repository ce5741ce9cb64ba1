//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

use serde::Serialize;

use crate::data::Data;

/// What a checksum is found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// As it has to be.
    Correct,
    /// Another.
    Incorrect {
        /// What it has to be.
        wanted: u16,
    },
    /// Zero where that means that there is none (UDP over IPv4, RFC 768).
    Absent,
    /// Left to the network card to fill in (`CHECKSUM_PARTIAL`, include/linux/skbuff.h): what stands there is no checksum
    /// yet. [`crate::Frame::partial_checksum`] says so.
    Partial,
    /// Not all of the packet is at hand, or it is one of several fragments.
    Unknown,
}

/// The sum of `bytes` as 16-bit numbers, in ones' complement, not yet inverted and not yet folded.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0_u64;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_be_bytes(*word));
    }
    let (pairs, rest) = rest.as_chunks::<2>();
    for pair in pairs {
        total += u64::from(u16::from_be_bytes(*pair));
    }
    if let [last] = rest {
        total += u64::from(*last) << 8;
    }
    total
}

/// Folded to 16 bits.
pub(crate) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap_or(u16::MAX)
}

/// What `found` is, where everything with it sums up to `total`.
pub(crate) fn check(found: u16, total: u64) -> Checked {
    let sum = fold(total);
    if sum == 0xffff {
        return Checked::Correct;
    }
    // Taken out again (RFC 1624), then inverted.
    let without = fold(u64::from(sum) + u64::from(!found));
    Checked::Incorrect { wanted: !without }
}

/// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1).
pub(crate) fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u64 {
    let address = |address| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    address(source) + address(destination) + u64::from(protocol) + length as u64
}

/// As [`check`], of a message behind a pseudo header.
pub(crate) fn check_message(
    found: u16,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    message: Data<'_>,
) -> Checked {
    if message.is_cut() {
        return Checked::Unknown;
    }
    check(found, pseudo(source, destination, protocol, message.length()) + sum(message.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2])), 0xf201);
    }

    #[test]
    fn what_it_has_to_be() {
        let mut bytes = [0x45, 0, 0, 0x54, 0, 0, 0x40, 0, 0x40, 1, 0x26, 0xa7, 10, 0, 0, 1, 10, 0, 0, 2];
        assert_eq!(check(0x26a7, sum(&bytes)), Checked::Correct);
        bytes[8] = 0x3f;
        assert_eq!(check(0x26a7, sum(&bytes)), Checked::Incorrect { wanted: 0x27a7 });
        bytes[10..12].copy_from_slice(&[0x27, 0xa7]);
        assert_eq!(check(0x27a7, sum(&bytes)), Checked::Correct);
    }
}
