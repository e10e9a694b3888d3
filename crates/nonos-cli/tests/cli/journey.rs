//! What works: from a key to a signed capsule to checked output, one test for each thing that a user does.

use crate::{
    assembly::{A0, A1, A3, A4, A7, DATA, T0, bytes_of, call, echo, halt, la, li, op, slow_echo},
    elf_file,
    making::{Making, SIGNED_AT, good, key, program},
    place::Place,
};
use nonos_isa::{Opcode, Syscall};
use std::process::{Command, Stdio};

fn slow(place: &Place) -> &Place {
    place.write("slow.mod", Making::new(slow_echo(4)).signed().encode()).write("in", "abcd")
}

#[test]
fn the_output_goes_to_stdout_as_it_is_and_the_log_to_stderr() {
    let place = Place::new();
    let text = b"hi\x1b[31m\nbye\n";
    let mut words = vec![la(A0, DATA)];
    for (index, chunk) in text.chunks(4).enumerate() {
        let word = chunk.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) as i32;
        // The low twelve bits are added with their sign, so the rest makes up for it.
        let low = word << 20 >> 20;
        words.extend([la(T0, word.wrapping_sub(low) as u32), op(Opcode::Addi, T0, T0, 0, low)]);
        words.push(op(Opcode::Sw, 0, A0, T0, 4 * index as i32));
    }
    words.extend([li(A1, text.len() as i32)]);
    words.extend(call(Syscall::Log));
    words.extend([la(A0, DATA), li(A1, text.len() as i32)]);
    words.extend(call(Syscall::Output));
    words.extend(halt(0));
    place.write("x.mod", Making::new(words).signed().encode());
    let ran = place.nonos("run x.mod");
    assert_eq!((ran.code, ran.stdout.as_slice()), (0, &text[..]));
    assert!(ran.stderr.starts_with("[sample] hi\u{fffd}[31m\n[sample] bye\nhalted with status 0"), "{}", ran.stderr);
    assert_eq!(place.nonos("run x.mod -q").stderr, "");
}

#[test]
fn a_run_says_in_json_what_it_was_and_gives_the_same_on_both_engines() {
    let place = Place::new();
    slow(&place);
    let fast = place.json("run slow.mod --input in --checkpoints every");
    let plain = place.json("run slow.mod --input in --checkpoints every --engine plain");
    for key in [
        "image_id",
        "exit",
        "cycles",
        "instructions",
        "segments",
        "input_commitment",
        "output_commitment",
        "transcript",
        "checkpoints",
        "output_hex",
        "capsule",
        "exit_code",
    ] {
        assert_eq!(fast[key], plain[key], "{key}");
        assert!(!fast[key].is_null(), "{key}");
    }
    assert_eq!(fast["output_text"], "abcd");
    assert_eq!(fast["checkpoints"].as_array().unwrap().len(), 6);
    let to_file = place.json("run slow.mod --input in --output out");
    assert_eq!((to_file["output_file"].as_str(), to_file["output_hex"].is_null()), (Some("out"), true));
    assert_eq!(place.read("out"), b"abcd");
}

#[test]
fn a_run_that_is_stopped_goes_on_elsewhere_with_the_same_checkpoints() {
    let (here, there) = (Place::new(), Place::new());
    slow(&here).ok("run slow.mod --input in --output whole --record whole.json");
    here.ok("run slow.mod --input in --stop-at-segment 2 --save half.ckpt");
    slow(&there).write("half.ckpt", here.read("half.ckpt")).write("whole.json", here.read("whole.json"));
    there.ok("resume slow.mod half.ckpt --input in --output rest --record rest.json");
    assert_eq!(here.read("whole"), there.read("rest"));
    let same = there.json("diff --record whole.json rest.json");
    assert_eq!((same["differs"].as_bool(), same["checkpoints_compared"].as_u64()), (Some(false), Some(4)));
}

