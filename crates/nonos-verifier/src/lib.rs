//! Verifier.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod codec;
pub mod config;
pub mod parameters;
pub mod proof;
pub mod shape;
