//! nftables, held against nft(8).

mod foreign;
mod program;
mod support;
mod trace;
mod transactions;
