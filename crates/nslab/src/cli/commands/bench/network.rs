//! The lab that is measured in: built for the time, and taken away however that ends.

use std::net::IpAddr;
use std::path::PathBuf;

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::build::RuleBuilder;
use nslab_kernel::nftables::{
    BaseChain, Chain, ChainKind, Expr, Family, Hook, Ruleset, Table, Transaction, priority,
};
use nslab_lab::labs::Wanted;
use nslab_load::Ends;

use super::way::lab_file;
use crate::cli::args::Way;
use crate::cli::context::{self, Context};
use crate::cli::error::{CliError, Kind};

/// Labs of this command begin so; then comes the number of the process that made them.
const PREFIX: &str = "nslab-bench-";
/// The table that is put into routers.
const TABLE: &str = "nslab-bench";

/// The lab, while it is there.
pub(super) struct Network<'c> {
    context: &'c Context,
    /// None if nothing had to be built.
    lab: Option<String>,
}

/// What passed somewhere until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) node: String,
    pub(super) link: String,
    pub(super) packets: u64,
}

impl<'c> Network<'c> {
    pub(super) fn build(
        context: &'c Context,
        ways: &[Way],
        interrupt: nslab_lab::Interrupt,
    ) -> Result<Self, CliError> {
        sweep(context);
        let name = format!("{PREFIX}{}", std::process::id());
        let Some(text) = lab_file(&name, ways) else { return Ok(Self { context, lab: None }) };
        let internal =
            |what: &str| CliError::new(Kind::Machine, format!("{what} of the benchmark is refused"));
        let loaded = nslab_topology::load(&text, &name, &[]).map_err(|_| internal("the lab"))?;
        let wanted =
            Wanted { lab: loaded.lab, topology: loaded.topology, file: None, directory: PathBuf::from("/") };
        // What was begun is taken back by `up` itself.
        context.with_labs(&|_| {}, interrupt, |labs| labs.up(&wanted))?;
        let network = Self { context, lab: Some(name) };
        for &way in ways {
            if let (Some(table), Some(middle)) = (rules(way), way.middle()) {
                network.load(&middle, &table)?;
            }
        }
        Ok(network)
    }

    fn load(&self, node: &str, table: &Table) -> Result<(), CliError> {
        let mut socket = self.namespace(node)?.run(|| Socket::open(Protocol::Netfilter))??;
        let mut transaction = Transaction::new();
        transaction.load(table);
        transaction.commit(&mut socket).map_err(|error| {
            CliError::new(Kind::Machine, format!("the kernel refuses rules of the benchmark: {error}"))
                .hint("--only leaves ways out: host,namespace,veth,bridge,routed need none")
        })
    }

    fn namespace(&self, node: &str) -> Result<Namespace, CliError> {
        let lab = self.lab.as_deref().unwrap_or_default();
        Ok(Namespace::open(&context::paths().lab(lab).pin(node))?)
    }

    /// The two ends of a way that is in the lab.
    pub(super) fn ends(&self, way: Way) -> Result<Option<Ends>, CliError> {
        let Some((client, server, address)) = way.ends() else { return Ok(None) };
        let wrong = |_| CliError::new(Kind::Machine, "an address of the benchmark makes no sense");
        Ok(Some(Ends {
            client: Some(self.namespace(&client)?),
            server: Some(self.namespace(&server)?),
            address: address.parse::<IpAddr>().map_err(wrong)?,
        }))
    }

    /// What passed the interfaces of a way.
    pub(super) fn passed(&self, way: Way) -> Result<Vec<Passed>, CliError> {
        let mut all = Vec::new();
        for (node, link) in way.passes() {
            let read = || std::fs::read_to_string("/proc/thread-self/net/dev");
            let text = self.namespace(&node)?.run(read)?.unwrap_or_default();
            let packets = received(&text, link).unwrap_or(0);
            all.push(Passed { node, link: link.to_owned(), packets });
        }
        Ok(all)
    }

    /// How many packets the last rule of a way's router counted.
    pub(super) fn counted(&self, way: Way) -> Result<Option<u64>, CliError> {
        let (Some(_), Some(middle)) = (rules(way), way.middle()) else { return Ok(None) };
        let mut socket = self.namespace(&middle)?.run(|| Socket::open(Protocol::Netfilter))??;
        let ruleset = Ruleset::read(&mut socket)?;
        let tables = ruleset.tables.iter().filter(|table| table.id.name == TABLE);
        let rules = tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        let counters = rules.flat_map(|rule| &rule.expressions).filter_map(|expression| match expression {
            Expr::Counter { packets, .. } => Some(*packets),
            _ => None,
        });
        Ok(Some(counters.sum()))
    }

    /// Takes the lab away.
    pub(super) fn end(mut self) -> Result<(), CliError> {
        match self.lab.take() {
            Some(name) => Ok(self.context.labs(|labs| labs.down(&name)).map(drop)?),
            None => Ok(()),
        }
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.lab.take() {
            // Somebody was told already what went wrong.
            let _ = self.context.labs(|labs| labs.down(&name));
        }
    }
}

/// Takes away what earlier ones left that were killed.
fn sweep(context: &Context) {
    for name in context::paths().labs().unwrap_or_default() {
        let of = name.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok());
        if of.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            // It will be tried again.
            let _ = context.labs(|labs| labs.down(&name));
        }
    }
}

/// What a way's router does to packets: rules that match none of them, then one that counts.
fn rules(way: Way) -> Option<Table> {
    if way == Way::Nat {
        let mut table = Table::new(Family::Ip, TABLE);
        let base = BaseChain {
            kind: ChainKind::Nat,
            priority: priority::SRCNAT,
            ..BaseChain::filter(Hook::Postrouting)
        };
        let mut chain = Chain::base("postrouting", base);
        chain.rules.push(RuleBuilder::new(Family::Ip).counter().masquerade());
        table.chains.push(chain);
        return Some(table);
    }
    let count = way.rules()?;
    let mut table = Table::new(Family::Ip, TABLE);
    let mut chain = Chain::base("forward", BaseChain::filter(Hook::Forward));
    for number in 1..count {
        // Addresses for benchmarks (RFC 2544), which nobody here has.
        let [_, _, high, low] = number.to_be_bytes();
        let source = std::net::Ipv4Addr::new(198, 18, high, low);
        chain.rules.push(RuleBuilder::new(Family::Ip).source(IpAddr::from(source).into()).drop());
    }
    chain.rules.push(RuleBuilder::new(Family::Ip).counter().accept());
    table.chains.push(chain);
    Some(table)
}

/// The packets that an interface received, in `/proc/net/dev` (`proc_pid_net(5)`).
fn received(text: &str, link: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(link)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counters_of_interfaces() {
        let text = "Inter-|   Receive\n face |bytes    packets\n    lo:  100  7 0 0\n  eth0:2000 11 0\n";
        assert_eq!((received(text, "lo"), received(text, "eth0")), (Some(7), Some(11)));
        assert_eq!(received(text, "eth"), None);
    }

    #[test]
    fn a_firewall_has_as_many_rules_as_it_is_called_after() {
        for way in Way::ALL {
            let count = rules(way).map(|table| table.chains[0].rules.len());
            let wanted = way.rules().map(|count| count as usize).or((way == Way::Nat).then_some(1));
            assert_eq!(count, wanted, "{way:?}");
        }
    }
}
