//! A second opinion on what the kernel has.

use std::process::Command;

use nslab_kernel::Namespace;
use serde_json::Value;

/// The programs `ip`, `bridge` and `tc` of iproute2.
#[derive(Debug, Clone, Copy)]
pub struct Oracle {
    _found: (),
}

impl Oracle {
    /// The oracle, or none, with the reason said, where iproute2 is not installed.
    pub fn find() -> Option<Self> {
        for program in ["ip", "bridge", "tc"] {
            if let Err(error) = Command::new(program).arg("-V").output() {
                crate::skip(&format!("{program} of iproute2 cannot be run: {error}"));
                return None;
            }
        }
        Some(Self { _found: () })
    }

    /// What `ip -j -d ARGUMENTS` prints in the namespace; the arguments are parted by spaces.
    ///
    /// # Panics
    /// If it fails or prints no JSON.
    pub fn ip(self, namespace: &Namespace, arguments: &str) -> Value {
        run(namespace, "ip", &format!("-j -d {arguments}"))
    }

    /// What `bridge -j -d ARGUMENTS` prints in the namespace; the arguments are parted by spaces.
    ///
    /// # Panics
    /// If it fails or prints no JSON.
    pub fn bridge(self, namespace: &Namespace, arguments: &str) -> Value {
        run(namespace, "bridge", &format!("-j -d {arguments}"))
    }

    /// What `tc -j ARGUMENTS` prints in the namespace; the arguments are parted by spaces.
    ///
    /// # Panics
    /// If it fails or prints no JSON.
    pub fn tc(self, namespace: &Namespace, arguments: &str) -> Value {
        run(namespace, "tc", &format!("-j {arguments}"))
    }

    /// Lets `tc ARGUMENTS` change the namespace; returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn tc_text(self, namespace: &Namespace, arguments: &str) -> String {
        output(namespace, "tc", arguments)
    }

    /// The one entry that `ip -j -d link show dev NAME` prints.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn link(self, namespace: &Namespace, name: &str) -> Value {
        self.ip(namespace, &format!("link show dev {name}"))[0].take()
    }

    /// Lets `ip ARGUMENTS` change the namespace.
    ///
    /// # Panics
    /// If it fails.
    pub fn change(self, namespace: &Namespace, arguments: &str) {
        run(namespace, "ip", arguments);
    }

    /// Lets `bridge ARGUMENTS` change the namespace.
    ///
    /// # Panics
    /// If it fails.
    pub fn change_bridge(self, namespace: &Namespace, arguments: &str) {
        run(namespace, "bridge", arguments);
    }
}

fn run(namespace: &Namespace, program: &str, arguments: &str) -> Value {
    let text = output(namespace, program, arguments);
    if text.trim().is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{program} {arguments}: {error}: {text}"))
}

fn output(namespace: &Namespace, program: &str, arguments: &str) -> String {
    let output = namespace
        .run(|| Command::new(program).args(arguments.split_whitespace()).output())
        .expect("a namespace can be entered")
        .unwrap_or_else(|error| panic!("{program} {arguments}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
