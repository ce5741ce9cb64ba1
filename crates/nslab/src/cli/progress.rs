//! Progress of long builds, on a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nslab_lab::apply::Event;

use super::output::Output;

/// Builds shorter than this show no bar.
const PATIENCE: Duration = Duration::from_millis(400);

/// A bar that appears when a build takes long.
pub(super) struct Progress {
    bar: ProgressBar,
    began: std::time::Instant,
}

impl Progress {
    /// A bar for a build of unknown length; invisible without a terminal.
    pub(super) fn new(output: Output) -> Self {
        let visible = !output.quiet && !output.json && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if visible {
            let template = "{msg:18} {wide_bar} {pos}/{len}";
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
        }
        let progress = Self { bar, began: std::time::Instant::now() };
        if !visible {
            progress.bar.finish_and_clear();
        }
        progress
    }

    /// Takes note of what happened.
    pub(super) fn tell(&self, event: Event<'_>) {
        if self.bar.is_finished() {
            return;
        }
        match event {
            Event::Stage { kind, steps } => {
                self.bar.inc_length(steps as u64);
                self.bar.set_message(kind.to_string());
            }
            Event::Steps(steps) => self.bar.inc(steps as u64),
            Event::Undo => self.bar.set_message("taking back"),
            Event::Program { node, program } => self.bar.set_message(format!("{node}: {program}")),
        }
        if self.bar.is_hidden() && self.began.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
    }

    /// Takes the bar off the screen.
    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// A bar over `total` things that are counted; invisible without a terminal, and where there are few.
pub(super) fn counter(output: Output, total: usize) -> ProgressBar {
    let visible = !output.quiet && !output.json && std::io::stderr().is_terminal() && total > 20_000;
    let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    ProgressBar::with_draw_target(Some(total as u64), target)
}
