//! `up`, `plan`, `down`, `ls`, `show` and `export`.

use std::io::Read as _;
use std::process::Stdio;

use nslab_testing::Oracle;
use serde_json::Value;

use crate::support::{PAIR, Run, Running, Session, as_root, as_user, each_user, keys};

each_user!(
    up_twice_changes_nothing,
    up_converges,
    up_with_a_ping,
    plans,
    listed_as_json,
    shown,
    exported,
    down_tells_of_processes,
    a_lab_under_another_name,
);
as_user!(down_with_all, exported_as_a_script);
as_root!(after_a_crash_of_the_machine, down_spares_guests);

fn up_twice_changes_nothing(session: &Session) {
    let (lab, file) = session.lab_file(PAIR);
    let run = session
        .run(["up", &file])
        .status(0)
        .says(&format!("lab {lab} is up: 2 nodes, 0 switches, 1 link in "));
    assert!(run.stdout.contains("red:eth0 10.0.0.1/24") && run.stdout.contains("blue"), "{run:#?}");
    session.run(["up", &file]).status(0).says(&format!("lab {lab} is as the file says; nothing was changed"));
    let run = session.run(["up", "-q", &file]).status(0);
    assert_eq!((run.stdout, run.stderr), (String::new(), String::new()));
    let again = session.json(["up", &file]);
    assert_eq!(keys(&again), ["lab", "links", "milliseconds", "new", "nodes", "plan", "steps", "switches"]);
    assert_eq!((&again["new"], &again["steps"], &again["nodes"]), (&false.into(), &0.into(), &2.into()));
    session.run(["down", &lab]).status(0).says(&format!("lab {lab} is gone"));
    session.run(["down", &lab]).status(2);
    let built = session.json(["up", &file, "--ping"]);
    assert_eq!(built["new"], true);
    assert_eq!(built["ping"].as_array().unwrap().len(), 2);
    let down = session.json(["down", &lab]);
    assert_eq!(keys(&down[0]), ["lab", "milliseconds", "namespaces", "processes"]);
    assert_eq!(down[0]["namespaces"], 2);
}

fn up_converges(session: &Session) {
    let lab = session.up(PAIR);
    let file = format!("{lab}.yaml");
    session.file(&file, format!("name: {lab}\n{}", PAIR.replace("10.0.0.2/24", "10.0.0.7/24")));
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("10.0.0.7/24") && !plan.contains("red"), "{plan}");
    session.run(["up", &file]).status(0).says(&format!("lab {lab}: 2 changes in"));
    session.run(["ping", &format!("{lab}/red"), "10.0.0.7", "-c1"]).status(0);
    session.run(["ping", &format!("{lab}/red"), "10.0.0.2", "-c1", "-W0.2"]).status(1);
    // What somebody did by hand is a difference too.
    if Oracle::find().is_some() {
        session.ok(["exec", &format!("{lab}/blue"), "--", "ip", "link", "set", "eth0", "down"]);
        assert!(!session.ok(["plan", &file]).contains("nothing to do"));
        session.ok(["up", &file]);
        session.run(["ping", &format!("{lab}/red"), "10.0.0.7", "-c1"]).status(0);
    }
    // A file that is wrong changes nothing.
    session.file(&file, format!("name: {lab}\nnodes: {{red: {{}}, 'b l': {{}}}}\n"));
    session.run(["up", &file]).status(2);
    session.run(["ping", &format!("{lab}/red"), "10.0.0.7", "-c1"]).status(0);
}

fn up_with_a_ping(session: &Session) {
    let (_, file) = session.lab_file(PAIR);
    let run = session.run(["up", &file, "--ping"]).status(0);
    assert!(run.stdout.contains("all answered"), "{run:#?}");
    let parted = "nodes: {a: {}, b: {}, c: {}}\nlinks: [[a 10.0.0.1/24, b 10.0.0.2/24], [c 10.0.1.1/24, b 10.0.1.2/24]]\nrouting: none\n";
    let (_, file) = session.lab_file(parted);
    let run = session.run(["up", &file, "--ping"]).status(1);
    assert!(run.stdout.contains("✗"), "{run:#?}");
}

