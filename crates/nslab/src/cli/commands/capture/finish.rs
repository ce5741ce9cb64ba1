//! What is said at the end.

use std::fmt::Write as _;

use nslab_observe::capture::{Capture, Counts};

use crate::cli::output::Output;

/// How many packets there were, and what was lost, which is told even to who wants no notes.
pub(super) fn tell(capture: &Capture, count: u64, counts: &[Counts], output: Output) {
    let (seen, lost) = counts.iter().fold((0, 0), |(seen, lost), one| (seen + one.seen, lost + one.lost));
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let mut text = format!(
        "{count} packet{} captured\n{seen} packet{} received by filter\n{lost} packet{} lost by the kernel\n",
        s(count),
        s(seen),
        s(lost)
    );
    for (place, one) in counts.iter().enumerate().filter(|(_, one)| one.lost > 0) {
        let _ = writeln!(text, "  {}: {} of {}", capture.name(place), one.lost, one.seen);
    }
    if lost > 0 {
        text.push_str("  more memory (-B), fewer bytes of each packet (-s) or a filter (-f) help\n");
    }
    Output { quiet: output.quiet && lost == 0, ..output }.note(&text);
}
