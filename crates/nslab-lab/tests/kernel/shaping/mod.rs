//! Bad links, measured.

mod change;
mod full_kernel;
mod paths;
mod share;
mod traffic;

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::qdisc::{Qdisc, Queues};
use nslab_lab::shaping::{Shaper, probe};

use crate::support::{Site, wanted};

/// Whether this kernel has netem; says so if not.
fn has_netem() -> bool {
    let lab = wanted("name: probe\nnodes: {a: {}, b: {}}\nlinks: [[a, b, {loss: 1%}]]\n");
    let has = probe(&lab.topology, None).unwrap() == Shaper::Netem;
    if !has {
        nslab_testing::kernel_lacks("CONFIG_NET_SCH_NETEM");
    }
    has
}

fn queues(namespace: &Namespace) -> Queues {
    let mut socket = namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
    Queues::read(&mut socket).unwrap()
}

/// The qdisc that loses what is lost: the only one of its kind.
fn loser(site: &Site, lab: &str, node: &str) -> Qdisc {
    let all = queues(&site.node(lab, node)).qdiscs;
    all.into_iter().find(|one| matches!(one.kind.name(), "blackhole" | "netem")).unwrap()
}
