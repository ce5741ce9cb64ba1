//! What can go wrong before there is an outcome to speak of.

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be observed at all. What the network does to a packet is never an error, it is an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a socket, a namespace or a setting.
    #[error(transparent)]
    Kernel(#[from] nslab_kernel::Error),
    /// A probe names a namespace that was not given.
    #[error("probe {probe} starts in namespace {source_index}, but only {namespaces} were given")]
    NoSuchNamespace {
        /// The probe's place in the list.
        probe: usize,
        /// The namespace's index that it names.
        source_index: usize,
        /// How many namespaces were given.
        namespaces: usize,
    },
    /// More payload than a packet holds.
    #[error("a payload of {size} bytes does not fit into a packet: at most {most} do")]
    TooLarge {
        /// The bytes asked for.
        size: usize,
        /// The bytes possible.
        most: usize,
    },
    /// More probes than can be numbered.
    #[error("{probes} probes are too many for one call: at most {most} are possible")]
    TooMany {
        /// The probes asked for.
        probes: usize,
        /// The probes possible.
        most: usize,
    },
    /// A namespace has not the interface that was asked for.
    #[error("{namespace} has no interface {name:?}")]
    NoSuchInterface {
        /// What the namespace is called.
        namespace: String,
        /// The interface's name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A filter, with the interfaces that were asked for, makes a longer program than the kernel takes.
    #[error("the filter is too long for the kernel, which takes 4096 instructions (BPF_MAXINSNS)")]
    FilterTooLong,
}
