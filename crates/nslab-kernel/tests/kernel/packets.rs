//! What packet sockets give, and what interfaces do meanwhile.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nslab_kernel::link::{DelLink, LinkEvent, LinkMonitor, SetLink};
use nslab_kernel::packet::{
    Counts, Delivery, Direction, HARDWARE_LOOPBACK, Instruction, PacketKind, PacketSocket, RingSize, Wanted,
    frame_at, program,
};
use nslab_testing::privileged;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Lab, name};

const SIZE: RingSize =
    RingSize { block: 1 << 17, blocks: 4, delivery: Delivery::Blocks { patience: Duration::from_millis(4) } };
/// Three frames in a block, with some bytes to spare, twice.
const ALONE: RingSize = RingSize { block: 4096, blocks: 2, delivery: Delivery::Frames { length: 1200 } };
const WHOLE: Wanted<'_> =
    Wanted { interfaces: None, direction: Direction::Both, filter: &[], length: 262_144 };

/// A namespace whose loopback interface is up, and a socket that sends to itself there.
fn lab() -> (Lab, UdpSocket) {
    let mut lab = Lab::new();
    lab.socket.request(&SetLink { index: 1, up: Some(true), ..SetLink::default() }).unwrap();
    let udp = lab.namespace.run(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    udp.connect(udp.local_addr().unwrap()).unwrap();
    (lab, udp)
}

fn open(lab: &Lab, wanted: &Wanted<'_>) -> PacketSocket {
    open_with(lab, wanted, SIZE)
}

fn open_with(lab: &Lab, wanted: &Wanted<'_>, size: RingSize) -> PacketSocket {
    let socket = lab.namespace.run(|| PacketSocket::open(size)).unwrap().unwrap();
    socket.filter(&program(wanted).unwrap()).unwrap();
    socket.start().unwrap();
    socket
}

/// Waits for the next block.
fn wait(socket: &impl AsFd) {
    let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)), Ok(1), "nothing comes");
}

#[test]
fn what_passes_loopback_is_given_once() {
    privileged(|| given_once(SIZE));
}

#[test]
fn so_it_is_where_frames_are_handed_over_alone() {
    privileged(|| given_once(ALONE));
}

fn given_once(size: RingSize) {
    let (lab, udp) = lab();
    let mut socket = open_with(&lab, &WHOLE, size);
    let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    for number in 0..3_u8 {
        udp.send(&[b'a' + number; 100]).unwrap();
    }
    let mut found = Vec::new();
    while found.len() < 3 {
        wait(&socket);
        let block = socket.take().unwrap();
        for (place, time) in socket.frames(&block) {
            let frame = frame_at(socket.bytes(&block), place).unwrap();
            assert_eq!((frame.time, frame.kind, frame.hardware), (time, PacketKind::Host, HARDWARE_LOOPBACK));
            assert_eq!((frame.interface, frame.protocol, frame.network), (1, 0x0800, 14));
            assert_eq!((frame.length, frame.bytes.len()), (142, 142));
            assert!(u128::from(time) >= before.as_nanos());
            found.push(frame.bytes[141]);
        }
        socket.give_back(block);
    }
    assert_eq!(found, b"abc");
    assert_eq!(socket.counts().unwrap(), Counts { seen: 3, lost: 0, full: 0 });
    socket.stop().unwrap();
    udp.send(b"unseen").unwrap();
    assert_eq!(socket.counts().unwrap(), Counts::default());
}

