//! Each syscall of `docs/spec/31-syscalls.md`, against that page and against other people's code.

use nonos_image::{Compressor, UNSALTED, commit_bytes};
use nonos_isa::{Opcode, Syscall, Trap};
use nonos_testkit::{
    Asm,
    assembler::{A0, A1, A2, A3, A4, A7, DATA, MEMORY_BYTES, S0, S1, S2, S3, T0, TEXT, ZERO},
};
use nonos_types::{Digest, limits::LOG_BYTES_MAX};
use nonos_vm::{
    CheckpointPolicy, Content, Engine, Event, Exit, Job, Machine, Options, PAGE_CYCLES, RunError, TicketSeed, run,
};
use sha3::Digest as _;
use std::ops::ControlFlow;

const FUEL_CYCLES: u64 = 1 << 40;
/// The byte behind the memory window.
const END: u32 = TEXT + MEMORY_BYTES;

/// Runs on both interpreters, which must agree, and gives the machine at its end.
fn end<'a>(asm: &Asm, job: Job<'a>) -> Machine<'a> {
    let image = asm.image();
    let mut machines = [Engine::Plain, Engine::Fast].map(|engine| {
        let mut machine = Machine::new(&image, UNSALTED, job);
        loop {
            let event = match engine {
                Engine::Fast => machine.run_fast(),
                Engine::Plain => machine.run_plain(&mut ()),
            };
            if event != Event::Boundary {
                return machine;
            }
        }
    });
    if machines[0].exit().is_some() {
        assert_eq!(machines[0].checkpoint(), machines[1].checkpoint());
    }
    assert_eq!(machines[0].registers(), machines[1].registers());
    let [plain, _] = machines;
    plain
}

fn halted<'a>(asm: &Asm, job: Job<'a>) -> Machine<'a> {
    let machine = end(asm, job);
    assert_eq!(machine.exit(), Some(Exit::Halted { status: 0 }));
    machine
}

fn job(input: &[u8]) -> Job<'_> {
    Job::new(input, UNSALTED, FUEL_CYCLES).unwrap()
}

fn bytes_at(machine: &Machine<'_>, address: u32, count: u32) -> Vec<u8> {
    let first = address & !3;
    let words = (first..address + count).step_by(4).map(|at| machine.word(at).unwrap().to_le_bytes());
    words.flatten().skip((address - first) as usize).take(count as usize).collect()
}

/// A call that keeps its results in `one` and `other`.
fn call(asm: Asm, syscall: Syscall, pointer: u32, bytes: u32, one: u8, other: u8) -> Asm {
    asm.li(A0, pointer).li(A1, bytes).syscall(syscall).addi(one, A0, 0).addi(other, A1, 0)
}

/// What the table says that a call costs beside the instruction's own cycle, its pages left out.
fn beside(syscall: Syscall, bytes: u32) -> u64 {
    let row = syscall.row();
    u64::from(row.base_cycles) + u64::from(row.word_cycles) * u64::from(bytes.div_ceil(4))
}

/// Numbers that look random and are the same every time.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn halt_gives_all_32_bits_of_its_status() {
    for status in [0, 1, 255, 256, 0x8000_0000, u32::MAX] {
        let machine = end(&Asm::new().halt(status), job(&[]));
        assert_eq!(machine.exit(), Some(Exit::Halted { status }));
        assert_eq!(machine.cycles(), machine.instructions());
    }
}

#[test]
fn input_comes_in_whole_words_until_its_end() {
    // (asked, copied, left after it) in order, on ten bytes.
    let calls = [(7, 4, 6), (3, 0, 6), (0, 0, 6), (5, 4, 2), (1, 0, 2), (2, 2, 0), (9, 0, 0)];
    let mut asm = Asm::new().data(DATA, &[0xee; 64]);
    for (index, (asked, _, _)) in calls.iter().enumerate() {
        let slot = DATA + 0x100 + 8 * index as u32;
        asm = call(asm, Syscall::Input, DATA + 8 * index as u32, *asked, S0, S1)
            .li(T0, slot)
            .store(Opcode::Sw, S0, 0, T0)
            .store(Opcode::Sw, S1, 4, T0);
    }
    let machine = halted(&asm.halt(0), job(b"0123456789"));
    for (index, (asked, copied, left)) in calls.into_iter().enumerate() {
        let slot = DATA + 0x100 + 8 * index as u32;
        assert_eq!((machine.word(slot), machine.word(slot + 4)), (Some(copied), Some(left)), "call {index} of {asked}");
    }
    assert_eq!(bytes_at(&machine, DATA, 8), *b"0123\xee\xee\xee\xee");
    assert_eq!(bytes_at(&machine, DATA + 24, 8), *b"4567\xee\xee\xee\xee");
    // Behind the end stand zeros to the end of the word, and what was there behind that.
    assert_eq!(bytes_at(&machine, DATA + 40, 8), *b"89\0\0\xee\xee\xee\xee");
}

