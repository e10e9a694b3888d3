//! Task: turns commands into calls of the swarm and what the swarm reports into events.

use super::{
    ADDRESSES_PER_PEER_MAX, Command, Event, LASTING_PER_PEER_MAX, NetConfig, NetError, Protocol, STREAMS_PER_PEER_MAX,
    behaviour::{self, Behaviour, BehaviourEvent, speaks_kad},
    events::EventSender,
    frames, id_of, peer_of, stream,
};
use bytes::Bytes;
use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify,
    identity::Keypair,
    kad, mdns,
    multiaddr::Protocol as Part,
    swarm::{DialError, SwarmEvent, dial_opts::DialOpts},
    tls, yamux,
};
use libp2p_stream::{Control, IncomingStreams, OpenStreamError};
use nonos_mesh_proto::PeerId;
use nonos_types::CapsuleId;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{
    Semaphore,
    mpsc::{self, Receiver, Sender, UnboundedReceiver, error::TrySendError},
};
use tokio::task::AbortHandle;
use tracing::{debug, trace};

/// How long a connection is kept on which nothing is open.
const IDLE: Duration = Duration::from_secs(60);

/// What waits to be written to a peer, and how many bytes it is.
struct Queue {
    frames: Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    control: Control,
    commands: UnboundedReceiver<Command>,
    events: EventSender,
    /// What waits to be written, for each peer that is connected and each protocol that was used.
    queues: BTreeMap<(PeerId, Protocol), Queue>,
    lookups: HashMap<kad::QueryId, CapsuleId>,
}

