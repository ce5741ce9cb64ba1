//! Files of nodes that are copies of files beside the lab file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nslab_topology::model::Content;
use nslab_topology::{LARGEST_FILE, Topology};
use rustix::fs::{CWD, Mode, OFlags};

/// A file that cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The node, an index into [`Topology::nodes`].
    pub node: usize,
    /// The file, an index into the node's files.
    pub file: usize,
    /// Why, as a sentence.
    pub problem: String,
}

/// Reads what files are copies of; their paths are relative to `directory`. Those that cannot be read stay as they are
/// and are returned.
pub fn read_copies(topology: &mut Topology, directory: &Path) -> Vec<Unreadable> {
    let mut unreadable = Vec::new();
    for (number, node) in topology.nodes.iter_mut().enumerate() {
        for (place, file) in node.view.files.iter_mut().enumerate() {
            let Content::From(path) = &file.content else { continue };
            match read(&directory.join(path)) {
                Ok(bytes) => file.content = Content::of_bytes(bytes),
                Err(problem) => {
                    let problem = format!("cannot read {path}: {problem}");
                    unreadable.push(Unreadable { node: number, file: place, problem });
                }
            }
        }
    }
    unreadable
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    // NONBLOCK: opening a FIFO nobody writes to would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let text = |error: std::io::Error| error.to_string();
    let file =
        File::from(rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| text(errno.into()))?);
    let metadata = file.metadata().map_err(text)?;
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { "it is a directory" } else { "it is no regular file" }.to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(text)?;
    if bytes.len() > LARGEST_FILE {
        return Err(format!("it has more than {LARGEST_FILE} bytes"));
    }
    Ok(bytes)
}
