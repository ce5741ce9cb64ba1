//! What a `TARGET` means in a snapshot: of this host just now, or of a file.

use std::net::IpAddr;

use nslab_predict::Network;
use nslab_snapshot::{Name, Options, Snapshot};

use super::commands::scan;
use super::context::Context;
use super::error::{CliError, Kind, unknown};
use super::family::{Family, nearest};
use super::output::Output;
use super::target::Target;

/// A snapshot in which namespaces are looked up as people name them.
pub(super) struct Places {
    pub(super) snapshot: Snapshot,
    /// The hold on the user's labs, if the snapshot is of this host.
    live: Option<Context>,
}

impl Places {
    /// A file's, or this host's.
    pub(super) fn open(
        file: Option<&std::path::Path>,
        options: Options,
        output: Output,
    ) -> Result<Self, CliError> {
        if let Some(file) = file {
            return Ok(Self { snapshot: scan::load(file)?, live: None });
        }
        let context = Context::open(output)?;
        Ok(Self { snapshot: Snapshot::take(options)?, live: Some(context) })
    }

    /// The place of the namespace that is meant by a text.
    pub(super) fn find(&self, text: &str) -> Result<usize, CliError> {
        let all: Vec<usize> = self.snapshot.find(text).map(|(place, _)| place).collect();
        if let Some(context) = &self.live {
            // As all other commands find it; what they do not know may still be in the snapshot under its bare name.
            match Target::parse(text, context).and_then(|target| Ok((target.namespace()?, target))) {
                Ok((namespace, _)) => {
                    let id = namespace.id()?;
                    let place = self.snapshot.namespaces.iter().position(|known| known.id == id);
                    return place.ok_or_else(|| {
                        CliError::new(
                            Kind::Machine,
                            format!("{text} came to be while the host was looked at"),
                        )
                        .hint("once more")
                    });
                }
                Err(error) if all.is_empty() && text.contains(':') => return Err(error),
                Err(error) if error.kind == Kind::Machine && all.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        match &all[..] {
            [only] => Ok(*only),
            [] => self.process(text).ok_or_else(|| self.unknown(text)),
            several => {
                let names = several.iter().map(|&place| self.snapshot.namespaces[place].name().to_string());
                let names: Vec<String> = names.collect();
                Err(CliError::bad_input(format!(
                    "which {text:?}? {} namespaces are called so",
                    several.len()
                ))
                .hint(format!("name one of: {}", names.join(", "))))
            }
        }
    }

    /// The namespace of a process that is not what the namespace is called by.
    fn process(&self, text: &str) -> Option<usize> {
        let pid: i32 = text.strip_prefix("pid:")?.parse().ok()?;
        self.snapshot.namespaces.iter().position(|space| space.processes.iter().any(|one| one.pid == pid))
    }

    fn unknown(&self, text: &str) -> CliError {
        let mut known = Vec::new();
        for name in self.snapshot.namespaces.iter().flat_map(|space| &space.names) {
            match name {
                Name::Node { node, .. } => known.extend([name.to_string(), node.clone()]),
                Name::Netns(bare) | Name::Container { name: bare, .. } => {
                    known.extend([name.to_string(), bare.clone()]);
                }
                Name::Host => known.push(name.to_string()),
                Name::Process(process) => known.push(format!("pid:{}", process.pid)),
                Name::Pinned(_) | Name::Id(_) => {}
            }
        }
        known.sort();
        known.dedup();
        let message = format!("there is no node, namespace or container {text:?}");
        let error = unknown(message, text, &known, "known");
        if known.len() > 12 && error.hints.iter().any(|hint| hint.contains("nslab ls")) {
            return CliError { hints: vec!["`nslab scan` lists what there is".to_owned()], ..error };
        }
        error
    }

    /// The address of a namespace that another one would use.
    pub(super) fn address(
        &self,
        network: &Network<'_>,
        from: usize,
        to: usize,
        family: Family,
    ) -> Option<IpAddr> {
        let segment = |namespace, link| network.segments.number(nslab_predict::l2::Port { namespace, link });
        let state = |place: usize| self.snapshot.namespaces.get(place)?.state();
        let ours: Vec<usize> =
            state(from)?.network.links.iter().filter_map(|link| segment(from, link.index)).collect();
        let theirs = |wanted: fn(IpAddr) -> bool| {
            let all = state(to).into_iter().flat_map(|state| &state.network.addresses);
            let all = all.map(|known| (segment(to, known.link), known.address.addr()));
            nearest(all.filter(|(_, address)| wanted(*address)), |one| ours.contains(&one), family)
        };
        theirs(|address| !is_local(address))
    }
}

/// Whether an address means something on its link or host alone.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}
