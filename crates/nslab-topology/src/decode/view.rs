//! A node's `files:`, `private:` and `processes:`, and `user:`.

use super::{Decoder, Text};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::lab::Node;
use crate::model::{Content, File, Owner, PrivateDirectory, Processes};
use crate::yaml::{Key, Kind, Value};

const FILE_KEYS: &[&str] = &["content", "from", "mode", "owner"];
const DIRECTORY_KEYS: &[&str] = &["path", "mode", "owner"];
/// What `private: true` makes private: where programs keep what must not be shared with another of their kind. `/var/run`
/// is a symbolic link to `/run`.
const USUAL: [&str; 3] = ["/run", "/tmp", "/var/tmp"];
/// What belongs to the kernel.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];
/// The longest path, `PATH_MAX` of `include/uapi/linux/limits.h` without its zero.
const LONGEST_PATH: usize = 4095;
/// The longest name in a path, `NAME_MAX`.
const LONGEST_NAME: usize = 255;
/// The most that a file may have.
pub const LARGEST_FILE: usize = 1 << 20;
const MODE: u32 = 0o644;

impl Decoder {
    pub(super) fn files(&mut self, value: &Value, node: &mut Node) {
        for (key, value) in self.entries(value, "a mapping of paths to contents") {
            let is_path = self.path(&key.text, key.span).is_some();
            let file = self.file(key, value);
            if is_path {
                node.view.files.extend(file);
            }
        }
    }

    fn file(&mut self, key: &Key, value: &Value) -> Option<Spanned<File>> {
        let mut file =
            File { path: key.text.clone(), content: Content::Text(String::new()), mode: MODE, owner: None };
        let mut span = key.span;
        let Kind::Map(entries) = &value.kind else {
            if !value.is_empty() {
                file.content = Content::Text(self.content(value)?);
            }
            return Some(Spanned::new(file, span));
        };
        let mut said: Option<Span> = None;
        for (key, value) in entries {
            match key.text.as_str() {
                word @ ("content" | "from") => {
                    if let Some(earlier) = said.replace(key.span) {
                        self.push(
                            Diagnostic::error("contradiction", "a file has `content` or `from`, not both")
                                .at(key.span, "")
                                .because(earlier, "said here"),
                        );
                    }
                    if word == "content" {
                        if !value.is_empty() {
                            file.content = Content::Text(self.content(value)?);
                        }
                    } else {
                        let from = self.text(value, "the path of a file to copy")?;
                        if from.value.is_empty() {
                            self.push(
                                Diagnostic::error("bad-path", "the path of the file to copy is missing")
                                    .at(from.span, ""),
                            );
                        }
                        span = from.span;
                        file.content = Content::From(from.value);
                    }
                }
                "mode" => file.mode = self.mode(value)?,
                "owner" => file.owner = Some(self.owner(value)?),
                _ => self.unknown_key(key, "a file", FILE_KEYS),
            }
        }
        if said.is_none() {
            self.push(
                Diagnostic::error("missing-key", "a file needs `content` or `from`")
                    .at(value.span, "")
                    .help("an empty file is `content: \"\"`"),
            );
        }
        Some(Spanned::new(file, span))
    }

    fn content(&mut self, value: &Value) -> Option<String> {
        let text = self.text(value, "the file's contents, a text")?;
        if text.value.len() > LARGEST_FILE {
            self.push(
                Diagnostic::error(
                    "too-large",
                    format!("this file has {} bytes, {LARGEST_FILE} are allowed", text.value.len()),
                )
                .at(text.span, ""),
            );
            return None;
        }
        Some(text.value)
    }

    pub(super) fn private(&mut self, value: &Value, node: &mut Node) {
        if let Kind::Scalar(scalar) = &value.kind
            && matches!(scalar.text.as_str(), "true" | "false")
        {
            if scalar.text == "true" {
                node.view.directories.extend(USUAL.map(|path| {
                    let path = path.to_owned();
                    Spanned::new(PrivateDirectory { path, mode: None, owner: None }, value.span)
                }));
            }
            return;
        }
        for item in value.items() {
            let directory = self.directory(item);
            node.view.directories.extend(directory);
        }
    }

    /// The words are those of container engines (`--pid`).
    pub(super) fn processes(&mut self, value: &Value) -> Option<Spanned<Processes>> {
        let words = [("private", Processes::Private), ("host", Processes::Host)];
        self.word(value, "whose processes the node's programs see", &words)
    }

    fn directory(&mut self, value: &Value) -> Option<Spanned<PrivateDirectory>> {
        let wanted = "`true`, a directory's path, or a mapping with `path`, `mode` and `owner`";
        let mut directory = PrivateDirectory { path: String::new(), mode: None, owner: None };
        let Kind::Map(entries) = &value.kind else {
            let text = self.text(value, wanted)?;
            directory.path = self.path(&text.value, text.span)?;
            return Some(Spanned::new(directory, value.span));
        };
        for (key, value) in entries {
            match key.text.as_str() {
                "path" => {
                    let text = self.text(value, "a directory's path")?;
                    directory.path = self.path(&text.value, text.span)?;
                }
                "mode" => directory.mode = Some(self.mode(value)?),
                "owner" => directory.owner = Some(self.owner(value)?),
                _ => self.unknown_key(key, "a private directory", DIRECTORY_KEYS),
            }
        }
        if directory.path.is_empty() {
            self.missing_key(value.span, "a private directory", "path");
            return None;
        }
        Some(Spanned::new(directory, value.span))
    }

