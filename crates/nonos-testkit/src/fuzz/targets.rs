//! What is fuzzed: everything that reads bytes from outside, and the two interpreters on random text.

use super::books;
use crate::{Shape, lockstep, random_program};
use nonos_capsule::{
    Capsule, CapsuleParts, LicenceText, Licences, Lock, LockEntry, Manifest, ManifestToml, PackFacts, PrebuiltRecipe,
    ProofSchema, Recipe, Rung, Sbom, fuzz_decode, fuzz_elf, fuzz_manifest_binary, fuzz_manifest_toml, load_elf,
    program_sha256,
};
use nonos_image::{Image, Program, ProgramParts, UNSALTED};
use nonos_isa::{GRANTS_ALL, Opcode};
use nonos_keys::{Argon2Cost, KeyFile, PublicKey, Reason, Revocation, Rotation, SecretKey, Validity};
use nonos_types::{CapsuleId, Digest, ImageId};
use nonos_vm::{Event, Job, Machine, Snapshot, TicketSeed};
use std::{collections::BTreeMap, sync::OnceLock};

/// One thing that is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Valid inputs to start from.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Feeds it an input; whether it took it. Panics where the target breaks a promise.
    pub accepts: fn(&[u8]) -> bool,
    /// Pieces of text that mean something to it.
    pub dictionary: &'static [&'static [u8]],
    /// Makes hashes in a bent input right again, so that what they protect is reached.
    pub mend: Option<fn(&mut [u8])>,
}

/// All targets.
pub const TARGETS: &[Target] = &concat::<12, 12, 24>(HERE, super::mesh::TARGETS);

