//! Syscalls: first what a call will do and cost (nothing changes), then doing it.
//!
//! Spec: `docs/spec/31-syscalls.md`. Both interpreters come here.

use crate::{
    machine::{Exit, Machine, PAGE_CYCLES},
    plain::{Access, Act, Observer, Plan, Refusal},
};
use alloc::vec::Vec;
use nonos_image::{PAGE_BYTES, UNSALTED, commit_bytes};
use nonos_isa::{Syscall, Trap};
use nonos_types::{
    Digest, FIELD_ORDER, Hash32,
    domain::{TAG_CONTENT, TAG_CONTENT_EVENT, TAG_RANDOM},
    limits::{LOG_BYTES_MAX, OUTPUT_BYTES_MAX, SYSCALL_BYTES_MAX},
};

const A0: u8 = 10;
const A1: u8 = 11;
const A2: u8 = 12;
const A3: u8 = 13;
const A4: u8 = 14;
const A7: u8 = 17;

/// Words of a SHA-256 state, a SHA-256 block, a Keccak state and a Poseidon2 state.
const SHA256_STATE_WORDS: u32 = 8;
const SHA256_BLOCK_WORDS: u32 = 16;
const KECCAK_STATE_WORDS: u32 = 50;
const POSEIDON2_STATE_WORDS: u32 = 16;
const HASH_WORDS: u32 = 8;
/// Bytes of the random stream that one compression gives.
const RANDOM_BLOCK_BYTES: u64 = 16;

/// A call whose arguments were checked. Offsets are in the memory window.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    Halt { status: u32 },
    Input { to: u32, bytes: u32 },
    Output { from: u32, bytes: u32 },
    Log { from: u32, bytes: u32 },
    Checkpoint,
    Content { hash_at: u32, to: u32, bytes: u32 },
    Random { to: u32, bytes: u32 },
    Now,
    Sha256 { state: u32, block: u32 },
    Keccak { state: u32 },
    Poseidon2 { state: u32 },
}

