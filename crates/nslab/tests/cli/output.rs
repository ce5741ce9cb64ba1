//! What is printed where, and to whom.

use std::io::Read;

use crate::support::{PAIR, Run, Running, Session, each_user};

each_user!(a_reader_that_goes_away, no_standard_output, colours, results_and_notes, ascii);

/// Runs a line of shell with `nslab` as `$0`.
fn shell(session: &Session, line: &str) -> Run {
    let mut command = session.other("sh");
    command.args(["-c", line]).arg(session.program());
    Run::of(command)
}

fn a_reader_that_goes_away(session: &Session) {
    let lab = session.up("nodes: {h: {count: 40}}\n");
    for command in
        [format!("ls {lab}"), format!("show {lab}"), "--help".into(), "ls".into(), format!("export {lab}")]
    {
        let run = shell(session, &format!("\"$0\" {command} | head -1")).status(0);
        assert_eq!((run.stdout.lines().count(), &*run.stderr), (1, ""), "{command}");
    }
    // Much more than a pipe holds.
    session.file("many.yaml", "nodes: {h: {count: 3000}}\n");
    for form in ["--json", "--shell", "-q"] {
        let mut running = Running::start(session.command(["plan", "--fresh", "many.yaml", form]));
        let mut out = running.child.stdout.take().unwrap();
        out.read_exact(&mut [0; 16]).unwrap();
        drop(out);
        let status = running.end();
        let said = std::io::read_to_string(running.child.stderr.take().unwrap()).unwrap();
        assert!(status.success(), "{form}: {status} {said}");
        assert_eq!(said, "", "{form}");
    }
}

fn no_standard_output(session: &Session) {
    let lab = session.up(PAIR);
    for command in
        [format!("ls {lab}"), format!("show {lab}"), format!("ping --lab {lab}"), "--version".into()]
    {
        for streams in [">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full"] {
            let run = shell(session, &format!("\"$0\" {command} {streams}"));
            assert!(run.signal.is_none() && run.code != Some(101), "{command} {streams}: {run:#?}");
        }
    }
    let run = shell(session, &format!("\"$0\" exec {lab}/red -- true >&- 2>&- <&-"));
    assert_eq!(run.code, Some(0), "{run:#?}");
    let (other, file) = session.lab_file("nodes: {red: {run: [sleep infinity]}}\n");
    let run = shell(session, &format!("\"$0\" up {file} >&- 2>&- <&-"));
    assert_eq!(run.code, Some(0), "{run:#?}");
    session.ok(["ls", &other]);
    let run = shell(session, &format!("\"$0\" down {other} >&- 2>&- <&-"));
    assert_eq!(run.code, Some(0), "{run:#?}");
}

fn colours(session: &Session) {
    let lab = session.up(PAIR);
    let show = format!("show {lab}/red");
    assert!(!shell(session, &format!("\"$0\" {show}")).ok().contains('\u{1b}'));
    if session.other("script").arg("--version").output().is_err() {
        return nslab_testing::skip("there is no script(1)");
    }
    let on_terminal = |before: &str| {
        let mut command = session.other("script");
        command.args(["-qec", &format!("{before} {} {show}", session.program().display()), "/dev/null"]);
        Run::of(command).ok()
    };
    assert!(on_terminal("").contains('\u{1b}'));
    assert!(!on_terminal("NO_COLOR=1").contains('\u{1b}'));
    assert!(on_terminal("NO_COLOR=").contains('\u{1b}'), "an empty one says nothing");
    assert!(!on_terminal("TERM=dumb").contains('\u{1b}'));
}

fn results_and_notes(session: &Session) {
    let (lab, file) = session.lab_file(PAIR);
    let run = session.run(["up", &file]).status(0);
    assert!(run.stderr.starts_with("lab ") && !run.stdout.contains("is up"), "{run:#?}");
    let run = session.run(["-q", "ping", "--lab", &lab]).status(0);
    assert!(!run.stdout.is_empty() && run.stderr.is_empty(), "{run:#?}");
    let run = session.run(["down", &lab, "-q"]).status(0);
    assert_eq!((run.stdout, run.stderr), (String::new(), String::new()));
    // JSON is the only thing on standard output, also when there is something to warn of.
    let overlap =
        "nodes: {a: {}, b: {}}\nlinks: [[a 10.0.0.1/24, b 10.0.0.2/24], [a 10.0.0.3/24, b 10.0.0.4/24]]\n";
    let (_, file) = session.lab_file(overlap);
    let run = session.run(["up", &file, "--json"]).status(0).says("warning[overlapping-subnets]");
    assert!(serde_json::from_str::<serde_json::Value>(&run.stdout).is_ok(), "{run:#?}");
}

fn ascii(session: &Session) {
    let lab = session.up(PAIR);
    let mut command = session.command(["show", &lab]);
    command.env("LC_ALL", "C");
    let text = Run::of(command).ok();
    assert!(text.is_ascii() && text.contains("red"), "{text}");
}
