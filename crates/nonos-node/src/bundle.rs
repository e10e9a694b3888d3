//! Bundle: capsules, announcements, receipts and evidence in one file, to be moved by hand where there is no network.
//!
//! A tar archive, so that anybody can look into it: `capsules/<id>.mod`, `content/<hash>`, `announcements/<id>`,
//! `receipts/<hash>.receipt`, `evidence/<id>.evidence`. A bundle says nothing by itself: each file is checked for what it
//! is, and one that does not hold refuses the whole. Spec: `docs/spec/65-node.md`, section "Bundle".

use crate::{
    RequestError,
    content::{ContentFolder, Taken},
    proofs::{ProofsOf, receipt_hash},
};
use nonos_capsule::{CAPSULE_BYTES_MAX, Capsule};
use nonos_mesh_proto::{
    beacon::{ANNOUNCEMENT_BYTES_MAX, Announcement, INVENTORY_CAPSULES_MAX},
    gossip::RECEIPT_BYTES_MAX,
    transfer::CONTENT_BYTES_MAX,
    trust::{EVIDENCE_BYTES_MAX, Evidence, VerifiedEvidence},
};
use nonos_types::{CapsuleId, Hash32};
use nonos_verifier::{Receipt, verify};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use thiserror::Error;

/// Most files in a bundle.
pub const BUNDLE_FILES_MAX: usize = 65_536;
/// Most announcements in it: the node checks their signatures before anything else that it has to do.
pub const BUNDLE_ANNOUNCEMENTS_MAX: usize = ANNOUNCEMENTS_EXPORTED_MAX * INVENTORY_CAPSULES_MAX;
/// Most announcements of one capsule that go along.
pub(crate) const ANNOUNCEMENTS_EXPORTED_MAX: usize = 2;
/// Most bytes of its capsules and other content together.
pub const BUNDLE_BYTES_MAX: u64 = 16 << 30;

/// What goes into a bundle.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Whether it is a capsule, its id, and where its bytes are.
    pub(crate) contents: Vec<(bool, CapsuleId, PathBuf)>,
    pub(crate) announcements: Vec<(Hash32, Vec<u8>)>,
    pub(crate) receipts: Vec<(Hash32, Vec<u8>)>,
    pub(crate) evidence: Vec<(Hash32, Vec<u8>)>,
}

/// What was in a bundle, each part checked by itself.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    pub(crate) contents: Vec<(Taken, Option<Box<Capsule>>)>,
    pub(crate) announcements: Vec<Announcement>,
    /// Receipts that hold.
    pub(crate) receipts: Vec<(Hash32, Vec<u8>)>,
    /// Receipts that do not, with the evidence that is about each.
    pub(crate) unproven: Vec<(Hash32, Vec<u8>)>,
    pub(crate) evidence: Vec<(VerifiedEvidence, Vec<u8>)>,
}

