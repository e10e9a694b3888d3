//! Query and answer: asking one peer what its index holds.
//!
//! An answer carries the statements themselves, as their makers signed them: who answers can leave something out, and
//! can make nothing up. Spec: `docs/spec/60-beacon.md`, section "Query and answer".

use super::{
    announcement::{ANNOUNCEMENT_BYTES_MAX, Announcement, AnnouncementError},
    inventory::{INVENTORY_BYTES_MAX, Inventory, InventoryError},
    statement::Statement,
    text::{self, TextError},
};
use nonos_capsule::{NAME_BYTES_MAX, TAG_BYTES_MAX};
use nonos_keys::{PublicKey, Signature};
use nonos_types::{
    Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
};
use std::str::FromStr;
use thiserror::Error;

/// First bytes of a query.
pub const QUERY_MAGIC: [u8; 8] = *b"NONOSQRY";
/// First bytes of an answer.
pub const ANSWER_MAGIC: [u8; 8] = *b"NONOSANS";
/// Version of both formats.
pub const QUERY_VERSION: u16 = 1;
/// Most words of a query.
pub const WORDS_MAX: usize = 8;
/// Most bytes of a word.
pub const WORD_BYTES_MAX: usize = 32;
/// Most bytes of a query.
pub const QUERY_BYTES_MAX: usize = 8 + 2 + 8 + 1 + 4 + WORDS_MAX * (4 + WORD_BYTES_MAX);
/// Most announcements, and most inventories, in an answer.
pub const ANSWER_STATEMENTS_MAX: usize = 16;
/// Most bytes of an answer.
pub const ANSWER_BYTES_MAX: usize =
    8 + 2 + 8 + 1 + 8 + ANSWER_STATEMENTS_MAX * (ANNOUNCEMENT_BYTES_MAX + INVENTORY_BYTES_MAX);

const STATEMENT_BYTES_MIN: usize = PublicKey::BYTES + Signature::BYTES;
const _: () = assert!(QUERY_BYTES_MAX >= 8 + 2 + 8 + 1 + 32 + 4 + NAME_BYTES_MAX);

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A capsule, or all of an author, by id.
    Id(Hash32),
    /// `author/name`.
    Owned {
        /// The author's key.
        author: KeyId,
        /// The name.
        name: String,
    },
    /// Names that begin so; the empty prefix finds all.
    Prefix(String),
    /// Each of these begins a word of the name, the tags or the description.
    Words(Vec<String>),
    /// A tag.
    Tag(String),
}

impl Query {
    /// The rules that need nothing but the query.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        match self {
            Self::Id(_) => {}
            Self::Owned { name, .. } => text::check_name("name", name, NAME_BYTES_MAX)?,
            Self::Prefix(prefix) => text::check_name_prefix("prefix", prefix, NAME_BYTES_MAX)?,
            Self::Tag(tag) => text::check_name("tag", tag, TAG_BYTES_MAX)?,
            Self::Words(words) => {
                if words.is_empty() || words.len() > WORDS_MAX {
                    return Err(QueryError::Words { got: words.len() });
                }
                words.iter().try_for_each(|word| text::check_word(word, WORD_BYTES_MAX))?;
            }
        }
        Ok(())
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Id(id) => {
                w.u8(0);
                w.raw(id.as_bytes());
            }
            Self::Owned { author, name } => {
                w.u8(1);
                w.raw(author.as_bytes());
                w.str(name);
            }
            Self::Prefix(prefix) => {
                w.u8(2);
                w.str(prefix);
            }
            Self::Words(words) => {
                w.u8(3);
                w.count(words.len());
                words.iter().for_each(|word| w.str(word));
            }
            Self::Tag(tag) => {
                w.u8(4);
                w.str(tag);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, QueryError> {
        let query = match r.u8("kind")? {
            0 => Self::Id(Hash32::from_bytes(r.array("id")?)),
            1 => Self::Owned { author: KeyId::from_bytes(r.array("author")?), name: r.string("name", NAME_BYTES_MAX)? },
            2 => Self::Prefix(r.string("prefix", NAME_BYTES_MAX)?),
            3 => {
                let count = r.count("words", WORDS_MAX, 4)?;
                Self::Words((0..count).map(|_| r.string("word", WORD_BYTES_MAX)).collect::<Result<_, _>>()?)
            }
            4 => Self::Tag(r.string("tag", TAG_BYTES_MAX)?),
            got => return Err(QueryError::Kind { got }),
        };
        query.check()?;
        Ok(query)
    }
}

impl FromStr for Query {
    type Err = QueryTextError;

    /// What a person types: an id; `<author's id>/name`; `tag:word`; `prefix*`; or words.
    fn from_str(typed: &str) -> Result<Self, QueryTextError> {
        let typed = typed.trim();
        let query = if let Some(tag) = typed.strip_prefix("tag:") {
            Self::Tag(tag.to_owned())
        } else if let Some((author, name)) = typed.split_once('/') {
            let author = author.parse().map_err(|_| QueryTextError::Author { got: author.to_owned() })?;
            Self::Owned { author, name: name.to_owned() }
        } else if let Some(prefix) = typed.strip_suffix('*') {
            Self::Prefix(prefix.to_owned())
        } else if let Ok(id) = typed.parse() {
            Self::Id(id)
        } else {
            Self::Words(text::words(typed).collect())
        };
        query.check()?;
        Ok(query)
    }
}

