//! `nslab schema`.

use std::process::ExitCode;

use super::DONE;
use super::{adopt, bench, capture, doctor, drops, explain, mtu, preflight, reach, test, trace};
use crate::cli::args::{Schema, SchemaOf};
use crate::cli::error::CliError;
use crate::cli::output::Output;

#[expect(clippy::unnecessary_wraps, reason = "as all commands")]
pub(super) fn run(args: &Schema, output: Output) -> Result<ExitCode, CliError> {
    let schema = match args.command {
        SchemaOf::Explain => schemars::schema_for!(explain::Report),
        SchemaOf::Doctor => schemars::schema_for!(doctor::Report),
        SchemaOf::Export => schemars::schema_for!(adopt::Report),
        SchemaOf::Reach => schemars::schema_for!(reach::Report),
        SchemaOf::ReachDiff => schemars::schema_for!(reach::Changes),
        SchemaOf::ReachExpect => schemars::schema_for!(Vec<reach::Expectation>),
        SchemaOf::Bench => schemars::schema_for!(bench::Report),
        SchemaOf::Mtu => schemars::schema_for!(mtu::Report),
        SchemaOf::Test => schemars::schema_for!(test::Report),
        SchemaOf::Trace => schemars::schema_for!(trace::Report),
        SchemaOf::TraceListen => schemars::schema_for!(trace::Line),
        SchemaOf::Capture => schemars::schema_for!(capture::Event),
        SchemaOf::Drops => schemars::schema_for!(drops::Line),
        SchemaOf::DoctorHost => schemars::schema_for!(preflight::Report),
    };
    output.print(&serde_json::to_string_pretty(&schema).unwrap_or_default());
    Ok(DONE)
}
