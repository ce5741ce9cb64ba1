//! Shell scripts cut into simple commands.
//!
//! Only what network configuration is written in is understood: simple commands, `;`, `&&`, `|| true`, variables that the
//! script itself sets, redirections. All else is a [`Piece::Opaque`], with its text whole.

mod lexer;

use std::collections::HashMap;

use lexer::{Lexer, Token};

/// A part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A command with its arguments.
    Simple(Simple),
    /// What is not understood.
    Opaque {
        /// As it is written.
        text: String,
        /// Its line, from 1.
        line: usize,
        /// What it is.
        what: &'static str,
    },
}

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Simple {
    /// The command and its arguments, quotes and known variables resolved.
    pub(crate) words: Vec<String>,
    /// As it is written.
    pub(crate) text: String,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// It goes on beside what follows.
    pub(crate) background: bool,
    /// The file that its output goes to, unless that is thrown away.
    pub(crate) output: Option<String>,
    /// Not everything in it is known: a variable from elsewhere, the output of another command, a pattern.
    pub(crate) unknown: bool,
}

/// Words that begin what ends with another word.
const OPENING: [&str; 7] = ["for", "while", "until", "if", "case", "select", "{"];
const CLOSING: [&str; 4] = ["done", "fi", "esac", "}"];

/// Cuts a script. `variables` are those known before; those that the script sets are added.
pub(crate) fn split(text: &str, variables: &mut HashMap<String, String>) -> Vec<Piece> {
    let mut lexer = Lexer::new(text);
    let mut pieces = Vec::new();
    while let Some(list) = next_list(&mut lexer, variables) {
        list.into_pieces(text, variables, &mut pieces);
    }
    pieces
}

/// The words of one command line as a program that is started without a shell gets them.
pub(crate) fn words(text: &str) -> Option<Vec<String>> {
    let mut lexer = Lexer::new(text);
    let mut words = Vec::new();
    while let Some(token) = lexer.plain_word() {
        words.push(token?);
    }
    Some(words)
}

/// Commands up to the end of a line or a semicolon.
#[derive(Debug, Default)]
struct List {
    commands: Vec<Parsed>,
    /// What stands between them.
    joints: Vec<&'static str>,
    background: bool,
    /// It is no list of simple commands, and why.
    opaque: Option<&'static str>,
    start: usize,
    end: usize,
    line: usize,
}

#[derive(Debug, Default)]
struct Parsed {
    words: Vec<String>,
    start: usize,
    end: usize,
    line: usize,
    output: Option<String>,
    unknown: bool,
}

