//! Snapshots: a machine at a checkpoint as bytes, to go on elsewhere.
//!
//! Spec: `docs/spec/32-snapshot.md`. A snapshot names the image, the input and the ticket that it belongs to and holds
//! only what differs from the image. Whoever resumes it computes the checkpoint's digest again and compares.

use crate::{
    io::Job,
    machine::{Machine, PAGE_CYCLES, SEGMENT_CYCLES},
};
use alloc::{collections::BTreeMap, vec::Vec};
use nonos_image::{Image, PAGE_BYTES, PAGE_WORDS, Page, Salt};
use nonos_types::{
    Digest, DigestError, ImageId,
    codec::{CodecError, Reader, Writer},
    limits::{FUEL_CYCLES_MAX, MEMORY_BYTES_MAX, OUTPUT_BYTES_MAX},
};
use thiserror::Error;

/// First bytes of the file.
const MAGIC: [u8; 8] = *b"NONOSCKP";
/// Version of the format.
const VERSION: u16 = 1;

/// A machine at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    image_id: ImageId,
    input_commitment: Digest,
    ticket_seed: [u8; 32],
    ticket_time_s: u64,
    digest: Digest,
    pc: u32,
    registers: [u32; 32],
    cycles: u64,
    instructions: u64,
    segment: u64,
    input_position: u64,
    random_position: u64,
    auto_cycles: u64,
    auto_pages: u64,
    transcript: Digest,
    output: Vec<u8>,
    pages: BTreeMap<u32, Page>,
}

impl Snapshot {
    /// The image that was running.
    #[must_use]
    pub const fn image_id(&self) -> ImageId {
        self.image_id
    }
    /// The checkpoint's digest, as the file states it; [`Machine::resume`] checks it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// Cycles before the checkpoint, as the file states them.
    #[must_use]
    pub const fn cycles(&self) -> u64 {
        self.cycles
    }
    /// Segments before the checkpoint, as the file states them.
    #[must_use]
    pub const fn segment(&self) -> u64 {
        self.segment
    }
    /// The ticket's seed and time that the run was given.
    #[must_use]
    pub const fn ticket(&self) -> crate::TicketSeed {
        crate::TicketSeed { seed: self.ticket_seed, time_s: self.ticket_time_s }
    }

    /// A field that no run of any program has at a boundary: every jump goes to a multiple of 4, positions move in whole
    /// words, and each segment, instruction and word has cost a cycle. Keeps the counters away from overflow, too.
    fn impossible(&self, input_bytes: u64) -> Option<&'static str> {
        let checks = [
            ("pc", !self.pc.is_multiple_of(4)),
            ("cycles", self.cycles > FUEL_CYCLES_MAX),
            ("auto_cycles", self.auto_cycles > self.cycles),
            ("auto_pages", self.auto_pages > (SEGMENT_CYCLES + SEGMENT_CYCLES / 2) / PAGE_CYCLES),
            ("instructions", self.instructions > self.cycles),
            ("segment", self.segment > self.cycles),
            ("input_position", !self.input_position.is_multiple_of(4) && self.input_position != input_bytes),
            ("random_position", !self.random_position.is_multiple_of(4) || self.random_position / 2 > self.cycles),
        ];
        checks.into_iter().find(|(_, broken)| *broken).map(|(field, _)| field)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&MAGIC);
        w.u16(VERSION);
        w.raw(&self.image_id.digest().to_bytes());
        w.raw(&self.input_commitment.to_bytes());
        w.raw(&self.ticket_seed);
        w.u64(self.ticket_time_s);
        w.raw(&self.digest.to_bytes());
        w.u32(self.pc);
        for register in &self.registers[1..] {
            w.u32(*register);
        }
        let positions = [self.input_position, self.random_position, self.auto_cycles, self.auto_pages];
        for number in [self.cycles, self.instructions, self.segment].into_iter().chain(positions) {
            w.u64(number);
        }
        w.raw(&self.transcript.to_bytes());
        w.bytes(&self.output);
        w.count(self.pages.len());
        for (number, page) in &self.pages {
            w.u32(*number);
            for word in page {
                w.u32(*word);
            }
        }
        w.finish()
    }

    /// From canonical bytes. What they state is not checked against anything yet.
    ///
    /// # Errors
    /// [`SnapshotError`]; never panics, allocates no more than the bytes are long.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut r = Reader::new(bytes);
        if r.array::<8>("magic")? != MAGIC {
            return Err(SnapshotError::Magic);
        }
        let version = r.u16("version")?;
        if version != VERSION {
            return Err(SnapshotError::Version { got: version });
        }
        let image_id = ImageId::from_digest(digest(&mut r, "image_id")?);
        let input_commitment = digest(&mut r, "input_commitment")?;
        let ticket_seed = r.array("ticket_seed")?;
        let ticket_time_s = r.u64("ticket_time")?;
        let checkpoint = digest(&mut r, "checkpoint")?;
        let pc = r.u32("pc")?;
        let mut registers = [0; 32];
        for register in &mut registers[1..] {
            *register = r.u32("register")?;
        }
        let cycles = r.u64("cycles")?;
        let instructions = r.u64("instructions")?;
        let segment = r.u64("segment")?;
        let input_position = r.u64("input_position")?;
        let random_position = r.u64("random_position")?;
        let auto_cycles = r.u64("auto_cycles")?;
        let auto_pages = r.u64("auto_pages")?;
        let transcript = digest(&mut r, "transcript")?;
        let output = r.bytes("output", OUTPUT_BYTES_MAX as usize)?.to_vec();
        let count = r.count("pages", (MEMORY_BYTES_MAX / PAGE_BYTES) as usize, 4 + PAGE_BYTES as usize)?;
        let mut pages = BTreeMap::new();
        let mut last = None;
        for _ in 0..count {
            let number = r.u32("page.number")?;
            if last.is_some_and(|last| last >= number) {
                return Err(SnapshotError::PageOrder { number });
            }
            last = Some(number);
            let bytes = r.take("page.bytes", PAGE_BYTES as usize)?;
            let mut page = [0; PAGE_WORDS];
            for (word, chunk) in page.iter_mut().zip(bytes.chunks_exact(4)) {
                *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
            }
            pages.insert(number, page);
        }
        r.finish()?;
        Ok(Self {
            image_id,
            input_commitment,
            ticket_seed,
            ticket_time_s,
            digest: checkpoint,
            pc,
            registers,
            cycles,
            instructions,
            segment,
            input_position,
            random_position,
            auto_cycles,
            auto_pages,
            transcript,
            output,
            pages,
        })
    }
}

