//! Capsules, keys and tickets that the tests of this crate share.

use crate::{
    Attestation, DomainName, Event, FeeTable, FeeTableError, Ledger, MemoryBook, Participants, Royalty, Seeder,
    SignedTicket, Ticket, TicketRecord, attested_digest,
};
use nonos_capsule::{
    Capsule, CapsuleParts, FeeSplit, Fees, Licences, Lock, LockEntry, ManifestToml, PackFacts, PrebuiltRecipe,
    ProofSchema, Recipe, Rung, Sbom, program_sha256,
};
use nonos_image::{Program, ProgramParts};
use nonos_keys::{PublicKey, SecretKey, Signature, Validity};
use nonos_types::{Amount, BASIS_POINTS_ALL, BasisPoints, CapsuleId, Digest, Hash32, ImageId, KeyId, TicketId, domain};
use nonos_verifier::{Claim, Status};
use std::{collections::BTreeMap, num::NonZeroU64, ops::Range};

/// When everything is signed and issued.
pub(crate) const NOW_S: u64 = 1_700_000_000;

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 64], Validity::ALWAYS)
}

pub(crate) fn id(number: u8) -> KeyId {
    KeyId::from_bytes([number; 32])
}

pub(crate) fn nonos(text: &str) -> Amount {
    format!("{text} NONOS").parse().unwrap()
}

/// A signed capsule with these fees, that pays royalties to these capsules, in basis points.
pub(crate) fn capsule(name: &str, fees: &str, dependencies: &[(&str, &Capsule, u16)], signers: &[u8]) -> Capsule {
    let program = Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0008,
        memory_start: 0x1_0000,
        reserved_end: 0x1_1000,
        segments: &[(0x1_0000, &[0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0])],
    })
    .unwrap();
    let keys: Vec<SecretKey> = signers.iter().map(|number| key(*number)).collect();
    let list = |items: Vec<String>| items.join(", ");
    let ids = list(keys.iter().map(|key| format!("\"{}\"", key.id())).collect());
    let named = |line: &dyn Fn(&(&str, &Capsule, u16)) -> String| dependencies.iter().map(line).collect::<String>();
    let wanted =
        named(&|(name, capsule, _)| format!("{name} = {{ id = \"{}\", version = \"1.0.0\" }}\n", capsule.id()));
    let royalties = named(&|(name, _, points)| format!("{name} = {points}\n"));
    let signers = if keys.is_empty() { String::new() } else { format!("[signers]\nkeys = [{ids}]\nthreshold = 1\n") };
    let text = format!(
        "[meta]\nname = \"{name}\"\nversion = \"1.0.0\"\nauthor = \"The sample group\"\n[resources]\nfuel = 3000000\n\
         [proof]\nrung = \"stark\"\n[privacy]\nhiding = false\n\
         [fees]\n{fees}\n[dependencies]\n{wanted}[royalties]\n{royalties}{signers}"
    );
    let facts = PackFacts { program_sha256: program_sha256(&program), dependencies: BTreeMap::new() };
    let manifest = ManifestToml::parse(&text).unwrap().pack(&facts).unwrap();
    let locked = dependencies.iter().map(|(name, capsule, _)| LockEntry {
        name: (*name).to_owned(),
        version: "1.0.0".parse().unwrap(),
        capsule: capsule.id(),
        image: capsule.image_id(),
    });
    let mut capsule = Capsule::pack(CapsuleParts {
        proof_schema: ProofSchema::new(manifest.hiding(), manifest.rung()),
        manifest,
        program,
        lock: Lock::new(locked.collect()).unwrap(),
        sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).unwrap(),
        recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
        licences: Licences::default(),
        readme: None,
    })
    .unwrap();
    for key in &keys {
        capsule.sign(key, Vec::new(), NOW_S).unwrap();
    }
    capsule
}

/// The fee table of a capsule, its dependencies found among these.
pub(crate) fn table_of(capsule: &Capsule, others: &[&Capsule]) -> Result<FeeTable, FeeTableError> {
    let verified = capsule.verify(NOW_S, &[]).unwrap();
    FeeTable::new(&verified, &|id| others.iter().copied().find(|other| other.id() == id))
}

