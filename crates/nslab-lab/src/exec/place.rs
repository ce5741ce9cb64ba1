//! Where a program is to run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use nslab_kernel::Namespace;

use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;

/// Where a program is to run, and what it finds there.
#[derive(Debug)]
pub struct Place {
    /// The network namespace.
    pub namespace: Namespace,
    /// The file to show as `/etc/hosts`.
    pub hosts: Option<PathBuf>,
    /// The host name.
    pub hostname: Option<String>,
    /// Environment besides what nslab itself was given.
    pub env: BTreeMap<String, String>,
    /// The working directory; nslab's own unless given.
    pub directory: Option<PathBuf>,
}

impl Place {
    /// A namespace that is no node of a lab: only the network changes.
    pub fn of_namespace(namespace: Namespace) -> Self {
        Self { namespace, hosts: None, hostname: None, env: BTreeMap::new(), directory: None }
    }

    /// A node of a lab that is up.
    pub fn for_node(paths: &LabPaths, node: &str) -> Result<Self> {
        let pin = paths.pin(node);
        let namespace = Namespace::open(&pin).map_err(|error| match error.errno() {
            Some(rustix::io::Errno::NOENT) => missing(paths, node),
            _ => error.into(),
        })?;
        Self::with_namespace(paths, node, namespace)
    }

    /// As [`Place::for_node`], with the node's namespace at hand.
    pub(crate) fn with_namespace(paths: &LabPaths, node: &str, namespace: Namespace) -> Result<Self> {
        let directory = paths.node(node);
        let mut env = environment(&directory.join("env"))?;
        env.insert("NSLAB_LAB".to_owned(), lab_name(paths));
        env.insert("NSLAB_NODE".to_owned(), node.to_owned());
        Ok(Self {
            namespace,
            hosts: [directory.join("hosts"), paths.hosts()].into_iter().find(|file| file.exists()),
            hostname: Some(node.to_owned()),
            env,
            directory: None,
        })
    }

    /// Adds the place's environment to a command, except where the command says otherwise.
    pub(super) fn apply_environment(&self, command: &mut Command) {
        for (name, value) in &self.env {
            if !command.get_envs().any(|(key, _)| key == OsStr::new(name)) {
                command.env(name, value);
            }
        }
    }
}

/// The name of the lab whose paths these are.
pub(crate) fn lab_name(paths: &LabPaths) -> String {
    paths.root().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a file of `KEY=VALUE`, each ended by a NUL; none is an empty one.
fn environment(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).context(|| format!("read {}", path.display())),
    };
    text.split('\0')
        .filter(|entry| !entry.is_empty())
        .map(|entry| match entry.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::Damaged {
                path: path.to_owned(),
                problem: format!("{entry:?} does not have the form KEY=VALUE"),
            }),
        })
        .collect()
}

/// Which of the two is not there: the lab, or the node in it.
fn missing(paths: &LabPaths, node: &str) -> Error {
    let names = |directory: Option<&Path>| {
        let mut names: Vec<String> = directory
            .and_then(|directory| std::fs::read_dir(directory).ok())
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    };
    if paths.root().is_dir() {
        Error::NoSuchNode { lab: lab_name(paths), name: node.to_owned(), known: names(Some(&paths.pins())) }
    } else {
        Error::NoSuchLab { name: lab_name(paths), known: names(paths.root().parent()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_split_at_nul() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("env");
        std::fs::write(&file, "A=1\0B=x=y\nz\0C=\0").unwrap();
        let read = environment(&file).unwrap();
        assert_eq!(read, [("A", "1"), ("B", "x=y\nz"), ("C", "")].map(|(k, v)| (k.into(), v.into())).into());
        assert!(environment(&directory.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_environment_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("env");
        std::fs::write(&file, "A=1\0nonsense\0").unwrap();
        let error = environment(&file).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{} is damaged: \"nonsense\" does not have the form KEY=VALUE", file.display())
        );
    }
}