#[test]
fn two_inputs_part_at_the_instruction_that_reads_them() {
    let place = Place::new();
    slow(&place).write("other", "abxd");
    let ran = place.nonos("diff slow.mod --input in --input-b other --json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let found: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((found["kind"].as_str(), found["a"]["instruction"].as_str()), (Some("instruction"), Some("ecall")));
    assert_eq!(found["memory"][0]["a"], "0x64636261");
    assert_eq!(found["memory"][0]["b"], "0x64786261");
    // The records say the same of the segments.
    for input in ["in", "other"] {
        place.ok(&format!("run slow.mod --input {input} --output out --record {input}.json"));
    }
    let ran = place.nonos("diff --record in.json other.json --json");
    let records: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((ran.code, &records["same_input"], &records["same_image"]), (1, &false.into(), &true.into()));
    assert_eq!(records["last_equal_checkpoint"]["digest"], found["last_equal_checkpoint"]["digest"]);
    assert!(records["next_command"].as_str().unwrap().contains("--input-b"));
}

#[test]
fn the_same_run_by_both_engines_does_not_differ() {
    let place = Place::new();
    slow(&place);
    let ran = place.nonos("diff slow.mod --input in");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(String::from_utf8_lossy(&ran.stdout).starts_with("no difference in "));
}

#[test]
fn two_capsules_part_at_the_first_instruction_that_sees_it() {
    let place = Place::new();
    slow(&place).write("other.mod", Making::new([vec![li(A7, 1)], echo()].concat()).signed().encode());
    let ran = place.nonos("diff slow.mod other.mod --input in");
    let text = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.code, 1);
    assert!(text.contains("* instruction  lui t0, 0x200") && text.contains("addi a7, zero, 1"), "{text}");
}

#[test]
fn an_author_goes_from_a_key_to_a_signed_capsule() {
    let place = Place::new();
    place.ok("keygen --no-passphrase -q");
    place.ok("new sample --author Ada");
    let elf = elf_file::of_program(&program(&echo()), 0x4_0000).unwrap();
    place.write("program.elf", elf).write("in", "abcd");
    let built = place.json("build sample --elf program.elf -o sample.mod -q");
    assert_eq!((&built["signed_with"][0], &built["signatures"]), (&"default".into(), &1.into()));
    let verified = place.json("verify-package sample.mod");
    assert_eq!((&verified["ok"], &verified["capsule_id"]), (&true.into(), &built["capsule_id"]));
    let inspected = place.json("inspect sample.mod");
    assert_eq!(inspected["author"], "Ada");
    assert_eq!(inspected["image_id"], built["image_id"]);
    assert_eq!(place.json("run sample.mod --input in")["output_text"], "abcd");
    // Built again without signing it is the same capsule; signing it later makes it the same file but for the time.
    let unsigned = place.json("build sample --elf program.elf -o unsigned.mod --no-sign -q");
    assert_eq!(unsigned["capsule_id"], built["capsule_id"]);
    assert_eq!(place.nonos("run unsigned.mod --input in").code, 8);
    assert_eq!(place.nonos("run unsigned.mod --input in --allow-unsigned").code, 0);
    assert_eq!(place.json("sign unsigned.mod")["signatures"], 1);
    place.ok("verify-package unsigned.mod");
}

#[test]
fn an_encrypted_key_signs_with_its_passphrase() {
    let place = Place::new();
    place.write("secret", "correct horse\n").ok("keygen --passphrase-file secret --expires 30 -q");
    let id = place.json("key list")["keys"][0]["id"].as_str().unwrap().to_owned();
    let manifest = format!("{}[signers]\nkeys = [\"{id}\"]\n", Making::new(echo()).manifest);
    let elf = elf_file::of_program(&program(&echo()), 0x4_0000).unwrap();
    place.write("nonos.toml", manifest).write("x.elf", elf);
    place.ok("build --elf x.elf -o x.mod --passphrase-file secret -q");
    place.ok("verify-package x.mod");
    let late = place.nonos("verify-package x.mod --at 2200-01-01");
    assert_eq!(late.code, 9, "{}", late.stderr);
}

