//! A ledger in one file.
//!
//! [`Store`] keeps the book of a [`nonos_ledger::Ledger`] in a redb database. An event is written whole or not at all, and
//! is acknowledged only when it is on the disk. [`Writer`] takes commands from many threads and writes all that are waiting
//! in one transaction. Spec: `docs/spec/55-store.md`. [`mesh::MeshStore`] is another file: what a node remembers of the mesh.

#![forbid(unsafe_code)]

mod book;
mod command;
pub mod crash;
mod error;
pub mod mesh;
mod store;
pub mod workload;
mod writer;

pub use book::{ReadBook, WriteBook};
pub use command::{Command, CommandError};
pub use error::StoreError;
pub use store::{FORMAT_VERSION, REFUSED_MAX, REFUSED_WHY_BYTES_MAX, Store};
pub use writer::{GROUP_MAX, Pending, Writer};
