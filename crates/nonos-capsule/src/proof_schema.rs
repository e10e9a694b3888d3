//! Proof schema: what a proof of a run of this capsule must be.
//!
//! It names things that verifiers already have: a machine version, a parameter set, whether the proof hides the run,
//! and the lowest rung of the proof ladder. It holds no constraints: an author's own circuit can be vacuous and prove
//! nothing. Spec: `docs/spec/10-capsule.md`, section "Proof schema".

use crate::manifest::Rung;
use nonos_image::MACHINE_VERSION;
use nonos_types::codec::{CodecError, Reader, Writer};
use thiserror::Error;

/// The first parameter set.
pub const PARAMETER_SET_1: u16 = 1;

const RUNGS: [Rung; 4] = [Rung::ReExecute, Rung::Dispute, Rung::Stark, Rung::Folded];

/// What a proof must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofSchema {
    machine_version: u16,
    parameter_set: u16,
    hiding: bool,
    rung_min: Rung,
}

impl ProofSchema {
    /// Length of the encoding.
    pub const BYTES: usize = 6;

    /// The schema of this version's machine and parameters.
    #[must_use]
    pub const fn new(hiding: bool, rung_min: Rung) -> Self {
        Self { machine_version: MACHINE_VERSION, parameter_set: PARAMETER_SET_1, hiding, rung_min }
    }

    /// The version of the machine that the capsule is for.
    #[must_use]
    pub const fn machine_version(&self) -> u16 {
        self.machine_version
    }

    /// The parameters of the proof system.
    #[must_use]
    pub const fn parameter_set(&self) -> u16 {
        self.parameter_set
    }

    /// Whether a proof that leaves the executor hides the run.
    #[must_use]
    pub const fn hiding(&self) -> bool {
        self.hiding
    }

    /// The lowest rung that the author accepts.
    #[must_use]
    pub const fn rung_min(&self) -> Rung {
        self.rung_min
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u16(self.machine_version);
        writer.u16(self.parameter_set);
        writer.bool(self.hiding);
        writer.u8(match self.rung_min {
            Rung::ReExecute => 0,
            Rung::Dispute => 1,
            Rung::Stark => 2,
            Rung::Folded => 3,
        });
        writer.finish()
    }

    /// From its canonical bytes.
    ///
    /// # Errors
    /// [`ProofSchemaError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofSchemaError> {
        let mut reader = Reader::new(bytes);
        let machine_version = reader.u16("machine version")?;
        if machine_version != MACHINE_VERSION {
            return Err(ProofSchemaError::UnknownMachine { got: machine_version });
        }
        let parameter_set = reader.u16("parameter set")?;
        if parameter_set != PARAMETER_SET_1 {
            return Err(ProofSchemaError::UnknownParameterSet { got: parameter_set });
        }
        let hiding = reader.bool("hiding")?;
        let rung = reader.u8("rung")?;
        let rung_min = RUNGS.get(usize::from(rung)).copied().ok_or(ProofSchemaError::UnknownRung { got: rung })?;
        reader.finish()?;
        Ok(Self { machine_version, parameter_set, hiding, rung_min })
    }
}

/// Why bytes are not a proof schema.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofSchemaError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A machine that this version does not have.
    #[error("machine version {got} is unknown, this program has {MACHINE_VERSION}: use a newer program")]
    UnknownMachine {
        /// Its version.
        got: u16,
    },
    /// Parameters that this version does not have.
    #[error("parameter set {got} is unknown, this program has {PARAMETER_SET_1}: use a newer program")]
    UnknownParameterSet {
        /// Its number.
        got: u16,
    },
    /// A rung that this version does not have.
    #[error("rung {got} is unknown, known are 0 (re-execute) to 3 (folded)")]
    UnknownRung {
        /// Its number.
        got: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_decodes_from_its_bytes_and_no_other_bytes_decode() {
        let mut accepted = Vec::new();
        for hiding in [false, true] {
            for rung in RUNGS {
                let schema = ProofSchema::new(hiding, rung);
                assert_eq!(ProofSchema::decode(&schema.encode()), Ok(schema));
                accepted.push(schema.encode());
            }
        }
        for index in 0..ProofSchema::BYTES {
            for value in 0..=255 {
                let mut bytes = accepted[0].clone();
                bytes[index] = value;
                assert_eq!(ProofSchema::decode(&bytes).is_ok(), accepted.contains(&bytes), "{bytes:?}");
            }
        }
    }

    #[test]
    fn each_defect_has_its_own_error() {
        let check = |bytes: &[u8], expected| assert_eq!(ProofSchema::decode(bytes), Err(expected));
        check(&[2, 0, 1, 0, 1, 2], ProofSchemaError::UnknownMachine { got: 2 });
        check(&[1, 0, 0, 1, 1, 2], ProofSchemaError::UnknownParameterSet { got: 256 });
        check(&[1, 0, 1, 0, 1, 4], ProofSchemaError::UnknownRung { got: 4 });
        let flag = CodecError::NotCanonical { at: 4, field: "hiding", why: "a flag is 0 or 1" };
        check(&[1, 0, 1, 0, 2, 2], flag.into());
        check(&[1, 0, 1, 0, 1, 2, 0], CodecError::Trailing { at: 6, extra_bytes: 1 }.into());
        let short = CodecError::Truncated { at: 5, field: "rung", need_bytes: 1, have_bytes: 0 };
        check(&[1, 0, 1, 0, 1], short.into());
    }
}
