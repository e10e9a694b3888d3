//! Tests of the mesh from outside: `nonos node` as processes of their own, on this host and on hosts of their own (network
//! namespaces, where the system lets us make some).

// Everything here is for these tests alone.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::print_stderr)]

#[path = "cli/assembly.rs"]
mod assembly;
#[path = "mesh/hosts.rs"]
mod hosts;
#[path = "mesh/liar.rs"]
mod liar;
#[path = "mesh/lives.rs"]
mod lives;
#[path = "cli/making.rs"]
mod making;
#[path = "mesh/peer.rs"]
mod peer;
#[path = "mesh/transfers.rs"]
mod transfers;