#[test]
fn one_input_call_moves_at_most_65536_bytes() {
    let input = noise(1, 70_001);
    let asm = call(Asm::new(), Syscall::Input, DATA, u32::MAX, S0, S1);
    let asm = call(asm, Syscall::Input, DATA + 65_536, 70_000, S2, S3);
    let machine = halted(&asm.halt(0), job(&input));
    let registers = machine.registers();
    let got = [S0, S1, S2, S3].map(|register| registers[usize::from(register)]);
    assert_eq!(got, [65_536, 70_001 - 65_536, 70_001 - 65_536, 0]);
    assert_eq!(bytes_at(&machine, DATA, 70_001), input);
}

#[test]
fn input_costs_a_cycle_a_word_and_its_pages() {
    let cost = |input: &[u8], pointer, bytes| {
        let with = halted(&call(Asm::new(), Syscall::Input, pointer, bytes, S0, S1).halt(0), job(input)).cycles();
        with - Asm::new().li(A0, pointer).li(A1, bytes).words().len() as u64 - 7
    };
    assert_eq!(cost(b"", DATA, 100), 0);
    assert_eq!(cost(b"12345", DATA, 0), 0);
    assert_eq!(cost(b"12345", DATA, 100), 2 + PAGE_CYCLES);
    assert_eq!(cost(b"12345678", DATA + 1020, 8), 2 + 2 * PAGE_CYCLES);
    assert_eq!(cost(&[0; 4096], DATA, 4096), 1024 + 4 * PAGE_CYCLES);
}

#[test]
fn output_is_what_was_put_out_and_ends_with_a_partial_word() {
    let data = noise(2, 100);
    let asm = Asm::new().data(DATA, &data).output(DATA, 8).output(DATA + 40, 0).output(DATA + 12, 4);
    let asm = call(asm, Syscall::Output, DATA + 20, 7, S0, S1).output(DATA, 0).halt(0);
    let mut machine = halted(&asm, job(&[]));
    let want = [&data[..8], &data[12..16], &data[20..27]].concat();
    assert_eq!(machine.output(), want);
    assert_eq!(machine.registers()[usize::from(S0)], 7);
    assert_eq!(machine.output_commitment(), commit_bytes(0x4903, UNSALTED, &want));
}

#[test]
fn one_output_call_moves_at_most_65536_bytes() {
    let machine = halted(&call(Asm::new(), Syscall::Output, DATA, 65_540, S0, S1).halt(0), job(&[]));
    assert_eq!((machine.output().len(), machine.registers()[usize::from(S0)]), (65_536, 65_536));
}

#[test]
fn log_takes_any_alignment_touches_no_page_and_is_cut_at_its_limit() {
    let asm = call(Asm::new().data(DATA, b"..hello, log"), Syscall::Log, DATA + 1, 7, S0, S1).halt(0);
    let machine = halted(&asm, job(&[]));
    assert_eq!((machine.log(), machine.registers()[usize::from(S0)]), (&b".hello,"[..], 7));
    assert_eq!(machine.cycles() - machine.instructions(), 2, "a cycle a word, none for pages");
    let flood = Asm::new()
        .li(S0, 20)
        .label("again")
        .li(A0, DATA)
        .li(A1, 65_536)
        .syscall(Syscall::Log)
        .rrr(Opcode::Add, S1, S1, A0)
        .addi(S0, S0, -1)
        .branch(Opcode::Bne, S0, ZERO, "again")
        .halt(0);
    let machine = halted(&flood, job(&[]));
    assert_eq!(machine.log().len(), LOG_BYTES_MAX);
    assert_eq!(machine.registers()[usize::from(S1)], 20 * 65_536, "what is dropped counts as taken");
}

