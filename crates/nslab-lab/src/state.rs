//! What is remembered of a lab while it runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nslab_topology::model::{Device, Node, Topology};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;
use crate::pins::make_directory;

/// The form of [`State`]; a change that older programs would misread gets a new number.
const VERSION: u32 = 1;

/// A lab as it was last built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// When it was first built, in seconds since 1970.
    pub created: u64,
    /// The lab file it came from, as an absolute path; none for one that was begun empty.
    pub file: Option<PathBuf>,
    /// The directory that programs run in unless told otherwise.
    pub directory: PathBuf,
    /// What was written: the source of every further change.
    pub lab: nslab_topology::Lab,
    /// What it means.
    pub topology: Topology,
}

impl State {
    /// A lab that is built now.
    pub fn new(
        lab: nslab_topology::Lab,
        topology: Topology,
        file: Option<PathBuf>,
        directory: PathBuf,
    ) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        Self { version: VERSION, created, file, directory, lab, topology }
    }

    /// The lines of the lab file that rules of firewalls and expectations came from, which take no part in comparison.
    pub(crate) fn lines(&self) -> Vec<Option<usize>> {
        let policies = self.topology.nodes.iter().map(|node| &node.policy);
        policies
            .flat_map(|policy| {
                let firewall = policy.firewall.iter();
                let rules =
                    firewall.clone().flat_map(|firewall| &firewall.rules).map(|rule| rule.written.line);
                let defaults = firewall.map(|firewall| firewall.line);
                rules.chain(defaults).chain(policy.nat.iter().map(|rule| rule.written.line))
            })
            .map(|line| line.0)
            .chain(self.lab.expectations.iter().map(|expectation| Some(expectation.line)))
            .collect()
    }

    /// Reads the state of a lab; `None` if it was never wholly built.
    pub fn read(paths: &LabPaths) -> Result<Option<Self>> {
        let path = paths.state();
        let damaged = |problem: String| Error::Damaged { path: path.clone(), problem };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(|| format!("read {}", path.display())),
        };
        let state: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if state.version != VERSION {
            return Err(damaged(format!("it has form {}, this nslab knows {VERSION}", state.version)));
        }
        Ok(Some(state))
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, paths: &LabPaths) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::Damaged { path: paths.state(), problem: error.to_string() })?;
        replace(&paths.state(), &text, 0o644)
    }

    /// Writes what programs in the nodes see of the lab: names and environment.
    pub fn write_surroundings(&self, paths: &LabPaths) -> Result<()> {
        let common = hosts(&self.topology);
        write_in_place(&paths.hosts(), common.as_bytes())?;
        let with_address = with_address(&self.topology);
        for (node, has_address) in self.topology.nodes.iter().zip(with_address) {
            let directory = paths.node(&node.name);
            let (hosts, env, user) = (directory.join("hosts"), directory.join("env"), directory.join("user"));
            // A view that is kept has one file for good.
            if node.hosts.is_empty() && has_address && node.view.is_empty() {
                remove(&hosts)?;
            } else {
                make_directory(&directory)?;
                // Programs look up their own host's name, and would ask a name server that does not know it.
                let own = if has_address { String::new() } else { format!("127.0.1.1\t{}\n", node.name) };
                let text = format!("{common}{own}{}", further_hosts(node));
                write_in_place(&hosts, text.as_bytes())?;
            }
            let resolv = directory.join("resolv.conf");
            if let Some(text) = crate::resolver::file(node) {
                make_directory(&directory)?;
                write_in_place(&resolv, text.as_bytes())?;
            } else {
                remove(&resolv)?;
            }
            if node.env.is_empty() {
                remove(&env)?;
            } else {
                make_directory(&directory)?;
                replace(&env, &environment(&node.env), 0o600)?;
            }
            match &node.user {
                None => remove(&user)?,
                Some(name) => {
                    make_directory(&directory)?;
                    replace(&user, name.as_bytes(), 0o644)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes the same file again: it is bound over `/etc/hosts` of programs that run, which shall see the new names.
fn write_in_place(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .context(|| format!("write {}", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file beside the old one and moves it over, so that readers see one or the other.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&new)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| std::fs::rename(&new, path))
        .context(|| format!("write {}", path.display()))
}

/// `/etc/hosts` of a lab: every node by its name and by its name with the lab's, at all of its addresses.
fn hosts(topology: &Topology) -> String {
    let mut addresses: Vec<Vec<IpAddr>> =
        topology.nodes.iter().map(|node| node.loopback.iter().map(ipnet::IpNet::addr).collect()).collect();
    for end in topology.links.iter().flat_map(|link| &link.ends) {
        if let Device::Node(node) = end.device {
            addresses[node].extend(end.addresses.iter().map(ipnet::IpNet::addr));
        }
    }
    for (node, addresses) in topology.nodes.iter().zip(&mut addresses) {
        let own = node.interfaces.iter().flat_map(|interface| &interface.addresses);
        addresses.extend(own.map(ipnet::IpNet::addr));
    }
    let mut text = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (node, addresses) in topology.nodes.iter().zip(addresses) {
        for address in addresses {
            let _ = writeln!(text, "{address}\t{} {}.{}", node.name, node.name, topology.name);
        }
    }
    text
}

/// Which nodes have an address in the lab.
fn with_address(topology: &Topology) -> Vec<bool> {
    let mut all: Vec<bool> = topology.nodes.iter().map(|node| !node.loopback.is_empty()).collect();
    for end in topology.links.iter().flat_map(|link| &link.ends) {
        if let Device::Node(node) = end.device {
            all[node] |= !end.addresses.is_empty();
        }
    }
    all
}

fn further_hosts(node: &Node) -> String {
    let mut text = String::new();
    for (name, addresses) in &node.hosts {
        for address in addresses {
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    text
}

/// `KEY=VALUE`, each ended by a zero, as in `/proc/PID/environ`.
fn environment(variables: &BTreeMap<String, String>) -> Vec<u8> {
    variables.iter().flat_map(|(key, value)| format!("{key}={value}\0").into_bytes()).collect()
}
