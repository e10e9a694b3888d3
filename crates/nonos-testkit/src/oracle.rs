//! The oracle: QEMU's RISC-V as a shared library (unicorn), compared with the reference interpreter after every
//! instruction.
//!
//! In goes a [`Machine`] at the start of a run; both run it in step, one instruction at a time; out comes how many
//! instructions were compared, or a [`Mismatch`]. Program counter and all 32 registers are compared before every
//! instruction, the whole memory at the end. The oracle knows nothing of our syscalls: at an `ecall` our machine runs
//! alone, and the registers and words that it changed are copied over. It knows nothing of our traps either: where our
//! machine traps, the comparison ends.
//!
//! The library comes from the Python package `unicorn` 2.1.4 (see `cargo xtask tools`).

// Calls a C library: no safe binding to it exists that needs no C++ build.
#![allow(unsafe_code)]

use crate::{
    Asm,
    assembler::{DATA, T0, T1, T2},
    packages,
};
use libloading::Library;
use nonos_image::{Image, PAGE_BYTES, UNSALTED};
use nonos_isa::{Opcode, Trap, decode};
use nonos_vm::{Access, Event, Exit, Job, Machine, Observer, Step};
use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Names the shared library, if it is nowhere else.
pub const LIBRARY_VARIABLE: &str = "NONOS_UNICORN_LIB";
/// The version of the Python package.
pub const UNICORN_VERSION: &str = "2.1.4";
const PACKAGE: &str = "unicorn";
const LIBRARY_IN_PACKAGE: &str = "lib/libunicorn.so.2";

// From unicorn.h and riscv.h of that version.
const UC_ARCH_RISCV: c_int = 8;
const UC_MODE_RISCV32: c_int = 4;
const UC_HOOK_CODE: c_int = 4;
const UC_PROT_ALL: u32 = 7;
const UC_RISCV_REG_X0: c_int = 1;
const UC_RISCV_REG_PC: c_int = 190;
const UC_ERR_OK: c_int = 0;
const UC_ERR_FETCH_UNMAPPED: c_int = 8;
const UC_PAGE_BYTES: u64 = 4096;
/// Never a program counter.
const NOWHERE: u64 = u64::MAX;

const ECALL: u32 = 0x0000_0073;
/// Numbers of the registers x0 to x31 in the library.
static REGISTERS: [c_int; 32] = {
    let mut numbers = [0; 32];
    let mut i = 0;
    while i < 32 {
        numbers[i] = UC_RISCV_REG_X0 + i as c_int;
        i += 1;
    }
    numbers
};

type Engine = *mut c_void;
type Hook = extern "C" fn(Engine, u64, u32, *mut c_void);

/// The loaded library.
pub struct Oracle {
    path: PathBuf,
    version: (u32, u32),
    open: unsafe extern "C" fn(c_int, c_int, *mut Engine) -> c_int,
    close: unsafe extern "C" fn(Engine) -> c_int,
    map: unsafe extern "C" fn(Engine, u64, u64, u32) -> c_int,
    write: unsafe extern "C" fn(Engine, u64, *const c_void, u64) -> c_int,
    read: unsafe extern "C" fn(Engine, u64, *mut c_void, u64) -> c_int,
    set_register: unsafe extern "C" fn(Engine, c_int, *const c_void) -> c_int,
    read_registers: unsafe extern "C" fn(Engine, *const c_int, *const *mut c_void, c_int) -> c_int,
    add_hook: unsafe extern "C" fn(Engine, *mut usize, c_int, *const c_void, *mut c_void, u64, u64, ...) -> c_int,
    start: unsafe extern "C" fn(Engine, u64, u64, u64, usize) -> c_int,
    stop: unsafe extern "C" fn(Engine) -> c_int,
    /// Keeps the functions above loaded.
    _library: Library,
}

/// A comparison that found no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Instructions after which the registers were compared.
    pub instructions: u64,
    /// Instructions that only our machine ran: `ecall`.
    pub calls: u64,
    /// How the run ended; `None` when the limit came first.
    pub exit: Option<Exit>,
    /// How often each instruction of the table ran.
    pub opcodes: [u64; Opcode::COUNT],
}

