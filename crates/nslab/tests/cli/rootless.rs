//! Labs of ordinary users.

use std::os::unix::fs::PermissionsExt;
use std::thread;

use crate::support::{PAIR, Run, Session, as_user, each_user};

as_user!(
    the_host_of_a_user,
    the_last_one_ends_the_holder,
    labs_of_two_users,
    labs_of_root,
    a_runtime_directory_of_others
);
each_user!(twenty_labs_at_once, two_at_one_lab);

fn the_host_of_a_user(session: &Session) {
    let lab = session.up(PAIR);
    assert_eq!(session.json(["ls"])[0]["name"], lab);
    if nslab_testing::Oracle::find().is_none() {
        return;
    }
    let mut shell = session.command(["shell", "host"]);
    shell.env("SHELL", "/bin/sh");
    let seen =
        Run::with_input(shell, format!("ip netns list\nip netns exec {lab}-red uname -s\n").as_bytes()).ok();
    let mut lines: Vec<&str> = seen.lines().map(|line| line.split(' ').next().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["Linux", &format!("{lab}-blue"), &format!("{lab}-red")]);
    // Nothing of it shows outside.
    assert!(!std::path::Path::new("/run/netns").join(format!("{lab}-red")).exists());
    assert!(!std::path::Path::new("/run/nslab").join(&lab).exists());
}

/// The processes called `nslab-holder` or `nslab-keeper` that were started for this session.
fn helpers(session: &Session) -> Vec<String> {
    let mark = session.directory().as_os_str().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let Ok(name) = std::fs::read_to_string(entry.path().join("comm")) else { continue };
        if name.starts_with("nslab") && environment.windows(mark.len()).any(|part| part == mark) {
            found.push(format!("{} {}", entry.file_name().display(), name.trim()));
        }
    }
    found
}

fn the_last_one_ends_the_holder(session: &Session) {
    // Who may look at another's process is a question of privilege; without, only the files tell.
    let may_look = rustix::process::geteuid().is_root();
    let runs = "nodes: {red: {run: [sleep infinity]}}\n";
    let (one, other) = (session.up(PAIR), session.up(runs));
    assert!(session.runtime().join("holder.sock").exists());
    assert!(!may_look || helpers(session).len() == 2, "{:?}", helpers(session));
    session.ok(["down", &one]);
    assert_eq!(session.ok(["exec", "red", "--", "uname", "-n"]), "red\n");
    session.ok(["down", &other]);
    assert!(!session.runtime().exists());
    // It has closed its connection when `down` returns, and has nothing to do but end; nobody can wait for what is not
    // one's child, so its end is looked for.
    let gone = (0..30_000).any(|_| {
        thread::yield_now();
        helpers(session).is_empty() || {
            thread::sleep(std::time::Duration::from_millis(2));
            false
        }
    });
    assert!(gone, "{:?}", helpers(session));
    assert_eq!(session.ok(["ls", "--json"]), "[]\n");
    let left: Vec<_> = std::fs::read_dir(session.runtime().parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What root has is not the user's, whether or not the user has labs.
fn labs_of_root(session: &Session) {
    let Some(root) = Session::of_root() else { return };
    let lab = root.up(PAIR);
    let red = format!("{lab}/red");
    for own in [false, true] {
        if own {
            session.ok(["up", "--empty", "own"]);
        }
        assert_eq!(session.json(["ls"]).as_array().unwrap().len(), usize::from(own));
        let wrong: [&[&str]; 7] = [
            &["down", &lab],
            &["ls", &lab],
            &["show", &red],
            &["exec", &red, "--", "true"],
            &["logs", &lab],
            &["ping", "--lab", &lab],
            &["node", "add", "x", "--lab", &lab],
        ];
        for arguments in wrong {
            let run = session.run(arguments).status(2);
            assert!(run.stderr.contains("no lab") || run.stderr.contains("no node"), "{run:#?}");
        }
        let file = root.directory().join(format!("{lab}.yaml"));
        assert!(session.ok([std::ffi::OsStr::new("plan"), file.as_os_str()]).contains("create"));
        session.ok(["down", "--all"]);
        session.assert_no_holder();
    }
    root.ok(["ping", "--lab", &lab]);
}

fn labs_of_two_users(session: &Session) {
    let Some(other) = Session::of_user() else { return };
    // Each has a lab of the same name, with the same addresses.
    for session in [session, &other] {
        session.file("same.yaml", format!("name: same\n{PAIR}"));
        session.ok(["up", "same.yaml"]);
    }
    session.ok(["down"]);
    assert_eq!(session.ok(["ls", "--json"]), "[]\n");
    other.ok(["ping"]);
    other.ok(["down"]);
}

fn a_runtime_directory_of_others(session: &Session) {
    std::fs::create_dir(session.runtime()).unwrap();
    session.hand_over(&session.runtime());
    std::fs::set_permissions(session.runtime(), std::fs::Permissions::from_mode(0o777)).unwrap();
    session.run(["up", "--empty", "x"]).status(3).says("help: chmod 700");
    session.run(["ls"]).status(3);
    std::fs::remove_dir(session.runtime()).unwrap();
}

fn twenty_labs_at_once(session: &Session) {
    let labs: Vec<(String, String)> = (0..20)
        .map(|_| {
            session.lab_file(
                "nodes: {h: {count: 3}}\nswitches: {lan: {}}\nlinks: [[h, lan]]\naddressing: {ipv6: none}\n",
            )
        })
        .collect();
    let each = |arguments: &(dyn Fn(&str, &str) -> Vec<String> + Sync)| {
        thread::scope(|scope| {
            for (lab, file) in &labs {
                scope.spawn(move || session.run(arguments(lab, file)).status(0));
            }
        });
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    each(&|_, file| words(&["up", file, "--ping"]));
    let running = session.json(["ls"]);
    let running: Vec<&str> =
        running.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(labs.iter().all(|(lab, _)| running.contains(&&lab[..])), "{running:?}");
    each(&|lab, _| words(&["down", lab]));
    session.assert_no_holder();
}

/// Many change one lab at the same time: one after the other does, and it ends up as one of them wanted it.
fn two_at_one_lab(session: &Session) {
    let (lab, file) = session.lab_file(PAIR);
    let runs: Vec<Run> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| session.run(["up", &file]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut new = 0;
    for run in runs {
        new += usize::from(run.status(0).stderr.contains("is up: 2 nodes"));
    }
    assert_eq!(new, 1);
    let runs: Vec<Run> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| session.run(["down", &lab]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(runs.iter().filter(|run| run.code == Some(0)).count(), 1, "{runs:#?}");
    assert!(runs.iter().all(|run| matches!(run.code, Some(0 | 2))), "{runs:#?}");
    session.assert_no_holder();
}
