//! Terminal: what goes to stdout and stderr. Results go to stdout, everything else to stderr; progress only where a
//! person looks at it.

use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    time::Duration,
};

/// How a bar looks while it is not known how long it takes.
const SPINNER: &str = "{spinner} {msg}";
/// How a bar looks with a known number of steps.
const BAR: &str = "{spinner} {msg} [{bar:30}] {pos}/{len} segments, {elapsed}, {eta} left";
/// The same for bytes.
const BYTES_BAR: &str = "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
/// How often it moves.
const SPINNER_TICK: Duration = Duration::from_millis(120);

/// Bytes on a line of hexadecimal digits.
const HEX_LINE_BYTES: usize = 32;

/// Where we print, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// One JSON object on stdout instead of text.
    pub(crate) json: bool,
    /// Errors only on stderr.
    pub(crate) quiet: bool,
}

impl Terminal {
    /// Whether stderr shows colors: it is a terminal, and `NO_COLOR` is not set.
    pub(crate) fn color() -> bool {
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Text or bytes for stdout.
    pub(crate) fn out(self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes.as_ref())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::io("write to", Path::new("stdout"), &error))
    }

    /// A capsule's output: as it is, except on a terminal, which a capsule is not to steer: there, what is no plain text
    /// is shown as hexadecimal digits.
    pub(crate) fn out_capsule(self, bytes: &[u8]) -> Result<(), Failure> {
        if !io::stdout().is_terminal() || is_plain_text(bytes) {
            return self.out(bytes);
        }
        self.say(
            "note: the output is not plain text, so a terminal shows its bytes; in a file or a pipe it is as it is",
        );
        let line = |(index, bytes): (usize, &[u8])| format!("{:08x}  {}\n", index * HEX_LINE_BYTES, hex::encode(bytes));
        self.out(bytes.chunks(HEX_LINE_BYTES).enumerate().map(line).collect::<String>())
    }

    /// The one JSON object.
    pub(crate) fn out_json(self, value: &Value) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(value).expect("a value is JSON");
        text.push('\n');
        self.out(text)
    }

    /// The result: `value` as JSON, or else `text`.
    pub(crate) fn result(self, value: &Value, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        if self.json { self.out_json(value) } else { self.out(text) }
    }

    /// A line on stderr for whoever watches, unless we are to be quiet.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            // Nobody listens: that is no reason to stop.
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// A moving line on stderr; nothing where stderr is no terminal.
    pub(crate) fn spinner(self, message: impl Into<String>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.draw_target());
        bar.set_style(ProgressStyle::with_template(SPINNER).expect("the template is a template"));
        bar.set_message(message.into());
        bar.enable_steady_tick(SPINNER_TICK);
        bar
    }

    /// A bar with steps; nothing where stderr is no terminal. Its length is set once it is known.
    pub(crate) fn bar(self, message: impl Into<String>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(0), self.draw_target());
        bar.set_style(ProgressStyle::with_template(BAR).expect("the template is a template"));
        bar.set_message(message.into());
        bar.enable_steady_tick(SPINNER_TICK);
        bar
    }

    /// A bar of bytes; nothing where stderr is no terminal. Its length is set once it is known.
    pub(crate) fn bytes_bar(self, message: impl Into<String>) -> ProgressBar {
        let bar = self.bar(message);
        bar.set_style(ProgressStyle::with_template(BYTES_BAR).expect("the template is a template"));
        bar
    }

    fn draw_target(self) -> ProgressDrawTarget {
        if self.quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        }
    }
}

/// Whether a terminal shows this as what it is.
fn is_plain_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_steers_a_terminal_is_not_plain() {
        assert!(is_plain_text("Zw\u{f6}lf\n\tB\r\n".as_bytes()));
        for bytes in [&b"\x1b[31mred"[..], b"\xff", b"\0", "\u{9b}31m".as_bytes()] {
            assert!(!is_plain_text(bytes), "{bytes:?}");
        }
    }
}
