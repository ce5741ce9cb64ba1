//! `bench` as JSON.

use std::collections::BTreeMap;

use nslab_load::stats::Summary;
use nslab_load::{Memory, Sample};
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::FIGURES;
use super::{Plan, Results};
use crate::cli::args::Way;

/// What namespaces cost on this machine.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab bench --json")]
pub(in crate::cli) struct Report {
    pub(super) machine: Machine,
    /// How often each figure was measured
    pub(super) rounds: usize,
    /// For how long each time, in seconds
    pub(super) seconds: f64,
    /// From one program to another
    pub(super) ways: Vec<Measured>,
    pub(super) namespace: Namespace,
    /// In words
    pub(super) verdicts: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Machine {
    /// The kernel's release
    pub(super) kernel: String,
    pub(super) processors: usize,
    /// The kernel accounts software interrupts apart from processes (`CONFIG_IRQ_TIME_ACCOUNTING`), so that they are added to the
    /// processor time of both ends; null if that is not known, and they are not added
    pub(super) softirq_apart: Option<bool>,
}

/// What was measured of one way.
#[derive(Serialize, JsonSchema)]
pub(super) struct Measured {
    /// Its name, as `--only` takes it
    pub(super) way: String,
    pub(super) text: String,
    /// Packets that passed its interfaces meanwhile
    pub(super) path: Vec<Passage>,
    /// Packets that its last rule counted meanwhile: of NAT the first of each connection
    pub(super) rule_packets: Option<u64>,
    /// Of datagrams so many per cent did not come
    pub(super) udp_lost_percent: f64,
    /// By name
    pub(super) figures: BTreeMap<String, Figure>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Passage {
    pub(super) node: String,
    pub(super) link: String,
    pub(super) packets: u64,
}

/// A figure: the median of all rounds, and between what the true one is in 95 of 100 cases (of fewer than six rounds: all of
/// them).
#[derive(Serialize, JsonSchema)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// How many times that of the host's loopback it is, round by round; null if that was not measured
    pub(super) ratio: Option<Ratio>,
}

#[derive(Serialize, JsonSchema, Clone, Copy)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// It can be told apart from 1; false of fewer than six rounds
    pub(super) differs: bool,
}

/// What a namespace costs that nothing is in.
#[derive(Serialize, JsonSchema)]
pub(super) struct Namespace {
    /// How many were made
    pub(super) count: usize,
    /// Microseconds to make one: the median, and what 99 of 100 took at most
    pub(super) made_us: f64,
    pub(super) made_p99_us: f64,
    /// KiB of the kernel's memory for each, medians of batches: in slabs, for each processor, and all that was no more free
    pub(super) slab_kib: f64,
    pub(super) percpu_kib: f64,
    pub(super) used_kib: f64,
}

impl Report {
    pub(super) fn of(plan: &Plan, results: &Results) -> Self {
        let apart = nslab_lab::preflight::kernel_option("CONFIG_IRQ_TIME_ACCOUNTING");
        let ways: Vec<Measured> =
            plan.ways.iter().map(|&way| measured(way, results, apart == Some(true))).collect();
        let verdicts = super::text::verdicts(&ways, plan.rounds);
        Self {
            machine: Machine {
                kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
                processors: std::thread::available_parallelism().map_or(1, usize::from),
                softirq_apart: apart,
            },
            rounds: plan.rounds,
            seconds: plan.timing.measured.as_secs_f64(),
            ways,
            namespace: namespace(results),
            verdicts,
        }
    }
}

fn measured(way: Way, results: &Results, apart: bool) -> Measured {
    let samples = |way: Way, load| results.samples.get(&(way, load)).map_or(&[][..], Vec::as_slice);
    let (path, rules) = &results.passed[&way];
    let mut figures = BTreeMap::new();
    for figure in FIGURES {
        let values = |way| -> Vec<Option<f64>> {
            samples(way, figure.load).iter().map(|sample| (figure.of)(sample, apart)).collect()
        };
        let own = values(way);
        let Some(summary) = Summary::of(&own.iter().flatten().copied().collect::<Vec<_>>()) else { continue };
        let ratios: Vec<f64> = own
            .iter()
            .zip(values(Way::Host))
            .filter_map(|(own, host)| Some((*own)? / host.filter(|&host| host > 0.0)?))
            .collect();
        let ratio = Summary::of(&ratios).filter(|_| way != Way::Host).map(|ratio| Ratio {
            median: ratio.median,
            low: ratio.low,
            high: ratio.high,
            differs: ratio.samples >= super::text::ENOUGH && !ratio.may_be(1.0),
        });
        let Summary { median, low, high, .. } = summary;
        figures.insert(figure.key.to_owned(), Figure { median, low, high, ratio });
    }
    Measured {
        way: way.name().to_owned(),
        text: way.text(),
        path: path
            .iter()
            .map(|one| Passage { node: one.node.clone(), link: one.link.clone(), packets: one.packets })
            .collect(),
        rule_packets: *rules,
        udp_lost_percent: lost(samples(way, nslab_load::Load::Datagrams)),
        figures,
    }
}

/// Of what was sent so many per cent did not come. What was in the receiver's memory when counting began counts as come.
fn lost(samples: &[Sample]) -> f64 {
    let sent: u64 = samples.iter().map(|sample| sample.sent).sum();
    let came: u64 = samples.iter().map(|sample| sample.count).sum();
    #[allow(clippy::cast_precision_loss, reason = "figures for people have fewer digits")]
    let part = sent.saturating_sub(came) as f64 / sent.max(1) as f64;
    part * 100.0
}

fn namespace(results: &Results) -> Namespace {
    let cost = &results.namespaces;
    let mut made = cost.made.clone();
    made.sort_by(f64::total_cmp);
    let last = (made.len() * 99).div_ceil(100).max(1) - 1;
    let median = |of: fn(&Memory) -> f64| {
        let values: Vec<f64> = cost.kept.iter().map(of).collect();
        Summary::of(&values).map_or(0.0, |summary| summary.median)
    };
    Namespace {
        count: cost.count,
        made_us: Summary::of(&made).map_or(0.0, |summary| summary.median),
        made_p99_us: made.get(last).copied().unwrap_or(0.0),
        slab_kib: median(|memory| memory.slab),
        percpu_kib: median(|memory| memory.percpu),
        used_kib: median(|memory| memory.used),
    }
}
