//! Why a transaction was not carried out.

use std::fmt;

use rustix::io::Errno;

use super::{Transaction, support};
use crate::error::{Error, Refusal};
use crate::netlink::{Attributes, Batch};
use crate::nftables::abi::NFTA_LIST_ELEM;
use crate::nftables::expr;

/// Why a transaction was not carried out; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The socket does not work.
    #[error(transparent)]
    Socket(#[from] Error),
    /// The kernel refused changes; at least one is here.
    #[error("{}", list(.0))]
    Refused(Vec<RefusedChange>),
    /// This kernel was built without something.
    #[error("cannot {change}: {what} is not supported by this kernel ({option})")]
    Unsupported {
        /// What was tried.
        change: String,
        /// What it lacks.
        what: String,
        /// The build option that would bring it.
        option: &'static str,
    },
    /// Somebody else changed tables since the generation that was expected.
    #[error("the nftables rules were changed by somebody else meanwhile")]
    Overtaken,
    /// It is more than this process may send at once.
    #[error(
        "a transaction of {size} bytes is more than the {limit} that an ordinary user can send at once (net.core.wmem_max)"
    )]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// What may be sent.
        limit: usize,
    },
}

/// A change that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedChange {
    /// Its number in the transaction; none if the kernel refused only the whole.
    pub change: Option<usize>,
    /// What was tried, in words.
    pub words: String,
    /// The expression that was refused, where the kernel names one, by its name in the kernel.
    pub expression: Option<String>,
    /// The kernel's answer.
    pub refusal: Refusal,
}

impl fmt::Display for RefusedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: ", self.words)?;
        if let Some(expression) = &self.expression {
            write!(f, "expression \"{expression}\": ")?;
        }
        write!(f, "{}", self.refusal)
    }
}

fn list(refused: &[RefusedChange]) -> String {
    match refused {
        [] => "the kernel refused a transaction".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

impl TransactionError {
    /// The error number of the first refusal, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Socket(error) => error.errno(),
            Self::Refused(refused) => refused.first().map(|refused| refused.refusal.errno),
            _ => None,
        }
    }
}

impl Transaction {
    /// What the kernel's answers mean. `batch` has one message before those of the transaction.
    pub(super) fn refused(&self, batch: &Batch, refused: Vec<(usize, Refusal)>) -> TransactionError {
        let whole = refused.iter().find(|(place, _)| *place == 0).map(|(_, refusal)| refusal.errno);
        match whole {
            // `nfnetlink_rcv_batch`, net/netfilter/nfnetlink.c: what follows is about the whole.
            Some(Errno::RESTART) => return TransactionError::Overtaken,
            Some(Errno::OPNOTSUPP) => {
                return TransactionError::Unsupported {
                    change: self.describe(0).to_owned(),
                    what: "nftables".to_owned(),
                    option: "CONFIG_NF_TABLES",
                };
            }
            _ => {}
        }
        let mut all: Vec<RefusedChange> = Vec::new();
        for (place, refusal) in refused {
            let change = place.checked_sub(1).and_then(|place| self.owners.get(place)).copied();
            if all.iter().any(|other| other.change == change) {
                continue;
            }
            let words = match change {
                Some(change) => self.describe(change).to_owned(),
                None => "change the nftables rules".to_owned(),
            };
            let expression = refused_expression(batch.message(place), &refusal);
            all.push(RefusedChange { change, words, expression, refusal });
        }
        all.sort_by_key(|refused| refused.change);
        // What this kernel lacks comes first: other refusals may follow from it.
        let lacking = all.iter().find_map(|refused| {
            let place = self.owners.iter().position(|owner| Some(*owner) == refused.change)? + 1;
            let (what, option) = support::lacking(batch.message(place), refused)?;
            Some(TransactionError::Unsupported { change: refused.words.clone(), what, option })
        });
        lacking.unwrap_or(TransactionError::Refused(all))
    }
}

/// The name of the expression that a refusal points at (`nf_tables_newrule` names the list's element).
fn refused_expression(message: &[u8], refusal: &Refusal) -> Option<String> {
    let at = usize::try_from(refusal.offset?).ok()?;
    let attribute = Attributes::new(message.get(at..)?).next()?;
    (attribute.kind == NFTA_LIST_ELEM).then_some(())?;
    match expr::expression(attribute.nested()) {
        expr::Expr::Unknown { name, .. } if name.is_empty() => None,
        expr => Some(expr::name(&expr).to_owned()),
    }
}
