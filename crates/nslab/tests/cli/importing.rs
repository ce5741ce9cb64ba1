//! Files of other tools: imported, built, tried.

use std::path::{Path, PathBuf};

use nslab_import::shape::Shape;

use crate::support::{Session, each_user};

each_user!(
    files_are_built,
    labs_are_built,
    import_and_up_say_the_same,
    files_beside_are_found,
    shapes_are_built,
    what_is_wrong_is_refused
);

const IMPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../nslab-import/tests");

/// How many of a lab's pairs answer, and how many there are, by lab.
const ANSWERED: [(&str, usize, usize); 15] = [
    ("bridged", 6, 6),
    ("clos01", 0, 0),
    ("dummies", 2, 2),
    ("edges", 2, 2),
    ("ports", 2, 2),
    ("extended", 2, 2),
    ("fw", 6, 6),
    ("frr01", 6, 6),
    ("my-lab", 2, 2),
    ("ring4", 12, 12),
    ("routed", 6, 6),
    ("services", 6, 6),
    ("static-routing", 12, 12),
    ("switching", 9, 16),
    ("Two-LANs", 12, 12),
];

/// Whether the programs that an imported file runs are on this machine.
fn can_run(session: &Session, text: &str) -> bool {
    for (program, option) in [("nft", "-v"), ("tc", "-V"), ("ip", "-V"), ("python3", "-V")] {
        if text.contains(&format!("  {program} ")) && session.other(program).arg(option).output().is_err() {
            nslab_testing::skip(&format!("there is no {program}"));
            return false;
        }
    }
    true
}

/// The lab file without ways out, which would be on the machine that the tests run on.
fn without_ways_out(lab_file: &str) -> String {
    let mut inside = false;
    let lines = lab_file.lines().filter(|line| {
        inside = line.starts_with("    uplink:") || inside && line.starts_with("      ");
        !inside
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Imports, builds, pings every pair and takes away.
fn build(session: &Session, path: &str) {
    // Written to where it is built, as files beside it are named in it.
    session.run(["import", path, "-o", "imported.yaml"]).status(0);
    let lab_file = std::fs::read_to_string(session.directory().join("imported.yaml")).unwrap();
    let name = lab_file.lines().find_map(|line| line.strip_prefix("name: ")).unwrap().to_owned();
    if !can_run(session, &lab_file) {
        return;
    }
    let (_, answered, pairs) =
        *ANSWERED.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("{name}"));
    let lab = session.lab("import");
    // As root bare names could be somebody else's.
    let text = without_ways_out(&lab_file).replace("prefix: \"\"", &format!("prefix: \"{lab}-\""));
    session.file("imported.yaml", text);
    let run = session.run(["up", "-q", "imported.yaml", "--name", &lab]);
    if let Some((_, option)) = run.stderr.split_once("it lacks ").filter(|_| run.code == Some(3)) {
        return nslab_testing::kernel_lacks(option.split(' ').next().unwrap());
    }
    run.status(0);
    let run = session.run(["ping", "--lab", &lab, "-W3", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    let good = rows.iter().filter(|row| row["received"] == row["sent"]).count();
    assert_eq!((good, rows.len()), (answered, pairs), "{path}: {run:#?}");
    session.ok(["down", &lab]);
    session.assert_no_holder();
    session.assert_nothing_of(&lab);
}

/// Copies a lab to where the session's user may read it.
fn copy(session: &Session, from: &Path, to: &str) {
    if from.is_dir() {
        std::fs::create_dir(session.directory().join(to)).unwrap();
        session.hand_over(&session.directory().join(to));
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(session, &entry.path(), &format!("{to}/{}", entry.file_name().to_str().unwrap()));
        }
    } else {
        session.file(to, std::fs::read_to_string(from).unwrap());
    }
}

fn all_of(kind: &str, tail: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(IMPORTS).join(kind)).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| if tail.is_empty() { path.is_dir() } else { path.to_str().unwrap().ends_with(tail) });
    all.sort();
    all
}

fn files_are_built(session: &Session) {
    let files = [all_of("containerlab", ".clab.yml"), all_of("containerlab", ".clab.yaml")].concat();
    assert!(files.len() >= 8);
    copy(session, &Path::new(IMPORTS).join("containerlab/files"), "files");
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        copy(session, &path, name);
        build(session, name);
    }
}