fn digest(r: &mut Reader<'_>, field: &'static str) -> Result<Digest, SnapshotError> {
    Digest::from_bytes(r.array(field)?).map_err(|source| SnapshotError::Digest { field, source })
}

impl<'a> Machine<'a> {
    /// The machine at the checkpoint where it stands; `None` when the run is over. Only at a segment boundary.
    pub fn snapshot(&mut self, image: &Image) -> Option<Snapshot> {
        if self.exit.is_some() || self.segment_cycles != 0 {
            return None;
        }
        let digest = self.checkpoint().digest;
        let first = self.layout.memory_start / PAGE_BYTES;
        let initial = image.program().pages();
        let zero = [0; PAGE_WORDS];
        let pages = (0..self.memory.pages())
            .map(|page| (first + page, self.memory.page(page)))
            .filter(|(number, page)| initial.get(number).unwrap_or(&zero) != *page)
            .map(|(number, page)| (number, *page))
            .collect();
        Some(Snapshot {
            image_id: self.image_id,
            input_commitment: self.job.input_commitment,
            ticket_seed: self.job.ticket.seed,
            ticket_time_s: self.job.ticket.time_s,
            digest,
            pc: self.pc,
            registers: self.registers(),
            cycles: self.cycles,
            instructions: self.instructions,
            segment: self.segment,
            input_position: self.input_position,
            random_position: self.random_position,
            auto_cycles: self.auto_cycles,
            auto_pages: self.auto_pages,
            transcript: self.transcript,
            output: self.output.clone(),
            pages,
        })
    }

