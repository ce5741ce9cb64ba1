//! Whether this kernel has what a table needs.

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Expr, Table, Transaction, TransactionError};

use crate::error::{Error, Result};

/// Asks the kernel, in a namespace that is made for it, whether it would take these tables. Of tables of the same
/// kinds of rules one is asked for.
pub fn check<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Result<()> {
    let mut asked: HashSet<Discriminant<Expr>> = HashSet::new();
    let mut chains: HashSet<&str> = HashSet::new();
    let mut scratch = None;
    for table in tables {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        let mut new = false;
        for expr in rules.flat_map(|rule| &rule.expressions) {
            new |= asked.insert(discriminant(expr));
        }
        for base in table.chains.iter().filter_map(|chain| chain.base.as_ref()) {
            new |= chains.insert(base.kind.as_str());
        }
        if !new {
            continue;
        }
        let namespace = match &scratch {
            Some(namespace) => namespace,
            None => scratch.insert(Namespace::create()?),
        };
        let mut transaction = Transaction::new();
        transaction.load(table);
        let answer = namespace.run(|| transaction.check(&mut Socket::open(Protocol::Netfilter)?))?;
        answer.map_err(|error| lacking(&error))?;
    }
    Ok(())
}

fn lacking(error: &TransactionError) -> Error {
    let what = match error {
        TransactionError::Unsupported { what, option, .. } => {
            format!("this kernel cannot run the lab's firewalls: it lacks {what} ({option})")
        }
        TransactionError::Socket(_) => {
            format!("this kernel cannot run the lab's firewalls: {error} (CONFIG_NF_TABLES)")
        }
        _ => format!("this kernel does not take the lab's firewalls: {error}"),
    };
    Error::Machine { what, hint: Some("nothing was changed; a kernel of a distribution has it".to_owned()) }
}
