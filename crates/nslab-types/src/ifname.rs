//! Names of network interfaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A network interface name that the kernel accepts.
///
/// 1 to 15 bytes (`IFNAMSIZ` − 1, `include/uapi/linux/if.h`), not `.` or `..`, and without `/`, `:` or white
/// space (`dev_valid_name`, `net/core/dev.c`). nslab also refuses control characters, `%` (which asks the
/// kernel to number the name) and anything that is not ASCII, so that a name can be shown and typed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfName {
    // Zero-padded, so that derived comparison is comparison of the names.
    bytes: [u8; IfName::MAX_LEN],
}

impl IfName {
    /// The longest name in bytes, without the terminating zero.
    pub const MAX_LEN: usize = 15;

    /// The loopback interface, which every network namespace has.
    pub const LOOPBACK: IfName = IfName { bytes: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0" };

    /// Checks `name` and takes it.
    pub fn new(name: &str) -> Result<Self, InvalidIfName> {
        let wrong = |problem| Err(InvalidIfName { name: name.to_owned(), problem });
        if name.is_empty() {
            return wrong(Problem::Empty);
        }
        if name.len() > Self::MAX_LEN {
            return wrong(Problem::TooLong(name.len()));
        }
        if name == "." || name == ".." {
            return wrong(Problem::Dots);
        }
        if let Some(c) = name.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '/' | ':' | '%')) {
            return wrong(Problem::Character(c));
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self { bytes })
    }

    /// Makes a name of any text, shortening what is too long.
    ///
    /// A name that fits is taken as it is. A longer one keeps its first ten bytes and gets `-` and four
    /// hexadecimal digits of its FNV-1a hash, so that names which differ only in their tails stay different and
    /// the result is the same in every run. Errors on characters an interface name cannot have.
    pub fn shortened(name: &str) -> Result<Self, InvalidIfName> {
        if name.len() <= Self::MAX_LEN || !name.is_ascii() {
            return Self::new(name);
        }
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let folded = (hash >> 16) ^ (hash & 0xffff);
        Self::new(&format!("{}-{folded:04x}", &name[..10]))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let len = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(Self::MAX_LEN);
        // Only ASCII is ever stored, so this cannot fail.
        std::str::from_utf8(&self.bytes[..len]).unwrap_or_default()
    }
}

/// Why a text cannot be an interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be an interface name: {problem}")]
pub struct InvalidIfName {
    name: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} bytes, the kernel allows 15")]
    TooLong(usize),
    #[error("it stands for a directory")]
    Dots,
    #[error("it contains {0:?}")]
    Character(char),
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl FromStr for IfName {
    type Err = InvalidIfName;
    fn from_str(name: &str) -> Result<Self, InvalidIfName> {
        Self::new(name)
    }
}

impl AsRef<str> for IfName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for IfName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for IfName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_kernel_takes_and_nothing_else() {
        for good in ["lo", "eth0", "veth-red", "a", "fifteen-bytes-x", "x.100", "br_0@"] {
            assert_eq!(IfName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a b", "a:b", "sixteen-bytes-xx", "eth%d", "ü", "a\0", "a\tb"] {
            assert!(IfName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shortens_long_names_stably_and_apart() {
        let one = IfName::shortened("database-primary-1").unwrap();
        let two = IfName::shortened("database-primary-2").unwrap();
        assert_eq!(one.as_str().len(), 15);
        assert!(one.as_str().starts_with("database-p-"));
        assert_ne!(one, two);
        assert_eq!(one, IfName::shortened("database-primary-1").unwrap());
        assert_eq!(IfName::shortened("red").unwrap().as_str(), "red");
    }

    #[test]
    fn orders_as_text() {
        let mut names = ["eth10", "eth1", "br0"].map(|name| IfName::new(name).unwrap());
        names.sort();
        assert_eq!(names.map(|name| name.to_string()), ["br0", "eth1", "eth10"]);
    }
}