/// Why there is no oracle.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OracleError {
    /// The shared library is nowhere.
    #[error(
        "the oracle's library libunicorn.so.2 was not found (run `cargo xtask tools`, or `pip install unicorn=={UNICORN_VERSION}`, or set {LIBRARY_VARIABLE} to the file)"
    )]
    NotFound,
    /// It does not load, or a function is missing in it.
    #[error("{path} does not load (run `cargo xtask tools`)")]
    Load {
        /// Which file.
        path: PathBuf,
        /// What the loader says.
        source: libloading::Error,
    },
    /// The wrong version.
    #[error("{path} is unicorn {major}.{minor}, the oracle needs 2.1 (run `cargo xtask tools`)")]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its major version.
        major: u32,
        /// Its minor version.
        minor: u32,
    },
}

/// Our machine and the oracle do not agree.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("after {instructions} instructions, before the one at {pc:#x}: {what}")]
pub struct Mismatch {
    /// Instructions compared before.
    pub instructions: u64,
    /// Where our machine is.
    pub pc: u32,
    /// What differs.
    pub what: String,
}

impl Oracle {
    /// Finds and loads the library: the file that [`LIBRARY_VARIABLE`] names, the packages of `cargo xtask tools` under
    /// `root`, or where `python3` has the package.
    ///
    /// # Errors
    /// [`OracleError`] says what to install.
    pub fn load(root: &Path) -> Result<Self, OracleError> {
        let path = Self::find(root).ok_or(OracleError::NotFound)?;
        Self::load_file(&path)
    }

    fn find(root: &Path) -> Option<PathBuf> {
        if let Some(path) = std::env::var_os(LIBRARY_VARIABLE) {
            return Some(PathBuf::from(path));
        }
        let package = packages::folder(root, PACKAGE)?;
        Some(package.join(LIBRARY_IN_PACKAGE)).filter(|path| path.is_file())
    }

    fn load_file(path: &Path) -> Result<Self, OracleError> {
        let failed = |source| OracleError::Load { path: path.to_owned(), source };
        // SAFETY: loading runs the library's initialisers; it is the file that the user named or installed for this.
        let library = unsafe { Library::new(path) }.map_err(failed)?;
        /// A function of the library by its name.
        macro_rules! function {
            ($name:literal) => {{
                // SAFETY: the type at the place of use is the declaration in unicorn.h of version 2.1; the version is
                // checked below before anything else is called.
                *unsafe { library.get($name) }.map_err(failed)?
            }};
        }
        let version: unsafe extern "C" fn(*mut u32, *mut u32) -> u32 = function!(b"uc_version\0");
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both pointers are to live integers.
        unsafe { version(&raw mut major, &raw mut minor) };
        if (major, minor) != (2, 1) {
            return Err(OracleError::Version { path: path.to_owned(), major, minor });
        }
        Ok(Self {
            path: path.to_owned(),
            version: (major, minor),
            open: function!(b"uc_open\0"),
            close: function!(b"uc_close\0"),
            map: function!(b"uc_mem_map\0"),
            write: function!(b"uc_mem_write\0"),
            read: function!(b"uc_mem_read\0"),
            set_register: function!(b"uc_reg_write\0"),
            read_registers: function!(b"uc_reg_read_batch\0"),
            add_hook: function!(b"uc_hook_add\0"),
            start: function!(b"uc_emu_start\0"),
            stop: function!(b"uc_emu_stop\0"),
            _library: library,
        })
    }

    /// The file that was loaded.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Major and minor version of the library.
    #[must_use]
    pub const fn version(&self) -> (u32, u32) {
        self.version
    }

    /// Whether the comparison notices anything at all: runs a program with one register of the oracle set wrong, one
    /// word of its memory set wrong, and neither.
    #[must_use]
    pub fn notices_what_is_wrong(&self) -> bool {
        let image = Asm::new().li(T0, 5).li(T1, DATA).store(Opcode::Sw, T0, 0, T1).addi(T0, T2, 1).halt(0).image();
        let job = Job::new(&[], UNSALTED, 1 << 20).expect("an empty input is not too large");
        let compare = |skew| self.compare_skewed(&image, job, u64::MAX, skew);
        compare(Skew::None).is_ok() && compare(Skew::Register).is_err() && compare(Skew::Memory).is_err()
    }

