//! Packets that go round in circles.

use std::cmp::Ordering::{Greater, Less};

/// Whether two sightings of what looks like one packet, at one interface and in one direction, are of one: routers send it round in a circle,
/// and it comes by again later, with a smaller TTL. With the same TTL, or a greater one, it was sent again. Each is its time
/// and its TTL.
pub fn comes_by_again(one: (u64, u8), other: (u64, u8)) -> bool {
    matches!((one.0.cmp(&other.0), one.1.cmp(&other.1)), (Less, Greater) | (Greater, Less))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_with_a_smaller_ttl() {
        assert!(comes_by_again((1, 64), (5, 62)) && comes_by_again((5, 62), (1, 64)));
        for other in [(5, 64), (5, 70), (1, 62)] {
            assert!(!comes_by_again((1, 64), other), "{other:?}");
        }
    }
}
