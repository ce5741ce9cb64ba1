//! All qdiscs, classes and filters of an interface's way out, in one value.

use nslab_kernel::NamespaceState;
use nslab_kernel::link::IfIndex;
use nslab_kernel::netlink::Batch;
use nslab_kernel::qdisc::{
    ChangeClass, ChangeFilter, ChangeQdisc, ClassKind, FilterKind, Handle, Htb, Netem, QdiscKind,
};
use serde::{Deserialize, Serialize};

use super::{ROOT, mark};

/// What an interface does with what it sends; by default what the kernel does by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Qdiscs, each behind the one that it hangs in.
    pub qdiscs: Vec<Hung>,
    /// Classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<HungClass>,
    /// Filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<HungFilter>,
}

/// A qdisc and where it hangs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hung {
    /// Where.
    pub parent: Handle,
    /// Its name.
    pub handle: Handle,
    /// What it is.
    pub kind: QdiscKind,
}

/// A class and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HungClass {
    /// The qdisc or class.
    pub parent: Handle,
    /// Its name.
    pub handle: Handle,
    /// What it is.
    pub kind: ClassKind,
}

/// A filter and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HungFilter {
    /// The qdisc or class.
    pub parent: Handle,
    /// The order in which filters are asked.
    pub priority: u16,
    /// The `EtherType` that it is asked about.
    pub protocol: u16,
    /// Its number.
    pub handle: u32,
    /// What it is.
    pub kind: FilterKind,
}

/// One request to the kernel, for an interface that is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Of a qdisc.
    Qdisc(ChangeQdisc),
    /// Of a class.
    Class(ChangeClass),
    /// Of a filter.
    Filter(ChangeFilter),
}

impl Queue {
    /// What the interface has in the kernel. What the kernel hung there by itself, and what is for packets that come in,
    /// is left out.
    pub fn of(state: &NamespaceState, link: IfIndex) -> Self {
        let all = &state.queues;
        let mut left: Vec<_> = all
            .qdiscs
            .iter()
            .filter(|one| one.link == link && one.handle != Handle::NONE && one.parent != Handle::INGRESS)
            .collect();
        let mut qdiscs: Vec<Hung> = Vec::new();
        // From the outside in; what hangs in nothing that is known (several queues of hardware) is left out.
        loop {
            let before = left.len();
            left.retain(|one| {
                let is_next = one.parent == Handle::ROOT
                    || qdiscs.iter().any(|outer| outer.handle.major() == one.parent.major());
                if is_next {
                    qdiscs.push(Hung { parent: one.parent, handle: one.handle, kind: one.kind.clone() });
                }
                !is_next
            });
            if left.len() == before {
                break;
            }
        }
        if qdiscs.first().is_some_and(|outermost| outermost.handle == ROOT) {
            for one in &mut qdiscs {
                if let QdiscKind::Netem(netem) = &mut one.kind {
                    netem.distribution = mark::read(netem.limit);
                }
            }
        }
        let within = |handle: Handle| qdiscs.iter().any(|one| one.handle.major() == handle.major());
        let classes = all.classes.iter().filter(|one| one.link == link && within(one.handle));
        let filters = all.filters.iter().filter(|one| one.link == link && within(one.parent));
        Self {
            classes: classes
                .map(|one| HungClass {
                    // Of a class that is below no other the kernel says that it hangs at the root.
                    parent: if one.parent == Handle::ROOT {
                        Handle::qdisc(one.handle.major())
                    } else {
                        one.parent
                    },
                    handle: one.handle,
                    kind: one.kind.clone(),
                })
                .collect(),
            filters: filters
                .map(|one| HungFilter {
                    parent: one.parent,
                    priority: one.priority,
                    protocol: one.protocol,
                    handle: one.handle,
                    kind: one.kind.clone(),
                })
                .collect(),
            qdiscs,
        }
    }

    /// The kernel does what it does by itself.
    pub fn is_default(&self) -> bool {
        self.qdiscs.is_empty()
    }

    /// nslab put it there.
    pub fn is_ours(&self) -> bool {
        self.qdiscs.first().is_some_and(|outermost| outermost.handle == ROOT)
    }

    /// Whether what is shown is what is wanted. What is left to the kernel may be anything; and a kernel that does not
    /// know netem's seeds shows none.
    pub fn is_met_by(&self, shown: &Self) -> bool {
        self.qdiscs.len() == shown.qdiscs.len()
            && self.qdiscs.iter().zip(&shown.qdiscs).all(|(wanted, shown)| same(wanted, shown))
            && self.classes == shown.classes
            && self.filters == shown.filters
    }