/// The fees of the tests: 1,000 base units of base fee would be too neat.
pub(crate) const FEES: &str = "base = \"0.000000000000001003 NONOS\"\nexecution = \"0.000000000000000700 NONOS\"\nverification = \"0.000000000000000011 NONOS\"";

pub(crate) fn table() -> FeeTable {
    table_of(&capsule("plain", FEES, &[], &[1]), &[]).unwrap()
}

pub(crate) fn seeder(number: u8, bytes: u64) -> Seeder {
    Seeder { key: id(number), bytes: NonZeroU64::new(bytes).unwrap() }
}

pub(crate) fn participants(seeders: &[(u8, u64)], verifiers: &[u8]) -> Participants {
    Participants {
        executor: id(100),
        seeders: seeders.iter().map(|(number, bytes)| seeder(*number, *bytes)).collect(),
        verifiers: verifiers.iter().map(|number| id(*number)).collect(),
    }
}

/// A ticket for a run of the capsule of a fee table.
pub(crate) fn ticket(table: &FeeTable) -> Ticket {
    Ticket {
        domain: DomainName::local(),
        capsule_id: table.capsule_id(),
        input_commitment: Digest::from_elements([1, 2, 3, 4, 5, 6, 7, 8]).unwrap(),
        fee_ceiling: nonos("0.00000000000001"),
        cycles_ceiling: 2_000_000,
        rung: Rung::Stark,
        hiding: false,
        executor: None,
        issued_s: NOW_S,
        deadline_s: NOW_S + 3_600,
        nonce: [9; 32],
    }
}

pub(crate) fn signed(ticket: Ticket) -> SignedTicket {
    ticket.sign(&key(50)).unwrap()
}

/// Numbers from a seed (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Small, middling or as large as can be.
    pub(crate) fn amount(&mut self) -> Amount {
        let units = match self.below(4) {
            0 => u128::from(self.below(20)),
            1 => u128::from(self.next()),
            2 => u128::from(self.next()) << self.below(28),
            _ => 0,
        };
        Amount::from_units(units.min(Amount::MAX.units() / 4)).unwrap()
    }

    /// Points that sum to `all`, for so many.
    pub(crate) fn points(&mut self, all: u16, count: usize) -> Vec<BasisPoints> {
        let mut cuts: Vec<u64> = (1..count).map(|_| self.below(u64::from(all) + 1)).collect();
        cuts.extend([0, u64::from(all)]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| BasisPoints::new((pair[1] - pair[0]) as u16).unwrap()).collect()
    }

    pub(crate) fn keys(&mut self, count: u64) -> Vec<KeyId> {
        (0..count).map(|_| id(self.below(12) as u8)).collect()
    }

    pub(crate) fn distinct_keys(&mut self, most: u64) -> Vec<KeyId> {
        let count = self.below(most + 1);
        let mut keys = self.keys(count);
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    pub(crate) fn royalties(&mut self, all: u16, depth: u64) -> Vec<Royalty> {
        if all == 0 {
            return Vec::new();
        }
        let count = 1 + self.below(4) as usize;
        let points = self.points(all, count);
        // A royalty of 0 has no node.
        let points = points.into_iter().filter(|points| *points != BasisPoints::ZERO);
        let royalty = |points| {
            let handed_on = if depth == 0 || self.below(2) == 0 { 0 } else { self.below(10_001) as u16 };
            let signers = 1 + self.below(4);
            Royalty {
                name: String::new(),
                capsule_id: CapsuleId::from_bytes([self.below(9) as u8; 32]),
                points,
                signers: self.keys(signers),
                royalties: self.royalties(handed_on, depth.saturating_sub(1)),
            }
        };
        points.map(royalty).collect()
    }

    pub(crate) fn table(&mut self) -> FeeTable {
        let shares = self.points(BASIS_POINTS_ALL, 4);
        let split = FeeSplit { author: shares[0], dependencies: shares[1], seeders: shares[2], verifiers: shares[3] };
        let signers = 1 + self.below(4);
        FeeTable {
            capsule_id: CapsuleId::from_bytes([7; 32]),
            image_id: ImageId::from_digest(Digest::ZERO),
            fees: Fees { base: self.amount(), execution: self.amount(), verification: self.amount(), split },
            fuel_cycles: 1_000_000,
            rung: Rung::Stark,
            hiding: false,
            signers: self.keys(signers),
            royalties: self.royalties(shares[1].get(), 3),
        }
    }

    pub(crate) fn participants(&mut self) -> Participants {
        let seeders = self
            .distinct_keys(5)
            .into_iter()
            .map(|key| Seeder { key, bytes: NonZeroU64::new(1 + (self.next() >> (8 + self.below(56)))).unwrap() });
        let seeders = seeders.collect();
        Participants { executor: id(self.below(12) as u8), seeders, verifiers: self.distinct_keys(5) }
    }
}

