//! The machine's side of the SDK: start code, `ecall`, heap, panic handler. All `unsafe` of the crate is here.
//!
//! The machine runs one thread and has no interrupts: nothing here can be entered twice at a time, except that a
//! panic may start anywhere.
#![allow(unsafe_code)]

use crate::{STATUS_OUT_OF_MEMORY, STATUS_PANIC, output::Buffer, syscall::Aligned};
use core::{
    alloc::{GlobalAlloc, Layout},
    arch::{asm, global_asm},
    cell::{Cell, RefCell, UnsafeCell},
    ptr,
};
use dlmalloc::Dlmalloc;

/// What the heap grows by.
const HEAP_GROWTH_BYTES: usize = 16 * 1024;

// At the start sp is the end of the memory window. The heap needs to know it; the stack lies elsewhere
// (nonos.ld), below the data and above the text, so that an overflow traps.
global_asm!(
    ".section .text._start, \"ax\", @progbits",
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "la gp, __global_pointer$",
    ".option pop",
    "mv a0, sp",
    "la sp, _stack_top",
    "j nonos_start",
);

unsafe extern "C" {
    /// First byte behind the program's data (nonos.ld); only its address means something.
    static _end: u8;
    /// Written by `entry!`.
    safe fn nonos_main();
}

#[unsafe(no_mangle)]
extern "C" fn nonos_start(memory_end: usize) -> ! {
    HEAP.0.next.set((&raw const _end).addr());
    HEAP.0.end.set(memory_end);
    nonos_main();
    halt(0)
}

/// A value of a program that has one thread.
struct Single<T>(T);

// SAFETY: the machine has one thread and no interrupts, so nothing is ever shared between threads.
unsafe impl<T> Sync for Single<T> {}

static OUTPUT: Single<RefCell<Buffer>> = Single(RefCell::new(Buffer::new()));

pub(crate) fn with_output<R>(action: impl FnOnce(&mut Buffer) -> R) -> R {
    action(&mut OUTPUT.0.borrow_mut())
}

pub(crate) fn halt(status: u32) -> ! {
    // SAFETY: `halt` does not return and touches no memory.
    unsafe { asm!("ecall", in("a7") 93, in("a0") status, options(noreturn, nostack)) }
}

pub(crate) fn input(buffer: &mut [u8]) -> (usize, usize) {
    let (copied, left);
    // SAFETY: the machine writes at most `len` bytes rounded up to words, and `len` is whole words.
    unsafe {
        asm!("ecall", in("a7") 1, inlateout("a0") buffer.as_mut_ptr() => copied, inlateout("a1") buffer.len() => left,
            options(nostack));
    }
    (copied, left)
}

pub(crate) fn output(bytes: &[u8]) -> usize {
    let accepted;
    // SAFETY: the machine only reads; what it reads behind the last byte is ignored.
    unsafe {
        asm!("ecall", in("a7") 2, inlateout("a0") bytes.as_ptr() => accepted, in("a1") bytes.len(),
            options(nostack, readonly));
    }
    accepted
}

pub(crate) fn log(bytes: &[u8]) -> usize {
    let accepted;
    // SAFETY: the machine only reads.
    unsafe {
        asm!("ecall", in("a7") 3, inlateout("a0") bytes.as_ptr() => accepted, in("a1") bytes.len(),
            options(nostack, readonly));
    }
    accepted
}

pub(crate) fn checkpoint() {
    // SAFETY: changes nothing that the program sees.
    unsafe { asm!("ecall", in("a7") 4, options(nostack)) }
}

pub(crate) fn content(hash: &Aligned<32>, offset: u64, buffer: &mut [u8]) -> (usize, usize) {
    let (copied, left);
    // SAFETY: as for `input`; the hash is 32 aligned bytes that are only read.
    unsafe {
        asm!("ecall", in("a7") 5, inlateout("a0") hash.0.as_ptr() => copied, inlateout("a1") offset as u32 => left,
            in("a2") (offset >> 32) as u32, in("a3") buffer.as_mut_ptr(), in("a4") buffer.len(), options(nostack));
    }
    (copied, left)
}

pub(crate) fn random(buffer: &mut [u8]) -> usize {
    let written;
    // SAFETY: as for `input`.
    unsafe {
        asm!("ecall", in("a7") 6, inlateout("a0") buffer.as_mut_ptr() => written, in("a1") buffer.len(),
            options(nostack));
    }
    written
}

