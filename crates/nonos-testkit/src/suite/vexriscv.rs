//! The programs of `pythondata-cpu-vexriscv`: riscv-tests and the compliance programs, as Intel HEX.
//!
//! They are made for a bare machine in machine mode; ours has neither modes nor CSRs nor devices. So a few words are
//! changed before a program runs, by rule, and counted; any other word stays as it is, so that one that we do not know
//! traps:
//!
//! | found | becomes |
//! |---|---|
//! | `csrr rd, csr` of the preamble's CSRs | `addi rd, x0, 0`: a hart 0 of an unknown machine |
//! | `csrw csr, rs`, `csrwi csr, n` of those | `nop` |
//! | `mret` | `jalr x0, 0(rs)`, where `rs` is what went to `mepc` before |
//! | `ecall` (riscv-tests: the end, with the verdict in `t3`) | a jump to a stub behind the text: `halt(t3 - 1)` |
//! | `lui a2, 0xf0100` (compliance: the loop that prints the signature `a0..a1` to a device) | a jump to a stub: `output(a0, a1 - a0)`, `halt(0)` |

use super::Beside;
use crate::{
    packages,
    suite::{Judged, Outcome, SuiteError, Verdict, read_hex, run},
};
use nonos_image::{Image, Program, ProgramParts};
use nonos_isa::{GRANTS_ALL, Instruction, Opcode, Syscall, Trap};
use nonos_vm::{Exit, Machine};
use std::{
    fs,
    path::{Path, PathBuf},
};

const PACKAGE: &str = "pythondata-cpu-vexriscv";
const MODULE: &str = "pythondata_cpu_vexriscv";
const VERSION: &str = "1.0.1.post407";
const RESOURCES: &str = "verilog/ext/VexRiscv/src/test/resources";

/// riscv-tests for the user level with and without multiplication, `rv32ui-p-lui` twice.
const RISCV_TESTS: usize = 48;
/// Compliance programs, the 25 for compressed instructions included.
const COMPLIANCE: usize = 88;

const MEMORY_BYTES: u32 = 64 << 10;
const A0: u8 = 10;
const A1: u8 = 11;
const A7: u8 = 17;
const T3: u8 = 28;
const ECALL: u32 = 0x0000_0073;
const MRET: u32 = 0x3020_0073;
/// `lui a2, 0xf0100`, `addi a2, a2, -212`: the address of the device that prints.
const DEVICE: [u32; 2] = [0xf010_0637, 0xf2c6_0613];
const CSR_MEPC: u32 = 0x341;
/// `mhartid`, `misa`, `mtvec`, `medeleg`, `mideleg`, `mie`, `stvec`, `mstatus`, `mepc`, `mcause`.
const CSRS: [u32; 10] = [0xf14, 0x301, 0x305, 0x302, 0x303, 0x304, 0x105, 0x300, CSR_MEPC, 0x342];

/// How many words were changed before a program ran, by rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrites {
    /// CSR reads.
    pub csr_reads: usize,
    /// CSR writes.
    pub csr_writes: usize,
    /// `mret`.
    pub returns: usize,
    /// `ecall` at an end.
    pub ends: usize,
    /// The start of a loop that prints a signature.
    pub prints: usize,
}

/// What the preamble of every riscv-tests program holds; the ends differ.
const PREAMBLE: Rewrites = Rewrites { csr_reads: 6, csr_writes: 8, returns: 1, ends: 0, prints: 0 };

/// Runs every program of the package.
///
/// # Errors
/// [`SuiteError`] when the package is missing or is not the version that we know.
pub fn run_vexriscv(root: &Path, beside: &Beside<'_>) -> Result<Vec<Outcome>, SuiteError> {
    let folder = packages::folder(root, MODULE).ok_or(SuiteError::Package { package: PACKAGE })?.join(RESOURCES);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("hex")).map_err(|source| SuiteError::File { path: folder.clone(), source })? {
        let entry = entry.map_err(|source| SuiteError::File { path: folder.clone(), source })?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let count = |what, want, got: usize| {
        if got == want {
            Ok(())
        } else {
            Err(SuiteError::Count { package: PACKAGE, what, got, want, version: VERSION })
        }
    };
    let riscv_tests = |name: &str| name.starts_with("rv32ui-p-") || name.starts_with("rv32um-p-");
    count("programs of riscv-tests", RISCV_TESTS, names.iter().filter(|name| riscv_tests(name)).count())?;
    count("compliance programs", COMPLIANCE, names.iter().filter(|name| name.ends_with(".elf.hex")).count())?;
    let mut outcomes = Vec::new();
    for file in &names {
        let path = folder.join("hex").join(file);
        let (program, verdict) = if let Some(name) = file.strip_suffix(".elf.hex") {
            (name, compliance(&path, &folder, name, beside)?)
        } else if riscv_tests(file) {
            (file.as_str(), riscv_test(&path, file, beside)?)
        } else if let Some(why) = not_ours(file) {
            (file.as_str(), Verdict::Skipped { why })
        } else {
            continue;
        };
        outcomes.push(Outcome { suite: PACKAGE, program: program.to_owned(), verdict });
    }
    Ok(outcomes)
}

