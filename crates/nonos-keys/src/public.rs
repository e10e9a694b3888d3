//! Public key: both verifying halves and the validity, and the id that fixes all three.
//!
//! In: 2,001 bytes, or one line of text. Out: a key whose Ed25519 half is a canonically encoded point that is not of
//! small order. The id is over the validity too: a key with another expiry is another key. Spec: `docs/spec/15-keys.md`.

use crate::{signature::Signature, signature::SignatureError, validity::Validity};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;
use ed25519_dalek::VerifyingKey as EdVerifyingKey;
use ml_dsa::{EncodedVerifyingKey, MlDsa65, VerifyingKey as MlVerifyingKey};
use nonos_types::{
    Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

pub(crate) const ED25519_BYTES: usize = 32;
pub(crate) const ML_DSA_BYTES: usize = 1952;
const TEXT_CHECK_BYTES: usize = 4;

/// What the text form begins with.
pub const TEXT_PREFIX: &str = "nonos-pub1";

/// A hybrid public key with the time in which it is valid.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    ed25519: EdVerifyingKey,
    ml_dsa: Box<[u8; ML_DSA_BYTES]>,
    validity: Validity,
    id: KeyId,
}

impl PublicKey {
    /// Length of the encoding: 32 + 1,952 bytes of keys and 17 of validity.
    pub const BYTES: usize = ED25519_BYTES + ML_DSA_BYTES + Validity::BYTES;
    /// Length of the text form, in characters.
    pub const TEXT_CHARS: usize = TEXT_PREFIX.len() + 2 * (Self::BYTES + TEXT_CHECK_BYTES);

    pub(crate) fn new(ed25519: EdVerifyingKey, ml_dsa: Box<[u8; ML_DSA_BYTES]>, validity: Validity) -> Self {
        let mut writer = Writer::new();
        writer.raw(ed25519.as_bytes());
        writer.raw(&ml_dsa[..]);
        validity.write(&mut writer);
        let id = KeyId::from_bytes(blake3::derive_key(domain::KEY_ID, &writer.finish()));
        Self { ed25519, ml_dsa, validity, id }
    }

    /// Its id: BLAKE3 over both halves and the validity.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The time in which it is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether either half is also a half of `other`. Two such keys are not two independent signers.
    #[must_use]
    pub fn shares_half_with(&self, other: &Self) -> bool {
        self.ed25519.as_bytes() == other.ed25519.as_bytes() || self.ml_dsa == other.ml_dsa
    }

    /// Whether both halves are those of `other`, whatever their validity: who holds one secret holds the other.
    #[must_use]
    pub fn same_secret_as(&self, other: &Self) -> bool {
        self.ed25519.as_bytes() == other.ed25519.as_bytes() && self.ml_dsa == other.ml_dsa
    }

    /// Checks both halves of a signature that this key made over `digest` for `domain`. Looks at no clock: whether
    /// the key was valid is for the caller to say.
    ///
    /// # Errors
    /// [`SignatureError`] names the half that does not hold.
    ///
    /// # Panics
    /// When `domain` breaks the rules of [`DOMAIN_BYTES_MAX`](crate::DOMAIN_BYTES_MAX).
    pub fn verify(&self, domain: &'static str, digest: Hash32, signature: &Signature) -> Result<(), SignatureError> {
        let ml_dsa = MlVerifyingKey::<MlDsa65>::decode(&EncodedVerifyingKey::<MlDsa65>::from(*self.ml_dsa));
        signature.verify(&self.ed25519, &ml_dsa, self.id, domain, digest)
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    /// From its canonical bytes and nothing after them.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(key)
    }

    /// Writes the canonical bytes.
    pub fn write(&self, writer: &mut Writer) {
        writer.raw(self.ed25519.as_bytes());
        writer.raw(&self.ml_dsa[..]);
        self.validity.write(writer);
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, PublicKeyError> {
        let ed25519_bytes = reader.array::<ED25519_BYTES>("ed25519 key")?;
        let ml_dsa = Box::new(reader.array::<ML_DSA_BYTES>("ml-dsa-65 key")?);
        let validity = Validity::read(reader)?;
        let ed25519 = EdVerifyingKey::from_bytes(&ed25519_bytes).map_err(|_| PublicKeyError::Ed25519NotAPoint)?;
        // Decompression takes y and y + p, and a sign bit where x is 0: only the point's own encoding is ours.
        if ed25519.to_edwards().compress().to_bytes() != ed25519_bytes {
            return Err(PublicKeyError::Ed25519NotCanonical);
        }
        if ed25519.is_weak() {
            return Err(PublicKeyError::Ed25519SmallOrder);
        }
        // A point with a part of small order shares its secret with seven others: not two keys, though they differ.
        if !ed25519.to_edwards().is_torsion_free() {
            return Err(PublicKeyError::Ed25519Torsion);
        }
        Ok(Self::new(ed25519, ml_dsa, validity))
    }

    /// The text form: one line without its end, `nonos-pub1` and lower-case hexadecimal digits.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = self.encode();
        bytes.extend_from_slice(self.text_check());
        let mut text = String::with_capacity(Self::TEXT_CHARS);
        text.push_str(TEXT_PREFIX);
        text.push_str(&hex::encode(bytes));
        text
    }

