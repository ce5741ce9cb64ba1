//! nftables, held against nft(8).

mod program;
mod support;
mod transactions;