fn labs_are_built(session: &Session) {
    let labs = all_of("kathara", "");
    assert!(labs.len() >= 4);
    for path in labs {
        let name = path.file_name().unwrap().to_str().unwrap();
        copy(session, &path, name);
        build(session, name);
    }
}

fn import_and_up_say_the_same(session: &Session) {
    let path = Path::new(IMPORTS).join("containerlab/routed.clab.yml");
    copy(session, &path, "routed.clab.yml");
    let lab = session.lab("routed");
    let imported = session.run(["import", "routed.clab.yml", "-o", "out.yaml"]).status(0);
    assert!(imported.stdout.is_empty(), "{imported:#?}");
    assert!(
        imported.stderr.starts_with(
            "imported 3 nodes, 0 switches, 2 links from routed.clab.yml; 4 things were not carried over:\n  \
         routed.clab.yml:7: image alpine:3.20\n      programs in the node are this machine's\n"
        ),
        "{imported:#?}"
    );
    session.run(["up", "-q", "routed.clab.yml", "--name", &lab]).status(0);
    // The lab file that was made is what runs.
    let run = session.run(["up", "out.yaml", "--name", &lab]).status(0);
    assert!(run.stderr.contains("nothing was changed"), "{run:#?}");
    session.run(["plan", "routed.clab.yml", "--name", &lab]).status(0).says("4 things were not carried over");
    session.run(["up", "routed.clab.yml", "--set", "n=1"]).status(2).says("no variables");
    session
        .run(["import", "routed.clab.yml", "-o", "routed.clab.yml"])
        .status(2)
        .says("it is what is imported");
    let json = session.json(["import", "routed.clab.yml", "--name", "other"]);
    assert_eq!(json["lab"], "other");
    assert_eq!(json["skipped"][3]["line"], 30);
    assert_eq!(json["skipped"][3]["file"], "routed.clab.yml");
    session.ok(["down", &lab]);
    session.assert_no_holder();
}

/// Files beside what is imported are found from wherever the lab file is written to.
fn files_beside_are_found(session: &Session) {
    for name in ["edges.clab.yml", "files"] {
        copy(session, &Path::new(IMPORTS).join("containerlab").join(name), name);
    }
    copy(session, &Path::new(IMPORTS).join("kathara/services"), "services");
    let here = session.ok(["import", "edges.clab.yml"]);
    assert!(here.contains("/etc/motd: {from: files/motd}"), "{here}");
    std::fs::create_dir(session.directory().join("elsewhere")).unwrap();
    session.hand_over(&session.directory().join("elsewhere"));
    session.run(["import", "edges.clab.yml", "-o", "elsewhere/edges.yaml"]).status(0);
    session.run(["import", "services", "-o", "services/lab.yaml"]).status(0);
    session.run(["plan", "services/lab.yaml"]).status(0);
    let lab = session.lab("files");
    // The directory is parent to the lab's own; as it is, and with the lab file that was made.
    session.run(["up", "-q", "services", "--name", &lab]).status(0);
    let index = session.ok(["exec", &format!("{lab}/web"), "--", "cat", "/var/www/html/index.html"]);
    let original = Path::new(IMPORTS).join("kathara/services/web/var/www/html/index.html");
    assert_eq!(index, std::fs::read_to_string(original).unwrap());
    session.ok(["down", &lab]);
    if session.other("nft").arg("-v").output().is_err()
        || session.other("python3").arg("-V").output().is_err()
    {
        return nslab_testing::skip("there is no nft or python3");
    }
    session.run(["up", "-q", "elsewhere/edges.yaml", "--name", &lab]).status(0);
    let edge = format!("{lab}/edge");
    assert_eq!(
        session.ok(["exec", &edge, "--", "cat", "/etc/motd", "/etc/edge/a.conf"]),
        "welcome\nlevel = 3\n"
    );
    assert!(session.ok(["exec", &edge, "--", "nft", "list", "ruleset"]).contains("table inet edge"));
    assert!(session.ok(["ls", &lab]).contains("python3"));
    session.ok(["ping", "-q", &edge, "10.5.9.2", "-c1"]);
    session.ok(["down", &lab]);
    session.assert_no_holder();
}

