//! Signature: two signatures by the two halves of one key, over one digest, for one purpose.
//!
//! The message of both halves is `key id || digest`, so that neither half can be taken out of its key. The purpose is
//! a domain string: ML-DSA takes it as its context string, Ed25519 signs `domain || 0 || key id || digest`.
//! Spec: `docs/spec/15-keys.md`.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use ed25519_dalek::{Signature as EdSignature, Signer, SigningKey as EdSigningKey, VerifyingKey as EdVerifyingKey};
use ml_dsa::{EncodedSignature, MlDsa65, Signature as MlSignature, SigningKey as MlSigningKey, VerifyingKey};
use nonos_types::{
    Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
};
use thiserror::Error;

const ED25519_BYTES: usize = 64;
const ML_DSA_BYTES: usize = 3309;
const MESSAGE_BYTES: usize = 64;

/// Longest domain string: what the context of ML-DSA takes. A domain string holds no zero byte and is not empty.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// A hybrid signature. Having one says nothing: [`PublicKey::verify`](crate::PublicKey::verify) does.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    ed25519: [u8; ED25519_BYTES],
    ml_dsa: Box<[u8; ML_DSA_BYTES]>,
}

impl Signature {
    /// Length of the encoding: 64 bytes of Ed25519, then 3,309 of ML-DSA-65.
    pub const BYTES: usize = ED25519_BYTES + ML_DSA_BYTES;

    pub(crate) fn sign(
        ed25519: &EdSigningKey,
        ml_dsa: &MlSigningKey<MlDsa65>,
        id: KeyId,
        domain: &'static str,
        digest: Hash32,
    ) -> Self {
        assert_domain(domain);
        let message = message(id, digest);
        let ed25519 = ed25519.sign(&ed25519_message(domain, &message)).to_bytes();
        let ml_dsa: [u8; ML_DSA_BYTES] = ml_dsa
            .expanded_key()
            .sign_deterministic(&message, domain.as_bytes())
            .expect("ML-DSA refuses only contexts above 255 bytes")
            .encode()
            .into();
        Self { ed25519, ml_dsa: Box::new(ml_dsa) }
    }

    pub(crate) fn verify(
        &self,
        ed25519: &EdVerifyingKey,
        ml_dsa: &VerifyingKey<MlDsa65>,
        id: KeyId,
        domain: &'static str,
        digest: Hash32,
    ) -> Result<(), SignatureError> {
        assert_domain(domain);
        let message = message(id, digest);
        ed25519
            .verify_strict(&ed25519_message(domain, &message), &EdSignature::from_bytes(&self.ed25519))
            .map_err(|_| SignatureError::Ed25519)?;
        let signature = MlSignature::<MlDsa65>::decode(&EncodedSignature::<MlDsa65>::from(*self.ml_dsa))
            .ok_or(SignatureError::MlDsa)?;
        if !ml_dsa.verify_with_context(&message, domain.as_bytes(), &signature) {
            return Err(SignatureError::MlDsa);
        }
        Ok(())
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    /// From its bytes and nothing after them. Any bytes of the right length are a signature, if seldom a good one.
    ///
    /// # Errors
    /// [`CodecError`] when the length is another.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let signature = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(signature)
    }

    /// Writes its bytes.
    pub fn write(&self, writer: &mut Writer) {
        writer.raw(&self.ed25519);
        writer.raw(&self.ml_dsa[..]);
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let ed25519 = reader.array("ed25519 signature")?;
        let ml_dsa = Box::new(reader.array("ml-dsa-65 signature")?);
        Ok(Self { ed25519, ml_dsa })
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex::encode(self.ed25519.first_chunk::<8>().map_or(&[][..], |head| &head[..])))
    }
}

fn assert_domain(domain: &'static str) {
    let good = !domain.is_empty() && domain.len() <= DOMAIN_BYTES_MAX && !domain.as_bytes().contains(&0);
    assert!(good, "a domain string has 1 to {DOMAIN_BYTES_MAX} bytes and no zero among them");
}

fn message(id: KeyId, digest: Hash32) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    message[..32].copy_from_slice(id.as_bytes());
    message[32..].copy_from_slice(digest.as_bytes());
    message
}

fn ed25519_message(domain: &'static str, message: &[u8; MESSAGE_BYTES]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(domain.len() + 1 + MESSAGE_BYTES);
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(message);
    bytes
}

