//! Completions and manual.

use crate::support::{PAIR, Run, Session, as_user, each_user};

each_user!(manual, completion_scripts);
as_user!(names_are_completed);

fn manual(session: &Session) {
    let page = session.ok(["man"]);
    assert!(page.contains(".TH") && page.contains("nslab"), "{page}");
    let directory = session.directory().join("man");
    std::fs::create_dir(&directory).unwrap();
    session.hand_over(&directory);
    session.ok(["man", "--out", "man"]);
    let pages: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["nslab.1", "nslab-up.1", "nslab-exec.1", "nslab-link-add.1"] {
        assert!(pages.iter().any(|one| one == page), "{page} of {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("__")), "{pages:?}");
    session.run(["man", "--out", "/no/such/directory"]).status(3).says("cannot write the manual");
}

fn completion_scripts(session: &Session) {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = session.ok(["completions", shell]);
        assert!(script.contains("nslab") && script.contains("COMPLETE"), "{shell}: {script}");
        let mut check = session.other(shell);
        check.arg("-n");
        if ["bash", "fish", "zsh"].contains(&shell)
            && session.other(shell).arg("-c").arg(":").output().is_ok()
        {
            let run = Run::with_input(check, script.as_bytes()).status(0);
            assert_eq!(run.stderr, "", "{shell}");
        }
    }
}

fn names_are_completed(session: &Session) {
    // As the script for bash asks.
    let complete = |words: &[&str]| {
        let mut command = session.command(["--", "nslab"].iter().chain(words));
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        command
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true");
        let text = Run::of(command).ok();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(complete(&["exec", ""]).iter().all(|word| word.starts_with('-')));
    session.assert_no_holder();
    let lab = session.up(PAIR);
    for words in
        [&["exec", ""][..], &["shell", ""], &["show", ""], &["ping", ""], &["ping", "red", ""], &["logs", ""]]
    {
        let words = complete(words);
        assert!(words.contains(&"red".to_owned()) && words.contains(&"blue".to_owned()), "{words:?}");
    }
    assert_eq!(complete(&["exec", "b"]), ["blue"]);
    assert_eq!(complete(&["node", "del", "r"]), ["red"]);
    assert_eq!(complete(&["down", &lab[..3]]), std::slice::from_ref(&lab));
    assert_eq!(complete(&["ping", "--lab", &lab[..3]]), std::slice::from_ref(&lab));
    assert!(complete(&["do"]).contains(&"down".to_owned()));
    let other = session.up(PAIR);
    let words = complete(&["exec", ""]);
    assert!(words.contains(&format!("{other}/red")) && words.contains(&format!("{lab}/red")), "{words:?}");
    assert_eq!(complete(&["exec", &format!("{lab}/b")]), [format!("{lab}/blue")]);
}
