//! Failure: why a command did not do what it was asked, the class of its exit code, and what to do next.
//!
//! The libraries' errors come in by `From`, so that every command says the same about the same defect.

mod advice;
mod books;
mod tickets;

pub(crate) use advice::of_exit;

use crate::exit::ExitClass;
use serde_json::json;
use std::{fmt, io, path::Path};

/// Why a command failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    class: ExitClass,
    message: String,
    help: String,
    silent: bool,
}

impl Failure {
    /// A failure of a class, with what is wrong and what to do next.
    pub(crate) fn new(class: ExitClass, message: impl fmt::Display, help: impl fmt::Display) -> Self {
        Self { class, message: message.to_string(), help: help.to_string(), silent: false }
    }

    /// Whoever reads our output has read enough.
    pub(crate) fn broken_pipe() -> Self {
        Self { class: ExitClass::Ok, message: String::new(), help: String::new(), silent: true }
    }

    /// Nothing to say: what was printed says it.
    pub(crate) fn quiet(class: ExitClass) -> Self {
        Self { class, message: String::new(), help: String::new(), silent: true }
    }

    /// The system refuses.
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::broken_pipe();
        }
        let help = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "check who may use the file and its folder",
            io::ErrorKind::StorageFull => "free some space",
            io::ErrorKind::IsADirectory => "name a file, not a folder",
            _ => "check the path and the disk",
        };
        Self::new(ExitClass::Io, format_args!("cannot {doing} {}: {}", path.display(), reason(error)), help)
    }

    /// The same with the file that it is about in front.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        if !self.silent {
            self.message = format!("{}: {}", path.display(), self.message);
        }
        self
    }

    /// The same with what came before it.
    pub(crate) fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.message = format!("{}: {cause}", self.message);
        self
    }

    /// The same with other advice.
    pub(crate) fn with_help(mut self, help: impl fmt::Display) -> Self {
        self.help = help.to_string();
        self
    }

    /// Whether the message says something.
    pub(crate) fn names(&self, what: &str) -> bool {
        self.message.contains(what)
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The class.
    pub(crate) const fn class(&self) -> ExitClass {
        self.class
    }

    /// What to print on stderr, or nothing: two lines, or one line of JSON.
    pub(crate) fn report(&self, json: bool, color: bool) -> Option<String> {
        if self.silent {
            return None;
        }
        if json {
            let (code, class) = (self.class.code(), self.class.name());
            let object = json!({ "error": self.message, "help": self.help, "exit_code": code, "exit_class": class });
            return Some(format!("{object}\n"));
        }
        let (red, green, plain) = if color { ("\x1b[1;31m", "\x1b[1;32m", "\x1b[0m") } else { ("", "", "") };
        Some(format!("{red}error:{plain} {}\n{green}help:{plain} {}\n", self.message, self.help))
    }
}

/// The system's reason, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
