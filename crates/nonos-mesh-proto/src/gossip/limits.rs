//! Limits of gossip. Scores are in thousandths of a point.

/// How many peers a mesh has when it is well.
pub const MESH: usize = 8;
/// With fewer, others are asked to join.
pub const MESH_LOW: usize = 6;
/// With more, some are let go.
pub const MESH_HIGH: usize = 12;
/// So many of the best are kept when some are let go.
pub const MESH_BEST: usize = 4;
/// So many of a mesh this side has connected to: whoever surrounds a peer from outside does not fill its mesh.
pub const MESH_OUTBOUND: usize = 2;
/// How many peers outside the mesh are told which messages there are, at each beat.
pub const LAZY: usize = 8;

/// Time between two beats.
pub const BEAT_MS: u64 = 1_000;
/// At each so many beats a mesh that does badly is mended.
pub const BEATS_PER_MENDING: u64 = 60;
/// For so long after a message came first, others pass it on too.
pub const NEWS_MS: u64 = 2_000;
/// With so many messages between two mendings, a mesh peer that passed on less than a `NEWS_PART`th gives way.
pub const NEWS_MIN: u32 = 16;
/// See there.
pub const NEWS_PART: u32 = 16;
/// For how many beats others are told of a message.
pub const BEATS_TOLD: u64 = 3;
/// How long a peer that left, or was let go, is not asked back.
pub const BACKOFF_MS: u64 = 60_000;
/// The longest time that a peer may ask for.
pub const BACKOFF_MS_MAX: u64 = 3_600_000;

/// How long a message is kept for others.
pub const CACHE_MS: u64 = 600_000;
/// How many bytes of messages are kept.
pub const CACHE_BYTES_MAX: usize = 64 << 20;
/// How long the name of a message is known.
pub const SEEN_MS: u64 = 1_800_000;
/// How many names are known.
pub const SEEN_MAX: usize = 100_000;

/// Most bytes of a receipt that is gossiped.
pub const RECEIPT_BYTES_MAX: usize = 2 << 20;
/// Most names in a frame.
pub const IDS_MAX: usize = 512;
/// Most names that are asked of a peer between two beats.
pub const ASKED_PER_BEAT_MAX: usize = 512;
/// Most frames with names that a peer may send between two beats.
pub const TOLD_PER_BEAT_MAX: u32 = 10;
/// Most names that one peer may ask for between two beats: two beats of the one who asks may fall between two of the one who
/// answers, and a link may delay the first of them by a beat.
pub const WANTED_PER_BEAT_MAX: usize = 4 * ASKED_PER_BEAT_MAX;
/// How often one message is sent to one peer that asks for it.
pub const SERVED_MAX: u8 = 3;
/// How many bytes of messages are sent at once to one peer that asks for them: all that can be kept.
pub const SERVED_BYTES_BURST: u64 = CACHE_BYTES_MAX as u64;
/// How many more each second.
pub const SERVED_BYTES_PER_S: u64 = BYTES_PER_S;
/// How long a peer has for sending what it said that it has, and then for each message more.
pub const PROMISE_MS: u64 = 10_000;
/// Most messages of one peer that are being checked.
pub const CHECKING_PER_PEER_MAX: u32 = 64;
/// Most messages that are being checked.
pub const CHECKING_MAX: usize = 1_024;
/// Most bytes of them.
pub const CHECKING_BYTES_MAX: usize = 128 << 20;

/// How many bytes a peer may send at once.
pub const BYTES_BURST: u64 = 16 << 20;
/// How many more each second.
pub const BYTES_PER_S: u64 = 4 << 20;
/// How many frames a peer may send at once.
pub const FRAMES_BURST: u64 = 1_024;
/// How many more each second.
pub const FRAMES_PER_S: u64 = 128;

/// How many names of messages that a peer sent are remembered: sending one of them again is a broken rule.
pub const SENT_MAX: usize = 1_024;
/// For how long.
pub const SENT_MS: u64 = CACHE_MS;
/// Most peers that are not asked back.
pub const BACKOFF_PEERS_MAX: usize = 4_096;
/// Most peers whose score is kept after they have gone.
pub const GONE_MAX: usize = 4_096;
/// For how long.
pub const GONE_MS: u64 = 600_000;

/// Below: nothing is asked of a peer, and it is told nothing.
pub const SCORE_GOSSIP: i64 = -30_000;
/// Below: own messages are not sent to it.
pub const SCORE_PUBLISH: i64 = -60_000;
/// Below: nobody listens to it any more, and the connection ends.
pub const SCORE_GRAYLIST: i64 = -100_000;
/// A mesh whose middle score is below this is mended.
pub const SCORE_MENDING: i64 = 1_000;

/// Most that a peer gains by being the first with good messages.
pub const FIRST_MAX: i64 = 20_000;
/// Most that trust gives.
pub const APPLICATION_MAX: i64 = 20_000;
/// Broken rules that cost nothing, in thousandths: slow links break promises.
pub const BROKEN_FREE: i64 = 6_000;
/// Peers of one host that cost nothing.
pub const COLOCATED_FREE: i64 = 4;

const _: () = assert!(MESH_OUTBOUND < MESH_LOW && MESH_LOW < MESH && MESH < MESH_HIGH);
const _: () = assert!(MESH_BEST + MESH_OUTBOUND <= MESH && MESH_OUTBOUND <= MESH / 2);
const _: () = assert!(CHECKING_PER_PEER_MAX as usize <= IDS_MAX, "what is asked of a peer at once fits in a frame");
const _: () = assert!(SENT_MS <= SEEN_MS - CACHE_MS, "who has forgotten a message and relays it again repeats nothing");
const _: () = assert!(CACHE_MS < SEEN_MS, "what is still kept is still known");
const _: () = assert!(SCORE_GRAYLIST < SCORE_PUBLISH && SCORE_PUBLISH < SCORE_GOSSIP && SCORE_GOSSIP < 0);
const _: () = assert!(RECEIPT_BYTES_MAX as u64 <= BYTES_BURST && RECEIPT_BYTES_MAX <= CHECKING_BYTES_MAX);
