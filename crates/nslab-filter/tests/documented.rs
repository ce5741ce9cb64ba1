//! The filters of `docs/filters.md` are filters.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::net::IpAddr;

use nslab_filter::{Filter, NameTable, Names, Transport};

/// Any name is that of a node, with addresses of its own.
struct Lab(NameTable);

impl Names for Lab {
    fn port(&self, name: &str, transport: Transport) -> Option<u16> {
        self.0.port(name, transport)
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        self.0.protocol(name)
    }

    fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let number: u32 = name.bytes().map(u32::from).sum();
        let own = [format!("10.0.{}.{}", number >> 8, number & 0xff), format!("fd00::{number:x}")];
        Ok(own.iter().map(|text| text.parse().unwrap()).collect())
    }
}

#[test]
fn documented_filters_compile() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filters.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(2);
    let mut count = 0;
    for row in rows {
        // A `|` in a table is written with a backslash.
        let filters = row.rsplit_once(" | ").unwrap().1.replace("\\|", "|");
        for filter in filters.split('`').skip(1).step_by(2) {
            let parsed = Filter::parse(filter, &Lab(NameTable::builtin()));
            assert!(parsed.is_ok(), "{filter}: {parsed:?}");
            count += 1;
        }
    }
    assert!(count > 50, "only {count} filters");
}
