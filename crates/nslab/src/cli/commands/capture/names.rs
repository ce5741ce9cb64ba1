//! What names in a filter mean: services and protocols as the system's files have them, hosts by what nodes, containers and
//! other namespaces have as addresses.

use std::net::IpAddr;

use nslab_filter::{NameTable, Names, Transport};
use nslab_kernel::address;
use nslab_kernel::netlink::{Protocol, Socket};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::target::Target;

/// Names as this command's user sees them.
pub(in crate::cli::commands) struct FilterNames<'a> {
    files: NameTable,
    context: &'a Context,
    /// The labs that the command is about, whose nodes are meant first.
    labs: Vec<&'a str>,
}

/// `/etc/services` and `/etc/protocols`, read before an ordinary user's process enters namespaces, where it sees other files.
pub(in crate::cli::commands) fn files() -> NameTable {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    NameTable::builtin().with_services(&file("/etc/services")).with_protocols(&file("/etc/protocols"))
}

impl<'a> FilterNames<'a> {
    /// For a command about this lab, or these targets.
    pub(in crate::cli::commands) fn new(
        files: NameTable,
        context: &'a Context,
        lab: Option<&'a str>,
        targets: &'a [String],
    ) -> Self {
        let of_targets = targets.iter().filter_map(|target| Some(target.split_once('/')?.0));
        Self { files, context, labs: lab.into_iter().chain(of_targets).collect() }
    }

    /// What the namespace has as addresses, but for those that are everywhere.
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, CliError> {
        let of_labs = self.labs.iter().map(|lab| format!("{lab}/{name}"));
        let mut of_labs = of_labs.filter_map(|name| Target::parse(&name, self.context).ok());
        let target = of_labs.next().map_or_else(|| Target::parse(name, self.context), Ok)?;
        let namespace = target.namespace()?;
        let listed = namespace.run(|| address::list(&mut Socket::open(Protocol::Route)?))??;
        Ok(listed.into_iter().map(|own| own.address.addr()).filter(|own| !own.is_loopback()).collect())
    }
}

impl Names for FilterNames<'_> {
    fn port(&self, name: &str, transport: Transport) -> Option<u16> {
        self.files.port(name, transport)
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        self.files.protocol(name)
    }

    fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        self.addresses(name).map_err(|error| error.hints.first().unwrap_or(&error.message).clone())
    }
}
