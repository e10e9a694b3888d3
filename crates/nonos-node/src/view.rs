//! Views: what a node shows of itself, as JSON has it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The version of the program.
    pub version: String,
    /// The key at the end of its connections, 64 hexadecimal digits.
    pub peer: String,
    /// The key that it signs with.
    pub key: String,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Where others said that they reach it.
    pub reachable: Vec<String>,
    /// Connected peers.
    pub peers: usize,
    /// Contents that it holds.
    pub holdings: usize,
    /// Announcements that it knows.
    pub announcements: usize,
    /// Inventories that it knows.
    pub inventories: usize,
    /// Sessions in which it serves.
    pub uploads: usize,
    /// Downloads on their way.
    pub downloads: usize,
    /// Since when, in seconds.
    pub uptime_s: u64,
    /// What went wrong of late, oldest first.
    pub warnings: Vec<String>,
}

/// A capsule that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundRow {
    /// Its id.
    pub capsule_id: String,
    /// What its author calls it; nothing when nobody announced it.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its author's key.
    pub author: Option<String>,
    /// What it does.
    pub summary: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How many bytes its package has.
    pub package_bytes: Option<u64>,
    /// The base fee.
    pub fee_base: Option<String>,
    /// The fee of a million cycles.
    pub fee_execution: Option<String>,
    /// The fee of the verifiers.
    pub fee_verification: Option<String>,
    /// Whether it is held here.
    pub held: bool,
    /// Who says to hold it.
    pub holders: Vec<HolderRow>,
}

/// Who says to hold something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HolderRow {
    /// The key that signed the inventory.
    pub key: String,
    /// The peer.
    pub peer: String,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// Whether it is connected.
    pub connected: bool,
    /// Why it is not asked, if it is not.
    pub refused: Option<String>,
    /// Until when it says so, in seconds since 1970-01-01 UTC.
    pub until_s: u64,
}

/// Something that is held and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldingRow {
    /// The capsule's id; of other content, its hash.
    pub id: String,
    /// BLAKE3 of its bytes.
    pub root: String,
    /// How many bytes.
    pub bytes: u64,
    /// What it is called, if it is a capsule.
    pub name: Option<String>,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since_s: u64,
}

/// What became of a request to seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeededView {
    /// What is held now.
    pub holding: HoldingRow,
    /// Whether this node announced it as its author.
    pub announced: bool,
    /// Why not, if not.
    pub note: Option<String>,
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerRow {
    /// The key at the other end.
    pub peer: String,
    /// Keys that it says are its own.
    pub keys: Vec<String>,
    /// From which host.
    pub ip: Option<String>,
    /// Whether this side began.
    pub outbound: bool,
    /// Whether gossip passes messages on to it.
    pub in_mesh: bool,
    /// Its score in gossip, in thousandths of a point: the sum of the next five.
    pub score: i64,
    /// What trust says about its keys.
    pub score_trust: i64,
    /// Good messages that it was the first to send.
    pub score_first: i64,
    /// Bad messages.
    pub score_invalid: i64,
    /// Rules that it broke.
    pub score_broken: i64,
    /// Others on the same host.
    pub score_colocated: i64,
}

/// What the trust book says about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyRow {
    /// Which.
    pub key: String,
    /// In thousandths of a point: the sum of its reasons.
    pub score: i64,
    /// Each reason, in words.
    pub reasons: Vec<String>,
    /// Whether it is dealt with.
    pub allowed: bool,
    /// Why not, if not.
    pub refused: Option<String>,
    /// How much may be outstanding with it, if it is dealt with.
    pub exposure_max: Option<String>,
}

/// What the operator says about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRow {
    /// Which.
    pub key: String,
    /// `refuse`, `trust`, or `limit`.
    pub policy: String,
    /// The limit, if it is one.
    pub limit: Option<String>,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since_s: u64,
}

/// A piece of evidence that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceRow {
    /// Its id.
    pub id: String,
    /// Who signed it against itself.
    pub accused: String,
    /// What that key did.
    pub fault: String,
    /// When it was first seen here, in seconds since 1970-01-01 UTC.
    pub seen_s: u64,
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchView {
    /// What was asked for.
    pub id: String,
    /// The content's hash.
    pub root: String,
    /// `looking`, `fetching`, `checking`, `done`, or `failed`.
    pub state: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How many bytes it has, once a seeder has proven it.
    pub size_bytes: Option<u64>,
    /// How many are verified.
    pub verified_bytes: u64,
    /// How many were on the disk from an earlier try.
    pub resumed_bytes: u64,
    /// How many came twice.
    pub duplicate_bytes: u64,
    /// From the request to the first verified byte.
    pub first_byte_ms: Option<u64>,
    /// From the request until now, or until it was over.
    pub elapsed_ms: u64,
    /// Who delivered.
    pub seeders: Vec<SeederView>,
    /// Evidence that was found on the way, by its ids.
    pub evidence: Vec<String>,
}

/// What one seeder did in a download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeederView {
    /// Its key.
    pub key: String,
    /// Its peer.
    pub peer: String,
    /// `asked`, `released`, `lied`, `broke the protocol`, `silent`, or `gone`.
    pub state: String,
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Default)]
pub struct ImportView {
    /// Capsules and other content that are held now.
    pub holdings: Vec<String>,
    /// Announcements that count.
    pub announcements: usize,
    /// Receipts, each verified.
    pub receipts: usize,
    /// Evidence, each verified.
    pub evidence: usize,
    /// What was known already.
    pub known: usize,
}
