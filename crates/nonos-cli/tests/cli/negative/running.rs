//! What is wrong with a run: the program's behaviour, what it is given, checkpoints and records.

use crate::{
    assembly::{A0, A1, A3, A4, A7, DATA, T0, T1, TEXT, ZERO, call, ecall, echo, halt, la, li, op, slow_echo},
    making::{Making, good},
    place::Place,
};
use nonos_isa::{Opcode, Syscall};
use std::fs::File;

const RUN: &str = "run -q x.mod -o out --record record.json";

/// A capsule that runs these instructions.
fn runs(place: &Place, words: Vec<u32>) -> &Place {
    place.write("x.mod", Making::new(words).signed().encode())
}

fn may<'a>(place: &'a Place, grants: &str, words: Vec<u32>) -> &'a Place {
    let capsule = Making::new(words)
        .replace("hash = \"sha256:...\"", &format!("hash = \"sha256:...\"\ngrants = [{grants}]"))
        .replace("[resources]", "[resources]\nnet = \"mesh-only\"")
        .signed();
    place.write("x.mod", capsule.encode())
}

/// A run that was stopped after its first segment, and its checkpoint changed.
fn checkpoint(place: &Place, change: impl FnOnce(&mut Vec<u8>)) -> &Place {
    runs(place, slow_echo(4)).write("input", "abcd");
    place.ok("run -q x.mod --input input --stop-at-segment 1 --save good.ckpt");
    let mut bytes = place.read("good.ckpt");
    change(&mut bytes);
    place.write("x.ckpt", bytes)
}

/// Where things are in a checkpoint file.
const SAVED_PC: usize = 8 + 2 + 32 + 32 + 32 + 8 + 32;
const SAVED_SP: usize = SAVED_PC + 4 + 4;

const RESUME: &str = "resume -q x.mod x.ckpt --input input -o out";

/// A record of a run, changed.
fn record(place: &Place, change: impl FnOnce(String) -> String) -> &Place {
    runs(place, echo()).ok("run -q x.mod -o out --record a.json");
    let text = change(String::from_utf8(place.read("a.json")).unwrap());
    place.write("b.json", text)
}

const DIFF: &str = "diff --record a.json b.json";

