//! Facts: what there is to say about a capsule, worked out once for the page and for JSON.

use crate::number;
use nonos_capsule::{Capsule, CargoRecipe, EXECUTION_PRICE_CYCLES, Recipe, VerifiedCapsule, VerifyError};
use nonos_isa::Syscall;
use nonos_keys::Revocation;
use nonos_types::{Amount, KeyId, split_floor};
use serde_json::{Value, json};

/// What there is to say.
pub(super) struct Facts<'a> {
    pub(super) capsule: &'a Capsule,
    pub(super) verified: Result<VerifiedCapsule<'a>, VerifyError>,
    pub(super) signers: Vec<Signer>,
    pub(super) fees: Vec<Fee>,
    /// What a run costs that uses all of its fuel.
    pub(super) cost_max: Amount,
}

/// A listed signer, and what became of their signature.
pub(super) struct Signer {
    pub(super) id: KeyId,
    /// The key that signed and when.
    pub(super) signed: Option<(KeyId, u64)>,
    pub(super) state: String,
}

/// Who gets what.
pub(super) struct Fee {
    pub(super) fee: &'static str,
    pub(super) payee: String,
    pub(super) amount: Amount,
    pub(super) basis_points: u16,
}

impl<'a> Facts<'a> {
    pub(super) fn new(capsule: &'a Capsule, now: u64, revocations: &[Revocation]) -> Self {
        let manifest = capsule.manifest();
        let verified = capsule.verify(now, revocations);
        let signers = manifest.signers().iter().map(|id| signer(capsule, *id, &verified)).collect();
        let fees = manifest.fees();
        // The manifest's rules hold, so that none of this is above the largest amount.
        let execution = manifest.execution_fee_floor(manifest.fuel_cycles()).unwrap_or(Amount::MAX);
        let cost_max = Amount::checked_sum([fees.base, execution, fees.verification]).unwrap_or(Amount::MAX);
        Self { capsule, verified, signers, fees: fee_rows(capsule), cost_max }
    }

    pub(super) fn json(&self) -> Value {
        let Self { capsule, .. } = self;
        let manifest = capsule.manifest();
        let program = capsule.program();
        let fees = manifest.fees();
        let sections = capsule.table().iter().map(|entry| {
            json!({ "name": entry.kind.name(), "offset": entry.offset, "bytes": entry.length_bytes, "blake3": entry.hash.to_string() })
        });
        json!({
            "name": manifest.name(),
            "version": manifest.version().to_string(),
            "author": manifest.author(),
            "description": manifest.description(),
            "homepage": manifest.homepage(),
            "tags": manifest.tags(),
            "capsule_id": capsule.id().to_string(),
            "image_id": capsule.image_id().to_string(),
            "file_bytes": capsule.encode().len(),
            "sections": sections.collect::<Vec<_>>(),
            "signatures": {
                "verified": self.verified.is_ok(),
                "problem": self.verified.as_ref().err().map(ToString::to_string),
                "threshold": manifest.threshold(),
                "signers": self.signers.iter().map(Signer::json).collect::<Vec<_>>(),
            },
            "machine": {
                "version": capsule.proof_schema().machine_version(),
                "memory_bytes": manifest.memory_bytes(),
                "cpu_millicores": manifest.cpu_millicores(),
                "fuel_cycles": number::json(manifest.fuel_cycles()),
                "net": manifest.net().name(),
                "grants": manifest.grants().iter().map(Syscall::name).collect::<Vec<_>>(),
            },
            "program": {
                "sha256": manifest.program_sha256().to_string(),
                "entry": number::json_address(program.entry()),
                "text_start": number::json_address(program.text_start()),
                "text_end": number::json_address(program.text_end()),
                "memory_start": number::json_address(program.memory_start()),
                "reserved_end": number::json_address(program.reserved_end()),
                "pages": program.pages().len(),
            },
            "fees": {
                "base_units": fees.base.units().to_string(),
                "execution_units": fees.execution.units().to_string(),
                "execution_price_cycles": EXECUTION_PRICE_CYCLES.get(),
                "verification_units": fees.verification.units().to_string(),
                "cost_max_units": self.cost_max.units().to_string(),
                "payees": self.fees.iter().map(Fee::json).collect::<Vec<_>>(),
            },
            "dependencies": self.dependencies(),
            "license": manifest.license(),
            "license_texts": capsule.licences().texts().iter().map(|text| text.name.as_str()).collect::<Vec<_>>(),
            "privacy": { "hiding": manifest.hiding(), "closed": manifest.closed() },
            "proof": { "rung": manifest.rung().name(), "parameter_set": capsule.proof_schema().parameter_set() },
            "recipe": json_of_recipe(capsule.recipe()),
            "readme": capsule.readme(),
        })
    }

