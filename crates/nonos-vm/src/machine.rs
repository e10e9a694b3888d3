//! The state of a machine, and the events at which it stops.

use crate::{
    checkpoint::Checkpoint,
    fast::FastCode,
    io::Job,
    memory::Memory,
    plain::{Observer, StepEnd},
};
use alloc::vec::Vec;
use nonos_image::{Compressor, Image, Layout, Page, Tree};
use nonos_isa::{Grants, Instruction, Syscall, Trap, decode};
use nonos_types::{Digest, Hash32, ImageId, domain::TAG_OUTPUT, limits::SYSCALL_BYTES_MAX};

/// Most cycles of a segment.
pub const SEGMENT_CYCLES: u64 = 1 << 20;
/// Cycles of touching a page for the first time in a segment.
pub const PAGE_CYCLES: u64 = 256;

// The dearest instruction fits a segment, so every instruction runs in some segment: a `random` that fills
// SYSCALL_BYTES_MAX from a page's last word, plus the pages of a `content` call's hash.
const _: () = {
    let words = SYSCALL_BYTES_MAX / 4;
    let pages = (SYSCALL_BYTES_MAX / 1024 + 1) as u64 + 2;
    let mut row = 0;
    while row < nonos_isa::SYSCALLS.len() {
        let syscall = nonos_isa::SYSCALLS[row].syscall;
        assert!(syscall.cycles(words) + pages * PAGE_CYCLES <= SEGMENT_CYCLES / 2);
        row += 1;
    }
    assert!(Syscall::Checkpoint.cycles(0) < SEGMENT_CYCLES);
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The program called `halt` with this status.
    Halted {
        /// What it gave; 0 is success by convention.
        status: u32,
    },
    /// A trap.
    Trapped {
        /// Which.
        trap: Trap,
        /// The pc of the instruction that trapped.
        pc: u32,
    },
}

/// Where the machine stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A segment ended: the machine is at a checkpoint and goes on when asked.
    Boundary,
    /// The run ended: the machine is at its last checkpoint.
    Exit(Exit),
    /// The program asked for content that is not at hand: the run cannot go on here.
    ContentMissing(Hash32),
    /// The given number of instructions ran (only [`Machine::step_plain`]).
    Stepped,
}

/// Registers x0 to x31, and one more that takes what the fast interpreter writes to x0.
pub(crate) type Registers = [u32; 33];

/// A machine in the middle of a run.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) layout: Layout,
    pub(crate) grants: Grants,
    pub(crate) image_id: ImageId,
    pub(crate) compressor: Compressor,
    pub(crate) memory: Memory,
    pub(crate) registers: Registers,
    pub(crate) pc: u32,
    /// Cycles since the start of the run.
    pub(crate) cycles: u64,
    /// Cycles since the start of the segment.
    pub(crate) segment_cycles: u64,
    /// Segments that have ended.
    pub(crate) segment: u64,
    /// Instructions since the start of the run (of this process, after a resume: of the whole run).
    pub(crate) instructions: u64,
    pub(crate) input_position: u64,
    pub(crate) random_position: u64,
    pub(crate) output: Vec<u8>,
    pub(crate) output_tree: Tree,
    /// How many bytes of the output are in the tree already, rounded down to whole pages.
    pub(crate) output_hashed: usize,
    pub(crate) transcript: Digest,
    pub(crate) log: Vec<u8>,
    pub(crate) boundary_due: bool,
    /// For `CheckpointPolicy::Auto`: where it last computed a checkpoint, and the most pages that a segment wrote since.
    pub(crate) auto_cycles: u64,
    pub(crate) auto_pages: u64,
    pub(crate) exit: Option<Exit>,
    /// The text, decoded word by word; `None` is an illegal instruction.
    pub(crate) text: Vec<Option<Instruction>>,
    /// The same for the fast interpreter.
    pub(crate) code: FastCode,
}