/// Both lists in one.
const fn concat<const A: usize, const B: usize, const ALL: usize>(
    one: [Target; A],
    other: [Target; B],
) -> [Target; ALL] {
    assert!(A + B == ALL);
    let mut all = [one[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < A { one[at] } else { other[at - A] };
        at += 1;
    }
    all
}

const HERE: [Target; 12] = [
    Target { name: "package", corpus: packages, accepts: package, dictionary: &[], mend: Some(mend_package) },
    Target {
        name: "manifest-toml",
        corpus: manifests_toml,
        accepts: manifest_toml,
        dictionary: MANIFEST_WORDS,
        mend: None,
    },
    Target {
        name: "manifest-binary",
        corpus: manifests_binary,
        accepts: manifest_binary,
        dictionary: &[b"mesh-only", b"\x01\0\0\0"],
        mend: None,
    },
    Target { name: "elf", corpus: elves, accepts: elf, dictionary: &[b"\x7fELF", b"\xf3\0"], mend: None },
    Target { name: "program", corpus: programs, accepts: program, dictionary: &[], mend: None },
    Target { name: "snapshot", corpus: snapshots, accepts: snapshot, dictionary: &[], mend: None },
    Target { name: "keys", corpus: key_files, accepts: keys, dictionary: &[b"nonos-pub1"], mend: None },
    Target { name: "run-program", corpus: texts, accepts: run_text, dictionary: &[], mend: None },
    books::TICKET,
    books::INVOICE,
    books::ATTESTATION,
    books::RECORD,
];

const MANIFEST_WORDS: &[&[u8]] = &[
    b"[meta]\n",
    b"[exec]\n",
    b"[resources]\n",
    b"[fees]\n",
    b"[fees.split]\n",
    b"[royalties]\n",
    b"[dependencies]\n",
    b"[license]\n",
    b"[privacy]\n",
    b"[signers]\n",
    b"\"",
    b"\"\"\"",
    b"\n",
    b"=",
    b"{",
    b"}",
    b"[",
    b"]",
    b"true",
    b"false",
    b"-1",
    b"10000",
    b"1e400",
    b"0x7fffffffffffffff",
    b"\"500m\"",
    b"\"256MiB\"",
    b"\"18446744073709551616GiB\"",
    b"\"0.0001 NONOS\"",
    b"\"0.0000000000000000001 NONOS\"",
    b"\"340282366920938463463374607431768211456 NONOS\"",
    b"\"sha256:\"",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"name = ",
    b"version = ",
    b"author = ",
    b"1979-05-27T07:32:00Z",
    b"nan",
];

fn package(bytes: &[u8]) -> bool {
    match Capsule::decode(bytes) {
        Ok(_) => {
            fuzz_decode(bytes);
            true
        }
        Err(error) => refused(&error),
    }
}

fn manifest_toml(bytes: &[u8]) -> bool {
    fuzz_manifest_toml(bytes);
    match core::str::from_utf8(bytes).map(ManifestToml::parse) {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => refused(&error),
        Err(_) => false,
    }
}

fn manifest_binary(bytes: &[u8]) -> bool {
    match Manifest::decode(bytes) {
        Ok(_) => {
            fuzz_manifest_binary(bytes);
            true
        }
        Err(error) => refused(&error),
    }
}

fn elf(bytes: &[u8]) -> bool {
    match load_elf(bytes) {
        Ok(_) => {
            fuzz_elf(bytes);
            true
        }
        Err(error) => refused(&error),
    }
}

fn program(bytes: &[u8]) -> bool {
    match Program::decode(bytes) {
        Ok(program) => {
            assert_eq!(program.encode(), bytes, "an accepted encoding is the only one");
            true
        }
        Err(error) => refused(&error),
    }
}

fn snapshot(bytes: &[u8]) -> bool {
    let snapshot = match Snapshot::decode(bytes) {
        Ok(snapshot) => snapshot,
        Err(error) => return refused(&error),
    };
    assert_eq!(snapshot.encode(), bytes, "an accepted encoding is the only one");
    match Machine::resume(snapshot_image(), UNSALTED, snapshot_job(), &snapshot) {
        Ok(mut machine) => {
            while machine.run_fast() == Event::Boundary {}
            true
        }
        Err(error) => refused(&error),
    }
}

/// Everything that reads a key, a rotation or a revocation sees every input.
fn keys(bytes: &[u8]) -> bool {
    let mut taken = false;
    if let Ok(file) = KeyFile::decode(bytes) {
        assert_eq!(file.encode().as_slice(), bytes, "an accepted encoding is the only one");
        taken = true;
    }
    if let Ok(key) = PublicKey::decode(bytes) {
        assert_eq!(key.encode(), bytes, "an accepted encoding is the only one");
        taken = true;
    }
    if let Ok(rotation) = Rotation::decode(bytes) {
        assert_eq!(rotation.encode(), bytes, "an accepted encoding is the only one");
        taken = true;
    }
    if let Ok(revocation) = Revocation::decode(bytes) {
        assert_eq!(revocation.encode(), bytes, "an accepted encoding is the only one");
        taken = true;
    }
    if let Ok(text) = core::str::from_utf8(bytes)
        && let Ok(key) = PublicKey::from_text(text)
    {
        assert_eq!(key.to_text(), text, "an accepted text is the only one");
        taken = true;
    }
    taken
}

/// Where the text of a fuzzed program starts.
const TEXT_START: u32 = 0x1_0000;
const TEXT_WORDS_MAX: usize = 256;
const MEMORY_BYTES: u32 = 8 << 10;
/// Enough for the fast interpreter to start, and for a few loops.
const FUEL_CYCLES: u64 = 3000;

/// Runs bytes as text on both interpreters: they agree, whatever it is. Takes everything that has a word.
fn run_text(bytes: &[u8]) -> bool {
    let words = bytes.len() / 4;
    if words == 0 {
        return false;
    }
    let text = &bytes[..words.min(TEXT_WORDS_MAX) * 4];
    let text_end = TEXT_START + text.len() as u32;
    let program = Program::new(ProgramParts {
        entry: TEXT_START,
        text_start: TEXT_START,
        text_end,
        memory_start: TEXT_START,
        reserved_end: text_end,
        segments: &[(TEXT_START, text)],
    })
    .expect("a text of words is a program");
    let image = Image::new(program, MEMORY_BYTES, GRANTS_ALL.bits()).expect("it fits the memory");
    let job = Job::new(bytes, UNSALTED, FUEL_CYCLES + (bytes.len() % 64) as u64).expect("the input is small");
    if let Err(divergence) = lockstep::at_boundaries(&image, job) {
        panic!("{divergence}");
    }
    true
}

fn refused(error: &dyn core::error::Error) -> bool {
    // A message is made for every refusal: that must not panic either.
    assert!(!error.to_string().is_empty(), "an error says something");
    false
}

fn small_program(seed: u64) -> Program {
    random_program(seed, Shape { items: 4, rounds: 1, syscalls: true, fault: None }).program().clone()
}

fn programs() -> Vec<Vec<u8>> {
    (0..4).map(|seed| small_program(seed).encode()).collect()
}

fn texts() -> Vec<Vec<u8>> {
    let random = (0..40).map(|seed| {
        let fault = (seed % 3 == 0).then(|| crate::CAN_GO_WRONG[seed as usize % crate::CAN_GO_WRONG.len()]);
        let image = random_program(seed, Shape { items: 8, rounds: 3, syscalls: seed % 2 == 0, fault });
        let layout = image.layout();
        let bytes: Vec<u8> = (layout.text_start..layout.text_end)
            .map(|address| {
                let page = image.program().pages().get(&(address / 1024));
                page.map_or(0, |page| page[address as usize % 1024 / 4].to_le_bytes()[address as usize % 4])
            })
            .collect();
        bytes
    });
    // Every instruction once, with operands that change as bits flip.
    let table = nonos_isa::TABLE.iter().filter(|row| row.opcode != Opcode::Ebreak);
    let each = table.flat_map(|row| (row.bits | 0x0085_0500 & !row.mask).to_le_bytes()).collect();
    random.chain([each]).collect()
}

fn manifest_texts() -> Vec<String> {
    let id = "22".repeat(32);
    vec![
        "[meta]\nname = \"zk-search\"\nversion = \"1.0.3\"\nauthor = \"a group\"\n[exec]\nbinary = \"./bin/main\"\n\
         proof_schema = \"./proofs/circuit.zkp\"\n[resources]\ncpu = \"500m\"\nmem = \"256MiB\"\nnet = \"mesh-only\"\n\
         [fees]\nbase = \"0.0001 NONOS\"\nshare_seeders = true\nshare_verifiers = true\n"
            .to_owned(),
        "[meta]\nname = \"sample\"\nversion = \"1.0.3\"\nauthor = \"a group\"\n".to_owned(),
        format!(
            "[meta]\nname = \"sample\"\nversion = \"1.0.3\"\nauthor = \"a group\"\n[dependencies]\n\
             tiles = {{ id = \"{id}\", version = \"2.0.0\" }}\n[license]\nspdx = \"MIT OR Apache-2.0\"\n"
        ),
    ]
}

fn manifests_toml() -> Vec<Vec<u8>> {
    manifest_texts().into_iter().map(String::into_bytes).collect()
}

fn packed_manifests() -> Vec<Manifest> {
    let facts = PackFacts { program_sha256: program_sha256(&small_program(1)), dependencies: BTreeMap::new() };
    let pack = |text: String| ManifestToml::parse(&text).ok()?.pack(&facts).ok();
    manifest_texts().into_iter().filter_map(pack).collect()
}

fn manifests_binary() -> Vec<Vec<u8>> {
    packed_manifests().iter().map(Manifest::encode).collect()
}

fn packages() -> Vec<Vec<u8>> {
    let key = SecretKey::from_seed(&[9; 64], Validity::ALWAYS);
    let entry = LockEntry {
        name: "tiles".to_owned(),
        version: semver::Version::new(2, 0, 0),
        capsule: CapsuleId::from_bytes([0x22; 32]),
        image: ImageId::from_digest(Digest::ZERO),
    };
    let mut files = Vec::new();
    for manifest in packed_manifests() {
        let entries = if manifest.dependencies().is_empty() { Vec::new() } else { vec![entry.clone()] };
        let texts = vec![LicenceText { name: "MIT".to_owned(), text: "Permission is".to_owned() }];
        let parts = CapsuleParts {
            manifest,
            program: small_program(1),
            proof_schema: ProofSchema::new(true, Rung::ReExecute),
            lock: Lock::new(entries).expect("one entry is in order"),
            sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).expect("an SBOM"),
            recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
            licences: Licences::new(texts).expect("one text is in order"),
            readme: Some("# Sample\n".to_owned()),
        };
        let Ok(mut capsule) = Capsule::pack(parts) else { continue };
        files.push(capsule.encode());
        if capsule.sign(&key, Vec::new(), 1_000_000).is_ok() {
            files.push(capsule.encode());
        }
    }
    files
}

