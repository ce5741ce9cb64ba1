//! `doctor --host`.

use std::process::Command;

use serde_json::Value;

use crate::support::{Run, Session, as_root, as_user, each_user, keys};

each_user!(this_machine_is_ready, only_the_machine);
as_root!(what_is_read_only, a_firewall_that_drops);
as_user!(user_namespaces_that_are_forbidden);

fn find<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

fn schema(session: &Session, command: &str) -> Value {
    serde_json::from_str(&session.ok(["schema", command])).unwrap()
}

/// The report, whatever it says, and the exit status.
fn report(command: Command) -> (Value, Option<i32>) {
    let run = Run::of(command);
    (serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}")), run.code)
}

fn this_machine_is_ready(session: &Session) {
    let text = session.ok(["doctor", "--host"]);
    assert!(text.contains("ok       CONFIG_VETH") && text.contains("\nlabs can be built here"), "{text}");
    let report = session.json(["doctor", "--host"]);
    assert_eq!(keys(&report), ["checks", "ready"]);
    assert_eq!(report["ready"], true);
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(keys(check), ["fix", "name", "status", "text"]);
        assert!(["ok", "note", "warning"].contains(&check["status"].as_str().unwrap()), "{check}");
    }
    // What is printed is what the schema says.
    let schema = schema(session, "doctor-host");
    assert_eq!(keys(&report), keys(&schema["properties"]));
    assert_eq!(keys(&report["checks"][0]), keys(&schema["$defs"]["Row"]["properties"]));
    let mut names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each has a name of its own");
    // The kernel is asked, and says the same when a lab asks it.
    let dummy = "nodes: {a: {interfaces: {d0: {type: dummy}}}}\n";
    session.file("dummy.yaml", dummy);
    let lab = session.lab("dummy");
    let run = session.run(["up", "-q", "dummy.yaml", "--name", &lab]);
    let has = find(&report, "CONFIG_DUMMY")["status"] == "ok";
    run.status(if has { 0 } else { 3 });
    if has {
        session.ok(["down", &lab]);
    }
}

fn only_the_machine(session: &Session) {
    session.run(["doctor", "--host", "lab"]).status(2).says("cannot be used with");
    session.run(["doctor", "--host", "--snapshot", "x"]).status(2).says("cannot be used with");
}

fn shell(session: &Session, script: &str) -> Command {
    let mut shell = session.other("sh");
    shell.args(["-c", script, "sh"]).arg(session.program());
    shell
}

fn what_is_read_only(session: &Session) {
    let script = "exec unshare -m sh -c 'mount -o bind,ro /proc/sys /proc/sys && exec \"$0\" doctor --host --json' \"$1\"";
    let (report, code) = report(shell(session, script));
    assert_eq!((code, &report["ready"]), (Some(1), &false.into()));
    assert_eq!(find(&report, "/proc/sys")["status"], "lacking");
}

fn a_firewall_that_drops(session: &Session) {
    if nslab_testing::Nft::find().is_none() {
        return;
    }
    let script = "exec unshare -n sh -c 'nft \"table inet f { chain c { type filter hook forward priority 0; policy \
                  drop; }; }\" && exec \"$0\" doctor --host --json' \"$1\"";
    let (report, code) = report(shell(session, script));
    assert_eq!((code, &report["ready"]), (Some(0), &true.into()));
    let check = find(&report, "forward-policy");
    assert_eq!(check["status"], "warning");
    assert!(check["text"].as_str().unwrap().contains("chain c of table inet f"), "{check}");
}

fn user_namespaces_that_are_forbidden(session: &Session) {
    let script = "exec unshare -Ur sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all \
                  \"$0\" doctor --host --json' \"$1\"";
    let (report, code) = report(shell(session, script));
    assert_eq!((code, &report["ready"]), (Some(1), &false.into()));
    let check = find(&report, "user-namespaces");
    assert_eq!(check["status"], "lacking");
    assert_eq!(check["text"], "user.max_user_namespaces is 0");
    // What the kernel was built with is told all the same, as far as a file says it.
    assert_ne!(find(&report, "CONFIG_VETH")["status"], "lacking");
}
