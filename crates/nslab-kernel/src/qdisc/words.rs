//! Qdiscs in the words of tc(8).

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::kind::{Netem, QdiscKind, Share};

impl fmt::Display for QdiscKind {
    /// As tc(8) is told to make it: `netem limit 1000 delay 5ms`, `tbf rate 10mbit burst 12500 limit 75000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&qdisc(self))
    }
}

/// A rate of bytes in a second as tc(8) takes it, in bits: `10mbit`.
pub struct Bits(pub u64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rate(self.0))
    }
}

fn qdisc(kind: &QdiscKind) -> String {
    match kind {
        QdiscKind::Netem(one) => netem(one),
        QdiscKind::Tbf(one) => {
            let burst = one.burst.bytes(one.rate);
            format!("tbf rate {} burst {burst} limit {}", rate(one.rate), one.limit)
        }
        QdiscKind::Htb(one) => match one.default_class {
            0 => "htb".to_owned(),
            class => format!("htb default {class:x}"),
        },
        QdiscKind::Pfifo(one) => format!("pfifo limit {}", one.limit),
        QdiscKind::Bfifo(one) => format!("bfifo limit {}", one.limit),
        QdiscKind::Prio(one) => {
            let map: Vec<String> = one.map.iter().map(u8::to_string).collect();
            format!("prio bands {} priomap {}", one.bands, map.join(" "))
        }
        QdiscKind::FqCodel(one) => format!(
            "fq_codel limit {} flows {} quantum {} target {}us interval {}us {}",
            one.limit,
            one.flows,
            one.quantum,
            one.target,
            one.interval,
            if one.ecn { "ecn" } else { "noecn" }
        ),
        other => other.name().to_owned(),
    }
}

fn netem(one: &Netem) -> String {
    let mut words = format!("netem limit {}", one.limit);
    if !one.delay.is_zero() || !one.jitter.is_zero() {
        let _ = write!(words, " delay {}", time(one.delay));
        if !one.jitter.is_zero() {
            let _ = write!(words, " {}", time(one.jitter));
            correlation(&mut words, one.delay_correlation);
            if let Some(distribution) = one.distribution {
                let _ = write!(words, " distribution {}", distribution.name());
            }
        }
    }
    let shares = [
        ("loss", one.loss, one.loss_correlation),
        ("duplicate", one.duplicate, one.duplicate_correlation),
        ("reorder", one.reorder, one.reorder_correlation),
        ("corrupt", one.corrupt, one.corrupt_correlation),
    ];
    for (word, share, depends) in shares {
        if share != Share::NONE {
            let _ = write!(words, " {word} {}", percent(share));
            correlation(&mut words, depends);
        }
    }
    if one.reorder_gap > 1 {
        let _ = write!(words, " gap {}", one.reorder_gap);
    }
    if one.rate != 0 {
        let _ = write!(words, " rate {}", rate(one.rate));
    }
    words
}

fn correlation(words: &mut String, share: Share) {
    if share != Share::NONE {
        let _ = write!(words, " {}", percent(share));
    }
}

fn percent(share: Share) -> String {
    // To seven places, as a lab file has it, without what 32 bits cannot hold.
    let text = format!("{:.7}", share.part() * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn time(time: Duration) -> String {
    let nanos = time.as_nanos();
    if nanos.is_multiple_of(1_000_000) {
        format!("{}ms", nanos / 1_000_000)
    } else if nanos.is_multiple_of(1_000) {
        format!("{}us", nanos / 1_000)
    } else {
        format!("{nanos}ns")
    }
}

/// A rate of bytes in a second as tc(8) takes it, in bits.
fn rate(bytes: u64) -> String {
    let bits = u128::from(bytes) * 8;
    let units = [("tbit", 1_000_000_000_000), ("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000)];
    match units.iter().find(|(_, size)| bits != 0 && bits.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", bits / size),
        None => format!("{bits}bit"),
    }
}
