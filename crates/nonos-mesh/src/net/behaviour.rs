//! Behaviour: the parts of libp2p that a node is made of, each with its limits.

use super::{CONNECTIONS_INCOMING_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX, NetError};
use libp2p::{
    StreamProtocol, allow_block_list, autonat, connection_limits, dcutr, identify,
    identity::Keypair,
    kad, mdns, relay,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};
use std::time::Duration;

const IDENTIFY: &str = "/nonos/1";
const KAD: StreamProtocol = StreamProtocol::new("/nonos/kad/1");
/// How often a peer on the local network is asked for again.
const LOCAL_QUERY: Duration = Duration::from_secs(60);

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    pub(super) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) kad: kad::Behaviour<kad::store::MemoryStore>,
    mdns: Toggle<mdns::tokio::Behaviour>,
    relay: relay::Behaviour,
    relay_client: relay::client::Behaviour,
    dcutr: dcutr::Behaviour,
    autonat_client: autonat::v2::client::Behaviour,
    autonat_server: autonat::v2::server::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
}

impl Behaviour {
    pub(super) fn new(
        key: &Keypair,
        local: Option<mdns::tokio::Behaviour>,
        relay_client: relay::client::Behaviour,
    ) -> Self {
        let id = key.public().to_peer_id();
        let limits = connection_limits::ConnectionLimits::default()
            .with_max_established(Some(CONNECTIONS_MAX))
            .with_max_established_incoming(Some(CONNECTIONS_INCOMING_MAX))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
            .with_max_pending_incoming(Some(CONNECTIONS_MAX / 4))
            .with_max_pending_outgoing(Some(CONNECTIONS_MAX / 4));
        let mut kad = kad::Behaviour::with_config(id, kad::store::MemoryStore::new(id), kad::Config::new(KAD));
        // Everybody answers: there are no servers to leave it to.
        kad.set_mode(Some(kad::Mode::Server));
        Self {
            limits: connection_limits::Behaviour::new(limits),
            blocked: allow_block_list::Behaviour::default(),
            identify: identify::Behaviour::new(identify::Config::new(IDENTIFY.to_owned(), key.public())),
            kad,
            mdns: local.into(),
            relay: relay::Behaviour::new(id, relay::Config::default()),
            relay_client,
            dcutr: dcutr::Behaviour::new(id),
            autonat_client: autonat::v2::client::Behaviour::default(),
            autonat_server: autonat::v2::server::Behaviour::default(),
            streams: libp2p_stream::Behaviour::new(),
        }
    }
}

/// What finds peers on the local network.
pub(super) fn local(key: &Keypair) -> Result<mdns::tokio::Behaviour, NetError> {
    let config = mdns::Config { query_interval: LOCAL_QUERY, ..mdns::Config::default() };
    mdns::tokio::Behaviour::new(config, key.public().to_peer_id()).map_err(NetError::Discovery)
}

/// Whether a peer takes part in the distributed table.
pub(super) fn speaks_kad(protocols: &[StreamProtocol]) -> bool {
    protocols.contains(&KAD)
}
