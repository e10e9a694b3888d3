//! What a capsule file is, and each way in which a file is none.

use super::{sealed, sections, with_section};
use crate::sample::{key, manifest, parts, signed, unsigned};
use crate::{
    CAPSULE_BYTES_MAX, Capsule, CapsuleParts, ContainerError, DecodeError, ENTRY_BYTES, HEADER_BYTES, LicencesError,
    LockError, ManifestError, ProofSchemaError, RecipeError, SbomError, SectionKind, SignaturesError, fuzz_decode,
};
use nonos_image::ProgramError;
use nonos_types::codec::CodecError;
use proptest::prelude::*;

/// The number of the row of a kind in the sample's table.
fn row(kind: SectionKind) -> usize {
    HEADER_BYTES + SectionKind::ALL.iter().position(|other| *other == kind).unwrap() * ENTRY_BYTES
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn a_capsule_decodes_from_its_bytes_and_encodes_to_them() {
    let (first, second) = (key(1), key(2));
    for capsule in [unsigned(&[], 0), unsigned(&[&first], 1), signed(&[&first, &second], 2)] {
        let file = capsule.encode();
        let decoded = Capsule::decode(&file).unwrap();
        assert_eq!(decoded, capsule);
        assert_eq!(decoded.encode(), file);
        assert_eq!(decoded.image_id(), capsule.image_id());
    }
}

#[test]
fn a_capsule_without_a_readme_decodes_too() {
    let capsule = Capsule::pack(CapsuleParts { readme: None, ..parts(manifest(&[], 0)) }).unwrap();
    assert_eq!(capsule.readme(), None);
    assert_eq!(Capsule::decode(&capsule.encode()), Ok(capsule));
}

#[test]
fn signing_changes_neither_the_id_nor_what_stands_before_the_signatures_row() {
    let first = key(1);
    let (before, after) = (unsigned(&[&first], 1), signed(&[&first], 1));
    assert_eq!(before.id(), after.id());
    assert_eq!(before.table(), after.table());
    let signed_bytes = row(SectionKind::Signatures);
    assert_eq!(before.encode()[..signed_bytes], after.encode()[..signed_bytes]);
    let id = blake3::derive_key("NONOS capsule id v1", &after.encode()[..signed_bytes]);
    assert_eq!(*after.id().as_bytes(), id);
}

#[test]
fn every_section_is_part_of_the_id() {
    let base = Capsule::pack(parts(manifest(&[], 0))).unwrap().id();
    let sample = || parts(manifest(&[], 0));
    let others = [
        CapsuleParts { manifest: manifest(&[key(1).id()], 1), ..sample() },
        CapsuleParts { readme: None, ..sample() },
        CapsuleParts { readme: Some("# Other\n".into()), ..sample() },
        CapsuleParts { licences: crate::Licences::default(), ..sample() },
        CapsuleParts {
            sbom: crate::Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.5"}"#.into()).unwrap(),
            ..sample()
        },
        CapsuleParts {
            recipe: crate::Recipe::Prebuilt(crate::PrebuiltRecipe { tools: vec!["x".into()], source_digest: None }),
            ..sample()
        },
    ];
    for other in others {
        assert_ne!(Capsule::pack(other).unwrap().id(), base);
    }
}

/// A change of this is a change of format: every capsule that was ever published becomes another.
#[test]
fn the_id_of_the_sample_does_not_change() {
    assert_eq!(unsigned(&[], 0).id().to_string(), GOLDEN_ID);
}

const GOLDEN_ID: &str = "49274650d8cee46e5cee4770a63369128f2f9866d5f79c9b258c67f2fbc490f0";

/// Changes the bytes of a good file and expects one error.
fn check(change: impl FnOnce(&mut Vec<u8>), expected: ContainerError) {
    let mut file = unsigned(&[], 0).encode();
    change(&mut file);
    assert_eq!(Capsule::decode(&file), Err(DecodeError::Container(expected)));
}

#[test]
fn each_defect_of_the_header_has_its_own_error() {
    check(|file| file[0] = b'M', ContainerError::Magic { got: *b"MONOSMOD" });
    check(|file| file[8] = 2, ContainerError::UnknownVersion { got: 2 });
    let count = CodecError::TooLarge { at: 12, field: "section count", got: 10, max: 9 };
    check(|file| file[12] = 10, count.into());
    let short = CodecError::Truncated { at: 8, field: "capsule version", need_bytes: 4, have_bytes: 0 };
    check(|file| file.truncate(8), short.into());
    let table = CodecError::Truncated { at: 16, field: "section count", need_bytes: 9 * 52, have_bytes: 100 };
    check(|file| file.truncate(116), table.into());
    check(
        |file| file.resize(CAPSULE_BYTES_MAX + 1, 0),
        ContainerError::FileTooLarge { got_bytes: CAPSULE_BYTES_MAX + 1 },
    );
}

#[test]
fn each_defect_of_the_table_has_its_own_error() {
    use SectionKind::{Lock, Manifest, Program, ProofSchema, Readme, Signatures};
    let file = unsigned(&[], 0).encode();
    let file_bytes = file.len() as u64;
    let table_end = (HEADER_BYTES + 9 * ENTRY_BYTES) as u64;
    let entry = |kind| {
        let container = crate::container::Container::decode(&file).unwrap();
        container.sections.iter().find(|(entry, _)| entry.kind == kind).unwrap().0
    };
    check(|file| put(file, row(Lock), &[9]), ContainerError::UnknownSection { number: 9 });
    check(|file| put(file, row(Lock), &[0]), ContainerError::UnknownSection { number: 0 });
    check(|file| put(file, row(Lock), &[2]), ContainerError::SectionOrder { kind: Program, after: ProofSchema });
    check(|file| put(file, row(Lock), &[3]), ContainerError::SectionTwice { kind: ProofSchema });
    let offset = |kind, offset: u64| move |file: &mut Vec<u8>| put(file, row(kind) + 4, &offset.to_le_bytes());
    let length = |kind, length: u64| move |file: &mut Vec<u8>| put(file, row(kind) + 12, &length.to_le_bytes());
    let gap = |kind, offset, expected| ContainerError::SectionGap { kind, offset, expected };
    check(offset(Manifest, table_end + 1), gap(Manifest, table_end + 1, table_end));
    check(offset(Lock, u64::MAX), gap(Lock, u64::MAX, entry(Lock).offset));
    let overlap = |kind, offset, expected| ContainerError::SectionOverlap { kind, offset, expected };
    check(offset(Manifest, 0), overlap(Manifest, 0, table_end));
    check(offset(Program, entry(Manifest).offset), overlap(Program, entry(Manifest).offset, entry(Program).offset));
    // A length that is one too small makes the next section stand behind a gap, one too large inside of it.
    let shorter = entry(Lock).length_bytes - 1;
    check(
        length(Lock, shorter),
        gap(SectionKind::Sbom, entry(SectionKind::Sbom).offset, entry(SectionKind::Sbom).offset - 1),
    );
    let too_large =
        |kind: SectionKind, got_bytes| ContainerError::SectionTooLarge { kind, got_bytes, max_bytes: kind.bytes_max() };
    check(length(ProofSchema, 7), too_large(ProofSchema, 7));
    check(length(Manifest, u64::MAX), too_large(Manifest, u64::MAX));
    let past_end = ContainerError::SectionPastEnd {
        kind: Signatures,
        offset: entry(Signatures).offset,
        length_bytes: 5,
        file_bytes,
    };
    check(length(Signatures, 5), past_end);
    check(|file| file.push(0), ContainerError::Trailing { end: file_bytes, file_bytes: file_bytes + 1 });
    check(|file| *file.last_mut().unwrap() ^= 1, ContainerError::SectionHash { kind: Signatures });
    check(|file| file[entry(Readme).offset as usize] ^= 1, ContainerError::SectionHash { kind: Readme });
}

#[test]
fn every_section_but_the_readme_is_required() {
    let good = sections(&unsigned(&[], 0).encode());
    for kind in SectionKind::ALL {
        let without = good.iter().filter(|(number, _)| *number != kind.number()).cloned().collect::<Vec<_>>();
        let expected = Err(DecodeError::Container(ContainerError::SectionMissing { kind }));
        let got = Capsule::decode(&sealed(&without));
        if kind == SectionKind::Readme {
            assert!(got.is_ok());
        } else {
            assert_eq!(got, expected);
        }
    }
    let none = Err(DecodeError::Container(ContainerError::SectionMissing { kind: SectionKind::Manifest }));
    assert_eq!(Capsule::decode(&sealed(&[])), none);
}

#[test]
fn a_defect_inside_of_a_section_names_the_section() {
    let file = signed(&[&key(1)], 1).encode();
    let decode = |kind, change: fn(&mut Vec<u8>)| Capsule::decode(&with_section(&file, kind, change)).unwrap_err();
    let trailing = |kind| decode(kind, |bytes| bytes.push(0));
    assert!(matches!(trailing(SectionKind::Manifest), DecodeError::Manifest(ManifestError::Codec(_))));
    assert!(matches!(trailing(SectionKind::Program), DecodeError::Program(ProgramError::Codec(_))));
    assert!(matches!(trailing(SectionKind::Lock), DecodeError::Lock(LockError::Codec(_))));
    assert!(matches!(trailing(SectionKind::Sbom), DecodeError::Sbom(SbomError::NotJson { .. })));
    assert!(matches!(trailing(SectionKind::Recipe), DecodeError::Recipe(RecipeError::Codec(_))));
    assert!(matches!(trailing(SectionKind::Licences), DecodeError::Licences(LicencesError::Codec(_))));
    assert!(matches!(trailing(SectionKind::Signatures), DecodeError::Signatures(SignaturesError::Codec(_))));
    let schema = decode(SectionKind::ProofSchema, |bytes| bytes[0] = 2);
    assert_eq!(schema, DecodeError::ProofSchema(ProofSchemaError::UnknownMachine { got: 2 }));
    let readme = decode(SectionKind::Readme, |bytes| bytes[1] = 0xff);
    assert_eq!(readme, DecodeError::ReadmeNotUtf8 { at: 1 });
    let sbom = decode(SectionKind::Sbom, |bytes| bytes[2] = 0xff);
    assert_eq!(sbom, DecodeError::Sbom(SbomError::NotUtf8 { at: 2 }));
}

#[test]
fn signatures_stand_in_order_each_once() {
    let capsule = signed(&[&key(1), &key(2)], 2);
    let size = (capsule.encode().len() - unsigned(&[&key(1), &key(2)], 2).encode().len()) / 2;
    let signers = capsule.signatures().iter().map(crate::SignatureEntry::signer).collect::<Vec<_>>();
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        Capsule::decode(&with_section(&capsule.encode(), SectionKind::Signatures, change)).unwrap_err()
    };
    let swapped = change(&|bytes| bytes[4..].rotate_left(size));
    assert_eq!(swapped, DecodeError::Signatures(SignaturesError::Order { signer: signers[0] }));
    let twice = change(&|bytes| bytes.copy_within(4..4 + size, 4 + size));
    assert_eq!(twice, DecodeError::Signatures(SignaturesError::SignerTwice { signer: signers[0] }));
    let many = change(&|bytes| bytes[0] = 5);
    let limit = CodecError::TooLarge { at: 0, field: "signatures", got: 5, max: 4 };
    assert_eq!(many, DecodeError::Signatures(limit.into()));
    let rotations = change(&|bytes| bytes[4] = 5);
    let limit = CodecError::TooLarge { at: 4, field: "rotations", got: 5, max: 4 };
    assert_eq!(rotations, DecodeError::Signatures(limit.into()));
    let key = change(&|bytes| bytes[8..40].fill(0));
    assert!(matches!(key, DecodeError::Signatures(SignaturesError::Key(_))));
    let rotation = change(&|bytes| {
        bytes[4] = 1;
        bytes.resize(60_000, 0);
    });
    assert!(matches!(rotation, DecodeError::Signatures(SignaturesError::Rotation(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz_decode(&bytes);
    }

    #[test]
    fn whatever_a_changed_section_says_what_is_accepted_is_canonical(
        kind in prop::sample::select(SectionKind::ALL.to_vec()),
        at: prop::sample::Index,
        value: u8,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let file = with_section(&unsigned(&[], 0).encode(), kind, |bytes| {
            *at.get_mut(bytes) = value;
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        });
        fuzz_decode(&file);
    }
}
