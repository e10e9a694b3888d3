//! Keys: the key of each node that signs anything, made when it is first asked for.

use nonos_keys::{SEED_BYTES, SecretKey, Validity};
use nonos_types::KeyId;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) struct Keys {
    seed: u64,
    keys: BTreeMap<u32, Arc<SecretKey>>,
    nodes: BTreeMap<KeyId, u32>,
}

impl Keys {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, keys: BTreeMap::new(), nodes: BTreeMap::new() }
    }

    /// A node's key: the same whenever it is asked for.
    pub(crate) fn of(&mut self, node: u32) -> Arc<SecretKey> {
        if let Some(key) = self.keys.get(&node) {
            return key.clone();
        }
        let mut seed = [0; SEED_BYTES];
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"nonos-sim key").update(&self.seed.to_le_bytes()).update(&node.to_le_bytes());
        hasher.finalize_xof().fill(&mut seed);
        let key = Arc::new(SecretKey::from_seed(&seed, Validity::ALWAYS));
        self.nodes.insert(key.id(), node);
        self.keys.insert(node, key.clone());
        key
    }

    /// The id of a node's key, if it has signed anything.
    pub(crate) fn id(&self, node: u32) -> Option<KeyId> {
        self.keys.get(&node).map(|key| key.id())
    }

    /// Whose key it is.
    pub(crate) fn node(&self, key: KeyId) -> Option<u32> {
        self.nodes.get(&key).copied()
    }

    /// The nodes that have one.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> {
        self.keys.keys().copied()
    }
}
