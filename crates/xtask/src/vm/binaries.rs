//! The project's test programs: built, found, and asked for their tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::{Error, output};

/// A test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binary {
    /// Package and target, such as `nslab-kernel/kernel`.
    pub(crate) label: String,
    pub(crate) path: PathBuf,
    /// Where Cargo would run it: its package's directory.
    pub(crate) directory: PathBuf,
}

/// Builds the test programs of packages (unit and integration tests) and gives them in Cargo's order.
pub(crate) fn build(packages: &[String]) -> Result<Vec<Binary>, Error> {
    let mut command = cargo();
    command.args(["test", "--no-run", "--quiet", "--lib", "--bins", "--tests"]);
    command.arg("--message-format=json-render-diagnostics");
    for package in packages {
        command.args(["--package", package]);
    }
    // What does not compile is said by Cargo itself.
    command.stderr(Stdio::inherit());
    let messages = output(&mut command, "cargo")?;
    Ok(parse(&String::from_utf8_lossy(&messages)))
}

/// Where Cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf, Error> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let text = output(cargo().args(["metadata", "--format-version=1", "--no-deps"]), "cargo")?;
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|error| Error::Machine(format!("what cargo metadata says cannot be read: {error}")))?;
    Ok(metadata.target_directory)
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command
}

/// The programs named in Cargo's messages, one JSON object in each line.
fn parse(messages: &str) -> Vec<Binary> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        manifest_path: Option<PathBuf>,
        target: Option<Target>,
        profile: Option<Profile>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    let mut binaries = Vec::new();
    for line in messages.lines() {
        let Ok(Message {
            executable: Some(path),
            manifest_path: Some(manifest),
            target: Some(target),
            profile: Some(Profile { test: true }),
        }) = serde_json::from_str(line)
        else {
            continue;
        };
        let directory = manifest.parent().unwrap_or(Path::new("/")).to_owned();
        let package = directory.file_name().unwrap_or_default().to_string_lossy();
        let name = match target.kind.first().map(String::as_str) {
            Some("lib") => "lib",
            Some("bin") => "bin",
            _ => &target.name,
        };
        binaries.push(Binary { label: format!("{package}/{name}"), path, directory });
    }
    binaries
}

impl Binary {
    /// How many tests it has under these arguments of the test harness (filters, `--skip`, `--exact`, `--ignored`).
    pub(crate) fn tests(&self, arguments: &[String]) -> Result<usize, Error> {
        let mut command = Command::new(&self.path);
        command.args(["--list", "--format", "terse"]).args(arguments).current_dir(&self.directory);
        let text = output(&mut command, "cargo").map_err(|error| Error::Usage(error.to_string()))?;
        Ok(String::from_utf8_lossy(&text).lines().filter(|line| line.ends_with(": test")).count())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn test_programs_are_found_in_what_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/p/a/Cargo.toml","target":{"name":"a","kind":["lib"]},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/p/a/Cargo.toml","target":{"name":"a","kind":["lib"]},"profile":{"test":true},"executable":"/t/a-1"}
{"reason":"compiler-artifact","manifest_path":"/p/a/Cargo.toml","target":{"name":"kernel","kind":["test"]},"profile":{"test":true},"executable":"/t/kernel-1"}
{"reason":"build-finished","success":true}"#;
        let found: Vec<_> = parse(messages).into_iter().map(|binary| binary.label).collect();
        assert_eq!(found, ["a/lib", "a/kernel"]);
    }
}
