//! nft(8) as a second opinion on what rules the kernel has.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use nslab_kernel::Namespace;
use serde_json::Value;

/// The program `nft` of nftables.
#[derive(Debug, Clone, Copy)]
pub struct Nft {
    _found: (),
}

impl Nft {
    /// The program, or none, with the reason said, where it is not installed.
    pub fn find() -> Option<Self> {
        match Command::new("nft").arg("--version").output() {
            Ok(_) => Some(Self { _found: () }),
            Err(error) => {
                crate::skip(&format!("nft of nftables cannot be run: {error}"));
                None
            }
        }
    }

    /// What `nft ARGUMENTS` prints in the namespace, with `input` on its standard input.
    ///
    /// # Errors
    /// What it says if it fails.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run(self, namespace: &Namespace, arguments: &[&str], input: &str) -> Result<String, String> {
        let output = namespace
            .run(|| -> std::io::Result<Output> {
                let mut command = Command::new("nft");
                command.args(arguments);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn()?;
                let mut pipe = child.stdin.take().expect("it was asked for");
                std::thread::scope(|scope| {
                    // It may end without having read everything.
                    scope.spawn(move || pipe.write_all(input.as_bytes()));
                    child.wait_with_output()
                })
            })
            .expect("a namespace can be entered")
            .unwrap_or_else(|error| panic!("nft {arguments:?}: {error}"));
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Lets `nft -f` carry out a script.
    ///
    /// # Panics
    /// If it fails.
    pub fn apply(self, namespace: &Namespace, script: &str) {
        if let Err(errors) = self.run(namespace, &["-f", "-"], script) {
            panic!("nft -f: {errors}\n{script}");
        }
    }

    /// `nft list ruleset`.
    ///
    /// # Panics
    /// If it fails.
    pub fn list(self, namespace: &Namespace) -> String {
        self.run(namespace, &["list", "ruleset"], "").expect("rules can be listed")
    }

    /// The rules of `nft -j list ruleset`: the list under `nftables`.
    ///
    /// # Panics
    /// If it fails.
    pub fn list_json(self, namespace: &Namespace) -> Vec<Value> {
        let text = self.run(namespace, &["-j", "list", "ruleset"], "").expect("rules can be listed");
        let mut all: Value = serde_json::from_str(&text).expect("nft prints JSON");
        match all["nftables"].take() {
            Value::Array(list) => list,
            other => panic!("not a list: {other}"),
        }
    }
}
