//! The mock's syscalls: the same functions as `guest.rs` has, answered by a machine of this thread.

use super::{Mock, Stop, end, poseidon2};
use crate::{
    output::Buffer,
    syscall::{Aligned, BYTES_MAX},
};
use alloc::{format, string::String, vec::Vec};
use core::cell::RefCell;
use std::{panic, sync::Once, thread_local};

/// Largest output of a run.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// Most log text that a host keeps.
const LOG_BYTES_MAX: usize = 1 << 20;
/// First element of a block of the `random` stream (`docs/spec/31-syscalls.md`).
const TAG_RANDOM: u32 = 0x4907;
/// Bytes of one block of the `random` stream.
const RANDOM_BLOCK_BYTES: usize = 16;

thread_local! {
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
    static OUTPUT: RefCell<Buffer> = const { RefCell::new(Buffer::new()) };
}

/// A machine during its run.
pub(super) struct Machine {
    given: Mock,
    seed: [u32; 8],
    input_position: usize,
    random_position: usize,
    pub(super) output: Vec<u8>,
    pub(super) log: String,
    pub(super) checkpoint_count: usize,
    pub(super) trap_in_panic: Option<Stop>,
}

impl Machine {
    pub(super) fn new(given: Mock) -> Self {
        // The seed as sixteen 16-bit limbs, compressed.
        let limb = |i: usize| u32::from(u16::from_le_bytes([given.ticket_seed[2 * i], given.ticket_seed[2 * i + 1]]));
        let seed = poseidon2::compress(core::array::from_fn(limb), core::array::from_fn(|i| limb(i + 8)));
        Self {
            seed,
            given,
            input_position: 0,
            random_position: 0,
            output: Vec::new(),
            log: String::new(),
            checkpoint_count: 0,
            trap_in_panic: None,
        }
    }

    fn granted(&self, name: &str) -> Result<(), Stop> {
        let granted = name == "halt" || self.given.grants.contains(&name);
        if granted { Ok(()) } else { Err(Stop::Trap("syscall-not-granted")) }
    }

    fn input(&mut self, buffer: &mut [u8]) -> Result<(usize, usize), Stop> {
        self.granted("input")?;
        let rest = &self.given.input[self.input_position..];
        let copied = copy_words(rest, buffer)?;
        self.input_position += copied;
        Ok((copied, rest.len() - copied))
    }

    fn output(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        self.granted("output")?;
        let accepted = bytes.len().min(BYTES_MAX);
        if accepted == 0 {
            return Ok(0);
        }
        aligned(bytes)?;
        if !self.output.len().is_multiple_of(4) {
            return Err(Stop::Trap("output-after-partial-word"));
        }
        if self.output.len() + accepted > OUTPUT_BYTES_MAX {
            return Err(Stop::Trap("output-too-large"));
        }
        self.output.extend_from_slice(&bytes[..accepted]);
        Ok(accepted)
    }

    fn log(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        self.granted("log")?;
        let accepted = bytes.len().min(BYTES_MAX);
        let kept = accepted.min(LOG_BYTES_MAX.saturating_sub(self.log.len()));
        self.log.push_str(&String::from_utf8_lossy(&bytes[..kept]));
        Ok(accepted)
    }

    fn checkpoint(&mut self) -> Result<(), Stop> {
        self.granted("checkpoint")?;
        self.checkpoint_count += 1;
        Ok(())
    }

    fn content(&self, hash: &[u8; 32], offset: u64, buffer: &mut [u8]) -> Result<(usize, usize), Stop> {
        self.granted("content")?;
        let content = self.given.contents.get(hash).ok_or(Stop::ContentMissing { hash: *hash })?;
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        let copied = copy_words(rest, buffer)?;
        Ok((copied, rest.len() - copied))
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        self.granted("random")?;
        let written = buffer.len().min(BYTES_MAX);
        if written > 0 {
            aligned(buffer)?;
        }
        for byte in &mut buffer[..written] {
            *byte = self.random_byte(self.random_position);
            self.random_position += 1;
        }
        self.random_position = self.random_position.next_multiple_of(4);
        Ok(written)
    }

