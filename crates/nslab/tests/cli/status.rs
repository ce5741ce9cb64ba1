//! Exit statuses, and what goes with them.

use std::path::Path;

use nslab_testing::Oracle;

use crate::support::{PAIR, Run, Session, as_root, as_user, each_user};

each_user!(usage, help, unknown_names, an_unknown_lab_has_no_side_effects);
as_user!(which_lab);
as_root!(foreign_namespaces_are_left_alone);

fn usage(session: &Session) {
    let wrong = "|nosuch|up a b|up --empty|up --empty x file.yaml|up --empty x --set a=b|up --empty x --name y|up --set|up --nosuch\
        |plan --shell --json|plan a b|down a b|down a --all|ls a b|show a b|exec|exec red|shell|shell a b\
        |logs -n x|logs -n -1|logs a b c|ping a b c|ping -c 0|ping -c x|ping -c 100001|ping -i x|ping -i -1|ping -i nan\
        |ping -s 65468|ping -s -1|ping -W x|ping -t 0|ping -t 256|ping -4 -6|ping --from x a b|ping --from 10.0.0.1\
        |node|node add|node del|node nosuch|switch|switch add|link|link add|link add a|link del|link up|link up a b\
        |link add a b --mtu x|addr|addr add a|addr del a|route|route add|route add a|route del a\
        |export --shell --resolved|export --host a|completions|completions tcsh|man a|help|--json|-x";
    for line in wrong.split('|') {
        let run = session.run(line.split_whitespace()).status(2);
        assert_eq!(run.stdout, "", "{line}: {run:#?}");
        assert!(run.stderr.contains("Usage:") || run.stderr.contains("error:"), "{line}: {run:#?}");
    }
    session.assert_no_holder();
}

fn help(session: &Session) {
    let commands = "|up|plan|down|ls|show|exec|shell|logs|ping|node|node add|node del|switch|switch add|link|link add|link up\
        |addr|addr add|route|route add|export|completions|man";
    for command in commands.split('|') {
        for flag in ["-h", "--help"] {
            let run = session.run(command.split_whitespace().chain([flag])).status(0);
            assert!(run.stdout.contains("Usage: nslab") && run.stderr.is_empty(), "{run:#?}");
            assert!(!run.stdout.contains("__keeper"), "{run:#?}");
            let has_examples = command.contains(' ') || ["ls", "completions"].contains(&command);
            assert!(has_examples || run.stdout.contains("nslab "), "{run:#?}");
        }
    }
    let text = session.ok(["--help"]);
    assert!(text.contains("Exit status") && text.contains("Examples:"), "{text}");
    assert_eq!(session.ok(["--version"]), concat!("nslab ", env!("CARGO_PKG_VERSION"), "\n"));
}

fn unknown_names(session: &Session) {
    let lab = session.up(PAIR);
    // So that the lab has to be named.
    session.up("nodes: {other: {}}\n");
    // The name without its last digit may be another test's.
    let close = &format!("{lab}x")[..];
    let wrong: [&[&str]; 7] = [
        &["down", close],
        &["ls", close],
        &["export", close],
        &["node", "add", "x", "--lab", close],
        &["ping", "--lab", close],
        &["show", &format!("{close}/red")],
        &["exec", &format!("{close}/red"), "--", "true"],
    ];
    for arguments in wrong {
        let run = session.run(arguments).status(2).says(&format!("there is no lab \"{close}\""));
        assert!(session.is_root || run.stderr.contains(&format!("did you mean \"{lab}\"?")), "{run:#?}");
    }
    let node = format!("{lab}/rde");
    let wrong: [&[&str]; 6] = [
        &["show", &node],
        &["exec", &node, "--", "true"],
        &["shell", &node],
        &["ping", &node],
        &["ping", &format!("{lab}/blue"), "rde"],
        &["logs", &node],
    ];
    for arguments in wrong {
        let mut arguments = arguments.to_vec();
        // Here the lab has to be named apart from the node.
        if arguments == ["ping", &node] {
            arguments = vec!["ping", "rde", "--lab", &lab];
        }
        session
            .run(arguments)
            .status(2)
            .says(&format!("lab \"{lab}\" has no node \"rde\""))
            .says("did you mean \"red\"?");
    }
    let edits: [&[&str]; 5] = [
        &["node", "del", "rde"],
        &["link", "down", "red:eth9"],
        &["addr", "del", "red:eth0", "10.9.9.9/24"],
        &["route", "del", "red", "default", "via", "10.0.0.9"],
        &["switch", "del", "red"],
    ];
    for edit in edits {
        session.run(edit.iter().chain(&["--lab", &lab])).status(2).says("nothing was changed");
    }
    session.run(["show", "netns:nosuch"]).status(2).says("there is no namespace \"nosuch\"");
    for (target, says) in [
        ("netns:", "cannot be a namespace's name"),
        ("netns:..", "cannot be a namespace's name"),
        ("netns:a/b", "cannot be a namespace's name"),
        ("pid:x", "is not a process's number"),
        ("pid:0", "is not a process's number"),
        ("pid:-1", "is not a process's number"),
        ("pid:4194305", "there is no process"),
        ("container:no-such-container", "no container \"no-such-container\""),
    ] {
        session.run(["show", target]).status(2).says(says);
        session.run(["exec", target, "--", "true"]).status(2).says(says);
    }
}

