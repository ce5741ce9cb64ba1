//! Words for namespaces on the command line, and namespaces that cannot be read.

use super::world::world;
use crate::support::{Session, as_user, each_user};

each_user!(targets_are_found_or_not, what_cannot_be_read_is_said);
// As root it would be on the host, together with all that others make there.
as_user!(a_users_own_namespaces);

/// Words for namespaces, on the command line of a host of its own.
fn targets_are_found_or_not(session: &Session) {
    let script = "
ns red blue other
cable red eth0 blue eth0
ip -n red addr add 10.0.0.1/24 dev eth0
ip netns exec other sleep 1000 &
until ip netns pids other | grep -q .; do sleep 0.01; done
pid=$(ip netns pids other)
settle
nslab up --empty lab -q
nslab node add a b --lab lab -q
nslab link add a:eth0 b:eth0 --lab lab -q
say() { echo \"== $*\"; \"$@\" 2>&1 || echo \"status $?\"; }
say nslab export lab
say nslab export lab other -q
say nslab export pid:$pid -q --name of-a-process
say nslab export red blue -q --resolved
say nslab export netns:rde
say nslab export lab/c
say nslab export netns:red nothing-like-it
say nslab export red --name host
say nslab export lab --name other
say nslab export red --host
say nslab export --host --topo tree
say nslab export --snapshot missing.nslab
say nslab export red blue -q --shell
nslab snapshot save a.nslab -q
say nslab export --snapshot a.nslab nobody
say nslab export --snapshot a.nslab lab -q
say nslab export host -q
nslab down lab -q
for name in red blue other; do ip netns del $name; done
kill $pid
until ! nslab scan | grep -q -e other -e pid; do sleep 0.01; done
say nslab export --host
";
    let shown = world(session, script).ok();
    let of = |command: &str| {
        let begin = format!("== nslab export {command}\n");
        let at = shown.find(&begin).unwrap_or_else(|| panic!("{command}: {shown}")) + begin.len();
        shown[at..].split("\n== ").next().unwrap().to_owned()
    };
    // A running lab is written down as ever.
    assert!(of("lab").starts_with("name: lab\naddressing: none\n"), "{}", of("lab"));
    let both = of("lab other -q");
    assert!(both.contains("# a: lab/a\n") && both.contains("  other: {}"), "{both}");
    let pid = shown.split("nslab export pid:").nth(1).unwrap().split(' ').next().unwrap();
    let process = of(&format!("pid:{pid} -q --name of-a-process"));
    assert!(process.contains("name: of-a-process\n") && process.contains("  other: {}"), "{process}");
    let resolved = of("red blue -q --resolved");
    assert!(resolved.starts_with("name: ") && resolved.contains(", red:eth0 10.0.0.1/24 "), "{resolved}");
    let script = of("red blue -q --shell");
    assert!(script.starts_with("#!/bin/sh\n") && script.contains(" type veth peer name eth0 "), "{script}");
    for (command, said) in [
        ("netns:rde", "did you mean \"netns:red\"?"),
        ("lab/c", "did you mean \"lab/a\"?"),
        (
            "netns:red nothing-like-it",
            "there is no lab \"nothing-like-it\", and no namespace of that name on this host",
        ),
        ("red --name host", "`host` cannot be used as a name"),
        ("lab --name other", "a running lab has its name"),
        ("red --host", "cannot be used with"),
        ("--host --topo tree", "cannot be used with"),
        ("--snapshot missing.nslab", "missing.nslab"),
        (
            "--snapshot a.nslab nobody",
            "there is no lab \"nobody\", and no namespace of that name in this snapshot",
        ),
        ("--host", "there is no namespace to describe besides the host's own"),
    ] {
        let said_there = of(command);
        assert!(said_there.contains(said) && said_there.contains("status 2"), "{command}: {said_there}");
    }
    let saved = of("--snapshot a.nslab lab -q");
    assert!(saved.contains("- [a:eth0 ") && !saved.contains("red"), "{saved}");
    // Alone and asked for it is a node like any other.
    assert!(of("host -q").contains("addressing: none\nrouting: none\nnodes:\n"), "{}", of("host -q"));
}

/// Beside an ordinary user's labs: namespaces that only processes keep.
fn a_users_own_namespaces(session: &Session) {
    let lab = session.up("nodes: {anchor: {}}\n");
    let pids = session.ok([
        "exec",
        "host",
        "--",
        "sh",
        "-ec",
        "unshare -n sleep 1000 > /dev/null 2>&1 & one=$!
        unshare -n sleep 1000 > /dev/null 2>&1 & two=$!
        for pid in $one $two; do
            until [ $(cat /proc/$pid/comm) = sleep ]; do :; done
            nsenter -t $pid -n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set lo up'
        done
        at() { pid=$1; shift; nsenter -t $pid -n ip \"$@\"; }
        at $one link add cable type veth peer name cable netns $two
        at $one addr add 10.0.0.1/24 dev cable
        at $one link set cable up
        at $two link set cable up
        echo $one $two",
    ]);
    let (one, two) = pids.trim().split_once(' ').unwrap();
    let json = session.json(["export", &format!("pid:{one}"), &format!("pid:{two}")]);
    let alone = session.run(["export", &format!("pid:{one}")]);
    let gone = format!("! readlink /proc/{one}/ns/net && ! readlink /proc/{two}/ns/net");
    let kill = format!("kill {one} {two}; until {{ {gone}; }} > /dev/null 2>&1; do :; done");
    session.ok(["exec", "host", "--", "sh", "-c", &kill]);
    let found = serde_json::json!([
        {"node": format!("sleep-{one}"), "namespace": format!("pid {one} (sleep)")},
        {"node": format!("sleep-{two}"), "namespace": format!("pid {two} (sleep)")},
    ]);
    assert_eq!((&json["nodes"], &json["skipped"]), (&found, &serde_json::json!([])), "{json:#}");
    assert_eq!(json["links"], 1);
    let schema: serde_json::Value = serde_json::from_str(&session.ok(["schema", "export"])).unwrap();
    assert_eq!(schema["title"], "nslab export --host --json");
    for key in schema["required"].as_array().unwrap() {
        assert!(!json[key.as_str().unwrap()].is_null(), "{key} of {schema:#}");
    }
    assert_eq!(schema["required"].as_array().unwrap().len(), json.as_object().unwrap().len());
    let cut = format!("its other end is pid {two} (sleep):cable, which is not described");
    alone.says(&format!("pid {one} (sleep): cable (10.0.0.1/24): {cut}")).ok();
    session.run(["export", &format!("pid:{one}")]).status(2);
    let copy = session.lab("copy");
    session.file("copy.yaml", json["lab_file"].as_str().unwrap());
    session.ok(["up", "copy.yaml", "--name", &copy, "-q"]);
    let shown =
        session.ok(["exec", &format!("{copy}/sleep-{one}"), "--", "ip", "-br", "addr", "show", "cable"]);
    assert!(shown.contains(" 10.0.0.1/24 "), "{shown}");
    session.ok(["down", &copy]);
    session.ok(["down", &lab]);
}

/// A snapshot in which a namespace could not be entered.
fn what_cannot_be_read_is_said(session: &Session) {
    let script = "
ns red blue
settle
nslab snapshot save whole.nslab -q
";
    world(session, script).ok();
    let text = std::fs::read_to_string(session.directory().join("whole.nslab")).unwrap();
    let mut snapshot: serde_json::Value = serde_json::from_str(&text).unwrap();
    let spaces = snapshot["namespaces"].as_array_mut().unwrap();
    let blue = spaces.iter_mut().find(|space| space["names"][0]["netns"] == "blue").unwrap();
    blue["contents"] = serde_json::json!({"unreadable": {"why": "it belongs to somebody else"}});
    session.file("part.nslab", snapshot.to_string());
    let all = session.run(["export", "--snapshot", "part.nslab"]);
    let all = all.says("netns:blue: the whole namespace: it could not be read: it belongs to somebody else");
    assert!(all.ok().contains("#   netns:blue: the whole namespace: it could not be read"));
    session
        .run(["export", "--snapshot", "part.nslab", "blue"])
        .status(3)
        .says("netns:blue could not be read: it belongs to somebody else")
        .says("take the snapshot as root");
}