/// Header and rows of a package, see `docs/spec/10-capsule.md`: kind 4, offset 8, length 8, hash 32.
const PACKAGE_HEADER_BYTES: usize = 16;
const PACKAGE_ROW_BYTES: usize = 52;

/// Hashes the sections again, and on the way makes the table's offsets those of sections that follow each other.
fn mend_package(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize)
    };
    let count = word(bytes, 12).min(16);
    let mut start = PACKAGE_HEADER_BYTES + count * PACKAGE_ROW_BYTES;
    for row in 0..count {
        let at = PACKAGE_HEADER_BYTES + row * PACKAGE_ROW_BYTES;
        if at + PACKAGE_ROW_BYTES > bytes.len() || start > bytes.len() {
            return;
        }
        // The last section takes what is left.
        let left = bytes.len() - start;
        let length = if row + 1 == count { left } else { word(bytes, at + 12).min(left) };
        let hash = *blake3::hash(&bytes[start..start + length]).as_bytes();
        bytes[at + 4..at + 12].copy_from_slice(&(start as u64).to_le_bytes());
        bytes[at + 12..at + 20].copy_from_slice(&(length as u64).to_le_bytes());
        bytes[at + 20..at + 52].copy_from_slice(&hash);
        start += length;
    }
}

/// Small ELF files, written field by field: an executable with text, data and bss, and one in a single segment.
fn elves() -> Vec<Vec<u8>> {
    let text: Vec<u8> = [0x05d0_0893u32, 0x0000_0513, 0x0000_0073].iter().flat_map(|word| word.to_le_bytes()).collect();
    let data = b"some data of a program".to_vec();
    // Type, flags (execute 1, write 2, read 4), address, bytes, size in memory.
    let two = [(5u32, 0x1_0000u32, text.clone(), text.len() as u32), (6, 0x1_1000, data, 4096)];
    let one = [(5u32, 0x1_0000u32, text.clone(), text.len() as u32)];
    [elf_of(&two), elf_of(&one)].into()
}

