//! Files of several shapes: each gives the lab file and the list of what was skipped that stand beside it in
//! `NAME.expected`. `NSLAB_UPDATE_EXPECTED=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use nslab_import::kathara::Files;
use nslab_import::{Found, Imported, Options, Source, Surroundings, containerlab, kathara};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// What is in a directory of these tests.
struct Beside<'a>(&'a Path);

impl Surroundings for Beside<'_> {
    fn look(&self, path: &str) -> Found {
        let path = self.0.join(path);
        if path.is_dir() {
            let mut files = BTreeMap::new();
            let mut open = vec![path.clone()];
            while let Some(next) = open.pop() {
                for entry in entries(&next) {
                    if entry.is_dir() {
                        open.push(entry);
                        continue;
                    }
                    let within = entry.strip_prefix(&path).unwrap().to_str().unwrap().to_owned();
                    files.insert(within, entry.metadata().unwrap().len());
                }
            }
            return Found::Directory(files);
        }
        match path.metadata() {
            Ok(found) if found.is_file() => Found::File(found.len()),
            Ok(_) => Found::Other,
            Err(_) => Found::Nothing,
        }
    }

    fn has_directory(&self, path: &str) -> bool {
        ["/etc", "/srv", "/var", "/root", "/usr"].contains(&path)
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(path)).ok()
    }
}

/// Everything that an import says.
fn shown(imported: &Imported) -> String {
    let mut text = imported.lab_file.clone();
    text.push_str("--- skipped\n");
    for one in &imported.skipped {
        let what = one.what.replace('\n', "\n    ");
        writeln!(text, "{}: {what}\n    {}", one.place, one.why).unwrap();
    }
    for note in &imported.notes {
        writeln!(text, "note: {note}").unwrap();
    }
    text
}

fn compare(expected: &Path, imported: &Imported) {
    let got = shown(imported);
    if std::env::var_os("NSLAB_UPDATE_EXPECTED").is_some() {
        std::fs::write(expected, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(expected).unwrap_or_default(), "{}", expected.display());
    let loaded = nslab_topology::load(&imported.lab_file, "imported.yaml", &[]);
    let loaded = loaded.unwrap_or_else(|wrong| panic!("{}: {wrong}", expected.display()));
    assert_eq!(loaded.topology.nodes.len(), imported.nodes);
    assert_eq!(loaded.topology.links.len(), imported.links);
    assert_eq!(loaded.topology.name, imported.lab);
}

fn topology_files() -> Vec<PathBuf> {
    entries(&Path::new(TESTS).join("containerlab"))
        .into_iter()
        .filter(|path| name_of(path).contains(".clab.y") && !name_of(path).ends_with(".expected"))
        .collect()
}

#[test]
fn topology_files_of_containerlab() {
    let files = topology_files();
    assert!(files.len() >= 8);
    for path in files {
        let text = read(&path);
        let source = Source { name: name_of(&path), text: &text };
        let imported = containerlab::import(&source, &Options::default(), &Beside(path.parent().unwrap()))
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        compare(&path.with_file_name(format!("{}.expected", name_of(&path))), &imported);
    }
}

#[test]
fn with_everything_and_with_stand_ins() {
    for path in topology_files() {
        let text = read(&path);
        let source = Source { name: name_of(&path), text: &text };
        let options = Options { run_all: true, stand_ins: true };
        let imported = containerlab::import(&source, &options, &Beside(path.parent().unwrap()))
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        nslab_topology::load(&imported.lab_file, "imported.yaml", &[])
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        if name_of(&path).starts_with("clos") {
            assert_eq!((imported.nodes, imported.links), (6, 5));
            assert!(imported.lab_file.contains("[ceos1:eth1, spine1:ethernet-1-3]"), "{}", imported.lab_file);
        }
        if name_of(&path).starts_with("firewall") {
            assert!(
                imported.lab_file.contains("iptables-restore /etc/iptables.rules"),
                "{}",
                imported.lab_file
            );
        }
    }
}

/// Reads a lab's directory as the command line does.
fn with_files<T>(directory: &Path, work: impl FnOnce(&Files<'_>) -> T) -> T {
    let mut texts = BTreeMap::new();
    let mut directories = Vec::new();
    for path in entries(directory) {
        let name = name_of(&path).to_owned();
        if path.is_dir() {
            directories.push(name);
        } else {
            texts.insert(name, read(&path));
        }
    }
    let mut files = Files { directory: name_of(directory), ..Files::default() };
    files.directories = directories.iter().map(String::as_str).collect();
    for (name, text) in &texts {
        files.take(Source { name, text });
    }
    work(&files)
}

#[test]
fn labs_of_kathara() {
    let labs: Vec<PathBuf> =
        entries(&Path::new(TESTS).join("kathara")).into_iter().filter(|path| path.is_dir()).collect();
    assert!(labs.len() >= 4);
    for path in labs {
        let imported = with_files(&path, |files| kathara::import(files, &Options::default(), &Beside(&path)))
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        compare(&path.with_extension("expected"), &imported);
        let options = Options { run_all: true, ..Options::default() };
        with_files(&path, |files| kathara::import(files, &options, &Beside(&path))).unwrap();
    }
}

#[test]
fn nothing_is_lost_in_silence() {
    // Every command of these files is in the lab file, or among what was skipped.
    for path in topology_files() {
        let text = read(&path);
        let imported = containerlab::import(
            &Source { name: name_of(&path), text: &text },
            &Options::default(),
            &Beside(path.parent().unwrap()),
        )
        .unwrap();
        for (index, line) in text.lines().enumerate() {
            let Some(command) = line
                .trim()
                .strip_prefix("- ")
                .filter(|command| line.starts_with("        - ") && command.contains(' '))
            else {
                continue;
            };
            // Items of another list.
            if command.split(' ').next().is_some_and(|word| word.ends_with(':') && word != "command:") {
                continue;
            }
            let at = index + 1;
            let mark = format!("{}:{at}", name_of(&path));
            let kept = imported.lab_file.lines().any(|line| {
                line.split_once("# ").is_some_and(|(_, comment)| {
                    comment.split([' ', ',']).any(|word| covers(word, name_of(&path), at))
                })
            });
            // An address becomes part of its link's line, and what is set twice is there once.
            let in_a_link = command.contains("addr")
                || command.contains(" a add")
                || command.contains("ifconfig")
                || command.contains("link set");
            let quiet = command.contains("forwarding=1");
            let skipped = imported.skipped.iter().any(|one| one.place.line == at);
            let skipped = skipped || imported.notes.iter().any(|note| note.starts_with(&format!("{mark}: ")));
            let kind_is_skipped = imported.skipped.iter().any(|one| one.what.starts_with("node "));
            assert!(kept || in_a_link || quiet || skipped || kind_is_skipped, "{mark}: {command}");
        }
    }
}

/// Whether `FILE:LINE` or `FILE:FROM-TO` covers a line.
fn covers(word: &str, file: &str, line: usize) -> bool {
    let Some(lines) = word.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')) else { return false };
    let (from, to) = lines.split_once('-').unwrap_or((lines, lines));
    matches!((from.parse::<usize>(), to.parse::<usize>()), (Ok(from), Ok(to)) if (from..=to).contains(&line))
}