fn shapes_are_built(session: &Session) {
    for (shape, hosts) in [
        ("single,3", 3),
        ("linear,3,2", 6),
        ("tree,depth=2,fanout=2", 4),
        ("mesh,4", 4),
        ("minimal", 2),
        ("fat-tree,2", 2),
    ] {
        let lab = session.lab("shape");
        session.run(["up", "-q", "--topo", shape, "--name", &lab]).status(0);
        let rows = session.json(["ping", "--lab", &lab]);
        let nodes = Shape::parse(shape).unwrap().lab("x").nodes;
        assert_eq!(nodes.iter().filter(|node| !node.forward).count(), hosts, "{shape}");
        assert_eq!(rows.as_array().unwrap().len(), nodes.len() * (nodes.len() - 1), "{shape}");
        let plan = session.ok(["plan", "--topo", shape, "--name", &lab]);
        assert!(plan.contains("there is nothing to do"), "{plan}");
        session.ok(["down", &lab]);
    }
    // A loop of switches that are told so opens only after a while; that it does not storm is seen by the lab's going away.
    let lab = session.lab("shape");
    session.run(["up", "--topo", "torus,3,3", "--name", &lab]).status(0).says("spanning tree");
    let switch = session.json(["show", &format!("{lab}/s1x1")]);
    assert!(switch.to_string().contains("\"stp\":true"), "{switch}");
    session.ok(["down", &lab]);
    let written = session.ok(["export", "--topo", "linear,2", "--name", "two"]);
    assert!(written.starts_with("name: two\n"), "{written}");
    session.file("two.yaml", &written);
    session.ok(["plan", "--fresh", "two.yaml"]);
    session.run(["up", "--topo", "tre,2"]).status(2).says("did you mean `tree`?");
    session.run(["plan", "--topo", "fat-tree,k=3"]).status(2).says("even");
    session.run(["up", "--topo", "tree,2", "x.yaml"]).status(2).says("cannot be used with");
    session.assert_no_holder();
}

fn what_is_wrong_is_refused(session: &Session) {
    session.file("bad.clab.yml", "name: x\ntopology:\n  nodes:\n    a: {kind: linux}\n  links:\n    - endpoints: [\"a:eth1\", \"bb:eth1\"]\n");
    for command in ["import", "up", "plan"] {
        session
            .run([command, "bad.clab.yml"])
            .status(2)
            .says("bad.clab.yml:6:29")
            .says("there is no node `bb`");
    }
    std::fs::create_dir(session.directory().join("k")).unwrap();
    session.hand_over(&session.directory().join("k"));
    session.run(["import", "k"]).status(2).says("there is no lab.conf in it");
    session.file("k/lab.conf", "pc1[0]=\"A\"\npc2[0\n");
    session.run(["import", "k"]).status(2).says("k/lab.conf:2:1").says("there is no `=`");
    session.run(["up", "k/lab.conf"]).status(2).says("k/lab.conf:2:1");
    session.file("x.txt", "x");
    session.run(["import", "x.txt"]).status(2).says("nothing that can be imported");
    session.run(["import", "nowhere.clab.yml"]).status(2).says("cannot read");
    session.assert_no_holder();
}
