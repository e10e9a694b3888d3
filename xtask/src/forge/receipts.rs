//! Forged receipts: changed claims, segments and bytes, replays, and proofs that a dishonest prover really made.

use anyhow::{Result, ensure};
use nonos_air::{
    F,
    check::{Message, check_rows},
    machine::Chip,
};
use nonos_image::{Image, UNSALTED};
use nonos_prover::{
    Request,
    prove::{prove, prove_altered},
};
use nonos_testkit::two_segment_program;
use nonos_types::{CapsuleId, KeyId, TicketId};
use nonos_verifier::{Receipt, Status, verify};
use nonos_vm::Job;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// One receipt forgery in this many is a real proof of wrong tables.
const PROVEN_ONE_IN: u64 = 10;
/// Cells that are tried until one of them states something.
const PICKS_MAX: usize = 50;

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tried: u64,
    /// How many of them are real proofs of wrong tables.
    pub(super) proven: u64,
    pub(super) accepted: Vec<String>,
    pub(super) honest_tried: u64,
    pub(super) honest_rejected: u64,
    /// Which step of the verifier objected.
    pub(super) by_step: BTreeMap<String, u64>,
}

fn request(image: &Image, hiding: bool) -> Result<Request<'_>> {
    let salt = if hiding { [9; 8] } else { UNSALTED };
    Ok(Request {
        image,
        image_salt: UNSALTED,
        capsule_id: CapsuleId::from_bytes([1; 32]),
        ticket_id: TicketId::from_bytes([2; 32]),
        executor_id: KeyId::from_bytes([3; 32]),
        job: Job::new(&[5, 0, 0, 0, 6, 7], salt, 1 << 30)?,
        input_salt: salt,
        hiding,
    })
}

/// The bytes of a receipt in each mode.
pub(crate) fn honest_receipts() -> Result<Vec<Vec<u8>>> {
    let image = two_segment_program(20);
    let mut receipts = Vec::new();
    for hiding in [false, true] {
        let mut rng = StdRng::seed_from_u64(1);
        receipts.push(prove(&request(&image, hiding)?, &mut rng, &mut |_| {})?.to_bytes());
    }
    Ok(receipts)
}

