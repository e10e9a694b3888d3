//! Workload: events of a made-up time, for benchmarks and for tests that crash.
//!
//! Capsules, keys and runs are made up; tickets are really signed, so that what is written has the size of what is written in
//! earnest. Repeatable: the same numbers give the same events.

use nonos_capsule::Rung;
use nonos_keys::{SecretKey, Validity};
use nonos_ledger::{DomainName, Event, FeeTable, Seeder, Ticket, TicketDecodeError};
use nonos_types::{
    Amount, CapsuleId, Digest, Hash32, ImageId, KeyId, TicketId,
    codec::{CodecError, Writer},
};
use nonos_verifier::{Claim, Status};
use std::num::NonZeroU64;

/// When it begins, in seconds since 1970-01-01 UTC.
pub const START_S: u64 = 1_700_000_000;
/// After so many tickets the batch is closed.
pub const TICKETS_PER_BATCH: u64 = 256;

/// Everything that happens to a ledger, in order, each event with its time. The first one is for a ledger that is open.
///
/// Each ticket is promised and then, but for each sixteenth, run and proven, each eighth by two executors. What is not run
/// is void in the end.
///
/// # Errors
/// None: the numbers in it are within all limits.
pub fn events(tickets: u64) -> Result<Vec<(Event, u64)>, WorkloadError> {
    let table = table()?;
    let payers: Vec<SecretKey> = (0..8).map(|number| SecretKey::from_seed(&[number; 64], Validity::ALWAYS)).collect();
    let mut events = vec![(Event::Terms { table: Box::new(table.clone()) }, START_S)];
    let mut late: Vec<TicketId> = Vec::new();
    for number in 0..tickets {
        let now_s = START_S + number / 64;
        let ticket = ticket(&table, number, now_s).sign(&payers[(number % 8) as usize])?;
        events.push((Event::Promised { ticket: Box::new(ticket.clone()) }, now_s));
        let runs = match number % 16 {
            15 => 0,
            7 | 3 => 2,
            _ => 1,
        };
        if runs == 0 {
            late.push(ticket.id());
        }
        for run in 0..runs {
            let event = received(&ticket.ticket().clone(), ticket.id(), ticket.seed(), number + run);
            events.push((event, now_s));
        }
        if number % TICKETS_PER_BATCH == TICKETS_PER_BATCH - 1 {
            events.push((Event::Closed, now_s));
        }
    }
    let after_s = START_S + tickets / 64 + 3_600 + 601;
    events.extend(late.into_iter().map(|ticket| (Event::Voided { ticket }, after_s)));
    Ok(events)
}

/// Enough for all payers of the workload.
#[must_use]
pub const fn limit() -> Amount {
    Amount::MAX
}

fn ticket(table: &FeeTable, number: u64, issued_s: u64) -> Ticket {
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Ticket {
        domain: DomainName::local(),
        capsule_id: table.capsule_id(),
        input_commitment: Digest::ZERO,
        fee_ceiling: Amount::from_units(10_000_000).unwrap_or_default(),
        cycles_ceiling: table.fuel_cycles(),
        rung: Rung::Stark,
        hiding: false,
        executor: None,
        issued_s,
        deadline_s: issued_s + 3_600,
        nonce,
    }
}

fn received(ticket: &Ticket, id: TicketId, seed: [u8; 32], number: u64) -> Event {
    let claim = Claim {
        capsule_id: ticket.capsule_id,
        image_id: ImageId::from_digest(Digest::ZERO),
        ticket_id: id,
        executor_id: key(100 + number % 16),
        ticket_seed: seed,
        ticket_time_s: ticket.issued_s,
        fuel_cycles: ticket.cycles_ceiling,
        input_commitment: ticket.input_commitment,
        output_commitment: Digest::ZERO,
        transcript: Digest::ZERO,
        first: Digest::ZERO,
        last: Digest::ZERO,
        cycles: 100_000 + number % 1_000,
        segments: 1,
        status: Status::Halted { status: 0 },
        hiding: false,
    };
    let mut seeders: Vec<Seeder> = (0..2)
        .map(|one| Seeder {
            key: key(200 + (number + one) % 8),
            bytes: NonZeroU64::MIN.saturating_add(4_096 * (one + 1)),
        })
        .collect();
    seeders.sort_by_key(|seeder| seeder.key);
    let hash = |tag: u8| {
        let mut bytes = [tag; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Hash32::from_bytes(bytes)
    };
    Event::Received { claim: Box::new(claim), seeders, proofs: hash(1), witness: hash(2) }
}

fn key(number: u64) -> KeyId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    KeyId::from_bytes(bytes)
}

/// A capsule with one author and two dependencies.
fn table() -> Result<FeeTable, CodecError> {
    let mut w = Writer::new();
    let keys = |w: &mut Writer, number: u64| {
        w.count(1);
        w.raw(key(number).as_bytes());
    };
    w.raw(CapsuleId::from_bytes([7; 32]).as_bytes());
    w.raw(&Digest::ZERO.to_bytes());
    for fee in [1_000_003u128, 7_001, 50_021] {
        w.u128(fee);
    }
    for share in [4_000, 2_000, 2_000, 2_000] {
        w.u16(share);
    }
    w.u64(1_000_000);
    w.u8(Rung::Stark as u8);
    w.bool(false);
    keys(&mut w, 1);
    w.count(2);
    for (name, points) in [("one", 500), ("two", 1_500)] {
        w.str(name);
        w.raw(CapsuleId::from_bytes([8; 32]).as_bytes());
        w.u16(points);
        keys(&mut w, u64::from(points));
        w.count(0);
    }
    FeeTable::from_bytes(&w.finish())
}

/// Why there are no events: a defect of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// The fee table.
    #[error(transparent)]
    Table(#[from] CodecError),
    /// A ticket.
    #[error(transparent)]
    Ticket(#[from] TicketDecodeError),
}
