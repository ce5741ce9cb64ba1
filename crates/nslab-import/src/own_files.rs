//! Files of containers, as files of nodes: a node has a copy of its own of each.

use nslab_topology::LARGEST_FILE;

use crate::draft::{Draft, OwnFile};
use crate::{Found, Place, Surroundings};

/// How many files of one directory are carried over.
const MOST_FILES: usize = 200;

/// Gives a node what is at `source`: a file at `target`, or the files of a directory below it. `text` is what was written.
pub(crate) fn carry_over(
    draft: &mut Draft,
    node: usize,
    surroundings: &dyn Surroundings,
    (source, target): (&str, &str),
    place: &Place,
    text: &str,
) {
    if !target.starts_with('/') {
        draft.skip(place, text, "it has no place in the node");
        return;
    }
    let target = target.trim_end_matches('/');
    if source == target {
        draft.skip(place, text, "a node has this machine's files anyway");
        return;
    }
    let add = |draft: &mut Draft, source: &str, target: &str, size: u64| {
        let top = target.split('/').nth(1).filter(|top| target.len() > top.len() + 1);
        if !top.is_some_and(|top| surroundings.has_directory(&format!("/{top}"))) {
            draft.nodes[node].elsewhere.push((target.to_owned(), source.to_owned()));
            draft.skip(place, text, "a node can have nothing of its own in the root directory");
        } else if usize::try_from(size).is_ok_and(|size| size <= LARGEST_FILE) {
            let (path, source) = (target.to_owned(), source.to_owned());
            let written = surroundings.written(&source);
            draft.nodes[node].add_file(OwnFile { path, source, written }, place, text);
        } else {
            let why = format!("a node's own files have at most {LARGEST_FILE} bytes, it has {size}");
            draft.skip(place, format!("{text}: {source}"), why);
        }
    };
    match surroundings.look(source) {
        Found::File(_) if target.is_empty() => draft.skip(place, text, "it has no place in the node"),
        Found::File(size) => add(draft, source, target, size),
        Found::Directory(files) if files.is_empty() => {
            draft.skip(place, text, format!("there are no files in {source}"));
        }
        Found::Directory(files) if files.len() > MOST_FILES => {
            let why = format!("{source} has {} files, at most {MOST_FILES} are carried over", files.len());
            draft.skip(place, text, why);
        }
        Found::Directory(files) => {
            let source = source.trim_end_matches('/');
            for (path, size) in files {
                add(draft, &format!("{source}/{path}"), &format!("{target}/{path}"), size);
            }
        }
        Found::Nothing => draft.skip(place, text, format!("there is no {source}")),
        Found::Other => draft.skip(place, text, format!("{source} is neither a file nor a directory")),
    }
}
