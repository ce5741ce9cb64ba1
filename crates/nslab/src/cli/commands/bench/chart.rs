//! `bench` as a chart.

use nslab_view::{Bar, Chart, Panel};

use super::figures::FIGURES;
use super::report::Report;
use super::text::{ENOUGH, short};

pub(super) fn of(report: &Report) -> Chart {
    let panels = FIGURES.iter().map(|figure| Panel {
        title: format!(
            "{} ({} is better)",
            figure.label,
            if figure.more_is_better { "more" } else { "less" }
        ),
        bars: report
            .ways
            .iter()
            .filter_map(|way| {
                let measured = way.figures.get(figure.key)?;
                Some(Bar {
                    label: way.way.clone(),
                    median: measured.median,
                    low: measured.low,
                    high: measured.high,
                    text: format!(
                        "{} ({}–{})",
                        short(measured.median),
                        short(measured.low),
                        short(measured.high)
                    ),
                })
            })
            .collect(),
    });
    Chart {
        title: format!(
            "What namespaces cost: Linux {}, {} processors",
            report.machine.kernel, report.machine.processors
        ),
        notes: vec![format!(
            "Medians of {} rounds of {} s, with {}; logarithmic scales",
            report.rounds,
            report.seconds,
            if report.rounds < ENOUGH {
                "all that they are spread over"
            } else {
                "the interval in which the true median is in 95 of 100 cases"
            }
        )],
        panels: panels.collect(),
    }
}
