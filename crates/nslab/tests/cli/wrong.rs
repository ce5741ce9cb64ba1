//! Every wrong lab file of the table gets status 2 with each error's place, and nothing is made.

use crate::support::{Session, each_user};

each_user!(wrong_lab_files_are_refused);

const TABLE: &str = include_str!("../../../nslab-topology/tests/wrong.txt");

struct Case<'a> {
    title: &'a str,
    source: String,
    /// Kind and rest of each thing that is said.
    said: Vec<(&'a str, Vec<&'a str>)>,
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in TABLE.lines() {
        if let Some(title) = line.strip_prefix("####") {
            cases.push(Case { title: title.trim(), source: String::new(), said: Vec::new() });
            continue;
        }
        let case = cases.last_mut().expect("the table begins with a title");
        match line.strip_prefix(">> ") {
            Some(help) if help.starts_with(' ') => {}
            Some(said) => {
                let mut words = said.split(' ');
                case.said.push((words.next().unwrap(), words.collect()));
            }
            None => case.source = format!("{}{line}\n", case.source),
        }
    }
    cases
}

fn wrong_lab_files_are_refused(session: &Session) {
    let (mut wrong, mut doubtful) = (0, 0);
    for case in cases() {
        let name = session.lab("wrong");
        let file = format!("{name}.yaml");
        session.file(&file, &case.source);
        let set: &[&str] = if case.source.contains("vars: {n:") { &["--set", "n=3"] } else { &[] };
        let kinds: Vec<&str> = case.said.iter().map(|(kind, _)| *kind).collect();
        if kinds.contains(&"error") || kinds.contains(&"pending") {
            wrong += 1;
            let run = session.run(["up", &file].iter().chain(set)).status(2);
            assert!(run.stdout.is_empty(), "{}: {run:#?}", case.title);
            for (kind, words) in &case.said {
                let place = match *kind {
                    // Code and place.
                    "error" => {
                        assert!(
                            run.stderr.contains(&format!("error[{}]", words[0])),
                            "{}: {run:#?}",
                            case.title
                        );
                        format!("{file}:{}", words[1])
                    }
                    // A running number of a line.
                    "pending" => format!("line {}: ", words[0].split(':').next().unwrap()),
                    _ => continue,
                };
                assert!(run.stderr.contains(&place), "{}: no {place} in {run:#?}", case.title);
            }
            if kinds.contains(&"pending") && !kinds.contains(&"error") {
                assert!(run.stderr.contains("not built yet"), "{}: {run:#?}", case.title);
            }
        } else {
            doubtful += 1;
            let run = session.run(["plan", "--fresh", &file].iter().chain(set)).status(0);
            for (_, words) in &case.said {
                assert!(run.stderr.contains(&format!("warning[{}]", words[0])), "{}: {run:#?}", case.title);
            }
        }
        session.assert_no_holder();
        if session.is_root {
            session.assert_nothing_of(&name);
        }
    }
    assert!(wrong >= 60 && doubtful >= 5, "{wrong} wrong, {doubtful} doubtful");
}
