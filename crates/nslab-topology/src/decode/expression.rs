//! `${…}`: variables and sums of whole numbers.

use std::collections::BTreeMap;

use crate::diagnostic::{Problem, did_you_mean};

/// The deepest nesting of parentheses and signs.
const MAX_DEPTH: usize = 32;
/// The longest text that variables may make.
const MAX_TEXT: usize = 1 << 16;

/// Fills in every `${…}` of a text; `$${` stands for `${` itself.
pub(super) fn expand(
    text: &str,
    vars: &BTreeMap<String, String>,
    index: Option<usize>,
) -> Result<String, Problem> {
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[..start].ends_with('$') && start > at {
            result.push_str(&text[at..start - 1]);
            result.push_str("${");
            at = start + 2;
            continue;
        }
        result.push_str(&text[at..start]);
        let Some(length) = text[start..].find('}') else {
            return Err(Problem::new("bad-expression", "this `${` has no `}`")
                .within(start..start + 2)
                .help("`$${` stands for `${` itself"));
        };
        let end = start + length + 1;
        let value = evaluate(&text[start + 2..end - 1], vars, index).map_err(|p| p.within(start..end))?;
        result.push_str(&value);
        if result.len() > MAX_TEXT {
            return Err(Problem::new("bad-expression", "the variables make this text too long"));
        }
        at = end;
    }
    result.push_str(&text[at..]);
    Ok(result)
}

fn evaluate(text: &str, vars: &BTreeMap<String, String>, index: Option<usize>) -> Result<String, Problem> {
    let mut parser = Parser { text, at: 0, vars, index };
    let name = text.trim();
    if is_name(name) {
        // A variable on its own may be any text.
        return parser.variable(name);
    }
    let value = parser.sum(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.unexpected());
    }
    Ok(value.to_string())
}

/// Letters, digits and `_`, a letter or `_` first.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    vars: &'a BTreeMap<String, String>,
    index: Option<usize>,
}

impl Parser<'_> {
    fn sum(&mut self, depth: usize) -> Result<i64, Problem> {
        let mut left = self.product(depth)?;
        loop {
            let result = match self.operator(b"+-") {
                Some(b'+') => left.checked_add(self.product(depth)?),
                Some(_) => left.checked_sub(self.product(depth)?),
                None => return Ok(left),
            };
            left = result.ok_or_else(too_big)?;
        }
    }

    fn product(&mut self, depth: usize) -> Result<i64, Problem> {
        let mut left = self.factor(depth)?;
        loop {
            let Some(operator) = self.operator(b"*/%") else { return Ok(left) };
            let right = self.factor(depth)?;
            if operator != b'*' && right == 0 {
                return Err(Problem::new("bad-expression", "this divides by zero"));
            }
            let result = match operator {
                b'*' => left.checked_mul(right),
                b'/' => left.checked_div_euclid(right),
                _ => left.checked_rem_euclid(right),
            };
            left = result.ok_or_else(too_big)?;
        }
    }

    fn factor(&mut self, depth: usize) -> Result<i64, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::new("bad-expression", "too many parentheses"));
        }
        if self.operator(b"-").is_some() {
            return self.factor(depth + 1)?.checked_neg().ok_or_else(too_big);
        }
        if self.operator(b"(").is_some() {
            let value = self.sum(depth + 1)?;
            return match self.operator(b")") {
                Some(_) => Ok(value),
                None => Err(self.unexpected()),
            };
        }
        self.skip_space();
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let word = &rest[..length];
        if word.is_empty() {
            return Err(self.unexpected());
        }
        self.at += length;
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return word.parse().map_err(|_| too_big());
        }
        let value = self.variable(word)?;
        value.parse().map_err(|_| {
            Problem::new(
                "bad-expression",
                format!("`{word}` is {value:?}, which is no whole number to count with"),
            )
        })
    }

    fn variable(&self, name: &str) -> Result<String, Problem> {
        if name == "i" {
            return self.index.map(|index| index.to_string()).ok_or_else(|| {
                Problem::new("unknown-variable", "`${i}` is only known in something that is repeated")
                    .help("`count:` repeats a node, a switch or a link")
            });
        }
        self.vars.get(name).cloned().ok_or_else(|| {
            let problem = Problem::new("unknown-variable", format!("there is no variable `{name}`"));
            match did_you_mean(name, self.vars.keys().map(String::as_str)) {
                Some(hint) => problem.help(hint),
                None => problem
                    .help("name it in `vars:`")
                    .help(format!("`$${{{name}}}` leaves it to the program that reads it")),
            }
        })
    }

    fn operator(&mut self, wanted: &[u8]) -> Option<u8> {
        self.skip_space();
        let next = *self.text.as_bytes().get(self.at)?;
        wanted.contains(&next).then(|| {
            self.at += 1;
            next
        })
    }

    fn skip_space(&mut self) {
        self.at += self.text[self.at..].bytes().take_while(|byte| *byte == b' ').count();
    }

    fn unexpected(&self) -> Problem {
        let found = match self.text[self.at..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "its end".to_owned(),
        };
        Problem::new(
            "bad-expression",
            format!("`${{{}}}` cannot be worked out: {found} was not expected", self.text),
        )
        .help("it may hold variables, whole numbers, + - * / % and parentheses")
        .help("`$${` stands for `${` itself")
    }
}

fn too_big() -> Problem {
    Problem::new("bad-expression", "this number is too big")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, String> {
        let vars =
            BTreeMap::from([("n".to_owned(), "3".to_owned()), ("net".to_owned(), "10.0.0".to_owned())]);
        expand(text, &vars, Some(2)).map_err(|problem| problem.message)
    }

    #[test]
    fn counts() {
        for (text, value) in [
            ("r${i}", "r2"),
            ("r${i % n + 1}", "r3"),
            ("${net}.${i}/24", "10.0.0.2/24"),
            ("${1 + 2 * 3}", "7"),
            ("${(1 + 2) * 3}", "9"),
            ("${-i + 5}", "3"),
            ("${7 / 2}", "3"),
            ("${ (i-3) % n }", "2"),
            ("$${HOME} $5 $", "${HOME} $5 $"),
            ("$${i} ${i}", "${i} 2"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, message) in [
            ("${}", "not expected"),
            ("${i", "no `}`"),
            ("${m}", "no variable `m`"),
            ("${1 / 0}", "divides by zero"),
            ("${i % (n - 3)}", "divides by zero"),
            ("${net + 1}", "no whole number"),
            ("${9223372036854775807 + 1}", "too big"),
            ("${99999999999999999999}", "too big"),
            ("${1 +}", "its end"),
            ("${(1}", "its end"),
            ("${1 ü}", "'ü'"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert!(of(&format!("${{{}1}}", "(".repeat(100_000))).unwrap_err().contains("parentheses"));
        assert!(of(&format!("${{{}1}}", "-".repeat(100_000))).unwrap_err().contains("parentheses"));
    }
}