vectors! {
    illegal_instruction: |p| runs(p, vec![0]) => RUN;
    float_instruction: |p| runs(p, vec![0x0000_2007]) => RUN;
    csr_instruction: |p| runs(p, vec![0xc000_2573]) => RUN;
    compressed_instruction: |p| runs(p, vec![0x0001_0001]) => RUN;
    misaligned_load: |p| runs(p, vec![la(T0, DATA), op(Opcode::Lw, T1, T0, 0, 2)]) => RUN;
    misaligned_store: |p| runs(p, vec![la(T0, DATA), op(Opcode::Sh, 0, T0, T1, 1)]) => RUN;
    misaligned_jump: |p| runs(p, vec![op(Opcode::Jal, 0, 0, 0, 6)]) => RUN;
    jump_outside: |p| runs(p, vec![la(T0, DATA), op(Opcode::Jalr, 0, T0, 0, 0)]) => RUN;
    running_off_the_end: |p| runs(p, vec![li(T0, 1)]) => RUN;
    load_outside: |p| runs(p, vec![op(Opcode::Lw, T1, ZERO, 0, 0)]) => RUN;
    store_outside: |p| runs(p, vec![la(T0, 0x8000_0000), op(Opcode::Sw, 0, T0, T1, 0)]) => RUN;
    self_modifying_code: |p| runs(p, vec![la(T0, TEXT), op(Opcode::Sw, 0, T0, T1, 0)]) => RUN;
    // The stack pointer starts at the end of the window; a heap that grows past it stores there.
    out_of_memory: |p| runs(p, vec![op(Opcode::Addi, T0, 2, 0, 0), op(Opcode::Sw, 0, T0, T1, 0)]) => RUN;
    breakpoint: |p| runs(p, vec![op(Opcode::Ebreak, 0, 0, 0, 0)]) => RUN;
    unknown_syscall: |p| runs(p, vec![li(A7, 64), ecall()]) => RUN;
    syscall_not_granted: |p| runs(p, call(Syscall::Random).to_vec()) => RUN;
    syscall_misaligned: |p| runs(p, [vec![la(A0, DATA), op(Opcode::Addi, A0, A0, 0, 1), li(A1, 4)], call(Syscall::Output).to_vec()].concat()) => RUN;
    syscall_outside: |p| runs(p, [vec![li(A0, 0), li(A1, 4)], call(Syscall::Output).to_vec()].concat()) => RUN;
    syscall_into_the_text: |p| runs(p, [vec![la(A0, TEXT), li(A1, 4)], call(Syscall::Input).to_vec()].concat()).write("in", "abcd") => "run -q x.mod --input in -o out";
    output_too_large: |p| runs(p, [
        vec![la(A0, TEXT), la(A1, 0x1_0000), li(A7, Syscall::Output.number() as i32)],
        // Again and again, 64 KiB each time.
        vec![ecall(), la(A0, TEXT), op(Opcode::Jal, 0, 0, 0, -8)],
    ].concat()) => RUN;
    output_after_a_part_of_a_word: |p| runs(p, [vec![la(A0, DATA), li(A1, 3)], call(Syscall::Output).to_vec(), vec![la(A0, DATA), ecall()]].concat()) => RUN;
    not_an_element: |p| may(p, "\"poseidon2\"", [
        vec![la(A0, DATA), li(T0, -1), op(Opcode::Sw, 0, A0, T0, 0)],
        call(Syscall::Poseidon2).to_vec(),
    ].concat()) => RUN;
    out_of_fuel: |p| runs(p, vec![op(Opcode::Jal, 0, 0, 0, 0)]) => RUN;
    out_of_the_fuel_that_was_given: |p| runs(p, slow_echo(4)) => "run -q x.mod -o out --fuel 1000";
    halted_with_status_1: |p| runs(p, halt(1)) => "run -q x.mod";
    content_missing: |p| may(p, "\"content\"", [
        vec![la(A0, DATA), li(A1, 0), la(A3, DATA), li(A4, 4)],
        call(Syscall::Content).to_vec(),
    ].concat()) => RUN;
    input_missing: |p| p.write("x.mod", good().encode()) => "run -q x.mod --input nowhere -o out";
    input_is_a_folder: |p| p.write("x.mod", good().encode()).write("in/a", "") => "run -q x.mod --input in -o out";
    input_too_large: |p| {
        p.write("x.mod", good().encode());
        File::create(p.path("in")).unwrap().set_len((256 << 20) + 1).unwrap();
    } => "run -q x.mod --input in -o out";
    output_in_a_missing_folder: |p| p.write("x.mod", good().encode()) => "run -q x.mod -o nowhere/out";
    more_fuel_than_the_manifest_allows: |p| p.write("x.mod", good().encode()) => "run -q x.mod -o out --fuel 100000001";
    seed_ticket_too_short: |p| p.write("x.mod", good().encode()) => "run -q x.mod -o out --seed-ticket abcd";
    cpu_share_of_nothing: |p| p.write("x.mod", good().encode()) => "run -q x.mod -o out --cpu 0m";
    checkpoints_of_no_kind: |p| p.write("x.mod", good().encode()) => "run -q x.mod -o out --checkpoints every:0";
    stop_without_a_place_to_save: |p| p.write("x.mod", good().encode()) => "run -q x.mod --stop-at-segment 1";
    stop_behind_the_end: |p| p.write("x.mod", good().encode()) => "run -q x.mod --stop-at-segment 9 --save x.ckpt";
    checkpoint_of_another_kind: |p| checkpoint(p, |b| b[0] = b'M') => RESUME;
    checkpoint_newer_version: |p| checkpoint(p, |b| b[8] = 9) => RESUME;
    checkpoint_truncated: |p| checkpoint(p, |b| b.truncate(b.len() - 1)) => RESUME;
    checkpoint_trailing_byte: |p| checkpoint(p, |b| b.push(0)) => RESUME;
    checkpoint_register_changed: |p| checkpoint(p, |b| b[SAVED_SP] ^= 1) => RESUME;
    checkpoint_of_another_capsule: |p| {
        checkpoint(p, |_| {});
        runs(p, slow_echo(5))
    } => RESUME;
    checkpoint_of_another_input: |p| checkpoint(p, |_| {}).write("input", "efgh") => RESUME;
    checkpoint_behind_the_fuel: |p| checkpoint(p, |_| {}) => "resume -q x.mod x.ckpt --input input -o out --fuel 1000";
    checkpoint_digest_is_no_digest: |p| checkpoint(p, |b| b[SAVED_PC - 32..SAVED_PC].fill(0xff)) => RESUME;
    checkpoint_already_behind_the_stop: |p| checkpoint(p, |_| {}) => "resume -q x.mod x.ckpt --input input --stop-at-segment 1 --save y.ckpt";
    record_not_json: |p| record(p, |text| text.replace('{', "<")) => DIFF;
    record_of_another_format: |p| record(p, |text| text.replace("nonos-record", "other-record")) => DIFF;
    record_without_checkpoints: |p| record(p, |text| {
        let start = text.find("\"checkpoints\": [").unwrap();
        let end = start + text[start..].find(']').unwrap();
        format!("{}\"checkpoints\": [{}", &text[..start], &text[end..])
    }) => DIFF;
    record_with_a_digest_that_is_none: |p| record(p, |text| text.replace("\"digest\": \"", "\"digest\": \"ff")) => DIFF;
    diff_of_nothing: |_p| {} => "diff";
}
