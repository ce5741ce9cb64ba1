//! Files, directories and users of a node's own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::{Session, as_root, as_user, each_user};

each_user!(
    a_node_has_its_own,
    programs_share_them,
    edited_in_place,
    mended,
    another_shape_starts_programs_anew,
    name_servers_are_among_them,
    what_cannot_be_copied,
    what_the_machine_lacks,
    paths_that_cannot_be,
    gone_after_a_crash,
);
as_root!(nothing_of_the_hosts_is_written, users);
as_user!(only_root_exists);

/// Runs a command line in a node.
fn sh(session: &Session, node: &str, line: &str) -> String {
    session.ok(["exec", node, "--", "sh", "-c", line])
}

/// The pid of a program.
fn pid(session: &Session, lab: &str, node: &str) -> u64 {
    let nodes = session.json(["ls", lab]);
    let node = nodes.as_array().unwrap().iter().find(|one| one["name"] == *node).unwrap();
    let program: &Value = &node["programs"][0];
    assert_eq!(program["state"], "running", "{program}");
    program["pid"].as_u64().unwrap()
}

const OWN: &str = "
vars: {n: 7}
nodes:
  a:
    private: true
    files:
      /etc/nslab-none/deep/f.conf: \"n is ${n}\\n\"
      /etc/nsswitch.conf: {content: secret, mode: 0600}
      /run/of-a/script: {content: \"#!/bin/sh\\necho ran\\n\", mode: 0755}
      /usr/nslab-copy: {from: source}
  b: {}
links: [[a, b]]
";

fn a_node_has_its_own(session: &Session) {
    session.file("source", b"bytes \xff\0 that are no text");
    let lab = session.up(OWN);
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    assert_eq!(sh(session, &a, "cat /etc/nslab-none/deep/f.conf; cat /etc/nsswitch.conf"), "n is 7\nsecret");
    assert_eq!(sh(session, &a, "stat -c '%a %u:%g' /etc/nsswitch.conf"), "600 0:0\n");
    assert_eq!(sh(session, &a, "/run/of-a/script; hostname; cat /etc/hostname | wc -l"), "ran\na\n1\n");
    let copied = "62797465 7320ff00 20746861 74206172 65206e6f 20746578 74".replace(' ', "");
    assert_eq!(sh(session, &a, "od -An -v -tx1 /usr/nslab-copy | tr -d ' \n'"), copied);
    // Private directories are empty, with the permissions that they have on the machine.
    assert_eq!(
        sh(session, &a, "ls /run; ls -A /tmp /var/tmp; stat -c %a /tmp"),
        "of-a\n/tmp:\n\n/var/tmp:\n1777\n"
    );
    // What was beside the new is there as well.
    assert_eq!(
        sh(session, &a, "test -r /etc/passwd && test -d /usr/bin && ls -d /etc/nslab-none"),
        "/etc/nslab-none\n"
    );
    // The directory of the command is in the private /tmp, and so not in sight.
    assert_eq!(session.ok(["exec", &a, "--", "pwd"]), "/\n");
    assert_eq!(sh(session, &a, "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo ");
    assert!(sh(session, &a, "cat /etc/hosts").contains(&format!("b.{lab}")));
    // Nobody else has any of it.
    assert_eq!(
        sh(session, &b, "ls /etc/nslab-none /usr/nslab-copy 2>/dev/null; pwd"),
        format!("{}\n", session.directory().display())
    );
    for path in ["/etc/nslab-none", "/usr/nslab-copy", "/run/of-a"] {
        assert!(!Path::new(path).exists(), "{path} is on the host");
    }
    let file = format!("{lab}.yaml");
    assert!(session.ok(["plan", &file]).contains("there is nothing to do"));
    // What was written down is the same lab again.
    let exported = session.ok(["export", &lab]);
    session.file("again.yaml", exported);
    assert!(session.ok(["plan", "again.yaml"]).contains("there is nothing to do"));
    session.ok(["down", &lab]);
    session.assert_nothing_of(&lab);
}

fn programs_share_them(session: &Session) {
    let lab = session.up(
        "
nodes:
  a:
    private: [/run/shared, /tmp]
    run:
      - {name: one, command: 'echo $PWD > /tmp/one; mv /tmp/one /run/shared/one; exec sleep infinity', ready: {file: /run/shared/one}}
      - {name: two, command: 'cat /run/shared/one; hostname changed; touch /tmp/two; exec sleep infinity', ready: {command: 'test -e /tmp/two'}}
  b: {private: [/run/shared]}
",
    );
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    // The lab file's directory is hidden by the private /tmp.
    assert_eq!(sh(session, &a, "cat /run/shared/one"), "/\n");
    assert_eq!(session.ok(["logs", &a, "two"]), "/\n");
    sh(session, &a, "echo more > /run/shared/more");
    assert_eq!(sh(session, &a, "cat /run/shared/more"), "more\n");
    assert_eq!(sh(session, &b, "ls /run/shared"), "");
    // An interactive shell is among them too.
    let mut shell = session.command(["shell", &a]);
    shell.env("SHELL", "/bin/sh");
    assert_eq!(crate::support::Run::with_input(shell, b"ls /run/shared\n").ok(), "more\none\n");
}

const SERVED: &str = "
nodes:
  a:
    private: [/run/of-a]
    files: {/etc/nsswitch.conf: CONTENT, /run/of-a/f: MORE}
    run: [{command: 'exec sleep infinity'}]
";

fn edited_in_place(session: &Session) {
    let (lab, file) = session.lab_file(&SERVED.replace("CONTENT", "one").replace("MORE", "same"));
    session.ok(["up", &file]);
    let a = format!("{lab}/a");
    let before = (pid(session, &lab, "a"), sh(session, &a, "stat -c %i /etc/nsswitch.conf"));
    session.file(
        &file,
        format!(
            "name: {lab}\n{}",
            SERVED.replace("CONTENT", "two").replace("MORE", "{content: same, mode: 0640}")
        ),
    );
    let plan = session.ok(["plan", &file]);
    assert!(
        plan.contains("a: write /etc/nsswitch.conf")
            && plan.contains("a: write /run/of-a/f")
            && plan.contains("2 steps"),
        "{plan}"
    );
    session.ok(["up", &file]);
    assert_eq!(sh(session, &a, "cat /etc/nsswitch.conf"), "two");
    assert_eq!(sh(session, &a, "stat -c %a /run/of-a/f"), "640\n");
    let after = (pid(session, &lab, "a"), sh(session, &a, "stat -c %i /etc/nsswitch.conf"));
    assert_eq!(after, before, "the program and the file are the same");
}

fn name_servers_are_among_them(session: &Session) {
    let text = "
nodes:
  a: {private: [/run/of-a], dns: [192.0.2.53, \"2001:db8::53\"], run: [{command: 'exec sleep infinity'}]}
  b: {files: {/etc/resolv.conf: \"nameserver 192.0.2.54\\n\"}, dns: [192.0.2.53]}
  c: {private: [/etc], dns: [192.0.2.55]}
  d: {private: [/run/of-d]}
";
    let (lab, file) = session.lab_file(text);
    session.ok(["up", &file]);
    let asks = |node: &str| sh(session, &format!("{lab}/{node}"), "cat /etc/resolv.conf");
    assert_eq!(asks("a"), "nameserver 192.0.2.53\nnameserver 2001:db8::53\n");
    // What the lab file says is in the file stands before.
    assert_eq!(asks("b"), "nameserver 192.0.2.54\n");
    assert_eq!(asks("c"), "nameserver 192.0.2.55\n");
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    assert_eq!(sh(session, &format!("{lab}/d"), "cat /etc/resolv.conf 2>/dev/null || true"), host);
    // Others are written in place, below the programs.
    let before = pid(session, &lab, "a");
    session.file(&file, format!("name: {lab}\n{}", text.replace("2001:db8::53", "2001:db8::54")));
    assert!(session.ok(["plan", &file]).contains("a: write /etc/resolv.conf"));
    session.ok(["up", &file]);
    assert_eq!(asks("a"), "nameserver 192.0.2.53\nnameserver 2001:db8::54\n");
    assert_eq!(pid(session, &lab, "a"), before);
    session.ok(["down", &lab]);
    assert_eq!(std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), host);
}

fn mended(session: &Session) {
    let (lab, file) = session.lab_file(&SERVED.replace("CONTENT", "one").replace("MORE", "two"));
    session.ok(["up", &file]);
    let a = format!("{lab}/a");
    sh(session, &a, "echo broken > /etc/nsswitch.conf; rm /run/of-a/f; mkfifo /run/of-a/f");
    session.run(["up", &file]).status(3).says("write /run/of-a/f of a");
    sh(session, &a, "rm /run/of-a/f");
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("2 steps"), "{plan}");
    session.ok(["up", &file]);
    assert_eq!(sh(session, &a, "cat /etc/nsswitch.conf /run/of-a/f"), "onetwo");
    // An edit of something else keeps the files.
    let before = pid(session, &lab, "a");
    session.ok(["node", "add", "c", "--lab", &lab]);
    assert_eq!(
        (pid(session, &lab, "a"), sh(session, &a, "cat /etc/nsswitch.conf")),
        (before, "one".to_owned())
    );
}

fn another_shape_starts_programs_anew(session: &Session) {
    let (lab, file) = session.lab_file(&SERVED.replace("CONTENT", "one").replace("MORE", "two"));
    session.ok(["up", &file]);
    let a = format!("{lab}/a");
    let before = pid(session, &lab, "a");
    sh(session, &a, "echo kept > /run/of-a/not");
    session.file(&file, format!("name: {lab}\n{}", SERVED.replace("[/run/of-a]", "[/run/of-a, /run/more]")));
    session.ok(["up", &file]);
    assert_ne!(pid(session, &lab, "a"), before);
    assert_eq!(sh(session, &a, "ls /run/of-a; test -d /run/more && echo there"), "f\nthere\n");
    session
        .file(&file, format!("name: {lab}\nnodes: {{a: {{run: [{{command: 'exec sleep infinity'}}]}}}}\n"));
    session.ok(["up", &file]);
    assert_eq!(sh(session, &a, "ls -d /run/of-a 2>/dev/null || echo none"), "none\n");
    pid(session, &lab, "a");
}

fn what_cannot_be_copied(session: &Session) {
    session.fifo("fifo");
    session.file("large", vec![b'x'; (1 << 20) + 1]);
    let text = "
nodes:
  a:
    files:
      /etc/a: {from: none}
      /etc/b: {from: fifo}
      /etc/c: {from: large}
      /etc/d: {from: /}
";
    let (lab, file) = session.lab_file(text);
    session
        .run(["up", &file])
        .status(2)
        .says("cannot read none: No such file or directory")
        .says(&format!("{file}:6:22"))
        .says("cannot read fifo: it is no regular file")
        .says("cannot read large: it has more than 1048576 bytes")
        .says("cannot read /: it is a directory");
    session.assert_nothing_of(&lab);
}

fn what_the_machine_lacks(session: &Session) {
    let text = "
nodes:
  a:
    count: 2
    run: [[no-such-program, x], [/usr/lib/no-such/daemon, x]]
  b:
    private: [{path: /run/of-b, owner: no-such-user}]
    files: {/run/of-b/x: {content: x, owner: 'root:no-such-group'}}
  c: {run: [[no-such-program, x]], user: no-such-other}
  d:
    files: {/opt/bin/mine: {content: \"#!/bin/sh\\nexec sleep infinity\\n\", mode: 0755}}
    run: [[/opt/bin/mine, x]]
";
    let (lab, file) = session.lab_file(text);
    for command in ["up", "plan"] {
        session
            .run([command, &file])
            .status(3)
            .says("a1, a2, c: there is no program \"no-such-program\" in PATH on this machine")
            .says("a1, a2: there is no program /usr/lib/no-such/daemon on this machine")
            .says("b: there is no user \"no-such-user\" on this machine")
            .says("b: there is no group \"no-such-group\" on this machine")
            .says("c: there is no user \"no-such-other\" on this machine");
    }
    session.assert_nothing_of(&lab);
    // One that the node brings along is there, and one that is yet to be made may be named. It gets its name
    // when it is whole: a program that is still being written cannot be run (ETXTBSY).
    session.up("
nodes:
  d:
    files: {/opt/bin/mine: {content: \"#!/bin/sh\\nexec sleep infinity\\n\", mode: 0755}}
    run: [[/opt/bin/mine, x]]
  e:
    env: {PATH: /opt/bin:/usr/bin:/bin}
    files: {/opt/bin/mine: {content: \"#!/bin/sh\\nexec sleep infinity\\n\", mode: 0755}}
    run: [[mine, x], {command: 'cp /bin/sleep part && mv part made && exec sleep infinity', ready: {command: 'test -x made'}}, [./made, infinity]]
");
}

fn paths_that_cannot_be(session: &Session) {
    for (own, what) in [
        ("private: [/etc/passwd]", "/etc/passwd is not a directory on this machine"),
        ("files: {/etc: x}", "/etc is a directory on this machine"),
        (
            "files: {/etc/passwd/x: x}",
            "/etc/passwd/x leads through something that is not a directory on this machine",
        ),
        ("files: {/nslab-none/x: x}", "nothing can be added to the root directory"),
    ] {
        let (lab, file) = session.lab_file(&format!("nodes: {{a: {{{own}}}, b: {{}}}}\nlinks: [[a, b]]\n"));
        session.run(["up", &file]).status(3).says(what);
        session.assert_nothing_of(&lab);
    }
}

fn gone_after_a_crash(session: &Session) {
    let lab = session.up(&SERVED.replace("CONTENT", "one").replace("MORE", "two"));
    // Its keeper and its program go without a word.
    let program = pid(session, &lab, "a");
    let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap();
    let keeper: i32 = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    for pid in [keeper, i32::try_from(program).unwrap()] {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    // The files do not depend on them.
    assert_eq!(sh(session, &format!("{lab}/a"), "cat /etc/nsswitch.conf /run/of-a/f"), "onetwo");
    session.ok(["down", &lab]);
    session.assert_nothing_of(&lab);
}

fn nothing_of_the_hosts_is_written(session: &Session) {
    let path = Path::new("/etc/nsswitch.conf");
    let before = std::fs::read(path).unwrap();
    let (lab, file) = session.lab_file(&SERVED.replace("CONTENT", "one").replace("MORE", "two"));
    session.ok(["up", &file]);
    let a = format!("{lab}/a");
    let first = pid(session, &lab, "a");
    // By hand the host's file comes to light again, inside; it is not taken for the node's.
    sh(session, &a, "umount /etc/nsswitch.conf");
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("take its own files and directories away"), "{plan}");
    session.ok(["up", &file]);
    assert_eq!(sh(session, &a, "cat /etc/nsswitch.conf"), "one");
    assert_ne!(pid(session, &lab, "a"), first);
    assert_eq!(std::fs::read(path).unwrap(), before);
}

fn users(session: &Session) {
    std::fs::set_permissions(session.directory(), PermissionsExt::from_mode(0o755)).unwrap();
    let lab = session.up(
        "
nodes:
  a:
    user: nobody
    private: [{path: /run/of-a, owner: nobody, mode: 0700}]
    files: {/run/of-a/f: {content: x, owner: 'nobody:0', mode: 0400}}
    run:
      - {name: one, command: 'id -un; cat /run/of-a/f; echo; echo $HOME $USER; grep CapEff /proc/self/status', ready: exit, timeout: 60s}
      - {name: two, command: 'id -u', user: root, ready: exit, timeout: 60s}
      - {name: three, command: 'id -u; id -g; id -G', user: 12345, ready: exit, timeout: 60s}
  b: {}
",
    );
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    let home = "/nonexistent nobody";
    let one = session.ok(["logs", &a, "one"]);
    assert_eq!(one, format!("nobody\nx\n{home}\nCapEff:\t0000000000000000\n"));
    assert_eq!(session.ok(["logs", &a, "two"]), "0\n");
    assert_eq!(session.ok(["logs", &a, "three"]), "12345\n12345\n12345\n");
    assert_eq!(session.ok(["exec", &a, "--", "id", "-un"]), "nobody\n");
    assert_eq!(session.ok(["exec", "-u", "root", &a, "--", "id", "-un"]), "root\n");
    assert_eq!(
        session.ok([
            "exec",
            "--user",
            "nobody",
            &b,
            "--",
            "sh",
            "-c",
            "echo $USER; stat -c '%U:%g %a' /run/of-a 2>/dev/null; id -u"
        ]),
        "nobody\n65534\n"
    );
    assert_eq!(
        session.ok(["exec", "-u", "0", &a, "--", "stat", "-c", "%U:%g %a", "/run/of-a", "/run/of-a/f"]),
        "nobody:65534 700\nnobody:0 400\n"
    );
    session
        .run(["exec", "-u", "no-such-user", &b, "--", "true"])
        .status(3)
        .says("there is no user \"no-such-user\"");
}

fn only_root_exists(session: &Session) {
    let (lab, file) = session.lab_file(
        "nodes: {a: {user: daemon, files: {/etc/x: {content: x, owner: '1:0'}}, run: [{command: id}]}}\n",
    );
    session
        .run(["up", &file])
        .status(3)
        .says("the user daemon (1) does not exist in the user namespace that this lab is in")
        .says("as an ordinary user there is only root");
    session.assert_nothing_of(&lab);
    let lab = session.up("nodes: {a: {user: root}}\n");
    assert_eq!(session.ok(["exec", "-u", "0", &format!("{lab}/a"), "--", "id", "-u"]), "0\n");
}
