//! An image: a program, the size of its memory and what it may ask the machine for.
//!
//! Spec: `docs/spec/25-image.md`, section "Image id".

use crate::{Compressor, MACHINE_VERSION, PAGE_BYTES, Program, Salt, TEXT_BYTES_MAX, Tree};
use nonos_types::{Digest, ImageId, domain::TAG_IMAGE, limits::MEMORY_BYTES_MAX};
use thiserror::Error;

/// The numbers of an image that decide how a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Where execution starts.
    pub entry: u32,
    /// First byte of the text.
    pub text_start: u32,
    /// The byte behind the text.
    pub text_end: u32,
    /// First byte of the memory window.
    pub memory_start: u32,
    /// The byte behind the memory window; the stack pointer starts here.
    pub memory_end: u32,
    /// Syscalls that are granted, one bit each (`nonos_isa::Grants`).
    pub grants: u16,
}

/// A program laid out in a memory window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    program: Program,
    layout: Layout,
}

impl Image {
    /// Gives a program its memory and its grants.
    ///
    /// # Errors
    /// [`ImageError`] when the memory is not whole pages, is above the limit, does not reach as far as the program
    /// needs, or does not fit the address space.
    pub fn new(program: Program, memory_bytes: u32, grants: u16) -> Result<Self, ImageError> {
        if memory_bytes == 0 || !memory_bytes.is_multiple_of(PAGE_BYTES) || memory_bytes > MEMORY_BYTES_MAX {
            return Err(ImageError::MemorySize { memory_bytes });
        }
        let memory_start = program.memory_start();
        let need_bytes = program.reserved_end() - memory_start;
        if need_bytes > memory_bytes {
            return Err(ImageError::MemoryTooSmall { memory_bytes, need_bytes });
        }
        let Some(memory_end) = memory_start.checked_add(memory_bytes) else {
            return Err(ImageError::AddressSpace { memory_start, memory_bytes });
        };
        let layout = Layout {
            entry: program.entry(),
            text_start: program.text_start(),
            text_end: program.text_end(),
            memory_start,
            memory_end,
            grants,
        };
        Ok(Self { program, layout })
    }

    /// The program.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The tree over the memory at the start of a run.
    #[must_use]
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        tree.update(self.program.pages().iter().map(|(number, page)| (*number, page)));
        tree
    }

    /// The image id: `C( C(memory root || C(layout)) || C(salt) )`.
    #[must_use]
    pub fn id(&self, salt: Salt) -> ImageId {
        self.id_from(&self.tree(), salt)
    }

    /// As [`Image::id`], from a tree that [`Image::tree`] gave.
    #[must_use]
    pub fn id_from(&self, tree: &Tree, salt: Salt) -> ImageId {
        self.layout.image_id(tree.compressor(), tree.root(), salt)
    }
}

impl Layout {
    /// The image id of a memory with this root, laid out so.
    #[must_use]
    pub fn image_id(&self, c: &Compressor, memory_root: Digest, salt: Salt) -> ImageId {
        let Self { entry, text_start, text_end, memory_start, memory_end, grants } = *self;
        let (low, high) = (|word: u32| word as u16, |word: u32| (word >> 16) as u16);
        let mut block = [0; 16];
        block[0] = TAG_IMAGE;
        block[1] = MACHINE_VERSION;
        for (i, word) in [entry, text_start, text_end, memory_start, memory_end].into_iter().enumerate() {
            block[2 + 2 * i] = low(word);
            block[3 + 2 * i] = high(word);
        }
        block[12] = grants;
        let mut salted = [0; 16];
        salted[..8].copy_from_slice(&salt);
        ImageId::from_digest(c.pair(c.pair(memory_root, c.block(block)), c.block(salted)))
    }

