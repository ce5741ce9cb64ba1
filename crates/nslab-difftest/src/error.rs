//! What can go wrong but predictions.

/// An error of the tester itself: nothing was held against the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] nslab_kernel::Error),
    /// The network could not be read.
    #[error(transparent)]
    Snapshot(#[from] nslab_snapshot::Error),
    /// A packet could not be traced.
    #[error(transparent)]
    Observe(#[from] nslab_observe::Error),
    /// Nothing tells of packets that the kernel drops.
    #[error(transparent)]
    Tracepoints(#[from] nslab_tracepoints::Unavailable),
    /// A program or socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It does not become what it will be.
    #[error("the network does not settle: {0}")]
    Unsettled(String),
}