    /// Runs an image on both and compares, at most `limit` instructions.
    ///
    /// # Errors
    /// [`Mismatch`] at the first difference.
    ///
    /// # Panics
    /// When the library does not do what it must for any program: map memory, read registers.
    pub fn compare(&self, image: &Image, job: Job<'_>, limit: u64) -> Result<Agreement, Mismatch> {
        self.compare_skewed(image, job, limit, Skew::None)
    }

    fn compare_skewed(&self, image: &Image, job: Job<'_>, limit: u64, skew: Skew) -> Result<Agreement, Mismatch> {
        let mut session = Session {
            oracle: self,
            machine: Machine::new(image, UNSALTED, job),
            observed: Observed { opcodes: [0; Opcode::COUNT], writes: Vec::new(), in_call: false },
            instructions: 0,
            calls: 0,
            limit,
            values: [0; 32],
            stop: None,
            refusal: None,
        };
        let guest = Guest::new(self);
        guest.fill(&session.machine, image);
        for (index, value) in session.machine.registers().into_iter().enumerate() {
            guest.set_register(index, value);
        }
        match skew {
            Skew::None => {}
            Skew::Register => guest.set_register(usize::from(T2), 1),
            Skew::Memory => guest.write(u64::from(image.layout().memory_end - 4), &[1]),
        }
        let bridge = Bridge(Cell::new(core::ptr::null_mut()));
        guest.hook(&bridge);
        loop {
            session.stop = None;
            let result = guest.run(&bridge, &mut session);
            if let Some(what) = session.refusal.take() {
                return Err(session.mismatch(&what));
            }
            match session.stop {
                // Jumping out of the window stops the oracle before the hook is called; the state is compared all the same.
                None if result == UC_ERR_FETCH_UNMAPPED => {
                    let stop = session.before(guest.engine, guest.pc());
                    if let Some(what) = session.refusal.take() {
                        return Err(session.mismatch(&what));
                    }
                    let outside = matches!(session.machine.exit(), Some(Exit::Trapped { trap: Trap::JumpOutside, .. }));
                    if stop.is_none() || !outside {
                        return Err(session.mismatch("the oracle cannot fetch, we can"));
                    }
                    break;
                }
                None => {
                    return Err(session.mismatch(&format!("the oracle stopped by itself with error {result}")));
                }
                Some(Stop::Over) => break,
                Some(Stop::Call) => {
                    session.observed.writes.clear();
                    let before = session.machine.registers();
                    if session.step() {
                        break;
                    }
                    session.calls += 1;
                    for (address, word) in session.observed.writes.drain(..) {
                        guest.write(u64::from(address), &word.to_le_bytes());
                    }
                    for (index, value) in session.machine.registers().into_iter().enumerate() {
                        if value != before[index] {
                            guest.set_register(index, value);
                        }
                    }
                }
            }
        }
        guest.compare_memory(&session.machine, image).map_err(|what| session.mismatch(&what))?;
        Ok(Agreement {
            instructions: session.instructions,
            calls: session.calls,
            exit: session.machine.exit(),
            opcodes: session.observed.opcodes,
        })
    }
}

/// What is set wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skew {
    None,
    Register,
    Memory,
}

/// Why the oracle was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The next instruction is an `ecall`.
    Call,
    /// Our machine exited, or the limit is reached.
    Over,
}

#[derive(Debug)]
struct Observed {
    opcodes: [u64; Opcode::COUNT],
    /// Words written; looked at after an `ecall` only.
    writes: Vec<(u32, u32)>,
    in_call: bool,
}

impl Observer for Observed {
    fn on_access(&mut self, access: &Access) {
        if self.in_call && access.write {
            self.writes.push((access.address, access.after));
        }
    }
    fn on_step(&mut self, step: &Step) {
        self.opcodes[step.instruction.opcode as usize] += 1;
    }
}

