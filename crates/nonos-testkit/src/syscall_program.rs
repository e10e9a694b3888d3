//! A program that makes every syscall, some of them several times.

use crate::assembler::{A0, A1, A2, A3, A4, Asm, DATA, T0, T1};
use nonos_image::Image;
use nonos_isa::{Opcode, Syscall};
use nonos_vm::Content;

/// The program, with what it reads.
#[derive(Debug)]
pub struct SyscallProgram {
    /// The program.
    pub image: Image,
    /// Its input.
    pub input: Vec<u8>,
    /// The content that it reads.
    pub content: Vec<u8>,
}

impl SyscallProgram {
    /// The same, at hand for a job.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        let mut content = Content::new();
        content.insert(&self.content);
        content
    }
}

/// Makes every syscall and halts with 0, in two segments.
#[must_use]
pub fn syscall_program() -> SyscallProgram {
    let content = b"content that is read by its hash, more than one block of it".to_vec();
    let hash = Content::new().insert(&content);
    let mut asm = Asm::new().li(T1, DATA);
    for (word, at) in hash.as_bytes().chunks(4).zip((0..).step_by(4)) {
        let word = word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        asm = asm.li(T0, word).store(Opcode::Sw, T0, at, T1);
    }
    let calls = [
        (Syscall::Content, [DATA, 3, 0, DATA + 64, 30]),
        (Syscall::Content, [DATA, 5, 0, DATA + 128, 300]),
        (Syscall::Content, [DATA, 500, 0, DATA + 128, 300]),
        (Syscall::Input, [DATA + 256, 8, 0, 0, 0]),
        (Syscall::Input, [DATA + 1020, 600, 0, 0, 0]),
        (Syscall::Input, [0; 5]),
        (Syscall::Random, [DATA + 512, 37, 0, 0, 0]),
        (Syscall::Random, [DATA + 512, 4, 0, 0, 0]),
        (Syscall::Now, [0; 5]),
        (Syscall::Log, [DATA + 1, 7, 0, 0, 0]),
        (Syscall::Sha256, [DATA + 1800, DATA + 1812, 0, 0, 0]),
        (Syscall::Keccak, [DATA + 256, 0, 0, 0, 0]),
        (Syscall::Poseidon2, [DATA + 1600, 0, 0, 0, 0]),
        (Syscall::Output, [DATA, 64, 0, 0, 0]),
        (Syscall::Checkpoint, [0; 5]),
        (Syscall::Output, [DATA + 12, 7, 0, 0, 0]),
        (Syscall::Content, [DATA, 3, 0, DATA + 64, 30]),
    ];
    for (syscall, [a0, a1, a2, a3, a4]) in calls {
        asm = asm.li(A0, a0).li(A1, a1).li(A2, a2).li(A3, a3).li(A4, a4).syscall(syscall);
    }
    let input = (0..501u32).map(|i| i as u8).collect();
    SyscallProgram { image: asm.halt(0).image(), input, content }
}
