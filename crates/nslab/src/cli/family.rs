//! IPv4 or IPv6, and which address of a node is meant.

use std::net::IpAddr;

/// Which addresses will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    /// What `-4` and `-6` ask for.
    pub(super) fn of_flags(ipv4: bool, ipv6: bool) -> Self {
        match (ipv4, ipv6) {
            (true, _) => Self::V4,
            (_, true) => Self::V6,
            _ => Self::Any,
        }
    }

    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::V4 => "IPv4 ",
            Self::V6 => "IPv6 ",
        }
    }
}

/// The address of a node that another one would use: one on a segment that both are on, else the first; IPv4 before IPv6.
/// `theirs` are the segments (none for `lo`) and addresses of the one, `is_ours` says which segments the other is on.
pub(super) fn nearest<S: Copy>(
    theirs: impl Iterator<Item = (Option<S>, IpAddr)>,
    is_ours: impl Fn(S) -> bool,
    family: Family,
) -> Option<IpAddr> {
    let suitable = theirs.filter(|(_, address)| family.allows(*address));
    // The first of equals wins.
    suitable
        .min_by_key(|(segment, address)| (address.is_ipv6(), !segment.is_some_and(&is_ours)))
        .map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_address_is_on_a_common_segment() {
        let all = [(None, "10.9.9.9"), (Some(1), "10.0.1.1"), (Some(2), "10.0.2.1"), (Some(2), "fd00::1")];
        let all = || all.iter().map(|(segment, address)| (*segment, address.parse().unwrap()));
        let of = |ours: u8, family| nearest(all(), |one| one == ours, family).unwrap().to_string();
        assert_eq!(of(2, Family::Any), "10.0.2.1");
        assert_eq!(of(2, Family::V6), "fd00::1");
        assert_eq!(of(1, Family::V6), "fd00::1");
        assert_eq!(of(7, Family::V4), "10.9.9.9");
        assert_eq!(nearest::<u8>(std::iter::empty(), |_| true, Family::Any), None);
    }
}