#[test]
fn a_key_that_follows_a_listed_one_signs_for_it() {
    let place = Place::new();
    place.store_key("default", &key(1)).write("x.mod", Making::new(echo()).unsigned().encode());
    place.ok("key rotate default --to next --no-passphrase");
    let signed = place.json("sign x.mod");
    assert_eq!(signed["signed_with"][0], "next");
    place.ok("verify-package x.mod");
    assert_eq!(place.json("inspect x.mod")["signatures"]["signers"][0]["signer"], key(1).id().to_string());
}

#[test]
fn a_key_that_is_revoked_no_longer_counts_here_or_where_the_statement_is_given() {
    let (here, there) = (Place::new(), Place::new());
    here.store_key("default", &key(1)).write("x.mod", good().encode());
    here.ok("verify-package x.mod");
    here.ok("key revoke default --reason compromised -o lost.statement");
    assert_eq!(here.nonos("verify-package x.mod").code, 9);
    there
        .write("x.mod", good().encode())
        .write("lost.statement", here.read("lost.statement"))
        .ok("verify-package x.mod");
    assert_eq!(there.nonos("verify-package x.mod --revocations lost.statement").code, 9);
    there.ok("key import lost.statement");
    assert_eq!(there.nonos("verify-package x.mod").code, 9);
}

#[test]
fn two_signers_sign_one_after_the_other() {
    let place = Place::new();
    let making = Making::new(echo()).signers(vec![key(1), key(2)], 2);
    place.write("x.mod", making.unsigned().encode()).store_key("a", &key(1)).store_key("b", &key(2));
    assert_eq!(place.json("sign x.mod --key a")["signatures"], 1);
    assert_eq!(place.nonos("verify-package x.mod").code, 8);
    assert_eq!(place.json("sign x.mod --key b")["signatures"], 2);
    place.ok("verify-package x.mod");
}

#[test]
fn a_ticket_decides_random_bytes_and_the_time() {
    let place = Place::new();
    let random = [vec![la(A0, DATA), li(A1, 16)], call(Syscall::Random).to_vec()].concat();
    let now = [call(Syscall::Now).to_vec(), vec![la(T0, DATA), op(Opcode::Sw, 0, T0, A0, 16)]].concat();
    let output = [vec![la(A0, DATA), li(A1, 20)], call(Syscall::Output).to_vec(), halt(0)].concat();
    let capsule = Making::new([random, now, output].concat())
        .replace("[resources]", "grants = [\"random\", \"now\", \"output\"]\n[resources]");
    place.write("x.mod", capsule.signed().encode());
    let run = |ticket: &str| place.nonos(&format!("run x.mod -q --seed-ticket {ticket}")).stdout;
    let (one, two) = (format!("{}@{SIGNED_AT}", "01".repeat(32)), format!("{}@{SIGNED_AT}", "02".repeat(32)));
    assert_eq!(run(&one), run(&one));
    assert_ne!(run(&one)[..16], run(&two)[..16]);
    assert_eq!(run(&one)[16..], (SIGNED_AT as u32).to_le_bytes());
}

#[test]
fn content_is_read_by_its_hash() {
    let place = Place::new();
    let content = b"what is asked for by its hash";
    let hash: Vec<u32> =
        blake3::hash(content).as_bytes().chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut words = vec![la(A0, DATA)];
    for (index, word) in hash.iter().enumerate() {
        let low = (*word as i32) << 20 >> 20;
        words.extend([la(T0, word.wrapping_sub(low as u32)), op(Opcode::Addi, T0, T0, 0, low)]);
        words.push(op(Opcode::Sw, 0, A0, T0, 4 * index as i32));
    }
    words.extend([li(A1, 0), li(12, 0), op(Opcode::Addi, A3, A0, 0, 64), li(A4, 64)]);
    words.extend(call(Syscall::Content));
    words.extend([op(Opcode::Addi, A1, A0, 0, 0), la(A0, DATA), op(Opcode::Addi, A0, A0, 0, 64)]);
    words.extend(call(Syscall::Output));
    words.extend(halt(0));
    let capsule = Making::new(words)
        .replace("[resources]", "grants = [\"content\", \"output\"]\n[resources]\nnet = \"mesh-only\"");
    place.write("x.mod", capsule.signed().encode()).write("content", content);
    assert_eq!(place.ok("run x.mod --content content"), String::from_utf8_lossy(content));
}

