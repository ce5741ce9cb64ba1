//! Text that is handed to the user's own nft(8).
//!
//! nslab does not read it: it knows only what it handed over, and which tables there were afterwards that there were
//! not before. Those go when the text changes or is taken out of the lab file. It notes before it lets nft work whose
//! tables there were, so that an interrupted change is found out.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nslab_kernel::Namespace;
use nslab_kernel::link::{Bridge, LinkKind, NewLink};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Family, Ruleset, TableId};
use nslab_topology::lab::Nft;
use nslab_types::IfName;
use serde::{Deserialize, Serialize};

use super::TABLE;
use crate::error::{Context, Error, Result};
use crate::pins::make_directory;
use crate::state::replace;

/// What nft was handed for a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The text.
    pub text: String,
    /// The tables that came with it.
    tables: Vec<TableId>,
    /// nft is at work, or was when nslab was interrupted: what there was that was not the lab's. All other tables are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others: Option<Vec<TableId>>,
}

impl Record {
    /// Those of the tables `there` that came with it.
    fn own<'a>(&'a self, there: &'a [TableId]) -> impl Iterator<Item = &'a TableId> {
        there.iter().filter(|table| match &self.others {
            Some(others) => !others.contains(table),
            None => self.tables.contains(table),
        })
    }
}

/// The text of a node; none if there is none.
pub fn text(pieces: &[Nft]) -> Option<String> {
    let all: Vec<&str> = pieces.iter().map(content).collect();
    let text: String = all.iter().flat_map(|text| [text.trim_end(), "\n"]).collect();
    (!text.trim().is_empty()).then_some(text)
}

fn content(piece: &Nft) -> &str {
    match piece {
        Nft::Text { text, .. } => text,
        Nft::File { text, .. } => text,
    }
}

/// What nft was handed for a node whose namespace the calling thread is in: none if nothing was, and an empty text if what
/// is there is not, or not for sure, what came of it.
pub fn loaded(record: &Path) -> Result<Option<String>> {
    let Some(record) = read(record)? else { return Ok(None) };
    let there = tables()?;
    let is_whole = record.others.is_none() && record.tables.iter().all(|table| there.contains(table));
    Ok(Some(if is_whole { record.text } else { String::new() }))
}

