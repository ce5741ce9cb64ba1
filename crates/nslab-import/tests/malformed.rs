//! Malformed files: each error with its place.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use nslab_import::kathara::Files;
use nslab_import::{Nowhere, Options, Source, containerlab, kathara};

/// A topology file around nodes and links.
fn topology(rest: &str) -> String {
    format!("name: x\ntopology:\n  nodes:\n    a: {{kind: linux}}\n    b: {{kind: linux}}\n{rest}")
}

#[test]
fn topology_files() {
    let link = |link: &str| topology(&format!("  links:\n    - {link}\n"));
    for (text, wanted) in [
        (String::new(), "1:1: error[empty-file]"),
        ("name: x\n\ttopology:\n".to_owned(), "error[yaml-syntax]"),
        ("- a\n".to_owned(), "1:1: error[wrong-type]: expected a topology file"),
        ("name: x\n".to_owned(), "1:1: error[missing-topology]"),
        ("topology: {nodes: {a: {kind: linux}}}\n".to_owned(), "1:1: error[missing-name]"),
        ("name: [x]\ntopology: {nodes: {a: {kind: linux}}}\n".to_owned(), "1:7: error[wrong-type]"),
        ("name: x\ntopology: {links: []}\n".to_owned(), "2:11: error[missing-nodes]"),
        ("name: x\ntopology: {nodes: {a: }}\n".to_owned(), "2:20: error[missing-kind]: node a has no `kind`"),
        ("name: x\ntopology: {nodes: {a: linux}}\n".to_owned(), "2:23: error[wrong-type]"),
        (
            "name: x\ntopology: {nodes: {a: {kind: linux, exec: {x: y}}}}\n".to_owned(),
            "error[wrong-type]: expected a command",
        ),
        (
            "name: x\ntopology: {nodes: {a: {kind: linux}, a: {kind: linux}}}\n".to_owned(),
            "2:38: error[duplicate-key]",
        ),
        (link("endpoints: [\"a:eth1\"]"), "7:18: error[bad-endpoints]: a link has two endpoints, found 1"),
        (link("endpoints: a:eth1"), "7:18: error[bad-endpoints]"),
        (link("mtu: 1500"), "7:7: error[missing-endpoints]"),
        (link("endpoints: [\"a:eth1\", \"b\"]"), "7:29: error[bad-endpoint]: \"b\" is no endpoint"),
        (link("endpoints: [\"a:eth1\", \"b:\"]"), "7:29: error[bad-endpoint]: the endpoint has no interface"),
        (link("endpoints: [\"a:eth1\", \"c:eth1\"]"), "7:29: error[unknown-node]: there is no node `c`"),
        (link("{endpoints: [\"a:eth1\", \"b:eth1\"], mtu: 5}"), "7:46: error[bad-mtu]"),
        (
            link("{endpoints: [\"a:eth1\", \"b:eth1\"], ipv4: [\"10.0.0.1\", \"\"]}"),
            "7:48: error[bad-address]",
        ),
        (link("{type: vet, endpoints: [\"a:eth1\", \"b:eth1\"]}"), "7:14: error[unknown-link-type]"),
        (link("{type: dummy}"), "7:7: error[missing-endpoint]"),
        (
            link("{type: veth, endpoints: [{node: a}, {node: b, interface: eth1}]}"),
            "7:32: error[bad-endpoint]",
        ),
        (
            link("{type: veth, endpoints: [{node: a, interface: eth1, mac: x}, \"b:eth1\"]}"),
            "7:64: error[bad-mac]",
        ),
        (
            link("endpoints: [\"a:eth1\", \"b:eth1\"]\n    - endpoints: [\"a:eth1\", \"b:eth2\"]"),
            "8:19: error[duplicate-interface]",
        ),
        (topology("  links: 3\n"), "6:10: error[wrong-type]"),
    ] {
        let source = Source { name: "x.clab.yml", text: &text };
        let wrong =
            containerlab::import(&source, &Options::default(), &Nowhere).expect_err(&text).to_string();
        assert!(wrong.contains(wanted), "{text}\n{wanted}\n{wrong}");
        assert!(wrong.starts_with("x.clab.yml:"), "{wrong}");
    }
}

#[test]
fn labs() {
    for (conf, dep, wanted) in [
        ("", None, "lab.conf:1:1: error[no-devices]"),
        ("LAB_NAME=x\n", None, "lab.conf:1:1: error[no-devices]"),
        ("pc1[0]=\"A\"\nnonsense\n", None, "lab.conf:2:1: error[bad-line]"),
        ("pc1[0=A\n", None, "lab.conf:1:1: error[bad-line]"),
        ("pc1[]=A\n", None, "lab.conf:1:1: error[bad-line]"),
        ("p c1[0]=A\n", None, "lab.conf:1:1: error[bad-name]"),
        ("shared[0]=A\n", None, "lab.conf:1:1: error[bad-name]"),
        ("  pc1[0]=\"A\n", None, "lab.conf:1:10: error[bad-value]"),
        ("pc1[99999]=A\n", None, "lab.conf:1:1: error[bad-interface]"),
        ("pc1[0]=\"A b\"\n", None, "lab.conf:1:8: error[bad-domain]"),
        ("pc1[0]=\"A/zz\"\n", None, "lab.conf:1:8: error[bad-mac]"),
        ("pc1[0]=A\npc1[0]=B\n", None, "lab.conf:2:1: error[duplicate-interface]"),
        ("pc1[0]=A\n", Some("pc1 r1\n"), "lab.dep:1:1: error[bad-line]"),
        ("pc1[0]=A\n", Some("\npc1: pc2\n"), "lab.dep:2:1: error[unknown-device]"),
        ("pc1[0]=A\npc2[0]=A\n", Some("pc1: pc2\npc2: pc1\n"), "lab.dep:2:1: error[circular]"),
        ("pc1[0]=A\n", Some("pc1: pc1\n"), "lab.dep:1:1: error[circular]"),
    ] {
        let mut files = Files { directory: "lab", ..Files::default() };
        files.take(Source { name: "lab.conf", text: conf });
        if let Some(text) = dep {
            files.take(Source { name: "lab.dep", text });
        }
        let wrong = kathara::import(&files, &Options::default(), &Nowhere).expect_err(conf).to_string();
        assert!(wrong.contains(wanted), "{conf}{dep:?}\n{wanted}\n{wrong}");
    }
}