impl Task {
    pub(super) fn new(
        key: &Keypair,
        config: &NetConfig,
        commands: UnboundedReceiver<Command>,
        events: EventSender,
    ) -> Result<Self, NetError> {
        let transport = |error: &dyn std::fmt::Display| NetError::Transport(error.to_string());
        let mut local = config.local_discovery.then(|| behaviour::local(key)).transpose()?;
        let mut swarm = SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_quic()
            .with_relay_client(tls::Config::new, yamux::Config::default)
            .map_err(|error| transport(&error))?
            .with_behaviour(|key, relay| Behaviour::new(key, local.take(), relay))
            .map_err(|error| transport(&error))?
            .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(IDLE))
            .build();
        for address in &config.listen {
            let listen = swarm.listen_on(address.clone());
            listen.map_err(|why| NetError::Listen { address: address.clone(), why: why.to_string() })?;
        }
        for address in &config.bootstrap {
            if let Err(error) = swarm.dial(address.clone()) {
                debug!(%address, %error, "a peer to begin with is not dialled");
            }
        }
        let mut control = swarm.behaviour().streams.new_control();
        for protocol in Protocol::LASTING {
            let incoming = control.accept(StreamProtocol::new(protocol.name()));
            let incoming = incoming.map_err(|error| transport(&error))?;
            tokio::spawn(accept(incoming, protocol, events.clone()));
        }
        let incoming = control.accept(StreamProtocol::new(Protocol::Transfer.name()));
        let incoming = incoming.map_err(|error| transport(&error))?;
        tokio::spawn(accept_transfers(incoming, events.clone()));
        Ok(Self { swarm, control, commands, events, queues: BTreeMap::new(), lookups: HashMap::new() })
    }

    pub(super) async fn run(mut self) {
        loop {
            let event = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    // The net was dropped.
                    None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
            };
            if let Some(event) = event
                && self.events.send(event).await.is_err()
            {
                return;
            }
        }
    }

    fn on_command(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Send { peer, protocol, frame } => return self.send(peer, protocol, frame),
            Command::OpenStream { peer, stream } => {
                tokio::spawn(open_transfer(self.control.clone(), peer, stream, self.events.clone()));
            }
            Command::Dial(address) => return self.dial(address),
            Command::DialPeer(peer) => {
                let id = id_of(peer)?;
                if !self.swarm.is_connected(&id) {
                    return self.dial(id);
                }
            }
            Command::Disconnect(peer) => {
                // Not connected is what was asked for.
                let _ = self.swarm.disconnect_peer_id(id_of(peer)?);
            }
            Command::Block(peer) => {
                self.swarm.behaviour_mut().blocked.block_peer(id_of(peer)?);
            }
            Command::Unblock(peer) => {
                self.swarm.behaviour_mut().blocked.unblock_peer(id_of(peer)?);
            }
            Command::Provide(capsule) => {
                if let Err(error) = self.swarm.behaviour_mut().kad.start_providing(key_of(capsule)) {
                    debug!(%capsule, %error, "the distributed table does not take it");
                }
            }
            Command::StopProviding(capsule) => self.swarm.behaviour_mut().kad.stop_providing(&key_of(capsule)),
            Command::FindProviders(capsule) => {
                let query = self.swarm.behaviour_mut().kad.get_providers(key_of(capsule));
                self.lookups.insert(query, capsule);
            }
        }
        None
    }

    fn dial(&mut self, to: impl Into<DialOpts>) -> Option<Event> {
        let to = to.into();
        let peer = to.get_peer_id().as_ref().and_then(peer_of);
        match self.swarm.dial(to) {
            // Already being dialled.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => None,
            Err(error) => Some(Event::DialFailed { peer, why: error.to_string() }),
        }
    }

    fn send(&mut self, peer: PeerId, protocol: Protocol, frame: Bytes) -> Option<Event> {
        let id = id_of(peer)?;
        let is_lasting = Protocol::LASTING.contains(&protocol);
        if !is_lasting || !self.swarm.is_connected(&id) || frame.len() > protocol.frame_bytes_max() {
            return Some(Event::Dropped { peer, protocol });
        }
        let control = &self.control;
        let queue = self.queues.entry((peer, protocol)).or_insert_with(|| {
            let (frames, waiting) = mpsc::channel(protocol.queue_max());
            let bytes = Arc::new(AtomicUsize::new(0));
            tokio::spawn(deliver(control.clone(), id, protocol, waiting, bytes.clone()));
            Queue { frames, bytes }
        });
        let length = frame.len();
        let waiting = queue.bytes.fetch_add(length, Ordering::SeqCst);
        let fits = waiting == 0 || waiting + length <= protocol.queue_bytes_max();
        let sent = if fits { queue.frames.try_send(frame) } else { Err(TrySendError::Full(frame)) };
        match sent {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => {
                queue.bytes.fetch_sub(length, Ordering::SeqCst);
                Some(Event::Dropped { peer, protocol })
            }
            Err(TrySendError::Closed(_)) => {
                // The stream broke; the next frame opens another one.
                self.queues.remove(&(peer, protocol));
                Some(Event::Dropped { peer, protocol })
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) -> Option<Event> {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => Some(Event::Listening(address)),
            SwarmEvent::ExternalAddrConfirmed { address } => Some(Event::Reachable(address)),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, num_established, .. } => {
                if num_established.get() > 1 {
                    return None;
                }
                let Some(peer) = peer_of(&peer_id) else {
                    // Only Ed25519 keys are names here.
                    let _ = self.swarm.disconnect_peer_id(peer_id);
                    return None;
                };
                let ip = ip_of(endpoint.get_remote_address());
                Some(Event::Connected { peer, outbound: endpoint.is_dialer(), ip })
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                let peer = peer_of(&peer_id)?;
                for protocol in Protocol::LASTING {
                    self.queues.remove(&(peer, protocol));
                }
                Some(Event::Disconnected { peer })
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                Some(Event::DialFailed { peer: peer_id.as_ref().and_then(peer_of), why: error.to_string() })
            }
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            event => {
                trace!(?event, "nothing to do");
                None
            }
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) -> Option<Event> {
        match event {
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.learn(peer, vec![address.clone()]);
                    if !self.swarm.is_connected(&peer) {
                        let to = DialOpts::peer_id(peer).addresses(vec![address]).build();
                        // Both sides find each other; one of the two connections is enough.
                        let _ = self.swarm.dial(to);
                    }
                }
                None
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                if speaks_kad(&info.protocols) {
                    self.learn(peer_id, info.listen_addrs);
                }
                None
            }
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetProviders(result),
                step,
                ..
            }) => {
                let capsule = *self.lookups.get(&id)?;
                if step.last {
                    self.lookups.remove(&id);
                }
                let peers = match result {
                    Ok(kad::GetProvidersOk::FoundProviders { providers, .. }) => {
                        providers.iter().filter_map(peer_of).collect()
                    }
                    Ok(kad::GetProvidersOk::FinishedWithNoAdditionalRecord { .. }) | Err(_) => Vec::new(),
                };
                Some(Event::Providers { capsule, peers, is_last: step.last })
            }
            event => {
                trace!(?event, "nothing to do");
                None
            }
        }
    }
}

impl Task {
    /// Takes a peer's addresses into the distributed table. One that says more and more of them begins anew.
    fn learn(&mut self, peer: libp2p::PeerId, addresses: Vec<Multiaddr>) {
        let kad = &mut self.swarm.behaviour_mut().kad;
        let known = kad.kbucket(peer).map_or(0, |bucket| {
            let entry = bucket.iter().find(|entry| *entry.node.key.preimage() == peer);
            entry.map_or(0, |entry| entry.node.value.len())
        });
        if known + addresses.len() > ADDRESSES_PER_PEER_MAX {
            kad.remove_peer(&peer);
        }
        for address in addresses.into_iter().take(ADDRESSES_PER_PEER_MAX) {
            kad.add_address(&peer, address);
        }
    }
}

