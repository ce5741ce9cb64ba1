//! `sysctl -w` and what is written below `/proc/sys`.

use super::{Interpreter, Outcome, programs};
use crate::Place;
use crate::script::Simple;

impl Interpreter<'_> {
    pub(super) fn sysctls(&mut self, words: &[&str], simple: &Simple, place: &Place) -> Outcome {
        let mut settings: Vec<(String, String)> = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(&word) = words.next() {
            match word {
                "-p" | "--load" | "--system" => {
                    return Outcome::Skip(format!("its settings are in a file; {}", programs::RUN_ALL));
                }
                _ if word.starts_with('-') => {}
                _ => match word.split_once('=') {
                    // `key = value` as three words.
                    Some((key, "")) if words.peek().is_some() => {
                        let value = words.next().copied().unwrap_or_default();
                        settings.push((key.to_owned(), value.to_owned()));
                    }
                    Some(("", value)) if !settings.is_empty() => {
                        let last = settings.len() - 1;
                        value.clone_into(&mut settings[last].1);
                    }
                    Some((key, value)) => settings.push((key.to_owned(), value.to_owned())),
                    None if words.peek() == Some(&&"=") => {
                        words.next();
                        let value = words.next().copied().unwrap_or_default();
                        settings.push((word.to_owned(), value.to_owned()));
                    }
                    None => return Outcome::skip("it only prints"),
                },
            }
        }
        let mut outcome = Outcome::Done;
        for (key, value) in settings {
            let one = self.sysctl(&key, &value, simple, place);
            if one != Outcome::Done {
                outcome = one;
            }
        }
        outcome
    }

    pub(super) fn sysctl(&mut self, key: &str, value: &str, simple: &Simple, place: &Place) -> Outcome {
        let key = key.trim();
        // As sysctl(8) reads it: whichever separator comes first separates.
        let dotted = match key.find(['.', '/']) {
            Some(at) if key[at..].starts_with('/') => key
                .chars()
                .map(|c| {
                    if c == '/' {
                        '.'
                    } else if c == '.' {
                        '/'
                    } else {
                        c
                    }
                })
                .collect(),
            _ => key.to_owned(),
        };
        if !dotted.starts_with("net.") {
            return Outcome::Skip(format!("{key} belongs to the whole machine, not to a node"));
        }
        if let Some(interface) = of_interface(&dotted)
            && !self.has(&interface)
        {
            return Outcome::Skip(format!("the node has no interface {interface}"));
        }
        self.draft.nodes[self.node].sysctl(&dotted, value, place, &simple.text);
        Outcome::Done
    }
}

/// The interface that a sysctl is about: `net.ipv4.conf.eth0.rp_filter`.
fn of_interface(key: &str) -> Option<String> {
    let mut parts = key.split('.').skip(2);
    let table = parts.next()?;
    let name = parts.next()?.replace('/', ".");
    (matches!(table, "conf" | "neigh") && !matches!(&name[..], "all" | "default" | "lo")).then_some(name)
}
