//! nftables over netlink: typed, both ways, without the `nft` program.
//!
//! A [`Ruleset`] holds all [`Table`]s of a namespace; a table holds [`Chain`]s, which hold [`Rule`]s, [`Set`]s, [`Object`]s and
//! [`Flowtable`]s. A rule is a run of expressions ([`Expr`]), which are what the kernel evaluates; nothing that is read is lost:
//! an expression or attribute that this crate does not know is kept in raw form, and written in raw form.

mod abi;
pub mod build;
mod compare;
mod data;
pub mod datatype;
mod expr;
mod family;
mod fields;
mod flags;
mod monitor;
mod object;
pub mod print;
pub(crate) mod read;
mod ruleset;
mod set;
mod table;
pub mod trace;
mod transaction;
mod userdata;

pub use data::{Data, RawAttribute, Register, Verdict};
pub use expr::{
    BitwiseOp, CmpOp, CtDirection, CtKey, CtState, CtStatus, Dynset, Expr, ExthdrKind, FibFlags, FibResult,
    HashKind, Limit, Log, LogFlags, LogLevel, LookupInto, MetaKey, Nat, NatFlags, ObjectKind, Objref,
    PayloadBase, QueueNumber, Quota, RegisterRange, Reject, RejectIcmpx, RtKey, SocketKey, Synproxy, XfrmKey,
};
pub use family::{Family, Hook};
pub use monitor::RulesetMonitor;
pub use object::{Flowtable, FlowtableFlags, Object, ObjectContent};
pub use ruleset::Ruleset;
pub use set::{Element, ElementFlags, ElementValue, MapsTo, Set, SetFlags};
pub use table::{
    BaseChain, Chain, ChainFlags, ChainKind, Policy, Rule, Table, TableFlags, TableId, priority,
};
pub use transaction::{RefusedChange, RulePlace, Transaction, TransactionError};
pub use userdata::UserData;
