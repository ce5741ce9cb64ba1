//! Sets put together.

use super::field::Field;
use crate::nftables::data::Data;
use crate::nftables::datatype;
use crate::nftables::set::{Element, Set, SetFlags};
use crate::nftables::userdata::UserData;

/// `NFTNL_UDATA_SET_KEYBYTEORDER` (libnftnl, `include/udata.h`), and nftables' `enum byteorder`.
const KEY_BYTE_ORDER: u8 = 0;
const MACHINE_ORDER: u32 = 1;
const NETWORK_ORDER: u32 = 2;

/// What a set's keys are made of: one field or several one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetKey<'a>(pub &'a [Field]);

impl SetKey<'_> {
    /// An empty set of such keys, with a name.
    pub fn named(&self, name: &str) -> Set {
        let padded = |field: &Field| field.size().div_ceil(4) * 4;
        let order = |machine| if machine { MACHINE_ORDER } else { NETWORK_ORDER };
        let (kind, len, machine) = match self.0 {
            [one] => (one.datatype(), one.size(), one.is_machine_order()),
            several => {
                let kinds: Vec<u32> = several.iter().map(|field| field.datatype()).collect();
                (datatype::concatenation(&kinds), several.iter().map(padded).sum(), false)
            }
        };
        let mut set = Set::new(name, kind, len);
        if self.0.len() > 1 {
            set.flags |= SetFlags::CONCAT;
            set.fields = self.0.iter().map(|field| field.size()).collect();
        }
        set.user_data = UserData::new().with_u32(KEY_BYTE_ORDER, order(machine)).to_data();
        set
    }

    /// A set that exists only for the rule that looks into it; within its table `name` serves for it until the kernel names it.
    pub fn anonymous(&self, name: &str, elements: Vec<Element>) -> Set {
        let mut set = self.named(name);
        set.flags |= SetFlags::ANONYMOUS | SetFlags::CONSTANT;
        set.size = u32::try_from(elements.len()).ok();
        set.elements = elements;
        set
    }

    /// A key of these values, each padded to a multiple of four bytes where there are several.
    pub fn key(&self, values: &[Data]) -> Data {
        match values {
            [one] => one.clone(),
            several => {
                let mut bytes = Vec::new();
                for value in several {
                    bytes.extend_from_slice(value);
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                }
                Data::from(bytes)
            }
        }
    }
}

/// Elements of an interval set of one field that hold these ranges, from the least to the greatest value, both included, in
/// network order. Ranges that overlap or touch are put together, as the kernel refuses overlapping ones.
pub fn interval_elements(ranges: impl IntoIterator<Item = (Data, Data)>) -> Vec<Element> {
    let mut ranges: Vec<(Data, Data)> = ranges.into_iter().collect();
    ranges.sort();
    let mut elements = Vec::with_capacity(2 * ranges.len());
    let mut ranges = ranges.into_iter();
    let Some((mut first, mut last)) = ranges.next() else { return elements };
    let mut put = |first: Data, last: &Data| {
        elements.push(Element::new(first));
        // The greatest value of all has none after it, and needs no end.
        elements.extend(one_more(last).map(Element::interval_end));
    };
    for (next_first, next_last) in ranges {
        let touches = one_more(&last).is_none_or(|end| next_first <= end);
        if touches {
            last = last.max(next_last);
        } else {
            put(std::mem::replace(&mut first, next_first), &last);
            last = next_last;
        }
    }
    put(first, &last);
    elements
}

/// The value after this one, as a number in network order; none after the greatest.
fn one_more(value: &Data) -> Option<Data> {
    let mut bytes = value.to_vec();
    for byte in bytes.iter_mut().rev() {
        let (more, carry) = byte.overflowing_add(1);
        *byte = more;
        if !carry {
            return Some(Data::from(bytes));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_starts_and_ends() {
        let range = |a: u16, b: u16| (Data::be16(a), Data::be16(b));
        let elements = interval_elements([
            range(80, 90),
            range(1, 1),
            range(85, 100),
            range(2, 3),
            range(0xff00, 0xffff),
        ]);
        let mut set = SetKey(&[Field::DestinationPort]).named("s");
        set.flags |= SetFlags::INTERVAL;
        set.elements = elements;
        set.sort();
        let ranges: Vec<_> = set.ranges().into_iter().map(|(first, last, _)| (first, last)).collect();
        assert_eq!(ranges, [range(1, 3), range(80, 100), range(0xff00, 0xffff)]);
        assert_eq!(set.elements.len(), 5, "the last needs no end");
        assert!(interval_elements([]).is_empty());
    }

    #[test]
    fn keys_of_several_fields_are_padded() {
        let key = SetKey(&[Field::L4Protocol, Field::DestinationPort, Field::SourceIp4]);
        let set = key.named("s");
        assert_eq!((set.key_len, set.fields), (12, vec![1, 2, 4]));
        let bytes = key.key(&[Data::u8(6), Data::be16(80), Data::from([10, 0, 0, 1])]);
        assert_eq!(bytes, Data::from([6, 0, 0, 0, 0, 80, 0, 0, 10, 0, 0, 1]));
    }
}
