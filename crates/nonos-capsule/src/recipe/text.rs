//! Text: what a recipe may say. Printable ASCII, and no place on somebody's disk.

use thiserror::Error;

/// Most bytes of one text of a recipe.
pub const RECIPE_TEXT_BYTES_MAX: usize = 256;

/// What a path can stand behind inside a flag: `--sysroot=/usr`, `-L native=/home/..`, `a:/b`.
const SEPARATORS: [char; 12] = [' ', '=', ',', ':', ';', '"', '\'', '(', ')', '[', ']', '@'];

pub(super) fn check_text(text: &str) -> Result<(), RecipeTextError> {
    if text.is_empty() || text.len() > RECIPE_TEXT_BYTES_MAX {
        return Err(RecipeTextError::Length { got_bytes: text.len() });
    }
    if let Some(got) = text.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(RecipeTextError::Character { got });
    }
    if has_place(text) {
        return Err(RecipeTextError::Place { text: text.to_owned() });
    }
    Ok(())
}

/// Whether the text holds an absolute path, a home, or a way out of the source folder. A path can also follow a flag's
/// letters without a separator (`-L/usr/lib`), so a slash is good only behind a letter or digit of a longer word that
/// does not begin with a hyphen.
fn has_place(text: &str) -> bool {
    text.contains('\\')
        || text.split(SEPARATORS).any(|word| {
            word.starts_with(['/', '~', '$', '%'])
                || word.split('/').any(|part| part == "..")
                || word.contains("//")
                || (word.starts_with('-') && word.contains('/'))
        })
}

/// What is wrong with a text of a recipe.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipeTextError {
    /// Empty or too long.
    #[error("has {got_bytes} bytes, allowed is 1 to {RECIPE_TEXT_BYTES_MAX}")]
    Length {
        /// How many it has.
        got_bytes: usize,
    },
    /// A character that is not printable ASCII.
    #[error("holds the character {got:?}, allowed is printable ASCII")]
    Character {
        /// Which.
        got: char,
    },
    /// A place on a disk.
    #[error(
        "holds a place on a disk, `{text}`: a recipe names tools, not where they lie; use a path below the source folder"
    )]
    Place {
        /// The text.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_and_flags_say_is_good() {
        let texts = [
            "rustc 1.95.0 (59807616e 2026-04-14)",
            "LLD 21.1.8 (compatible with GNU linkers)",
            "riscv32im-unknown-none-elf",
            "-C",
            "link-arg=-Tlink.x",
            "link-arg=-Ttext=0x10000",
            "-Clink-arg=layout/link.x",
            "target-feature=+unaligned-scalar-mem,-c",
            "GCC: (12.2.0-14+11+b1) 12.2.0",
            "opt-level=\"s\"",
            "1..2",
        ];
        for text in texts {
            assert_eq!(check_text(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn places_on_a_disk_are_refused() {
        let texts = [
            "/usr/bin/ld",
            "-Clinker=/usr/bin/ld",
            "--sysroot /opt",
            "-L/usr/lib",
            "~/x",
            "$HOME/x",
            "C:\\Users\\x",
            "C:/Users/x",
            "--remap-path-prefix=/home/u=x",
            "a,/b",
            "../x",
            "a/../b",
            "file:///x",
            "a//b",
            "@/opt/args",
        ];
        for text in texts {
            assert_eq!(check_text(text), Err(RecipeTextError::Place { text: text.into() }), "{text}");
        }
    }

    #[test]
    fn lengths_and_characters_have_limits() {
        assert_eq!(check_text(""), Err(RecipeTextError::Length { got_bytes: 0 }));
        let longest = "x".repeat(RECIPE_TEXT_BYTES_MAX);
        assert_eq!(check_text(&longest), Ok(()));
        assert_eq!(check_text(&(longest + "x")), Err(RecipeTextError::Length { got_bytes: 257 }));
        for got in ['\n', '\t', '\0', '\u{7f}', 'é', '\u{202e}'] {
            assert_eq!(check_text(&format!("a{got}")), Err(RecipeTextError::Character { got }));
        }
    }
}
