//! Whether this kernel has what a table needs.

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Expr, Table, Transaction, TransactionError};

use crate::error::{Error, Result};
use crate::support::with_privilege;

/// Errors with [`Error::Machine`] if the kernel would not take these tables.
pub fn check<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Result<()> {
    let tables = of_each_kind(tables);
    if tables.is_empty() {
        return Ok(());
    }
    match with_privilege(|| refusal(&tables))? {
        None => Ok(()),
        Some(what) => Err(Error::Machine {
            what,
            hint: Some("nothing was changed; a kernel of a distribution has it".to_owned()),
        }),
    }
}

/// The tables without those that have only the same kinds of rules as others.
fn of_each_kind<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Vec<&'a Table> {
    let mut expressions: HashSet<Discriminant<Expr>> = HashSet::new();
    let mut chains: HashSet<&str> = HashSet::new();
    let mut is_new = |table: &'a Table| {
        let mut new = false;
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        for expr in rules.flat_map(|rule| &rule.expressions) {
            new |= expressions.insert(discriminant(expr));
        }
        for base in table.chains.iter().filter_map(|chain| chain.base.as_ref()) {
            new |= chains.insert(base.kind.as_str());
        }
        new
    };
    tables.into_iter().filter(|table| is_new(table)).collect()
}

/// What the kernel says against the first table that it would not take. It is asked in a namespace that is made for it.
fn refusal(tables: &[&Table]) -> Result<Option<String>> {
    let namespace = Namespace::create()?;
    for table in tables {
        let mut transaction = Transaction::new();
        transaction.load(table);
        let answer = namespace.run(|| transaction.check(&mut Socket::open(Protocol::Netfilter)?))?;
        if let Err(error) = answer {
            return Ok(Some(lacking(&error)));
        }
    }
    Ok(None)
}

fn lacking(error: &TransactionError) -> String {
    match error {
        TransactionError::Unsupported { what, option, .. } => {
            format!("this kernel cannot run the lab's firewalls: it lacks {what} ({option})")
        }
        TransactionError::Socket(_) => {
            format!("this kernel cannot run the lab's firewalls: {error} (CONFIG_NF_TABLES)")
        }
        _ => format!("this kernel does not take the lab's firewalls: {error}"),
    }
}
