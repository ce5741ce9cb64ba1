//! Running programs in nodes.

use clap::{Args, ValueHint};

use crate::cli::target::complete_nodes;

/// `nslab exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Run it as this user, a name or a number [default: the node's `user:`, else who you are]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<std::ffi::OsString>,
}

impl Exec {
    /// Reads `nslab exec TARGET [--] CMD…`, without any option, from all arguments of the process. Of a program that is
    /// started in a node again and again this is the quick way: to build the whole grammar and read by it takes as long
    /// as entering the node. Whatever is not of this very form is left to the grammar.
    pub(in crate::cli) fn plain(arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<Self> {
        let mut arguments = arguments.skip(1);
        if arguments.next()? != "exec" {
            return None;
        }
        let is_word = |word: &str| !word.starts_with('-');
        let target = arguments.next()?.into_string().ok().filter(|target| is_word(target))?;
        let mut command: Vec<_> = arguments.collect();
        if command.first()? == "--" {
            command.remove(0);
        } else if !command.first()?.to_str().is_some_and(is_word) {
            return None;
        }
        (!command.is_empty()).then_some(Self { user: None, target, command })
    }
}

/// `nslab shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// Run it as this user, a name or a number [default: the node's `user:`, else who you are]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: String,
}
