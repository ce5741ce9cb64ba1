//! A lab that is being made of namespaces, and what is left out of it.

use nslab_kernel::link::Link;
use nslab_snapshot::Snapshot;
use nslab_topology::lab::{self, Lab};
use nslab_topology::{Span, Spanned};

use crate::Skipped;
use crate::choose::Space;

/// A lab that is being made.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// What it is made of.
    pub(crate) snapshot: &'a Snapshot,
    /// The namespaces.
    pub(crate) spaces: Vec<Space<'a>>,
    /// The lab. What stands in it has a place in [`Draft::things`] for its place in a file.
    pub(crate) lab: Lab,
    /// What stands in it.
    things: Vec<Thing>,
    /// What does not.
    pub(crate) skipped: Vec<Skipped>,
}

/// Something that stands in the lab.
#[derive(Debug, Clone)]
struct Thing {
    /// Its namespace, a place in [`Draft::spaces`].
    space: usize,
    /// What it is.
    object: String,
}

impl<'a> Draft<'a> {
    /// One with nothing in it.
    pub(crate) fn new(snapshot: &'a Snapshot, spaces: Vec<Space<'a>>, name: &str) -> Self {
        Self { snapshot, spaces, lab: Lab::empty(name), things: Vec::new(), skipped: Vec::new() }
    }

    /// Describes all namespaces.
    pub(crate) fn describe(&mut self) {
        for number in 0..self.spaces.len() {
            self.node(number);
            self.switches(number);
        }
        self.links();
    }

    /// A place for something that stands in the lab, so that it is known again when it turns out that it cannot.
    pub(crate) fn mark(&mut self, space: usize, object: impl Into<String>) -> Span {
        self.things.push(Thing { space, object: object.into() });
        let number = self.things.len();
        Span { start: number, end: number, line: number, column: 1 }
    }

    /// Takes note of what the lab has not.
    pub(crate) fn skip(&mut self, space: usize, object: impl Into<String>, why: &str) {
        let namespace = self.spaces[space].called.clone();
        let skipped = Skipped { namespace, object: object.into(), why: why.to_owned() };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    /// Takes note of what had a place in the lab and cannot have it.
    pub(crate) fn skip_thing(&mut self, place: Span, why: &str) {
        if let Some(thing) = self.things.get(place.line - 1).cloned() {
            self.skip(thing.space, thing.object, why);
        }
    }

    fn node(&mut self, number: usize) {
        let space = self.spaces[number].clone();
        let Some(name) = &space.node else {
            self.gaps(number, false);
            return;
        };
        let id = self.mark(number, "the node");
        let mut node = lab::Node::new(Spanned::new(name.clone(), id));
        self.loopback(number, &mut node);
        self.sysctls(number, &mut node);
        self.interfaces(number, &mut node);
        self.routing(number, &mut node);
        self.firewall(number, &mut node);
        self.gaps(number, true);
        if space.is_part {
            self.left_out_of_host(number);
        }
        self.lab.nodes.push(node);
    }

    /// What could not be read of a namespace.
    fn gaps(&mut self, number: usize, is_node: bool) {
        use nslab_snapshot::Part;
        let space = self.spaces[number].clone();
        if !is_node {
            return;
        }
        let mut told = Vec::new();
        for gap in &space.state.gaps {
            let object = match gap.part {
                Part::Nftables => "nftables",
                Part::Xtables => "iptables",
                Part::Settings => "sysctls",
                // Programs are not described anyway, nor what they joined and who they talk to.
                Part::Sockets(_) | Part::Groups | Part::Connections | Part::Programs => continue,
            };
            // Of several tables one reason is enough.
            if !told.contains(&object) {
                self.skip(number, object, &format!("could not be read: {}", gap.why));
                told.push(object);
            }
        }
        for table in &space.state.xtables {
            self.skip(number, table, "rules of the older iptables are not read; those of iptables-nft are");
        }
    }

    /// One line for all of the host that is no part of the network.
    fn left_out_of_host(&mut self, number: usize) {
        let space = self.spaces[number].clone();
        let left: Vec<&Link> = space
            .state
            .network
            .links
            .iter()
            .filter(|link| !space.links.contains(&link.index) && !crate::choose::is_kernels(link))
            .collect();
        if let [first, rest @ ..] = &left[..] {
            let object = match rest.len() {
                0 => first.name.to_string(),
                more => format!("{} and {more} more", first.name),
            };
            let why = "no part of this network, so left out with all that hangs on it; name `host` to have all of the host";
            self.skip(number, object, why);
        }
    }

    /// What a lab file cannot say of any interface.
    pub(crate) fn oddities(&mut self, number: usize, link: &Link) {
        let name = link.name.as_str();
        for other in &link.alt_names {
            if self.full_name(link) != *other {
                self.skip(number, format!("{name} altname {other}"), "a lab file gives no other names");
            }
        }
        if link.group != 0 && link.group != nslab_lab::plan::LINK_GROUP {
            self.skip(
                number,
                format!("{name} group {}", link.group),
                "what a lab makes is in a group of its own",
            );
        }
        if link.xdp.is_some() {
            self.skip(number, format!("{name} xdp"), "programs of the kernel's are not read");
        }
    }

    /// The name that an interface was meant to have, if it is one that a lab shortened.
    #[expect(clippy::unused_self, reason = "called beside others that do")]
    pub(crate) fn full_name(&self, link: &Link) -> String {
        let meant = link.alt_names.iter().find(|long| {
            long.len() > nslab_types::IfName::MAX_LEN
                && nslab_types::IfName::shortened(long).is_ok_and(|short| short == link.name)
        });
        meant.cloned().unwrap_or_else(|| link.name.to_string())
    }
}
