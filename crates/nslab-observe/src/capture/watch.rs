//! Namespaces that come while a capture runs.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nslab_kernel::error::Context;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;

use super::open::side_by_side;
use super::sizes::Sizes;
use super::{Opened, Options, Source};
use crate::{Error, Result};

/// What cannot be seen coming is looked for this often.
const PERIOD: Duration = Duration::from_secs(2);

/// A namespace that came.
#[derive(Debug)]
pub enum Found {
    /// It is ready.
    Opened(Box<Opened>),
    /// Nothing can be captured there.
    Failed(Error),
}

/// Looks for namespaces on a thread of its own.
#[derive(Debug)]
pub struct Watch {
    found: Receiver<Found>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Asks `discover` for namespaces that are new, whenever something changes in one of the directories, and now and then.
    /// `count` is how many there are so far.
    pub fn begin(
        directories: &[PathBuf],
        options: &Options,
        count: usize,
        mut discover: impl FnMut() -> Vec<Source> + Send + 'static,
    ) -> Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let changes = inotify::init(flags).context(|| "create an inotify instance")?;
        for directory in directories {
            let what = inotify::WatchFlags::CREATE
                | inotify::WatchFlags::MOVED_TO
                | inotify::WatchFlags::DELETE
                | inotify::WatchFlags::ATTRIB;
            // One that is not there is looked for now and then.
            let _ = inotify::add_watch(&changes, directory, what);
        }
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).context(|| "create an eventfd")?);
        let (tell, found) = channel();
        let (stopped, options) = (Arc::clone(&stop), options.clone());
        let work = move || {
            let mut bytes = [std::mem::MaybeUninit::uninit(); 4096];
            let sizes = Sizes::joining(&options, count);
            let period = Timespec::try_from(PERIOD).ok();
            loop {
                let mut wait = [PollFd::new(&*stopped, PollFlags::IN), PollFd::new(&changes, PollFlags::IN)];
                let _ = poll(&mut wait, period.as_ref());
                if !wait[0].revents().is_empty() {
                    return;
                }
                let mut reader = inotify::Reader::new(&changes, &mut bytes);
                while reader.next().is_ok() {}
                let begun = Instant::now();
                let found = discover();
                let pause = begun.elapsed().min(PERIOD);
                for opened in side_by_side(found, |source| Opened::new(source, &options, &sizes)) {
                    let told = match opened {
                        Ok(one) => tell.send(Found::Opened(Box::new(one))),
                        Err(error) => tell.send(Found::Failed(error)),
                    };
                    if told.is_err() {
                        return;
                    }
                }
                // Where many come and go, others get something done, too.
                let mut wait = [PollFd::new(&*stopped, PollFlags::IN)];
                let _ = poll(&mut wait, Timespec::try_from(pause).ok().as_ref());
            }
        };
        let thread = std::thread::Builder::new().name("watch".into()).spawn(work);
        let thread = thread.context(|| "start a thread")?;
        Ok(Self { found, stop, thread: Some(thread) })
    }

    /// The next one that came.
    pub fn next(&self) -> Option<Found> {
        self.found.try_recv().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
