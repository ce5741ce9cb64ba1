//! What commands print: results on standard output, everything else on standard error.

use std::io::{IsTerminal as _, Write as _};

use nslab_view::Style;
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// As JSON.
    pub(super) json: bool,
    /// No progress, no summary.
    pub(super) quiet: bool,
}

#[expect(clippy::unused_self, reason = "whoever prints asks this")]
impl Output {
    /// How text for standard output is to look.
    pub(super) fn style(self) -> Style {
        style(std::io::stdout().is_terminal())
    }

    /// How text for standard error is to look.
    pub(super) fn error_style(self) -> Style {
        style(std::io::stderr().is_terminal())
    }

    /// Prints a result; a reader that went away (`nslab ls | head -1`) is no error.
    pub(super) fn print(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Prints a result as JSON, on several lines for a person and on one for a pipe.
    pub(super) fn print_json(self, value: &impl Serialize) {
        let text = if std::io::stdout().is_terminal() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        // Only maps with keys that are not text fail, and there are none.
        self.print(&text.unwrap_or_default());
    }

    /// Tells the user something that is not the result.
    #[expect(clippy::print_stderr, reason = "the one place where notes are shown")]
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{}", text.trim_end_matches('\n'));
        }
    }
}

fn style(terminal: bool) -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    Style {
        color: terminal && !no_color && !dumb,
        width: if width >= 20 { width } else { 100 },
        unicode: is_utf8(),
    }
}

/// Whether the locale says that the terminal shows UTF-8. A missing locale is taken for one that does, unless it is
/// named `C` or `POSIX`.
fn is_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    set.is_none_or(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// A time as programs read it, without the noise of binary fractions below a nanosecond.
pub(super) fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e6
}

/// A time as people read it: three figures and a unit.
pub(super) fn duration(time: std::time::Duration) -> String {
    let milliseconds = milliseconds(time);
    match milliseconds {
        ..10.0 => format!("{milliseconds:.1} ms"),
        10.0..1000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.2} s", milliseconds / 1000.0),
    }
}
