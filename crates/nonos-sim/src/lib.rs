//! Thousands of peers in one thread.
//!
//! In: a [`Scenario`] and a seed. Out: a [`Report`]. Each honest node is the very [`nonos_mesh_proto::gossip::Router`] and
//! [`nonos_mesh_proto::trust::Trust`] of a real one; attackers have them too and do with them what their attack needs. Time
//! is simulated, and nothing but the seed decides: the same two give the same report to the bit. What is simulated away:
//! where an attack is not about what messages say, a message carries its verdict in its first byte; and checking one takes
//! a few milliseconds.
//! Spec: `docs/spec/61-gossip.md`, section "Simulator".

#![forbid(unsafe_code)]

mod accusation;
mod attack;
mod judge;
mod keys;
mod message;
mod report;
mod scenario;
mod seeding;
mod world;

pub use attack::Attack;
pub use report::{Cost, Report};
pub use scenario::{Scenario, scenarios};

/// Plays a scenario to its end.
#[must_use]
pub fn simulate(scenario: &Scenario, seed: u64) -> Report {
    let mut world = world::World::new(scenario, seed);
    world.run();
    world.report()
}

#[cfg(test)]
mod tests;
