//! Kernels that lack what is nearly everywhere: `cargo xtask vm-test --without nf_tables,bridge,veth -- without_modules`.

use crate::support::{PAIR, Session, each_user};

each_user!(basics_are_named_before_anything_is_touched);

/// Modules, their options, and labs that need each and none of the others.
const BASICS: [(&str, &str, &str); 3] = [
    ("nf_tables", "CONFIG_NF_TABLES", "nodes: {fw: {firewall: {default: drop}}}\n"),
    ("bridge", "CONFIG_BRIDGE", "switches: {s: {}}\n"),
    ("veth", "CONFIG_VETH", PAIR),
];

fn basics_are_named_before_anything_is_touched(session: &Session) {
    let Ok(without) = std::env::var("NSLAB_TESTS_WITHOUT") else {
        // Every kernel worth testing on has them.
        return;
    };
    for (module, option, source) in BASICS {
        let (lab, file) = (session.lab(module), format!("{module}.yaml"));
        session.file(&file, source);
        let run = |command: &str| session.run([command, &file, "--name", &lab]);
        if without.split(',').any(|one| one == module) {
            for command in ["plan", "up"] {
                run(command).status(3).says(option).says("nothing was changed");
                session.assert_no_holder();
                session.assert_nothing_of(&lab);
            }
        } else {
            run("up").status(0);
            assert!(run("plan").status(0).stdout.contains("nothing to do"));
            session.ok(["down", &lab]);
        }
    }
}
