//! Expectations as a lab file writes them.

use super::text::{key, list, map, quoted, value};
use crate::decode::show_duration;
use crate::lab::{Bounds, Expectation, Expected};

/// A line of `expect:`.
pub(super) fn line(expectation: &Expectation) -> String {
    let Expectation { outcome, within, bounds, .. } = expectation;
    let Bounds { latency, loss, bandwidth, via, mtu } = bounds;
    let what = quoted(&expectation.to_string());
    if within.is_none() && bounds.is_empty() {
        return format!("  - {what}: {}", outcome.word());
    }
    let mut entries: Vec<(&str, String)> = Vec::new();
    if *outcome != Expected::Ok || bounds.is_empty() {
        entries.push(("is", outcome.word().to_owned()));
    }
    entries.extend(within.map(|time| ("within", show_duration(time))));
    entries.extend(latency.map(|time| ("latency", show_duration(time))));
    entries.extend(loss.map(|share| ("loss", value(&share.to_string()))));
    entries.extend(bandwidth.map(|rate| ("bandwidth", format!("{rate}bit"))));
    if !via.is_empty() {
        entries.push(("via", list(&via.iter().map(|name| value(name)).collect::<Vec<_>>())));
    }
    entries.extend(mtu.map(|mtu| ("mtu", key(&mtu.to_string()))));
    format!("  - {what}: {}", map(&entries))
}
