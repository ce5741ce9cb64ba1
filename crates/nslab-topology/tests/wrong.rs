//! Wrong and doubtful lab files, and exactly what is said of each.
//!
//! `wrong.txt` holds the cases: a title behind `####`, the file, and a line behind `>>` for each thing that is said:
//! its kind, code, place and message. `NSLAB_BLESS=1 cargo test` writes down what is said now.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write;

use nslab_topology::{Diagnostic, load};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wrong.txt");

struct Case {
    title: String,
    source: String,
    said: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("####") {
            cases.push(Case { title: title.trim().to_owned(), source: String::new(), said: String::new() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        let part = if line.starts_with(">>") { &mut case.said } else { &mut case.source };
        writeln!(part, "{line}").unwrap();
    }
    cases
}

fn show(diagnostics: &[Diagnostic], said: &mut String) {
    for diagnostic in diagnostics {
        let place = diagnostic.span().map_or("-".to_owned(), |span| format!("{}:{}", span.line, span.column));
        writeln!(said, ">> {} {} {place} {}", diagnostic.severity, diagnostic.code, diagnostic.message)
            .unwrap();
        for help in &diagnostic.help {
            writeln!(said, ">>   help: {help}").unwrap();
        }
    }
}

fn say(source: &str) -> String {
    let mut said = String::new();
    match load(
        source,
        "lab.yaml",
        &[("n".to_owned(), "3".to_owned())][..usize::from(source.contains("vars: {n:"))],
    ) {
        Ok(loaded) => {
            show(&loaded.warnings, &mut said);
        }
        Err(diagnostics) => show(&diagnostics.list, &mut said),
    }
    said
}

#[test]
fn says_what_is_wrong_with_each() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let cases = cases(&text);
    assert!(cases.len() >= 80, "{} cases", cases.len());
    if std::env::var_os("NSLAB_BLESS").is_some() {
        let mut blessed = String::new();
        for Case { title, source, .. } in &cases {
            write!(blessed, "#### {title}\n{source}{}", say(source)).unwrap();
        }
        std::fs::write(FILE, blessed).unwrap();
        return;
    }
    let mut wrong = String::new();
    for Case { title, source, said } in &cases {
        let now = say(source);
        if now != *said {
            write!(wrong, "#### {title}\n{source}-- expected\n{said}-- is\n{now}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn only_error(source: &str) -> (&'static str, String) {
    let diagnostics = load(source, "lab.yaml", &[]).unwrap_err();
    let [error] = diagnostics.list.as_slice() else { panic!("{diagnostics}") };
    (error.code, error.message.clone())
}

#[test]
fn a_billion_laughs_are_one_error() {
    let mut source = "l0: &l0 [ha]\n".to_owned();
    for level in 1..=30 {
        let below = format!("*l{}", level - 1);
        writeln!(source, "l{level}: &l{level} [{}]", vec![below; 10].join(", ")).unwrap();
    }
    assert_eq!(only_error(&source).0, "too-large");
}

#[test]
fn deep_nesting_is_one_error() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for depth in [100, 100_000] {
            let source = format!("nodes: {}{}", open.repeat(depth), close.repeat(depth));
            let (code, _) = only_error(&source);
            assert!(matches!(code, "too-deep" | "yaml-syntax"), "{code}");
        }
    }
    let chain = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<Vec<_>>().concat();
    assert_eq!(only_error(&chain).0, "too-deep");
}

#[test]
fn long_names_and_large_files() {
    let long = "n".repeat(300);
    let (code, message) = only_error(&format!("nodes: {{{long}: {{}}}}\n"));
    assert_eq!(code, "bad-name");
    assert!(message.contains("300 bytes, 63 are allowed") && message.len() < 200, "{message}");
    let source = format!("nodes: {{a: {{}}}}\n#{}", " ".repeat(9 << 20));
    assert_eq!(only_error(&source).0, "too-large");
    let ports: String = (0..1500).map(|_| "  - [a, sw]\n").collect();
    let source = format!("nodes: {{a: {{}}}}\nswitches: {{sw: {{}}}}\nlinks:\n{ports}");
    let diagnostics = load(&source, "lab.yaml", &[]).unwrap_err();
    assert_eq!(diagnostics.list[0].code, "too-many-ports");
    assert_eq!(diagnostics.list[0].span().unwrap().line, 3 + 1024);
}

#[test]
fn one_line_is_what_compilers_print() {
    let diagnostics = load("nodes: {a: {fowrard: true}}\n", "dir/lab.yaml", &[]).unwrap_err();
    assert_eq!(diagnostics.to_string(), "dir/lab.yaml:1:13: error[unknown-key]: a node has no key `fowrard`");
}

#[test]
fn a_files_name_may_be_no_labs_name() {
    let diagnostics = load("nodes: {}\n", "my lab.yaml", &[]).unwrap_err();
    assert_eq!(diagnostics.list[0].code, "bad-name");
    assert!(diagnostics.list[0].help[1].contains("`name:`"));
}

#[test]
fn unknown_overrides_are_refused() {
    let overrides = [("m".to_owned(), "3".to_owned())];
    let diagnostics = load("vars: {n: 1}\n", "lab.yaml", &overrides).unwrap_err();
    assert_eq!(diagnostics.list[0].code, "unknown-variable");
    assert_eq!(diagnostics.list[0].help, ["it has n"]);
}
