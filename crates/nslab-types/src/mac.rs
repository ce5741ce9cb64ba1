//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An Ethernet (IEEE 802 48-bit) address, written `02:00:5e:10:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// A locally administered unicast address made from `seed`, the same for the same seed.
    ///
    /// FNV-1a over the seed; the first byte is `02` (IEEE 802 clause 8.2: the U/L bit set, the I/G bit clear), so
    /// it never meets a manufacturer's address.
    pub fn from_seed(seed: &str) -> Self {
        let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let bytes = hash.to_be_bytes();
        let folded = |place: usize| bytes[place] ^ bytes[place + 3];
        Self([0x02, folded(0), folded(1), folded(2), bytes[6], bytes[7]])
    }

    /// Whether an interface may carry it: not a group address and not all zeros
    /// (`is_valid_ether_addr`, `include/linux/etherdevice.h`).
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }

    /// The IPv6 link-local address that stateless configuration derives from it (modified EUI-64, RFC 4291
    /// appendix A).
    pub fn link_local(self) -> std::net::Ipv6Addr {
        let mut address = [0; 16];
        address[..2].copy_from_slice(&[0xfe, 0x80]);
        address[8..11].copy_from_slice(&self.0[..3]);
        address[8] ^= 0x02;
        address[11..13].copy_from_slice(&[0xff, 0xfe]);
        address[13..].copy_from_slice(&self.0[3..]);
        address.into()
    }
}

/// A text that is not an Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a MAC address: six pairs of hexadecimal digits with colons are wanted, as 02:00:5e:10:00:01"
)]
pub struct InvalidMac(String);

impl FromStr for MacAddr {
    type Err = InvalidMac;
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = parts
                .next()
                .filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| InvalidMac(text.to_owned()))?;
        }
        if parts.next().is_some() {
            return Err(InvalidMac(text.to_owned()));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0.map(|byte| format!("{byte:02x}")).join(":"))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mac: MacAddr = "02:00:5e:10:AB:01".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:ab:01");
        for bad in [
            "",
            "02:00:5e:10:ab",
            "02:00:5e:10:ab:01:02",
            "02-00-5e-10-ab-01",
            "+2:00:5e:10:ab:01",
            "2:0:5e:10:ab:1",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn seeds_give_local_unicast() {
        let mac = MacAddr::from_seed("lab/red/eth0");
        assert_eq!(mac, MacAddr::from_seed("lab/red/eth0"));
        assert_ne!(mac, MacAddr::from_seed("lab/red/eth1"));
        assert!(mac.is_unicast() && mac.0[0] == 2);
    }

    #[test]
    fn derives_link_local_as_the_rfc_says() {
        let mac: MacAddr = "34:56:78:9a:bc:de".parse().unwrap();
        assert_eq!(mac.link_local().to_string(), "fe80::3656:78ff:fe9a:bcde");
    }
}
