//! Snapshots in files.

use std::io::{Read, Write};
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::{Contents, Snapshot, Where};

/// The version of the form in which this nslab writes snapshots. It reads no other.
pub const FORMAT: u32 = 1;
/// A file longer than this many bytes is not read: a host of 3000 namespaces takes some 30 MiB.
pub const LONGEST: u64 = 256 * 1024 * 1024;

/// The part of a snapshot that all versions have.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Snapshot {
    /// Writes it to a file, for its owner alone: it tells much of the host. A file that is there is replaced once the new
    /// one is whole.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |source| Error::Io { action: format!("write {}", path.display()), source };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file =
            tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
        let mut writer = std::io::BufWriter::new(&mut file);
        serde_json::to_writer(&mut writer, self).map_err(|error| failed(error.into()))?;
        writer.flush().map_err(failed)?;
        drop(writer);
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Reads a file. What comes out is sound: whatever a number in it points to is there.
    pub fn load(path: &Path) -> Result<Self> {
        let failed = |source| Error::Io { action: format!("read {}", path.display()), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut text = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut text).map_err(failed)?;
        Self::parse(&text).map_err(|problem| Error::NotOne { path: path.to_owned(), problem })
    }

    /// Reads the text of a file; the error is a sentence's part.
    pub fn parse(text: &[u8]) -> std::result::Result<Self, String> {
        if text.len() as u64 > LONGEST {
            return Err(format!("it is longer than {} MiB", LONGEST >> 20));
        }
        let version: Version = serde_json::from_slice(text).map_err(|error| {
            // Within a character, too.
            let in_character = std::str::from_utf8(text).is_err_and(|error| error.error_len().is_none());
            if error.is_eof() || in_character {
                "it is cut short".to_owned()
            } else {
                format!("it is no snapshot ({error})")
            }
        })?;
        if version.format != FORMAT {
            let (is, reads) = (version.format, FORMAT);
            return Err(format!("it has format {is}, and this nslab reads format {reads}"));
        }
        let snapshot: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        snapshot.check()?;
        Ok(snapshot)
    }

    /// Whether all that code relies on holds.
    fn check(&self) -> std::result::Result<(), String> {
        let count = self.namespaces.len();
        if count == 0 {
            return Err("it has no namespace".to_owned());
        }
        for namespace in &self.namespaces {
            if namespace.names.is_empty() {
                return Err(format!("{} has no name", namespace.id));
            }
            let Contents::State(state) = &namespace.contents else { continue };
            let links = &state.network.links;
            if !links.is_sorted_by(|one, other| one.index < other.index) {
                return Err(format!(
                    "the links of {} are not in the order of their numbers",
                    namespace.name()
                ));
            }
            for peer in &state.peers {
                if matches!(peer.namespace, Where::Namespace(place) if place >= count) {
                    return Err(format!(
                        "a link of {} ends in a namespace that is not there",
                        namespace.name()
                    ));
                }
            }
        }
        Ok(())
    }
}
