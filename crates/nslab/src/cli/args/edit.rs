//! Steps on a running lab.

use clap::{Args, Subcommand};

use crate::cli::target::{complete_labs, complete_nodes};

/// Which lab an edit is for.
#[derive(Debug, Args)]
pub struct LabArg {
    /// The lab, where more than one runs
    #[arg(long, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
}

/// `nslab node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Add nodes
    Add {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// Make them routers
        #[arg(long)]
        forward: bool,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Remove nodes with their cables
    Del {
        /// Their names
        #[arg(required = true, add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab switch`.
#[derive(Debug, Subcommand)]
pub enum SwitchCommand {
    /// Add switches
    Add {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Remove switches with their cables
    Del {
        /// Their names
        #[arg(required = true, add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab link`.
#[derive(Debug, Subcommand)]
pub enum LinkCommand {
    /// Connect two nodes, or a node and a switch
    Add {
        /// One end: NODE[:INTERFACE] [ADDRESS/LENGTH …]
        one: String,
        /// The other end
        other: String,
        /// Bytes of layer 3 that it carries
        #[arg(long)]
        mtu: Option<u32>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Remove a cable
    Del {
        /// One end: NODE:INTERFACE, or NODE together with the other end's
        one: String,
        /// The other end
        other: Option<String>,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Bring an interface up
    Up {
        /// NODE:INTERFACE
        interface: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Take an interface down
    Down {
        /// NODE:INTERFACE
        interface: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab addr`.
#[derive(Debug, Subcommand)]
pub enum AddrCommand {
    /// Give an interface an address
    Add {
        /// NODE:INTERFACE
        interface: String,
        /// ADDRESS/LENGTH
        address: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
    /// Take an address from an interface
    Del {
        /// NODE:INTERFACE
        interface: String,
        /// ADDRESS/LENGTH
        address: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
    },
}

/// `nslab route`.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Add a route
    Add {
        /// The node
        #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        node: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
        /// The route in the words of ip-route(8)
        #[arg(required = true)]
        route: Vec<String>,
    },
    /// Remove a route
    Del {
        /// The node
        #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
        node: String,
        /// Where
        #[command(flatten)]
        lab: LabArg,
        /// The route in the words of ip-route(8)
        #[arg(required = true)]
        route: Vec<String>,
    },
}
