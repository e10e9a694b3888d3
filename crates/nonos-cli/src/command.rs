//! Commands: one file each, which holds its arguments, what it does, and what it prints.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod exit_codes;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod keygen;
pub(crate) mod ledger;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod prove;
pub(crate) mod quote;
pub(crate) mod rebuild;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod sign;
pub(crate) mod sign_work;
pub(crate) mod ticket;
pub(crate) mod verify;
pub(crate) mod verify_package;
