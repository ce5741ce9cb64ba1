//! What sets and maps hold (`nft_rhash_lookup`, `nft_hash_lookup`, `nft_rbtree_lookup`, `nft_bitmap_lookup`,
//! `nft_pipapo_lookup`).

use nslab_kernel::nftables::{Element, ElementFlags, Set, SetFlags};

use super::bits::Bits;

/// What a set may hold for a key.
pub(super) struct Found<'a> {
    /// The elements that may stand for it. With all of the key known it is one, but for overlapping elements, of which the
    /// kernel takes the one that was added first.
    pub(super) elements: Vec<&'a Element>,
    /// It may be that none does (then the catch-all element stands for it, if there is one).
    pub(super) perhaps_none: bool,
    /// The element that stands for all other keys.
    pub(super) catch_all: Option<&'a Element>,
}

pub(super) fn lookup<'a>(set: &'a Set, key: &Bits) -> Found<'a> {
    // Those without a key are last.
    let keyed = set.elements.partition_point(|element| element.key.is_some());
    let (elements, rest) = set.elements.split_at(keyed);
    let catch_all = rest.iter().find(|element| element.flags.contains(ElementFlags::CATCHALL));
    let (found, perhaps_none) = if !set.flags.contains(SetFlags::INTERVAL) {
        exact(elements, key)
    } else if set.fields.len() > 1 {
        fields(elements, &set.fields, key)
    } else {
        intervals(elements, key)
    };
    // What goes this very moment may be gone.
    let perhaps_none = perhaps_none || found.iter().any(|element| element.expires == Some(0));
    Found { elements: found, perhaps_none, catch_all }
}

fn exact<'a>(elements: &'a [Element], key: &Bits) -> (Vec<&'a Element>, bool) {
    if let Some(key) = key.bytes() {
        let at = elements.partition_point(|element| element.key.as_deref().is_some_and(|other| other < key));
        let found = elements.get(at).filter(|element| element.key.as_deref() == Some(key));
        return (found.into_iter().collect(), found.is_none());
    }
    let may =
        |element: &&Element| element.key.as_deref().is_some_and(|other| key.equals(other) != Some(false));
    (elements.iter().filter(may).collect(), true)
}

/// Ranges of one value: the greatest element that is not above the key stands for it, unless it is the end of a range.
fn intervals<'a>(elements: &'a [Element], key: &Bits) -> (Vec<&'a Element>, bool) {
    let upto = |key: &[u8]| {
        elements.partition_point(|element| element.key.as_deref().is_some_and(|other| other <= key))
    };
    let (first, last) = (upto(key.value()), upto(&key.greatest()));
    // The one that is not above the least, and all that come up to the greatest.
    let among = &elements[first.saturating_sub(1)..last];
    let is_end = |element: &&Element| element.flags.contains(ElementFlags::INTERVAL_END);
    let gap = first == 0 || among.iter().any(|element| is_end(&element));
    if key.is_known() {
        let found = among.last().filter(|element| !is_end(element));
        return (found.into_iter().collect(), found.is_none());
    }
    (among.iter().filter(|element| !is_end(element)).collect(), gap)
}

/// Ranges of several values one after the other, each padded to whole words.
fn fields<'a>(elements: &'a [Element], fields: &[u32], key: &Bits) -> (Vec<&'a Element>, bool) {
    let mut certain = false;
    let may = |element: &&Element| {
        let holds = element.key.as_deref().map_or(Some(false), |from| {
            let to = element.key_end.as_deref().unwrap_or(from);
            in_fields(from, to, fields, key)
        });
        certain |= holds == Some(true);
        holds != Some(false)
    };
    let found: Vec<&Element> = elements.iter().filter(may).collect();
    (found, !certain)
}

fn in_fields(from: &[u8], to: &[u8], fields: &[u32], key: &Bits) -> Option<bool> {
    let mut start = 0_usize;
    let mut all = Some(true);
    for len in fields {
        let len = usize::try_from(*len).ok()?;
        let end = start.checked_add(len)?;
        let field = Bits::partly(key.value().get(start..end)?, key.mask().get(start..end)?);
        match field.within(from.get(start..end)?, to.get(start..end)?) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
        start = end.next_multiple_of(4);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use nslab_kernel::nftables::Data;

    fn ports(elements: Vec<Element>, flags: SetFlags) -> Set {
        let mut set = Set { flags, elements, ..Set::new("s", 0, 2) };
        set.sort();
        set
    }

    fn holds(set: &Set, key: &Bits) -> (usize, bool) {
        let found = lookup(set, key);
        (found.elements.len(), found.perhaps_none)
    }

    #[test]
    fn single_values() {
        let set = ports(
            vec![Element::new([0, 80]), Element::new([1, 187]), Element::catch_all()],
            SetFlags::empty(),
        );
        assert_eq!(holds(&set, &Bits::known(&[0, 80])), (1, false));
        assert_eq!(holds(&set, &Bits::known(&[0, 81])), (0, true));
        assert_eq!(holds(&set, &Bits::unknown(2)), (2, true));
        assert!(lookup(&set, &Bits::unknown(2)).catch_all.is_some());
    }

    #[test]
    fn intervals_end_before_their_end() {
        let elements = vec![
            Element::interval_end([0, 0]),
            Element::new([0, 10]),
            Element::interval_end([0, 20]),
            Element::new([0xff, 0]),
        ];
        let set = ports(elements, SetFlags::INTERVAL);
        for (key, found) in [([0, 9], 0), ([0, 10], 1), ([0, 19], 1), ([0, 20], 0), ([0xff, 0xff], 1)] {
            assert_eq!(holds(&set, &Bits::known(&key)), (found, found == 0), "{key:?}");
        }
        assert_eq!(holds(&set, &Bits::partly(&[0xff, 0], &[0xff, 0])), (1, false));
        assert_eq!(holds(&set, &Bits::partly(&[0, 0x10], &[0xff, 0xf0])), (1, true));
    }

    #[test]
    fn fields_have_ranges_of_their_own() {
        let mut set = ports(
            vec![Element { key_end: Some(Data::from([0, 90, 0, 0, 20])), ..Element::new([0, 80, 0, 0, 10]) }],
            SetFlags::INTERVAL | SetFlags::CONCAT,
        );
        set.fields = vec![2, 1];
        assert_eq!(holds(&set, &Bits::known(&[0, 85, 0, 0, 15, 0, 0, 0])), (1, false));
        assert_eq!(holds(&set, &Bits::known(&[0, 91, 0, 0, 15, 0, 0, 0])), (0, true));
        assert_eq!(holds(&set, &Bits::partly(&[0, 85, 0, 0, 0], &[255, 255, 255, 255, 0])), (1, true));
    }
}
