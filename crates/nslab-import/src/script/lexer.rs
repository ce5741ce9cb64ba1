//! Words and operators of a shell script.

use std::collections::HashMap;

/// A word, an operator or a redirection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word {
        value: String,
        start: usize,
        end: usize,
        line: usize,
        unknown: bool,
        quoted: bool,
    },
    Operator {
        text: &'static str,
        start: usize,
        line: usize,
    },
    /// `>FILE` and the like; no target where what is written is thrown away or only descriptors are moved.
    Redirect {
        target: Option<String>,
        start: usize,
        end: usize,
        line: usize,
        here: bool,
    },
}

impl Token {
    pub(super) fn start(&self) -> usize {
        match self {
            Self::Word { start, .. } | Self::Operator { start, .. } | Self::Redirect { start, .. } => *start,
        }
    }

    pub(super) fn line(&self) -> usize {
        match self {
            Self::Word { line, .. } | Self::Operator { line, .. } | Self::Redirect { line, .. } => *line,
        }
    }
}

const OPERATORS: [&str; 10] = ["&&", "||", ";;", "\n", ";", "&", "|", "(", ")", "!"];

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Ends of here-documents whose text begins with the next line.
    here: Vec<String>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, here: Vec::new() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.text.len());
        self.line += self.text[self.at..end].matches('\n').count();
        self.at = end;
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            if rest.starts_with("\\\n") {
                self.advance(2);
            } else if rest.starts_with("\\\r\n") {
                self.advance(3);
            } else if rest.starts_with([' ', '\t', '\r']) {
                self.advance(1);
            } else if rest.starts_with('#') {
                self.advance(rest.find('\n').unwrap_or(rest.len()));
            } else {
                return;
            }
        }
    }

    /// Skips what may stand between `&&` and the next command.
    pub(super) fn skip_newlines(&mut self) {
        loop {
            self.skip_blanks();
            if !self.rest().starts_with('\n') {
                return;
            }
            self.advance(1);
        }
    }

    pub(super) fn next(&mut self, variables: &HashMap<String, String>) -> Option<Token> {
        self.skip_blanks();
        let rest = self.rest();
        if rest.is_empty() {
            return None;
        }
        let (start, line) = (self.at, self.line);
        if let Some(token) = self.redirect(variables) {
            return Some(token);
        }
        let alone = |operator: &str| operator != "!" || rest[1..].starts_with([' ', '\t']);
        if let Some(text) = OPERATORS.into_iter().find(|one| rest.starts_with(one) && alone(one)) {
            self.advance(text.len());
            if text == "\n" {
                self.skip_here_documents();
            }
            return Some(Token::Operator { text, start, line });
        }
        let (value, unknown, quoted) = self.word(variables);
        Some(Token::Word { value, start, end: self.at, line, unknown, quoted })
    }

    /// The next word where only quotes mean anything; `Some(None)` if one is not closed.
    #[expect(
        clippy::option_option,
        reason = "the end of the text is something else than a quote that is open"
    )]
    pub(super) fn plain_word(&mut self) -> Option<Option<String>> {
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.advance(blank);
        if self.rest().is_empty() {
            return None;
        }
        let mut word = String::new();
        let mut quote = None;
        let mut characters = self.rest().char_indices();
        while let Some((index, c)) = characters.next() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => {
                    self.advance(index);
                    return Some(Some(word));
                }
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (None | Some('"'), '\\') => match characters.next() {
                    Some((_, next)) => word.push(next),
                    None => word.push('\\'),
                },
                (_, c) => word.push(c),
            }
        }
        self.advance(self.rest().len());
        Some(quote.is_none().then_some(word))
    }

    fn redirect(&mut self, variables: &HashMap<String, String>) -> Option<Token> {
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let behind = &rest[digits..];
        let operators = ["&>>", "&>", ">>", ">&", ">|", "<<<", "<<-", "<<", "<&", "<", ">"];
        let operator = operators.into_iter().find(|one| behind.starts_with(one))?;
        if digits > 0 && operator.starts_with('&') {
            return None;
        }
        let (start, line) = (self.at, self.line);
        self.advance(digits + operator.len());
        self.skip_blanks();
        let (target, _, _) = self.word(variables);
        let here = operator.starts_with("<<");
        if matches!(operator, "<<" | "<<-") {
            self.here.push(target.clone());
        }
        let kept = operator.contains('>')
            && !(operator == ">&" && target.chars().all(|c| c.is_ascii_digit() || c == '-'))
            && target != "/dev/null"
            && &rest[..digits] != "2";
        let read = operator == "<" && target != "/dev/null";
        Some(Token::Redirect { target: (kept || read).then_some(target), start, end: self.at, line, here })
    }

    fn skip_here_documents(&mut self) {
        for end in std::mem::take(&mut self.here) {
            while !self.rest().is_empty() {
                let line = self.rest().split('\n').next().unwrap_or_default();
                self.advance(line.len() + 1);
                if line.trim() == end {
                    break;
                }
            }
        }
    }

    /// A word: its value, whether something in it is unknown, whether any of it is quoted.
    fn word(&mut self, variables: &HashMap<String, String>) -> (String, bool, bool) {
        let (mut value, mut unknown, mut quoted) = (String::new(), false, false);
        let mut double = false;
        while let Some(c) = self.rest().chars().next() {
            match c {
                '"' => {
                    (double, quoted) = (!double, true);
                    self.advance(1);
                }
                '\'' if !double => {
                    quoted = true;
                    self.advance(1);
                    let length = self.rest().find('\'').unwrap_or(self.rest().len());
                    value.push_str(&self.rest()[..length]);
                    self.advance(length + 1);
                }
                '\\' => {
                    self.advance(1);
                    let Some(next) = self.rest().chars().next() else { break };
                    if double && !matches!(next, '$' | '`' | '"' | '\\' | '\n') {
                        value.push('\\');
                    }
                    if next != '\n' {
                        value.push(next);
                    }
                    self.advance(next.len_utf8());
                }
                '$' => unknown |= self.expand(variables, double, &mut value),
                '`' => {
                    unknown = true;
                    let length = self.rest()[1..].find('`').map_or(self.rest().len(), |at| at + 2);
                    value.push_str(&self.rest()[..length]);
                    self.advance(length);
                }
                _ if double => {
                    value.push(c);
                    self.advance(c.len_utf8());
                }
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                _ => {
                    unknown |= matches!(c, '*' | '?' | '~');
                    value.push(c);
                    self.advance(c.len_utf8());
                }
            }
        }
        (value, unknown, quoted)
    }

    /// What a `$` stands for; true if that is unknown, and then it stays as it is written.
    fn expand(&mut self, variables: &HashMap<String, String>, double: bool, value: &mut String) -> bool {
        let rest = self.rest();
        let name_of = |text: &'a str| {
            let length =
                text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
            &text[..length]
        };
        let (name, length) = if let Some(inner) = rest.strip_prefix("${") {
            let Some(close) = inner.find('}') else {
                value.push_str(rest);
                self.advance(rest.len());
                return true;
            };
            (&inner[..close], close + 3)
        } else if rest.starts_with("$(") {
            let length = balanced(&rest[1..]) + 1;
            value.push_str(&rest[..length]);
            self.advance(length);
            return true;
        } else {
            let name = name_of(&rest[1..]);
            if name.is_empty() {
                value.push('$');
                self.advance(1);
                // `$1`, `$?`, `$@` and the like, or a lone dollar sign.
                return rest[1..].starts_with(['?', '@', '*', '#', '!', '$', '-']);
            }
            (name, name.len() + 1)
        };
        self.advance(length);
        match variables.get(name) {
            Some(known) if double || !known.contains(char::is_whitespace) => {
                value.push_str(known);
                false
            }
            _ => {
                value.push_str(&rest[..length]);
                true
            }
        }
    }
}

/// The length of what stands in parentheses, with them.
fn balanced(text: &str) -> usize {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}
