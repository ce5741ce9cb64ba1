//! Keeping out of the way of the neighbour table.
//!
//! ARP and ND entries of *all* namespaces of a host live in one table per family, which by default holds 1024 entries
//! (`gc_thresh3`); past 512 those older than five seconds are thrown out, and when all are younger a new one is refused,
//! to us and to everybody else on the host (`neigh_alloc`, `net/core/neighbour.c`). Every pair of hosts on a wire
//! takes two. So before many pairs are pinged, the entries that they will need are reserved as ones that the collector
//! neither counts nor removes; the kernel then resolves them as it always does. Afterwards all of them are taken away.
//! An entry that was there before is never touched.
//!
//! Which entries a pair needs is guessed from the addresses of its two ends. A guess that is wrong costs an entry
//! that nobody uses.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Batch, Protocol, Socket};

use super::run::Job;
use super::table::{self, Forget, Key, Reserve};
use super::{PingOptions, Probe};
use crate::Result;

/// How long what was read of a namespace's neighbours is believed.
const READ_AGAIN: Duration = Duration::from_millis(20);

/// What is known of every namespace before the first packet.
pub(crate) struct Survey {
    spaces: Vec<Space>,
    /// Whose an address is: the namespace and the interface. Link-local ones are not unique, but mostly made from
    /// MACs, which are.
    owners: HashMap<IpAddr, (usize, u32)>,
}

struct Space {
    /// Addresses on interfaces where neighbours are found by asking.
    addresses: Vec<(IpNet, u32)>,
    before: HashSet<Key>,
}

/// A neighbour entry: its namespace and its key there.
pub(crate) type Entry = (usize, Key);

impl Survey {
    /// Looks at the namespaces. The calling thread ends up in one of them.
    pub(crate) fn take(namespaces: &[Namespace]) -> Result<Self> {
        let (mut spaces, mut owners) = (Vec::with_capacity(namespaces.len()), HashMap::new());
        for (index, namespace) in namespaces.iter().enumerate() {
            let mut socket = socket_in(namespace)?;
            let asking = table::asking_links(&mut socket)?;
            let addresses = nslab_kernel::address::list(&mut socket)?;
            for address in &addresses {
                if !address.address.addr().is_loopback() {
                    owners.entry(address.address.addr()).or_insert((index, address.link));
                }
            }
            let addresses = addresses.iter().map(|address| (address.address, address.link));
            spaces.push(Space {
                addresses: addresses.filter(|(_, link)| asking.contains(link)).collect(),
                before: table::list(&mut socket)?.into_iter().map(|(key, _)| key).collect(),
            });
        }
        Ok(Self { spaces, owners })
    }

    /// The namespace that has the probe's destination.
    pub(crate) fn owner(&self, probe: &Probe) -> Option<usize> {
        self.owners.get(&probe.destination).map(|&(owner, _)| owner)
    }

    /// The entries that the probe will make, as far as they can be told.
    pub(crate) fn entries(&self, probe: &Probe, options: &PingOptions) -> impl Iterator<Item = Entry> {
        let there = self.spaces[probe.source]
            .addresses
            .iter()
            .filter(|(net, link)| {
                net.contains(&probe.destination) && (probe.scope == 0 || probe.scope == *link)
            })
            .max_by_key(|(net, _)| net.prefix_len());
        // Whoever is asked keeps the asker's address.
        let back = there.and_then(|(net, _)| {
            let &(owner, link) = self.owners.get(&probe.destination)?;
            let from = options.source_address.unwrap_or(net.addr());
            (owner != probe.source && self.spaces[owner].asks(link)).then_some((owner, (link, from)))
        });
        // A host is not its own neighbour.
        let there = there.filter(|(net, _)| net.addr() != probe.destination);
        there.map(|&(_, link)| (probe.source, (link, probe.destination))).into_iter().chain(back)
    }

