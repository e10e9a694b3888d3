//! What is wrong with a receipt, or with what it is compared with, or with what is to be proven.

use crate::{
    assembly::{DATA, T0, call, echo, la},
    making::{Making, good},
    place::Place,
};
use nonos_isa::Syscall;

/// A receipt of a run of [`good`] on `abcd`.
fn receipt(place: &Place) -> Vec<u8> {
    place.write("x.mod", good().encode()).write("input", "abcd").write("other", "abce");
    place.ok("prove -q x.mod --public --input input -o x.receipt");
    place.read("x.receipt")
}

/// The same, changed.
fn changed(place: &Place, change: impl FnOnce(&mut Vec<u8>)) -> &Place {
    let mut bytes = receipt(place);
    change(&mut bytes);
    place.write("x.receipt", bytes)
}

/// Where things are in a receipt (`docs/spec/45-receipt.md` and the claim of `docs/spec/40-proof.md`).
const VERSION: usize = 8;
const MACHINE_VERSION: usize = 10;
const CAPSULE: usize = 12;
const IMAGE: usize = CAPSULE + 32;
const TICKET: usize = IMAGE + 32;
const EXECUTOR: usize = TICKET + 32;
const INPUT: usize = EXECUTOR + 32 + 32 + 8 + 8;
const FIRST: usize = INPUT + 3 * 32;
const SEGMENTS: usize = FIRST + 2 * 32 + 8;
const STATUS: usize = SEGMENTS + 4 + 1;
const LAYOUT: usize = STATUS + 4 + 1;
const OUTPUT: usize = LAYOUT + 22 + 32 + 16 + 1 + 4;

const VERIFY: &str = "verify x.receipt --write-output out";

vectors! {
    receipt_missing: |_p| () => VERIFY;
    receipt_is_empty: |p| p.write("x.receipt", "") => VERIFY;
    receipt_is_a_capsule: |p| p.write("x.receipt", good().encode()) => VERIFY;
    receipt_newer_version: |p| changed(p, |bytes| bytes[VERSION] = 9) => VERIFY;
    receipt_newer_machine: |p| changed(p, |bytes| bytes[MACHINE_VERSION] = 9) => VERIFY;
    receipt_truncated: |p| changed(p, |bytes| bytes.truncate(300)) => VERIFY;
    receipt_without_segments: |p| changed(p, |bytes| bytes[SEGMENTS] = 0) => VERIFY;
    receipt_status_kind_unknown: |p| changed(p, |bytes| bytes[STATUS - 1] = 7) => VERIFY;
    receipt_digest_is_no_digest: |p| changed(p, |bytes| bytes[INPUT..INPUT + 4].fill(0xff)) => VERIFY;
    receipt_of_another_image: |p| changed(p, |bytes| bytes[IMAGE] ^= 1) => VERIFY;
    receipt_layout_changed: |p| changed(p, |bytes| bytes[LAYOUT] ^= 4) => VERIFY;
    receipt_first_checkpoint_changed: |p| changed(p, |bytes| bytes[FIRST] ^= 1) => VERIFY;
    receipt_output_changed: |p| changed(p, |bytes| bytes[OUTPUT] ^= 1) => VERIFY;
    receipt_of_another_capsule: |p| {
        receipt(p);
        p.write("y.mod", Making::new(echo()).replace("1.2.3", "1.2.4").signed().encode())
    } => "verify x.receipt --capsule y.mod";
    receipt_of_another_input: |p| { receipt(p); } => "verify x.receipt --input other";
    receipt_of_another_salt: |p| { receipt(p); } => "verify x.receipt --input input --input-salt 01000000000000000000000000000000";
    receipt_of_another_output: |p| { receipt(p); } => "verify x.receipt --output other";
    receipt_for_another_ticket: |p| { receipt(p); }
        => "verify x.receipt --ticket 0100000000000000000000000000000000000000000000000000000000000000";
    receipt_by_another_executor: |p| { receipt(p); }
        => "verify x.receipt --executor 0100000000000000000000000000000000000000000000000000000000000000";
    receipt_without_the_output: |p| {
        receipt(p);
        p.ok("prove -q x.mod --public --input input --without-output -o x.receipt");
    } => VERIFY;
    verify_ticket_is_no_id: |p| { receipt(p); } => "verify x.receipt --ticket 12";
    verify_salt_without_input: |p| { receipt(p); } => "verify x.receipt --input-salt 01000000000000000000000000000000";
    prove_unsigned: |p| p.write("x.mod", Making::new(echo()).unsigned().encode()) => "prove x.mod -o x.receipt";
    prove_to_nowhere: |p| p.write("x.mod", good().encode()) => "prove x.mod";
    prove_input_missing: |p| p.write("x.mod", good().encode()) => "prove x.mod --input nothing -o x.receipt";
    prove_too_much_fuel: |p| p.write("x.mod", good().encode()) => "prove x.mod --fuel 100000001 -o x.receipt";
    prove_salt_is_no_salt: |p| p.write("x.mod", good().encode()) => "prove x.mod --input-salt 12 -o x.receipt";
    prove_content_missing: |p| {
        let words = [vec![la(10, DATA + 0x1000), la(13, DATA), la(T0, DATA)], call(Syscall::Content).to_vec()].concat();
        let capsule = Making::new(words)
            .replace("hash = \"sha256:...\"", "hash = \"sha256:...\"\ngrants = [\"content\"]")
            .replace("[resources]", "[resources]\nnet = \"mesh-only\"")
            .signed();
        p.write("x.mod", capsule.encode())
    } => "prove x.mod -o x.receipt";
    bench_of_an_unknown_case: |_p| () => "bench prove --case 2m";
}

/// How long a proof is depends on its random part, so this has no golden message.
#[test]
fn a_byte_behind_the_receipt_is_refused() {
    let place = Place::new();
    changed(&place, |bytes| bytes.push(0));
    let ran = place.nonos("verify x.receipt");
    assert_eq!((ran.code, ran.stdout.as_slice()), (16, &b""[..]));
    assert!(ran.stderr.starts_with("error: x.receipt: 1 bytes follow the end at byte "), "{}", ran.stderr);
}

/// A status that was changed is caught by the proof itself; which of its parts fails first is the library's business.
#[test]
fn a_changed_claim_is_not_proven() {
    let place = Place::new();
    for at in [CAPSULE, TICKET, EXECUTOR, INPUT, STATUS] {
        changed(&place, |bytes| bytes[at] ^= 1);
        let ran = place.nonos("verify x.receipt");
        assert_eq!((ran.code, ran.stdout.as_slice()), (17, &b""[..]), "{at}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: x.receipt: V6: segment 0: "), "{}", ran.stderr);
    }
}
