//! `nslab`, the program.

fn main() -> std::process::ExitCode {
    nslab::cli::main()
}