#[test]
fn now_is_the_tickets_time() {
    let asm = Asm::new().syscall(Syscall::Now).addi(S0, A0, 0).addi(S1, A1, 0).syscall(Syscall::Now).halt(0);
    let time_s = 0x1234_5678_9abc_def0;
    let machine = halted(&asm, job(&[]).with_ticket(TicketSeed { seed: [0; 32], time_s }));
    let got = (machine.registers()[usize::from(S0)], machine.registers()[usize::from(S1)]);
    assert_eq!(got, (0x9abc_def0, 0x1234_5678));
    assert_eq!(machine.cycles(), machine.instructions());
}

/// The random stream as the spec says it.
fn stream(seed: &[u8; 32], bytes: usize) -> Vec<u8> {
    let c = Compressor::new();
    let start = c.block(core::array::from_fn(|i| u16::from(seed[2 * i]) | u16::from(seed[2 * i + 1]) << 8));
    let block = |k: u64| {
        let limb = |i: u32| (k >> (16 * i)) as u32 & 0xffff;
        let counter = Digest::from_elements([0x4907, limb(0), limb(1), limb(2), limb(3), 0, 0, 0]).unwrap();
        c.pair(start, counter).elements().map(|element| [element as u8, (element >> 8) as u8]).concat()
    };
    (0..).flat_map(block).take(bytes).collect()
}

#[test]
fn random_is_the_stream_of_the_spec_and_moves_on_in_whole_words() {
    let seed: [u8; 32] = noise(3, 32).try_into().unwrap();
    // Five bytes use up eight of the stream.
    let asm = call(Asm::new(), Syscall::Random, DATA, 5, S0, S1);
    let asm = call(asm, Syscall::Random, DATA + 16, 0, S1, S2);
    let asm = call(asm, Syscall::Random, DATA + 32, 24, S1, S2);
    let asm = call(asm, Syscall::Random, DATA + 1024, 70_000, S2, S3).halt(0);
    let machine = halted(&asm, job(&[]).with_ticket(TicketSeed { seed, time_s: 1 }));
    let want = stream(&seed, 32 + 65_536);
    assert_eq!(bytes_at(&machine, DATA, 8), [&want[..5], &[0; 3]].concat());
    assert_eq!(bytes_at(&machine, DATA + 32, 24), want[8..32]);
    assert_eq!(bytes_at(&machine, DATA + 1024, 65_536), want[32..]);
    assert_eq!(machine.registers()[usize::from(S2)], 65_536);
    let other = halted(&asm, job(&[]).with_ticket(TicketSeed { seed: [0; 32], time_s: 1 }));
    assert_ne!(bytes_at(&other, DATA + 32, 24), want[8..32]);
}

#[test]
fn random_costs_its_words_and_its_pages() {
    let cost = |bytes| {
        let asm = call(Asm::new(), Syscall::Random, DATA + 1020, bytes, S0, S1).halt(0);
        let machine = halted(&asm, job(&[]));
        machine.cycles() - machine.instructions()
    };
    let want = |bytes, pages: u64| beside(Syscall::Random, bytes) + pages * PAGE_CYCLES;
    assert_eq!([cost(0), cost(1), cost(5)], [want(0, 0), want(1, 1), want(5, 2)]);
}

/// One `content` call whose hash stands at `DATA`, its results in S0 and S1.
fn content_call(asm: Asm, offset: u64, pointer: u32, bytes: u32) -> Asm {
    asm.li(A0, DATA)
        .li(A1, offset as u32)
        .li(A2, (offset >> 32) as u32)
        .li(A3, pointer)
        .li(A4, bytes)
        .syscall(Syscall::Content)
        .addi(S0, A0, 0)
        .addi(S1, A1, 0)
}

#[test]
fn content_is_read_by_hash_from_any_offset() {
    let bytes = noise(4, 100_003);
    let mut content = Content::new();
    let hash = content.insert(&bytes);
    assert_eq!(hash.as_bytes(), blake3::hash(&bytes).as_bytes());
    let size = bytes.len() as u64;
    for (offset, asked, copied) in [
        (0, 8, 8),
        (0, 7, 4),
        (1, 5, 4),
        (size - 3, 100, 3),
        (size - 3, 3, 3),
        (size - 3, 2, 0),
        (size, 4, 0),
        (size + 1, 4, 0),
        (1 << 32, 4, 0),
        (u64::MAX, 4, 0),
        (5, u32::MAX, 65_536),
        (0, 0, 0),
    ] {
        let asm = content_call(Asm::new().data(DATA, hash.as_bytes()), offset, DATA + 1024, asked).halt(0);
        let machine = halted(&asm, job(&[]).with_content(&content));
        let left = size.saturating_sub(offset) - u64::from(copied);
        let got = (machine.registers()[usize::from(S0)], machine.registers()[usize::from(S1)]);
        assert_eq!(got, (copied, left as u32), "{asked} from {offset}");
        let from = offset.min(size) as usize;
        assert_eq!(bytes_at(&machine, DATA + 1024, copied), bytes[from..from + copied as usize]);
        let pages = if copied == 0 { 1 } else { 1 + u64::from((copied - 1) / 1024 + 1) };
        let want = beside(Syscall::Content, copied) + pages * PAGE_CYCLES;
        assert_eq!(machine.cycles() - machine.instructions(), want);
    }
}

