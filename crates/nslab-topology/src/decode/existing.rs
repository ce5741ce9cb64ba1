//! `netns:`, `pid:` and `container:` of a node: a namespace that is there without the lab.

use super::Decoder;
use crate::diagnostic::{Diagnostic, Problem, Spanned};
use crate::lab::Node;
use crate::model::Existing;
use crate::yaml::{Key, Value};

/// The highest process id of a 64-bit kernel (`PID_MAX_LIMIT`, `include/linux/threads.h`).
const PID_MAX: u64 = 4 * 1024 * 1024;

impl Decoder {
    pub(super) fn existing(&mut self, key: &Key, value: &Value, node: &mut Node) {
        let read = match key.text.as_str() {
            "pid" => self.number(value, "a process id", 1..=PID_MAX).and_then(|pid| {
                let number = u32::try_from(pid.value).ok()?;
                Some(Spanned::new(Existing::Pid(number), pid.span))
            }),
            "netns" => self.parsed(value, "a namespace's name or path", netns),
            _ => self.parsed(value, "a container's name or id", container),
        };
        let Some(read) = read else { return };
        if let Some(earlier) = &node.existing {
            self.push(
                Diagnostic::error("conflicting-keys", "a node is one namespace, and two are named")
                    .at(key.span, "again here")
                    .because(earlier.span, "first here")
                    .help("keep one of `netns`, `pid` and `container`"),
            );
            return;
        }
        node.existing = Some(read);
    }
}

/// Reads `netns:NAME`, `pid:N` or `container:NAME`; `None` if the text begins otherwise.
pub(crate) fn parse(text: &str) -> Option<Result<Existing, Problem>> {
    let (kind, name) = text.split_once(':')?;
    match kind {
        "netns" => Some(netns(name)),
        "container" => Some(container(name)),
        "pid" => {
            let pid = name.parse().ok().filter(|pid: &u32| (1..=i32::MAX.unsigned_abs()).contains(pid));
            let wrong = || Problem::new("bad-number", format!("{name:?} is not a process's number"));
            Some(pid.map(Existing::Pid).ok_or_else(wrong))
        }
        _ => None,
    }
}

/// Reads `NAME` or `/PATH`.
fn netns(text: &str) -> Result<Existing, Problem> {
    let is_path = text.starts_with('/') && text.len() > 1;
    let is_name = !text.is_empty() && !text.contains('/') && text != "." && text != "..";
    if (is_path || is_name) && !text.contains('\0') {
        return Ok(Existing::Netns(text.to_owned()));
    }
    Err(Problem::new("bad-name", format!("{text:?} cannot be a namespace's name"))
        .help("a name as `ip netns list` shows it, or a path that begins with `/`"))
}

/// Reads a container's name or id, in the characters that Docker and Podman allow.
fn container(text: &str) -> Result<Existing, Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(allowed) {
        return Ok(Existing::Container(text.to_owned()));
    }
    Err(Problem::new("bad-name", format!("{text:?} cannot be a container's name"))
        .help("a name as `docker ps` or `podman ps` shows it, or an id"))
}