pub(crate) fn now() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: touches no memory.
    unsafe { asm!("ecall", in("a7") 7, out("a0") low, out("a1") high, options(nostack, nomem)) }
    u64::from(high) << 32 | u64::from(low)
}

pub(crate) fn sha256(state: &mut [u32; 8], block: &[u8; 64]) {
    // SAFETY: the machine reads 64 bytes of the block and writes the eight words of the state.
    unsafe { asm!("ecall", in("a7") 16, in("a0") state.as_mut_ptr(), in("a1") block.as_ptr(), options(nostack)) }
}

pub(crate) fn keccak(state: &mut [u64; 25]) {
    // SAFETY: the machine writes the 25 lanes of the state.
    unsafe { asm!("ecall", in("a7") 17, in("a0") state.as_mut_ptr(), options(nostack)) }
}

pub(crate) fn poseidon2(state: &mut [u32; 16]) {
    // SAFETY: the machine writes the 16 words of the state.
    unsafe { asm!("ecall", in("a7") 18, in("a0") state.as_mut_ptr(), options(nostack)) }
}

/// The memory from the end of the program's data to the end of the window, handed out once from low to high.
struct Heap {
    next: Cell<usize>,
    end: Cell<usize>,
}

static HEAP: Single<Heap> = Single(Heap { next: Cell::new(0), end: Cell::new(0) });

/// How dlmalloc gets memory: from [`HEAP`], which never takes any back.
struct Growth;

// SAFETY: every range handed out lies in the memory window behind everything that the linker placed, is handed out
// once, and has never been written, so it holds zeros.
unsafe impl dlmalloc::Allocator for Growth {
    fn alloc(&self, size_bytes: usize) -> (*mut u8, usize, u32) {
        let start = HEAP.0.next.get();
        match start.checked_add(size_bytes) {
            Some(end) if end <= HEAP.0.end.get() => {
                HEAP.0.next.set(end);
                (ptr::with_exposed_provenance_mut(start), size_bytes, 0)
            }
            _ => (ptr::null_mut(), 0, 0),
        }
    }
    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }
    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }
    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }
    fn can_release_part(&self, _: u32) -> bool {
        false
    }
    fn allocates_zeros(&self) -> bool {
        true
    }
    fn page_size(&self) -> usize {
        HEAP_GROWTH_BYTES
    }
}

/// The global allocator. Out of memory ends the run, also where a caller could have gone on with less.
struct Allocator(UnsafeCell<Dlmalloc<Growth>>);

// SAFETY: one thread, see `Single`.
unsafe impl Sync for Allocator {}

#[global_allocator]
static ALLOCATOR: Allocator = {
    let mut dlmalloc = Dlmalloc::new_with_allocator(Growth);
    assert!(dlmalloc.set_granularity(HEAP_GROWTH_BYTES));
    Allocator(UnsafeCell::new(dlmalloc))
};

impl Allocator {
    #[allow(clippy::mut_from_ref)]
    fn dlmalloc(&self) -> &mut Dlmalloc<Growth> {
        // SAFETY: one thread, and no function of dlmalloc calls back into the allocator: no second reference lives.
        unsafe { &mut *self.0.get() }
    }
}

fn or_out_of_memory(memory: *mut u8, size_bytes: usize) -> *mut u8 {
    if memory.is_null() {
        crate::log::line(format_args!(
            "out of memory: no room for {size_bytes} more bytes; raise `mem` in the manifest"
        ));
        halt(STATUS_OUT_OF_MEMORY);
    }
    memory
}

// SAFETY: dlmalloc keeps the contract of `GlobalAlloc`; callers keep theirs.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is valid.
        let memory = unsafe { self.dlmalloc().malloc(layout.size(), layout.align()) };
        or_out_of_memory(memory, layout.size())
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is valid.
        let memory = unsafe { self.dlmalloc().calloc(layout.size(), layout.align()) };
        or_out_of_memory(memory, layout.size())
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's memory came from this allocator with this layout.
        unsafe { self.dlmalloc().free(memory, layout.size(), layout.align()) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size_bytes: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`.
        let memory = unsafe { self.dlmalloc().realloc(memory, layout.size(), layout.align(), size_bytes) };
        or_out_of_memory(memory, size_bytes)
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    static PANICKING: Single<Cell<bool>> = Single(Cell::new(false));
    // A panic inside the message of a panic has nothing more to say.
    if !PANICKING.0.replace(true) {
        crate::log::line(format_args!("{info}"));
    }
    halt(STATUS_PANIC)
}