#[test]
fn the_transcript_is_that_of_the_spec() {
    let bytes = noise(5, 1000);
    let mut content = Content::new();
    let hash = content.insert(&bytes);
    let asm = Asm::new().data(DATA, hash.as_bytes());
    let asm = content_call(asm, 0, DATA + 1024, 100);
    let asm = content_call(asm, 2000, DATA + 1024, 100);
    let asm = content_call(asm, 996, DATA + 1024, 100).halt(0);
    let image = asm.image();
    let c = Compressor::new();
    let limb = |number: u64, i: u32| (number >> (16 * i)) as u16;
    let event = |before: Digest, offset: u64, part: &[u8]| {
        let mut block = [0; 16];
        block[0] = 0x4906;
        for i in 0..4 {
            block[1 + i as usize] = limb(offset, i);
            block[5 + i as usize] = limb(1000, i);
        }
        block[9] = limb(part.len() as u64, 0);
        block[10] = limb(part.len() as u64, 1);
        let hash = hash.as_bytes();
        let hash = c.block(core::array::from_fn(|i| u16::from(hash[2 * i]) | u16::from(hash[2 * i + 1]) << 8));
        let asked = c.pair(hash, c.block(block));
        c.pair(before, c.pair(asked, commit_bytes(0x4904, UNSALTED, part)))
    };
    // The call past the end copies nothing; that is an event too.
    let want = event(event(event(Digest::ZERO, 0, &bytes[..100]), 2000, &[]), 996, &bytes[996..]);
    for engine in [Engine::Fast, Engine::Plain] {
        let mut machine = Machine::new(&image, UNSALTED, job(&[]).with_content(&content));
        let options = Options { engine, checkpoints: CheckpointPolicy::Auto };
        let ended = run(&mut machine, options, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!((ended.exit, ended.transcript), (Exit::Halted { status: 0 }, want));
    }
}

#[test]
fn content_that_is_not_at_hand_stops_the_host_and_changes_nothing() {
    let asm = content_call(Asm::new().data(DATA, &[7; 32]), 0, DATA + 1024, 100).halt(0);
    let machine = end(&asm, job(&[]));
    assert_eq!(machine.exit(), None);
    assert_eq!(machine.cycles(), machine.instructions());
    let image = asm.image();
    let mut again = Machine::new(&image, UNSALTED, job(&[]));
    let hash = nonos_types::Hash32::from_bytes([7; 32]);
    assert_eq!(again.run_fast(), Event::ContentMissing(hash));
    assert_eq!(again.run_plain(&mut ()), Event::ContentMissing(hash));
    let error = run(&mut again, Options::default(), &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(error, Err(RunError::ContentMissing { hash }));
}

#[test]
fn sha256_is_that_of_another_implementation_over_many_blocks() {
    const H0: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    for length in [0, 1, 55, 56, 63, 64, 65, 1000, 8191] {
        let message = noise(length as u32 + 6, length);
        let mut padded = message.clone();
        padded.push(0x80);
        padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
        padded.extend_from_slice(&(8 * length as u64).to_be_bytes());
        let state: Vec<u8> = H0.iter().flat_map(|word| word.to_le_bytes()).collect();
        let asm = Asm::new()
            .data(DATA, &state)
            .data(DATA + 64, &padded)
            .li(S0, DATA + 64)
            .li(S1, DATA + 64 + padded.len() as u32)
            .label("block")
            .li(A0, DATA)
            .addi(A1, S0, 0)
            .syscall(Syscall::Sha256)
            .addi(S0, S0, 64)
            .branch(Opcode::Bne, S0, S1, "block")
            .output(DATA, 32)
            .halt(0);
        let machine = halted(&asm, job(&[]));
        let words = machine.output().chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let digest: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
        assert_eq!(digest, sha2::Sha256::digest(&message).as_slice(), "{length} bytes");
    }
}

#[test]
fn keccak_is_that_of_another_implementation_over_many_blocks() {
    const RATE: usize = 136;
    for length in [0, 1, 135, 136, 137, 1000] {
        let message = noise(length as u32 + 7, length);
        let mut padded = message.clone();
        padded.push(0x06);
        padded.resize(padded.len().next_multiple_of(RATE), 0);
        *padded.last_mut().unwrap() |= 0x80;
        // The state at DATA, the message behind it; each turn adds 34 words to the state and permutes.
        let asm = Asm::new()
            .data(DATA + 256, &padded)
            .li(S0, DATA + 256)
            .li(S1, DATA + 256 + padded.len() as u32)
            .label("block")
            .li(S2, DATA)
            .li(S3, DATA + RATE as u32)
            .label("word")
            .load(Opcode::Lw, A0, 0, S0)
            .load(Opcode::Lw, A1, 0, S2)
            .rrr(Opcode::Xor, A0, A0, A1)
            .store(Opcode::Sw, A0, 0, S2)
            .addi(S0, S0, 4)
            .addi(S2, S2, 4)
            .branch(Opcode::Bne, S2, S3, "word")
            .li(A0, DATA)
            .syscall(Syscall::Keccak)
            .branch(Opcode::Bne, S0, S1, "block")
            .output(DATA, 32)
            .halt(0);
        let machine = halted(&asm, job(&[]));
        assert_eq!(machine.output(), sha3::Sha3_256::digest(&message).as_slice(), "{length} bytes");
    }
}

#[test]
fn poseidon2_is_the_permutation_of_the_image_crate() {
    let mut words: [u32; 16] = core::array::from_fn(|i| (i as u32).wrapping_mul(0x9e37_79b9) % 0x7f00_0001);
    words[3] = 0x7f00_0000;
    let state: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let asm = Asm::new().data(DATA, &state).li(A0, DATA).syscall(Syscall::Poseidon2).output(DATA, 64).halt(0);
    let machine = halted(&asm, job(&[]));
    Compressor::new().permute(&mut words).unwrap();
    let want: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(machine.output(), want);
}

#[test]
fn accelerators_cost_what_the_table_says() {
    for (syscall, pages) in [(Syscall::Sha256, 2), (Syscall::Keccak, 1), (Syscall::Poseidon2, 1)] {
        let asm = Asm::new().li(A0, DATA).li(A1, DATA + 4096).syscall(syscall).halt(0);
        let machine = halted(&asm, job(&[]));
        let want = beside(syscall, 0) + pages * PAGE_CYCLES;
        assert_eq!(machine.cycles() - machine.instructions(), want, "{}", syscall.name());
    }
}

#[test]
fn accelerators_may_share_a_page_and_even_their_words() {
    let asm = Asm::new().data(DATA, &noise(8, 96)).li(A0, DATA).li(A1, DATA + 8).syscall(Syscall::Sha256).halt(0);
    let machine = halted(&asm, job(&[]));
    assert_eq!(machine.cycles() - machine.instructions(), beside(Syscall::Sha256, 0) + PAGE_CYCLES);
    let bytes = noise(8, 96);
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut state: [u32; 8] = core::array::from_fn(|i| word(4 * i));
    sha2::block_api::compress256(&mut state, &[bytes[8..72].try_into().unwrap()]);
    let want: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(bytes_at(&machine, DATA, 32), want);
}

/// A call with all five arguments set, its trap looked for on both interpreters.
fn trap_of(syscall: Syscall, arguments: [u32; 5]) -> Option<Trap> {
    let mut content = Content::new();
    let hash = content.insert(b"twelve bytes");
    let asm = Asm::new().data(DATA + 0x2000, hash.as_bytes());
    let asm = arguments.iter().zip([A0, A1, A2, A3, A4]).fold(asm, |asm, (value, register)| asm.li(register, *value));
    let machine = end(&asm.li(A7, syscall.number()).ecall().halt(0), job(&[1; 100]).with_content(&content));
    match machine.exit() {
        Some(Exit::Trapped { trap, .. }) => Some(trap),
        Some(Exit::Halted { .. }) => None,
        None => panic!("{}: content is missing", syscall.name()),
    }
}

#[test]
fn pointers_that_are_misaligned_outside_or_into_the_text_trap() {
    use Syscall::{Content as Read, Input, Keccak, Log, Output, Poseidon2, Random, Sha256};
    let hash = DATA + 0x2000;
    let (misaligned, outside) = (Some(Trap::SyscallMisaligned), Some(Trap::SyscallOutside));
    let check = |syscall: Syscall, arguments, want| {
        assert_eq!(trap_of(syscall, arguments), want, "{} {arguments:x?}", syscall.name());
    };
    for syscall in [Input, Output, Random] {
        check(syscall, [DATA + 1, 4, 0, 0, 0], misaligned);
        check(syscall, [END + 2, 4, 0, 0, 0], misaligned);
        check(syscall, [END - 8, 8, 0, 0, 0], None);
        check(syscall, [END - 8, 12, 0, 0, 0], outside);
        check(syscall, [END, 4, 0, 0, 0], outside);
        check(syscall, [TEXT - 4, 4, 0, 0, 0], outside);
        check(syscall, [TEXT - 4, 8, 0, 0, 0], outside);
        check(syscall, [0, 4, 0, 0, 0], outside);
        check(syscall, [0xffff_fffc, 100, 0, 0, 0], outside);
        // A length of zero: the pointer is not looked at.
        check(syscall, [3, 0, 0, 0, 0], None);
        check(syscall, [TEXT, 0, 0, 0, 0], None);
    }
    // Reading the text is allowed, writing is not, not even one word at its end.
    check(Output, [TEXT, 8, 0, 0, 0], None);
    check(Input, [TEXT, 4, 0, 0, 0], outside);
    check(Random, [TEXT + 16, 4, 0, 0, 0], outside);
    // A part of a word needs all of it.
    for syscall in [Output, Random] {
        check(syscall, [DATA + 2, 1, 0, 0, 0], misaligned);
        check(syscall, [END - 8, 9, 0, 0, 0], outside);
    }
    // An input that has 100 bytes left copies whole words: of one byte, none.
    check(Input, [DATA + 2, 1, 0, 0, 0], None);
    check(Input, [END - 8, 9, 0, 0, 0], None);
    for pointer in [DATA + 1, DATA + 3] {
        check(Log, [pointer, 9, 0, 0, 0], None);
    }
    check(Log, [END - 3, 3, 0, 0, 0], None);
    check(Log, [END - 3, 4, 0, 0, 0], outside);
    check(Log, [0, 1, 0, 0, 0], outside);
    check(Log, [0, 0, 0, 0, 0], None);
    for syscall in [Keccak, Poseidon2] {
        let bytes = if syscall == Keccak { 200 } else { 64 };
        check(syscall, [DATA + 2, 0, 0, 0, 0], misaligned);
        check(syscall, [END - bytes, 0, 0, 0, 0], None);
        check(syscall, [END - bytes + 4, 0, 0, 0, 0], outside);
        check(syscall, [TEXT - 4, 0, 0, 0, 0], outside);
        check(syscall, [TEXT, 0, 0, 0, 0], outside);
    }
    check(Sha256, [DATA + 1, DATA, 0, 0, 0], misaligned);
    check(Sha256, [DATA, DATA + 1, 0, 0, 0], misaligned);
    check(Sha256, [TEXT, DATA, 0, 0, 0], outside);
    check(Sha256, [DATA, TEXT, 0, 0, 0], None);
    check(Sha256, [END - 32, END - 64, 0, 0, 0], None);
    check(Sha256, [END - 28, DATA, 0, 0, 0], outside);
    check(Sha256, [DATA, END - 60, 0, 0, 0], outside);
    // Arguments are looked at in their order, each for its alignment first.
    check(Sha256, [END, DATA + 1, 0, 0, 0], outside);
    check(Sha256, [DATA + 1, END, 0, 0, 0], misaligned);
    check(Sha256, [DATA, END + 1, 0, 0, 0], misaligned);
    check(Read, [hash, 0, 0, DATA, 12], None);
    check(Read, [hash + 2, 0, 0, DATA, 12], misaligned);
    check(Read, [END - 28, 0, 0, DATA, 12], outside);
    check(Read, [hash, 0, 0, DATA + 2, 12], misaligned);
    check(Read, [hash, 0, 0, END - 8, 12], outside);
    check(Read, [hash, 0, 0, TEXT, 12], outside);
    check(Read, [hash, 0, 0, TEXT, 0], None);
    check(Read, [hash, 12, 0, TEXT + 1, 12], None);
}
