//! What the test harness prints, read as it comes.

use std::fmt;

use super::job::End;

/// What one test program did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// Tests that passed only because they found that they cannot run there: who (if known) and why.
    skipped: Vec<String>,
    /// Whether the harness came to its end.
    complete: bool,
    section: Section,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Tests,
    /// What tests that passed have printed; of the test with this name.
    Output(String),
}

impl Report {
    /// Takes in a line, and says whether it is worth being shown.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            (self.passed, self.failed, self.ignored) =
                (count(counts, "passed"), count(counts, "failed"), count(counts, "ignored"));
            self.complete = true;
            self.section = Section::Tests;
            return false;
        }
        match line {
            "successes:" => self.section = Section::Output(String::new()),
            "failures:" => self.section = Section::Tests,
            _ => {}
        }
        // A process that a test started prints in the middle of anything.
        let reason = line.split_once("skipped: ").filter(|(before, _)| {
            before.is_empty() || (before.starts_with("test ") && before.ends_with(" ... "))
        });
        match &mut self.section {
            Section::Tests => {
                if let Some((_, reason)) = reason {
                    self.skipped.push(reason.to_owned());
                }
                !line.is_empty() && !line.starts_with("running ")
            }
            Section::Output(test) => {
                if let Some(name) =
                    line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"))
                {
                    name.clone_into(test);
                } else if let Some((_, reason)) = reason {
                    self.skipped.push(format!("{test}: {reason}"));
                }
                false
            }
        }
    }

    /// Whether all went well, given how the program ended.
    pub(crate) fn good(&self, end: &End) -> bool {
        *end == End::Exit(0) && self.complete && self.failed == 0
    }

    /// Those that skipped themselves.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Adds what another program did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.skipped.extend_from_slice(&other.skipped);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed.saturating_sub(self.skipped.len()))?;
        for (number, what) in
            [(self.failed, "failed"), (self.skipped.len(), "skipped"), (self.ignored, "ignored")]
        {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TooLong => f.write_str("killed: it took too long"),
            Self::NotStarted(reason) => write!(f, "not started: {reason}"),
        }
    }
}

/// The number before a word, as in `3 passed;`.
fn count(text: &str, word: &str) -> usize {
    let mut words = text.split([' ', ';']).rev();
    words.find(|part| *part == word);
    words.next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{End, Report};

    const TEXT: &str = "
running 4 tests
test a ... ok
test b ... skipped: no user may
ok
test c ... FAILED
test full_kernel::d ... ignored

successes:

---- a stdout ----
skipped: there is no script(1)
other

successes:
    a
    b

failures:

---- c stdout ----
it is wrong

failures:
    c

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 5 filtered out; finished in 0.10s
";

    #[test]
    fn a_report_is_read() {
        let mut report = Report::default();
        let shown: Vec<&str> = TEXT.lines().filter(|line| report.line(line)).collect();
        assert_eq!(report.to_string(), "0 passed, 1 failed, 2 skipped, 1 ignored");
        assert_eq!(report.skipped(), ["no user may", "a: there is no script(1)"]);
        assert!(shown.contains(&"it is wrong"), "{shown:?}");
        assert!(!shown.contains(&"other"), "{shown:?}");
        assert!(!report.good(&End::Exit(101)));
    }

    #[test]
    fn a_harness_that_does_not_come_to_its_end_is_not_good() {
        let mut report = Report::default();
        report.line("test a ... ok");
        assert!(!report.good(&End::Exit(0)));
        report.line(
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s",
        );
        assert!(report.good(&End::Exit(0)));
        assert!(!report.good(&End::Signal(11)));
    }
}