    fn dependencies(&self) -> Value {
        let locked = self.capsule.lock().entries();
        let row = |dependency: &nonos_capsule::Dependency| {
            let image = locked.iter().find(|entry| entry.name == dependency.name).map(|entry| entry.image.to_string());
            json!({
                "name": dependency.name,
                "version": dependency.version.to_string(),
                "capsule_id": dependency.id.to_string(),
                "image_id": image,
                "royalty_basis_points": dependency.royalty.get(),
            })
        };
        self.capsule.manifest().dependencies().iter().map(row).collect()
    }
}

impl Signer {
    fn json(&self) -> Value {
        json!({
            "signer": self.id.to_string(),
            "state": self.state,
            "key": self.signed.map(|(key, _)| key.to_string()),
            "signed_at": self.signed.map(|(_, at)| at),
        })
    }
}

impl Fee {
    fn json(&self) -> Value {
        json!({ "fee": self.fee, "payee": self.payee, "units": self.amount.units().to_string(), "basis_points": self.basis_points })
    }
}

fn signer(capsule: &Capsule, id: KeyId, verified: &Result<VerifiedCapsule<'_>, VerifyError>) -> Signer {
    let Some(entry) = capsule.signatures().iter().find(|entry| entry.signer() == id) else {
        return Signer { id, signed: None, state: "has not signed".to_owned() };
    };
    let state = match verified {
        Ok(verified) if verified.counted().contains(&id) => "signed, counts".to_owned(),
        Ok(verified) => {
            let left_out = verified.left_out().iter().find(|left_out| left_out.signer == id);
            left_out.map_or_else(|| "signed".to_owned(), |left_out| format!("signed, does not count: {}", left_out.why))
        }
        Err(_) => "signed, not verified: see the problem above".to_owned(),
    };
    Signer { id, signed: Some((entry.key().id(), entry.signed_at())), state }
}

/// Every fee split among those who get it. The base fee is split as settlement splits it, to the last unit.
fn fee_rows(capsule: &Capsule) -> Vec<Fee> {
    let manifest = capsule.manifest();
    let fees = manifest.fees();
    let split = fees.split;
    let mut payees = vec![("author".to_owned(), split.author)];
    payees.extend(manifest.dependencies().iter().map(|d| (format!("author of {}", d.name), d.royalty)));
    payees.extend([("seeders".to_owned(), split.seeders), ("verifiers".to_owned(), split.verifiers)]);
    let shares: Vec<_> = payees.iter().map(|(_, share)| *share).collect();
    let amounts = split_floor(fees.base, &shares).unwrap_or_default();
    let base = payees.into_iter().zip(amounts).filter(|((_, share), _)| share.get() > 0);
    let mut rows: Vec<Fee> =
        base.map(|((payee, share), amount)| Fee { fee: "base", payee, amount, basis_points: share.get() }).collect();
    let all = nonos_types::BASIS_POINTS_ALL;
    rows.push(Fee { fee: "execution", payee: "executor".to_owned(), amount: fees.execution, basis_points: all });
    rows.push(Fee {
        fee: "verification",
        payee: "verifiers who are drawn".to_owned(),
        amount: fees.verification,
        basis_points: all,
    });
    rows
}

fn json_of_recipe(recipe: &Recipe) -> Value {
    match recipe {
        Recipe::Prebuilt(prebuilt) => json!({
            "kind": "prebuilt",
            "tools": prebuilt.tools,
            "source_digest": prebuilt.source_digest.map(|digest| digest.to_string()),
        }),
        Recipe::Cargo(cargo) => json_of_cargo(cargo),
    }
}

fn json_of_cargo(cargo: &CargoRecipe) -> Value {
    json!({
        "kind": "cargo",
        "rustc": cargo.rustc,
        "cargo": cargo.cargo,
        "linker": cargo.linker,
        "target": cargo.target,
        "binary": cargo.binary,
        "flags": cargo.flags,
        "features": cargo.features,
        "profile": cargo.profile.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>(),
        "source_digest": cargo.source_digest.to_string(),
        "cargo_lock_digest": cargo.cargo_lock_digest.to_string(),
        "sdk_version": cargo.sdk_version,
    })
}
