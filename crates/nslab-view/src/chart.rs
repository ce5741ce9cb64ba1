//! Figures as a chart (SVG 1.1): a row for each, its middle and its spread, on logarithmic scales.

use std::fmt::Write as _;

/// Figures of several kinds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// What it is of.
    pub title: String,
    /// What is to be known of it, a line each.
    pub notes: Vec<String>,
    /// One for each kind.
    pub panels: Vec<Panel>,
}

/// Figures of one kind, with a scale of their own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// What they are, with the unit and which are better.
    pub title: String,
    /// They.
    pub bars: Vec<Bar>,
}

/// A figure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bar {
    /// Of what.
    pub label: String,
    /// The middle; only what is greater than 0 is drawn.
    pub median: f64,
    /// The spread.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// What is written beside it.
    pub text: String,
}

const WIDTH: f64 = 920.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 190.0;
const ROW: f64 = 22.0;
/// Above a panel's rows: its title and its scale.
const HEAD: f64 = 52.0;
const GAP: f64 = 22.0;

/// The chart, a whole document.
pub fn chart(chart: &Chart) -> String {
    let rows: usize = chart.panels.iter().map(|panel| panel.bars.len()).sum();
    let top = 44.0 + 18.0 * count(chart.notes.len());
    let height = top + ROW * count(rows) + (HEAD + GAP) * count(chart.panels.len()) + 10.0;
    let mut svg = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    text(&mut svg, 20.0, 28.0, "font-size=\"17\" font-weight=\"bold\"", &chart.title);
    for (line, note) in chart.notes.iter().enumerate() {
        text(&mut svg, 20.0, 50.0 + 18.0 * count(line), "fill=\"#666\"", note);
    }
    let mut y = top;
    for panel in &chart.panels {
        y = draw(&mut svg, panel, y) + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel, top: f64) -> f64 {
    text(svg, 20.0, top + 22.0, "font-size=\"14\" font-weight=\"bold\"", &panel.title);
    let begin = top + HEAD;
    let end = begin + ROW * count(panel.bars.len());
    let Some(scale) = Scale::of(&panel.bars) else { return end };
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{begin:.1}\" y2=\"{end:.1}\" stroke=\"#ddd\"/>"
        );
        text(svg, x, begin - 6.0, "text-anchor=\"middle\" fill=\"#666\"", &short(tick));
    }
    for (place, bar) in panel.bars.iter().enumerate() {
        let middle = begin + ROW * (count(place) + 0.5);
        text(svg, LEFT - 10.0, middle + 4.0, "text-anchor=\"end\"", &bar.label);
        if !is_drawn(bar) {
            continue;
        }
        let (low, at, high) = (scale.x(bar.low.max(scale.least)), scale.x(bar.median), scale.x(bar.high));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{at:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#9cc3e6\" stroke-width=\"9\"/>\n\
             <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#1b4f8a\" stroke-width=\"2\"/>\n\
             <circle cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"4\" fill=\"#1b4f8a\"/>"
        );
        text(svg, WIDTH - RIGHT + 12.0, middle + 4.0, "", &bar.text);
    }
    end
}

fn is_drawn(bar: &Bar) -> bool {
    bar.median > 0.0 && bar.high.is_finite()
}

/// A logarithmic scale, from one of 1, 2, 5 times a power of ten to another.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn of(bars: &[Bar]) -> Option<Self> {
        let drawn = || bars.iter().filter(|bar| is_drawn(bar));
        let low = drawn().map(|bar| if bar.low > 0.0 { bar.low } else { bar.median }).reduce(f64::min)?;
        let high = drawn().map(|bar| bar.high.max(bar.median)).reduce(f64::max)?;
        // What is least is to have a bar that can be seen.
        let least = rounded(low / 1.3).rfind(|&step| step <= low / 1.3)?;
        let most = rounded(high).find(|&step| step >= high)?;
        Some(Self { least, most: if most > least { most } else { least * 10.0 } })
    }

    fn x(&self, value: f64) -> f64 {
        let part = (value / self.least).ln() / (self.most / self.least).ln();
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn ticks(&self) -> Vec<f64> {
        let all = rounded(self.least).chain(rounded(self.most));
        let mut ticks: Vec<f64> = all.filter(|&tick| tick >= self.least && tick <= self.most).collect();
        let (mut power, end) = (self.least, self.most);
        while power < end {
            ticks.extend(rounded(power).filter(|&tick| tick >= self.least && tick <= end));
            power *= 10.0;
        }
        ticks.sort_by(f64::total_cmp);
        ticks.dedup_by(|one, other| (*one / *other - 1.0).abs() < 1e-9);
        // Where there are many, only powers of ten.
        if ticks.len() > 12 {
            ticks.retain(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9);
        }
        ticks
    }
}

/// The round numbers around a value.
fn rounded(value: f64) -> impl DoubleEndedIterator<Item = f64> {
    let power = 10_f64.powf(value.log10().floor());
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0].into_iter().map(move |step| step * power)
}

/// Three digits, with a letter for thousands.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e9 => (v / 1e9, "G"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e4 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let digits = format!("{value:.3}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{unit}")
}

fn text(svg: &mut String, x: f64, y: f64, attributes: &str, content: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>", escaped(content));
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // XML has no way to say these.
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[allow(clippy::cast_precision_loss, reason = "a chart has few rows")]
fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(median: f64) -> Bar {
        Bar { label: "a <b> & c".into(), median, low: median * 0.9, high: median * 1.1, text: "x".into() }
    }

    #[test]
    fn scales_are_wide_enough() {
        for values in [&[1.0][..], &[0.03, 7.0], &[4.9e9, 5.1e9], &[1e-6, 1e6]] {
            let bars: Vec<Bar> = values.iter().map(|&value| bar(value)).collect();
            let scale = Scale::of(&bars).unwrap_or(Scale { least: 0.0, most: 0.0 });
            for value in values {
                assert!(scale.least < value * 0.9 && scale.most >= value * 1.1, "{values:?}");
                assert!(scale.x(*value) > LEFT && scale.x(*value) <= WIDTH - RIGHT, "{values:?}");
            }
            let ticks = scale.ticks();
            assert!((2..=13).contains(&ticks.len()), "{values:?}: {ticks:?}");
        }
        assert!(Scale::of(&[bar(0.0)]).is_none());
    }

    #[test]
    fn what_is_written_is_escaped() {
        let panels = vec![Panel { title: "p".into(), bars: vec![bar(2.0), bar(0.0)] }];
        let svg = chart(&Chart { title: "t\u{7}".into(), notes: vec!["n".into()], panels });
        assert!(svg.contains("a &lt;b&gt; &amp; c") && svg.contains(">t <"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1);
    }
}