    fn random_byte(&self, position: usize) -> u8 {
        let number = (position / RANDOM_BLOCK_BYTES) as u64;
        let limb = |i: u32| (number >> (16 * i)) as u32 & 0xffff;
        let block = [TAG_RANDOM, limb(0), limb(1), limb(2), limb(3), 0, 0, 0];
        let within = position % RANDOM_BLOCK_BYTES;
        let element = poseidon2::compress(self.seed, block)[within / 2];
        element.to_le_bytes()[within % 2]
    }

    fn now(&self) -> Result<u64, Stop> {
        self.granted("now")?;
        Ok(self.given.ticket_time)
    }

    fn sha256(&self, state: &mut [u32; 8], block: &[u8; 64]) -> Result<(), Stop> {
        self.granted("sha256")?;
        aligned(block)?;
        sha2::block_api::compress256(state, &[*block]);
        Ok(())
    }

    fn keccak(&self, state: &mut [u64; 25]) -> Result<(), Stop> {
        self.granted("keccak")?;
        keccak::Keccak::new().with_f1600(|f1600| f1600(state));
        Ok(())
    }

    fn poseidon2(&self, state: &mut [u32; 16]) -> Result<(), Stop> {
        self.granted("poseidon2")?;
        if state.iter().any(|&word| word >= poseidon2::FIELD_ORDER) {
            return Err(Stop::Trap("not-an-element"));
        }
        poseidon2::permute(state);
        Ok(())
    }
}

pub(super) fn start(machine: Machine) {
    let running = MACHINE.with(|cell| cell.borrow().is_some());
    assert!(!running, "a mock run cannot start inside a mock run");
    MACHINE.with(|cell| *cell.borrow_mut() = Some(machine));
    OUTPUT.with(|cell| *cell.borrow_mut() = Buffer::new());
}

pub(super) fn stop() -> Machine {
    MACHINE.with(|cell| cell.borrow_mut().take()).expect("the machine that `start` installed")
}

/// Panics on a thread with a machine go to that machine's log, all others where they went before.
pub(super) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(alloc::boxed::Box::new(move |info| {
            let logged = MACHINE.with(|cell| match cell.try_borrow_mut().as_deref_mut() {
                Ok(Some(machine)) => {
                    // Where `log` is not granted, the message traps before the program can halt.
                    machine.trap_in_panic = machine.log(format!("{info}\n").as_bytes()).err();
                    true
                }
                _ => false,
            });
            if !logged {
                before(info);
            }
        }));
    });
}

/// The rules of `input` and `content`: short counts, whole words, zeros behind the last byte.
fn copy_words(source: &[u8], buffer: &mut [u8]) -> Result<usize, Stop> {
    if buffer.is_empty() {
        return Ok(0);
    }
    aligned(buffer)?;
    let mut copied = buffer.len().min(BYTES_MAX).min(source.len());
    if copied < source.len() {
        copied -= copied % 4;
    }
    buffer[..copied].copy_from_slice(&source[..copied]);
    buffer[copied..copied.next_multiple_of(4)].fill(0);
    Ok(copied)
}

fn aligned(bytes: &[u8]) -> Result<(), Stop> {
    if bytes.as_ptr().addr().is_multiple_of(4) { Ok(()) } else { Err(Stop::Trap("syscall-misaligned")) }
}

fn on_machine<R>(call: impl FnOnce(&mut Machine) -> Result<R, Stop>) -> R {
    let result = MACHINE.with(|cell| match cell.borrow_mut().as_mut() {
        Some(machine) => call(machine),
        None => panic!("there is no machine here: run the program with `nonos run`, or in a test with `Mock`"),
    });
    result.unwrap_or_else(|stop| end(Err(stop)))
}

pub(crate) fn with_output<R>(action: impl FnOnce(&mut Buffer) -> R) -> R {
    OUTPUT.with(|cell| action(&mut cell.borrow_mut()))
}