impl Machine<'_> {
    pub(crate) fn plan_call(&self) -> Result<Plan, Refusal> {
        let syscall = Syscall::from_number(self.register(A7)).ok_or(Trap::UnknownSyscall)?;
        if !self.grants.has(syscall) {
            return Err(Trap::SyscallNotGranted.into());
        }
        let (a0, a1) = (self.register(A0), self.register(A1));
        let (call, words, pages) = match syscall {
            Syscall::Halt => (Call::Halt { status: a0 }, 0, 0),
            Syscall::Input => {
                let left = self.job.input.len() as u64 - self.input_position;
                let bytes = short_count(a1, left);
                let to = self.buffer(a0, words(bytes), true)?;
                (Call::Input { to, bytes }, words(bytes), self.pages(to, words(bytes)))
            }
            Syscall::Output => {
                let bytes = a1.min(SYSCALL_BYTES_MAX);
                let from = self.buffer(a0, words(bytes), false)?;
                let length = self.output.len() as u64;
                if bytes > 0 && !length.is_multiple_of(4) {
                    return Err(Trap::OutputAfterPartialWord.into());
                }
                if length + u64::from(bytes) > OUTPUT_BYTES_MAX {
                    return Err(Trap::OutputTooLarge.into());
                }
                (Call::Output { from, bytes }, words(bytes), self.pages(from, words(bytes)))
            }
            Syscall::Log => {
                let bytes = a1.min(SYSCALL_BYTES_MAX);
                let from = a0.wrapping_sub(self.memory.start);
                if bytes > 0 && u64::from(from) + u64::from(bytes) > self.memory.words.len() as u64 * 4 {
                    return Err(Trap::SyscallOutside.into());
                }
                (Call::Log { from, bytes }, words(bytes), 0)
            }
            Syscall::Checkpoint => (Call::Checkpoint, 0, 0),
            Syscall::Content => return self.plan_content(),
            Syscall::Random => {
                let bytes = a1.min(SYSCALL_BYTES_MAX);
                let to = self.buffer(a0, words(bytes), true)?;
                (Call::Random { to, bytes }, words(bytes), self.pages(to, words(bytes)))
            }
            Syscall::Now => (Call::Now, 0, 0),
            Syscall::Sha256 => {
                let state = self.buffer(a0, SHA256_STATE_WORDS, true)?;
                let block = self.buffer(a1, SHA256_BLOCK_WORDS, false)?;
                let pages = self.pages_of_two((state, SHA256_STATE_WORDS), (block, SHA256_BLOCK_WORDS));
                (Call::Sha256 { state, block }, 0, pages)
            }
            Syscall::Keccak => {
                let state = self.buffer(a0, KECCAK_STATE_WORDS, true)?;
                (Call::Keccak { state }, 0, self.pages(state, KECCAK_STATE_WORDS))
            }
            Syscall::Poseidon2 => {
                let state = self.buffer(a0, POSEIDON2_STATE_WORDS, true)?;
                let at = state as usize / 4;
                if self.memory.words[at..at + POSEIDON2_STATE_WORDS as usize].iter().any(|word| *word >= FIELD_ORDER) {
                    return Err(Trap::NotAnElement.into());
                }
                (Call::Poseidon2 { state }, 0, self.pages(state, POSEIDON2_STATE_WORDS))
            }
        };
        Ok(self.call_plan(syscall, call, words, pages))
    }

    fn plan_content(&self) -> Result<Plan, Refusal> {
        let hash_at = self.buffer(self.register(A0), HASH_WORDS, false)?;
        let (hash, at) = self.content_asked_for(hash_at);
        let content = self.job.content.get(&hash).ok_or(Refusal::ContentMissing(hash))?;
        let left = (content.len() as u64).saturating_sub(at);
        let bytes = short_count(self.register(A4), left);
        let to = self.buffer(self.register(A3), words(bytes), true)?;
        let pages = self.pages_of_two((hash_at, HASH_WORDS), (to, words(bytes)));
        let call = Call::Content { hash_at, to, bytes };
        Ok(self.call_plan(Syscall::Content, call, words(bytes), pages))
    }

    /// The hash in memory and the offset in the registers of a `content` call.
    fn content_asked_for(&self, hash_at: u32) -> (Hash32, u64) {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(&self.memory.words[hash_at as usize / 4..]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let at = u64::from(self.register(A1)) | u64::from(self.register(A2)) << 32;
        (Hash32::from_bytes(bytes), at)
    }

    fn call_plan(&self, syscall: Syscall, call: Call, words: u32, pages: u32) -> Plan {
        let cycles = syscall.cycles(words) + u64::from(pages) * PAGE_CYCLES;
        Plan { act: Act::Call(call), next_pc: self.pc.wrapping_add(4), cycles }
    }

    /// Offset of a buffer of whole words, or the trap that it is. Nothing is looked at when there are no words.
    fn buffer(&self, pointer: u32, words: u32, write: bool) -> Result<u32, Refusal> {
        if words == 0 {
            return Ok(0);
        }
        if !pointer.is_multiple_of(4) {
            return Err(Trap::SyscallMisaligned.into());
        }
        let offset = pointer.wrapping_sub(self.memory.start);
        let end = u64::from(offset) + u64::from(words) * 4;
        if end > self.memory.words.len() as u64 * 4 {
            return Err(Trap::SyscallOutside.into());
        }
        let text = self.layout.text_start - self.memory.start..self.layout.text_end - self.memory.start;
        if write && offset < text.end && u64::from(text.start) < end {
            return Err(Trap::SyscallOutside.into());
        }
        Ok(offset)
    }

    /// Pages that a buffer would touch for the first time.
    fn pages(&self, offset: u32, words: u32) -> u32 {
        if words == 0 { 0 } else { self.memory.untouched(offset / PAGE_BYTES, (offset + words * 4 - 1) / PAGE_BYTES) }
    }

    /// As [`Machine::pages`] for two buffers that may share pages.
    fn pages_of_two(&self, (a, a_words): (u32, u32), (b, b_words): (u32, u32)) -> u32 {
        let each = self.pages(a, a_words) + self.pages(b, b_words);
        if a_words == 0 || b_words == 0 {
            return each;
        }
        let first = (a / PAGE_BYTES).max(b / PAGE_BYTES);
        let last = ((a + a_words * 4 - 1) / PAGE_BYTES).min((b + b_words * 4 - 1) / PAGE_BYTES);
        if first > last { each } else { each - self.memory.untouched(first, last) }
    }

    pub(crate) fn perform_call(&mut self, call: Call, observer: &mut impl Observer) -> Option<Exit> {
        match call {
            Call::Halt { status } => return Some(Exit::Halted { status }),
            Call::Input { to, bytes } => {
                let at = self.input_position as usize;
                let input = self.job.input;
                self.write_bytes(to, &input[at..at + bytes as usize], observer);
                self.input_position += u64::from(bytes);
                let left = input.len() as u64 - self.input_position;
                self.set_register(A0, bytes);
                self.set_register(A1, u32::try_from(left).unwrap_or(u32::MAX));
            }
            Call::Output { from, bytes } => {
                let data = self.read_bytes(from, bytes, observer);
                self.output.extend_from_slice(&data);
                self.set_register(A0, bytes);
            }
            Call::Log { from, bytes } => {
                let room = LOG_BYTES_MAX.saturating_sub(self.log.len()).min(bytes as usize);
                let words = &self.memory.words;
                let byte = |at: usize| words[at / 4].to_le_bytes()[at % 4];
                self.log.extend((from as usize..from as usize + room).map(byte));
                self.set_register(A0, bytes);
            }
            Call::Checkpoint => self.boundary_due = true,
            Call::Content { hash_at, to, bytes } => self.perform_content(hash_at, to, bytes, observer),
            Call::Random { to, bytes } => {
                let seed = self.compressor.block(limbs_of_32(&self.job.ticket.seed));
                let data = self.random_bytes(seed, bytes);
                self.write_bytes(to, &data, observer);
                self.random_position += u64::from(words(bytes)) * 4;
                self.set_register(A0, bytes);
            }
            Call::Now => {
                self.set_register(A0, self.job.ticket.time_s as u32);
                self.set_register(A1, (self.job.ticket.time_s >> 32) as u32);
            }
            Call::Sha256 { state, block } => {
                let block = self.read_bytes(block, SHA256_BLOCK_WORDS * 4, observer);
                let block: [u8; 64] = block.try_into().expect("a block has 64 bytes");
                let mut words: [u32; 8] = self.read_words(state, observer);
                sha2::block_api::compress256(&mut words, &[block]);
                self.write_words(state, &words, observer);
            }
            Call::Keccak { state } => {
                let words: [u32; 50] = self.read_words(state, observer);
                let mut lanes: [u64; 25] =
                    core::array::from_fn(|i| u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32);
                keccak::Keccak::new().with_f1600(|f1600| f1600(&mut lanes));
                let words: [u32; 50] = core::array::from_fn(|i| (lanes[i / 2] >> (32 * (i % 2))) as u32);
                self.write_words(state, &words, observer);
            }
            Call::Poseidon2 { state } => {
                let mut words: [u32; 16] = self.read_words(state, observer);
                self.compressor.permute(&mut words).expect("the plan checked the words");
                self.write_words(state, &words, observer);
            }
        }
        None
    }

    fn perform_content(&mut self, hash_at: u32, to: u32, bytes: u32, observer: &mut impl Observer) {
        let (hash, at) = self.content_asked_for(hash_at);
        let content = self.job.content.get(&hash).expect("the plan found it");
        let size = content.len() as u64;
        let left = size.saturating_sub(at) - u64::from(bytes);
        // Reading the hash touches its pages, as the plan charged.
        let _: [u32; HASH_WORDS as usize] = self.read_words(hash_at, observer);
        self.set_register(A0, bytes);
        self.set_register(A1, u32::try_from(left).unwrap_or(u32::MAX));
        let part = if bytes == 0 { &[][..] } else { &content[at as usize..at as usize + bytes as usize] };
        self.write_bytes(to, part, observer);
        let c = &self.compressor;
        let limb = |number: u64, i: usize| (number >> (16 * i)) as u16;
        let mut block = [0; 16];
        block[0] = TAG_CONTENT_EVENT;
        for i in 0..4 {
            block[1 + i] = limb(at, i);
            block[5 + i] = limb(size, i);
        }
        block[9] = limb(u64::from(bytes), 0);
        block[10] = limb(u64::from(bytes), 1);
        let asked = c.pair(c.block(limbs_of_32(hash.as_bytes())), c.block(block));
        let event = c.pair(asked, commit_bytes(TAG_CONTENT, UNSALTED, part));
        self.transcript = c.pair(self.transcript, event);
    }

    fn random_bytes(&self, seed: Digest, bytes: u32) -> Vec<u8> {
        let mut data = Vec::with_capacity(bytes as usize + RANDOM_BLOCK_BYTES as usize);
        let first = self.random_position / RANDOM_BLOCK_BYTES;
        let skip = (self.random_position % RANDOM_BLOCK_BYTES) as usize;
        let mut block = first;
        while data.len() < skip + bytes as usize {
            let limb = |i: u32| (block >> (16 * i)) as u32 & 0xffff;
            let counter = [u32::from(TAG_RANDOM), limb(0), limb(1), limb(2), limb(3), 0, 0, 0];
            let counter = Digest::from_elements(counter).expect("limbs are below the field order");
            for element in self.compressor.pair(seed, counter).elements() {
                data.extend_from_slice(&(element as u16).to_le_bytes());
            }
            block += 1;
        }
        data.truncate(skip + bytes as usize);
        data.drain(..skip);
        data
    }

    fn read_words<const N: usize>(&mut self, offset: u32, observer: &mut impl Observer) -> [u32; N] {
        core::array::from_fn(|i| self.read_word(offset + 4 * i as u32, observer))
    }

    fn read_word(&mut self, offset: u32, observer: &mut impl Observer) -> u32 {
        let word = self.memory.load(offset);
        let address = self.memory.start + offset;
        observer.on_access(&Access { address, before: word, after: word, write: false });
        word
    }

    fn write_words<const N: usize>(&mut self, offset: u32, words: &[u32; N], observer: &mut impl Observer) {
        for (i, word) in words.iter().enumerate() {
            self.write_word(offset + 4 * i as u32, *word, observer);
        }
    }

    fn write_word(&mut self, offset: u32, after: u32, observer: &mut impl Observer) {
        let before = self.memory.store(offset, after);
        let address = self.memory.start + offset;
        observer.on_access(&Access { address, before, after, write: true });
    }

    fn read_bytes(&mut self, offset: u32, bytes: u32, observer: &mut impl Observer) -> Vec<u8> {
        let mut data = Vec::with_capacity(bytes as usize + 3);
        for i in 0..words(bytes) {
            data.extend_from_slice(&self.read_word(offset + 4 * i, observer).to_le_bytes());
        }
        data.truncate(bytes as usize);
        data
    }

    fn write_bytes(&mut self, offset: u32, bytes: &[u8], observer: &mut impl Observer) {
        for (i, chunk) in bytes.chunks(4).enumerate() {
            let mut four = [0; 4];
            four[..chunk.len()].copy_from_slice(chunk);
            self.write_word(offset + 4 * i as u32, u32::from_le_bytes(four), observer);
        }
    }
}

/// Words that hold this many bytes.
const fn words(bytes: u32) -> u32 {
    bytes.div_ceil(4)
}

/// What one call moves: at most the limit, at most what is left, whole words unless it reaches the end.
fn short_count(asked: u32, left: u64) -> u32 {
    let bytes = u64::from(asked.min(SYSCALL_BYTES_MAX)).min(left);
    if bytes == left { bytes as u32 } else { bytes as u32 & !3 }
}

fn limbs_of_32(bytes: &[u8; 32]) -> [u16; 16] {
    core::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]))
}
