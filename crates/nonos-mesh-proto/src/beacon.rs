//! Beacon: who made which capsule, and who holds it.
//!
//! In: signed bytes from peers, what this node announces and holds, questions, the time. Out: a verdict for each message,
//! what to publish and to whom to send, answers. An author signs an [`Announcement`], a seeder an [`Inventory`]; both
//! expire, and of two with one slot the higher sequence counts. A name belongs to a key (`author/name`), so nobody can
//! take another's. The [`Index`] is bounded, and a flood of new keys displaces nobody who brought less.
//!
//! Never: sockets, a clock, randomness, a word that its maker did not sign.
//!
//! Spec: `docs/spec/60-beacon.md`; the comments carry the numbers of its rules.

mod announcement;
mod equivocation;
mod index;
mod inventory;
mod machine;
mod own;
mod query;
mod search;
mod shelf;
mod statement;
mod text;

pub use announcement::{
    ANNOUNCEMENT_BYTES_MAX, ANNOUNCEMENT_LIFETIME_S_MAX, ANNOUNCEMENT_MAGIC, ANNOUNCEMENT_VERSION, AnnounceError,
    Announcement, AnnouncementBody, AnnouncementError, CapsuleMismatch, FeeSummary, SUMMARY_BYTES_MAX,
    VerifiedAnnouncement, fuzz_announcement,
};
pub use equivocation::{Equivocation, EquivocationError};
pub use index::{INDEX_LIMITS, Index, IndexLimits, InsertError, Inserted, REVOCATIONS_MAX};
pub use inventory::{
    ADDRESS_BYTES_MAX, ADDRESSES_MAX, INVENTORY_BYTES_MAX, INVENTORY_CAPSULES_MAX, INVENTORY_LIFETIME_S_MAX,
    INVENTORY_MAGIC, INVENTORY_VERSION, Inventory, InventoryBody, InventoryError, VerifiedInventory, fuzz_inventory,
};
pub use machine::{
    ANNOUNCE_LIFETIME_S, AnswerRefused, Beacon, INVENTORY_DELAY_S, INVENTORY_EVERY_S, INVENTORY_FIRST_S,
    INVENTORY_LIFETIME_S, Output, PUBLISH_EVERY_S, QUERIES_OPEN_MAX, QUERIES_PER_WINDOW_MAX, QUERY_TIMEOUT_S,
    QUERY_WINDOW_S, QueryRefused, RELAY_AGAIN_S, Topic, Verdict,
};
pub use own::{AskError, HoldingsError};
pub use query::{
    ANSWER_BYTES_MAX, ANSWER_MAGIC, ANSWER_STATEMENTS_MAX, Answer, AnswerError, QUERY_BYTES_MAX, QUERY_MAGIC,
    QUERY_VERSION, Query, QueryError, QueryMessage, QueryTextError, WORD_BYTES_MAX, WORDS_MAX, fuzz_answer, fuzz_query,
};
pub use search::{FOUND_ROWS_MAX, Found, HOLDERS_MAX};
pub use shelf::Source;
pub use statement::{Statement, StatementError};
pub use text::TextError;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