pub(super) fn forge(tries: u64, random: &mut StdRng, late: &dyn Fn() -> bool) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    // Two runs of the same program text but for a number, in both modes, to swap parts between.
    let images = [two_segment_program(20), two_segment_program(21)];
    let mut honest: Vec<Receipt> = Vec::new();
    for hiding in [false, true] {
        for image in &images {
            let mut rng = StdRng::seed_from_u64(random.random());
            let receipt = prove(&request(image, hiding)?, &mut rng, &mut |_| {})?;
            outcome.honest_tried += 1;
            outcome.honest_rejected += u64::from(verify(&receipt).is_err());
            honest.push(receipt);
        }
    }
    ensure!(honest.iter().all(|receipt| receipt.segments.len() == 2), "the program has two segments");
    while outcome.tried < tries && !late() {
        let which = random.random_range(0..honest.len());
        if outcome.tried.is_multiple_of(PROVEN_ONE_IN) {
            let hiding = random.random_range(0..4) == 0;
            let image = &images[random.random_range(0..images.len())];
            let Some((what, forged)) = wrong_tables(&request(image, hiding)?, random)? else { continue };
            outcome.proven += 1;
            outcome.judge(&what, &forged);
            continue;
        }
        let mut forged = honest[which].clone();
        let other = &honest[which ^ 1];
        let what = change(&mut forged, other, random);
        if forged == honest[which] {
            continue;
        }
        // Through the bytes, as it would arrive.
        match Receipt::from_bytes(&forged.to_bytes()) {
            Ok(forged) => outcome.judge(&what, &forged),
            Err(_) => outcome.count("V1"),
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn count(&mut self, step: &str) {
        self.tried += 1;
        *self.by_step.entry(step.to_owned()).or_default() += 1;
    }

    fn judge(&mut self, what: &str, forged: &Receipt) {
        match catch_unwind(AssertUnwindSafe(|| verify(forged))) {
            Ok(Err(error)) => self.count(error.to_string().split(':').next().unwrap_or_default()),
            Ok(Ok(_)) => {
                self.count("none");
                self.accepted.push(format!("receipt: {what}"));
            }
            Err(_) => {
                self.count("panic");
                self.accepted.push(format!("receipt: the verifier panicked at {what}"));
            }
        }
    }
}

/// A dishonest prover: wrong tables, really proven. `None` where the proof library itself gave up.
fn wrong_tables(request: &Request<'_>, random: &mut StdRng) -> Result<Option<(String, Receipt)>> {
    let target = random.random_range(0..2);
    let mut what = None;
    let mut rng = StdRng::seed_from_u64(random.random());
    let proven = catch_unwind(AssertUnwindSafe(|| {
        prove_altered(request, &mut rng, &mut |_| {}, &mut |segment, tables| {
            if segment != target {
                return;
            }
            for _ in 0..PICKS_MAX {
                let table = random.random_range(0..tables.tables.len());
                let (chip, trace) = &mut tables.tables[table];
                // The first rows are those that say something.
                let rows = (trace.values.len() / trace.width).min(16);
                let (row, column) = (random.random_range(0..rows), random.random_range(0..trace.width));
                let by = random.random_range(1..1 << 16);
                let before = says(*chip, trace);
                trace.values[row * trace.width + column] += F::from_u32(by);
                if says(*chip, trace) != before {
                    what = Some(format!("segment {segment}, {}, row {row}, column {column}, + {by}", chip.name()));
                    return;
                }
                // Another witness of the same statement is no forgery.
                trace.values[row * trace.width + column] -= F::from_u32(by);
            }
        })
    }));
    let Some(what) = what else { return Ok(None) };
    match proven {
        Ok(receipt) => Ok(Some((what, receipt?))),
        Err(_) => Ok(None),
    }
}

/// What the first rows of a table say, and which constraints fail there. The public values are left out: they are the same
/// before and after.
fn says(chip: Chip, trace: &RowMajorMatrix<F>) -> (Vec<(usize, usize)>, BTreeMap<Message, F>) {
    let public = vec![F::ZERO; chip.public_values()];
    let rows = (trace.values.len() / trace.width).min(17);
    let report = check_rows(trace, &public, 0..rows, |builder| chip.eval(builder));
    (report.failures, report.messages)
}

/// Changes a receipt in one way; says which.
fn change(receipt: &mut Receipt, other: &Receipt, random: &mut StdRng) -> String {
    let flip = |bytes: &mut [u8], random: &mut StdRng| {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        at
    };
    let segments = receipt.segments.len();
    let one = random.random_range(0..segments);
    let claim = &mut receipt.claim;
    match random.random_range(0..30) {
        0 => claim.capsule_id = CapsuleId::from_bytes(random.random()),
        1 => claim.ticket_id = TicketId::from_bytes(random.random()),
        2 => claim.executor_id = KeyId::from_bytes(random.random()),
        3 => claim.ticket_seed[random.random_range(0..32)] ^= 1,
        4 => claim.ticket_time_s ^= 1 << random.random_range(0..64),
        5 => claim.fuel_cycles ^= 1 << random.random_range(0..40),
        6 => claim.input_commitment = other.claim.last,
        7 => (claim.output_commitment, receipt.output) = (other.claim.last, None),
        8 => claim.transcript = other.claim.transcript,
        9 => claim.last = other.claim.last,
        10 => claim.first = other.claim.first,
        11 => claim.cycles ^= 1 << random.random_range(0..20),
        12 => claim.status = Status::Halted { status: random.random() },
        13 => {
            claim.status =
                Status::Trapped { trap: nonos_isa::Trap::ALL[random.random_range(0..nonos_isa::Trap::ALL.len())] };
        }
        14 => claim.hiding ^= true,
        15 => claim.image_id = other.claim.image_id,
        16 => (claim.image_id, receipt.image) = (other.claim.image_id, other.image),
        17 => {
            receipt.image = other.image;
            claim.image_id = other.claim.image_id;
            claim.first = other.claim.first;
        }
        18 => {
            let output = receipt.output.get_or_insert_default();
            output.push(0);
        }
        19 => {
            receipt.segments.remove(one);
            receipt.claim.segments -= 1;
        }
        20 => {
            receipt.segments.push(receipt.segments[one].clone());
            receipt.claim.segments += 1;
        }
        21 => receipt.segments.swap(0, segments - 1),
        22 => receipt.segments[one] = other.segments[one].clone(),
        23 => {
            let by = random.random_range(1..1 << 20);
            receipt.segments[0].cycles = receipt.segments[0].cycles.wrapping_add(by);
            receipt.segments[1].cycles = receipt.segments[1].cycles.wrapping_sub(by);
        }
        24 => receipt.segments[one].end = other.segments[one].end,
        25 => receipt.segments[one].parameters = random.random_range(0..24),
        26 => receipt.segments[one].chips ^= 1 << random.random_range(0..32),
        27 => receipt.segments[one].proof = other.segments[one].proof.clone(),
        _ => {
            let at = flip(&mut receipt.segments[one].proof, random);
            return format!("segment {one}, byte {at} of the proof");
        }
    }
    "a field".to_owned()
}
