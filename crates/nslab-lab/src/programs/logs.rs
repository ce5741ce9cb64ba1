//! What programs wrote.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::error::{Context, Result};
use crate::paths::LabPaths;

/// The output of one program, of all its runs in this lab's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The program's node.
    pub node: String,
    /// The program's name.
    pub program: String,
    /// The file.
    pub path: PathBuf,
}

/// The logs there are, by node and program; of one node or of programs of one name if these are given.
pub fn logs(paths: &LabPaths, node: Option<&str>, program: Option<&str>) -> Result<Vec<Log>> {
    let directory = paths.logs();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(|| format!("read {}", directory.display())),
    };
    let mut logs = Vec::new();
    for entry in entries {
        let entry = entry.context(|| format!("read {}", directory.display()))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let parts = match node {
            Some(node) => {
                name.strip_prefix(node).and_then(|rest| rest.strip_prefix('.')).map(|rest| (node, rest))
            }
            None => name.split_once('.'),
        };
        if let Some((node, found)) = parts
            && program.is_none_or(|program| program == found)
        {
            logs.push(Log { node: node.to_owned(), program: found.to_owned(), path: entry.path() });
        }
    }
    logs.sort_by(|a, b| (&a.node, &a.program).cmp(&(&b.node, &b.program)));
    Ok(logs)
}

impl Log {
    /// All of it.
    pub fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.path).context(|| format!("read {}", self.path.display()))
    }

    /// The last `count` lines of it, with their newlines.
    pub fn last(&self, count: usize) -> Result<Vec<u8>> {
        let mut file = self.open_at_last(count)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).context(|| format!("read {}", self.path.display()))?;
        Ok(text)
    }

    /// Opens it at the start of the last `count` lines.
    pub(super) fn open_at_last(&self, count: usize) -> Result<File> {
        let failed = || format!("read {}", self.path.display());
        let mut file = File::open(&self.path).context(failed)?;
        let position = start_of_last(&mut file, count).context(failed)?;
        file.seek(SeekFrom::Start(position)).context(failed)?;
        Ok(file)
    }
}

/// Where the last `count` lines start. Reads from the end, because a log may be long.
fn start_of_last(file: &mut File, count: usize) -> std::io::Result<u64> {
    const BLOCK: u64 = 16 * 1024;
    let end = file.seek(SeekFrom::End(0))?;
    if count == 0 {
        return Ok(end);
    }
    let mut position = end;
    let mut newlines = 0;
    while position > 0 {
        let start = position.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref().take(position - start).read_to_end(&mut block)?;
        for (index, byte) in block.iter().enumerate().rev() {
            let after = start + index as u64 + 1;
            // The newline at the very end ends the last line and starts none.
            if *byte == b'\n' && after != end {
                newlines += 1;
                if newlines == count {
                    return Ok(after);
                }
            }
        }
        position = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str, count: usize) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, text).unwrap();
        let log = Log { node: "red".into(), program: "web".into(), path };
        String::from_utf8(log.last(count).unwrap()).unwrap()
    }

    #[test]
    fn last_lines() {
        assert_eq!(last("", 3), "");
        assert_eq!(last("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last("a\nb\nc", 2), "b\nc", "a line that is not ended counts");
        assert_eq!(last("a\nb\n", 5), "a\nb\n");
        assert_eq!(last("a\nb\n", 0), "");
        assert_eq!(last("\n\n\n", 2), "\n\n");
        let long = (0..20_000).map(|number| number.to_string()).collect::<Vec<_>>().join("\n");
        assert!(last(&long, 10_000).starts_with("10000\n10001\n"));
    }

    #[test]
    fn logs_are_found_by_node_and_program() {
        let directory = tempfile::tempdir().unwrap();
        let paths =
            crate::Paths { netns: directory.path().join("netns"), state: directory.path().to_owned() };
        let lab = paths.lab("lab");
        assert!(logs(&lab, None, None).unwrap().is_empty());
        std::fs::create_dir_all(lab.logs()).unwrap();
        for (node, program) in [("b", "web"), ("a", "web"), ("a", "db.main")] {
            std::fs::write(lab.log(node, program), "").unwrap();
        }
        let names = |node, program| -> Vec<_> {
            logs(&lab, node, program).unwrap().into_iter().map(|log| (log.node, log.program)).collect()
        };
        let pair = |node: &str, program: &str| (node.to_owned(), program.to_owned());
        assert_eq!(names(None, None), [pair("a", "db.main"), pair("a", "web"), pair("b", "web")]);
        assert_eq!(names(Some("a"), None), [pair("a", "db.main"), pair("a", "web")]);
        assert_eq!(names(None, Some("web")), [pair("a", "web"), pair("b", "web")]);
    }
}
