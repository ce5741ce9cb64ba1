//! Batches, dumps and signals.

use std::sync::atomic::{AtomicBool, Ordering};

use nslab_kernel::address::ChangeAddress;
use nslab_kernel::link::{self, DelLink, LinkKind, NewLink, SetLink, VethPeer};
use nslab_kernel::netlink::{Batch, Protocol, Request, Socket};
use nslab_kernel::{Error, NamespaceState, route, state::Select};
use nslab_testing::privileged;
use rustix::io::Errno;

use crate::support::{Lab, name};

fn address(number: usize) -> String {
    format!("10.{}.{}.1/24", number / 250, number % 250)
}

#[test]
fn what_a_batch_was_refused_is_told_by_its_place() {
    privileged(|| {
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        let mut batch = Batch::new();
        let mut wanted = Vec::new();
        for number in 0..1000 {
            // Every 97th is meant for a link that is not there, and so is the very last.
            let lost = number % 97 == 0 || number == 999;
            let link = if lost { 4_000_000 } else { link };
            let change = ChangeAddress { link, address: address(number).parse().unwrap(), delete: false };
            let place = batch.push(&change);
            assert_eq!(place, number);
            wanted.extend(lost.then_some(place));
        }
        let error = lab.socket.execute(&mut batch).unwrap().unwrap_err();
        assert_eq!(error.refused.iter().map(|(place, _)| *place).collect::<Vec<_>>(), wanted);
        assert!(error.refused.iter().all(|(_, refusal)| refusal.errno == Errno::NODEV));
        let read = nslab_kernel::address::list(&mut lab.socket).unwrap();
        let four = read.iter().filter(|address| address.address.addr().is_ipv4()).count();
        assert_eq!(four, 1000 - wanted.len(), "all others were carried out");

        // A second time everything is refused, and the socket is as good as before.
        let error = lab.socket.execute(&mut batch).unwrap().unwrap_err();
        assert_eq!(error.refused.len(), 1000);
        batch.clear();
        assert!(batch.is_empty());
        lab.socket.execute(&mut batch).unwrap().unwrap();
    });
}

#[test]
fn refusals_of_thousands_do_not_overrun_the_socket() {
    privileged(|| {
        let mut lab = Lab::new();
        let mut batch = Batch::new();
        for number in 0..3000 {
            // Refused with words, which makes the answers long.
            let hop = route::NextHop::via("192.0.2.1".parse().unwrap());
            let to = address(number).parse::<ipnet::IpNet>().unwrap().trunc();
            let route = route::Route::new(to, route::RouteAction::Forward(vec![hop]));
            batch.push(&route::ChangeRoute { route, delete: false });
        }
        let error = lab.socket.execute(&mut batch).unwrap().unwrap_err();
        assert_eq!(error.refused.len(), 3000);
        assert!(error.refused.iter().enumerate().all(|(place, (refused, _))| place == *refused));
        assert!(error.refused.iter().all(|(_, refusal)| refusal.text.is_some()), "{:?}", error.refused[0]);
    });
}

#[test]
fn batch_users_get_the_same_errors_as_others() {
    privileged(|| {
        let mut lab = Lab::new();
        let request = NewLink::new(name("x"), LinkKind::Other("geneve".to_owned()));
        let single = lab.socket.request(&request).err();
        let _ = lab.socket.request(&DelLink::Name(name("x")));
        let mut batch = Batch::new();
        batch.push(&request);
        let batched = lab.socket.execute(&mut batch).unwrap().err();
        let batched = batched.map(|error| request.refused(error.refused[0].1.clone()));
        assert_eq!(single.map(|error| error.to_string()), batched.map(|error| error.to_string()));
    });
}

#[test]
fn a_long_batch_of_links_goes_through() {
    privileged(|| {
        let mut lab = Lab::new();
        let mut batch = Batch::new();
        for number in 0..300 {
            let kind = LinkKind::Veth(Some(Box::new(VethPeer::new(name(&format!("p{number}"))))));
            batch.push(&NewLink { group: 5, ..NewLink::new(name(&format!("v{number}")), kind) });
        }
        lab.socket.execute(&mut batch).unwrap().unwrap();
        assert_eq!(lab.links().len(), 601);
    });
}

#[test]
fn lists_that_change_while_they_are_read_are_read_again() {
    privileged(|| {
        let mut lab = Lab::new();
        let mut batch = Batch::new();
        for number in 0..200 {
            let kind = LinkKind::Veth(Some(Box::new(VethPeer::new(name(&format!("p{number}"))))));
            batch.push(&NewLink::new(name(&format!("v{number}")), kind));
        }
        lab.socket.execute(&mut batch).unwrap().unwrap();
        let mut other = lab.namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        // One change for each reading, so that a slow machine too has quiet moments in which to read.
        let (begun, readings) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let changes = scope.spawn(move || {
                readings
                    .iter()
                    .map(|()| {
                        let kind = LinkKind::Veth(Some(Box::new(VethPeer::new(name("peer")))));
                        other.request(&NewLink::new(name("main"), kind)).unwrap();
                        other.request(&DelLink::Name(name("main"))).unwrap();
                    })
                    .count()
            });
            for _ in 0..30 {
                begun.send(()).unwrap();
                let state = NamespaceState::read(&mut lab.socket, Select { tables: false }).unwrap();
                // Either both ends of the pair are there or none.
                let names = state.links.iter().map(|link| link.name);
                let own =
                    names.filter(|name| !nslab_testing::FALLBACK_TUNNELS.contains(&name.as_str())).count();
                assert!(matches!(own, 401 | 403), "{own}");
            }
            drop(begun);
            assert_eq!(changes.join().unwrap(), 30);
        });
    });
}

extern "C" fn nothing(_: libc::c_int) {}

#[test]
fn signals_do_not_disturb() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.veth("a", "b");
        // SAFETY: the handler does nothing; without SA_RESTART system calls it meets end in EINTR.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as libc::sighandler_t;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
        }
        // SAFETY: this names the calling thread, which outlives the scope below.
        let target = unsafe { libc::pthread_self() };
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: the thread exists until this scope ends.
                    unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                    std::thread::yield_now();
                }
            });
            for _ in 0..2000 {
                lab.socket.request(&SetLink { index: 1, up: Some(true), ..SetLink::default() }).unwrap();
                link::list(&mut lab.socket).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn an_error_while_reading_a_list_leaves_the_socket_usable() {
    privileged(|| {
        let mut lab = Lab::new();
        let mut batch = Batch::new();
        for number in 0..200 {
            let kind = LinkKind::Veth(Some(Box::new(VethPeer::new(name(&format!("p{number}"))))));
            batch.push(&NewLink::new(name(&format!("v{number}")), kind));
        }
        lab.socket.execute(&mut batch).unwrap().unwrap();
        let broken = lab.socket.dump("links", &ListLinks, |_, _| {
            Err::<Option<()>, _>(Error::Malformed { what: "a link", problem: "on purpose" })
        });
        assert!(matches!(broken, Err(Error::Malformed { .. })));
        assert_eq!(lab.links().len(), 401);
    });
}

struct ListLinks;

impl std::fmt::Display for ListLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("list links")
    }
}

impl Request for ListLinks {
    fn message_type(&self) -> u16 {
        18 // RTM_GETLINK
    }

    fn write(&self, message: &mut nslab_kernel::netlink::MessageWriter<'_>) {
        message.header(&[0; 16]);
    }
}