impl<'a> Machine<'a> {
    /// A machine at the start of a run. `id_salt` is the salt of the image id (zero unless the capsule is closed).
    ///
    /// # Panics
    /// When the image's grants are not grants of this machine: whoever makes images checks them.
    #[must_use]
    pub fn new(image: &Image, id_salt: nonos_image::Salt, job: Job<'a>) -> Self {
        let layout = image.layout();
        let tree = image.tree();
        let image_id = image.id_from(&tree, id_salt);
        let compressor = tree.compressor().clone();
        let mut registers = [0; 33];
        registers[2] = layout.memory_end;
        let memory = Memory::new(image, tree);
        let text: Vec<Option<Instruction>> = memory.text_words().iter().map(|word| decode(*word)).collect();
        let code = FastCode::new(&text);
        Self {
            job,
            layout,
            grants: Grants::from_bits(layout.grants).expect("grants were checked when the image was made"),
            image_id,
            compressor,
            memory,
            registers,
            pc: layout.entry,
            cycles: 0,
            segment_cycles: 0,
            segment: 0,
            instructions: 0,
            input_position: 0,
            random_position: 0,
            output: Vec::new(),
            output_tree: Tree::new(),
            output_hashed: 0,
            transcript: Digest::ZERO,
            log: Vec::new(),
            boundary_due: false,
            auto_cycles: 0,
            auto_pages: 0,
            exit: None,
            text,
            code,
        }
    }

    /// Runs with the fast interpreter to the next event.
    pub fn run_fast(&mut self) -> Event {
        loop {
            if self.exit.is_none() && !self.boundary_due {
                self.run_fast_code();
            }
            match self.step(&mut ()) {
                StepEnd::Retired => {}
                end => return self.end(end),
            }
        }
    }

    /// Runs with the reference interpreter to the next event.
    pub fn run_plain(&mut self, observer: &mut impl Observer) -> Event {
        loop {
            match self.step(observer) {
                StepEnd::Retired => {}
                end => return self.end(end),
            }
        }
    }

    /// Runs at most `instructions` instructions with the reference interpreter.
    pub fn step_plain(&mut self, instructions: u64, observer: &mut impl Observer) -> Event {
        for _ in 0..instructions {
            match self.step(observer) {
                StepEnd::Retired => {}
                end => return self.end(end),
            }
        }
        Event::Stepped
    }

    fn end(&mut self, end: StepEnd) -> Event {
        match end {
            StepEnd::Retired => Event::Stepped,
            StepEnd::Boundary => {
                self.boundary_due = false;
                self.auto_pages = self.auto_pages.max(self.memory.end_segment());
                self.segment += 1;
                self.segment_cycles = 0;
                Event::Boundary
            }
            StepEnd::Exit(exit) => {
                if self.exit.is_none() {
                    self.exit = Some(exit);
                    self.memory.end_segment();
                }
                Event::Exit(exit)
            }
            StepEnd::ContentMissing(hash) => Event::ContentMissing(hash),
        }
    }

    /// The checkpoint at which the machine is; only after [`Event::Boundary`], [`Event::Exit`] or before the start.
    pub fn checkpoint(&mut self) -> Checkpoint {
        Checkpoint::of(self)
    }

    /// Registers x0 to x31.
    #[must_use]
    pub fn registers(&self) -> [u32; 32] {
        core::array::from_fn(|i| self.registers[i])
    }

    /// The address of the next instruction.
    #[must_use]
    pub const fn pc(&self) -> u32 {
        self.pc
    }

    /// Cycles so far.
    #[must_use]
    pub const fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Instructions so far.
    #[must_use]
    pub const fn instructions(&self) -> u64 {
        self.instructions
    }

    /// Segments that have ended.
    #[must_use]
    pub const fn segment(&self) -> u64 {
        self.segment
    }

    /// The output so far.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The log so far, cut off at its limit.
    #[must_use]
    pub fn log(&self) -> &[u8] {
        &self.log
    }

    /// The image that runs.
    #[must_use]
    pub const fn image_id(&self) -> ImageId {
        self.image_id
    }

    /// How the run ended, once it has.
    #[must_use]
    pub const fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// One word of memory, if the address is a multiple of 4 inside the window.
    #[must_use]
    pub fn word(&self, address: u32) -> Option<u32> {
        let offset = self.memory.offset(address, 4, Trap::MisalignedLoad, Trap::LoadOutside).ok()?;
        Some(self.memory.words[offset as usize / 4])
    }

    /// One page of memory by its number in the address space, if it is inside the window.
    #[must_use]
    pub fn page(&self, number: u32) -> Option<&Page> {
        let page = number.checked_sub(self.layout.memory_start / nonos_image::PAGE_BYTES)?;
        (page < self.memory.pages()).then(|| self.memory.page(page))
    }

    /// The commitment to the output so far.
    pub fn output_commitment(&mut self) -> Digest {
        let length = self.output.len() as u64;
        nonos_image::commit_blocks(self.output_tree(), TAG_OUTPUT, nonos_image::UNSALTED, length)
    }
}
