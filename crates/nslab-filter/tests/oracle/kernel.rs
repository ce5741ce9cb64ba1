//! The kernel takes every program, and runs it as the machine here does.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use nslab_filter::{Filter, Frame, Instruction};

use crate::expressions::EXPRESSIONS;
use crate::packets::some;
use crate::random::expressions;
use crate::selection::names;

/// Attaches a program to a socket (socket(7)).
pub(crate) fn attach(socket: BorrowedFd<'_>, program: &[Instruction]) -> std::io::Result<()> {
    let filters: Vec<libc::sock_filter> = program
        .iter()
        .map(|step| libc::sock_filter { code: step.code, jt: step.jt, jf: step.jf, k: step.k })
        .collect();
    let filter =
        libc::sock_fprog { len: u16::try_from(filters.len()).unwrap(), filter: filters.as_ptr().cast_mut() };
    let length = libc::socklen_t::try_from(size_of_val(&filter)).unwrap();
    let value = (&raw const filter).cast();
    // SAFETY: the option's value is a `sock_fprog` whose instructions live until the call returns; the kernel copies them.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, length)
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Whether a socket has room for a program so long: older kernels give each 20 KiB (`net.core.optmem_max`).
fn has_room(program: &[Instruction]) -> bool {
    let room = std::fs::read_to_string("/proc/sys/net/core/optmem_max");
    let room = room.ok().and_then(|room| room.trim().parse::<usize>().ok()).unwrap_or_default();
    // The kernel keeps programs of its own kind, somewhat longer, in words of eight bytes.
    program.len() * 16 < room
}

#[test]
fn the_kernel_takes_long_programs() {
    let text = |hosts: u32| {
        let hosts: Vec<_> = (0..hosts).map(|host| format!("10.0.{}.{}", host / 256, host % 256)).collect();
        format!("host {} or udp port 7", hosts.join(" or "))
    };
    for hosts in [100, 600, 1000] {
        let filter = Filter::parse(&text(hosts), names()).unwrap();
        let program = filter.program().instructions();
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        receiver.set_nonblocking(true).unwrap();
        let attached = attach(std::os::fd::AsFd::as_fd(&receiver), program);
        if !has_room(program) {
            continue;
        }
        attached.unwrap_or_else(|error| panic!("{} instructions: {error}", program.len()));
        let mut taken = 0;
        for packet in some(8) {
            sender.send(&packet.bytes).unwrap();
            let takes = filter.program().matches(&Frame::new(&packet.bytes));
            assert_eq!(receiver.recv(&mut [0; 2048]).is_ok(), takes, "{hosts} hosts of {packet:02x?}");
            taken += usize::from(takes);
        }
        assert!(taken > 0);
    }
}

/// A pair of sockets, the second of which takes what a filter lets through. No privilege is needed for that.
#[test]
fn the_kernel_runs_programs_as_the_machine_does() {
    let packets: Vec<Vec<u8>> = some(8).into_iter().map(|packet| packet.bytes).collect();
    let all = EXPRESSIONS.iter().map(|text| (*text).to_owned()).chain(expressions(200, 7));
    let mut programs = 0;
    for (number, text) in all.enumerate() {
        // Some keep only so much of a packet.
        let snaplen = if number % 2 == 0 { 262_144 } else { 40 };
        let Ok(filter) = Filter::parse_keeping(&text, names(), snaplen) else { continue };
        programs += 1;
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        receiver.set_nonblocking(true).unwrap();
        let attached = attach(std::os::fd::AsFd::as_fd(&receiver), filter.program().instructions());
        attached.unwrap_or_else(|error| panic!("{text}: {error}\n{}", filter.program()));
        let mut buffer = [0; 2048];
        for packet in &packets {
            let kept = filter.program().run(&Frame::new(packet)) as usize;
            sender.send(packet).unwrap();
            let received = match receiver.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(received, kept.min(packet.len()), "{text} of {packet:02x?}:\n{}", filter.program());
        }
    }
    assert!(programs > 400, "only {programs} expressions were filters");
}
