//! Many names in few words.

/// Names as a list in which runs that only count up are folded: `web, h1..h9, h11`. Two in a row stay two.
pub(crate) fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut parts = Vec::new();
    let mut rest = names.as_slice();
    while let Some((&first, others)) = rest.split_first() {
        let run = run(rest);
        if run > 2 {
            parts.push(format!("{first}..{}", rest[run - 1]));
            rest = &rest[run..];
        } else {
            parts.push(first.to_owned());
            rest = others;
        }
    }
    parts.join(", ")
}

/// How many names from the first on have the same beginning and numbers that count up by one.
pub(crate) fn run(names: &[&str]) -> usize {
    let Some((prefix, first)) = names.first().and_then(|name| split(name)) else { return names.len().min(1) };
    let follows = |(place, name): &(u64, &&str)| split(name) == Some((prefix, first.saturating_add(*place)));
    (0..).zip(names).take_while(follows).count()
}

/// A name's beginning and the number at its end. A number with a leading zero counts only by itself.
fn split(name: &str) -> Option<(&str, u64)> {
    let prefix = name.trim_end_matches(|character: char| character.is_ascii_digit());
    let digits = &name[prefix.len()..];
    let counts = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| counts).map(|number| (prefix, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_what_counts_up() {
        for (names, text) in [
            (&["h1", "h2", "h3", "h4"][..], "h1..h4"),
            (&["h1", "h2"], "h1, h2"),
            (&["web", "h9", "h10", "h11", "h13", "db"], "web, h9..h11, h13, db"),
            (&["h01", "h02", "h03"], "h01, h02, h03"),
            (&["1", "2", "3"], "1..3"),
            (&["a1", "b2", "c3"], "a1, b2, c3"),
            (
                &["h18446744073709551615", "h99999999999999999999"],
                "h18446744073709551615, h99999999999999999999",
            ),
            (&[], ""),
        ] {
            assert_eq!(fold(names.iter().copied()), text);
        }
    }
}
