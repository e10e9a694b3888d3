//! A peer of the mesh.
//!
//! In: a folder, a key, what its operator asks for, what peers say. Out: capsules held, announced, found and fetched;
//! evidence kept and passed on. [`Node`] is the assembly: one event loop that joins the state machines of
//! `nonos-mesh-proto` to the sockets of `nonos-mesh` and the file of `nonos-store`; it decides nothing that they decide.
//! [`api`] is what whoever runs it talks to. Spec: `docs/spec/65-node.md`.

#![forbid(unsafe_code)]

pub mod api;
pub mod bundle;
mod clock;
mod config;
pub mod content;
mod core;
mod error;
mod handle;
pub mod proofs;
mod view;

pub use config::{NodeConfig, PEER_KEY_FILE, peer_seed};
pub use error::{NodeError, RequestError};
pub use handle::{FetchState, FetchWatch, Node, NodeHandle};
pub use view::{
    EvidenceRow, FetchView, FoundRow, HolderRow, HoldingRow, ImportView, KeyRow, PeerRow, PolicyRow, SeededView,
    SeederView, StatusView,
};