    /// Takes away what traffic left in the namespaces, beyond what there was before. The calling thread ends up in
    /// one of them.
    pub(crate) fn sweep(&self, namespaces: &[Namespace]) -> Result<()> {
        let mut batch = Batch::new();
        for (space, namespace) in self.spaces.iter().zip(namespaces) {
            let mut socket = socket_in(namespace)?;
            batch.clear();
            for (key, state) in table::list(&mut socket)? {
                if state & table::FROM_TRAFFIC != 0 && !space.before.contains(&key) {
                    batch.push(&Forget(key));
                }
            }
            // A refusal means that it is gone already.
            let _ = socket.execute(&mut batch)?;
        }
        Ok(())
    }
}

impl Space {
    fn asks(&self, link: u32) -> bool {
        self.addresses.iter().any(|&(_, other)| other == link)
    }
}

/// Entries that were reserved and are to be taken away, by namespace.
#[derive(Default)]
pub(crate) struct Reserved(Vec<(usize, Vec<Key>)>);

impl Reserved {
    /// Reserves entries. Those that exist or cannot be made are left alone: without them all is as in any other ping.
    /// The calling thread ends up in one of the namespaces.
    pub(crate) fn make(entries: impl Iterator<Item = Entry>, namespaces: &[Namespace]) -> Result<Self> {
        let mut wanted: HashMap<usize, HashSet<Key>> = HashMap::new();
        for (namespace, key) in entries {
            wanted.entry(namespace).or_default().insert(key);
        }
        let (mut reserved, mut batch) = (Vec::with_capacity(wanted.len()), Batch::new());
        for (namespace, keys) in wanted {
            let mut keys: Vec<_> = keys.into_iter().collect();
            batch.clear();
            for &key in &keys {
                batch.push(&Reserve(key));
            }
            if let Err(error) = socket_in(&namespaces[namespace])?.execute(&mut batch)? {
                let mut refused = error.refused.iter().map(|(place, _)| *place).peekable();
                let mut place = 0..;
                keys.retain(|_| refused.next_if_eq(&place.next().unwrap_or_default()).is_none());
            }
            reserved.push((namespace, keys));
        }
        Ok(Self(reserved))
    }

    /// Takes them away. The calling thread ends up in one of the namespaces.
    pub(crate) fn release(&mut self, namespaces: &[Namespace]) -> Result<()> {
        let mut batch = Batch::new();
        for (namespace, keys) in std::mem::take(&mut self.0) {
            batch.clear();
            for &key in &keys {
                batch.push(&Forget(key));
            }
            // A refusal means that it is gone already.
            let _ = socket_in(&namespaces[namespace])?.execute(&mut batch)?;
        }
        Ok(())
    }
}

/// Which neighbours are asked for and have not answered, by namespace, as of not long ago.
#[derive(Default)]
pub(crate) struct Unresolved(HashMap<usize, (Instant, HashMap<IpAddr, u32>)>);

impl Unresolved {
    /// The interface on which the probe's source waits for its destination to answer ARP or ND, if it does. The calling
    /// thread may end up in that namespace.
    pub(in crate::ping) fn link(&mut self, job: &Job<'_>, probe: u32, now: Instant) -> Result<Option<u32>> {
        let probe = &job.probes[probe as usize];
        let Probe { source, destination, .. } = *probe;
        // Where there are many entries, to ask for one is quicker than to list them.
        let mut guesses = job.survey.iter().flat_map(|survey| survey.entries(probe, job.options));
        if let Some((_, key)) = guesses.find(|(namespace, key)| *namespace == source && key.1 == destination)
        {
            let state = table::state(&mut socket_in(&job.namespaces[source])?, key)?;
            return Ok(state.filter(|state| state & table::UNRESOLVED != 0).map(|_| key.0));
        }
        if self.0.get(&source).is_none_or(|(read, _)| now.saturating_duration_since(*read) >= READ_AGAIN) {
            let entries = table::list(&mut socket_in(&job.namespaces[source])?)?;
            let waiting = entries.into_iter().filter(|(_, state)| state & table::UNRESOLVED != 0);
            self.0.insert(source, (now, waiting.map(|((link, address), _)| (address, link)).collect()));
        }
        Ok(self.0.get(&source).and_then(|(_, links)| links.get(&destination).copied()))
    }
}

fn socket_in(namespace: &Namespace) -> Result<Socket> {
    namespace.move_thread()?;
    Ok(Socket::open(Protocol::Route)?)
}
