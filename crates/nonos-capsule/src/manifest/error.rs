//! Why a manifest is refused: one variant for each defect, each with the TOML key that it is about.

use super::{
    CPU_MILLICORES_MAX, FUEL_CYCLES_MAX, MANIFEST_BYTES_MAX, MANIFEST_TOML_BYTES_MAX, MANIFEST_VERSION,
    VERSION_BYTES_MAX,
};
use nonos_types::{AmountError, CapsuleId, Hash32, ParseAmountError, ParseIdError, codec::CodecError};
use thiserror::Error;

/// Why a manifest is refused.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "a field's name and its variant's message say what it is")]
pub enum ManifestError {
    // The text as a whole.
    /// More text than a manifest may have.
    #[error("the manifest has {got_bytes} bytes, at most {MANIFEST_TOML_BYTES_MAX} are allowed: shorten it")]
    TomlTooLarge { got_bytes: usize },
    /// Bytes that are not UTF-8.
    #[error("byte {at} of the manifest is not UTF-8: save the file as UTF-8")]
    NotUtf8 { at: usize },
    /// Not TOML.
    #[error("line {line}, column {column} is not TOML: {why}")]
    Syntax { line: usize, column: usize, why: String },
    /// A key that no manifest has.
    #[error("line {line}: `{key}` is not a key of a manifest{}", hint(nearest.as_deref()))]
    UnknownKey { line: usize, key: String, nearest: Option<String> },
    /// A value of another type.
    #[error("line {line}: `{key}` has a value of the wrong type: {why}")]
    WrongType { line: usize, key: String, why: String },
    /// A key that every manifest has.
    #[error("`{key}` is missing: add it, for example {}", example(key))]
    Missing { key: &'static str },

    // Texts and names.
    /// Not a name.
    #[error("`{key}` is {got:?}: write 1 to {max_bytes} lower-case letters, digits and hyphens")]
    Name { key: &'static str, got: String, max_bytes: usize },
    /// Not a semantic version.
    #[error("`{key}` is {got:?}, not a semantic version ({why}): write three numbers as in \"1.0.3\"")]
    Version { key: String, got: String, why: String },
    /// A version above its limit.
    #[error("`{key}` has {got_bytes} bytes, at most {VERSION_BYTES_MAX} are allowed: shorten what follows the numbers")]
    VersionTooLong { key: String, got_bytes: usize },
    /// An empty text.
    #[error("`{key}` is empty: fill it in, or leave the key out where it is optional")]
    TextEmpty { key: &'static str },
    /// A text above its limit.
    #[error("`{key}` has {got_bytes} bytes, at most {max_bytes} are allowed: shorten it")]
    TextTooLong { key: &'static str, got_bytes: usize, max_bytes: usize },
    /// A character that a text must not have.
    #[error("`{key}` holds the character {got:?}, which is not allowed there: take it out")]
    TextCharacter { key: &'static str, got: char },
    /// White space around a text.
    #[error("`{key}` starts or ends with white space: take it away")]
    TextMargin { key: &'static str },
    /// Not a link.
    #[error("`meta.homepage` is {got:?}: write a link that starts with https:// or http:// and has no spaces")]
    Homepage { got: String },

    // Lists.
    /// More items than a list may have.
    #[error("`{key}` has {got} items, at most {max} are allowed: take some out")]
    TooMany { key: &'static str, got: usize, max: usize },
    /// The same item twice.
    #[error("`{key}` has {item} twice: take one out")]
    Duplicate { key: &'static str, item: String },
    /// A list in the binary form that is not sorted.
    #[error("`{key}` is not in ascending order at {item}: build the capsule again with a correct packer")]
    NotAscending { key: &'static str, item: String },

    // Grants and resources.
    /// Not a syscall.
    #[error("`exec.grants` has {got:?}, which is no syscall: use some of {known}")]
    UnknownGrant { got: String, known: String },
    /// Bits that are no syscalls, or grants without `halt`.
    #[error("`exec.grants` is {bits:#06x}: it has bits of no syscall or lacks `halt`; a newer nonos may know them")]
    GrantBits { bits: u16 },
    /// A grant that reads the mesh without the net.
    #[error("`exec.grants` has \"content\" but `resources.net` is \"none\": write net = \"mesh-only\"")]
    GrantNeedsNet,
    /// Not a net.
    #[error("`resources.net` is {got:?}: a capsule has no network of its own, write \"none\" or \"mesh-only\"")]
    UnknownNet { got: String },
    /// Not a rung.
    #[error("`proof.rung` is {got:?}: write \"re-execute\", \"dispute\", \"stark\" or \"folded\"")]
    UnknownRung { got: String },
    /// A byte in the binary form that stands for nothing.
    #[error("`{key}` is the unknown byte {got}: a newer nonos may know it, otherwise build the capsule again")]
    UnknownByte { key: &'static str, got: u8 },
    /// Not a processor share.
    #[error("`resources.cpu` is {got:?}: write millicores as in \"500m\", or whole cores as in \"2\"")]
    CpuText { got: String },
    /// A processor share outside its range.
    #[error("`resources.cpu` is {got_millicores} millicores: write 1m to {CPU_MILLICORES_MAX}m")]
    CpuRange { got_millicores: u64 },
    /// Not a memory size.
    #[error("`resources.mem` is {got:?}: write a whole number and KiB, MiB or GiB, as in \"256MiB\"")]
    MemoryText { got: String },
    /// A memory size outside its range.
    #[error("`resources.mem` is {got_bytes} bytes: write 64KiB to 1GiB")]
    MemoryRange { got_bytes: u64 },
    /// A memory size that is not whole pages.
    #[error("`resources.mem` is {got_bytes} bytes: it must be a multiple of 1KiB")]
    MemoryUnit { got_bytes: u32 },
    /// Fuel outside its range.
    #[error("`resources.fuel` is {got_cycles} cycles: write 1 to {FUEL_CYCLES_MAX}")]
    FuelRange { got_cycles: u64 },

    // Fees.
    /// Not an amount.
    #[error("`{key}`: {source}")]
    AmountText { key: &'static str, source: ParseAmountError },
    /// An amount in the binary form above the largest.
    #[error("`{key}`: {source}")]
    AmountRange { key: &'static str, source: AmountError },
    /// Fees that no amount can hold.
    #[error(
        "`fees`: base, verification and the execution price for all of `resources.fuel` sum to more than \
         10,000,000,000 NONOS: lower a fee or the fuel"
    )]
    FeeCeiling,
    /// A share above the whole.
    #[error("`{key}` is {got} basis points: write 0 to 10000, where 10000 is all of it")]
    Share { key: String, got: u64 },
    /// Shares that are less or more than the whole.
    #[error("`fees.split` sums to {got} basis points: the four shares must sum to 10000")]
    SplitSum { got: u32 },
    /// `share_… = true` with a share of zero.
    #[error("`{flag}` is true but `{share}` is 0: give them a share, or write {flag} = false")]
    SharePromised { flag: &'static str, share: &'static str },
    /// `share_… = false` with a share.
    #[error("`{flag}` is false but `{share}` is {got} basis points: write 0 there, or {flag} = true")]
    ShareDenied { flag: &'static str, share: &'static str, got: u16 },
    /// A royalty to something that is not a dependency.
    #[error("`royalties.{name}` is no dependency: add `dependencies.{name}`, or take the royalty out")]
    RoyaltyUnknown { name: String },
    /// Royalties above what the author has to give.
    #[error(
        "`royalties` sum to {got} basis points, the author's share is only {author}: lower them, \
         or write all of `fees.split`"
    )]
    RoyaltiesAboveAuthor { got: u64, author: u16 },
    /// Royalties that are not what the split says.
    #[error("`royalties` sum to {got} basis points, `fees.split.dependencies` is {dependencies}: make them equal")]
    RoyaltiesSum { got: u32, dependencies: u16 },

    // Dependencies.
    /// Neither id nor path.
    #[error("`dependencies.{name}` has neither `id` nor `path`: write the capsule's id, or where its .mod file is")]
    DependencySource { name: String },
    /// Not a capsule id.
    #[error("`dependencies.{name}.id`: {source}")]
    DependencyId { name: String, source: ParseIdError },
    /// An id without its version.
    #[error("`dependencies.{name}.version` is missing: write the version that the capsule with this id states")]
    DependencyVersion { name: String },
    /// A path that was not resolved.
    #[error(
        "`dependencies.{name}.path` {path:?} was not resolved: only a build can read it, or write `id` and `version`"
    )]
    DependencyUnresolved { name: String, path: String },
    /// The file is another capsule than the id says.
    #[error("`dependencies.{name}.id` is {stated}, but the file at its path is {found}: correct the one that is wrong")]
    DependencyIdDiffers { name: String, stated: CapsuleId, found: CapsuleId },
    /// The file has another version.
    #[error(
        "`dependencies.{name}.version` is {stated}, but the file at its path has {found}: correct the one that is wrong"
    )]
    DependencyVersionDiffers { name: String, stated: String, found: String },
    /// One capsule under two names.
    #[error("`dependencies.{name}` is the capsule {id}, which another dependency already names: keep one")]
    DependencyTwice { name: String, id: CapsuleId },

    // The program's hash, licence, privacy, signers.
    /// Not a hash.
    #[error(
        "`exec.hash` is {got:?}: write \"sha256:\" and 64 lower-case hexadecimal digits, \
         or \"sha256:...\" to have the build fill it in"
    )]
    HashText { got: String },
    /// The program has another hash than the author stated.
    #[error(
        "`exec.hash` is {stated}, but the program section has {found}: write \"sha256:...\" to take the new one, \
         or find out why the program changed"
    )]
    HashDiffers { stated: Hash32, found: Hash32 },
    /// Not an SPDX expression of known licences.
    #[error("`license.spdx` is {got:?}: {why}; write an SPDX expression such as \"MIT OR Apache-2.0\"")]
    License { got: String, why: String },
    /// A closed capsule.
    #[error("`privacy.closed` is true: this version packs no closed capsules, write closed = false")]
    Closed,
    /// Not a key id.
    #[error("`signers.keys[{index}]`: {source}; `nonos keygen` prints the id of a key")]
    SignerId { index: usize, source: ParseIdError },
    /// A threshold that the keys cannot meet, or none.
    #[error("`signers.threshold` is {got} with {keys} keys: write 1 to the number of keys, and 0 only without keys")]
    Threshold { got: u64, keys: usize },

    // The binary form as a whole.
    /// More bytes than a manifest may have.
    #[error("the manifest has {got_bytes} bytes, at most {MANIFEST_BYTES_MAX} are allowed: build the capsule again")]
    BinaryTooLarge { got_bytes: usize },
    /// Another version of the format.
    #[error("the manifest has format version {got}, this nonos reads version {MANIFEST_VERSION}: update nonos")]
    FormatVersion { got: u16 },
    /// The bytes do not decode.
    #[error("the manifest does not decode ({0}): get the capsule again")]
    Codec(#[from] CodecError),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| ": take it out".to_owned(), |nearest| format!(": did you mean `{nearest}`?"))
}

fn example(key: &str) -> &'static str {
    match key {
        "meta.name" => "name = \"zk-search\"",
        "meta.version" => "version = \"1.0.3\"",
        _ => "author = \"Your name\"",
    }
}