fn elf_of(segments: &[(u32, u32, Vec<u8>, u32)]) -> Vec<u8> {
    const HEADER: usize = 52;
    const PROGRAM_HEADER: usize = 32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |file: &mut Vec<u8>, value: u16| file.extend_from_slice(&value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend_from_slice(&value.to_le_bytes());
    half(&mut file, 2);
    half(&mut file, 243);
    for value in [1, 0x1_0000, HEADER as u32, 0, 0] {
        word(&mut file, value);
    }
    for value in [HEADER, PROGRAM_HEADER, segments.len(), 40, 0, 0] {
        half(&mut file, value as u16);
    }
    let mut offset = (HEADER + PROGRAM_HEADER * segments.len()) as u32;
    for (flags, address, bytes, memory) in segments {
        for value in [1, offset, *address, *address, bytes.len() as u32, *memory, *flags, 4] {
            word(&mut file, value);
        }
        offset += bytes.len() as u32;
    }
    for (_, _, bytes, _) in segments {
        file.extend_from_slice(bytes);
    }
    file
}

const SNAPSHOT_INPUT: [u8; 600] = [5; 600];

fn snapshot_image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| random_program(11, Shape { items: 12, rounds: 4, syscalls: true, fault: None }))
}

fn snapshot_job() -> Job<'static> {
    let ticket = TicketSeed { seed: [3; 32], time_s: 1_700_000_000 };
    Job::new(&SNAPSHOT_INPUT, UNSALTED, 100_000).expect("the input is small").with_ticket(ticket)
}

fn snapshots() -> Vec<Vec<u8>> {
    let image = snapshot_image();
    let mut machine = Machine::new(image, UNSALTED, snapshot_job());
    let mut files: Vec<Vec<u8>> = machine.snapshot(image).iter().map(Snapshot::encode).collect();
    while machine.run_fast() == Event::Boundary {
        files.extend(machine.snapshot(image).iter().map(Snapshot::encode));
    }
    files.truncate(6);
    files
}

fn key_files() -> Vec<Vec<u8>> {
    let key = SecretKey::from_seed(&[4; 64], Validity::ALWAYS);
    let other = SecretKey::from_seed(&[5; 64], Validity::new(10, Some(1 << 40)).expect("an order"));
    let cost = Argon2Cost::new(Argon2Cost::MEMORY_KIB_MIN, 1, 1).expect("the least cost");
    let mut files = vec![
        KeyFile::plain(&key).encode().to_vec(),
        KeyFile::plain(&other).encode().to_vec(),
        key.public().encode(),
        key.public().to_text().into_bytes(),
        Revocation::sign(&key, 7, Reason::Retired).encode(),
    ];
    files.extend(
        KeyFile::encrypted(&key, b"a passphrase", cost, [1; 16], [2; 24]).ok().map(|file| file.encode().to_vec()),
    );
    files.extend(Rotation::sign(&key, &other, 20).ok().map(|rotation| rotation.encode()));
    files
}