fn plans(session: &Session) {
    let (lab, file) = session.lab_file(PAIR);
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("red") && plan.ends_with("steps\n"), "{plan}");
    session.assert_no_holder();
    session.assert_nothing_of(&lab);
    let json = session.json(["plan", &file]);
    assert_eq!(keys(&json), ["lab", "namespaces", "notes", "stages"]);
    assert_eq!(json["lab"], lab);
    assert_eq!(keys(&json["stages"][0]), ["kind", "steps"]);
    assert_eq!(json["stages"][0]["kind"], "namespaces");
    let script = session.ok(["plan", &file, "--shell"]);
    assert!(
        script.starts_with("#!/bin/sh\n") && script.contains(&format!("ip netns add {lab}-red")),
        "{script}"
    );
    let mut sh = session.other("sh");
    sh.arg("-n");
    Run::with_input(sh, script.as_bytes()).ok();
    session.ok(["up", &file]);
    assert!(session.ok(["plan", &file]).contains("there is nothing to do"));
    assert_eq!(session.json(["plan", &file])["stages"], Value::Array(Vec::new()));
    assert_eq!(session.ok(["plan", &file, "--fresh"]), plan);
    assert_eq!(session.ok(["plan", &file, "--fresh", "--shell"]), script);
}

fn listed_as_json(session: &Session) {
    let lab = session.up("
nodes: {red: {run: [{name: idle, command: sleep infinity}]}, fw: {forward: true}}
switches: {br0: {}}
links: [[red:eth0 10.0.0.1/24, br0], [fw:eth0 10.0.0.2/24, br0]]
");
    let labs = session.json(["ls"]);
    let entry = labs.as_array().unwrap().iter().find(|one| one["name"] == lab).unwrap();
    assert_eq!(keys(entry), ["created", "file", "links", "name", "nodes", "status", "switches"]);
    assert_eq!((&entry["status"], &entry["links"]), (&"running".into(), &2.into()));
    let file = session.directory().canonicalize().unwrap().join(format!("{lab}.yaml"));
    assert_eq!(entry["file"], file.to_str().unwrap());
    let text = session.ok(["ls"]);
    assert!(text.contains("LAB") && text.contains(&lab) && text.contains("running"), "{text}");
    let nodes = session.json(["ls", &lab]);
    let names: Vec<&Value> = nodes.as_array().unwrap().iter().map(|node| &node["name"]).collect();
    assert_eq!(names, ["red", "fw", "br0"]);
    assert_eq!(keys(&nodes[0]), ["interfaces", "kind", "name", "namespace", "programs"]);
    assert_eq!(keys(&nodes[0]["interfaces"][0]), ["addresses", "name"]);
    assert_eq!((&nodes[0]["kind"], &nodes[1]["kind"]), (&"host".into(), &"router".into()));
    let program = &nodes[0]["programs"][0];
    assert_eq!(keys(program), ["command", "name", "pid", "started", "state"]);
    assert_eq!(program["state"], "running");
    assert!(program["started"].is_number(), "{program}");
    let text = session.ok(["ls", &lab]);
    assert!(text.contains("idle (running)") && text.contains(&format!("{lab}-br0")), "{text}");
}

fn shown(session: &Session) {
    let lab = session.up(PAIR);
    assert!(session.ok(["show", &lab]).contains("red:eth0 10.0.0.1/24"));
    let red = format!("{lab}/red");
    let text = session.ok(["show", &red]);
    assert!(text.contains("eth0") && text.contains("10.0.0.1/24") && text.contains("blue:eth0"), "{text}");
    let json = session.json(["show", &red]);
    assert_eq!(
        keys(&json),
        [
            "addresses",
            "fdb",
            "links",
            "namespace",
            "neighbours",
            "queues",
            "routes",
            "rules",
            "target",
            "vlans"
        ]
    );
    assert_eq!(json["target"], red);
    let by_name = session.json(["show", &format!("netns:{lab}-red")]);
    assert_eq!(by_name["namespace"], json["namespace"]);
    let topology = session.json(["show", &lab]);
    assert_eq!(keys(&topology), ["links", "name", "nodes", "segments", "switches"]);
    let mut running = crate::support::Running::start({
        let mut command = session.command(["exec", &red, "--", "sh", "-c", "echo; exec sleep infinity"]);
        command.stdin(std::process::Stdio::piped());
        command
    });
    let mut line = [0];
    std::io::Read::read_exact(running.child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let by_pid = session.json(["show", &format!("pid:{}", running.child.id())]);
    assert_eq!(by_pid["namespace"], json["namespace"]);
    running.send(rustix::process::Signal::KILL);
    running.end();
    assert!(session.ok(["show", "host"]).contains("lo"));
}

const DETAILED: &str = "
vars: {n: 3}
addressing: {ipv6: none}
nodes:
  r: {forward: true, sysctl: {net.ipv4.conf.all.rp_filter: 0}}
  h: {count: \"${n}\", env: {A: \"b c\"}}
  x: {addresses: [192.0.2.1/32], gateway: none, routes: [10.9.0.0/16 via r metric 7, blackhole 10.8.0.0/16]}
switches: {lan: {subnet: 10.1.0.0/24, mtu: 1400}}
links:
  - [r, lan]
  - [h, lan]
  - [r:up 10.2.0.1/30, x:down 10.2.0.2/30 02:00:00:00:00:77]
";

fn exported(session: &Session) {
    let lab = session.up(DETAILED);
    for form in [&["export", &lab][..], &["export", &lab, "--resolved"]] {
        let yaml = session.ok(form);
        session.file("exported.yaml", &yaml);
        let plan = session.ok(["plan", "exported.yaml"]);
        assert!(plan.contains("there is nothing to do"), "{form:?}:\n{yaml}\n{plan}");
    }
    // It says so if the kernel is not what is written down.
    if Oracle::find().is_some() {
        session.ok(["exec", &format!("{lab}/h1"), "--", "ip", "link", "set", "eth0", "mtu", "1300"]);
    }
    let run = session.run(["export", &lab]).status(0);
    assert!(Oracle::find().is_none() || run.stderr.contains("the kernel differs"), "{run:#?}");
}

fn exported_as_a_script(session: &Session) {
    if Oracle::find().is_none() {
        return;
    }
    let lab = session.up(DETAILED);
    // What ip(8) shows of each node, without numbers. `host` has mounts of its own as long as a command runs there, so
    // that the names which a script gives go away with it.
    let show = "for node in r h1 h3 x lan; do\n\
        for what in 'link' '-4 address' '-6 address' 'route' 'rule'; do ip -n LAB-$node -br $what; done\n\
        ip netns exec LAB-$node sysctl net.ipv4.ip_forward net.ipv4.conf.all.rp_filter\n\
        done | sed 's/@if[0-9]*//; s/NO-CARRIER,//; s/ DOWN / UP /' | tr -s ' ' | sort"
        .replace("LAB", &lab);
    let built = session.ok(["exec", "host", "--", "sh", "-ec", &show]);
    assert!(built.contains("10.1.0.1/24") && built.contains("blackhole 10.8.0.0/16"), "{built}");
    let script = session.ok(["export", &lab, "--shell"]);
    session.ok(["up", "--empty", "keeps-the-holder"]);
    session.ok(["down", &lab]);
    session.file("script.sh", &script);
    let by_hand = session.ok(["exec", "host", "--", "sh", "-ec", &format!("sh -e script.sh\n{show}")]);
    assert_eq!(by_hand, built, "{script}");
}

/// Enters a namespace by its main thread, and says so. Who only visits it has marked where it comes back to.
const ENTER: &str = r#"
import ctypes, fcntl, os, sys
home = os.open("/proc/self/ns/net", os.O_RDONLY)
if sys.argv[2] == "guest":
    fcntl.fcntl(home, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)
libc = ctypes.CDLL(None, use_errno=True)
# CLONE_NEWNET of linux/sched.h.
assert libc.setns(os.open(sys.argv[1], os.O_RDONLY), 0x40000000) == 0, os.strerror(ctypes.get_errno())
print("in", flush=True)
sys.stdin.read()
"#;

fn down_spares_guests(session: &Session) {
    let lab = session.up(PAIR);
    session.file("enter.py", ENTER);
    let enter = |how: &str| {
        let mut command = session.other("python3");
        command.args(["enter.py", &format!("/run/netns/{lab}-red"), how]).stdin(Stdio::piped());
        let mut running = Running::start(command);
        let mut said = [0; 3];
        running.child.stdout.take().unwrap().read_exact(&mut said).unwrap();
        running
    };
    let (mut guest, mut resident) = (enter("guest"), enter("resident"));
    let down = session.json(["down", &lab]);
    assert_eq!(down[0]["processes"], 1, "{down:#}");
    assert!(!resident.end().success());
    drop(guest.child.stdin.take());
    assert!(guest.end().success());
}

fn down_tells_of_processes(session: &Session) {
    let lab = session.up(PAIR);
    let mut command =
        session.command(["exec", &format!("{lab}/red"), "--", "sh", "-c", "echo; exec sleep infinity"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    session.run(["down", &lab]).status(0).says("ended 1 process in its namespaces");
    assert!(!running.end().success());
}

fn down_with_all(session: &Session) {
    let labs = [session.up(PAIR), session.up(PAIR), session.up(PAIR)];
    let down = session.json(["down", "--all"]);
    let mut gone: Vec<&str> =
        down.as_array().unwrap().iter().map(|one| one["lab"].as_str().unwrap()).collect();
    gone.sort_unstable();
    let mut labs = labs.each_ref().map(String::as_str);
    labs.sort_unstable();
    assert_eq!(gone, labs);
    session.assert_no_holder();
    assert_eq!(session.ok(["down", "--all", "--json"]), "[]\n");
}

fn a_lab_under_another_name(session: &Session) {
    let (one, other) = (session.lab("one"), session.lab("other"));
    session.file("pair.yaml", PAIR);
    for lab in [&one, &other] {
        session.run(["up", "pair.yaml", "--name", lab]).status(0).says(&format!("lab {lab} is up"));
        assert_eq!(session.json(["ls", lab])[0]["namespace"], format!("{lab}-red"));
    }
    session.run(["up", "pair.yaml", "--name", "a/b"]).status(2).says("a/b");
}

/// Where `/run` is on a disk, files are left of what the machine ran when it crashed, cut off or whole.
fn after_a_crash_of_the_machine(session: &Session) {
    let lab = session.up(PAIR);
    let file = format!("{lab}.yaml");
    let directory = std::path::Path::new("/run/nslab").join(&lab);
    let crash = || {
        rustix::mount::unmount(directory.join("ns"), rustix::mount::UnmountFlags::DETACH).unwrap();
        std::fs::write(directory.join("journal"), "{\"begin\":{\"bo").unwrap();
    };
    crash();
    session.run(["up", &file]).status(0);
    session.run(["ping", &format!("{lab}/red"), "10.0.0.2", "-c1"]).status(0);
    crash();
    let state = std::fs::read(directory.join("state.json")).unwrap();
    std::fs::write(directory.join("state.json"), &state[..state.len() / 2]).unwrap();
    session.run(["up", &file]).status(3).says("state.json is damaged").says("`nslab down LAB`");
    session.run(["down", &lab]).status(0);
    session.assert_nothing_of(&lab);
}
