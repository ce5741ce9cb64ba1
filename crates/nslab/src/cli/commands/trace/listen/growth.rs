//! The namespaces that are traced in: which are there, which come and go.

use std::time::{Duration, Instant};

use nslab_compare::Only;
use nslab_kernel::NamespaceId;
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::state::NamespaceState;
use nslab_snapshot::Snapshot;

use crate::cli::commands::capture::growth::{Came, Coming};
use crate::cli::commands::capture::targets::{self, Anchor};
use crate::cli::output::Output;

/// Whether namespaces are still there is asked this often.
const ROLL_CALL: Duration = Duration::from_millis(250);

/// A namespace that is traced in, or was.
pub(super) struct Member {
    /// None if it is gone: another may have its number.
    id: Option<NamespaceId>,
    anchor: Option<Anchor>,
    /// Its place in the snapshot.
    number: usize,
    /// The interfaces that are meant; all if there is none here.
    interfaces: Vec<String>,
    /// It is in the snapshot only as it was.
    is_past: bool,
}

impl Member {
    pub(super) fn new(
        id: NamespaceId,
        anchor: Option<Anchor>,
        number: usize,
        interfaces: Vec<String>,
    ) -> Self {
        Self { id: Some(id), anchor, number, interfaces, is_past: false }
    }

    pub(super) fn id(&self) -> Option<NamespaceId> {
        self.id
    }
}

/// All of them, by place.
pub(super) struct Growing {
    members: Vec<Member>,
    coming: Option<Coming>,
    /// Those that came and have not joined yet.
    pub(super) came: Vec<Came>,
    called: Instant,
}

impl Growing {
    pub(super) fn new(members: Vec<Member>, coming: Option<Coming>) -> Self {
        Self { members, coming, came: Vec::new(), called: Instant::now() }
    }

    /// How many there are, with those that are gone.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether others may come.
    pub(super) fn may_grow(&self) -> bool {
        self.coming.is_some()
    }

    /// By place: the place in the snapshot.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.members.iter().map(|member| member.number).collect()
    }

    /// The interfaces at which alone it is looked, in a snapshot.
    pub(super) fn only(&self, snapshot: &Snapshot) -> Only {
        let some = self.members.iter().filter(|member| !member.interfaces.is_empty());
        let links = |member: &Member| {
            let state = snapshot.namespaces.get(member.number)?.state()?;
            let links = state.network.links.iter();
            let is_meant = |name: &String| member.interfaces.contains(name);
            let meant =
                links.filter(|link| is_meant(&link.name.to_string()) || link.alt_names.iter().any(is_meant));
            Some(meant.map(|link| link.index).collect())
        };
        some.map(|member| (member.number, links(member).unwrap_or_default())).collect()
    }

    /// Whether a namespace is known only as it was before it went.
    pub(super) fn is_past(&self, place: usize) -> bool {
        self.members.get(place).is_some_and(|member| member.is_past)
    }

    /// Whether some have come that are to join.
    pub(super) fn has_come(&mut self, output: Output) -> bool {
        while let Some(came) = self.coming.as_ref().and_then(Coming::next) {
            match came {
                Ok(came) => self.came.push(came),
                Err(error) => output.note(&format!("note: a namespace cannot join: {error}")),
            }
        }
        !self.came.is_empty()
    }

    /// Whether any of those that came are there still; the others are told of.
    pub(super) fn has_lasted(&mut self, output: Output) -> bool {
        let came = self.came.iter_mut().enumerate();
        let gone = targets::gone(came.filter_map(|(place, came)| Some((place, came.anchor.as_mut()?))));
        // From the last on, so that places stay what they are.
        for place in gone.into_iter().rev() {
            let came = self.came.remove(place);
            output.note(&format!("note: {} came and is gone", came.opened.name()));
            if let Some(anchor) = came.anchor {
                self.forget(anchor.id());
            }
        }
        !self.came.is_empty()
    }

    /// Forgets one that came and could not join.
    pub(super) fn forget(&self, id: NamespaceId) {
        if let Some(coming) = &self.coming {
            coming.forget(id);
        }
    }

    /// Takes one in.
    pub(super) fn add(&mut self, member: Member) {
        self.members.push(member);
    }

    /// Those that only this process holds, which are to go: their places and what they were known by.
    pub(super) fn call_roll(&mut self) -> Vec<(usize, NamespaceId)> {
        if self.called.elapsed() < ROLL_CALL {
            return Vec::new();
        }
        self.called = Instant::now();
        let mut gone: Vec<(usize, NamespaceId)> = Vec::new();
        let members = self.members.iter_mut().enumerate();
        for place in
            targets::gone(members.filter_map(|(place, member)| Some((place, member.anchor.as_mut()?))))
        {
            let member = &mut self.members[place];
            member.anchor = None;
            gone.extend(member.id.take().map(|id| (place, id)));
        }
        for (_, id) in &gone {
            self.forget(*id);
        }
        gone
    }

    /// Finds all in a new snapshot; those that are not in it are added as they were.
    pub(super) fn find_in(&mut self, snapshot: &mut Snapshot, before: &Snapshot) {
        for member in &mut self.members {
            let there = snapshot.namespaces.iter().position(|space| Some(space.id) == member.id);
            if let Some(number) = there {
                (member.number, member.is_past) = (number, false);
                continue;
            }
            let Some(mut space) = before.namespaces.get(member.number).cloned() else { continue };
            if let nslab_snapshot::Contents::State(state) = &mut space.contents {
                // Where its cables led was said for the other snapshot.
                state.peers.clear();
                // Nothing comes from it any more, and many may have gone.
                if member.is_past {
                    state.network = NamespaceState::default();
                    state.nftables = Ruleset::default();
                    (state.sockets, state.connections) = (Vec::new(), None);
                }
            }
            member.is_past = true;
            member.number = snapshot.namespaces.len();
            snapshot.namespaces.push(space);
        }
    }
}
