//! Commands that configure a network, understood: they become addresses, routes and sysctls of the lab file.
//!
//! Of the rest, those that touch nothing but the network are kept as commands (`setup`); all others were written for the
//! files of a container, would run on this machine's, and are carried over only if that is asked for.

mod ip;
mod net_tools;
mod programs;
mod route;
mod sysctl;

use std::collections::HashMap;

use crate::draft::{Draft, Line};
use crate::script::{self, Piece, Simple};
use crate::{Options, Place, Surroundings};

/// What came of a command.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is in the lab file.
    Done,
    /// It is about the network, but a lab file has no word for it: it is to be run.
    Run,
    /// It is not carried over, and why.
    Skip(String),
    /// The script ends here.
    End,
}

impl Outcome {
    fn skip(why: impl Into<String>) -> Self {
        Self::Skip(why.into())
    }
}

/// Carries over the commands of one node.
pub(crate) struct Interpreter<'a> {
    pub(crate) draft: &'a mut Draft,
    pub(crate) node: usize,
    pub(crate) options: Options,
    /// What is beside the file that is imported: a node's own files are from there.
    pub(crate) surroundings: &'a dyn Surroundings,
    /// Files that are scripts and are being read now: one of them may call itself.
    pub(crate) reading: Vec<String>,
    /// Variables of the shell.
    pub(crate) variables: HashMap<String, String>,
}