    /// From the text form. One line end behind it, as a file has it, is allowed; nothing else is.
    ///
    /// # Errors
    /// [`PublicKeyTextError`].
    pub fn from_text(text: &str) -> Result<Self, PublicKeyTextError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let Some(digits) = line.strip_prefix(TEXT_PREFIX) else {
            return Err(PublicKeyTextError::Prefix);
        };
        if line.len() != Self::TEXT_CHARS {
            return Err(PublicKeyTextError::Length { got_bytes: line.len() });
        }
        if let Some(index) = digits.bytes().position(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(PublicKeyTextError::Digit { index: TEXT_PREFIX.len() + index });
        }
        let mut bytes = [0; Self::BYTES + TEXT_CHECK_BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| PublicKeyTextError::Digit { index: 0 })?;
        let (key_bytes, check) = bytes.split_at(Self::BYTES);
        let key = Self::decode(key_bytes)?;
        if key.text_check() != check {
            return Err(PublicKeyTextError::Check);
        }
        Ok(key)
    }

    fn text_check(&self) -> &[u8] {
        self.id.as_bytes().first_chunk::<TEXT_CHECK_BYTES>().map_or(&[], |check| check)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, valid {})", self.id, self.validity)
    }
}

/// Why bytes are not a public key.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The Ed25519 half is not a point of the curve.
    #[error("the ed25519 half is not a point of the curve: get the key again from its owner")]
    Ed25519NotAPoint,
    /// The Ed25519 half is a point, written in a way that no encoder writes.
    #[error("the ed25519 half is not in canonical form: get the key again from its owner")]
    Ed25519NotCanonical,
    /// The Ed25519 half is a point that verifies signatures of anyone.
    #[error("the ed25519 half is of small order and would accept forged signatures: do not use this key")]
    Ed25519SmallOrder,
    /// The Ed25519 half is a point with a part of small order, which no key generation makes.
    #[error("the ed25519 half has a part of small order, which no key has: get the key again from its owner")]
    Ed25519Torsion,
}

