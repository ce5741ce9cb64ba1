//! What many kernels lack; `cargo xtask vm-test` runs it in one that has it all.

mod queues;
mod tunnels;