/// Why a program of riscv-tests is for another machine; `None` for what is no such program.
fn not_ours(file: &str) -> Option<&'static str> {
    let groups = [
        ("rv32uc", "compressed instructions"),
        ("rv32uf", "floating point"),
        ("rv32ud", "floating point"),
        ("rv32ua", "atomic instructions"),
        ("rv32mi", "machine mode"),
        ("rv32si", "supervisor mode"),
    ];
    groups.iter().find(|(start, _)| file.starts_with(start)).map(|(_, why)| *why)
}

fn riscv_test(path: &Path, file: &str, beside: &Beside<'_>) -> Result<Verdict, SuiteError> {
    let runs = runs_of(path)?;
    let (image, rewritten) = match adapt(&runs, end_of_riscv_test) {
        Ok(adapted) => adapted,
        Err(why) => return Ok(Verdict::Failed { why }),
    };
    let ends = if file.starts_with("rv32ui-p-simple") { 2 } else { 3 };
    let want = Rewrites { ends, ..PREAMBLE };
    if rewritten != want {
        return Ok(Verdict::Failed { why: format!("rewrote {rewritten:?}, the preamble has {want:?}") });
    }
    if file.starts_with("rv32ui-p-fence_i") {
        // It writes instructions and runs them: that is a trap here.
        return Ok(judged(run(&image, beside, rewritten, store_to_text), Judged::StoreToText));
    }
    let verdict = run(&image, beside, rewritten, |exit, _| match exit {
        Exit::Halted { status: 0 } => Ok(()),
        Exit::Halted { status } => Err(format!("test {} failed", status / 2)),
        Exit::Trapped { trap, pc } => Err(format!("{trap} at {pc:#x}")),
    });
    Ok(match verdict {
        Verdict::Passed { judged: Judged::Tests(0), .. } if !file.starts_with("rv32ui-p-simple") => {
            Verdict::Failed { why: "it ended well without having run a test".to_owned() }
        }
        verdict => verdict,
    })
}

fn store_to_text(exit: Exit, _: &Machine<'_>) -> Result<(), String> {
    match exit {
        Exit::Trapped { trap: Trap::StoreToText, .. } => Ok(()),
        exit => Err(format!("it changes its own code, so it must trap with {}: {exit:?}", Trap::StoreToText)),
    }
}

fn compliance(path: &Path, folder: &Path, name: &str, beside: &Beside<'_>) -> Result<Verdict, SuiteError> {
    if name.starts_with("C.") {
        return Ok(Verdict::Skipped { why: "compressed instructions" });
    }
    let runs = runs_of(path)?;
    let text = words_of(&runs[0].1);
    if text.iter().any(|word| word & 0x7f == ECALL & 0x7f && (word >> 12) & 7 != 0) {
        return Ok(Verdict::Skipped { why: "CSRs and trap handlers of machine mode" });
    }
    let (image, rewritten) = match adapt(&runs, print_of_signature) {
        Ok(adapted) => adapted,
        Err(why) => return Ok(Verdict::Failed { why }),
    };
    if rewritten != (Rewrites { prints: 1, ..Rewrites::default() }) {
        return Ok(Verdict::Failed { why: format!("rewrote {rewritten:?}, one place that prints is known") });
    }
    if name == "I-FENCE.I-01" {
        return Ok(judged(run(&image, beside, rewritten, store_to_text), Judged::StoreToText));
    }
    let reference = folder.join("ref").join(format!("{name}.reference_output"));
    let want = fs::read_to_string(&reference).map_err(|source| SuiteError::File { path: reference, source })?;
    let verdict = run(&image, beside, rewritten, |exit, machine| {
        if exit != (Exit::Halted { status: 0 }) {
            return Err(format!("{exit:?}"));
        }
        // Four words a line, the last of them first.
        let lines = machine.output().chunks(16).map(|line| {
            line.chunks(4)
                .rev()
                .map(|word| word.iter().rev().map(|byte| format!("{byte:02x}")).collect::<String>())
                .collect()
        });
        let got: Vec<String> = lines.collect();
        let want: Vec<&str> = want.lines().collect();
        if got == want { Ok(()) } else { Err(format!("the signature is {got:?}, the reference {want:?}")) }
    });
    Ok(judged(verdict, Judged::Signature))
}

/// These programs do not number their tests: they are judged by something else.
fn judged(verdict: Verdict, judged: Judged) -> Verdict {
    match verdict {
        Verdict::Passed { instructions, compared, rewritten, judged: _ } => {
            Verdict::Passed { instructions, compared, rewritten, judged }
        }
        verdict => verdict,
    }
}

fn runs_of(path: &Path) -> Result<Vec<(u32, Vec<u8>)>, SuiteError> {
    let text = fs::read_to_string(path).map_err(|source| SuiteError::File { path: PathBuf::from(path), source })?;
    let hex = |source| SuiteError::Hex { path: PathBuf::from(path), source };
    let runs = read_hex(&text).map_err(hex)?;
    if runs.is_empty() { Err(hex(super::HexError::Line { line_number: 1 })) } else { Ok(runs) }
}

