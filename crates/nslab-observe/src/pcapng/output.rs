//! Bytes on their way out: written by a thread of their own, so that a slow disk delays nobody who reads packets.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// So many buffers may wait to be written. Whoever brings one more waits.
const WAITING: usize = 32;

/// How many of the first `written` of these bytes are worth keeping, if no more could be written.
type Keep = fn(bytes: &[u8], written: usize) -> usize;

enum Chunk {
    Bytes(Vec<u8>),
    File(File),
}

/// Where bytes go.
#[derive(Debug)]
pub struct Output {
    chunks: Option<SyncSender<Chunk>>,
    /// Buffers that were written, to be filled again.
    spare: Receiver<Vec<u8>>,
    failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Written>>>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Output {
    /// To a file, or whatever else can be written. With `keep` it is a file of the program's own, which is emptied first; of what a
    /// write leaves half done, as on a full disk, it keeps what `keep` says. Without, as for standard output, what is there
    /// stays, and what is written is added.
    pub fn new(file: File, keep: Option<Keep>) -> io::Result<Self> {
        let (chunks, waiting) = sync_channel(WAITING);
        let (written, spare) = sync_channel(WAITING + 2);
        let failed = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&failed);
        let work = move || {
            let result = write_all(file, &waiting, &written, keep);
            tell.store(result.is_err(), Ordering::Release);
            result
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(work)?;
        Ok(Self { chunks: Some(chunks), spare, failed, thread: Some(thread) })
    }

    /// Sends bytes on their way, and leaves an empty buffer in their place.
    pub fn send(&mut self, bytes: &mut Vec<u8>) {
        let mut empty = self.spare.try_recv().unwrap_or_default();
        empty.clear();
        let full = std::mem::replace(bytes, empty);
        if let Some(chunks) = &self.chunks {
            // If the thread has ended, that shows in `has_failed`.
            let _ = chunks.send(Chunk::Bytes(full));
        }
    }

    /// What is sent from here on goes to another file.
    pub fn next(&mut self, file: File) {
        if let Some(chunks) = &self.chunks {
            let _ = chunks.send(Chunk::File(file));
        }
    }

    /// Whether something could not be written; why, [`Self::finish`] tells.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits until all is written.
    pub fn finish(mut self) -> io::Result<Written> {
        self.chunks = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(Written::default()),
        }
    }
}

fn write_all(
    mut file: File,
    chunks: &Receiver<Chunk>,
    spare: &SyncSender<Vec<u8>>,
    keep: Option<Keep>,
) -> io::Result<Written> {
    let is_own = keep.is_some();
    if is_own {
        empty(&file)?;
    }
    let mut written = Written { files: 1, bytes: 0 };
    let mut length = 0;
    for chunk in chunks {
        match chunk {
            Chunk::File(next) => {
                if is_own {
                    empty(&next)?;
                }
                (file, length) = (next, 0);
                written.files += 1;
            }
            Chunk::Bytes(bytes) => {
                if let Err((done, error)) = write(&mut file, &bytes) {
                    // Cut back to what can be read. What is no file cannot be.
                    if let Some(keep) = keep.filter(|_| file.metadata().is_ok_and(|about| about.is_file())) {
                        let _ = file.set_len(length + keep(&bytes, done) as u64);
                    }
                    return Err(error);
                }
                length += bytes.len() as u64;
                written.bytes += bytes.len() as u64;
                let _ = spare.try_send(bytes);
            }
        }
    }
    Ok(written)
}

/// Only now, when all that came before is written: it may have gone to the same file.
fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

/// Writes all, or says how much of it.
fn write(file: &mut File, mut bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let all = bytes.len();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err((all - bytes.len(), io::ErrorKind::WriteZero.into())),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((all - bytes.len(), error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_anew_after_what_went_there_before() {
        let path = std::env::temp_dir().join(format!("nslab-output-{}", std::process::id()));
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let mut output = Output::new(open(), Some(|_, written| written)).unwrap();
        for number in 0..50 {
            let mut bytes = vec![number; 100_000 - usize::from(number)];
            output.send(&mut bytes);
            output.send(&mut vec![number]);
            if number < 49 {
                output.next(open());
            }
        }
        let written = output.finish().unwrap();
        let found = std::fs::read(&path).unwrap();
        assert_eq!(written.files, 50);
        assert!(found == vec![49; 100_000 - 48], "{}", found.len());
        // What is not its own is left as it is.
        std::fs::write(&path, "before").unwrap();
        let mut output = Output::new(File::options().append(true).open(&path).unwrap(), None).unwrap();
        output.send(&mut b" and after".to_vec());
        output.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before and after");
        std::fs::remove_file(&path).unwrap();
    }
}
