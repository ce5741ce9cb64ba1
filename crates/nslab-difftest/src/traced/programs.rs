//! The programs of a network while packets are traced: they answer whatever comes.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::build::Program;
use crate::network::Service;

/// So often it is looked whether it is over.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Does something while programs answer: those of UDP send back what they get. Connections are the kernel's work.
pub(super) fn answering<T>(programs: &[Program], act: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| answer(programs, &over));
        let end = End(&over);
        let result = act();
        drop(end);
        result
    })
}

/// Sets it in any case.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn answer(programs: &[Program], over: &AtomicBool) {
    let mut buffer = vec![0; 10_000];
    // What is only taken need not be looked at.
    let programs: Vec<&Program> =
        programs.iter().filter(|program| matches!(program.service, Service::Udp(_))).collect();
    let mut fds: Vec<PollFd<'_>> = programs
        .iter()
        .map(|program| {
            let fd: BorrowedFd<'_> = program.socket.as_fd();
            PollFd::from_borrowed_fd(fd, PollFlags::IN)
        })
        .collect();
    while !over.load(Ordering::Relaxed) {
        if !matches!(poll(&mut fds, Some(&TICK)), Ok(1..)) {
            continue;
        }
        for program in &programs {
            while let Some(received) = program.socket.receive(&mut buffer) {
                if let (Some(to), Some(own)) = (received.from, received.to) {
                    // A program that cannot answer does not.
                    let _ = program.socket.answer(&buffer[..received.length], to, own);
                }
            }
        }
    }
}