#[test]
fn frames_are_cut_and_chosen_by_the_kernel() {
    privileged(|| {
        let (lab, udp) = lab();
        let mut short = open(&lab, &Wanted { length: 60, ..WHOLE });
        // The second byte of the payload is 7.
        let filter = [
            Instruction { code: 0x30, if_true: 0, if_false: 0, operand: 14 + 20 + 8 + 1 },
            Instruction::unless_equal(7, 1),
            Instruction::give(262_144),
            Instruction::give(0),
        ];
        let mut sevens = open(&lab, &Wanted { filter: &filter, ..WHOLE });
        let elsewhere = open(&lab, &Wanted { interfaces: Some(&[99]), ..WHOLE });
        for number in 0..10_u8 {
            udp.send(&[0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        }
        wait(&sevens);
        let block = sevens.take().unwrap();
        let frames: Vec<_> = sevens.frames(&block).collect();
        assert_eq!(frames.len(), 1);
        assert_eq!(frame_at(sevens.bytes(&block), frames[0].0).unwrap().bytes[43], 7);
        wait(&short);
        let block = short.take().unwrap();
        let (place, _) = short.frames(&block).next().unwrap();
        let frame = frame_at(short.bytes(&block), place).unwrap();
        assert_eq!((frame.bytes.len(), frame.length), (60, 63));
        assert_eq!(elsewhere.counts().unwrap().seen, 0);
        let nonsense = [Instruction { code: 0xffff, if_true: 9, if_false: 9, operand: 0 }];
        assert!(short.filter(&nonsense).is_err());
    });
}

#[test]
fn frames_that_are_handed_over_alone_come_in_order_round_and_round() {
    privileged(|| {
        let (lab, udp) = lab();
        let mut socket = open_with(&lab, &WHOLE, ALONE);
        for number in 0..40_u8 {
            udp.send(&[number; 1300]).unwrap();
            // Each is there as soon as it was sent.
            let frame = socket.take().unwrap();
            assert!(socket.take().is_none());
            let places: Vec<_> = socket.frames(&frame).collect();
            assert_eq!((places.len(), places[0].0), (1, 0));
            let found = frame_at(socket.bytes(&frame), 0).unwrap();
            assert_eq!((found.length, found.bytes.len() >= 1200, found.bytes[60]), (1342, true, number));
            assert_eq!(found.time, places[0].1);
            socket.give_back(frame);
        }
        // Six places there are; what finds none is counted, and then it goes on.
        for number in 0..9_u8 {
            udp.send(&[number]).unwrap();
        }
        assert_eq!(socket.counts().unwrap(), Counts { seen: 49, lost: 3, full: 0 });
        let held: Vec<_> = std::iter::from_fn(|| socket.take()).collect();
        let numbers: Vec<_> =
            held.iter().map(|one| frame_at(socket.bytes(one), 0).unwrap().bytes[42]).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
        for one in held {
            socket.give_back(one);
        }
        udp.send(b"again").unwrap();
        assert!(socket.take().is_some());
    });
}

#[test]
fn what_finds_no_block_is_counted() {
    privileged(|| {
        let (lab, udp) = lab();
        let mut socket = open(&lab, &WHOLE);
        for _ in 0..1000 {
            udp.send(&[0; 1400]).unwrap();
        }
        let (mut given, mut counts) = (0, Counts::default());
        socket.stop().unwrap();
        let start = Instant::now();
        loop {
            let more = socket.counts().unwrap();
            counts.seen += more.seen;
            counts.lost += more.lost;
            counts.full += more.full;
            while let Some(block) = socket.take() {
                given += u32::try_from(socket.frames(&block).count()).unwrap();
                socket.give_back(block);
            }
            if given + counts.lost == 1000 {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{given} of {counts:?}");
            std::thread::yield_now();
        }
        assert_eq!(counts.seen, 1000);
        assert!(counts.lost > 0 && counts.full > 0 && given > 100, "{counts:?}");
        // And then it goes on.
        socket.filter(&program(&WHOLE).unwrap()).unwrap();
        udp.send(b"again").unwrap();
        wait(&socket);
        let block = socket.take().unwrap();
        assert_eq!(socket.frames(&block).count(), 1);
    });
}

#[test]
fn interfaces_come_change_and_go() {
    privileged(|| {
        let mut lab = Lab::new();
        let monitor = lab.namespace.run(LinkMonitor::open).unwrap().unwrap();
        let (main, _) = lab.veth("one", "two");
        lab.socket
            .request(&SetLink { index: main, rename: Some(name("three")), ..SetLink::default() })
            .unwrap();
        lab.socket.request(&DelLink::Index(main)).unwrap();
        let (mut names, mut gone) = (Vec::new(), Vec::new());
        while gone.len() < 2 {
            wait(&monitor);
            monitor
                .read(|event| match event {
                    LinkEvent::Present(link) if names.last() != Some(&link.name.to_string()) => {
                        names.push(link.name.to_string());
                    }
                    LinkEvent::Present(_) => {}
                    LinkEvent::Gone(index) => gone.push(index),
                    LinkEvent::Missed => panic!("there are not that many"),
                })
                .unwrap();
        }
        assert!(gone.contains(&main));
        for expected in ["one", "two", "three"] {
            assert!(names.iter().any(|name| name == expected), "{names:?}");
        }
    });
}
