//! How long it takes to take a packet apart, to tell it and to know it again.
//!
//! ```console
//! $ cargo run --release -p nslab-decode --example speed
//! ```

#![expect(clippy::print_stdout, reason = "that is what it is for")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Instant;

use nslab_decode::{Frame, Identity, Printer, Style, decode};
use support::build::{A, B, MAC_A, Tcp, arp, ether, frame, icmp, icmp_error, join, udp4};
use support::dns::labels;

const TIMES: u32 = 200_000;
const ROUNDS: usize = 7;

/// The median of some rounds, in nanoseconds for one call.
fn measure(mut call: impl FnMut()) -> u128 {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..TIMES {
                call();
            }
            begin.elapsed().as_nanos() / u128::from(TIMES)
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

fn main() {
    let timestamps = vec![1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6];
    let data = Tcp {
        flags: 0x18,
        acknowledgement: 1,
        options: timestamps,
        payload: vec![7; 1448],
        ..Tcp::default()
    };
    let query = join(&[&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &labels("www.example.com"), &[0, 1, 0, 1]]);
    let vxlan = join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &frame(&data.over4())]);
    let packets = [
        ("arp", ether(0x0806, &arp(1, (MAC_A, A), ([0; 6], B)))),
        ("ping", frame(&icmp(8, 0, 1, &[7; 56]))),
        ("udp", frame(&udp4(4000, 5000, &[7; 64]))),
        ("tcp", frame(&data.over4())),
        ("tcp over ipv6", frame(&data.over6())),
        ("fragmentation needed", frame(&icmp_error(3, 4, 1400, &data.over4()[..548]))),
        ("dns query", frame(&udp4(4000, 53, &query))),
        ("tcp in vxlan", frame(&udp4(4000, 4789, &vxlan))),
    ];
    println!("{:22}{:>10}{:>10}{:>10}{:>10}   ns", "", "decode", "and line", "and -vv", "identity");
    for (name, packet) in &packets {
        let frame = Frame::new(packet);
        let taken_apart = measure(|| {
            black_box(decode(black_box(&frame)));
        });
        let told = |verbosity| {
            let mut printer = Printer::new(Style { verbosity, ..Style::default() });
            let mut text = String::new();
            measure(move || {
                text.clear();
                printer.write(&decode(black_box(&frame)), &mut text);
                black_box(&text);
            })
        };
        let (line, verbose) = (told(0), told(2));
        let known = measure(|| {
            black_box(Identity::of(&decode(black_box(&frame))).map(|it| it.key()));
        });
        println!("{name:22}{taken_apart:>10}{line:>10}{verbose:>10}{known:>10}");
    }
}