struct Session<'a> {
    oracle: &'a Oracle,
    machine: Machine<'a>,
    observed: Observed,
    instructions: u64,
    calls: u64,
    limit: u64,
    /// Where the library puts the registers.
    values: [u32; 32],
    stop: Option<Stop>,
    refusal: Option<String>,
}

impl Session<'_> {
    /// One instruction of our machine. Whether the run is over.
    fn step(&mut self) -> bool {
        self.observed.in_call = self.stop == Some(Stop::Call);
        let mut event = self.machine.step_plain(1, &mut self.observed);
        while event == Event::Boundary {
            event = self.machine.step_plain(1, &mut self.observed);
        }
        event != Event::Stepped
    }

    /// Compares the state before an instruction and runs it on our machine.
    fn before(&mut self, engine: Engine, address: u32) -> Option<Stop> {
        let pointers: [*mut c_void; 32] = core::array::from_fn(|i| (&raw mut self.values[i]).cast());
        // SAFETY: the engine is the one that called us; there are 32 numbers and 32 pointers to live words, and a
        // register of this architecture has 32 bits.
        let result = unsafe { (self.oracle.read_registers)(engine, REGISTERS.as_ptr(), pointers.as_ptr(), 32) };
        if result != UC_ERR_OK {
            self.refusal = Some(format!("the oracle's registers cannot be read: error {result}"));
            return Some(Stop::Over);
        }
        let registers = self.machine.registers();
        if address != self.machine.pc() || self.values != registers {
            self.refusal = Some(self.difference(address, &registers));
            return Some(Stop::Over);
        }
        if self.instructions >= self.limit {
            return Some(Stop::Over);
        }
        if self.machine.word(address) == Some(ECALL) {
            return Some(Stop::Call);
        }
        if self.step() {
            return Some(Stop::Over);
        }
        self.instructions += 1;
        None
    }

    fn difference(&self, address: u32, ours: &[u32; 32]) -> String {
        let mut text = format!("the oracle is at {address:#x}");
        for (index, (ours, theirs)) in ours.iter().zip(self.values).enumerate() {
            if *ours != theirs {
                text += &format!(", x{index} is {ours:#x} here and {theirs:#x} there");
            }
        }
        text
    }

    fn mismatch(&self, what: &str) -> Mismatch {
        let pc = self.machine.pc();
        let word = self.machine.word(pc).and_then(decode);
        let what = word.map_or_else(|| what.to_owned(), |instruction| format!("{what} (next: {instruction})"));
        Mismatch { instructions: self.instructions, pc, what }
    }
}

/// What the library holds on to: where the session is while the engine runs.
struct Bridge<'a>(Cell<*mut Session<'a>>);

