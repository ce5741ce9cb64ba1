//! The figures that are made of samples.

use nslab_load::{Load, Sample};

/// A kind of figure.
pub(super) struct Figure {
    /// As JSON has it.
    pub(super) key: &'static str,
    /// For people, with the unit.
    pub(super) label: &'static str,
    /// The larger the better.
    pub(super) more_is_better: bool,
    /// Of which load it is made.
    pub(super) load: Load,
    /// What is made of a sample; true says that software interrupts are accounted apart.
    pub(super) of: fn(&Sample, bool) -> Option<f64>,
}

/// All of them, in the order in which they are shown.
pub(super) const FIGURES: &[Figure] = &[
    Figure {
        key: "tcp_bits_per_second",
        label: "TCP bit/s",
        more_is_better: true,
        load: Load::Stream,
        of: |sample, _| Some(sample.rate() * 8.0),
    },
    Figure {
        key: "udp_datagrams_per_second",
        label: "UDP packets/s",
        more_is_better: true,
        load: Load::Datagrams,
        of: |sample, _| Some(sample.rate()),
    },
    Figure {
        key: "rtt_p50_us",
        label: "RTT p50 µs",
        more_is_better: false,
        load: Load::Exchange,
        of: |sample, _| Some(sample.latency?.p50),
    },
    Figure {
        key: "rtt_p90_us",
        label: "RTT p90 µs",
        more_is_better: false,
        load: Load::Exchange,
        of: |sample, _| Some(sample.latency?.p90),
    },
    Figure {
        key: "rtt_p99_us",
        label: "RTT p99 µs",
        more_is_better: false,
        load: Load::Exchange,
        of: |sample, _| Some(sample.latency?.p99),
    },
    Figure {
        key: "rtt_p999_us",
        label: "RTT p99.9 µs",
        more_is_better: false,
        load: Load::Exchange,
        of: |sample, _| Some(sample.latency?.p999),
    },
    Figure {
        key: "connections_per_second",
        label: "connections/s",
        more_is_better: true,
        load: Load::Connections,
        of: |sample, _| Some(sample.rate()),
    },
    Figure {
        key: "cpu_seconds_per_gigabyte",
        label: "CPU s/GB",
        more_is_better: false,
        load: Load::Stream,
        of: |sample, apart| per(sample, apart, 1e9),
    },
    Figure {
        key: "cpu_us_per_datagram",
        label: "CPU µs/packet",
        more_is_better: false,
        load: Load::Datagrams,
        of: |sample, apart| Some(per(sample, apart, 1.0)? * 1e6),
    },
];

/// Processor time for so much that came through.
fn per(sample: &Sample, apart: bool, unit: f64) -> Option<f64> {
    let softirq = if apart { sample.processor.softirq } else { 0.0 };
    #[allow(clippy::cast_precision_loss, reason = "figures for people have fewer digits")]
    let count = sample.count as f64 / unit;
    (count > 0.0).then(|| (sample.processor.own + softirq) / count)
}