/// A question to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryMessage {
    /// Chosen by the one who asks; comes back in the answer.
    pub request: u64,
    /// What is looked for.
    pub query: Query,
}

impl QueryMessage {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&QUERY_MAGIC);
        w.u16(QUERY_VERSION);
        w.u64(self.request);
        self.query.write(&mut w);
        w.finish()
    }

    /// Reads what [`QueryMessage::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QueryError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", QUERY_MAGIC.len())? != QUERY_MAGIC {
            return Err(QueryError::Magic);
        }
        let version = r.u16("version")?;
        if version != QUERY_VERSION {
            return Err(QueryError::Version { got: version });
        }
        let message = Self { request: r.u64("request")?, query: Query::read(&mut r)? };
        r.finish()?;
        Ok(message)
    }
}

/// What a peer's index holds. Nothing in it was verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of the query.
    pub request: u64,
    /// Whether there was more than fits.
    pub more: bool,
    /// Announcements, ids ascending.
    pub announcements: Vec<Announcement>,
    /// Inventories, ids ascending.
    pub inventories: Vec<Inventory>,
}

impl Answer {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&ANSWER_MAGIC);
        w.u16(QUERY_VERSION);
        w.u64(self.request);
        w.bool(self.more);
        w.count(self.announcements.len());
        self.announcements.iter().for_each(|announcement| announcement.write(&mut w));
        w.count(self.inventories.len());
        self.inventories.iter().for_each(|inventory| inventory.write(&mut w));
        w.finish()
    }

    /// Reads what [`Answer::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AnswerError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", ANSWER_MAGIC.len())? != ANSWER_MAGIC {
            return Err(AnswerError::Magic);
        }
        let version = r.u16("version")?;
        if version != QUERY_VERSION {
            return Err(AnswerError::Version { got: version });
        }
        let (request, more) = (r.u64("request")?, r.bool("more")?);
        let count = r.count("announcements", ANSWER_STATEMENTS_MAX, STATEMENT_BYTES_MIN)?;
        let announcements = (0..count).map(|_| Announcement::read(&mut r)).collect::<Result<Vec<_>, _>>()?;
        let count = r.count("inventories", ANSWER_STATEMENTS_MAX, STATEMENT_BYTES_MIN)?;
        let inventories = (0..count).map(|_| Inventory::read(&mut r)).collect::<Result<Vec<_>, _>>()?;
        r.finish()?;
        check_ascending(&announcements)?;
        check_ascending(&inventories)?;
        Ok(Self { request, more, announcements, inventories })
    }
}

fn check_ascending<S: Statement>(statements: &[S]) -> Result<(), AnswerError> {
    let mut pairs = statements.iter().zip(statements.iter().skip(1));
    match pairs.find(|(one, next)| one.id() >= next.id()) {
        Some((_, next)) => Err(AnswerError::Order { id: next.id() }),
        None => Ok(()),
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_query(bytes: &[u8]) -> bool {
    let Ok(message) = QueryMessage::from_bytes(bytes) else { return false };
    assert!(message.to_bytes() == bytes, "a query has one encoding");
    assert!(bytes.len() <= QUERY_BYTES_MAX, "a query is bounded");
    true
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_answer(bytes: &[u8]) -> bool {
    let Ok(answer) = Answer::from_bytes(bytes) else { return false };
    assert!(answer.to_bytes() == bytes, "an answer has one encoding");
    assert!(bytes.len() <= ANSWER_BYTES_MAX, "an answer is bounded");
    true
}

/// Why bytes are not a query.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// Not a query at all.
    #[error("not a query: the first eight bytes are not NONOSQRY")]
    Magic,
    /// Another version of the format.
    #[error("query format version {got}, this program reads version {QUERY_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// A kind that does not exist.
    #[error("kind {got} of a query does not exist")]
    Kind {
        /// Its number.
        got: u8,
    },
    /// No words, or too many.
    #[error("{got} words, a query has 1 to {WORDS_MAX}")]
    Words {
        /// How many.
        got: usize,
    },
    /// A text that breaks its rule.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why what a person typed is not a query.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryTextError {
    /// What stands before the `/` is no key id.
    #[error("{got:?} is no author: before the `/` stands a key id of 64 hexadecimal digits")]
    Author {
        /// What stands there.
        got: String,
    },
    /// It breaks a rule of queries.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Why bytes are not an answer.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not an answer at all.
    #[error("not an answer: the first eight bytes are not NONOSANS")]
    Magic,
    /// Another version of the format.
    #[error("answer format version {got}, this program reads version {QUERY_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// Statements out of order, or one twice.
    #[error("the statement {id} is out of order or stands there twice: statements stand in ascending order of ids")]
    Order {
        /// Which.
        id: Hash32,
    },
    /// One of the announcements.
    #[error("announcement: {0}")]
    Announcement(#[from] AnnouncementError),
    /// One of the inventories.
    #[error("inventory: {0}")]
    Inventory(#[from] InventoryError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
