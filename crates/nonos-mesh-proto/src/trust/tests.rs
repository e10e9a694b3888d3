//! Tests of trust, by what they are about.

mod book;
mod evidence;
mod laws;
mod snapshot;
