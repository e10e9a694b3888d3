//! Printing: a manifest as TOML that reads back to the same manifest.

use super::{
    Manifest,
    source::{
        DependencyToml, Exec, FeesToml, License, ManifestToml, Meta, Privacy, Proof, Resources, Signers, SplitToml,
    },
    units::{print_cpu, print_memory},
};
use nonos_isa::Syscall;

impl Manifest {
    /// The manifest as TOML, every default written out. Read and packed again it is the same manifest; the author's
    /// paths (`exec.binary`, `exec.proof_schema`, `dependencies.*.path`) and `build` are not in a capsule and so not in here.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.written()).expect("a struct of tables, texts and integers below 2^63 is TOML")
    }

    fn written(&self) -> ManifestToml {
        let fees = self.fees();
        let points = |share: nonos_types::BasisPoints| Some(u64::from(share.get()));
        let paid = self.dependencies().iter().filter(|dependency| dependency.royalty.get() != 0);
        let royalties = paid.map(|d| (d.name.clone(), u64::from(d.royalty.get()))).collect();
        let dependencies = self.dependencies().iter().map(|dependency| {
            let (id, version) = (Some(dependency.id.to_string()), Some(dependency.version.to_string()));
            (dependency.name.clone(), DependencyToml { id, version, path: None })
        });
        ManifestToml {
            meta: Some(Meta {
                name: Some(self.name().to_owned()),
                version: Some(self.version().to_string()),
                author: Some(self.author().to_owned()),
                description: self.description().map(str::to_owned),
                homepage: self.homepage().map(str::to_owned),
                tags: none_if_empty(self.tags().to_vec()),
            }),
            exec: Some(Exec {
                binary: None,
                hash: Some(format!("sha256:{}", self.program_sha256())),
                proof_schema: None,
                grants: Some(self.grants().iter().map(Syscall::name).map(str::to_owned).collect()),
            }),
            resources: Some(Resources {
                cpu: Some(print_cpu(self.cpu_millicores())),
                mem: Some(print_memory(self.memory_bytes())),
                net: Some(self.net().name().to_owned()),
                fuel: Some(self.fuel_cycles()),
            }),
            fees: Some(FeesToml {
                base: Some(fees.base.to_string()),
                execution: Some(fees.execution.to_string()),
                verification: Some(fees.verification.to_string()),
                share_seeders: None,
                share_verifiers: None,
                split: Some(SplitToml {
                    author: points(fees.split.author),
                    dependencies: points(fees.split.dependencies),
                    seeders: points(fees.split.seeders),
                    verifiers: points(fees.split.verifiers),
                }),
            }),
            license: self.license().map(|spdx| License { spdx: Some(spdx.to_owned()) }),
            privacy: Some(Privacy { hiding: Some(self.hiding()), closed: Some(self.closed()) }),
            proof: Some(Proof { rung: Some(self.rung().name().to_owned()) }),
            signers: none_if_empty(self.signers().iter().map(ToString::to_string).collect())
                .map(|keys| Signers { keys: Some(keys), threshold: Some(u64::from(self.threshold())) }),
            royalties: Some(royalties).filter(|royalties: &std::collections::BTreeMap<_, _>| !royalties.is_empty()),
            dependencies: Some(dependencies.collect()).filter(|d: &std::collections::BTreeMap<_, _>| !d.is_empty()),
            build: None,
        }
    }
}

fn none_if_empty(items: Vec<String>) -> Option<Vec<String>> {
    if items.is_empty() { None } else { Some(items) }
}
