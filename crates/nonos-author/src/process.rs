//! Process: runs a tool with an environment that does not depend on who runs it.
//!
//! In: a program, arguments, a folder. Out: what it wrote. Variables that change what Cargo, rustc or a C compiler make
//! do not reach it; those that say where things are and how to reach a registry do.

use crate::progress::{Event, Progress};
use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};
use thiserror::Error;

/// Most bytes of a tool's output that are kept.
pub const TOOL_OUTPUT_BYTES_MAX: u64 = 256 << 20;
/// Most lines of a tool's error stream that an error repeats.
pub const TOOL_ERROR_LINES_MAX: usize = 40;

/// Variables that a tool gets when they are set. Everything else is left out: `RUSTFLAGS`, `CARGO_PROFILE_*`,
/// `RUSTC_WRAPPER`, `CFLAGS`, what Cargo sets when it runs this program, and whatever a build script might read.
const VARIABLES_KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USERPROFILE",
    "SYSTEMROOT",
    "TMPDIR",
    "TEMP",
    "TMP",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_AUTO_INSTALL",
    "RUSTUP_DIST_SERVER",
    "CARGO_BUILD_JOBS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];
/// Variables with these beginnings are kept as well: how Cargo reaches a registry.
const PREFIXES_KEPT: &[&str] = &["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];

/// What a tool wrote.
pub(crate) struct ToolOutput {
    pub(crate) stdout: Vec<u8>,
}

/// A command with a clean environment.
pub(crate) fn clean_command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let kept = |(name, _): &(OsString, OsString)| {
        let name = name.to_string_lossy();
        VARIABLES_KEPT.contains(&&*name) || PREFIXES_KEPT.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut command = Command::new(program);
    command.env_clear().envs(env::vars_os().filter(kept));
    // A toolchain that the user asked for, not the one that Cargo put there when it started this program.
    if let (Some(toolchain), None) = (env::var_os("RUSTUP_TOOLCHAIN"), env::var_os("CARGO")) {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    // One language, one time zone, one time: what __DATE__ and sorted lists depend on.
    command.env("LC_ALL", "C").env("TZ", "UTC").env("SOURCE_DATE_EPOCH", "0");
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs a tool to its end and hands the lines of its error stream on while they come.
pub(crate) fn run(tool: &str, mut command: Command, progress: &mut Progress<'_>) -> Result<ToolOutput, ToolError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let io = |source| ToolError::Io { tool: tool.to_owned(), source };
    let mut child = command.spawn().map_err(io)?;
    let result = read_both(tool, &mut child, progress);
    if result.is_err() {
        // The pipes are closed now; a tool that still writes must not be waited for.
        let _ = child.kill();
    }
    let status = child.wait().map_err(io)?;
    let (stdout, last_lines) = result.map_err(io)?;
    if status.success() {
        return Ok(ToolOutput { stdout });
    }
    Err(ToolError::Failed { tool: tool.to_owned(), status: describe(status), last_lines: last_lines.join("\n") })
}

/// What a tool calls itself: the first line that it writes when it is asked, without what is said in brackets about
/// where it was built. A recipe holds no places.
pub(crate) fn version(program: &Path, arguments: &[&str], dir: &Path) -> Option<String> {
    first_line(program, arguments, dir).map(|line| without_places(&line))
}

fn without_places(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, bracket)) = rest.split_once('(') {
        let Some((inside, after)) = bracket.split_once(')') else { break };
        text.push_str(before);
        if !inside.contains(['/', '\\']) {
            text.push_str(&format!("({inside})"));
        }
        rest = after;
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first line that a tool writes.
pub(crate) fn first_line(program: &Path, arguments: &[&str], dir: &Path) -> Option<String> {
    let mut command = clean_command(program, dir);
    command.args(arguments);
    let output = run("version", command, &mut crate::progress::silent).ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// Where the search path has a program.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file))
}

pub(crate) fn is_program(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o111 == 0 {
        return false;
    }
    metadata.is_file()
}

/// Both streams at once, so that a tool that fills one of them does not wait for ever.
fn read_both(tool: &str, child: &mut Child, progress: &mut Progress<'_>) -> io::Result<(Vec<u8>, Vec<String>)> {
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        match stdout {
            Some(stream) => stream.take(TOOL_OUTPUT_BYTES_MAX).read_to_end(&mut bytes).map(|_| bytes),
            None => Ok(bytes),
        }
    });
    let mut last_lines: Vec<String> = Vec::new();
    if let Some(stream) = stderr {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            progress(Event::ToolLine { tool, line: text });
            if last_lines.len() == TOOL_ERROR_LINES_MAX {
                last_lines.remove(0);
            }
            last_lines.push(text.to_owned());
            line.clear();
        }
    }
    let bytes = reader.join().map_err(|_| io::Error::other("the thread that reads the output ended early"))??;
    Ok((bytes, last_lines))
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// Why a tool gave no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// It cannot be run.
    #[error("cannot run {tool}: {source}; `nonos doctor` says what is missing")]
    Io {
        /// Which tool.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// It says that it failed.
    #[error("{tool} failed ({status}):\n{last_lines}")]
    Failed {
        /// Which tool.
        tool: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        last_lines: String,
    },
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = clean_command("sh", Path::new("/"));
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_read_to_their_ends() {
        // More than a pipe holds, on both streams in turns.
        let script = "i=0; while [ $i -lt 3000 ]; do echo out-0123456789012345678901234567890123456789; \
                      echo err-0123456789012345678901234567890123456789 >&2; i=$((i+1)); done";
        let mut lines = 0;
        let output = run("sh", shell(script), &mut |_| lines += 1).unwrap();
        assert_eq!((lines, output.stdout.len()), (3000, 3000 * 45));
    }

    #[test]
    fn a_tool_that_fails_is_named_with_its_last_lines() {
        let error = run("sh", shell("echo first >&2; echo why >&2; exit 7"), &mut crate::progress::silent);
        let text = error.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("sh failed") && text.contains('7') && text.ends_with("first\nwhy"), "{text}");
    }

    #[test]
    fn brackets_with_a_place_are_left_out_of_a_version() {
        let check = |line: &str, expected: &str| assert_eq!(without_places(line), expected);
        check(
            "LLD 22.1.2 (/checkout/llvm 1cb4e38) (compatible with GNU linkers)",
            "LLD 22.1.2 (compatible with GNU linkers)",
        );
        check("rustc 1.95.0 (59807616e 2026-04-14)", "rustc 1.95.0 (59807616e 2026-04-14)");
        check("odd (bracket /x", "odd (bracket /x");
        check("", "");
    }

    #[test]
    fn variables_that_change_a_build_do_not_reach_a_tool() {
        let output = run("sh", shell("env"), &mut crate::progress::silent).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // Cargo sets this one when it runs the test.
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        assert!(!text.contains("CARGO_PKG_NAME") && text.contains("SOURCE_DATE_EPOCH=0"), "{text}");
    }
}