/// Why a bundle is not taken. Nothing of it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not an archive, or cut off.
    #[error("not a bundle: {0}")]
    Archive(io::Error),
    /// A file that no bundle has.
    #[error("{name:?} is not what a bundle has: capsules, content, announcements, receipts, evidence")]
    Name {
        /// What it is called.
        name: String,
    },
    /// Too many files, or too many bytes.
    #[error("more than {BUNDLE_FILES_MAX} files, {BUNDLE_ANNOUNCEMENTS_MAX} announcements or {BUNDLE_BYTES_MAX} bytes")]
    TooLarge,
    /// A file above the limit of its kind.
    #[error("{name} has {got_bytes} bytes, at most {max_bytes} are allowed")]
    FileTooLarge {
        /// What it is called.
        name: String,
        /// How many it has.
        got_bytes: u64,
        /// How many it may have.
        max_bytes: u64,
    },
    /// A file that does not hold.
    #[error("{name}: {why}")]
    Invalid {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Writes a bundle.
pub(crate) fn write(parts: Parts, file: NamedTempFile) -> Result<NamedTempFile, RequestError> {
    let mut archive = tar::Builder::new(BufWriter::new(file));
    archive.mode(tar::HeaderMode::Deterministic);
    for (is_capsule, id, path) in parts.contents {
        let name = if is_capsule { format!("capsules/{id}.mod") } else { format!("content/{id}") };
        archive.append_path_with_name(path, name)?;
    }
    let small = [
        ("announcements", ".announcement", parts.announcements),
        ("receipts", ".receipt", parts.receipts),
        ("evidence", ".evidence", parts.evidence),
    ];
    for (folder, ending, files) in small {
        for (id, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("{folder}/{id}{ending}"), bytes.as_slice())?;
        }
    }
    let file = archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Reads a bundle and checks everything in it. Contents are in the folder afterwards, which nobody sees until they are
/// held; those of `kept` are there even if something went wrong.
pub(crate) fn read(path: &Path, folder: &ContentFolder, kept: &mut Vec<Hash32>) -> Result<Bundle, RequestError> {
    let mut bundle = Bundle::default();
    let mut staged = Vec::new();
    let mut proofs: BTreeMap<Hash32, Vec<u8>> = BTreeMap::new();
    let mut unproven: BTreeMap<Hash32, BundleError> = BTreeMap::new();
    let mut evidence: Vec<(String, Evidence, Vec<u8>)> = Vec::new();
    let mut bytes_total = 0;
    let mut archive = tar::Archive::new(BufReader::new(File::open(path)?));
    // As they lie there: a name of a gigabyte in front of a file is a file that no bundle has, and is not read.
    for (count, entry) in archive.entries().map_err(BundleError::Archive)?.raw(true).enumerate() {
        let mut entry = entry.map_err(BundleError::Archive)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        bytes_total = size.saturating_add(bytes_total);
        if count >= BUNDLE_FILES_MAX || bytes_total > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLarge.into());
        }
        if !entry.header().entry_type().is_file() {
            return Err(BundleError::Name { name }.into());
        }
        let max_bytes = match name.split('/').next() {
            Some("capsules") => CAPSULE_BYTES_MAX as u64,
            Some("content") => CONTENT_BYTES_MAX,
            Some("announcements") => ANNOUNCEMENT_BYTES_MAX as u64,
            Some("receipts") => RECEIPT_BYTES_MAX as u64,
            Some("evidence") => EVIDENCE_BYTES_MAX as u64,
            _ => return Err(BundleError::Name { name }.into()),
        };
        if size > max_bytes {
            return Err(BundleError::FileTooLarge { name, got_bytes: size, max_bytes }.into());
        }
        let invalid = |why: String| BundleError::Invalid { name: name.clone(), why };
        if name.starts_with("capsules/") || name.starts_with("content/") {
            let mut file = folder.taking()?;
            let copied = io::copy(&mut entry, &mut file)?;
            if copied != size {
                return Err(BundleError::Archive(io::ErrorKind::UnexpectedEof.into()).into());
            }
            file.flush()?;
            let capsule = if name.starts_with("capsules/") {
                let bytes = std::fs::read(file.path())?;
                let capsule = Capsule::decode(&bytes).map_err(|error| invalid(error.to_string()))?;
                Some(Box::new(capsule))
            } else {
                None
            };
            staged.push((file, capsule));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(BundleError::Archive)?;
        if name.starts_with("announcements/") {
            if bundle.announcements.len() >= BUNDLE_ANNOUNCEMENTS_MAX {
                return Err(BundleError::TooLarge.into());
            }
            bundle.announcements.push(Announcement::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?);
        } else if name.starts_with("receipts/") {
            let receipt = Receipt::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
            let hash = receipt_hash(&bytes);
            if let Err(why) = verify(&receipt) {
                unproven.insert(hash, invalid(why.to_string()));
            }
            proofs.insert(hash, bytes);
        } else {
            let read = Evidence::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
            evidence.push((name, read, bytes));
        }
    }
    let mut accused_with = BTreeMap::new();
    // Evidence may be about a receipt that stands after it.
    let at_hand = ProofsOf(|hash| proofs.get(&hash).cloned());
    for (name, read, bytes) in evidence {
        let verified = read.verify(&at_hand).map_err(|why| BundleError::Invalid { name, why: why.to_string() })?;
        if let Evidence::InvalidProof(of) = &read {
            // It travels along as what its executor is accused with, and is never said to be a receipt.
            unproven.remove(&of.receipt);
            accused_with.insert(of.receipt, read.id());
        }
        bundle.evidence.push((verified, bytes));
    }
    if let Some((_, error)) = unproven.pop_first() {
        return Err(error.into());
    }
    for (hash, bytes) in proofs {
        match accused_with.get(&hash) {
            Some(evidence) => bundle.unproven.push((*evidence, bytes)),
            None => bundle.receipts.push((hash, bytes)),
        }
    }
    for (file, capsule) in staged {
        let content = folder.keep(file)??;
        kept.push(content.root());
        bundle.contents.push((content, capsule));
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_keys::{SecretKey, Validity};
    use nonos_mesh_proto::{
        PeerId,
        beacon::{Equivocation, Inventory, InventoryBody},
    };
    use std::fs;

    fn inventory(capsule: u8) -> Inventory {
        let body = InventoryBody {
            peer: PeerId::from_bytes([1; 32]),
            addresses: Vec::new(),
            capsules: vec![CapsuleId::from_bytes([capsule; 32])],
            sequence: 7,
            issued_s: 1_700_000_000,
            expires_s: 1_700_000_900,
        };
        body.sign(&SecretKey::from_seed(&[9; 64], Validity::ALWAYS)).unwrap()
    }

    /// A bundle with content and evidence, made in this folder.
    fn bundle(folder: &ContentFolder) -> Vec<u8> {
        let mut file = folder.taking().unwrap();
        file.write_all(&[7; 40_000]).unwrap();
        let root = folder.keep(file).unwrap().unwrap().root();
        let evidence = Evidence::Equivocation(Equivocation::of_inventories(inventory(1), inventory(2)));
        let parts = Parts {
            contents: vec![(false, CapsuleId::from_bytes(*root.as_bytes()), folder.path(root))],
            evidence: vec![(evidence.id(), evidence.to_bytes())],
            ..Parts::default()
        };
        let written = write(parts, folder.taking().unwrap()).unwrap();
        fs::read(written.path()).unwrap()
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = ["content", "parts"].into_iter().flat_map(|name| fs::read_dir(folder.join(name)).unwrap());
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_bundle_gives_what_went_into_it() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bytes = bundle(&ContentFolder::open(here.path()).unwrap());
        let path = there.path().join("all.nonos");
        fs::write(&path, bytes).unwrap();
        let read = read(&path, &ContentFolder::open(there.path()).unwrap(), &mut Vec::new()).unwrap();
        assert_eq!((read.contents.len(), read.evidence.len()), (1, 1));
        assert_eq!(read.contents[0].0.root(), Hash32::from_bytes(*blake3::hash(&[7; 40_000]).as_bytes()));
    }

    #[test]
    fn a_name_is_no_longer_than_a_name() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("long");
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink").unwrap();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(300_000);
        header.set_cksum();
        archive.append(&header, &vec![b'a'; 300_000][..]).unwrap();
        fs::write(&path, archive.into_inner().unwrap()).unwrap();
        let folder = ContentFolder::open(there.path()).unwrap();
        let refused = read(&path, &folder, &mut Vec::new()).unwrap_err();
        assert!(matches!(refused, RequestError::Bundle(BundleError::Name { .. })), "{refused}");
    }

    #[test]
    fn damaged_bundles_are_refused_whole_and_leave_nothing() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bytes = bundle(&ContentFolder::open(here.path()).unwrap());
        let folder = ContentFolder::open(there.path()).unwrap();
        let path = there.path().join("damaged");
        let mut refused = 0;
        for round in 0..3_000_u64 {
            let mut damaged = bytes.clone();
            let draw = blake3::hash(&round.to_le_bytes());
            let number = |at: usize| u32::from_le_bytes(draw.as_bytes()[at..at + 4].try_into().unwrap()) as usize;
            // Headers more often than contents.
            let header = [0, damaged.len() - 1_536, 40_960 + 512][number(0) % 3];
            let at =
                if round % 2 == 0 { (header + number(4) % 512) % damaged.len() } else { number(4) % damaged.len() };
            match number(8) % 4 {
                0 => damaged.truncate(at),
                1 => damaged[at] ^= 1 << (number(12) % 8),
                2 => damaged[at] = number(12) as u8,
                _ => drop(damaged.splice(at..at, bytes[..number(12) % 2_048].iter().copied())),
            }
            fs::write(&path, damaged).unwrap();
            match read(&path, &folder, &mut Vec::new()) {
                // A changed byte of content is other content, and a changed field that nobody reads is nothing.
                Ok(bundle) => {
                    for (content, _) in bundle.contents {
                        let root = content.root();
                        drop(content);
                        folder.remove(root).unwrap();
                    }
                }
                Err(_) => refused += 1,
            }
            assert_eq!(files(there.path()), Vec::<PathBuf>::new(), "round {round}");
        }
        assert!(refused > 1_000, "{refused} of 3,000 were refused");
    }
}
