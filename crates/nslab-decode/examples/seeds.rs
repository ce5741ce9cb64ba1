//! Writes the frames of the tests to files, for `cargo xtask fuzz frame --seeds DIRECTORY`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use support::{corpus, services};

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "frames".to_owned());
    std::fs::create_dir_all(&directory)?;
    for (number, packet) in corpus::all().iter().chain(&services::by_name()).enumerate() {
        // The first byte says how: told with `-vv`.
        let bytes = [&[0x20], &*packet.bytes].concat();
        std::fs::write(Path::new(&directory).join(number.to_string()), bytes)?;
    }
    Ok(())
}