    /// The requests that make this of `before`. What hangs in the same places is changed in place, so that the packets
    /// in it go on; else all of it is made anew.
    pub fn changes(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let in_place = self.has_form_of(before);
        if let (false, Some(outermost)) = (in_place, before.qdiscs.first()) {
            // One of another name is replaced in one go.
            if self.is_default() || self.qdiscs[0].handle == outermost.handle {
                changes.push(Change::Qdisc(ChangeQdisc {
                    link: 0,
                    handle: outermost.handle,
                    parent: Handle::ROOT,
                    kind: None,
                }));
            }
        }
        let mut classes =
            self.classes.iter().filter(|one| !in_place || !before.classes.contains(one)).peekable();
        for one in &self.qdiscs {
            // A class comes before what hangs in it.
            while let Some(class) = classes.next_if(|class| class.handle.major() < one.handle.major()) {
                changes.push(class.change());
            }
            if !in_place || !before.qdiscs.iter().any(|shown| same(one, shown)) {
                changes.push(Change::Qdisc(ChangeQdisc {
                    link: 0,
                    handle: one.handle,
                    parent: one.parent,
                    kind: Some(one.kind.clone()),
                }));
            }
        }
        changes.extend(classes.map(HungClass::change));
        let filters = self.filters.iter().filter(|one| !in_place || !before.filters.contains(one));
        changes.extend(filters.map(|one| {
            Change::Filter(ChangeFilter {
                link: 0,
                parent: one.parent,
                priority: one.priority,
                protocol: one.protocol,
                handle: one.handle,
                kind: one.kind.clone(),
                delete: false,
            })
        }));
        changes
    }

    /// Whether the one can become the other without anything being made or deleted.
    fn has_form_of(&self, other: &Self) -> bool {
        let fixed = |kind: &QdiscKind| matches!(kind, QdiscKind::Htb(_) | QdiscKind::Other { .. });
        // A netem's table of delays stays until there is another (`netem_change`, `net/sched/sch_netem.c`).
        let stays = |one: &QdiscKind, other: &QdiscKind| {
            let table = |kind: &QdiscKind| match kind {
                QdiscKind::Netem(netem) => netem.distribution,
                _ => None,
            };
            table(one).is_none() && table(other).is_some()
        };
        !self.is_default()
            && self.qdiscs.len() == other.qdiscs.len()
            && self.qdiscs.iter().zip(&other.qdiscs).all(|(one, other)| {
                (one.parent, one.handle, one.kind.name()) == (other.parent, other.handle, other.kind.name())
                    // htb has settings that cannot be changed (`htb_qdisc_ops` has no `change`).
                    && (same(one, other) || !fixed(&one.kind) && !fixed(&other.kind))
                    && !stays(&one.kind, &other.kind)
            })
            && self.classes.iter().map(|one| one.handle).eq(other.classes.iter().map(|one| one.handle))
            && self.filters.len() == other.filters.len()
            && self.filters.iter().zip(&other.filters).all(|(one, other)| {
                let place = |one: &HungFilter| (one.parent, one.priority, one.protocol, one.handle);
                let known = |one: &HungFilter| matches!(one.kind, FilterKind::Bpf(_));
                place(one) == place(other) && (one == other || known(one) && known(other))
            })
    }
}

impl HungClass {
    fn change(&self) -> Change {
        Change::Class(ChangeClass {
            link: 0,
            handle: self.handle,
            parent: self.parent,
            kind: Some(self.kind.clone()),
        })
    }
}

impl Change {
    /// Adds the request for the interface `link`.
    pub fn push(self, link: IfIndex, batch: &mut Batch) {
        match self {
            Self::Qdisc(one) => batch.push(&ChangeQdisc { link, ..one }),
            Self::Class(one) => batch.push(&ChangeClass { link, ..one }),
            Self::Filter(one) => batch.push(&ChangeFilter { link, ..one }),
        };
    }
}

/// Whether a qdisc that is shown is the one that is wanted.
fn same(wanted: &Hung, shown: &Hung) -> bool {
    match (&wanted.kind, &shown.kind) {
        (QdiscKind::Netem(one), QdiscKind::Netem(other)) => {
            let seed = if one.seed.is_none() || other.seed.is_none() { one.seed } else { other.seed };
            (wanted.parent, wanted.handle) == (shown.parent, shown.handle)
                && *one == Netem { seed, ..other.clone() }
        }
        (QdiscKind::Htb(one), QdiscKind::Htb(other)) => {
            let direct_limit = one.direct_limit.and(other.direct_limit);
            (wanted.parent, wanted.handle) == (shown.parent, shown.handle)
                && *one == Htb { direct_limit, ..*other }
        }
        _ => wanted == shown,
    }
}
