//! `run:`.

use super::Decoder;
use crate::diagnostic::Diagnostic;
use crate::lab::Program;
use crate::model::Ready;
use crate::yaml::{Kind, Value};

const KEYS: &[&str] = &["name", "command", "ready", "timeout", "env", "directory", "user"];
const READY_KEYS: &[&str] = &["tcp", "udp", "file", "command"];

impl Decoder {
    pub(super) fn programs(&mut self, value: &Value) -> Vec<Program> {
        value.items().iter().filter_map(|item| self.program(item)).collect()
    }

    fn program(&mut self, value: &Value) -> Option<Program> {
        let mut program = Program {
            name: None,
            command: Vec::new(),
            env: std::collections::BTreeMap::new(),
            directory: None,
            ready: None,
            timeout: None,
            user: None,
        };
        let Kind::Map(entries) = &value.kind else {
            program.command = self.command(value)?;
            return Some(program);
        };
        let mut command = None;
        for (key, value) in entries {
            match key.text.as_str() {
                "name" => program.name = self.text(value, "the program's name").map(super::Text::spanned),
                "command" => command = Some(self.command(value)),
                "ready" => program.ready = self.ready(value),
                "timeout" => program.timeout = self.duration(value, "how long to wait"),
                "env" => program.env = self.env(value),
                "user" => program.user = self.user(value).map(|user| user.value),
                "directory" => program.directory = self.string(value, "a directory"),
                _ => self.unknown_key(key, "a program", KEYS),
            }
        }
        if command.is_none() {
            self.missing_key(value.span, "a program", "command");
        }
        program.command = command??;
        Some(program)
    }

    /// A text for the shell, or a list of a program and its arguments.
    fn command(&mut self, value: &Value) -> Option<Vec<String>> {
        let wanted = "a command: a text, or a list of a program and its arguments";
        let command: Option<Vec<String>> = match &value.kind {
            Kind::List(items) => items.iter().map(|item| self.string(item, "an argument")).collect(),
            _ => self.string(value, wanted).map(|command| vec![command]),
        };
        let command = command?;
        if command.first().is_none_or(|program| program.trim().is_empty()) {
            self.push(Diagnostic::error("empty-command", "there is no command to run").at(value.span, ""));
            return None;
        }
        Some(command)
    }

    fn ready(&mut self, value: &Value) -> Option<Ready> {
        let wanted = "one of `tcp: PORT`, `udp: PORT`, `file: PATH`, `command: COMMAND`, or `exit`";
        if matches!(&value.kind, Kind::Scalar(scalar) if scalar.text == "exit") {
            return Some(Ready::Exit);
        }
        let Kind::Map(entries) = &value.kind else {
            self.wrong_type(value, wanted);
            return None;
        };
        let [(key, value)] = entries.as_slice() else {
            self.push(
                Diagnostic::error("bad-ready", format!("expected {wanted}, found {} of them", entries.len()))
                    .at(value.span, ""),
            );
            return None;
        };
        match key.text.as_str() {
            "tcp" => self.port(value).map(Ready::Tcp),
            "udp" => self.port(value).map(Ready::Udp),
            "file" => {
                let path = self.text(value, "a file's path")?;
                if path.value.is_empty() {
                    self.push(
                        Diagnostic::error("bad-ready", "the path of a file is missing").at(path.span, ""),
                    );
                    return None;
                }
                Some(Ready::File(path.value))
            }
            "command" => self.command(value).map(Ready::Command),
            _ => {
                self.unknown_key(key, "`ready`", READY_KEYS);
                None
            }
        }
    }

    pub(super) fn port(&mut self, value: &Value) -> Option<u16> {
        self.number(value, "a port", 1..=65535).and_then(|port| u16::try_from(port.value).ok())
    }
}