fn read(path: &Path) -> Result<Option<Record>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(|| format!("read {}", path.display())),
    };
    let damaged =
        |error: serde_json::Error| Error::Damaged { path: path.to_owned(), problem: error.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// The tables in the namespace of the calling thread, without nslab's own.
fn tables() -> Result<Vec<TableId>> {
    let all = Ruleset::read_without_elements(&mut Socket::open(Protocol::Netfilter)?)?;
    let own = TableId::new(Family::Inet, TABLE);
    Ok(all.tables.into_iter().map(|table| table.id).filter(|id| *id != own).collect())
}

/// Hands `text` to nft in the namespace of the calling thread and notes that in `record`. What was handed over before
/// goes in the same transaction; none, or an empty text, takes it away.
pub fn load(text: Option<&str>, record: &Path) -> Result<()> {
    let before = read(record)?;
    let there = tables()?;
    let old: Vec<TableId> = before.iter().flat_map(|record| record.own(&there)).cloned().collect();
    let mut whole = String::new();
    for table in &old {
        whole.extend(["delete table ", &table.to_string(), "\n"]);
    }
    let text = text.filter(|text| !text.trim().is_empty());
    whole.push_str(text.unwrap_or_default());
    let others: Vec<TableId> = there.iter().filter(|table| !old.contains(table)).cloned().collect();
    if !whole.trim().is_empty() {
        let text = text.unwrap_or_default().to_owned();
        write(record, &Record { text, tables: old, others: Some(others.clone()) })?;
        if let Err(said) = run(&whole, false)? {
            // It has changed nothing.
            match &before {
                Some(before) => write(record, before)?,
                None => remove(record)?,
            }
            return Err(Error::Io {
                action: "load the text for nft".to_owned(),
                source: std::io::Error::other(said),
            });
        }
    }
    let Some(text) = text else { return remove(record) };
    let new = tables()?.into_iter().filter(|table| !others.contains(table)).collect();
    write(record, &Record { text: text.to_owned(), tables: new, others: None })
}

fn write(path: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_vec(record)
        .map_err(|error| Error::Damaged { path: path.to_owned(), problem: error.to_string() })?;
    if let Some(directory) = path.parent() {
        make_directory(directory)?;
    }
    replace(path, &text, 0o600)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Asks nft whether it would take the texts of a node, in a namespace made for that, with interfaces of the same
/// names.
pub fn check(node: &str, pieces: &[Nft], interfaces: &[IfName]) -> Result<()> {
    let Some(text) = text(pieces) else { return Ok(()) };
    let scratch = Namespace::create()?;
    let answer = scratch.run(|| -> Result<_> {
        let mut socket = Socket::open(Protocol::Route)?;
        for name in interfaces {
            // Rules may name interfaces by their numbers (`iif`), for which nft looks when it reads them.
            let _ = socket.request(&NewLink::new(*name, LinkKind::Bridge(Bridge::default())));
        }
        run(&text, true)
    })??;
    answer.map_err(|said| refusal(node, pieces, &said))
}

/// nft's words about a line of the whole text, placed where that line was written.
fn refusal(node: &str, pieces: &[Nft], said: &str) -> Error {
    let mut lines = said.lines();
    let (place, message) = placed(pieces, lines.next().unwrap_or_default());
    let shown = lines.map(|line| match placed(pieces, line) {
        (Some(place), message) => format!("{place}: {message}"),
        (None, _) => line.to_owned(),
    });
    Error::Nft { node: node.to_owned(), place, message, shown: shown.collect() }
}

/// The place and the message of a line such as `/dev/stdin:3:15-20: Error: syntax error, …`.
fn placed(pieces: &[Nft], said: &str) -> (Option<String>, String) {
    let position = said.strip_prefix("/dev/stdin:").and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (_, message) = rest.split_once(':')?;
        Some((line.parse::<usize>().ok()?, message))
    });
    let (line, message) = position.map_or((None, said), |(line, message)| (Some(line), message));
    let message = message.trim().trim_start_matches("Error: ").to_owned();
    let Some(line) = line else { return (None, message) };
    let (mut begin, mut last) = (0, None);
    for piece in pieces {
        let count = content(piece).trim_end().lines().count().max(1);
        if line > begin {
            // The end of all is told of on a line that there is not.
            let within = (line - begin).min(count);
            last = Some(match piece {
                Nft::Text { line: own, .. } => match own.0 {
                    Some(own) => format!("line {}", own + within - 1),
                    None => format!("line {within} of the text"),
                },
                Nft::File { path, .. } => format!("{}:{within}", path.value),
            });
        }
        begin += count;
    }
    (last, message)
}

/// Runs nft on a text; what it says if it refuses.
fn run(text: &str, only_check: bool) -> Result<std::result::Result<(), String>> {
    let Some(program) = program() else {
        return Err(Error::Machine {
            what: "the lab file has text for nft, and there is no nft on this machine".to_owned(),
            hint: Some("install nftables; `firewall:` and `nat:` do without it".to_owned()),
        });
    };
    let mut command = Command::new(program);
    command.args(only_check.then_some("-c")).args(["-f", "-"]).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context(|| "run nft".to_owned())?;
    if let Some(mut input) = child.stdin.take() {
        // It may end before it has read all.
        let _ = input.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().context(|| "run nft".to_owned())?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The user's nft: on the path, or where only root's path leads.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.map(|directory| directory.join("nft")).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use nslab_topology::lab::Line;

    use super::*;

    #[test]
    fn what_nft_says_is_placed_where_the_text_was_written() {
        let pieces = [
            Nft::Text { text: "table inet a {\n}\n\n".to_owned().into(), line: Line(Some(10)) },
            Nft::File {
                path: "rules.nft".to_owned().into(),
                line: Line(Some(14)),
                text: "x\ny\nz".to_owned(),
            },
            Nft::Text { text: "table inet b {}".to_owned().into(), line: Line(Some(15)) },
        ];
        assert_eq!(text(&pieces).unwrap(), "table inet a {\n}\nx\ny\nz\ntable inet b {}\n");
        for (line, wanted) in [(1, "line 10"), (2, "line 11"), (4, "rules.nft:2"), (6, "line 15")] {
            let said = format!("/dev/stdin:{line}:1-2: Error: syntax error, unexpected string\n}}\n^\n");
            let Error::Nft { place, message, shown, .. } = refusal("a", &pieces, &said) else { panic!() };
            assert_eq!(place.as_deref(), Some(wanted));
            assert_eq!(message, "syntax error, unexpected string");
            assert_eq!(shown, ["}", "^"]);
        }
        let Error::Nft { place, message, .. } = refusal("a", &pieces, "Error: out of order") else {
            panic!()
        };
        assert_eq!((place, message.as_str()), (None, "out of order"));
    }
}