/// Why a text is not a public key.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeyTextError {
    /// It does not begin as public keys do.
    #[error("a public key begins with `{TEXT_PREFIX}`, this text does not")]
    Prefix,
    /// Too short or too long.
    #[error(
        "a public key is one line of {} characters, this has {got_bytes}: copy the whole line",
        PublicKey::TEXT_CHARS
    )]
    Length {
        /// Its length in bytes.
        got_bytes: usize,
    },
    /// A character that is not a lower-case hexadecimal digit.
    #[error("character {index} of the public key is not a lower-case hexadecimal digit")]
    Digit {
        /// Where, from 0.
        index: usize,
    },
    /// The bytes are not a key.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// The check digits at the end are not those of this key.
    #[error("the public key's check digits are wrong: a character was changed, copy the line again")]
    Check,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{key, key_valid};
    use alloc::string::ToString;

    #[test]
    fn bytes_and_text_of_a_key_decode_to_it() {
        let public = key_valid(1, 5, Some(9)).public().clone();
        assert_eq!(public.encode().len(), PublicKey::BYTES);
        assert_eq!(PublicKey::decode(&public.encode()), Ok(public.clone()));
        let text = public.to_text();
        assert_eq!(text.len(), PublicKey::TEXT_CHARS);
        assert_eq!(PublicKey::from_text(&text), Ok(public.clone()));
        assert_eq!(PublicKey::from_text(&(text + "\n")), Ok(public));
    }

    #[test]
    fn another_expiry_is_another_key_id() {
        let ids = [None, Some(9), Some(10)].map(|not_after| key_valid(1, 5, not_after).public().id());
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_ne!(key_valid(1, 4, Some(9)).public().id(), ids[1]);
        assert!(key_valid(1, 5, None).public().same_secret_as(key_valid(1, 5, Some(9)).public()));
    }

    #[test]
    fn every_length_but_the_right_one_is_refused() {
        let mut bytes = key(1).public().encode();
        for length in 0..bytes.len() {
            let error = PublicKey::decode(&bytes[..length]).unwrap_err();
            assert!(matches!(error, PublicKeyError::Codec(CodecError::Truncated { .. })), "{length}: {error}");
        }
        bytes.push(0);
        let error = PublicKey::decode(&bytes).unwrap_err();
        assert_eq!(error, PublicKeyError::Codec(CodecError::Trailing { at: PublicKey::BYTES, extra_bytes: 1 }));
    }

    fn check_ed25519(half: [u8; 32], expected: &PublicKeyError) {
        let mut bytes = key(1).public().encode();
        bytes[..32].copy_from_slice(&half);
        assert_eq!(PublicKey::decode(&bytes).as_ref(), Err(expected), "{half:?}");
    }

    #[test]
    fn halves_that_are_no_point_of_small_order_or_not_canonical_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        check_ed25519(identity, &PublicKeyError::Ed25519SmallOrder);
        check_ed25519([0; 32], &PublicKeyError::Ed25519SmallOrder);
        // y = 2 is on no point; y = p + 1 is y = 1 written a second time; y = 1 with a sign bit likewise.
        let mut two = [0; 32];
        two[0] = 2;
        check_ed25519(two, &PublicKeyError::Ed25519NotAPoint);
        let mut p_plus_1 = [0xff; 32];
        p_plus_1[0] = 0xee;
        p_plus_1[31] = 0x7f;
        check_ed25519(p_plus_1, &PublicKeyError::Ed25519NotCanonical);
    }

    /// Eight points share one secret when a part of small order is allowed, and `shares_half_with` sees eight keys.
    #[test]
    fn a_key_with_a_part_of_small_order_is_refused() {
        // The point of order 2 is (0, -1); adding it to (x, y) gives (-x, -y).
        let good = key(1).public().encode();
        let mut y = [0u8; 32];
        y.copy_from_slice(&good[..32]);
        let sign = y[31] >> 7;
        y[31] &= 0x7f;
        let mut minus_y = [0u8; 32];
        let mut borrow = 0i16;
        for (i, byte) in minus_y.iter_mut().enumerate() {
            let p = if i == 0 {
                0xed
            } else if i == 31 {
                0x7f
            } else {
                0xff
            };
            let difference = p - i16::from(y[i]) - borrow;
            borrow = i16::from(difference < 0);
            *byte = difference.rem_euclid(256) as u8;
        }
        minus_y[31] |= (1 - sign) << 7;
        check_ed25519(minus_y, &PublicKeyError::Ed25519Torsion);
    }

    #[test]
    fn a_text_with_one_changed_character_is_refused() {
        let text = key(1).public().to_text();
        for index in [10, 11, 500, 2_000, text.len() - 40, text.len() - 1] {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'0' { b'1' } else { b'0' };
            assert!(PublicKey::from_text(core::str::from_utf8(&bytes).unwrap()).is_err(), "{index}");
        }
    }

    #[test]
    fn each_defect_of_a_text_has_its_own_error() {
        let text = key(1).public().to_text();
        let check = |text: &str, expected| assert_eq!(PublicKey::from_text(text), Err(expected));
        check("", PublicKeyTextError::Prefix);
        check(&text[1..], PublicKeyTextError::Prefix);
        check(&text[..text.len() - 1], PublicKeyTextError::Length { got_bytes: text.len() - 1 });
        check(&(text.clone() + "\n\n"), PublicKeyTextError::Length { got_bytes: text.len() + 1 });
        check(&(text.clone() + "\r\n"), PublicKeyTextError::Length { got_bytes: text.len() + 1 });
        let upper = text.replacen("nonos-pub1", "NONOS-PUB1", 1);
        check(&upper, PublicKeyTextError::Prefix);
        let not_hex = [&text[..20], "G", &text[21..]].concat();
        check(&not_hex, PublicKeyTextError::Digit { index: 20 });
        let last = if text.ends_with('0') { "1" } else { "0" };
        check(&[&text[..text.len() - 1], last].concat(), PublicKeyTextError::Check);
        assert!(PublicKeyTextError::Length { got_bytes: 3 }.to_string().contains("4020 characters"));
    }
}
