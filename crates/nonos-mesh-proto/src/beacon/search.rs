//! Search: a query and an index in, rows out, always in the same order.

use super::{
    announcement::VerifiedAnnouncement, index::Index, inventory::VerifiedInventory, query::Query, statement::Statement,
    text,
};
use nonos_types::{CapsuleId, KeyId};
use semver::Version;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// Most rows of one result.
pub const FOUND_ROWS_MAX: usize = 256;
/// Most holders in one row.
pub const HOLDERS_MAX: usize = 64;

/// One row: a capsule, what its author says about it, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which capsule.
    pub capsule: CapsuleId,
    /// What its author says; nothing when only its id is known.
    pub announcement: Option<VerifiedAnnouncement>,
    /// Who says to hold it: known keys first, then in the order in which they were heard of.
    pub holders: Vec<VerifiedInventory>,
}

/// What rows are sorted by. Who came first stands first, so that nobody pushes a row down by adding others.
type Rank = (bool, bool, String, u64, KeyId, Reverse<Version>, CapsuleId);

impl Index {
    /// Rows for a query, at most `rows_max` and [`FOUND_ROWS_MAX`]. Sorted by: exact name before others; known authors
    /// before others; name; author (who was heard of first); version, newest first; capsule id. Rows without an
    /// announcement come last.
    #[must_use]
    pub fn find(&self, query: &Query, now_s: u64, rows_max: usize) -> Vec<Found> {
        let matching: Vec<_> = self
            .announcements()
            .filter(|held| held.statement.expires_s() >= now_s && matches(query, &held.statement))
            .collect();
        let mut first_heard: BTreeMap<(KeyId, &str), u64> = BTreeMap::new();
        for held in &matching {
            let first =
                first_heard.entry((held.statement.author().id(), &held.statement.body().name)).or_insert(held.arrival);
            *first = held.arrival.min(*first);
        }
        let mut rows: Vec<(Rank, &VerifiedAnnouncement)> = matching
            .iter()
            .map(|held| {
                let (author, body) = (held.statement.author().id(), held.statement.body());
                let heard = first_heard.get(&(author, body.name.as_str())).copied().unwrap_or_default();
                // A verified announcement's version parses.
                let version = body.version.parse().unwrap_or(Version::new(0, 0, 0));
                let exact = is_exact(query, &body.name);
                let rank =
                    (!exact, !self.is_known(author), body.name.clone(), heard, author, Reverse(version), body.capsule);
                (rank, &held.statement)
            })
            .collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        let announced: BTreeSet<CapsuleId> = rows.iter().map(|(_, statement)| statement.body().capsule).collect();
        let mut found: Vec<Found> = rows
            .into_iter()
            .take(rows_max.min(FOUND_ROWS_MAX))
            .map(|(_, statement)| self.row(statement.body().capsule, Some(statement.clone()), now_s))
            .collect();
        if let Query::Id(id) = query {
            let capsule = CapsuleId::from_bytes(*id.as_bytes());
            let row = self.row(capsule, None, now_s);
            if found.len() < rows_max && !announced.contains(&capsule) && !row.holders.is_empty() {
                found.push(row);
            }
        }
        found
    }

    fn row(&self, capsule: CapsuleId, announcement: Option<VerifiedAnnouncement>, now_s: u64) -> Found {
        let mut holders: Vec<_> = self.holders(capsule).filter(|held| held.statement.expires_s() >= now_s).collect();
        holders.sort_by_key(|held| (!self.is_known(held.statement.seeder().id()), held.arrival));
        let holders = holders.into_iter().take(HOLDERS_MAX).map(|held| held.statement.clone()).collect();
        Found { capsule, announcement, holders }
    }
}

fn is_exact(query: &Query, name: &str) -> bool {
    match query {
        Query::Owned { name: asked, .. } | Query::Prefix(asked) => asked == name,
        Query::Words(asked) => text::words(name).eq(asked.iter().cloned()),
        Query::Id(_) | Query::Tag(_) => true,
    }
}

fn matches(query: &Query, announcement: &VerifiedAnnouncement) -> bool {
    let body = announcement.body();
    match query {
        Query::Id(id) => {
            body.capsule.as_bytes() == id.as_bytes() || announcement.author().id().as_bytes() == id.as_bytes()
        }
        Query::Owned { author, name } => announcement.author().id() == *author && body.name == *name,
        Query::Prefix(prefix) => body.name.starts_with(prefix.as_str()),
        Query::Words(asked) => {
            let texts = [&body.name, &body.summary].into_iter().chain(&body.tags);
            let words: Vec<String> = texts.flat_map(|text| text::words(text)).collect();
            asked.iter().all(|asked| words.iter().any(|word| word.starts_with(asked.as_str())))
        }
        Query::Tag(tag) => body.tags.contains(tag),
    }
}
