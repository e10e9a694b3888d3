//! Config: what a node is started with.

use crate::NodeError;
use libp2p::Multiaddr;
use nonos_keys::{Revocation, SecretKey};
use nonos_mesh_proto::{transfer::UploadLimits, trust::TrustLimits};
use std::{
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file of the seed of the key at the end of the node's connections.
pub const PEER_KEY_FILE: &str = "peer.key";

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where it keeps everything. One node at a time uses it.
    pub folder: PathBuf,
    /// The key that it signs with: announcements, inventories, ranges, acknowledgements.
    pub key: Arc<SecretKey>,
    /// Where to listen: UDP addresses for QUIC.
    pub listen: Vec<Multiaddr>,
    /// Peers to begin with; none are needed on a local network.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to find and be found on the local network.
    pub local_discovery: bool,
    /// How much it gives.
    pub upload: UploadLimits,
    /// How much may be at stake.
    pub trust: TrustLimits,
    /// What is known to be revoked.
    pub revocations: Vec<Revocation>,
}

/// The seed of the key at the end of the node's connections; made at the first start.
///
/// # Errors
/// [`NodeError::Folder`], [`NodeError::PeerKey`].
pub fn peer_seed(folder: &Path) -> Result<[u8; 32], NodeError> {
    let path = folder.join(PEER_KEY_FILE);
    let failed = |source| NodeError::Folder { path: path.clone(), source };
    match std::fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| NodeError::PeerKey { path }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|_| NodeError::Randomness)?;
            // Private before anything is in it, and whole or not there.
            let mut file = tempfile::Builder::new().prefix(".peer-").tempfile_in(folder).map_err(failed)?;
            file.write_all(&seed).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
            file.persist_noclobber(&path).map_err(|error| failed(error.error))?;
            Ok(seed)
        }
        Err(error) => Err(failed(error)),
    }
}
