//! Filters made by chance from the grammar.

use crate::packets::{Row, packets};
use crate::selection::Corpus;
use crate::tcpdump::is_here;

const HOSTS: &[&str] = &["10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fe80::1"];
const NETS: &[&str] =
    &["10", "10.0.0.0/8", "192.168", "10.0.0.0/30", "2001:db8::/32", "fe80::/10", "224.0.0.0/4"];
const PORTS: &[&str] = &["22", "53", "80", "443", "http", "domain", "8080", "65535"];
const RANGES: &[&str] = &["20-80", "8080-8090", "1024-65535", "53-53"];
const PROTOCOLS: &[&str] =
    &["ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "esp", "pim", "stp", "iso"];
const OTHERS: &[&str] = &[
    "broadcast",
    "multicast",
    "ip broadcast",
    "ip multicast",
    "ip6 multicast",
    "less 70",
    "greater 90",
    "ether proto 0x88cc",
    "ether proto \\arp",
    "ip proto 47",
    "ip6 proto 44",
    "proto 17",
    "ether host 02:00:00:00:00:01",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether src 02:00:00:00:00:02",
];
const MOVING: &[&str] = &["vlan", "vlan 5", "mpls", "mpls 100", "pppoes", "pppoes 39"];
const FIELDS: &[&str] = &[
    "ip[0]",
    "ip[8]",
    "ip[9]",
    "ip[2:2]",
    "ip[6:2]",
    "ip[12:4]",
    "ip[16:4]",
    "ip6[6]",
    "ip6[40]",
    "tcp[13]",
    "tcp[0:2]",
    "tcp[2:2]",
    "tcp[12]",
    "udp[0:2]",
    "udp[4:2]",
    "icmp[0]",
    "icmp[1]",
    "icmp6[0]",
    "ether[0]",
    "ether[12:2]",
    "len",
    "arp[7]",
    "ip[ip[0] & 0xf]",
    "tcp[tcp[12] >> 2]",
    "ip[ip[8] & 7]",
];
const NUMBERS: &[&str] =
    &["0", "1", "2", "3", "6", "0x10", "17", "64", "0x45", "0x0800", "80", "0xff", "1000"];
const OPERATORS: &[&str] = &["+", "-", "*", "&", "|"];
/// These refuse some numbers, and libpcap is not exact in what is to the right of them.
const CAREFUL: &[&str] = &["/", "%", "^", "<<", ">>"];
const RELATIONS: &[&str] = &["=", "!=", "<", "<=", ">", ">="];
const DIRECTIONS: &[&str] = &["", "", "src ", "dst ", "src or dst ", "src and dst "];

/// So many expressions, always the same for a seed.
pub(crate) fn expressions(count: usize, seed: u64) -> Vec<String> {
    let mut row = Row(seed);
    (0..count).map(|_| expression(&mut row, 3)).collect()
}

fn expression(row: &mut Row, depth: usize) -> String {
    let mut text = term(row, depth);
    for _ in 0..row.next() % 3 {
        text += row.of(&[" and ", " or ", " && ", " || "]);
        text += &term(row, depth);
    }
    text
}

fn term(row: &mut Row, depth: usize) -> String {
    match row.next() % 10 {
        0 if depth > 0 => format!("not {}", term(row, depth - 1)),
        1 | 2 if depth > 0 => format!("({})", expression(row, depth - 1)),
        _ => primitive(row),
    }
}

fn primitive(row: &mut Row) -> String {
    let direction = row.of(DIRECTIONS);
    match row.next() % 12 {
        0 | 1 => format!("{direction}host {}", several(row, HOSTS)),
        2 => format!("{direction}net {}", several(row, NETS)),
        3 | 4 => {
            let transport = row.of(&["", "tcp ", "udp ", "sctp "]);
            format!("{transport}{direction}port {}", several(row, PORTS))
        }
        5 => format!("{}{direction}portrange {}", row.of(&["", "tcp ", "udp "]), several(row, RANGES)),
        6 | 7 => row.of(PROTOCOLS).to_owned(),
        8 => row.of(OTHERS).to_owned(),
        9 if row.next().is_multiple_of(3) => row.of(MOVING).to_owned(),
        _ => comparison(row),
    }
}

/// Identifiers that share their qualifiers.
fn several(row: &mut Row, all: &[&str]) -> String {
    let first = row.of(all).to_owned();
    match row.next() % 4 {
        0 => format!("{first} or {}", row.of(all)),
        1 => format!("({first} or {})", row.of(all)),
        _ => first,
    }
}

/// What is to the right of an operator is a number: libpcap does not ask for the headers of fields there.
fn comparison(row: &mut Row) -> String {
    let mut left = row.of(FIELDS).to_owned();
    for _ in 0..row.next() % 3 {
        left = match row.next() % 4 {
            0 => format!("(({left}) {} {})", row.of(CAREFUL), row.of(&["1", "2", "3", "5", "8"])),
            1 => format!("({left}) {} {}", row.of(OPERATORS), row.of(NUMBERS)),
            _ => format!("{left} {} {}", row.of(OPERATORS), row.of(NUMBERS)),
        };
    }
    let right = if row.next().is_multiple_of(5) { row.of(FIELDS) } else { row.of(NUMBERS) };
    format!("{left} {} {right}", row.of(RELATIONS))
}

#[test]
fn random_filters_select_what_libpcap_selects() {
    if !is_here() {
        return;
    }
    let corpus = Corpus::new(packets());
    let count = std::env::var("NSLAB_FILTER_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(250);
    let seed = std::env::var("NSLAB_FILTER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut wrong = Vec::new();
    for expression in expressions(count, seed) {
        if let Some(difference) = corpus.difference(&expression) {
            wrong.push(format!("{expression}\n  {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
