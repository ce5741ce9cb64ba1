//! `bench` in words.

use std::fmt::Write as _;

use nslab_view::{Style, table};

use super::figures::FIGURES;
use super::report::{Measured, Ratio, Report};

/// The claim that is put to the test: one per cent more.
const CLAIM: f64 = 1.01;
/// With fewer rounds no interval has the true median in 95 of 100 cases.
pub(super) const ENOUGH: usize = 6;

/// Which figures stand beside each other: more do not fit on a line.
const TABLES: [&[&str]; 4] = [
    &["tcp_bits_per_second", "udp_datagrams_per_second", "connections_per_second"],
    &["cpu_seconds_per_gigabyte", "cpu_us_per_datagram"],
    &["rtt_p50_us", "rtt_p90_us"],
    &["rtt_p99_us", "rtt_p999_us"],
];

pub(super) fn of(report: &Report, style: &Style) -> String {
    let plus = if style.unicode { "±" } else { "+-" };
    let spread = if report.rounds < ENOUGH {
        "half of what they are spread over"
    } else {
        "half of the interval that has the true one in 95 of 100 cases"
    };
    let mut text = format!(
        "Linux {}, {} processors; medians of {} rounds of {} s, {plus} {spread}\n",
        report.machine.kernel, report.machine.processors, report.rounds, report.seconds
    );
    let compared = report.ways.iter().any(|way| way.figures.values().any(|figure| figure.ratio.is_some()));
    if compared {
        let (same, times) = if style.unicode { ("≈", "×") } else { ("~", "x") };
        let _ = writeln!(
            text,
            "{times}: times that of the host's loopback, round by round; {same}: cannot be told apart from it"
        );
    }
    for keys in TABLES {
        let figures = || FIGURES.iter().filter(|figure| keys.contains(&figure.key));
        let headers: Vec<&str> =
            std::iter::once("").chain(figures().flat_map(|figure| [figure.label, ""])).collect();
        let rows: Vec<Vec<String>> = report
            .ways
            .iter()
            .map(|way| {
                let cells = figures().flat_map(|figure| match way.figures.get(figure.key) {
                    Some(one) => {
                        let value =
                            format!("{} {}", short(one.median), half(one.median, one.low, one.high, plus));
                        [value, one.ratio.map_or_else(String::new, |ratio| times(ratio, style))]
                    }
                    None => [String::new(), String::new()],
                });
                std::iter::once(way.way.clone()).chain(cells).collect()
            })
            .collect();
        text.extend(["\n", &table(&headers, &rows, style)]);
    }
    text += "\n";
    for verdict in &report.verdicts {
        let _ = writeln!(text, "{verdict}");
    }
    let namespace = &report.namespace;
    let _ = writeln!(
        text,
        "A namespace takes {} µs to make (99 of 100 at most {}), and {} KiB of the kernel's memory while it is there, in slabs and for the \
         processors ({} made)",
        short(namespace.made_us),
        short(namespace.made_p99_us),
        short(namespace.slab_kib + namespace.percpu_kib),
        namespace.count
    );
    text += counted(report);
    text
}

/// Half of an interval, in per cent of the middle.
fn half(median: f64, low: f64, high: f64, plus: &str) -> String {
    match (high - low) / 2.0 / median * 100.0 {
        half if half > 99.0 => format!("{plus}>99%"),
        half => format!("{plus}{half:.0}%"),
    }
}

/// What is in the figures of processor time.
fn counted(report: &Report) -> &'static str {
    match report.machine.softirq_apart {
        Some(true) => {
            "CPU is the processor time of both ends and of the machine's software interrupts, in which a packet's receiving end works: what \
             else the machine does adds to it.\n"
        }
        Some(false) => {
            "CPU is the processor time of both ends; this kernel accounts software interrupts, in which a packet's receiving end works, to \
             whoever just runs, which is mostly they.\n"
        }
        None => {
            "CPU is the processor time of both ends. Whether the kernel accounts software interrupts to them, in which a packet's receiving \
             end works, is not known: its options are in no file.\n"
        }
    }
}

/// A ratio with its spread.
fn times(ratio: Ratio, style: &Style) -> String {
    let (same, times, plus) = if style.unicode { ("≈ ", "×", "±") } else { ("~ ", "x", "+-") };
    let same = if ratio.differs { "" } else { same };
    format!("{same}{times}{:.2} {}", ratio.median, half(ratio.median, ratio.low, ratio.high, plus))
}

/// What the figures say to the claim that namespaces take less than one per cent of processor time more.
pub(super) fn verdicts(ways: &[Measured], rounds: usize) -> Vec<String> {
    let ratio = |way: &Measured, key: &str| way.figures.get(key).and_then(|figure| figure.ratio);
    let mut all = Vec::new();
    for way in ways.iter().filter(|way| matches!(&way.way[..], "namespace" | "veth" | "bridge" | "routed")) {
        let costs =
            [("cpu_seconds_per_gigabyte", "a byte of TCP"), ("cpu_us_per_datagram", "a packet of UDP")];
        for (key, what) in costs {
            if let Some(ratio) = ratio(way, key) {
                all.push(claim(&way.text, what, ratio, rounds));
            }
        }
    }
    all
}

fn claim(way: &str, what: &str, ratio: Ratio, rounds: usize) -> String {
    let percent = |ratio: f64| format!("{:+.1} %", (ratio - 1.0) * 100.0);
    let figures = format!("{} ({} to {})", percent(ratio.median), percent(ratio.low), percent(ratio.high));
    let few = format!("of {rounds} rounds that cannot be told, {ENOUGH} are needed");
    let holds = if rounds < ENOUGH {
        &few
    } else if ratio.high < CLAIM {
        "holds"
    } else if ratio.low > CLAIM {
        "does not hold"
    } else if ratio.differs {
        "can be neither shown nor refuted by these rounds"
    } else {
        "can be neither shown nor refuted by these rounds: it cannot be told apart from the host's loopback"
    };
    format!("\"Less than 1 % CPU overhead\" for {way}, for {what}: {figures}: {holds}")
}

/// Three digits, with a letter for thousands.
pub(super) fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_is_judged_by_the_interval() {
        let of = |median, low, high| {
            claim("x", "y", Ratio { median, low, high, differs: !(low..=high).contains(&1.0) }, 7)
        };
        assert!(of(1.002, 0.999, 1.009).ends_with(": holds"));
        assert!(of(0.9, 0.8, 0.95).ends_with(": holds"));
        assert!(of(1.4, 1.3, 1.5).ends_with("+40.0 % (+30.0 % to +50.0 %): does not hold"));
        assert!(of(1.0, 0.9, 1.1).ends_with("cannot be told apart from the host's loopback"));
        assert!(of(1.02, 1.005, 1.1).ends_with("by these rounds"));
        let few = Ratio { median: 1.4, low: 1.3, high: 1.5, differs: false };
        assert!(claim("x", "y", few, 3).ends_with("of 3 rounds that cannot be told, 6 are needed"));
    }

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in
            [(0.1234, "0.12"), (12.34, "12.3"), (9999.0, "9999"), (38_100_000_000.0, "38.1G")]
        {
            assert_eq!(short(value), text);
        }
    }
}