pub(crate) const HOUR_S: u64 = 3_600;

/// Keys and a signature that stand for all of them: what is restored is not verified.
pub(crate) struct Signers {
    pub(crate) payers: Vec<PublicKey>,
    pub(crate) verifiers: Vec<PublicKey>,
    signature: Signature,
}

impl Signers {
    pub(crate) fn new() -> Self {
        let publics = |numbers: Range<u8>| numbers.map(|number| key(number).public().clone()).collect();
        let signature = key(1).sign(domain::TICKET_SIGNATURE, Hash32::from_bytes([0; 32]));
        Self { payers: publics(50..54), verifiers: publics(60..66), signature }
    }

    pub(crate) fn ticket(
        &self,
        table: &FeeTable,
        payer: usize,
        nonce: u64,
        ceiling: Amount,
        issued_s: u64,
    ) -> SignedTicket {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&nonce.to_le_bytes());
        let ticket = Ticket {
            domain: DomainName::local(),
            capsule_id: table.capsule_id(),
            input_commitment: Digest::ZERO,
            fee_ceiling: ceiling,
            cycles_ceiling: table.fuel_cycles(),
            rung: Rung::Stark,
            hiding: false,
            executor: None,
            issued_s,
            deadline_s: issued_s + HOUR_S,
            nonce: bytes,
        };
        SignedTicket::with_any_signature(ticket, self.payers[payer].clone(), self.signature.clone())
    }

    pub(crate) fn attested(&self, record: &TicketRecord, of: TicketId, at: usize, by: usize, right: bool) -> Event {
        let candidate = &record.candidates[at];
        let verifier = self.verifiers[by].clone();
        let witness = if right { candidate.witness } else { Hash32::from_bytes([0; 32]) };
        let digest = attested_digest(witness, verifier.id());
        let signature = self.signature.clone();
        let (claim, proofs) = (candidate.claim, candidate.proofs);
        let attestation = Attestation::with_any_signature(of, claim, proofs, digest, verifier, signature);
        Event::Attested { executor: candidate.executor, attestation: Box::new(attestation) }
    }
}

pub(crate) fn received(ticket: &SignedTicket, executor: KeyId, cycles: u64, seeders: Vec<Seeder>) -> Event {
    let terms = ticket.ticket();
    let claim = Claim {
        capsule_id: terms.capsule_id,
        image_id: ImageId::from_digest(Digest::ZERO),
        ticket_id: ticket.id(),
        executor_id: executor,
        ticket_seed: ticket.seed(),
        ticket_time_s: terms.issued_s,
        fuel_cycles: terms.cycles_ceiling,
        input_commitment: terms.input_commitment,
        output_commitment: Digest::ZERO,
        transcript: Digest::ZERO,
        first: Digest::ZERO,
        last: Digest::ZERO,
        cycles,
        segments: 1,
        status: Status::Halted { status: 0 },
        hiding: false,
    };
    let (proofs, witness) = (Hash32::from_bytes([1; 32]), Hash32::from_bytes(*executor.as_bytes()));
    Event::Received { claim: Box::new(claim), seeders, proofs, witness }
}

pub(crate) fn promised(ticket: &SignedTicket) -> Event {
    Event::Promised { ticket: Box::new(ticket.clone()) }
}

pub(crate) fn opened(limit: Amount, tables: &[&FeeTable]) -> Ledger<MemoryBook> {
    let mut ledger = Ledger::new(MemoryBook::default());
    ledger.open(DomainName::local(), limit, NOW_S).unwrap();
    for table in tables {
        ledger.restore(&Event::Terms { table: Box::new((*table).clone()) }, NOW_S).unwrap();
    }
    ledger
}