#[test]
fn what_was_there_stays_when_a_run_traps() {
    let place = Place::new();
    place.write("x.mod", Making::new(vec![0]).signed().encode()).write("out", "before");
    assert_eq!(place.nonos("run x.mod --output out").code, 21);
    assert_eq!(place.read("out"), b"before");
}

#[test]
fn a_capsule_that_halts_with_another_status_has_its_output_written_and_an_exit_code_of_its_own() {
    let place = Place::new();
    let output =
        [vec![la(A0, DATA), op(Opcode::Addi, A0, A0, 0, 0x200), li(A1, 4)], call(Syscall::Output).to_vec()].concat();
    place.write("x.mod", Making::new([output, halt(3)].concat()).signed().encode());
    let ran = place.nonos("run x.mod --output out --json");
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((ran.code, &value["exit_code"], &value["exit"]["status"]), (20, &20.into(), &3.into()));
    assert_eq!(place.read("out"), [0x11; 4]);
}

#[test]
fn an_error_is_one_object_for_a_program() {
    let place = Place::new();
    let ran = place.nonos("run nowhere.mod --json");
    let value: serde_json::Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((ran.code, &value["exit_code"], &value["exit_class"]), (3, &3.into(), &"io".into()));
    assert!(value["error"].as_str().unwrap().contains("nowhere.mod") && !value["help"].as_str().unwrap().is_empty());
    assert!(ran.stdout.is_empty());
}

#[test]
fn a_program_that_is_exported_packs_again_to_the_same_image() {
    let place = Place::new();
    let making = Making::new(slow_echo(1)).signers(Vec::new(), 0);
    place.write("x.mod", making.unsigned().encode());
    place.ok("inspect x.mod --elf x.elf");
    let toml = place.ok("inspect x.mod --toml");
    place.write("nonos.toml", toml);
    let built = place.json("build --elf x.elf -o y.mod -q");
    assert_eq!(built["image_id"], place.json("inspect x.mod")["image_id"]);
}

