//! A prefix that subnets are taken from.

use ipnet::IpNet;

use super::super::bits;
use crate::lab::Family;

/// Takes subnets of a pool in order, skipping what is in use.
pub(super) struct Pool {
    family: Family,
    /// The first address that wasn't looked at yet; `None` at the end of all addresses.
    next: Option<u128>,
    last: u128,
    /// First and last address of what is in use, in order, without overlaps.
    used: Vec<(u128, u128)>,
}

impl Pool {
    pub(super) fn new(pool: IpNet, used: &[IpNet]) -> Self {
        let family = Family::of(pool.addr());
        let (first, last) = bits::range(&pool);
        let mut ranges: Vec<_> =
            used.iter().filter(|net| Family::of(net.addr()) == family).map(bits::range).collect();
        ranges.sort_unstable();
        let mut used: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match used.last_mut() {
                Some(before) if start <= before.1 => before.1 = before.1.max(end),
                _ => used.push((start, end)),
            }
        }
        Self { family, next: Some(first), last, used }
    }

    /// The next subnet with a prefix of this length.
    pub(super) fn take(&mut self, length: u8) -> Option<IpNet> {
        let longest = if self.family == Family::Ipv4 { 32 } else { 128 };
        let size = 1_u128.checked_shl(longest - u32::from(length))?;
        loop {
            let start = self.next?.checked_next_multiple_of(size)?;
            let end = start.checked_add(size - 1)?;
            if end > self.last {
                return None;
            }
            let index = self.used.partition_point(|(_, used_end)| *used_end < start);
            match self.used.get(index) {
                Some((used_start, used_end)) if *used_start <= end => self.next = used_end.checked_add(1),
                _ => {
                    self.next = end.checked_add(1);
                    return IpNet::new(bits::address(self.family, start)?, length).ok();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pool: &str, used: &[&str], lengths: &[u8]) -> Vec<Option<String>> {
        let used: Vec<IpNet> = used.iter().map(|net| net.parse().unwrap()).collect();
        let mut pool = Pool::new(pool.parse().unwrap(), &used);
        lengths.iter().map(|length| pool.take(*length).map(|net| net.to_string())).collect()
    }

    #[test]
    fn takes_in_order_and_skips() {
        let some = |net: &str| Some(net.to_owned());
        assert_eq!(
            take("10.0.0.0/8", &["10.0.1.7/32", "10.0.0.0/30", "fd00::/8"], &[24, 30, 24]),
            [some("10.0.2.0/24"), some("10.0.3.0/30"), some("10.0.4.0/24")]
        );
        assert_eq!(take("10.0.0.0/29", &[], &[30, 30, 30]), [some("10.0.0.0/30"), some("10.0.0.4/30"), None]);
        assert_eq!(take("10.0.0.0/28", &[], &[24]), [None]);
        assert_eq!(take("255.255.255.0/24", &[], &[24, 24]), [some("255.255.255.0/24"), None]);
        assert_eq!(take("fd00::/48", &["fd00::1/64"], &[64]), [some("fd00:0:0:1::/64")]);
        assert_eq!(take("ffff::/16", &["ffff::/16"], &[64]), [None]);
    }
}
