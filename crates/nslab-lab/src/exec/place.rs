//! Where a program is to run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use nslab_kernel::{Namespace, NamespaceFile};
use rustix::process::Pid;

use crate::error::{Context, Error, Result};
use crate::exec::Account;
use crate::paths::LabPaths;
use crate::view::View;
use crate::view::init::{self, Processes};

/// Where a program is to run, and what it finds there.
#[derive(Debug)]
pub struct Place {
    /// The network namespace.
    pub namespace: Namespace,
    /// The node's own mounts and host name, if it has such; otherwise the program gets some of its own, with what follows.
    pub view: Option<View>,
    /// The file to show as `/etc/hosts`.
    pub hosts: Option<PathBuf>,
    /// The file to show as `/etc/resolv.conf`; the host's unless given.
    pub resolv: Option<PathBuf>,
    /// The host name.
    pub hostname: Option<String>,
    /// Environment besides what nslab itself was given.
    pub env: BTreeMap<String, String>,
    /// The working directory; nslab's own unless given.
    pub directory: Option<PathBuf>,
    /// Where the directory is not in sight, the root will do.
    pub directory_is_optional: bool,
    /// Who the program runs as; who nslab runs as unless given.
    pub user: Option<Account>,
}

impl Place {
    /// A namespace that is no node of a lab: only the network changes.
    pub fn of_namespace(namespace: Namespace) -> Self {
        Self {
            namespace,
            view: None,
            hosts: None,
            resolv: None,
            hostname: None,
            env: BTreeMap::new(),
            directory: None,
            directory_is_optional: false,
            user: None,
        }
    }

    /// A node of a lab that is up.
    pub fn for_node(paths: &LabPaths, node: &str) -> Result<Self> {
        let pin = paths.pin(node);
        let namespace = Namespace::open(&pin).map_err(|error| match error.errno() {
            Some(rustix::io::Errno::NOENT) => missing(paths, node),
            _ => error.into(),
        })?;
        let view = View::open(&paths.views(), node)?;
        let mut place = Self::with_namespaces(paths, node, namespace, view)?;
        if place.view.is_some() {
            // Entering other mounts changes it to their root.
            place.directory = std::env::current_dir().ok();
            place.directory_is_optional = true;
        }
        Ok(place)
    }

    /// As [`Place::for_node`], with the node's namespaces at hand and without a directory.
    pub(crate) fn with_namespaces(
        paths: &LabPaths,
        node: &str,
        namespace: Namespace,
        view: Option<View>,
    ) -> Result<Self> {
        let directory = paths.node(node);
        let mut env = environment(&directory.join("env"))?;
        env.insert("NSLAB_LAB".to_owned(), lab_name(paths));
        env.insert("NSLAB_NODE".to_owned(), node.to_owned());
        Ok(Self {
            namespace,
            hosts: [directory.join("hosts"), paths.hosts()].into_iter().find(|file| file.exists()),
            resolv: Some(directory.join("resolv.conf")).filter(|file| file.exists()),
            hostname: Some(node.to_owned()),
            env,
            view,
            directory: None,
            directory_is_optional: false,
            user: user(&directory.join("user"))?,
        })
    }

    /// The PID namespace in which programs run, if it is another than the host's. Fails if it is one in which no process
    /// can run any more.
    pub(crate) fn processes(&self) -> Result<Option<&NamespaceFile>> {
        match self.view.as_ref().map(|view| &view.processes) {
            None | Some(Processes::Host) => Ok(None),
            Some(Processes::Private(init)) => Ok(Some(&init.namespace)),
            Some(Processes::Ended) => Err(self.ended()),
        }
    }

    /// The first process of the node, if that has processes of its own.
    pub(crate) fn first_process(&self) -> Option<Pid> {
        match self.view.as_ref().map(|view| &view.processes) {
            Some(Processes::Private(init)) => Some(init.pid),
            _ => None,
        }
    }

    /// What is said where the first process of the node's own has ended.
    pub(crate) fn ended(&self) -> Error {
        init::ended(self.hostname.as_deref().unwrap_or("the node"))
    }

    /// Makes programs run as another user than the node's own; `None` leaves it at that.
    pub fn as_user(&mut self, user: Option<&str>) -> Result<()> {
        if let Some(user) = user {
            self.user = Some(Account::find(user)?);
        }
        Ok(())
    }

    /// What a program's environment says of who it runs as, if that was chosen.
    pub(crate) fn user_environment(&self) -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
        let user = self.user.as_ref();
        let name = user.and_then(|user| user.name.as_ref());
        let home = user.and_then(|user| user.home.as_ref()).map(|home| ("HOME", home.into()));
        let names = name.map(|name| [("USER", name.into()), ("LOGNAME", name.into())]);
        home.into_iter().chain(names.into_iter().flatten())
    }

    /// Adds the place's environment to a command, except where the command says otherwise.
    pub(super) fn apply_environment(&self, command: &mut Command) {
        let env = self.env.iter().map(|(name, value)| (name.as_str(), value.into()));
        let user = self.user_environment().map(|(name, value): (&str, _)| (name, value));
        for (name, value) in env.chain(user) {
            if !command.get_envs().any(|(key, _)| key == OsStr::new(name)) {
                command.env(name, value);
            }
        }
    }
}

/// Reads the file that says who the programs of a node run as.
fn user(path: &Path) -> Result<Option<Account>> {
    match std::fs::read_to_string(path) {
        Ok(name) => Account::find(&name).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(|| format!("read {}", path.display())),
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