fn next_list(lexer: &mut Lexer<'_>, variables: &HashMap<String, String>) -> Option<List> {
    let mut list = List::default();
    let mut begun = false;
    let mut depth = 0_usize;
    let mut fresh = true;
    loop {
        let Some(token) = lexer.next(variables) else {
            return begun.then_some(list);
        };
        if !begun {
            if matches!(token, Token::Operator { text: "\n" | ";", .. }) {
                continue;
            }
            begun = true;
            (list.start, list.line) = (token.start(), token.line());
        }
        match token {
            Token::Operator { text, start, .. } if depth == 0 => match text {
                "\n" | ";" => return Some(list),
                "&" => {
                    list.background = true;
                    return Some(list);
                }
                "&&" | "||" | "|" => {
                    list.joints.push(text);
                    list.end = start + text.len();
                    lexer.skip_newlines();
                    fresh = true;
                }
                "(" => {
                    list.opaque = Some("a subshell or a function");
                    depth += 1;
                    list.end = start + 1;
                }
                other => {
                    list.opaque.get_or_insert("a construct of the shell");
                    list.end = start + other.len();
                }
            },
            Token::Operator { text, start, .. } => {
                match text {
                    "(" => depth += 1,
                    ")" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                fresh = matches!(text, "\n" | ";" | "&" | "&&" | "||" | "|" | "(" | ")");
                list.end = start + text.len();
            }
            Token::Redirect { target, start, end, line, here } => {
                list.end = end;
                if here {
                    list.opaque = Some("a here-document");
                }
                let command = list.command(fresh && depth == 0, start, line);
                command.end = end;
                if let Some(target) = target {
                    command.output = Some(target);
                }
                fresh = false;
            }
            Token::Word { value, start, end, line, unknown, quoted } => {
                list.end = end;
                let keyword = (fresh && !quoted).then_some(&value[..]);
                if keyword.is_some_and(|word| OPENING.contains(&word)) {
                    list.opaque.get_or_insert("a construct of the shell");
                    depth += 1;
                    continue;
                }
                if depth > 0 && keyword.is_some_and(|word| CLOSING.contains(&word)) {
                    depth -= 1;
                    fresh = false;
                    continue;
                }
                if depth > 0 {
                    // `do`, `then` and `else` stand before commands.
                    fresh = keyword.is_some_and(|word| matches!(word, "do" | "then" | "else" | "elif"));
                    continue;
                }
                if keyword.is_some_and(|word| word == "function" || word == "[[") {
                    list.opaque.get_or_insert("a construct of the shell");
                }
                let command = list.command(fresh, start, line);
                command.words.push(value);
                command.unknown |= unknown;
                command.end = end;
                fresh = false;
            }
        }
    }
}

impl List {
    /// The command that is being read, a new one after a joint.
    fn command(&mut self, fresh: bool, start: usize, line: usize) -> &mut Parsed {
        if fresh || self.commands.is_empty() {
            self.commands.push(Parsed { start, line, ..Parsed::default() });
        }
        let last = self.commands.len() - 1;
        &mut self.commands[last]
    }

    fn into_pieces(mut self, text: &str, variables: &mut HashMap<String, String>, pieces: &mut Vec<Piece>) {
        // `command || true`: that it may fail is all it says.
        if self.joints.last() == Some(&"||")
            && self.commands.len() == self.joints.len() + 1
            && self.commands.last().is_some_and(|last| {
                matches!(last.words.first().map(String::as_str), Some("true" | ":" | "echo" | "exit"))
            })
        {
            self.commands.pop();
            self.joints.pop();
        }
        let what = match () {
            () if self.opaque.is_some() => self.opaque,
            () if self.joints.contains(&"|") => Some("a pipeline"),
            () if self.joints.contains(&"||") => Some("a choice between commands"),
            () if self.background && self.commands.len() > 1 => Some("several commands in the background"),
            () => None,
        };
        if let Some(what) = what {
            let text = text.get(self.start..self.end).unwrap_or_default().trim().to_owned();
            pieces.push(Piece::Opaque { text, line: self.line, what });
            return;
        }
        for command in self.commands {
            if let Some(set) = assignments(&command.words) {
                if !command.unknown {
                    variables.extend(set);
                }
                continue;
            }
            pieces.push(Piece::Simple(Simple {
                text: text.get(command.start..command.end).unwrap_or_default().trim().to_owned(),
                line: command.line,
                background: self.background,
                output: command.output,
                unknown: command.unknown,
                words: command.words,
            }));
        }
    }
}

/// The variables that a command sets, if that is all it does.
fn assignments(words: &[String]) -> Option<Vec<(String, String)>> {
    let words = match words.first().map(String::as_str) {
        Some("export" | "local" | "readonly") => &words[1..],
        Some(_) => words,
        None => return None,
    };
    words.iter().map(|word| assignment(word)).collect()
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let good = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    good.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &str) -> Vec<(usize, String)> {
        let pieces = split(text, &mut HashMap::new());
        pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Simple(simple) => {
                    let mut shown = simple.words.join("|");
                    if simple.background {
                        shown.push('&');
                    }
                    if let Some(output) = simple.output {
                        shown = format!("{shown}>{output}");
                    }
                    if simple.unknown {
                        shown.push('?');
                    }
                    (simple.line, shown)
                }
                Piece::Opaque { text, line, what } => (line, format!("[{what}] {text}")),
            })
            .collect()
    }

    #[test]
    fn cuts_scripts_into_commands() {
        let script = "#!/bin/bash\n\
                      ip addr add 10.0.0.1/24 dev eth0 # the lan\n\
                      ip link set eth0 up && ip route add default \\\n  via 10.0.0.254; sysctl -w net.ipv4.ip_forward=1 >/dev/null 2>&1\n\
                      echo 1 > /proc/sys/net/ipv4/ip_forward\n\
                      N=3\nexport M=\"a b\"\nip link set mtu ${N}00 dev \"eth$N\" || true\n\
                      iperf3 -s &\n\
                      echo '$N' \"$UNKNOWN\"";
        assert_eq!(
            simple(script),
            [
                (2, "ip|addr|add|10.0.0.1/24|dev|eth0".to_owned()),
                (3, "ip|link|set|eth0|up".to_owned()),
                (3, "ip|route|add|default|via|10.0.0.254".to_owned()),
                (4, "sysctl|-w|net.ipv4.ip_forward=1".to_owned()),
                (5, "echo|1>/proc/sys/net/ipv4/ip_forward".to_owned()),
                (8, "ip|link|set|mtu|300|dev|eth3".to_owned()),
                (9, "iperf3|-s&".to_owned()),
                (10, "echo|$N|$UNKNOWN?".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_stays_whole() {
        let script = "for i in 1 2; do\n  if true; then ip addr add 10.0.0.$i/24 dev eth0; fi\ndone\n\
                      cat <<EOF > /etc/x\nip addr add bad\nEOF\n\
                      ip a | grep eth0\n\
                      (sleep 1; echo x)\n\
                      f() { ip a; }\n\
                      ip route add $(cat /x) dev eth0\n\
                      true && false || ip a\n\
                      ip link set eth0 up";
        let got = simple(script);
        let whats: Vec<(usize, &str)> =
            got.iter().map(|(line, text)| (*line, &text[..12.min(text.len())])).collect();
        assert_eq!(
            whats,
            [
                (1, "[a construct"),
                (4, "[a here-docu"),
                (7, "[a pipeline]"),
                (8, "[a subshell "),
                (9, "[a subshell "),
                (10, "ip|route|add"),
                (11, "[a choice be"),
                (12, "ip|link|set|"),
            ]
        );
        assert!(got[0].1.ends_with("done"), "{got:?}");
        assert!(got[5].1.ends_with('?'), "{got:?}");
    }

    #[test]
    fn any_text_is_cut_without_a_panic() {
        for text in
            ["'", "\"", "$(", "`", "${", "\\", "<<", "a <<E", ">", "(", ")", "{", "for", "| |", "&&", "é'ü\\"]
        {
            let _ = split(text, &mut HashMap::new());
            let _ = words(text);
        }
        assert_eq!(
            words("sh -c 'a b' \"c\\\"d\" e\\ f"),
            Some(vec!["sh".into(), "-c".into(), "a b".into(), "c\"d".into(), "e f".into()])
        );
        assert_eq!(words("a 'b"), None);
    }
}