    /// A machine that goes on from a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`] when the snapshot belongs to another image, input or ticket, or when the state in it does not
    /// have the digest that it states.
    ///
    /// # Panics
    /// As [`Machine::new`].
    pub fn resume(image: &Image, id_salt: Salt, job: Job<'a>, snapshot: &Snapshot) -> Result<Self, SnapshotError> {
        let mut machine = Self::new(image, id_salt, job);
        if snapshot.image_id != machine.image_id {
            return Err(SnapshotError::OtherImage { want: machine.image_id, got: snapshot.image_id });
        }
        if snapshot.input_commitment != job.input_commitment {
            return Err(SnapshotError::OtherInput);
        }
        if snapshot.ticket() != job.ticket {
            return Err(SnapshotError::OtherTicket);
        }
        if snapshot.input_position > job.input.len() as u64 {
            return Err(SnapshotError::InputPosition { got: snapshot.input_position });
        }
        if let Some(field) = snapshot.impossible(job.input.len() as u64) {
            return Err(SnapshotError::Impossible { field });
        }
        let first = machine.layout.memory_start / PAGE_BYTES;
        for (number, page) in &snapshot.pages {
            let inside = number.checked_sub(first).filter(|page| *page < machine.memory.pages());
            let Some(at) = inside else {
                return Err(SnapshotError::PageOutside { number: *number });
            };
            if machine.memory.page(at) == page {
                return Err(SnapshotError::PageUnchanged { number: *number });
            }
            machine.memory.put_page(at, page);
        }
        machine.registers[..32].copy_from_slice(&snapshot.registers);
        machine.pc = snapshot.pc;
        machine.cycles = snapshot.cycles;
        machine.instructions = snapshot.instructions;
        machine.segment = snapshot.segment;
        machine.input_position = snapshot.input_position;
        machine.random_position = snapshot.random_position;
        machine.auto_cycles = snapshot.auto_cycles;
        machine.auto_pages = snapshot.auto_pages;
        machine.transcript = snapshot.transcript;
        machine.output.clone_from(&snapshot.output);
        let text_changed = snapshot.pages.keys().any(|number| {
            let page = number * PAGE_BYTES;
            page < machine.layout.text_end && machine.layout.text_start < page + PAGE_BYTES && {
                // A page that holds text and data may differ in its data only.
                let words = image.program().pages().get(number).copied().unwrap_or([0; PAGE_WORDS]);
                (0..PAGE_WORDS).any(|i| {
                    let address = page + 4 * i as u32;
                    (machine.layout.text_start..machine.layout.text_end).contains(&address)
                        && snapshot.pages[number][i] != words[i]
                })
            }
        });
        if text_changed {
            return Err(SnapshotError::TextChanged);
        }
        if machine.cycles > job.fuel_cycles {
            return Err(SnapshotError::Fuel { cycles: machine.cycles, fuel_cycles: job.fuel_cycles });
        }
        let digest = machine.checkpoint().digest;
        if digest != snapshot.digest {
            return Err(SnapshotError::DigestMismatch { stated: snapshot.digest, computed: digest });
        }
        Ok(machine)
    }
}

/// Why bytes are not a snapshot, or not one of this run.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Not a snapshot at all.
    #[error("not a checkpoint file: the first eight bytes are not NONOSCKP")]
    Magic,
    /// Another version of the format.
    #[error("checkpoint format version {got}, this program reads version {VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// A digest with an element that is not below the field order.
    #[error("`{field}`: {source}")]
    Digest {
        /// The field's name.
        field: &'static str,
        /// Which element.
        source: DigestError,
    },
    /// Pages do not ascend.
    #[error("page {number} is not above the one before it")]
    PageOrder {
        /// The second of the two.
        number: u32,
    },
    /// A page outside the memory window.
    #[error("page {number} is outside the memory window")]
    PageOutside {
        /// Which.
        number: u32,
    },
    /// A page that the image holds just so.
    #[error("page {number} does not differ from the image and must be left out")]
    PageUnchanged {
        /// Which.
        number: u32,
    },
    /// The snapshot was taken of another capsule.
    #[error("the checkpoint belongs to image {got}, this capsule is image {want}")]
    OtherImage {
        /// The image at hand.
        want: ImageId,
        /// The image in the file.
        got: ImageId,
    },
    /// The snapshot was taken of a run on another input.
    #[error("the checkpoint belongs to a run on another input (give the same --input)")]
    OtherInput,
    /// The snapshot was taken of a run with another ticket.
    #[error("the checkpoint belongs to a run with another ticket (give the same --seed-ticket)")]
    OtherTicket,
    /// More input read than there is.
    #[error("the checkpoint has read {got} bytes of input, there are not so many")]
    InputPosition {
        /// What it states.
        got: u64,
    },
    /// A value that no run has at a boundary.
    #[error("the checkpoint states a `{field}` that no run has: it was made up or damaged")]
    Impossible {
        /// Which field.
        field: &'static str,
    },
    /// The text is not the image's.
    #[error("the checkpoint changes the program's text")]
    TextChanged,
    /// The run has spent more than it may.
    #[error("the checkpoint is at cycle {cycles}, the run may spend {fuel_cycles} (raise --fuel)")]
    Fuel {
        /// Where it is.
        cycles: u64,
        /// What the run may spend.
        fuel_cycles: u64,
    },
    /// The state does not have the stated digest.
    #[error("the state has digest {computed}, the file states {stated}: it was changed or damaged")]
    DigestMismatch {
        /// What the file states.
        stated: Digest,
        /// What its state has.
        computed: Digest,
    },
}
