//! Digest: one hash of a source tree, the same wherever the tree lies.
//!
//! Spec: `docs/spec/10-capsule.md`, section "Source digest".

use nonos_types::{Hash32, domain};
use std::collections::BTreeMap;
use thiserror::Error;

/// Most bytes of a path in a source tree.
pub const SOURCE_PATH_BYTES_MAX: usize = 1024;

/// The digest of a source tree: paths relative to its root, with `/` between their parts, each with the BLAKE3 hash of
/// the file's contents.
///
/// # Errors
/// [`SourceDigestError`] for a path that is not relative, or not in its one form.
pub fn source_digest(files: &BTreeMap<String, Hash32>) -> Result<Hash32, SourceDigestError> {
    let mut hasher = blake3::Hasher::new_derive_key(domain::SOURCE_DIGEST);
    for (path, contents) in files {
        check_path(path)?;
        let path_bytes = path.len() as u64;
        hasher.update(&path_bytes.to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(contents.as_bytes());
    }
    Ok(Hash32::from_bytes(*hasher.finalize().as_bytes()))
}

fn check_path(path: &str) -> Result<(), SourceDigestError> {
    let good_part = |part: &str| !matches!(part, "" | "." | "..");
    let good = path.len() <= SOURCE_PATH_BYTES_MAX
        && path.split('/').all(good_part)
        && !path.contains(|c: char| c == '\\' || c.is_control());
    if good { Ok(()) } else { Err(SourceDigestError { path: path.to_owned() }) }
}

/// A path that a source tree may not have.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error(
    "`{path}` is no path below a source folder: at most {SOURCE_PATH_BYTES_MAX} bytes, parts with `/` between, no `.` or `..`"
)]
pub struct SourceDigestError {
    /// The path.
    pub path: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(files: &[(&str, u8)]) -> Result<Hash32, SourceDigestError> {
        source_digest(&files.iter().map(|(path, fill)| ((*path).to_owned(), Hash32::from_bytes([*fill; 32]))).collect())
    }

    #[test]
    fn names_and_contents_count_and_the_order_does_not() {
        let base = digest(&[("a", 1), ("src/b", 2)]).unwrap();
        assert_eq!(digest(&[("src/b", 2), ("a", 1)]), Ok(base));
        for other in [&[("a", 1)][..], &[("a", 1), ("src/b", 3)], &[("a", 1), ("src/c", 2)], &[("a", 2), ("src/b", 1)]]
        {
            assert_ne!(digest(other), Ok(base));
        }
    }

    #[test]
    fn paths_that_are_not_relative_or_not_in_their_one_form_are_refused() {
        for path in ["", "/a", "a/", "a//b", "./a", "a/./b", "../a", "a/..", "a\\b", "a\nb"] {
            assert_eq!(digest(&[(path, 1)]), Err(SourceDigestError { path: path.into() }), "{path:?}");
        }
        assert!(digest(&[(&"p".repeat(SOURCE_PATH_BYTES_MAX), 1)]).is_ok());
        assert!(digest(&[(&"p".repeat(SOURCE_PATH_BYTES_MAX + 1), 1)]).is_err());
    }
}
