//! Signing: a capsule and the keys of a home in, signatures out. Which key signs for which listed signer is found by
//! following the known rotations.

use crate::{Context, calendar, failure::Failure, passphrase};
use nonos_author::{
    keystore::{Keystore, StoredKey},
    statements::StatementStore,
};
use nonos_capsule::{Capsule, ROTATIONS_MAX};
use nonos_keys::{Rotation, SecretKey};
use nonos_types::KeyId;
use std::path::Path;
use zeroize::Zeroizing;

/// A key that can sign for a listed signer.
pub(crate) struct Candidate {
    pub(crate) signer: KeyId,
    pub(crate) key: StoredKey,
    /// From the signer to the key.
    pub(crate) rotations: Vec<Rotation>,
}

/// The keys of the home, and the rotations that are known there.
pub(crate) struct Keys {
    pub(crate) store: Keystore,
    rotations: Vec<Rotation>,
}

impl Keys {
    /// Opens the home.
    pub(crate) fn open(context: &Context) -> Result<Self, Failure> {
        let home = context.home()?;
        let store = Keystore::open(&home)?;
        let rotations =
            if home.statements_dir().is_dir() { StatementStore::open(&home)?.load()?.rotations } else { Vec::new() };
        Ok(Self { store, rotations })
    }

    /// For each listed signer, the newest key of the home that can sign for it.
    pub(crate) fn candidates(&self, capsule: &Capsule) -> Result<Vec<Candidate>, Failure> {
        let keys = self.store.list()?;
        let signers = capsule.manifest().signers().iter();
        Ok(signers.filter_map(|signer| self.candidate(*signer, &keys)).collect())
    }

    /// How a key counts for one of the listed signers: directly, or by rotations.
    pub(crate) fn for_key(&self, capsule: &Capsule, key: &StoredKey) -> Candidate {
        let only = [key.clone()];
        let found = capsule.manifest().signers().iter().find_map(|signer| self.candidate(*signer, &only));
        // A key that is not listed signs for itself, and signing refuses it with a reason.
        found.unwrap_or_else(|| Candidate { signer: key.id, key: key.clone(), rotations: Vec::new() })
    }

    /// Follows rotations from the signer and takes the last key on the way that is at hand.
    fn candidate(&self, signer: KeyId, keys: &[StoredKey]) -> Option<Candidate> {
        let at_hand = |id: KeyId| keys.iter().find(|key| key.id == id).cloned();
        let mut best = at_hand(signer).map(|key| Candidate { signer, key, rotations: Vec::new() });
        let mut chain: Vec<Rotation> = Vec::new();
        let mut last = signer;
        while chain.len() < ROTATIONS_MAX {
            // Where a key handed over twice, the later statement counts.
            let next = self
                .rotations
                .iter()
                .filter(|rotation| rotation.from().id() == last)
                .max_by_key(|rotation| rotation.at());
            let Some(next) = next else { break };
            chain.push(next.clone());
            last = next.to().id();
            if let Some(key) = at_hand(last) {
                best = Some(Candidate { signer, key, rotations: chain.clone() });
            }
        }
        best
    }

    /// Opens a key; asks for its passphrase where it has one and none is given by a file.
    pub(crate) fn open_key(&self, key: &StoredKey, passphrase_file: Option<&Path>) -> Result<SecretKey, Failure> {
        let passphrase = passphrase_of(key, passphrase_file)?;
        Ok(self.store.load(key, passphrase.as_deref().map(Vec::as_slice))?)
    }

    /// Writes the public key file of a key again.
    pub(crate) fn restore_public(&self, key: &StoredKey, passphrase_file: Option<&Path>) -> Result<(), Failure> {
        let passphrase = passphrase_of(key, passphrase_file)?;
        self.store.restore_public(key, passphrase.as_deref().map(Vec::as_slice))?;
        Ok(())
    }

    /// Signs a capsule with a key.
    pub(crate) fn sign(
        &self,
        capsule: &mut Capsule,
        candidate: Candidate,
        passphrase_file: Option<&Path>,
    ) -> Result<(), Failure> {
        let key = self.open_key(&candidate.key, passphrase_file)?;
        tracing::info!("signing for {} with key {}", candidate.signer, candidate.key.name);
        Ok(capsule.sign(&key, candidate.rotations, calendar::now_s())?)
    }
}

fn passphrase_of(key: &StoredKey, file: Option<&Path>) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    match (key.encrypted, file) {
        (false, _) => Ok(None),
        (true, Some(path)) => passphrase::from_file(path).map(Some),
        (true, None) => passphrase::ask(&format!("Passphrase of key {}: ", key.name)).map(Some),
    }
}
