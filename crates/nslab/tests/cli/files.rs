//! Files that are no lab files, and lab files that are too much.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::{PAIR, Session, as_user, each_user};

each_user!(
    not_a_file,
    not_text,
    names_of_labs,
    names_of_nodes,
    the_world_is_no_subnet,
    a_billion_laughs,
    five_thousand_nodes,
    variables,
);
as_user!(an_unreadable_file, the_file_of_the_directory);

/// Runs `up` and `plan`, which must refuse the file and make nothing.
fn refused(session: &Session, file: &str, says: &str) {
    let before = Instant::now();
    for command in ["up", "plan"] {
        let run = session.run([command, file]).status(2).says(says);
        assert_eq!(run.stdout, "");
    }
    assert!(before.elapsed() < Duration::from_secs(100), "{file} takes {:?}", before.elapsed());
    session.assert_no_holder();
}

fn not_a_file(session: &Session) {
    session.fifo("fifo");
    refused(session, "fifo", "cannot read fifo: it is not a regular file");
    refused(session, ".", "cannot read .: it is a directory");
    refused(session, "/dev/zero", "it is not a regular file");
    refused(session, "missing.yaml", "cannot read missing.yaml: No such file or directory");
    refused(session, "missing/../..", "cannot read missing/../..: ");
    refused(session, "", "");
    refused(session, &"x".repeat(300), "File name too long");
    session.run(["up"]).status(2).says("there is no lab.yaml in this directory").says("help: nslab up FILE");
    std::os::unix::fs::symlink("loop", session.directory().join("loop")).unwrap();
    refused(session, "loop", "cannot read loop: ");
}

fn an_unreadable_file(session: &Session) {
    let path = session.file("secret.yaml", PAIR);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    refused(session, "secret.yaml", "cannot read secret.yaml: Permission denied");
}

fn not_text(session: &Session) {
    session.file("binary.yaml", [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0xff, 0xfe]);
    refused(session, "binary.yaml", "is not UTF-8 text (line 1)");
    session.file("latin.yaml", b"nodes:\n  caf\xe9: {}\n");
    refused(session, "latin.yaml", "is not UTF-8 text (line 2)");
    session.file("zero.yaml", b"nodes: {a: {}}\n\0");
    refused(session, "zero.yaml", "zero.yaml:2:1");
    session.file("empty.yaml", "");
    refused(session, "empty.yaml", "error[empty-file]");
    session.file("large.yaml", vec![b'#'; 9 << 20]);
    refused(session, "large.yaml", "it has 9 MiB, more than the 8 that a lab file may have");
}

/// Names that would be something else to a shell, a file system or a terminal.
const BAD_NAMES: [&str; 12] =
    ["..", ".", "a/b", "../../etc/passwd", "a b", "$(reboot)", "a;b", "-rf", "é", "a\nb", "\u{1b}[31m", "*"];

fn names_of_labs(session: &Session) {
    session.file("pair.yaml", PAIR);
    let long = "x".repeat(300);
    // Only where a lab is has `..` a directory to lead to.
    let lab = session.up(PAIR);
    for name in BAD_NAMES.into_iter().chain(["", "host", "all", &long]) {
        let named = format!("--name={name}");
        if name != "all" {
            session.run(["up", "pair.yaml", &named]).status(2).says("error");
            session.run(["up", &format!("--empty={name}")]).status(2).says("cannot be");
        }
        // As root this would take away the real /run if it were not refused.
        if !session.is_root || !name.contains("..") && name != "." {
            session.run(["down", "--", name]).status(2);
        }
        session.run(["ls", "--", name]).status(2);
        // That one is the host's own namespace.
        if name != "host" {
            session.run(["export", "--", name]).status(2);
        }
        session.run(["show", "--", &format!("{name}/red")]).status(2);
        session.run(["exec", "--", &format!("{name}/red"), "true"]).status(2);
        session.run(["node", "add", "x", &format!("--lab={name}")]).status(2);
    }
    session.ok(["ping", "--lab", &lab]);
}

