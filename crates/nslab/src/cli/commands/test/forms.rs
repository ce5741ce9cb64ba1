//! What came of a test, as text, TAP and JUnit's XML.

use std::fmt::Write as _;
use std::time::Duration;

use nslab_view::Style;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::report::{Report, Status, Test};

/// So many failures of one expectation are told of, unless all are wanted.
const MOST: usize = 10;

/// For people: what failed and why, then how many.
pub(super) fn text(report: &Report, verbose: bool, style: &Style) -> String {
    let mut text = String::new();
    let mut told: (usize, usize) = (0, 0);
    let mut unsaid = 0;
    let more = |unsaid: usize, text: &mut String| {
        if unsaid > 0 {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "     and {unsaid} more of this expectation (-v shows all)");
        }
    };
    for test in &report.tests {
        if told.0 != test.line {
            more(std::mem::take(&mut unsaid), &mut text);
            told = (test.line, 0);
        }
        match test.status {
            Status::Passed if verbose => {
                let _ = writeln!(text, "{}   {}: {}", style.good("ok"), test.name, passed(test));
            }
            Status::NotRun if verbose => {
                let _ = writeln!(text, "--   {}: not run", test.name);
            }
            Status::Failed if verbose || told.1 < MOST => {
                told.1 += 1;
                let place = place(report, test);
                let _ = writeln!(text, "{} {place}: {}: {}", style.bad("FAIL"), test.name, test.complaint());
                for line in test.reasons(&report.lab) {
                    let _ = writeln!(text, "     {line}");
                }
            }
            Status::Failed => unsaid += 1,
            Status::Passed | Status::NotRun => {}
        }
    }
    more(unsaid, &mut text);
    let failed = format!("{} failed", report.failed);
    let failed = if report.failed > 0 { style.bad(&failed) } else { failed };
    let not_run = if report.not_run > 0 { format!(", {} not run", report.not_run) } else { String::new() };
    let seconds = report.milliseconds / 1e3;
    let _ = writeln!(text, "{} passed, {failed}{not_run} in {seconds:.1} s", report.passed);
    text
}

/// What was observed of one that holds.
fn passed(test: &Test) -> String {
    let figures = &test.measured;
    let mut parts = vec![match test.observed {
        Some("ok") | None => test.detail.clone(),
        Some(observed) => format!("{observed}: {}", test.detail),
    }];
    parts.extend(figures.path.as_ref().map(|path| path.join(" → ")));
    parts.extend(figures.latency_ms.map(|latency| format!("latency {latency:.3} ms")));
    parts.extend(figures.loss.map(|loss| format!("loss {:.1}%", loss * 100.0)));
    parts.extend(figures.mtu.map(|mtu| format!("{mtu} bytes pass")));
    parts.extend(figures.bandwidth.map(super::bounds::bits));
    parts.join(", ")
}

fn place(report: &Report, test: &Test) -> String {
    report.file.as_ref().map_or_else(|| format!("line {}", test.line), |file| format!("{file}:{}", test.line))
}

/// Test Anything Protocol, version 14 (testanything.org).
pub(super) fn tap(report: &Report) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", report.tests.len());
    for (number, test) in report.tests.iter().enumerate() {
        let not = if test.status == Status::Failed { "not " } else { "" };
        let skipped = if test.status == Status::NotRun { " # SKIP not run" } else { "" };
        let _ = writeln!(text, "{not}ok {} - {}{skipped}", number + 1, test.name);
        if test.status == Status::Failed {
            text.push_str("  ---\n");
            let facts = [
                ("message", json!(test.complaint())),
                ("severity", json!("fail")),
                ("at", json!({"file": report.file, "line": test.line})),
                ("expected", json!(test.expected)),
                ("observed", json!(test.observed)),
                ("cause", json!(test.cause)),
                ("fix", json!(test.fix)),
            ];
            for (key, value) in facts {
                // JSON is YAML.
                let _ = writeln!(text, "  {key}: {value}");
            }
            text.push_str("  ...\n");
        }
    }
    text
}

