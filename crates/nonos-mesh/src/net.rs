//! Net: commands in, events out, and in between a libp2p swarm in a task of its own.
//!
//! Of gossip and beacon, each side of a connection opens one stream and writes frames to it; it reads the other side's.
//! Of transfer, each session is one stream, which both sides write to: see [`StreamWriter`]. A frame is its length, four
//! bytes, little-endian, and so many bytes. Who reads slowly is written to slowly, and what does not fit its queue is
//! dropped and counted: nothing here grows with what a peer does.

mod behaviour;
mod events;
mod frames;
mod stream;
mod task;

pub use stream::{STREAM_QUEUE_BYTES_HIGH, STREAM_QUEUE_BYTES_LOW, STREAM_QUEUE_FRAMES_MAX, StreamWriter};

use bytes::Bytes;
use libp2p::{Multiaddr, identity::Keypair};
use nonos_mesh_proto::PeerId;
use nonos_types::CapsuleId;
use std::net::IpAddr;
use thiserror::Error;
use tokio::sync::mpsc;

/// Most connections at once.
pub const CONNECTIONS_MAX: u32 = 256;
/// Most of them that others began: whoever fills them keeps no node from beginning its own.
pub const CONNECTIONS_INCOMING_MAX: u32 = CONNECTIONS_MAX / 4 * 3;
/// Most connections with one peer.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// Most events that wait; then nothing more is read from anybody.
const EVENTS_MAX: usize = 1_024;
/// Most bytes of frames that wait, in all.
pub const EVENT_BYTES_MAX: usize = 64 << 20;
/// Most transfer streams that one peer has open here at once, by its own choice.
pub const STREAMS_PER_PEER_MAX: usize = 16;
/// Most streams of gossip, and of beacon, that one peer has open here at once; with one more its oldest ends.
pub const LASTING_PER_PEER_MAX: usize = 2;
/// Most addresses of one peer in the distributed table.
const ADDRESSES_PER_PEER_MAX: usize = 16;

/// What a frame is about. Each has a stream of its own, so that bulk bytes hold up nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `docs/spec/61-gossip.md`.
    Gossip,
    /// `docs/spec/60-beacon.md`: questions and answers.
    Beacon,
    /// `docs/spec/62-transfer.md`.
    Transfer,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gossip, Self::Beacon, Self::Transfer];
    /// Those with one stream each way for a whole connection.
    pub(crate) const LASTING: [Self; 2] = [Self::Gossip, Self::Beacon];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gossip => "/nonos/gossip/1",
            Self::Beacon => "/nonos/beacon/1",
            Self::Transfer => "/nonos/transfer/1",
        }
    }

    /// Most bytes of a frame.
    #[must_use]
    pub const fn frame_bytes_max(self) -> usize {
        match self {
            Self::Gossip => 4 << 20,
            Self::Beacon => 1 << 20,
            Self::Transfer => nonos_mesh_proto::transfer::FRAME_BYTES_MAX,
        }
    }

    /// Most bytes that wait to be written to one peer, but for a frame when none does. Frames of gossip are shared by all
    /// peers, and more than it serves one peer at once fits; answers are not.
    const fn queue_bytes_max(self) -> usize {
        match self {
            Self::Gossip => 80 << 20,
            Self::Beacon => 4 << 20,
            Self::Transfer => 0,
        }
    }

    /// Most frames that wait to be written to one peer.
    const fn queue_max(self) -> usize {
        match self {
            Self::Gossip | Self::Beacon => 256,
            // Each of its streams has a queue of its own.
            Self::Transfer => 0,
        }
    }
}

/// How to begin.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Who this is: the seed of an Ed25519 key that belongs to the node, not to anybody who is paid.
    pub seed: [u8; 32],
    /// Where to listen: UDP addresses for QUIC.
    pub listen: Vec<Multiaddr>,
    /// Peers to begin with; none are needed on a local network.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to find and be found on the local network.
    pub local_discovery: bool,
}