pub(crate) fn halt(status: u32) -> ! {
    end(on_machine(|_| Ok(Ok(status))))
}
pub(crate) fn input(buffer: &mut [u8]) -> (usize, usize) {
    on_machine(|machine| machine.input(buffer))
}
pub(crate) fn output(bytes: &[u8]) -> usize {
    on_machine(|machine| machine.output(bytes))
}
pub(crate) fn log(bytes: &[u8]) -> usize {
    on_machine(|machine| machine.log(bytes))
}
pub(crate) fn checkpoint() {
    on_machine(Machine::checkpoint);
}
pub(crate) fn content(hash: &Aligned<32>, offset: u64, buffer: &mut [u8]) -> (usize, usize) {
    on_machine(|machine| machine.content(&hash.0, offset, buffer))
}
pub(crate) fn random(buffer: &mut [u8]) -> usize {
    on_machine(|machine| machine.random(buffer))
}
pub(crate) fn now() -> u64 {
    on_machine(|machine| machine.now())
}
pub(crate) fn sha256(state: &mut [u32; 8], block: &[u8; 64]) {
    on_machine(|machine| machine.sha256(state, block));
}
pub(crate) fn keccak(state: &mut [u64; 25]) {
    on_machine(|machine| machine.keccak(state));
}
pub(crate) fn poseidon2(state: &mut [u32; 16]) {
    on_machine(|machine| machine.poseidon2(state));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall;

    fn check(mock: Mock, program: impl FnOnce(), expected: Result<u32, Stop>) {
        let run = mock.run(program);
        assert_eq!(run.status, expected, "{}", run.log);
    }

    #[test]
    fn an_input_call_in_the_middle_copies_whole_words_and_the_last_one_fills_with_zeros() {
        let program = || {
            let mut buffer = Aligned([0xee; 12]);
            assert_eq!(syscall::input(&mut []), (0, 11));
            assert_eq!(syscall::input(&mut buffer.0[..4]), (4, 7));
            assert_eq!(buffer.0[..5], *b"0123\xee");
            assert_eq!(syscall::input(&mut buffer.0[..8]), (7, 0));
            assert_eq!(buffer.0, *b"456789a\0\xee\xee\xee\xee");
            assert_eq!(syscall::input(&mut buffer.0[..8]), (0, 0));
        };
        check(Mock::new().input(*b"0123456789a"), program, Ok(0));
    }

    #[test]
    fn one_call_moves_at_most_64_kib() {
        let program = || {
            let mut buffer = alloc::vec![0; 70_000];
            assert_eq!(syscall::input(&mut buffer), (65_536, 4_464));
            assert_eq!(syscall::output(&buffer), 65_536);
            assert_eq!(syscall::log(&buffer), 65_536);
            assert_eq!(syscall::random(&mut buffer), 65_536);
        };
        check(
            Mock::new().input(alloc::vec![b'x'; 70_000]).grants(["input", "output", "log", "random"]),
            program,
            Ok(0),
        );
    }

    #[test]
    fn output_behind_a_partial_word_traps() {
        let program = || {
            let words = Aligned(*b"abcdefgh");
            assert_eq!(syscall::output(&words.0[..5]), 5);
            assert_eq!(syscall::output(&[]), 0);
            syscall::output(&words.0[..1]);
        };
        check(Mock::new(), program, Err(Stop::Trap("output-after-partial-word")));
    }

    #[test]
    fn more_than_16_mib_of_output_trap() {
        let program = || {
            let piece = alloc::vec![1; BYTES_MAX];
            for _ in 0..=OUTPUT_BYTES_MAX / BYTES_MAX {
                assert_eq!(syscall::output(&piece), BYTES_MAX);
            }
        };
        check(Mock::new(), program, Err(Stop::Trap("output-too-large")));
    }

    #[test]
    fn a_misaligned_pointer_traps_except_for_the_log_and_for_nothing() {
        let bytes = Aligned([b'.'; 8]);
        check(Mock::new(), || assert_eq!(syscall::log(&bytes.0[1..4]), 3), Ok(0));
        check(Mock::new(), || assert_eq!(syscall::output(&bytes.0[1..1]), 0), Ok(0));
        let trap = Err(Stop::Trap("syscall-misaligned"));
        check(Mock::new(), || _ = syscall::output(&bytes.0[1..5]), trap);
        check(Mock::new(), || _ = syscall::input(&mut Aligned([0; 8]).0[2..6]), trap);
        check(
            Mock::new().grants(["input", "output", "log", "random"]),
            || _ = syscall::random(&mut Aligned([0; 8]).0[3..7]),
            trap,
        );
    }

    #[test]
    fn a_syscall_that_is_not_granted_traps() {
        let calls: [(&str, fn()); 10] = [
            ("input", || {
                let _ = crate::input::bytes();
            }),
            ("output", || crate::output::write_bytes(b"x")),
            ("log", || crate::log!("x")),
            ("checkpoint", crate::checkpoint),
            ("content", || _ = crate::content::bytes(blake3::hash(b"").as_bytes())),
            ("random", || _ = crate::random::next_u64()),
            ("now", || _ = crate::now()),
            ("sha256", || _ = crate::hash::sha256(b"")),
            ("keccak", || _ = crate::hash::keccak256(b"")),
            ("poseidon2", || crate::hash::poseidon2(&mut [0; 16])),
        ];
        for (name, call) in calls {
            let others = super::super::GRANTS_ALL.into_iter().filter(|other| *other != name);
            check(Mock::new().grants(others).content(*b""), call, Err(Stop::Trap("syscall-not-granted")));
            check(Mock::new().grants([name]).content(*b""), call, Ok(0));
        }
    }

    #[test]
    fn a_word_that_is_not_an_element_traps() {
        let program = || syscall::poseidon2(&mut [0x7F00_0001; 16]);
        check(Mock::new().grants(["poseidon2"]), program, Err(Stop::Trap("not-an-element")));
    }

    #[test]
    fn an_error_is_logged_and_what_was_written_before_it_is_output() {
        let run = Mock::new().run(|| {
            crate::output::write_bytes(b"before");
            Err::<(), _>("no corpus")
        });
        assert_eq!(
            (run.status, run.log.as_str(), run.output.as_slice()),
            (Ok(1), "error: no corpus\n", &b"before"[..])
        );
    }

    #[test]
    fn a_panic_is_logged_with_its_place_and_the_next_run_starts_clean() {
        let run = Mock::new().run(|| {
            crate::output::write_bytes(b"lost");
            let zero = crate::input::left_bytes();
            assert_eq!(7, zero, "seven");
        });
        assert_eq!(run.status, Ok(101));
        assert!(run.log.contains("panicked at "), "{:?}", run.log);
        assert!(run.log.contains("machine.rs") && run.log.contains("seven"), "{:?}", run.log);
        assert!(run.output.is_empty());
        let run = Mock::new().grants([]).run(|| assert_eq!(1, 2));
        assert_eq!(run.status, Err(Stop::Trap("syscall-not-granted")));
        let exit_with_7 = || -> () { crate::exit(7) };
        assert_eq!(Mock::new().run(exit_with_7).status, Ok(7));
    }

    #[test]
    fn the_random_stream_depends_on_the_seed_alone_and_moves_on_in_words() {
        let stream = |seed: u8, lengths: &'static [usize]| {
            let run = Mock::new().grants(["input", "output", "log", "random"]).ticket_seed([seed; 32]).run(move || {
                let mut buffer = Aligned([0; 256]);
                for &length in lengths {
                    assert_eq!(syscall::random(&mut buffer.0[..length]), length);
                    crate::output::write_bytes(&buffer.0[..length]);
                }
            });
            assert_eq!(run.status, Ok(0));
            run.output
        };
        assert_eq!(stream(1, &[256]), stream(1, &[4, 12, 16, 20, 204]));
        assert_ne!(stream(1, &[64]), stream(2, &[64]));
    }

    #[test]
    fn the_random_stream_is_that_of_the_machine() {
        // Made with the compression of the machine's own crate.
        const BLOCKS: [u128; 2] =
            [0xf77f_2483_3c2a_3138_d594_f1e1_4ef4_0d83, 0x2493_35da_a3e4_3b8a_ac42_0398_17a0_9cb2];
        let seed = core::array::from_fn(|i| i as u8 * 7 + 1);
        let run = Mock::new().grants(["output", "random"]).ticket_seed(seed).run(|| {
            let mut buffer = [0; 32];
            crate::random::fill(&mut buffer);
            crate::output::write_bytes(&buffer);
        });
        assert_eq!(run.output, BLOCKS.map(u128::to_be_bytes).concat());
    }

    #[test]
    fn the_log_keeps_a_megabyte_and_accepts_all() {
        let run = Mock::new().run(|| {
            for _ in 0..20 {
                assert_eq!(syscall::log(&[b'x'; BYTES_MAX]), BYTES_MAX);
            }
        });
        assert_eq!((run.status, run.log.len()), (Ok(0), LOG_BYTES_MAX));
    }
}
