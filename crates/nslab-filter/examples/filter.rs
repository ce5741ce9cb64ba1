//! Shows the program of a filter, as `tcpdump -d` does.
use nslab_filter::{Filter, NameTable};

#[allow(clippy::print_stdout, reason = "it is what it is for")]
fn main() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let names =
        NameTable::builtin().with_services(&read("/etc/services")).with_protocols(&read("/etc/protocols"));
    let text: Vec<String> = std::env::args().skip(1).collect();
    let text = text.join(" ");
    match Filter::parse(&text, &names) {
        Ok(filter) => print!("{}", filter.program()),
        Err(error) => {
            println!(
                "{text}\n{}{} {error}",
                " ".repeat(error.span.start),
                "^".repeat(error.span.len().max(1))
            );
            println!("hint: {}", error.hint.unwrap_or_default());
        }
    }
}
