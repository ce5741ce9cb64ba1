//! The namespaces that probes are sent between.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};

use crate::Result;

/// Sends probes between namespaces.
#[derive(Debug)]
pub struct Prober {
    pub(super) namespaces: Vec<Namespace>,
    /// The addresses that each has.
    addresses: Vec<HashSet<IpAddr>>,
}

impl Prober {
    /// One for these namespaces, which are meant by their places.
    pub fn new(namespaces: Vec<Namespace>) -> Result<Self> {
        let addresses =
            on_thread(|| namespaces.iter().map(addresses).collect::<Result<Vec<HashSet<IpAddr>>>>())?;
        Ok(Self { namespaces, addresses })
    }

    /// The namespaces.
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// Whether a namespace has an address.
    pub fn has(&self, place: usize, address: IpAddr) -> bool {
        self.addresses.get(place).is_some_and(|all| all.contains(&address))
    }

    /// The namespaces that have an address.
    pub fn owners(&self, address: IpAddr) -> impl Iterator<Item = usize> + '_ {
        (0..self.addresses.len()).filter(move |&place| self.has(place, address))
    }
}

/// The addresses of a namespace. The calling thread stays in it.
fn addresses(namespace: &Namespace) -> Result<HashSet<IpAddr>> {
    namespace.move_thread()?;
    let mut socket = Socket::open(Protocol::Route)?;
    let all = nslab_kernel::address::list(&mut socket)?;
    Ok(all.into_iter().map(|one| one.address.addr()).collect())
}

/// Does work on a thread that ends with it: it goes from namespace to namespace and never back.
pub(super) fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A number that no other call has: the standard library seeds its hashers from the system's randomness.
pub(super) fn random() -> u32 {
    let number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    u32::try_from(number >> 32).unwrap_or_default()
}
