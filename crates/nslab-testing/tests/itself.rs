//! The helpers themselves. One test function only, as what is left behind is told of the whole process.

use std::process::{Command, Stdio};

use nslab_kernel::link::{Bridge, DelLink, LinkKind, NewLink};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::{Namespace, namespace};
use nslab_testing::{Oracle, Residue, privileged};

#[test]
fn residue_shows_and_goes() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        // In a namespace of its own, so that nothing is done to the host's.
        let scratch = Namespace::create().expect("a namespace can be made");
        let _stay = scratch.enter().expect("it can be entered");
        let mut socket = Socket::open(Protocol::Route).expect("a socket can be opened");
        let before = Residue::now();

        let name = "left0".parse().expect("a good name");
        socket.request(&NewLink::new(name, LinkKind::Bridge(Bridge::default()))).expect("made");
        assert_eq!(oracle.link(&scratch, "left0")["linkinfo"]["info_kind"], "bridge");
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat can be run");
        let left = Residue::since(&before);
        assert!(left.iter().any(|thing| thing.starts_with("link left0")), "{left:?}");
        assert!(
            left.iter().any(|thing| thing.starts_with("process ") && thing.contains("(cat)")),
            "{left:?}"
        );

        socket.request(&DelLink::Name(name)).expect("deleted");
        drop(child.stdin.take());
        child.wait().expect("cat ends");
        let left = Residue::since(&before);
        assert!(!left.iter().any(|thing| thing.contains("left0") || thing.contains("(cat)")), "{left:?}");

        // Making namespaces leaves nothing but what is held.
        namespace::create_each(3, |_, _| Ok::<_, nslab_kernel::Error>(())).expect("they can be made");
    });
}
