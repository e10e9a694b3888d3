//! Tests of the beacon, by what they are about.

mod announcement;
mod index;
mod inventory;
mod machine;
mod query;
