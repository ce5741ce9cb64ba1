//! A node's table in the kernel.

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Family, Ruleset, Table, TableId, Transaction, TransactionError};

use super::TABLE;

/// The table of the namespace that the calling thread is in; none if there is none.
pub fn read() -> Result<Option<Table>, nslab_kernel::Error> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let all = Ruleset::read(&mut socket)?;
    Ok(all.tables.into_iter().find(|table| table.id.family == Family::Inet && table.id.name == TABLE))
}

/// Puts a table in the place of the one that is there, in the namespace that the calling thread is in: packets see
/// one or the other. None takes it away.
pub fn replace(table: Option<&Table>) -> Result<(), TransactionError> {
    let mut transaction = Transaction::new();
    if let Some(table) = table {
        transaction.replace(table);
    } else {
        // Making it first lets it be deleted also where it is gone already.
        transaction.add_table(&Table::new(Family::Inet, TABLE));
        transaction.delete_table(&TableId::new(Family::Inet, TABLE));
    }
    transaction.commit(&mut Socket::open(Protocol::Netfilter)?)
}

/// What became of [`replace`]; if the kernel refused, the reason, and whether it lacks something.
pub fn outcome(result: nslab_kernel::Result<Result<(), TransactionError>>) -> Result<(), (String, bool)> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let unsupported = matches!(error, TransactionError::Unsupported { .. });
            Err((error.to_string(), unsupported))
        }
        Err(error) => Err((error.to_string(), false)),
    }
}