fn words_of(bytes: &[u8]) -> Vec<u32> {
    let word = |chunk: &[u8]| {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(four)
    };
    bytes.chunks(4).map(word).collect()
}

/// What a word becomes.
enum Change {
    /// This word.
    Word(u32),
    /// A jump to the stub.
    Stub,
}

/// A rule that only one kind of program needs: whether the word at a place goes to the stub, and the stub's words.
type EndRule = fn(&[u32], usize) -> Option<(Vec<u32>, Rewrites)>;

/// Changes what must be changed in the text (the first run) and makes an image of the runs.
fn adapt(runs: &[(u32, Vec<u8>)], end: EndRule) -> Result<(Image, Rewrites), String> {
    let (text_start, bytes) = &runs[0];
    let before = words_of(bytes);
    let mut words = before.clone();
    let mut rewrites = Rewrites::default();
    let mut stub: Vec<u32> = Vec::new();
    let mut mepc = None;
    for at in 0..before.len() {
        let change = match end(&before, at) {
            Some((words_of_stub, counted)) => {
                stub = words_of_stub;
                rewrites.ends += counted.ends;
                rewrites.prints += counted.prints;
                Some(Change::Stub)
            }
            None => machine_mode(before[at], &mut mepc, &mut rewrites).map(Change::Word),
        };
        match change {
            None => {}
            Some(Change::Word(word)) => words[at] = word,
            Some(Change::Stub) => {
                let imm = 4 * (before.len() - at) as i32;
                words[at] = Instruction { opcode: Opcode::Jal, rd: 0, rs1: 0, rs2: 0, imm }.encode();
            }
        }
    }
    words.extend(stub);
    let text: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text_end = text_start + text.len() as u32;
    let mut segments: Vec<(u32, &[u8])> = vec![(*text_start, &text)];
    segments.extend(runs[1..].iter().map(|(address, bytes)| (*address, bytes.as_slice())));
    let reserved_end = segments.iter().map(|(address, bytes)| address + bytes.len() as u32).max().unwrap_or(text_end);
    let program = Program::new(ProgramParts {
        entry: *text_start,
        text_start: *text_start,
        text_end,
        memory_start: *text_start,
        reserved_end,
        segments: &segments,
    })
    .map_err(|error| error.to_string())?;
    let image = Image::new(program, MEMORY_BYTES, GRANTS_ALL.bits()).map_err(|error| error.to_string())?;
    Ok((image, rewrites))
}

fn machine_mode(word: u32, mepc: &mut Option<u8>, rewrites: &mut Rewrites) -> Option<u32> {
    let (rd, rs1, function, csr) = ((word >> 7 & 31) as u8, (word >> 15 & 31) as u8, word >> 12 & 7, word >> 20);
    let nop = Instruction { opcode: Opcode::Addi, rd: 0, rs1: 0, rs2: 0, imm: 0 };
    if word == MRET {
        rewrites.returns += 1;
        return mepc.map(|rs1| Instruction { opcode: Opcode::Jalr, rs1, ..nop }.encode());
    }
    if word & 0x7f != ECALL & 0x7f || !CSRS.contains(&csr) {
        return None;
    }
    match (function, rd, rs1) {
        // csrrs rd, csr, x0: a read.
        (2, _, 0) => {
            rewrites.csr_reads += 1;
            Some(Instruction { rd, ..nop }.encode())
        }
        // csrrw x0, csr, rs1 and csrrwi x0, csr, n: a write.
        (1 | 5, 0, _) => {
            rewrites.csr_writes += 1;
            if function == 1 && csr == CSR_MEPC {
                *mepc = Some(rs1);
            }
            Some(nop.encode())
        }
        _ => None,
    }
}

fn end_of_riscv_test(words: &[u32], at: usize) -> Option<(Vec<u32>, Rewrites)> {
    let addi = |rd, rs1, imm| Instruction { opcode: Opcode::Addi, rd, rs1, rs2: 0, imm }.encode();
    let stub = vec![addi(A0, T3, -1), addi(A7, 0, Syscall::Halt.number() as i32), ECALL];
    (words[at] == ECALL).then_some((stub, Rewrites { ends: 1, ..Rewrites::default() }))
}

fn print_of_signature(words: &[u32], at: usize) -> Option<(Vec<u32>, Rewrites)> {
    let addi = |rd, rs1, imm| Instruction { opcode: Opcode::Addi, rd, rs1, rs2: 0, imm }.encode();
    let stub = vec![
        Instruction { opcode: Opcode::Sub, rd: A1, rs1: A1, rs2: A0, imm: 0 }.encode(),
        addi(A7, 0, Syscall::Output.number() as i32),
        ECALL,
        addi(A0, 0, 0),
        addi(A7, 0, Syscall::Halt.number() as i32),
        ECALL,
    ];
    words[at..].starts_with(&DEVICE).then_some((stub, Rewrites { prints: 1, ..Rewrites::default() }))
}