/// What the library calls before every instruction.
extern "C" fn on_instruction(engine: Engine, address: u64, _size: u32, bridge: *mut c_void) {
    // SAFETY: the pointer is the one given to `add_hook`, to a bridge that lives as long as the engine runs and is only
    // ever shared; `Guest::run`, on whose stack we are, put a pointer into it that it borrowed mutably for this run.
    let session = unsafe { &mut *(*bridge.cast::<Bridge<'_>>()).0.get() };
    if session.stop.is_some() {
        return;
    }
    session.stop = session.before(engine, address as u32);
    if session.stop.is_some() {
        // SAFETY: the engine is running: it called us.
        unsafe { (session.oracle.stop)(engine) };
    }
}

/// One engine of the library with memory in it.
struct Guest<'a> {
    oracle: &'a Oracle,
    engine: Engine,
}

impl<'a> Guest<'a> {
    fn new(oracle: &'a Oracle) -> Self {
        let mut engine = core::ptr::null_mut();
        // SAFETY: the pointer is to a live handle.
        let result = unsafe { (oracle.open)(UC_ARCH_RISCV, UC_MODE_RISCV32, &raw mut engine) };
        assert_eq!(result, UC_ERR_OK, "the oracle opens a 32-bit RISC-V");
        Self { oracle, engine }
    }

    /// Maps the window (to whole pages of the library) and copies the memory in.
    fn fill(&self, machine: &Machine<'_>, image: &Image) {
        let (start, end) = (u64::from(image.layout().memory_start), u64::from(image.layout().memory_end));
        let first = start / UC_PAGE_BYTES * UC_PAGE_BYTES;
        // SAFETY: a live engine that is not running; the range is whole pages.
        let result = unsafe {
            (self.oracle.map)(self.engine, first, (end - first).next_multiple_of(UC_PAGE_BYTES), UC_PROT_ALL)
        };
        assert_eq!(result, UC_ERR_OK, "the oracle maps {first:#x} to {end:#x}");
        for number in image.program().pages().keys() {
            let page = machine.page(*number).expect("a page of the program is in the window");
            let bytes: Vec<u8> = page.iter().flat_map(|word| word.to_le_bytes()).collect();
            self.write(u64::from(number * PAGE_BYTES), &bytes);
        }
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        // SAFETY: a live engine that is not running; the pointer and the length are those of a live slice.
        let result = unsafe { (self.oracle.write)(self.engine, address, bytes.as_ptr().cast(), bytes.len() as u64) };
        assert_eq!(result, UC_ERR_OK, "the oracle writes {address:#x}");
    }

    fn set_register(&self, index: usize, value: u32) {
        // SAFETY: a live engine that is not running; the value is a live word, the size of a register.
        let result = unsafe { (self.oracle.set_register)(self.engine, REGISTERS[index], (&raw const value).cast()) };
        assert_eq!(result, UC_ERR_OK, "the oracle writes x{index}");
    }

    fn pc(&self) -> u32 {
        let mut value = 0u32;
        let pointers = [(&raw mut value).cast::<c_void>()];
        // SAFETY: a live engine that is not running; one number, one pointer to a live word.
        let result =
            unsafe { (self.oracle.read_registers)(self.engine, [UC_RISCV_REG_PC].as_ptr(), pointers.as_ptr(), 1) };
        assert_eq!(result, UC_ERR_OK, "the oracle reads its pc");
        value
    }

    fn hook(&self, bridge: &Bridge<'_>) {
        let mut handle = 0;
        let hook: Hook = on_instruction;
        // SAFETY: the function has the type of a code hook; `compare` keeps the bridge alive and in its place for as
        // long as the engine may run. The range 1 to 0 means everywhere.
        let result = unsafe {
            (self.oracle.add_hook)(
                self.engine,
                &raw mut handle,
                UC_HOOK_CODE,
                hook as *const c_void,
                (&raw const *bridge).cast_mut().cast(),
                1,
                0,
            )
        };
        assert_eq!(result, UC_ERR_OK, "the oracle takes a hook");
    }

    /// Runs until the hook stops it.
    fn run<'s>(&self, bridge: &Bridge<'s>, session: &mut Session<'s>) -> c_int {
        let pc = session.machine.pc();
        bridge.0.set(&raw mut *session);
        // SAFETY: a live engine that is not running; its hook finds the session, which is borrowed for all of the run.
        unsafe { (self.oracle.start)(self.engine, u64::from(pc), NOWHERE, 0, 0) }
    }

    fn compare_memory(&self, machine: &Machine<'_>, image: &Image) -> Result<(), String> {
        let (start, end) = (image.layout().memory_start, image.layout().memory_end);
        let mut bytes = [0; PAGE_BYTES as usize];
        for number in start / PAGE_BYTES..end / PAGE_BYTES {
            let address = u64::from(number) * u64::from(PAGE_BYTES);
            // SAFETY: a live engine that is not running; the buffer is a page long.
            let result =
                unsafe { (self.oracle.read)(self.engine, address, bytes.as_mut_ptr().cast(), u64::from(PAGE_BYTES)) };
            assert_eq!(result, UC_ERR_OK, "the oracle reads {address:#x}");
            let page = machine.page(number).expect("a page of the window");
            for (i, (chunk, ours)) in bytes.chunks_exact(4).zip(page).enumerate() {
                let theirs = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
                if theirs != *ours {
                    let at = address + 4 * i as u64;
                    return Err(format!("memory at {at:#x} is {ours:#x} here and {theirs:#x} there"));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        // SAFETY: the engine was opened, is not running and is not used again.
        unsafe { (self.oracle.close)(self.engine) };
    }
}
