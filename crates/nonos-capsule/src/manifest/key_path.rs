//! Key paths: which keys a manifest has, which of them a wrong one was meant to be, and where in the text a key stands.

use super::ManifestError;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Every key of a manifest as a path from the root; `*` stands for a name that the author chose. A test compares this
/// with what [`super::ManifestToml`] reads.
pub(super) const KEY_PATHS: &[&str] = &[
    "meta.name",
    "meta.version",
    "meta.author",
    "meta.description",
    "meta.homepage",
    "meta.tags",
    "exec.binary",
    "exec.hash",
    "exec.proof_schema",
    "exec.grants",
    "resources.cpu",
    "resources.mem",
    "resources.net",
    "resources.fuel",
    "fees.base",
    "fees.execution",
    "fees.verification",
    "fees.share_seeders",
    "fees.share_verifiers",
    "fees.split.author",
    "fees.split.dependencies",
    "fees.split.seeders",
    "fees.split.verifiers",
    "royalties.*",
    "dependencies.*.id",
    "dependencies.*.version",
    "dependencies.*.path",
    "license.spdx",
    "privacy.hiding",
    "privacy.closed",
    "proof.rung",
    "signers.keys",
    "signers.threshold",
    "build.kind",
    "build.binary",
    "build.features",
    "build.command",
    "build.tools",
    "build.sources",
];

/// Words of other manifests for things that have another key here.
const SYNONYMS: &[(&str, &str)] = &[
    ("exec.capabilities", "exec.grants"),
    ("exec.syscalls", "exec.grants"),
    ("exec.fuel", "resources.fuel"),
    ("resources.memory", "resources.mem"),
    ("meta.license", "license.spdx"),
    ("package", "meta"),
];

/// A wrong key is taken for a known one up to this many edits.
const NEAREST_EDITS_MAX: usize = 3;
/// Most characters of a wrong key that a message repeats.
const KEY_CHARS_SHOWN_MAX: usize = 64;

/// The first key in the text that no manifest has.
pub(super) fn check_keys(root: &DeTable<'_>, text: &str) -> Result<(), ManifestError> {
    let mut unknown: Option<(usize, String)> = None;
    collect_unknown(root, "", "", &mut unknown);
    let Some((offset, key)) = unknown else { return Ok(()) };
    let (line, _) = line_and_column(text, offset);
    Err(ManifestError::UnknownKey {
        line,
        nearest: nearest_key(&key),
        key: key.chars().take(KEY_CHARS_SHOWN_MAX).collect(),
    })
}

/// `path` is how a person names the table, `pattern` is its path in [`KEY_PATHS`], both with a dot at the end.
fn collect_unknown(table: &DeTable<'_>, path: &str, pattern: &str, first: &mut Option<(usize, String)>) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        let chosen = format!("{pattern}*");
        let is_chosen = KEY_PATHS.iter().any(|known| known.starts_with(&chosen));
        let here = if is_chosen { chosen } else { format!("{pattern}{name}") };
        let below = format!("{here}.");
        let is_table = KEY_PATHS.iter().any(|known| known.starts_with(&below));
        match value.get_ref() {
            // Only known tables are entered, so the depth is that of KEY_PATHS.
            DeValue::Table(inner) if is_table => collect_unknown(inner, &format!("{path}{name}."), &below, first),
            _ if is_table || KEY_PATHS.contains(&here.as_str()) => {}
            _ => {
                let offset = key.span().start;
                if first.as_ref().is_none_or(|(earlier, _)| offset < *earlier) {
                    *first = Some((offset, format!("{path}{name}")));
                }
            }
        }
    }
}

/// The path of the innermost value that covers a place in the text, such as `signers.keys[1]`. A table's own place is
/// its header or its first key, so what is in a table is asked before the table.
pub(super) fn key_at(table: &DeTable<'_>, place: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        let below = match value.get_ref() {
            // The parser has a limit on how deep tables are.
            DeValue::Table(inner) => key_at(inner, place).map(|below| format!("{name}.{below}")),
            DeValue::Array(items) => {
                let index = items.iter().position(|item| covers(&item.span(), place));
                index.map(|index| format!("{name}[{index}]"))
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        let here = covers(&value.span(), place) || covers(&key.span(), place);
        below.or_else(|| here.then(|| name.to_string()))
    })
}

/// Line and column of a place in the text, both from 1.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn nearest_key(key: &str) -> Option<String> {
    if key.len() > KEY_CHARS_SHOWN_MAX {
        return None;
    }
    if let Some((_, meant)) = SYNONYMS.iter().find(|(word, _)| *word == key) {
        return Some((*meant).to_owned());
    }
    let tables = KEY_PATHS.iter().filter_map(|known| known.rsplit_once('.').map(|(table, _)| table));
    let known = KEY_PATHS.iter().copied().chain(tables).filter(|known| !known.contains('*'));
    let (edits, nearest) = known.map(|known| (edits_between(key, known), known)).min()?;
    // The right key in the wrong table is a better guess than another key in the same one.
    let name = key.rsplit('.').next().unwrap_or(key);
    let moved = KEY_PATHS.iter().find(|known| known.rsplit('.').next() == Some(name) && !known.contains('*'));
    match moved {
        Some(moved) if edits > 1 => Some((*moved).to_owned()),
        _ => (edits <= NEAREST_EDITS_MAX).then(|| nearest.to_owned()),
    }
}

/// How many characters to insert, delete or replace to get from one text to the other (Levenshtein distance).
fn edits_between(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for ((b, diagonal), above) in to.chars().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