    /// Checks what is only wrong of files and directories together.
    pub(super) fn view_as_a_whole(&mut self, node: &Node) {
        if let Some(existing) = &node.existing {
            let places = node.view.directories.iter().map(|one| one.span);
            if let Some(place) = places.chain(node.view.files.iter().map(|one| one.span)).next() {
                let message = "a node that is there already has no files of its own";
                self.push(
                    Diagnostic::error("contradiction", message)
                        .at(place, "")
                        .because(existing.span, "where it is"),
                );
            }
            if let Some(processes) = node.view.processes.as_ref().filter(|_| node.view.has_processes()) {
                let message = "a node that is there already has no processes of its own";
                self.push(
                    Diagnostic::error("contradiction", message)
                        .at(processes.span, "")
                        .because(existing.span, "where it is"),
                );
            }
        }
        let directories = node.view.directories.iter().map(|one| (&one.path[..], one.span, "a directory"));
        let files = node.view.files.iter().map(|one| (&one.path[..], one.span, "a file"));
        let all: Vec<_> = directories.chain(files).collect();
        let mut known = std::collections::HashMap::new();
        for &(path, span, kind) in &all {
            if let Some(&(earlier, _)) = known.get(path) {
                self.push(
                    Diagnostic::error("duplicate-path", format!("{path} is written twice"))
                        .at(span, "")
                        .because(earlier, "here too"),
                );
            } else {
                known.insert(path, (span, kind));
            }
        }
        for (path, span, _) in all {
            let above = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]);
            for above in above {
                if let Some(&(earlier, "a file")) = known.get(above) {
                    self.push(
                        Diagnostic::error("bad-path", format!("{above} is a file, so there is no {path}"))
                            .at(span, "")
                            .because(earlier, "the file"),
                    );
                }
            }
        }
    }

    fn path(&mut self, path: &str, span: Span) -> Option<String> {
        match checked_path(path) {
            Ok(()) => Some(path.to_owned()),
            Err(problem) => {
                let mut error = Diagnostic::error(problem.code, problem.message).at(span, "");
                error.help = problem.help;
                self.push(error);
                None
            }
        }
    }

    fn mode(&mut self, value: &Value) -> Option<u32> {
        let wanted = "permissions in octal, such as 0644 or 0750";
        self.parsed(value, wanted, |text| {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let octal =
                (3..=5).contains(&digits.len()) && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
            octal
                .then(|| u32::from_str_radix(digits, 8).ok())
                .flatten()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| Problem::new("bad-mode", format!("expected {wanted}, found {text:?}")))
        })
        .map(|mode| mode.value)
    }

    fn owner(&mut self, value: &Value) -> Option<Owner> {
        let text = self.text(value, "an owner: a user, or user:group")?;
        let (user, group) = match text.value.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text.value.as_str(), None),
        };
        let whole = [Some(user), group].into_iter().flatten().all(|name| self.account(name, &text));
        whole.then(|| Owner { user: user.to_owned(), group: group.map(str::to_owned) })
    }

    /// Who programs run as.
    pub(super) fn user(&mut self, value: &Value) -> Option<Spanned<String>> {
        let text = self.text(value, "a user's name or number")?;
        self.account(&text.value, &text).then(|| text.spanned())
    }

    /// Whether a user or a group may be called so; whether there is one is for the machine to say.
    fn account(&mut self, name: &str, text: &Text) -> bool {
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let possible = if is_number {
            // The largest means "none" to the kernel.
            name.parse::<u32>().is_ok_and(|number| number != u32::MAX)
        } else {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.@\\$".contains(c);
            !name.is_empty()
                && name.len() <= LONGEST_NAME
                && name.chars().all(allowed)
                && !name.starts_with('-')
        };
        if !possible {
            self.problem(
                text,
                Problem::new("bad-user", format!("{name:?} is no user's or group's name or number")),
            );
        }
        possible
    }
}

/// Whether something of a node's own can be put there.
fn checked_path(path: &str) -> Result<(), Problem> {
    let bad = |message: String| Err(Problem::new("bad-path", message));
    if !path.starts_with('/') {
        let problem = Problem::new("bad-path", format!("{path:?} is no path from the root"));
        let is_plain = !path.is_empty() && !path.starts_with('.');
        return Err(if is_plain { problem.help(format!("write /{path}")) } else { problem });
    }
    if path == "/" {
        return bad("the root itself cannot be a node's own".to_owned());
    }
    if path.len() > LONGEST_PATH || path.split('/').any(|part| part.len() > LONGEST_NAME) {
        let most = format!("a path may have {LONGEST_PATH} bytes, and each of its names {LONGEST_NAME}");
        return bad(format!("a path of {} bytes is too long", path.len()))
            .map_err(|problem| problem.help(most));
    }
    if path.contains('\0') {
        return bad("a path cannot have a zero byte in it".to_owned());
    }
    if let Some(part) = path[1..].split('/').find(|part| matches!(*part, "" | "." | "..")) {
        return bad(match part {
            "" => format!("{path:?} has a slash too many"),
            _ => format!("{path:?} has a {part:?} in it: write the path as it is without"),
        });
    }
    match KERNELS.iter().find(|kernels| {
        path.strip_prefix(**kernels).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }) {
        Some(kernels) => bad(format!("what is in {kernels} is the kernel's")),
        None => Ok(()),
    }
}
