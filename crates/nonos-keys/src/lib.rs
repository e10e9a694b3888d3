//! Keys: a 64-byte seed in, hybrid signatures and key statements out.
//!
//! Every key is a pair, Ed25519 and ML-DSA-65, and every signature is two signatures that must both hold: neither
//! library is trusted alone, and a computer that breaks the first does not break the second. A key has a time in
//! which it is valid; the time is part of its id, so that nobody can change it without making another key. A key
//! can hand over to the next one ([`Rotation`]) and can declare itself void ([`Revocation`]).
//!
//! This crate never touches a disk, a clock or a random source: seeds, salts, nonces and times are arguments.
//!
//! Spec: `docs/spec/15-keys.md`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod key_file;
mod public;
mod revocation;
mod rotation;
mod secret;
mod signature;
mod validity;

pub use key_file::{
    Argon2Cost, Argon2CostError, KEY_FILE_MAGIC, KEY_FILE_VERSION, KeyFile, KeyFileError, NONCE_BYTES, OpenError,
    SALT_BYTES,
};
pub use public::{PublicKey, PublicKeyError, PublicKeyTextError, TEXT_PREFIX};
pub use revocation::{REVOCATION_MAGIC, Reason, Revocation, RevocationError};
pub use rotation::{ROTATION_MAGIC, Rotation, RotationError};
pub use secret::{SEED_BYTES, SecretKey};
pub use signature::{DOMAIN_BYTES_MAX, Signature, SignatureError};
pub use validity::{Validity, ValidityError};

#[cfg(test)]
mod sample;