    /// Whether an image can have this layout: what [`Image::new`] and the program's encoding guarantee.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        let Self { entry, text_start, text_end, memory_start, memory_end, grants: _ } = *self;
        let aligned = entry.is_multiple_of(4) && text_start.is_multiple_of(4) && text_end.is_multiple_of(4);
        let pages = memory_start.is_multiple_of(PAGE_BYTES) && memory_end.is_multiple_of(PAGE_BYTES);
        let inside = memory_start <= text_start && text_start < text_end && text_end <= memory_end;
        aligned
            && pages
            && inside
            && text_end - text_start <= TEXT_BYTES_MAX
            && memory_end - memory_start <= MEMORY_BYTES_MAX
            && text_start <= entry
            && entry < text_end
    }
}

/// Why a program and a memory size are not an image.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// Not whole pages, nothing, or above the limit.
    #[error(
        "a memory of {memory_bytes} bytes: it must be a multiple of {PAGE_BYTES}, above 0 and at most {MEMORY_BYTES_MAX}"
    )]
    MemorySize {
        /// What was asked for.
        memory_bytes: u32,
    },
    /// The program needs more.
    #[error(
        "a memory of {memory_bytes} bytes is too small: code, data and bss need {need_bytes} (raise `mem` in the manifest)"
    )]
    MemoryTooSmall {
        /// What was asked for.
        memory_bytes: u32,
        /// What code, data and bss need.
        need_bytes: u32,
    },
    /// The window would pass the end of the 32-bit address space.
    #[error("a memory of {memory_bytes} bytes from {memory_start:#x} passes the end of the address space")]
    AddressSpace {
        /// First byte.
        memory_start: u32,
        /// What was asked for.
        memory_bytes: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProgramParts, UNSALTED};

    fn program(entry: u32, text_end: u32, word: u8) -> Program {
        Program::new(ProgramParts {
            entry,
            text_start: 0x1_0000,
            text_end,
            memory_start: 0x1_0000,
            reserved_end: 0x1_2000,
            segments: &[(0x1_0000, &[word, 2, 3, 4])],
        })
        .unwrap()
    }

    #[test]
    fn everything_that_decides_a_run_is_part_of_the_id() {
        let id = |entry, text_end, word, memory, grants, salt| {
            Image::new(program(entry, text_end, word), memory, grants).unwrap().id(salt)
        };
        let base = id(0x1_0000, 0x1_0100, 1, 0x1_0000, 7, UNSALTED);
        let check = |other, why: &str| assert_ne!(base, other, "{why}");
        check(id(0x1_0004, 0x1_0100, 1, 0x1_0000, 7, UNSALTED), "entry");
        check(id(0x1_0000, 0x1_0104, 1, 0x1_0000, 7, UNSALTED), "end of the text");
        check(id(0x1_0000, 0x1_0100, 9, 0x1_0000, 7, UNSALTED), "a byte of memory");
        check(id(0x1_0000, 0x1_0100, 1, 0x1_0400, 7, UNSALTED), "memory size");
        check(id(0x1_0000, 0x1_0100, 1, 0x1_0000, 3, UNSALTED), "grants");
        check(id(0x1_0000, 0x1_0100, 1, 0x1_0000, 7, [0, 0, 0, 0, 0, 0, 0, 1]), "salt");
        assert_eq!(base, id(0x1_0000, 0x1_0100, 1, 0x1_0000, 7, UNSALTED));
    }

    #[test]
    fn memory_that_does_not_fit_is_refused() {
        let check = |memory_bytes, error| {
            assert_eq!(Image::new(program(0x1_0000, 0x1_0100, 1), memory_bytes, 7).unwrap_err(), error);
        };
        check(0, ImageError::MemorySize { memory_bytes: 0 });
        check(1000, ImageError::MemorySize { memory_bytes: 1000 });
        check(0x8000_0000, ImageError::MemorySize { memory_bytes: 0x8000_0000 });
        check(0x1000, ImageError::MemoryTooSmall { memory_bytes: 0x1000, need_bytes: 0x2000 });
    }
}
