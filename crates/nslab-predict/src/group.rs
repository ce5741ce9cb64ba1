//! Which namespaces somebody drew together. A host may have many networks that know nothing of each other and use the
//! same addresses.

use nslab_snapshot::{Name, Snapshot};

/// Namespaces that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Group<'a> {
    /// Those of a lab.
    Lab(&'a str),
    /// The host and what `ip netns` made.
    ByHand,
}

/// Who drew a namespace; none of containers and the like, which know nothing of each other.
pub(crate) fn group(snapshot: &Snapshot, place: usize) -> Option<Group<'_>> {
    let names = &snapshot.namespaces.get(place)?.names;
    let lab = names.iter().find_map(|name| match name {
        Name::Node { lab, .. } => Some(Group::Lab(lab)),
        _ => None,
    });
    let by_hand =
        || names.iter().any(|name| matches!(name, Name::Host | Name::Netns(_))).then_some(Group::ByHand);
    lab.or_else(by_hand)
}

/// Whether somebody drew two namespaces together.
pub(crate) fn belong_together(snapshot: &Snapshot, one: usize, other: usize) -> bool {
    one == other || group(snapshot, one).is_some_and(|found| Some(found) == group(snapshot, other))
}
