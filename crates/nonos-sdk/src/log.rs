//! Text for whoever runs the program. Not part of the claim, and a host keeps at most 1 MiB of it.

use crate::syscall;
use core::fmt::{self, Write};

/// What is collected before it is handed over.
const BUFFER_BYTES: usize = 256;

/// Logs one line; takes what [`format!`](alloc::format) takes. Needs no heap.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::line(::core::format_args!($($argument)*)) };
}

/// Logs one line: [`log!`](crate::log!) calls it.
pub fn line(text: fmt::Arguments<'_>) {
    let mut buffer = Buffer { bytes: [0; BUFFER_BYTES], filled: 0 };
    // An error comes from a `Display` of the caller's; what it wrote before is still worth showing.
    let _ = buffer.write_fmt(text);
    buffer.append(b"\n");
    buffer.flush();
}

struct Buffer {
    bytes: [u8; BUFFER_BYTES],
    filled: usize,
}

impl Buffer {
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.filled));
            self.bytes[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BUFFER_BYTES {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let mut bytes = &self.bytes[..self.filled];
        while !bytes.is_empty() {
            bytes = &bytes[syscall::log(bytes)..];
        }
        self.filled = 0;
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::mock::Mock;

    #[test]
    fn a_line_longer_than_the_buffer_is_logged_whole() {
        let long = "é".repeat(1000);
        let run = Mock::new().run(|| {
            log!("first");
            log!("{long} {}", 7);
        });
        assert_eq!(run.log, alloc::format!("first\n{long} 7\n"));
        assert!(run.output.is_empty());
    }
}