/// What the net is told to do.
#[derive(Debug)]
pub enum Command {
    /// Writes a frame of gossip or beacon. When the peer's queue is full it is dropped, and [`Event::Dropped`] says so.
    Send {
        /// To whom.
        peer: PeerId,
        /// On which stream.
        protocol: Protocol,
        /// What.
        frame: Bytes,
    },
    /// Opens a transfer stream to a peer that is connected. [`Event::StreamOpened`] or [`Event::StreamClosed`] follows.
    OpenStream {
        /// To whom.
        peer: PeerId,
        /// By which number: an even one that this side has not used.
        stream: u64,
    },
    /// Connects to an address.
    Dial(Multiaddr),
    /// Connects to a peer whose addresses are known or can be looked up.
    DialPeer(PeerId),
    /// Ends all connections with a peer.
    Disconnect(PeerId),
    /// Ends them and takes no others.
    Block(PeerId),
    /// Takes a peer's connections again.
    Unblock(PeerId),
    /// Says in the distributed table that this node has a capsule.
    Provide(CapsuleId),
    /// Says so no more.
    StopProviding(CapsuleId),
    /// Looks up who has a capsule.
    FindProviders(CapsuleId),
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// It listens there.
    Listening(Multiaddr),
    /// A first connection with a peer.
    Connected {
        /// With whom.
        peer: PeerId,
        /// Whether this side began.
        outbound: bool,
        /// From which host; none when it is relayed.
        ip: Option<IpAddr>,
    },
    /// The last connection with a peer has ended.
    Disconnected {
        /// With whom.
        peer: PeerId,
    },
    /// A frame of gossip or beacon came in.
    Frame {
        /// From whom.
        peer: PeerId,
        /// On which stream.
        protocol: Protocol,
        /// What.
        frame: Bytes,
    },
    /// A transfer stream is there: an even number is ours, an odd one the peer's.
    StreamOpened {
        /// With whom.
        peer: PeerId,
        /// Its number.
        stream: u64,
        /// To write to it. The stream ends when this is dropped and what was written is sent.
        writer: StreamWriter,
    },
    /// A frame came in on a transfer stream.
    StreamFrame {
        /// From whom.
        peer: PeerId,
        /// On which stream.
        stream: u64,
        /// What.
        frame: Bytes,
    },
    /// A transfer stream takes frames again, after [`StreamWriter::send`] said that it is full.
    StreamWritable {
        /// Whose.
        peer: PeerId,
        /// Which.
        stream: u64,
    },
    /// A transfer stream has ended, or could not be opened.
    StreamClosed {
        /// With whom.
        peer: PeerId,
        /// Which.
        stream: u64,
    },
    /// A frame was not written: the peer reads too slowly, or is gone.
    Dropped {
        /// To whom it was.
        peer: PeerId,
        /// On which stream.
        protocol: Protocol,
    },
    /// Some of those who say that they have a capsule.
    Providers {
        /// Which capsule.
        capsule: CapsuleId,
        /// Who.
        peers: Vec<PeerId>,
        /// Whether the search is over.
        is_last: bool,
    },
    /// Others reach this node there.
    Reachable(Multiaddr),
    /// A connection could not be made.
    DialFailed {
        /// To whom, where that is known.
        peer: Option<PeerId>,
        /// Why.
        why: String,
    },
}

/// Why there is no net.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// The seed gives no key.
    #[error("the node's seed gives no key")]
    Seed,
    /// The system gives no socket for finding peers on the local network.
    #[error("finding peers on the local network: {0}")]
    Discovery(std::io::Error),
    /// The transport could not be made.
    #[error("the transport: {0}")]
    Transport(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which.
        address: Multiaddr,
        /// Why.
        why: String,
    },
    /// The task has ended.
    #[error("the net has ended")]
    Ended,
}

/// A running net. It ends when this is dropped.
#[derive(Debug)]
pub struct Net {
    peer: PeerId,
    /// Without a bound: whoever gives commands does so for events that it took, and waiting here while the net waits
    /// there would be for ever.
    commands: mpsc::UnboundedSender<Command>,
    events: events::EventReceiver,
}

impl Net {
    /// Starts it. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn start(config: &NetConfig) -> Result<Self, NetError> {
        let key = Keypair::ed25519_from_bytes(config.seed).map_err(|_| NetError::Seed)?;
        let peer = peer_of(&key.public().to_peer_id()).ok_or(NetError::Seed)?;
        let (commands, commands_in) = mpsc::unbounded_channel();
        let (events_out, events) = events::channel();
        let task = task::Task::new(&key, config, commands_in, events_out)?;
        tokio::spawn(task.run());
        Ok(Self { peer, commands, events })
    }

    /// Who this is.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Tells it to do something.
    ///
    /// # Errors
    /// [`NetError::Ended`].
    pub fn command(&self, command: Command) -> Result<(), NetError> {
        self.commands.send(command).map_err(|_| NetError::Ended)
    }

    /// The next thing that happened; none when it has ended.
    pub async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// The Ed25519 key in a libp2p peer id; none when it is of another kind.
#[must_use]
pub fn peer_of(id: &libp2p::PeerId) -> Option<PeerId> {
    // An identity multihash: code 0, length, the key in its protobuf.
    let bytes = id.to_bytes();
    let key = libp2p::identity::PublicKey::try_decode_protobuf(bytes.get(2..)?).ok()?;
    Some(PeerId::from_bytes(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The libp2p peer id of an Ed25519 key; none when the bytes are no key.
#[must_use]
pub fn id_of(peer: PeerId) -> Option<libp2p::PeerId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(peer.as_bytes()).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests;
