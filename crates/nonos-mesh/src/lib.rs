//! Sockets and timers for the mesh.
//!
//! [`Net`] connects, finds peers on the local network and beyond, and carries frames; what a frame means and what is done
//! about it is decided in `nonos-mesh-proto`. Connections are QUIC with X25519MLKEM768; a relayed one is TLS 1.3 with the
//! same. Spec: `docs/spec/64-net.md`.

#![forbid(unsafe_code)]

pub mod net;

pub use net::{Command, Event, Net, NetConfig, NetError, Protocol};