fn names_of_nodes(session: &Session) {
    let lab = session.up(PAIR);
    let long = "x".repeat(300);
    let of = |name: &str| format!("{lab}/{name}");
    for name in BAD_NAMES.into_iter().chain(["", &long]) {
        session.run(["show", &of(name)]).status(2);
        session.run(["exec", &of(name), "--", "true"]).status(2);
        session.run(["ping", &of("red"), &of(name)]).status(2);
        session.run(["logs", &of(name)]).status(2);
        session.run(["node", "add", "--lab", &lab, "--", name]).status(2);
        session.run(["node", "del", "--lab", &lab, "--", name]).status(2);
        session.run(["switch", "add", "--lab", &lab, "--", name]).status(2);
        session.run(["link", "down", "--lab", &lab, "--", &format!("red:{name}")]).status(2);
        session.run(["addr", "add", "--lab", &lab, "--", "red:eth0", name]).status(2);
        session.run(["route", "add", "--lab", &lab, "red", "--", name]).status(2);
    }
    for name in ["..", ".", "a/b", "a b", "é", "a\nb", "\u{1b}[31m", "eth%d", "lo", "eth0", ""] {
        session.run(["link", "add", "--lab", &lab, "--", &format!("red:{name}"), "blue"]).status(2);
    }
    // Nothing of that changed anything.
    let run = session.run(["plan", &format!("{lab}.yaml")]).status(0);
    assert!(run.stdout.contains("there is nothing to do"), "{run:#?}");
    // What is nothing special to the kernel must not be to a shell that reads the script.
    session.ok(["link", "add", "--lab", &lab, "red:$(id);`id`", "blue:-a*"]);
    for script in
        [session.ok(["export", &lab, "--shell"]), session.ok(["plan", &format!("{lab}.yaml"), "--shell"])]
    {
        assert!(script.contains("$(id);`id`"), "{script}");
        assert!(!script.replace("'$(id);`id`'", "").contains("$(id)"), "{script}");
    }
    session.ok(["down", &lab]);
}

fn the_world_is_no_subnet(session: &Session) {
    let file = "world.yaml";
    session.file(file, "nodes: {a: {}, b: {}}\nlinks: [[a 0.0.0.0/0, b 10.0.0.1/24]]\n");
    refused(session, file, "world.yaml:2:12");
    let lab = session.up(PAIR);
    session
        .run(["addr", "add", "--lab", &lab, "red:eth0", "0.0.0.0/0"])
        .status(2)
        .says("nothing was changed");
}

fn a_billion_laughs(session: &Session) {
    let mut source = "l0: &l0 [ha]\n".to_owned();
    for level in 1..=30 {
        let below = format!("*l{}", level - 1);
        writeln!(source, "l{level}: &l{level} [{}]", vec![below; 10].join(", ")).unwrap();
    }
    session.file("laughs.yaml", source);
    refused(session, "laughs.yaml", "error[too-large]");
    session.file("deep.yaml", "[".repeat(100_000));
    refused(session, "deep.yaml", "deep.yaml:1:");
}

fn five_thousand_nodes(session: &Session) {
    session.file(
        "many.yaml",
        "nodes: {h: {count: 5000}}\nswitches: {s: {count: 5}}\nlinks:\n  - [\"h${i}\", \"s${i % 5 + 1}\", {count: 5000}]\n",
    );
    let began = Instant::now();
    let run = session.run(["plan", "--fresh", "many.yaml"]);
    // A bridge has room for 1023 ports, so these five are just too few.
    assert!(run.code == Some(0) || run.stderr.contains("error[too-many-ports]"), "{run:#?}");
    session.file("many.yaml", "nodes: {h: {count: 5000}}\n");
    let plan = session.json(["plan", "--fresh", "many.yaml"]);
    assert_eq!(plan["namespaces"].as_array().unwrap().len(), 5000);
    assert!(session.ok(["plan", "--fresh", "many.yaml"]).contains("more like these"));
    // In a build without optimisation, on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
    session.assert_no_holder();
}

fn variables(session: &Session) {
    session.file("vars.yaml", "vars: {size: 2}\nnodes: {h: {count: \"${size}\"}}\n");
    let count = |arguments: &[&str]| {
        let arguments = ["plan", "--fresh", "vars.yaml"].iter().chain(arguments);
        session.json(arguments)["namespaces"].as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["--set", "size=3"]), 3);
    let wrong = |set: &str| session.run(["up", "vars.yaml", "--set", set]).status(2);
    wrong("sizes=3").says("`sizes`").says("did you mean");
    wrong("size=many").says("bad-number");
    wrong("size=0");
    wrong("size");
    wrong("=3");
    session.assert_no_holder();
}

fn the_file_of_the_directory(session: &Session) {
    session.file("lab.yaml", format!("name: here\n{PAIR}"));
    session.ok(["up"]);
    session.ok(["up", "--empty", "other"]);
    // Of two labs the one that is meant here.
    assert!(session.ok(["show"]).contains("red"));
    assert_eq!(session.ok(["exec", "red", "--", "echo", "x"]), "x\n");
    assert!(session.ok(["plan"]).contains("nothing to do"));
    session.ok(["down"]);
    let labs = session.json(["ls"]);
    assert_eq!(labs.as_array().unwrap().len(), 1);
    assert_eq!(labs[0]["name"], "other");
}
