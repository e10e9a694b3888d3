//! Real proofs: prove, encode, decode, verify.

use nonos_image::UNSALTED;
use nonos_prover::{Request, prove};
use nonos_testkit::two_segment_program;
use nonos_types::{CapsuleId, KeyId, TicketId};
use nonos_verifier::{Receipt, Status, VerifyError, verify, verify::statement};
use nonos_vm::Job;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn receipt(hiding: bool, seed: u64) -> Receipt {
    let image = two_segment_program(20);
    let salt = if hiding { [9; 8] } else { UNSALTED };
    let request = Request {
        image: &image,
        image_salt: UNSALTED,
        capsule_id: CapsuleId::from_bytes([1; 32]),
        ticket_id: TicketId::from_bytes([2; 32]),
        executor_id: KeyId::from_bytes([3; 32]),
        job: Job::new(&[5, 0, 0, 0, 6, 7], salt, 1 << 30).expect("a small input"),
        input_salt: salt,
        hiding,
    };
    prove(&request, &mut ChaCha20Rng::seed_from_u64(seed), &mut |_| {}).expect("an honest run")
}

fn survives(receipt: &Receipt) {
    let bytes = receipt.to_bytes();
    let again = Receipt::from_bytes(&bytes).expect("canonical bytes");
    assert_eq!((&again, again.to_bytes() == bytes), (receipt, true));
    let verified = verify(&again).expect("an honest receipt");
    assert_eq!(verified.claim().status, Status::Halted { status: 5 });
    assert!(verified.bits_proven() >= 100, "{}", verified.bits_proven());
    assert_eq!(receipt.segments.len(), 2);
}

#[test]
fn an_honest_receipt_verifies_and_nothing_changed_in_its_claim_does() {
    let honest = receipt(false, 1);
    survives(&honest);
    let refused = |what: &str, change: &dyn Fn(&mut Receipt)| {
        let mut changed = honest.clone();
        change(&mut changed);
        assert!(changed != honest, "{what} changes something");
        verify(&changed).expect_err(what)
    };
    // Replays: another capsule, ticket, executor, fuel, time.
    refused("a4_k1_capsule", &|r| r.claim.capsule_id = CapsuleId::from_bytes([8; 32]));
    refused("a4_ticket", &|r| r.claim.ticket_id = TicketId::from_bytes([8; 32]));
    refused("a4_executor", &|r| r.claim.executor_id = KeyId::from_bytes([8; 32]));
    refused("a4_fuel", &|r| r.claim.fuel_cycles += 1);
    refused("a4_time", &|r| r.claim.ticket_time_s += 1);
    refused("a4_seed", &|r| r.claim.ticket_seed[0] ^= 1);
    refused("i2_exit_code", &|r| r.claim.status = Status::Halted { status: 0 });
    refused("a4_input", &|r| r.claim.input_commitment = r.claim.first);
    refused("a4_output", &|r| {
        r.output = None;
        r.claim.output_commitment = r.claim.first;
    });
    refused("a4_transcript", &|r| r.claim.transcript = r.claim.first);
    assert_eq!(refused("v4", &|r| r.output = Some(vec![1])), VerifyError::Output);
    assert_eq!(refused("j5_first_root", &|r| r.claim.first = r.claim.last), VerifyError::Start);
    assert_eq!(refused("f2_image", &|r| r.image.layout.grants ^= 1), VerifyError::ImageId);
    refused("end", &|r| r.claim.last = r.claim.first);
    // Segments dropped, doubled, swapped, their fields changed.
    refused("j1_dropped", &|r| {
        r.segments.pop();
        r.claim.segments = 1;
    });
    refused("j1_first_dropped", &|r| {
        r.segments.remove(0);
        r.claim.segments = 1;
    });
    refused("j1_doubled", &|r| {
        r.segments.push(r.segments[1].clone());
        r.claim.segments = 3;
    });
    refused("j1_swapped", &|r| r.segments.swap(0, 1));
    refused("j1_none", &|r| r.segments.clear());
    let nothing = |r: &mut Receipt| {
        r.segments.clear();
        (r.claim.segments, r.claim.cycles, r.claim.last) = (0, 0, r.claim.first);
    };
    assert_eq!(refused("j1_nothing_at_all", &nothing), VerifyError::SegmentCount { got: 0, claimed: 0 });
    refused("cycles", &|r| {
        r.segments[0].cycles += 1;
        r.segments[1].cycles -= 1;
    });
    refused("total cycles", &|r| r.claim.cycles += 1);
    refused("boundary", &|r| r.segments[0].end = r.claim.first);
    refused("c9_parameters", &|r| r.segments[0].parameters = 1);
    refused("l3_mode", &|r| r.claim.hiding = true);
    for chip in 0..32 {
        refused("j8_chips", &|r| r.segments[0].chips ^= 1 << chip);
    }
    // Every part of a proof, by its bytes: a sample over the whole length, and its end.
    let length = honest.segments[0].proof.len();
    for at in (0..length).step_by(length / 97).chain(length - 5..length) {
        refused("m5_a byte of the proof", &|r| r.segments[0].proof[at] ^= 1 << (at % 8));
    }
    refused("m5_trailing", &|r| r.segments[0].proof.push(0));
    refused("m3_short", &|r| r.segments[0].proof.truncate(length / 2));
}

#[test]
fn a_hiding_receipt_verifies_and_two_of_one_run_share_no_commitment() {
    let (one, two) = (receipt(true, 1), receipt(true, 2));
    survives(&one);
    assert_eq!(one.claim.first, two.claim.first);
    assert_ne!(one.claim.last, two.claim.last);
    assert_ne!(one.segments[0].end, two.segments[0].end);
    assert_ne!(one.segments[0].proof[..200], two.segments[0].proof[..200]);
}

/// A prover whose claim and segment state the true cycles and the order of the field on top: as an element it is the
/// same number, so the proof itself would hold.
#[test]
fn m4_cycles_that_are_not_below_the_order_are_refused() {
    const ORDER: u32 = 0x7f00_0001;
    let honest = receipt(false, 1);
    for more in [ORDER, 1 << 24] {
        let mut forged = honest.clone();
        forged.segments[0].cycles += more;
        forged.claim.cycles += u64::from(more);
        let cycles = forged.segments[0].cycles;
        assert_eq!(verify(&forged), Err(VerifyError::Spent { segment: 0, cycles }));
        // Whoever makes the proof meets the same refusal.
        let statement = statement(&forged, 0, forged.claim.first, 0, &forged.segments[0]);
        assert_eq!(statement.map(drop), Err(VerifyError::Spent { segment: 0, cycles }));
    }
    assert!(verify(&honest).is_ok());
}
