//! Packets by their ends, which the kernel tells apart before it tells of them.

use std::net::IpAddr;

use nslab_filter::Tuple;

/// So many tuples are compared in the kernel.
const MOST: usize = 16;
/// Version and protocol, source and destination, in words.
const WORDS: usize = 9;
/// A tuple of the programs, in words.
const TUPLE: usize = 2 * WORDS + 4;

/// `struct choice` of the programs.
pub(crate) type Choice = [u32; 1 + MOST * TUPLE];

/// Packets of any of these; all packets if there are more than can be compared.
pub(crate) fn choice(tuples: &[Tuple]) -> Choice {
    let mut words = [0; 1 + MOST * TUPLE];
    if tuples.len() > MOST || tuples.contains(&Tuple::default()) {
        return words;
    }
    words[0] = u32::try_from(tuples.len()).unwrap_or(0) + 1;
    for (tuple, words) in tuples.iter().zip(words[1..].chunks_exact_mut(TUPLE)) {
        write(tuple, words);
    }
    words
}

fn write(tuple: &Tuple, words: &mut [u32]) {
    let (value, rest) = words.split_at_mut(WORDS);
    let (mask, ports) = rest.split_at_mut(WORDS);
    let of_ends = tuple.source.or(tuple.destination).map(|(address, _)| address.is_ipv6());
    if let Some(ipv6) = tuple.ipv6.or(of_ends) {
        value[0] |= if ipv6 { 6 } else { 4 };
        mask[0] |= 0xff;
    }
    if let Some(protocol) = tuple.protocol {
        value[0] |= u32::from(protocol) << 8;
        mask[0] |= 0xff00;
    }
    for (at, end) in [(1, tuple.source), (5, tuple.destination)] {
        let Some((address, bits)) = end else { continue };
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        for (number, octets) in octets.chunks_exact(4).enumerate() {
            // Of this word so many bits are meant.
            let bits = u32::from(bits).saturating_sub(u32::try_from(number).unwrap_or(4) * 32).min(32);
            let meant = u32::MAX.checked_shl(32 - bits).unwrap_or(0).to_be();
            mask[at + number] = meant;
            value[at + number] = u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]) & meant;
        }
    }
    for (at, range) in [tuple.source_port, tuple.destination_port].into_iter().enumerate() {
        let (first, last) = range.unwrap_or((0, u16::MAX));
        ports[at] = first.into();
        ports[2 + at] = last.saturating_sub(first).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: Option<&str>, bits: u8) -> Tuple {
        Tuple { source: source.map(|text| (text.parse().unwrap(), bits)), ..Tuple::default() }
    }

    #[test]
    fn tuples_are_written_as_the_program_reads_them() {
        let one =
            Tuple { protocol: Some(6), destination_port: Some((80, 443)), ..tuple(Some("10.1.2.3"), 20) };
        let words = choice(&[one, tuple(Some("fd00::1"), 36)]);
        assert_eq!(words[0], 3);
        let (first, second) = (&words[1..=TUPLE], &words[1 + TUPLE..]);
        assert_eq!((first[0], first[WORDS]), (0x0604, 0xffff));
        assert_eq!(
            (first[1].to_ne_bytes(), first[WORDS + 1].to_ne_bytes()),
            ([10, 1, 0, 0], [255, 255, 240, 0])
        );
        assert_eq!(first[WORDS + 5], 0);
        assert_eq!(first[2 * WORDS..], [0, 80, 65535, 363]);
        assert_eq!((second[0], second[WORDS]), (6, 0xff));
        assert_eq!(second[1].to_ne_bytes(), [0xfd, 0, 0, 0]);
        assert_eq!((second[WORDS + 2].to_ne_bytes(), second[WORDS + 3]), ([0xf0, 0, 0, 0], 0));
    }

    #[test]
    fn what_cannot_be_compared_is_everything() {
        assert_eq!(choice(&[tuple(Some("10.0.0.1"), 32), Tuple::default()])[0], 0);
        let many: Vec<Tuple> =
            (0..17).map(|port| Tuple { source_port: Some((port, port)), ..Tuple::default() }).collect();
        assert_eq!((choice(&many)[0], choice(&many[1..])[0]), (0, 17));
        // No packet of IP at all.
        assert_eq!(choice(&[])[0], 1);
    }
}