/// Which half of a signature does not hold.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// The Ed25519 half.
    #[error("the ed25519 signature does not hold: what it signs was changed, or another key made it")]
    Ed25519,
    /// The ML-DSA-65 half; the Ed25519 half holds.
    #[error("the ml-dsa-65 signature does not hold, though the ed25519 one does: treat the signature as forged")]
    MlDsa,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{key, key_valid};
    use nonos_types::domain;

    const DIGEST: Hash32 = Hash32::from_bytes([7; 32]);

    fn check(bytes: &[u8], expected: Result<(), SignatureError>) {
        let signature = Signature::decode(bytes).unwrap();
        assert_eq!(key(1).public().verify(domain::CAPSULE_SIGNATURE, DIGEST, &signature), expected);
    }

    #[test]
    fn a_signature_holds_for_its_key_its_domain_and_its_digest_only() {
        let (first, second) = (key(1), key(2));
        let signature = first.sign(domain::CAPSULE_SIGNATURE, DIGEST);
        assert_eq!(signature.encode().len(), Signature::BYTES);
        check(&signature.encode(), Ok(()));
        let other = Hash32::from_bytes([8; 32]);
        let bad = Err(SignatureError::Ed25519);
        assert_eq!(first.public().verify(domain::CAPSULE_SIGNATURE, other, &signature), bad);
        assert_eq!(first.public().verify(domain::KEY_ROTATION, DIGEST, &signature), bad);
        assert_eq!(second.public().verify(domain::CAPSULE_SIGNATURE, DIGEST, &signature), bad);
        let longer = key_valid(1, 0, Some(u64::MAX));
        assert_eq!(longer.public().verify(domain::CAPSULE_SIGNATURE, DIGEST, &signature), bad);
    }

    #[test]
    fn each_half_alone_is_not_enough() {
        let good = key(1).sign(domain::CAPSULE_SIGNATURE, DIGEST).encode();
        let other = key(2).sign(domain::CAPSULE_SIGNATURE, DIGEST).encode();
        check(&[&good[..64], &other[64..]].concat(), Err(SignatureError::MlDsa));
        check(&[&good[..64], &[0; 3309]].concat(), Err(SignatureError::MlDsa));
        check(&[&other[..64], &good[64..]].concat(), Err(SignatureError::Ed25519));
        check(&[&[0; 64], &good[64..]].concat(), Err(SignatureError::Ed25519));
        // Each half signs its own domain and digest, not only the first one checked.
        let wrong_digest = key(1).sign(domain::CAPSULE_SIGNATURE, Hash32::from_bytes([8; 32])).encode();
        check(&[&good[..64], &wrong_digest[64..]].concat(), Err(SignatureError::MlDsa));
        let wrong_domain = key(1).sign(domain::KEY_ROTATION, DIGEST).encode();
        check(&[&good[..64], &wrong_domain[64..]].concat(), Err(SignatureError::MlDsa));
        let wrong_key = key_valid(1, 0, Some(9)).sign(domain::CAPSULE_SIGNATURE, DIGEST).encode();
        check(&[&good[..64], &wrong_key[64..]].concat(), Err(SignatureError::MlDsa));
    }

    #[test]
    fn every_changed_byte_of_a_signature_is_refused() {
        let good = key(1).sign(domain::CAPSULE_SIGNATURE, DIGEST).encode();
        for index in 0..good.len() {
            let mut bytes = good.clone();
            bytes[index] ^= 1 << (index % 8);
            check(&bytes, Err(if index < 64 { SignatureError::Ed25519 } else { SignatureError::MlDsa }));
        }
    }

    #[test]
    fn an_ed25519_scalar_plus_the_group_order_is_refused() {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut bytes = key(1).sign(domain::CAPSULE_SIGNATURE, DIGEST).encode();
        let mut carry = 0;
        for (byte, order) in bytes[32..64].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        check(&bytes, Err(SignatureError::Ed25519));
    }

    #[test]
    fn signatures_of_another_length_are_refused() {
        let good = key(1).sign(domain::CAPSULE_SIGNATURE, DIGEST).encode();
        assert!(matches!(Signature::decode(&good[1..]), Err(CodecError::Truncated { .. })));
        let long = [&good[..], &[0]].concat();
        assert_eq!(Signature::decode(&long), Err(CodecError::Trailing { at: Signature::BYTES, extra_bytes: 1 }));
    }

    #[test]
    #[should_panic(expected = "a domain string has 1 to 255 bytes")]
    fn a_domain_with_a_zero_byte_is_a_bug_of_ours() {
        let _ = key(1).sign("a\0b", DIGEST);
    }
}
