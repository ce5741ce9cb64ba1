//! What tests of nftables share.

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Ruleset, Table, Transaction};

/// A namespace of the test's own, with a socket for nftables in it.
pub(crate) struct Tables {
    pub(crate) namespace: Namespace,
    pub(crate) socket: Socket,
}

impl Tables {
    pub(crate) fn new() -> Self {
        let namespace = Namespace::create().unwrap();
        let socket = namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        Self { namespace, socket }
    }

    pub(crate) fn load(&mut self, tables: &[Table]) {
        let mut transaction = Transaction::new();
        for table in tables {
            transaction.load(table);
        }
        transaction.commit(&mut self.socket).unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) fn read(&mut self) -> Ruleset {
        Ruleset::read(&mut self.socket).unwrap()
    }
}