/// The XML that build servers read.
pub(super) fn junit(report: &Report) -> String {
    let time = |milliseconds: f64| Duration::from_secs_f64(milliseconds.max(0.0) / 1e3);
    let mut suite = TestSuite::new(report.lab.clone());
    suite.set_time(time(report.milliseconds));
    for test in &report.tests {
        let status = match test.status {
            Status::Passed => TestCaseStatus::success(),
            Status::NotRun => TestCaseStatus::skipped(),
            Status::Failed => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(test.complaint());
                let kind = test.cause.as_ref().map_or("EXPECTATION", |cause| cause.code.as_str());
                status.set_type(kind);
                let reasons = test.reasons(&report.lab).join("\n");
                status.set_description(format!("{}: {}\n{reasons}", place(report, test), test.complaint()));
                status
            }
        };
        let mut case = TestCase::new(test.name.clone(), status);
        case.set_classname(report.lab.clone());
        case.set_time(time(test.milliseconds));
        case.extra.insert("line".into(), test.line.to_string().into());
        if let Some(file) = &report.file {
            case.extra.insert("file".into(), file.clone().into());
        }
        suite.add_test_case(case);
    }
    let mut all = quick_junit::Report::new("nslab test");
    all.set_time(time(report.milliseconds));
    all.add_test_suite(suite);
    // Only what cannot be written fails, and this is a text.
    all.to_string().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::report::Figures;
    use super::*;

    fn report() -> Report {
        let test = |name: &str, status: Status| Test {
            name: name.to_owned(),
            line: 7,
            from: "a".to_owned(),
            to: "b".to_owned(),
            address: std::net::IpAddr::from([10, 0, 0, 2]),
            service: "icmp".to_owned(),
            expected: "ok",
            observed: Some(if status == Status::Passed { "ok" } else { "drop" }),
            detail: "nothing came back in 1.0 s".to_owned(),
            status,
            problems: Vec::new(),
            measured: Figures { latency_ms: None, loss: None, bandwidth: None, path: None, mtu: None },
            tries: 1,
            milliseconds: 1000.0,
            predicted: None,
            cause: None,
            fix: Vec::new(),
            way: Vec::new(),
        };
        let tests = vec![test("a -> b icmp", Status::Failed), test("<x> & \"y\"", Status::Passed)];
        Report {
            lab: "lab".to_owned(),
            file: Some("lab.yaml".to_owned()),
            passed: 1,
            failed: 1,
            not_run: 0,
            milliseconds: 1234.0,
            tests,
        }
    }

    #[test]
    fn people_are_told_of_what_failed() {
        let expected = "FAIL lab.yaml:7: a -> b icmp: expected ok, observed drop: nothing came back in 1.0 s\n\
                        1 passed, 1 failed in 1.2 s\n";
        assert_eq!(text(&report(), false, &Style::default()), expected);
    }

    #[test]
    fn many_failures_of_one_expectation_are_told_briefly() {
        let mut many = report();
        many.tests =
            (0..15).map(|_| report().tests.swap_remove(0)).chain([report().tests.swap_remove(1)]).collect();
        let told = text(&many, false, &Style::default());
        assert_eq!(told.matches("FAIL").count(), 10);
        assert!(told.contains("and 5 more of this expectation"), "{told}");
        assert_eq!(text(&many, true, &Style::default()).matches("FAIL").count(), 15);
    }

    #[test]
    fn tap_counts_from_one() {
        let tap = tap(&report());
        assert!(tap.starts_with("TAP version 14\n1..2\nnot ok 1 - a -> b icmp\n  ---\n"), "{tap}");
        assert!(tap.ends_with("  ...\nok 2 - <x> & \"y\"\n"), "{tap}");
    }
}