impl Interpreter<'_> {
    /// A script for a shell; `place` gives a line's place.
    pub(crate) fn script(&mut self, text: &str, place: &dyn Fn(usize) -> Place) {
        let mut variables = std::mem::take(&mut self.variables);
        let pieces = script::split(text, &mut variables);
        self.variables = variables;
        for piece in pieces {
            match piece {
                Piece::Simple(simple) => {
                    if !self.simple(&simple, &place(simple.line)) {
                        return;
                    }
                }
                Piece::Opaque { text, line, what } => self.opaque(&text, what, &place(line)),
            }
        }
    }

    /// A command line that is started without a shell.
    pub(crate) fn exec(&mut self, text: &str, place: &Place) {
        let Some(words) = script::words(text) else {
            self.draft.skip(place, text, "a quote in it is not closed");
            return;
        };
        if let Some(inner) = shell_script(&words) {
            self.script(inner, &|_| place.clone());
            return;
        }
        let simple = Simple { words, text: text.trim().to_owned(), line: 1, ..Simple::default() };
        self.simple(&simple, place);
    }

    /// A program that is to go on running, started without a shell.
    pub(crate) fn daemon(&mut self, text: &str, place: &Place) {
        let Some(words) = script::words(text) else {
            self.draft.skip(place, text, "a quote in it is not closed");
            return;
        };
        let simple = Simple { words, text: text.trim().to_owned(), background: true, ..Simple::default() };
        if programs::is_idle(&simple.words) || self.own_script(&simple, place) {
            return;
        }
        self.skip(&simple, format!("it may need a container's files; {}", programs::RUN_ALL), place);
    }

    /// One command; false if the script ends with it.
    fn simple(&mut self, simple: &Simple, place: &Place) -> bool {
        let mut simple = simple.clone();
        while matches!(simple.words.first().map(String::as_str), Some("sudo" | "exec" | "command" | "nohup"))
        {
            simple.words.remove(0);
        }
        if simple.words.is_empty() {
            return true;
        }
        if let Some(inner) =
            shell_script(&simple.words).filter(|_| !simple.unknown && simple.output.is_none())
        {
            let inner = inner.to_owned();
            self.script(&inner, &|_| place.clone());
            return true;
        }
        if !simple.background && self.own_script(&simple, place) {
            return true;
        }
        match self.understand(&simple, place) {
            Outcome::Done => {}
            Outcome::End => return false,
            Outcome::Run => self.keep_setup(&simple.text, place),
            // Written for a container's files, and the node has those.
            Outcome::Skip(_) if programs::is_for_files(&simple) && self.has_own_files(&simple) => {
                self.keep_setup(&simple.text, place);
            }
            Outcome::Skip(why) => self.skip(&simple, why, place),
        }
        true
    }

    fn understand(&mut self, simple: &Simple, place: &Place) -> Outcome {
        let words: Vec<&str> = simple.words.iter().map(String::as_str).collect();
        let program = programs::base_name(words[0]);
        if simple.unknown {
            return programs::judge(simple);
        }
        if let Some(path) = &simple.output {
            return match (program, path.strip_prefix("/proc/sys/"), &words[1..]) {
                ("echo" | "printf", Some(key), [value]) => {
                    self.sysctl(key, value.trim_end_matches("\\n"), simple, place)
                }
                _ => programs::judge(simple),
            };
        }
        if simple.background {
            return programs::judge(simple);
        }
        match program {
            "ip" => self.ip(&words[1..], simple, place),
            "ifconfig" => self.ifconfig(&words[1..], simple, place),
            "route" => self.net_route(&words[1..], simple, place),
            "arp" => self.arp(&words[1..], simple, place),
            "sysctl" => self.sysctls(&words[1..], simple, place),
            "exit" | "return" => Outcome::End,
            _ => programs::judge(simple),
        }
    }

    /// Whether a command runs a script that is one of the node's own files: then it is read as if it stood here.
    fn own_script(&mut self, simple: &Simple, place: &Place) -> bool {
        if simple.unknown || simple.output.is_some() {
            return false;
        }
        let words: Vec<&str> = simple.words.iter().map(String::as_str).collect();
        let path = match words[..] {
            [shell, path] if programs::is_shell(shell) => path,
            [path] => path,
            _ => return false,
        };
        let Some(source) = self.draft.nodes[self.node].source(path).map(str::to_owned) else {
            return false;
        };
        let text = self.surroundings.text(&source).filter(|text| {
            let first = text.lines().next().unwrap_or_default();
            words.len() == 2 || first.strip_prefix("#!").is_some_and(|line| line.ends_with("sh"))
        });
        let Some(text) = text.filter(|_| !self.reading.contains(&source)) else { return false };
        let note = format!("{place}: instead of `{}` what is in {source} was carried over", simple.text);
        self.draft.notes.push(note);
        self.reading.push(source.clone());
        let file: std::sync::Arc<str> = source.into();
        self.script(&text, &|line| Place::new(&file, line));
        self.reading.pop();
        true
    }

    /// Whether a command is about no files but the node's own.
    fn has_own_files(&self, simple: &Simple) -> bool {
        let own = |word: &String| self.draft.nodes[self.node].file(programs::file_in(word)).is_some();
        simple.output.is_none() && !simple.unknown && programs::files(&simple.words).all(own)
    }

    fn skip(&mut self, simple: &Simple, why: String, place: &Place) {
        if self.options.run_all {
            if simple.background {
                self.keep_program(&simple.text, place);
            } else {
                self.keep_setup(&simple.text, place);
            }
        } else if simple.background && programs::is_server(&simple.words) && self.has_own_files(simple) {
            self.keep_program(&simple.text, place);
        } else {
            self.draft.skip(place, &simple.text, why);
        }
    }

    fn opaque(&mut self, text: &str, what: &str, place: &Place) {
        if self.options.run_all {
            self.keep_setup(text, place);
        } else {
            self.draft.skip(place, text, format!("{what}; {}", programs::RUN_ALL));
        }
    }

    fn keep_setup(&mut self, text: &str, place: &Place) {
        let line = Line { value: text.to_owned(), place: place.clone(), text: text.to_owned() };
        self.draft.nodes[self.node].setup.push(line);
    }

    fn keep_program(&mut self, text: &str, place: &Place) {
        let line = Line { value: text.to_owned(), place: place.clone(), text: text.to_owned() };
        self.draft.nodes[self.node].programs.push(line);
    }

    fn node_name(&self) -> String {
        self.draft.nodes[self.node].name.clone()
    }

    /// What to do with a command that is about an interface that no link of the node has.
    fn about_other(&self, interface: &str, simple: &Simple) -> Outcome {
        let setup = &self.draft.nodes[self.node].setup;
        let made = setup.iter().any(|line| line.value.split_whitespace().any(|word| word == interface));
        if made {
            programs::judge(simple)
        } else {
            Outcome::Skip(format!("the node has no interface {interface}"))
        }
    }

    fn has(&self, interface: &str) -> bool {
        self.draft.has_interface(&self.draft.nodes[self.node].name, interface)
    }
}

/// The script of `sh -c SCRIPT`.
fn shell_script(words: &[String]) -> Option<&str> {
    let shell = matches!(programs::base_name(words.first()?), "sh" | "bash" | "ash" | "dash" | "busybox");
    let at = words
        .iter()
        .position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))?;
    let plain = words[1..at].iter().all(|word| word.starts_with('-') || word == "sh" || word == "ash");
    (shell && plain && at + 2 == words.len()).then(|| words[at + 1].as_str())
}
