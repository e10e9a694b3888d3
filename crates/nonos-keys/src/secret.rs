//! Secret key: 64 bytes of seed and a validity in, signatures out.
//!
//! The first 32 bytes are the Ed25519 seed (RFC 8032), the last 32 the seed of ML-DSA key generation (FIPS 204, xi).
//! Secrets are wiped when they are dropped and are never printed. Spec: `docs/spec/15-keys.md`.

use crate::{public::PublicKey, signature::Signature, validity::Validity};
use alloc::boxed::Box;
use core::fmt;
use ed25519_dalek::SigningKey as EdSigningKey;
use ml_dsa::{MlDsa65, Seed, SigningKey as MlSigningKey, signature::Keypair};
use nonos_types::{Hash32, KeyId};
use zeroize::{Zeroize, Zeroizing};

/// Length of a seed.
pub const SEED_BYTES: usize = 64;

/// A hybrid secret key.
pub struct SecretKey {
    ed25519: EdSigningKey,
    ml_dsa: Box<MlSigningKey<MlDsa65>>,
    public: PublicKey,
}

impl SecretKey {
    /// The key of a seed. The seed comes from a good random source, and is used for nothing else.
    #[must_use]
    pub fn from_seed(seed: &[u8; SEED_BYTES], validity: Validity) -> Self {
        let mut ed25519_seed = Zeroizing::new([0; 32]);
        ed25519_seed.copy_from_slice(&seed[..32]);
        let ed25519 = EdSigningKey::from_bytes(&ed25519_seed);
        let mut xi = Seed::default();
        xi.copy_from_slice(&seed[32..]);
        let ml_dsa = Box::new(MlSigningKey::<MlDsa65>::from_seed(&xi));
        xi.zeroize();
        let ml_dsa_public = Box::new(ml_dsa.verifying_key().encode().into());
        let public = PublicKey::new(ed25519.verifying_key(), ml_dsa_public, validity);
        Self { ed25519, ml_dsa, public }
    }

    /// The seed that it was made from.
    #[must_use]
    pub fn to_seed(&self) -> Zeroizing<[u8; SEED_BYTES]> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        seed[..32].copy_from_slice(self.ed25519.as_bytes());
        seed[32..].copy_from_slice(self.ml_dsa.as_seed());
        seed
    }

    /// Its public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.public.id()
    }

    /// Signs `digest` for the purpose `domain`: the same bytes every time.
    ///
    /// # Panics
    /// When `domain` breaks the rules of [`DOMAIN_BYTES_MAX`](crate::DOMAIN_BYTES_MAX).
    #[must_use]
    pub fn sign(&self, domain: &'static str, digest: Hash32) -> Signature {
        Signature::sign(&self.ed25519, &self.ml_dsa, self.id(), domain, digest)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{key, seed};
    use alloc::format;
    use fips204::{
        ml_dsa_65,
        traits::{KeyGen, SerDes, Signer, Verifier},
    };
    use nonos_types::domain;
    use proptest::prelude::*;

    fn message(id: KeyId, digest: Hash32) -> [u8; 64] {
        let mut message = [0; 64];
        message[..32].copy_from_slice(id.as_bytes());
        message[32..].copy_from_slice(digest.as_bytes());
        message
    }

    fn ml_dsa_half(signature: &Signature) -> [u8; 3309] {
        signature.encode()[64..].try_into().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn a_second_ml_dsa_library_makes_the_same_key_and_the_same_signature(
            seed in prop::array::uniform32(any::<u8>()),
            digest in prop::array::uniform32(any::<u8>()),
        ) {
            let mut whole = [9; 64];
            whole[32..].copy_from_slice(&seed);
            let key = SecretKey::from_seed(&whole, Validity::ALWAYS);
            let digest = Hash32::from_bytes(digest);
            let signature = key.sign(domain::CAPSULE_SIGNATURE, digest);
            let context = domain::CAPSULE_SIGNATURE.as_bytes();

            let (public, secret) = ml_dsa_65::KG::keygen_from_seed(&seed);
            prop_assert_eq!(&public.clone().into_bytes()[..], &key.public().encode()[32..32 + 1952]);
            prop_assert!(public.verify(&message(key.id(), digest), &ml_dsa_half(&signature), context));
            // FIPS 204's deterministic variant: the random string is 32 zeros.
            let theirs = secret.try_sign_with_seed(&[0; 32], &message(key.id(), digest), context).unwrap();
            prop_assert_eq!(&theirs[..], &signature.encode()[64..]);
        }
    }

    #[test]
    fn the_second_library_refuses_another_context() {
        let (public, _) = ml_dsa_65::KG::keygen_from_seed(&seed(1)[32..].try_into().unwrap());
        let digest = Hash32::from_bytes([3; 32]);
        let signature = ml_dsa_half(&key(1).sign(domain::CAPSULE_SIGNATURE, digest));
        let message = message(key(1).id(), digest);
        assert!(public.verify(&message, &signature, domain::CAPSULE_SIGNATURE.as_bytes()));
        assert!(!public.verify(&message, &signature, domain::KEY_ROTATION.as_bytes()));
    }

    #[test]
    fn a_key_gives_its_seed_back_and_never_prints_it() {
        let key = key(1);
        assert_eq!(*key.to_seed(), seed(1));
        assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.id()));
    }

    /// A change of this is a change of format: every key and signature that was ever made becomes void.
    #[test]
    fn id_and_signature_of_a_fixed_seed_do_not_change() {
        let key = SecretKey::from_seed(&core::array::from_fn(|i| i as u8), Validity::new(1, Some(2)).unwrap());
        let signature = key.sign(domain::CAPSULE_SIGNATURE, Hash32::from_bytes([0x5a; 32]));
        let got = [format!("{}", key.id()), format!("{}", blake3::hash(&signature.encode()))];
        assert_eq!(got, GOLDEN);
    }

    const GOLDEN: [&str; 2] = [
        "64a6c51c0c68329dbb481508aa2260fb675b67e42850741a0118634634670a54",
        "9544300ba40583ef418d8850848f6ebc4aa1791d9863c75e8e6eb8c067cdca0b",
    ];
}
