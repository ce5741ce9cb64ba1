//! Files and directories of a node's own.

use nslab_topology::model::{File, View};

use super::Steps;
use crate::actual::{Actual, ActualNamespace};
use crate::desired::{Desired, DesiredNamespace};
use crate::exec::owner_ids;
use crate::plan::{Op, Step};
use crate::view::Found;

/// Makes views what they shall be. One of another shape is made anew, as what is mounted over what cannot be changed below
/// programs; files are written in place.
pub(super) fn diff(desired: &Desired, actual: &Actual, steps: &mut Steps) {
    for (namespace, (space, is)) in desired.namespaces.iter().zip(&actual.namespaces).enumerate() {
        let found = is.as_ref().and_then(|is| is.view.as_ref());
        let mut push = |op| steps.views.push(Step { namespace, op });
        match (&space.view, found) {
            (None, None) => {}
            (Some(wanted), Some(found)) if has_shape(found, wanted) => {
                for file in &wanted.files {
                    let Some(place) = found.view.files.iter().position(|one| one.path == file.path) else {
                        continue;
                    };
                    let (now, owner) = (&found.view.files[place], found.owners[place]);
                    if !is_as_wanted(now, owner, file) {
                        let before = owner.map(|_| Box::new(now.clone()));
                        push(Op::WriteFile { file: Box::new(file.clone()), before });
                    }
                }
            }
            (wanted, found) => {
                if let Some(found) = found {
                    push(Op::DeleteView(Box::new(found.view.clone())));
                }
                if let Some(wanted) = wanted {
                    push(Op::CreateView(Box::new(wanted.clone())));
                }
            }
        }
    }
}

/// Whether what runs in a namespace can stay: it sees the files that it shall see.
pub(super) fn stays(space: &DesiredNamespace, is: &ActualNamespace) -> bool {
    match (&space.view, &is.view) {
        (None, None) => true,
        (Some(wanted), Some(found)) => has_shape(found, wanted),
        _ => false,
    }
}

/// Whether a view is whole and has these directories and processes, and files at these paths.
fn has_shape(found: &Found, wanted: &View) -> bool {
    let paths = |view: &View| {
        let mut paths: Vec<String> = view.files.iter().map(|file| file.path.clone()).collect();
        paths.sort();
        paths
    };
    found.is_whole
        && found.view.processes == wanted.processes
        && found.view.directories == wanted.directories
        && paths(&found.view) == paths(wanted)
}

/// Whether a file is what it shall be. An owner that does not exist here is for others to refuse.
fn is_as_wanted(now: &File, owner: Option<(u32, u32)>, wanted: &File) -> bool {
    let Some(owner) = owner else { return false };
    let same_owner =
        wanted.owner.as_ref().is_none_or(|wanted| owner_ids(wanted).is_ok_and(|ids| ids == owner));
    same_owner && now.mode == wanted.mode && now.content.bytes() == wanted.content.bytes()
}
