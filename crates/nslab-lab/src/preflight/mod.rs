//! Whether this machine has what labs need, before there is one.
//!
//! What can be tried is tried, in namespaces that go away at once; nothing is changed. The rest is read from the machine's settings.

mod config;
mod host;
mod kernel;
mod limits;
mod managers;
mod namespaces;

use serde::Serialize;

use crate::rootless;

/// Whether the running kernel was built with an option, as `CONFIG_VETH`, be it as a module; none if its options are in no file.
pub fn kernel_option(option: &str) -> Option<bool> {
    let config = config::Config::read();
    config.source.as_ref()?;
    Some(config.get(option).is_some())
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preflight {
    /// Nothing is [`Status::Lacking`].
    pub ready: bool,
    /// Each thing that was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, a name that stays the same: `user-namespaces`, `CONFIG_VETH`.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// The same in words, a sentence's part.
    pub text: String,
    /// What may be typed against it; none where that is for people to decide.
    pub fix: Vec<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing; some labs may want more.
    Note,
    /// Labs that use it will fail, or be disturbed.
    Warning,
    /// No lab can be built without it.
    Lacking,
}

impl Check {
    fn new(name: impl Into<String>, status: Status, text: impl Into<String>) -> Self {
        Self { name: name.into(), status, text: text.into(), fix: Vec::new() }
    }

    fn ok(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, text)
    }

    fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }
}

/// Looks at everything, as the user who runs this. There should be no other thread: an ordinary user's namespaces are tried in a
/// child process.
pub fn run() -> Preflight {
    let is_root = !rootless::needed();
    let mut checks = Vec::new();
    namespaces::look(is_root, &mut checks);
    let can = !checks.iter().any(|check| check.status == Status::Lacking);
    kernel::look(can, &mut checks);
    host::look(is_root, &mut checks);
    limits::look(&mut checks);
    managers::look(&mut checks);
    Preflight { ready: checks.iter().all(|check| check.status != Status::Lacking), checks }
}

/// A number in a file of one line, as below `/proc/sys`; none if there is no such file.
fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether a program is in `PATH`.
fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_by_one_word() {
        let json =
            serde_json::to_value(Check::new("CONFIG_VETH", Status::Lacking, "no links").fix("modprobe veth"));
        let json = json.unwrap();
        assert_eq!((&json["status"], &json["fix"][0]), (&"lacking".into(), &"modprobe veth".into()));
        assert!(Status::Lacking > Status::Warning && Status::Warning > Status::Note);
    }
}