#[test]
fn instructions_and_sections_can_be_looked_at() {
    let place = Place::new();
    place.write("x.mod", good().encode());
    let text = place.ok("inspect x.mod --disassemble --limit 2");
    assert_eq!(text, "00010000  00020537  lui a0, 0x20  <- entry\n00010004  00400593  addi a1, zero, 4\n");
    assert_eq!(place.ok("inspect x.mod --section readme"), "A sample.\n");
    place.ok("inspect x.mod --section program -o program");
    let program = place.read("program");
    assert!(program.windows(8).any(|window| window == &bytes_of(&echo())[..8]));
    let page = place.ok("inspect x.mod");
    for part in ["sample 1.2.3", "Signatures", "0.00005 NONOS", "rung", "verifiers"] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[test]
fn the_input_may_come_from_stdin() {
    let place = Place::new();
    place.write("x.mod", good().encode()).write("in", "abcd");
    let child = Command::new(env!("CARGO_BIN_EXE_nonos"))
        .args(["run", "x.mod", "--input", "-", "-q"])
        .current_dir(place.path("."))
        .env("NONOS_HOME", place.path("home"))
        .stdin(std::fs::File::open(place.path("in")).unwrap())
        .output()
        .unwrap();
    assert_eq!(child.stdout, b"abcd");
}

#[test]
fn whoever_stops_reading_is_not_told_of_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nonos"))
        .args(["exit-codes"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    // Whether the pipe was closed in time or not: no error either way.
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn speed_is_measured_on_a_capsule_that_needs_no_input() {
    let place = Place::new();
    let words = [slow_echo(2)[..3].to_vec(), halt(7)].concat();
    place.write("x.mod", Making::new(words).signers(Vec::new(), 0).unsigned().encode());
    let measured = place.json("bench run x.mod --seconds 1");
    for key in ["mips_fast", "mips_plain", "mips_default"] {
        assert!(measured[key].as_f64().unwrap() > 0.0, "{key}");
    }
    for key in ["checkpoint_overhead_ratio", "checkpoint_overhead_ratio_every"] {
        assert!(measured[key].as_f64().unwrap() > -1.0, "{key}");
    }
    assert!(measured["qemu_ratio"].is_null() || measured["qemu_ratio"].as_f64().unwrap() > 0.0);
    assert!(measured["cases"][0]["rounds"].as_u64().unwrap() >= 3);
    assert_eq!(measured["cases"][0]["instructions"], 2 * (2 << 19) + 1 + 3);
}

#[test]
fn the_demo_holds() {
    let place = Place::new();
    let demo = place.json("demo --keep kept");
    assert_eq!(demo["ok"], true);
    let steps: Vec<&str> =
        demo["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["read", "verify", "image", "run", "compare"]);
    assert_eq!(place.read("kept/output"), place.read("kept/expected"));
    place.ok("verify-package kept/zk-search.mod");
}

#[test]
fn the_doctor_says_what_it_looked_at() {
    let place = Place::new();
    let ran = place.nonos("doctor --json");
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(ran.code, if value["ready"].as_bool().unwrap() { 0 } else { 15 });
    assert!(value["checks"].as_array().unwrap().iter().any(|check| check["name"] == "lld"));
}

#[test]
fn a_run_is_proven_and_anyone_verifies_what_is_stated() {
    let place = Place::new();
    place.write("x.mod", good().encode()).write("in", "abcd");
    for (mode, hiding) in [("", true), (" --public", false)] {
        let proven = place.json(&format!("prove x.mod --input in -o run.receipt{mode}"));
        let salt = proven["input_salt"].as_str().unwrap().to_owned();
        assert_eq!(salt.bytes().all(|b| b == b'0'), !hiding);
        let compare = format!("--capsule x.mod --input in --input-salt {salt} --output in --write-output out");
        let verified = place.json(&format!("verify run.receipt {compare}"));
        assert_eq!(verified["compared"], serde_json::json!(["capsule", "image", "input", "output"]));
        assert_eq!(place.read("out"), b"abcd");
        for key in ["capsule_id", "image_id", "cycles", "segments", "halted_status", "claim_digest", "hiding"] {
            assert_eq!(proven[key], verified[key], "{key}");
        }
        assert_eq!((verified["proven"].clone(), verified["hiding"].clone()), (true.into(), hiding.into()));
        assert!(verified["bits_proven"].as_u64().unwrap() >= 100);
        let text = place.ok("verify run.receipt");
        assert!(text.starts_with("proven (") && text.contains("halted with status 0"), "{text}");
        assert_eq!(text.contains("nothing: proven with --public"), !hiding);
        // Two proofs of one run are two files when they hide.
        let first = place.read("run.receipt");
        place.ok(&format!("prove -q x.mod --input in -o again.receipt{mode}"));
        assert!(!hiding || first != place.read("again.receipt"));
    }
}

#[test]
fn a_trap_and_the_end_of_the_fuel_are_proven_like_any_end() {
    let place = Place::new();
    place.write("bad.mod", Making::new(vec![0]).signed().encode());
    place.ok("prove -q bad.mod --public -o bad.receipt");
    let verified = place.json("verify bad.receipt");
    assert!(verified["trap"].is_string() && verified["halted_status"].is_null(), "{verified}");
    place.write("x.mod", good().encode());
    place.ok("prove -q x.mod --public --fuel 3 -o fuel.receipt");
    assert!(place.ok("verify fuel.receipt").contains("trapped (out-of-fuel"));
}

#[test]
fn proving_is_measured_in_a_process_of_its_own() {
    let measured = Place::new().json("bench prove --case empty");
    let cases = measured["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for (case, hiding) in cases.iter().zip([false, true]) {
        assert_eq!((case["case"].clone(), case["hiding"].clone()), ("empty".into(), hiding.into()));
        for key in [
            "cycles",
            "wall_s",
            "cpu_s",
            "peak_rss_bytes",
            "proof_bytes",
            "verify_ms",
            "khz",
            "bits_proven",
            "bits_conjectured",
        ] {
            assert!(case[key].is_number(), "{key}");
        }
    }
}
