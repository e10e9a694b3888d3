//! Recipe: how to build the program again, on another machine, by another user.
//!
//! Either the words for a Cargo build, or that the program was built by something else. A recipe names tools and
//! digests; it never names a place on the author's disk. Spec: `docs/spec/10-capsule.md`, section "Recipe".

mod digest;
mod text;

pub use digest::{SOURCE_PATH_BYTES_MAX, SourceDigestError, source_digest};
pub use text::{RECIPE_TEXT_BYTES_MAX, RecipeTextError};

use crate::section::RECIPE_BYTES_MAX;
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
};
use text::check_text;
use thiserror::Error;

/// Most flags, profile settings, features or tools.
pub const RECIPE_ITEMS_MAX: usize = 32;

const TEXT_BYTES_WORST: usize = 4 + RECIPE_TEXT_BYTES_MAX;

// The largest recipe that keeps the rules fits its section: six texts, three lists (one of pairs), three digests.
const _: () =
    assert!(1 + 6 * TEXT_BYTES_WORST + 3 * 4 + 4 * RECIPE_ITEMS_MAX * TEXT_BYTES_WORST + 2 * 33 <= RECIPE_BYTES_MAX);

const KIND_PREBUILT: u8 = 0;
const KIND_CARGO: u8 = 1;

/// How the program was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// By something else than Cargo; nobody can be asked to build it again from this.
    Prebuilt(PrebuiltRecipe),
    /// By Cargo.
    Cargo(Box<CargoRecipe>),
}

/// What is known of a program that came as an ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrebuiltRecipe {
    /// What its tools call themselves, ascending, each once.
    pub tools: Vec<String>,
    /// The digest of its sources, when the author gives it; see [`source_digest`].
    pub source_digest: Option<Hash32>,
}

/// What Cargo needs to build the program again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CargoRecipe {
    /// What `rustc --version` printed.
    pub rustc: String,
    /// What `cargo --version` printed.
    pub cargo: String,
    /// What the linker's `--version` printed.
    pub linker: String,
    /// The target triple.
    pub target: String,
    /// The package's binary.
    pub binary: String,
    /// Flags for rustc, in their order.
    pub flags: Vec<String>,
    /// Features of the package, ascending, each once.
    pub features: Vec<String>,
    /// Settings of the profile, names ascending, each once.
    pub profile: Vec<(String, String)>,
    /// The digest of the sources; see [`source_digest`].
    pub source_digest: Hash32,
    /// BLAKE3 of the part of `Cargo.lock` that the program uses; see `docs/spec/16-recipe.md`.
    pub cargo_lock_digest: Hash32,
    /// The version of the SDK that the program links against; empty where it uses none.
    pub sdk_version: String,
}

