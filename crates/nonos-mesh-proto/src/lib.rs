//! What peers say to each other, as state machines.
//!
//! An event and the time go in, events come out: a message to a peer, a timer to set, something to tell the node. No socket,
//! no clock, no disk, no randomness of its own; `nonos-mesh` has them, and `nonos-sim` has thousands of nodes of this
//! crate in one thread.
//!
//! Spec: `docs/spec/60-beacon.md`, `61-gossip.md`, `62-transfer.md`, `63-trust.md`.

#![forbid(unsafe_code)]

mod peer;

pub mod beacon;
pub mod gossip;
pub mod transfer;
pub mod trust;

pub use peer::PeerId;