fn key_of(capsule: CapsuleId) -> kad::RecordKey {
    kad::RecordKey::new(capsule.as_bytes())
}

/// The host of an address; none of a relayed one, whose host is the relay.
fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    if address.iter().any(|part| part == Part::P2pCircuit) {
        return None;
    }
    address.iter().find_map(|part| match part {
        Part::Ip4(ip) => Some(IpAddr::V4(ip)),
        Part::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    })
}

/// Takes the streams that peers open, so many of each at once: what came of a frame is in memory until it is whole.
async fn accept(mut incoming: IncomingStreams, protocol: Protocol, events: EventSender) {
    let mut open: HashMap<PeerId, VecDeque<AbortHandle>> = HashMap::new();
    while let Some((id, stream)) = incoming.next().await {
        let Some(peer) = peer_of(&id) else { continue };
        open.retain(|_, streams| {
            streams.retain(|stream| !stream.is_finished());
            !streams.is_empty()
        });
        let streams = open.entry(peer).or_default();
        if streams.len() >= LASTING_PER_PEER_MAX
            && let Some(oldest) = streams.pop_front()
        {
            // Whoever means well opens another one only when the last one broke.
            oldest.abort();
        }
        streams.push_back(tokio::spawn(receive(peer, protocol, stream, events.clone())).abort_handle());
    }
}

/// Takes the transfer streams that peers open, so many of each at once.
async fn accept_transfers(mut incoming: IncomingStreams, events: EventSender) {
    let mut open: HashMap<PeerId, Arc<Semaphore>> = HashMap::new();
    let mut number = 1;
    while let Some((id, stream)) = incoming.next().await {
        let Some(peer) = peer_of(&id) else { continue };
        open.retain(|_, slots| slots.available_permits() < STREAMS_PER_PEER_MAX);
        let slots = open.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(STREAMS_PER_PEER_MAX)));
        let Ok(permit) = slots.clone().try_acquire_owned() else {
            debug!(%peer, "a transfer stream above the peer's share is dropped");
            continue;
        };
        tokio::spawn(stream::run(peer, number, stream, events.clone(), Some(permit)));
        number += 2;
    }
}

async fn open_transfer(mut control: Control, peer: PeerId, number: u64, events: EventSender) {
    let opened = match id_of(peer) {
        Some(id) => control.open_stream(id, StreamProtocol::new(Protocol::Transfer.name())).await,
        None => Err(OpenStreamError::UnsupportedProtocol(StreamProtocol::new(Protocol::Transfer.name()))),
    };
    match opened {
        Ok(opened) => stream::run(peer, number, opened, events, None).await,
        Err(error) => {
            debug!(%peer, %error, "no transfer stream");
            // Nobody listens any more when this fails.
            let _ = events.send(Event::StreamClosed { peer, stream: number }).await;
        }
    }
}

/// Reads a peer's frames until its stream ends.
async fn receive(peer: PeerId, protocol: Protocol, mut stream: libp2p::Stream, events: EventSender) {
    loop {
        match frames::read(&mut stream, protocol.frame_bytes_max()).await {
            Ok(Some(frame)) => {
                // When too much waits, this peer waits as well.
                if events.send(Event::Frame { peer, protocol, frame }).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                debug!(%peer, ?protocol, %error, "a stream ends");
                return;
            }
        }
    }
}

/// Opens a stream to a peer and writes its frames, until nobody hands in any more or the stream breaks.
async fn deliver(
    mut control: Control,
    id: libp2p::PeerId,
    protocol: Protocol,
    mut frames: Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
) {
    let mut stream = match control.open_stream(id, StreamProtocol::new(protocol.name())).await {
        Ok(stream) => stream,
        Err(error) => {
            debug!(%id, ?protocol, %error, "no stream");
            return;
        }
    };
    while let Some(frame) = frames.recv().await {
        let written = async {
            frames::write(&mut stream, &[&frame]).await?;
            // As many as wait go together.
            if frames.is_empty() { stream.flush().await } else { Ok(()) }
        };
        if let Err(error) = written.await {
            debug!(%id, ?protocol, %error, "a stream breaks");
            return;
        }
        waiting.fetch_sub(frame.len(), Ordering::SeqCst);
    }
    // It ends either way.
    let _ = stream.close().await;
}
