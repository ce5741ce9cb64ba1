//! What packet sockets give, and what interfaces do meanwhile.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nslab_kernel::link::{DelLink, LinkEvent, LinkMonitor, SetLink};
use nslab_kernel::packet::{
    Counts, Frames, HARDWARE_LOOPBACK, Instruction, PacketKind, PacketSocket, RingSize, Wanted, frame_at,
    program,
};
use nslab_testing::privileged;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Lab, name};

const SIZE: RingSize = RingSize { block: 1 << 17, blocks: 4, patience: Duration::from_millis(4) };
const WHOLE: Wanted<'_> = Wanted { interfaces: None, filter: &[], length: 262_144 };

/// A namespace whose loopback interface is up, and a socket that sends to itself there.
fn lab() -> (Lab, UdpSocket) {
    let mut lab = Lab::new();
    lab.socket.request(&SetLink { index: 1, up: Some(true), ..SetLink::default() }).unwrap();
    let udp = lab.namespace.run(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    udp.connect(udp.local_addr().unwrap()).unwrap();
    (lab, udp)
}

fn open(lab: &Lab, wanted: &Wanted<'_>) -> PacketSocket {
    let socket = lab.namespace.run(|| PacketSocket::open(SIZE)).unwrap().unwrap();
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
    privileged(|| {
        let (lab, udp) = lab();
        let mut socket = open(&lab, &WHOLE);
        let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        for number in 0..3_u8 {
            udp.send(&[b'a' + number; 100]).unwrap();
        }
        let mut found = Vec::new();
        while found.len() < 3 {
            wait(&socket);
            let block = socket.take().unwrap();
            assert!(socket.take().is_none_or(|other| other != block));
            for (place, time) in Frames::of(socket.bytes(&block)) {
                let frame = frame_at(socket.bytes(&block), place).unwrap();
                assert_eq!(
                    (frame.time, frame.kind, frame.hardware),
                    (time, PacketKind::Host, HARDWARE_LOOPBACK)
                );
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
    });
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
        let frames: Vec<_> = Frames::of(sevens.bytes(&block)).collect();
        assert_eq!(frames.len(), 1);
        assert_eq!(frame_at(sevens.bytes(&block), frames[0].0).unwrap().bytes[43], 7);
        wait(&short);
        let block = short.take().unwrap();
        let (place, _) = Frames::of(short.bytes(&block)).next().unwrap();
        let frame = frame_at(short.bytes(&block), place).unwrap();
        assert_eq!((frame.bytes.len(), frame.length), (60, 63));
        assert_eq!(elsewhere.counts().unwrap().seen, 0);
        let nonsense = [Instruction { code: 0xffff, if_true: 9, if_false: 9, operand: 0 }];
        assert!(short.filter(&nonsense).is_err());
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
                given += u32::try_from(Frames::of(socket.bytes(&block)).count()).unwrap();
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
        assert_eq!(Frames::of(socket.bytes(&block)).count(), 1);
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
