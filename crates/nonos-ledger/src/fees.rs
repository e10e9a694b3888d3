//! Fee table: what a capsule costs and who is paid for it, with the royalties of everything that it is built on.
//!
//! In: a verified capsule, and a way to find the capsules that it names. Out: a [`FeeTable`]. A capsule id covers the
//! manifest, so a dependency needs no signature of its own here: the author of the capsule named it to the byte.
//! Spec: `docs/spec/50-fees.md`.

use nonos_capsule::{Capsule, EXECUTION_PRICE_CYCLES, Fees, Manifest, Rung, VerifiedCapsule};
use nonos_types::{Amount, AmountError, BasisPoints, CapsuleId, ImageId, KeyId};
use thiserror::Error;

mod codec;

/// Deepest chain of dependencies that royalties follow.
pub const ROYALTY_DEPTH_MAX: usize = 16;
/// Most royalties of one capsule, those of its dependencies and of theirs counted.
pub const ROYALTIES_MAX: usize = 1_024;

/// What a capsule costs and who is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeTable {
    pub(crate) capsule_id: CapsuleId,
    pub(crate) image_id: ImageId,
    pub(crate) fees: Fees,
    pub(crate) fuel_cycles: u64,
    pub(crate) rung: Rung,
    pub(crate) hiding: bool,
    pub(crate) signers: Vec<KeyId>,
    pub(crate) royalties: Vec<Royalty>,
}

/// What a dependency is paid, and what it hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Royalty {
    /// What the capsule above calls it.
    pub name: String,
    /// Which capsule.
    pub capsule_id: CapsuleId,
    /// Its share of the base fee of the capsule above; deeper down, of the royalty of the capsule above.
    pub points: BasisPoints,
    /// Who is paid: its signers, evenly.
    pub signers: Vec<KeyId>,
    /// What it hands on.
    pub royalties: Vec<Royalty>,
}

impl FeeTable {
    /// The fee table of a capsule. `find` gives the capsules that it and its dependencies name; one whose royalty is 0
    /// everywhere is not asked for.
    ///
    /// # Errors
    /// [`FeeTableError`].
    pub fn new<'c>(
        capsule: &VerifiedCapsule<'_>,
        find: &dyn Fn(CapsuleId) -> Option<&'c Capsule>,
    ) -> Result<Self, FeeTableError> {
        let capsule = capsule.capsule();
        let manifest = capsule.manifest();
        let mut count = 0;
        Ok(Self {
            capsule_id: capsule.id(),
            image_id: capsule.image_id(),
            fees: manifest.fees(),
            fuel_cycles: manifest.fuel_cycles(),
            rung: manifest.rung(),
            hiding: manifest.hiding(),
            // A verified capsule has a threshold of at least 1, so it lists somebody.
            signers: manifest.signers().to_vec(),
            royalties: royalties(manifest, find, 1, &mut count)?,
        })
    }

    /// Which capsule it is of.
    #[must_use]
    pub const fn capsule_id(&self) -> CapsuleId {
        self.capsule_id
    }

    /// What the manifest states.
    #[must_use]
    pub const fn fees(&self) -> Fees {
        self.fees
    }

    /// Most cycles of one run.
    #[must_use]
    pub const fn fuel_cycles(&self) -> u64 {
        self.fuel_cycles
    }

    /// The lowest rung of the proof ladder that the author accepts.
    #[must_use]
    pub const fn rung(&self) -> Rung {
        self.rung
    }

    /// Whether the author wants proofs that hide the run.
    #[must_use]
    pub const fn hiding(&self) -> bool {
        self.hiding
    }

    /// The royalties.
    #[must_use]
    pub fn royalties(&self) -> &[Royalty] {
        &self.royalties
    }

    /// What a run of so many cycles costs, all streams together.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`]; never for cycles up to [`FeeTable::fuel_cycles`], by rule 10 of the manifest.
    pub fn cost(&self, cycles: u64) -> Result<Amount, AmountError> {
        Amount::checked_sum([self.fees.base, self.execution_floor(cycles)?, self.fees.verification])
    }

    pub(crate) fn execution_floor(&self, cycles: u64) -> Result<Amount, AmountError> {
        self.fees.execution.mul_div_floor(cycles, EXECUTION_PRICE_CYCLES)
    }
}

fn royalties<'c>(
    manifest: &Manifest,
    find: &dyn Fn(CapsuleId) -> Option<&'c Capsule>,
    depth: usize,
    count: &mut usize,
) -> Result<Vec<Royalty>, FeeTableError> {
    let mut list = Vec::new();
    for dependency in manifest.dependencies().iter().filter(|dependency| dependency.royalty != BasisPoints::ZERO) {
        let (name, id) = (dependency.name.clone(), dependency.id);
        if depth > ROYALTY_DEPTH_MAX {
            return Err(FeeTableError::TooDeep { name, id });
        }
        *count += 1;
        if *count > ROYALTIES_MAX {
            return Err(FeeTableError::TooMany);
        }
        let Some(capsule) = find(id).filter(|capsule| capsule.id() == id) else {
            return Err(FeeTableError::Missing { name, id });
        };
        let signers = capsule.manifest().signers().to_vec();
        if signers.is_empty() {
            return Err(FeeTableError::NobodyToPay { name, id });
        }
        let below = royalties(capsule.manifest(), find, depth + 1, count)?;
        list.push(Royalty { name, capsule_id: id, points: dependency.royalty, signers, royalties: below });
    }
    Ok(list)
}

/// Why a capsule has no fee table.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeeTableError {
    /// A dependency with a royalty is not at hand.
    #[error("the dependency `{name}` ({id}) is paid a royalty, but its capsule is not at hand")]
    Missing {
        /// What the capsule above calls it.
        name: String,
        /// Which capsule.
        id: CapsuleId,
    },
    /// A dependency with a royalty lists no signers.
    #[error("the dependency `{name}` ({id}) is paid a royalty, but its manifest lists no signers")]
    NobodyToPay {
        /// What the capsule above calls it.
        name: String,
        /// Which capsule.
        id: CapsuleId,
    },
    /// The chain of dependencies is too long.
    #[error("the dependency `{name}` ({id}) is more than {ROYALTY_DEPTH_MAX} capsules deep")]
    TooDeep {
        /// What the capsule above calls it.
        name: String,
        /// Which capsule.
        id: CapsuleId,
    },
    /// There are too many royalties.
    #[error("the capsule and its dependencies pay more than {ROYALTIES_MAX} royalties")]
    TooMany,
}