fn an_unknown_lab_has_no_side_effects(session: &Session) {
    let lab = session.lab("nosuch");
    for command in ["down", "ls", "export", "show", "logs"] {
        session.run([command, &lab]).status(2);
        session.assert_no_holder();
        assert!(!Path::new("/run/nslab").join(&lab).exists());
    }
}

fn which_lab(session: &Session) {
    for arguments in [&["down"][..], &["show"], &["export"], &["ping"], &["logs"], &["node", "add", "x"]] {
        session.run(arguments).status(2).says("no lab is running").says("nslab up FILE");
    }
    assert_eq!(session.run(["ls"]).status(0).says("no lab is running").stdout, "");
    assert_eq!(session.ok(["ls", "--json"]), "[]\n");
    session.run(["down", "--all"]).status(0).says("no lab is running");
    session.assert_no_holder();
    let (one, other) = (session.up(PAIR), session.up("nodes: {green: {}, blue: {}}\n"));
    let mut both = [&*one, &*other];
    both.sort_unstable();
    session
        .run(["down"])
        .status(2)
        .says("which lab? 2 are running")
        .says(&format!("name one of: {}", both.join(", ")));
    // A node that only one of them has need not be qualified.
    assert_eq!(session.ok(["exec", "green", "--", "hostname"]), "green\n");
    let nodes = both.map(|lab| format!("{lab}/blue")).join(", ");
    session.run(["exec", "blue", "--", "hostname"]).status(2).says(&nodes);
    session.ok(["down", &one]);
    assert_eq!(session.ok(["exec", "blue", "--", "hostname"]), "blue\n");
    session.ok(["down"]);
    session.assert_no_holder();
}

fn foreign_namespaces_are_left_alone(session: &Session) {
    if Oracle::find().is_none() {
        return;
    }
    let (lab, file) = session.lab_file(PAIR);
    let foreign = format!("{lab}-blue");
    let ip = |arguments: &[&str]| {
        let mut command = session.other("ip");
        command.args(arguments);
        Run::of(command)
    };
    ip(&["netns", "add", &foreign]).ok();
    let inode = || rustix::fs::stat(Path::new("/run/netns").join(&foreign)).unwrap().st_ino;
    let before = inode();
    let run = session.run(["up", &file]);
    let after = inode();
    let directory = Path::new("/run/nslab").join(&lab).exists();
    let plan = session.run(["plan", &file]);
    ip(&["netns", "del", &foreign]).ok();
    run.status(2)
        .says(&format!("the namespace /run/netns/{foreign} exists and is not part of lab"))
        .says("nothing was changed");
    assert_eq!(before, after);
    assert!(!directory, "something of the lab was made");
    plan.status(0);
    session.ok(["up", &file]);
    // Neither does a lab take away what came to stand at its place.
    let link = Path::new("/run/netns").join(&foreign);
    std::fs::remove_file(&link).unwrap();
    std::fs::write(&link, "not ours").unwrap();
    session.ok(["down", &lab]);
    let kept = std::fs::read_to_string(&link);
    std::fs::remove_file(&link).unwrap();
    assert_eq!(kept.unwrap(), "not ours");
}