impl Recipe {
    /// Checks the rules that [`Recipe::decode`] checks.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub fn check(&self) -> Result<(), RecipeError> {
        match self {
            Self::Prebuilt(recipe) => {
                check_count("tools", recipe.tools.len())?;
                check_texts("tools", &recipe.tools)?;
                check_ascending("tools", recipe.tools.iter())
            }
            Self::Cargo(recipe) => recipe.check(),
        }
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Prebuilt(recipe) => {
                writer.u8(KIND_PREBUILT);
                write_texts(&mut writer, &recipe.tools);
                writer.bool(recipe.source_digest.is_some());
                if let Some(digest) = &recipe.source_digest {
                    writer.raw(digest.as_bytes());
                }
            }
            Self::Cargo(recipe) => {
                writer.u8(KIND_CARGO);
                recipe.write(&mut writer);
            }
        }
        writer.finish()
    }

    /// From its canonical bytes.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecipeError> {
        if bytes.len() > RECIPE_BYTES_MAX {
            return Err(RecipeError::TooLarge { got_bytes: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let recipe = match reader.u8("recipe kind")? {
            KIND_PREBUILT => {
                let tools = read_texts(&mut reader, "tools")?;
                let has_digest = reader.bool("has source digest")?;
                let source_digest = if has_digest { Some(read_hash(&mut reader, "source digest")?) } else { None };
                Self::Prebuilt(PrebuiltRecipe { tools, source_digest })
            }
            KIND_CARGO => Self::Cargo(Box::new(CargoRecipe::read(&mut reader)?)),
            got => return Err(RecipeError::UnknownKind { got }),
        };
        reader.finish()?;
        recipe.check()?;
        Ok(recipe)
    }
}

impl CargoRecipe {
    fn check(&self) -> Result<(), RecipeError> {
        let texts = [
            ("rustc", &self.rustc),
            ("cargo", &self.cargo),
            ("linker", &self.linker),
            ("target", &self.target),
            ("binary", &self.binary),
        ];
        for (field, text) in texts {
            check_text(text).map_err(|why| RecipeError::Text { field, why })?;
        }
        if !self.sdk_version.is_empty() {
            check_text(&self.sdk_version).map_err(|why| RecipeError::Text { field: "sdk version", why })?;
        }
        check_count("flags", self.flags.len())?;
        check_texts("flags", &self.flags)?;
        check_count("features", self.features.len())?;
        check_texts("features", &self.features)?;
        check_ascending("features", self.features.iter())?;
        check_count("profile", self.profile.len())?;
        for (name, value) in &self.profile {
            check_text(name).map_err(|why| RecipeError::Text { field: "profile", why })?;
            check_text(value).map_err(|why| RecipeError::Text { field: "profile", why })?;
        }
        check_ascending("profile", self.profile.iter().map(|(name, _)| name))
    }

    fn write(&self, writer: &mut Writer) {
        for text in [&self.rustc, &self.cargo, &self.linker, &self.target, &self.binary] {
            writer.str(text);
        }
        write_texts(writer, &self.flags);
        write_texts(writer, &self.features);
        writer.count(self.profile.len());
        for (name, value) in &self.profile {
            writer.str(name);
            writer.str(value);
        }
        writer.raw(self.source_digest.as_bytes());
        writer.raw(self.cargo_lock_digest.as_bytes());
        writer.str(&self.sdk_version);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, RecipeError> {
        // A struct's fields are read in the order in which they stand here.
        Ok(Self {
            rustc: reader.string("rustc", RECIPE_TEXT_BYTES_MAX)?,
            cargo: reader.string("cargo", RECIPE_TEXT_BYTES_MAX)?,
            linker: reader.string("linker", RECIPE_TEXT_BYTES_MAX)?,
            target: reader.string("target", RECIPE_TEXT_BYTES_MAX)?,
            binary: reader.string("binary", RECIPE_TEXT_BYTES_MAX)?,
            flags: read_texts(reader, "flags")?,
            features: read_texts(reader, "features")?,
            profile: read_pairs(reader, "profile")?,
            source_digest: read_hash(reader, "source digest")?,
            cargo_lock_digest: read_hash(reader, "cargo lock digest")?,
            sdk_version: reader.string("sdk version", RECIPE_TEXT_BYTES_MAX)?,
        })
    }
}

fn write_texts(writer: &mut Writer, texts: &[String]) {
    writer.count(texts.len());
    texts.iter().for_each(|text| writer.str(text));
}

fn read_texts(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<String>, CodecError> {
    let count = reader.count(field, RECIPE_ITEMS_MAX, 4)?;
    (0..count).map(|_| reader.string(field, RECIPE_TEXT_BYTES_MAX)).collect()
}

fn read_pairs(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<(String, String)>, CodecError> {
    let count = reader.count(field, RECIPE_ITEMS_MAX, 8)?;
    let text = |reader: &mut Reader<'_>| reader.string(field, RECIPE_TEXT_BYTES_MAX);
    (0..count).map(|_| Ok((text(reader)?, text(reader)?))).collect()
}

fn read_hash(reader: &mut Reader<'_>, field: &'static str) -> Result<Hash32, CodecError> {
    reader.array(field).map(Hash32::from_bytes)
}

fn check_count(field: &'static str, got: usize) -> Result<(), RecipeError> {
    if got > RECIPE_ITEMS_MAX { Err(RecipeError::TooMany { field, got }) } else { Ok(()) }
}

fn check_texts(field: &'static str, texts: &[String]) -> Result<(), RecipeError> {
    texts.iter().try_for_each(|text| check_text(text).map_err(|why| RecipeError::Text { field, why }))
}

fn check_ascending<'a>(
    field: &'static str,
    items: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), RecipeError> {
    match items.clone().zip(items.skip(1)).find(|(item, next)| item >= next) {
        Some((_, item)) => Err(RecipeError::Order { field, item: item.clone() }),
        None => Ok(()),
    }
}

/// Why bytes or words are not a recipe.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipeError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Above the limit.
    #[error("the recipe has {got_bytes} bytes, at most {RECIPE_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many it has.
        got_bytes: usize,
    },
    /// A kind that this version does not have.
    #[error("recipe kind {got} is unknown, known are 0 (prebuilt) and 1 (cargo): use a newer program")]
    UnknownKind {
        /// Its number.
        got: u8,
    },
    /// A list above its limit.
    #[error("the recipe's `{field}` has {got} items, at most {RECIPE_ITEMS_MAX} are allowed")]
    TooMany {
        /// Which list.
        field: &'static str,
        /// How many it has.
        got: usize,
    },
    /// A text that a recipe may not hold.
    #[error("the recipe's `{field}` {why}")]
    Text {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: RecipeTextError,
    },
    /// A list that must ascend does not.
    #[error("`{item}` in the recipe's `{field}` does not stand after the item before it: items ascend, each once")]
    Order {
        /// Which list.
        field: &'static str,
        /// The second of the two.
        item: String,
    },
}

#[cfg(test)]
mod tests;
