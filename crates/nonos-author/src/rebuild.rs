//! Rebuild: builds the program of somebody's capsule again from its sources, and compares.
//!
//! In: a capsule and a folder with its sources. Out: a [`RebuildReport`]: whether the image came out the same, and
//! everything that the recipe says otherwise than this machine. Who can build the image again knows that the sources are
//! those of the program, without trusting the author's machine. Sources run code while they are built: only build those
//! that you would run.

use crate::{
    build::{BuildError, BuildOptions, build_wanted, cargo::LIBRARY_FLAGS},
    progress::Progress,
    toolchain::{Library, Wanted},
};
use nonos_capsule::{Capsule, CargoRecipe, Recipe};
use nonos_types::{CapsuleId, ImageId};
use std::path::Path;
use thiserror::Error;

/// What a rebuild found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// The image id of the capsule.
    pub expected_image: ImageId,
    /// The image id that was built here.
    pub built_image: ImageId,
    /// The capsule id of the capsule.
    pub expected_capsule: CapsuleId,
    /// The capsule id that was built here.
    pub built_capsule: CapsuleId,
    /// What the recipe says otherwise than this machine, in the order of the recipe. Empty when nothing differs.
    pub differences: Vec<Difference>,
}

/// Something that the recipe says otherwise than this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is.
    pub field: RecipeField,
    /// What the capsule's recipe says.
    pub recorded: String,
    /// What is so here.
    pub here: String,
}

/// A field of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecipeField {
    /// Another kind of recipe: Cargo or not.
    Kind,
    /// The compiler.
    Rustc,
    /// Cargo.
    Cargo,
    /// The linker.
    Linker,
    /// Tools of a build without Cargo.
    Tools,
    /// The target triple.
    Target,
    /// The binary's name.
    Binary,
    /// Compiler flags.
    Flags,
    /// Features of the package.
    Features,
    /// Settings of the profile.
    Profile,
    /// The sources. These are not the ones that the capsule was built from.
    Sources,
    /// The packages that `Cargo.lock` names.
    LockedPackages,
    /// The SDK's version.
    SdkVersion,
}

impl RebuildReport {
    /// Whether the same program was built.
    #[must_use]
    pub fn is_same_image(&self) -> bool {
        self.expected_image == self.built_image
    }

    /// Whether the sources are those that the capsule was built from.
    #[must_use]
    pub fn is_same_source(&self) -> bool {
        !self.differences.iter().any(|difference| difference.field == RecipeField::Sources)
    }
}

impl RecipeField {
    /// How a person calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind of recipe",
            Self::Rustc => "rustc",
            Self::Cargo => "cargo",
            Self::Linker => "linker",
            Self::Tools => "tools",
            Self::Target => "target",
            Self::Binary => "binary",
            Self::Flags => "flags",
            Self::Features => "features",
            Self::Profile => "profile",
            Self::Sources => "source digest",
            Self::LockedPackages => "locked packages",
            Self::SdkVersion => "sdk version",
        }
    }
}

/// Builds again. The options' `elf` is not used.
///
/// # Errors
/// [`RebuildError`]. That the image came out another one is no error here but in the report.
pub fn rebuild(
    capsule: &Capsule,
    source_dir: &Path,
    options: &BuildOptions<'_>,
    progress: &mut Progress<'_>,
) -> Result<RebuildReport, RebuildError> {
    let wanted = match capsule.recipe() {
        Recipe::Prebuilt(recipe) if recipe.source_digest.is_none() => return Err(RebuildError::NoRecipe),
        Recipe::Prebuilt(_) => None,
        Recipe::Cargo(recipe) => Some(wanted(recipe)),
    };
    let options = BuildOptions { elf: None, ..*options };
    let built = build_wanted(source_dir, &options, wanted, progress)?;
    Ok(RebuildReport {
        expected_image: capsule.image_id(),
        built_image: built.image_id,
        expected_capsule: capsule.id(),
        built_capsule: built.capsule.id(),
        differences: differences(capsule.recipe(), built.capsule.recipe()),
    })
}

fn wanted(recipe: &CargoRecipe) -> Wanted<'_> {
    let is_from_source = recipe.flags.iter().any(|flag| LIBRARY_FLAGS.contains(&flag.as_str()));
    let library = if is_from_source { Library::FromSource } else { Library::Installed };
    Wanted { rustc_version: &recipe.rustc, library }
}

fn differences(recorded: &Recipe, here: &Recipe) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |field, recorded: String, here: String| {
        if recorded != here {
            differences.push(Difference { field, recorded, here });
        }
    };
    match (recorded, here) {
        (Recipe::Cargo(recorded), Recipe::Cargo(here)) => {
            let profile = |recipe: &CargoRecipe| {
                recipe.profile.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            };
            compare(RecipeField::Rustc, recorded.rustc.clone(), here.rustc.clone());
            compare(RecipeField::Cargo, recorded.cargo.clone(), here.cargo.clone());
            compare(RecipeField::Linker, recorded.linker.clone(), here.linker.clone());
            compare(RecipeField::Target, recorded.target.clone(), here.target.clone());
            compare(RecipeField::Binary, recorded.binary.clone(), here.binary.clone());
            compare(RecipeField::Flags, recorded.flags.join(" "), here.flags.join(" "));
            compare(RecipeField::Features, recorded.features.join(" "), here.features.join(" "));
            compare(RecipeField::Profile, profile(recorded), profile(here));
            compare(RecipeField::Sources, recorded.source_digest.to_string(), here.source_digest.to_string());
            compare(
                RecipeField::LockedPackages,
                recorded.cargo_lock_digest.to_string(),
                here.cargo_lock_digest.to_string(),
            );
            compare(RecipeField::SdkVersion, recorded.sdk_version.clone(), here.sdk_version.clone());
        }
        (Recipe::Prebuilt(recorded), Recipe::Prebuilt(here)) => {
            let digest = |digest: &Option<nonos_types::Hash32>| digest.map_or("none".to_owned(), |d| d.to_string());
            compare(RecipeField::Tools, recorded.tools.join(", "), here.tools.join(", "));
            compare(RecipeField::Sources, digest(&recorded.source_digest), digest(&here.source_digest));
        }
        (Recipe::Cargo(_), Recipe::Prebuilt(_)) => compare(RecipeField::Kind, "cargo".into(), "command or elf".into()),
        (Recipe::Prebuilt(_), Recipe::Cargo(_)) => compare(RecipeField::Kind, "command".into(), "cargo".into()),
    }
    differences
}

/// Why nothing was built again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The recipe says nothing that could be done again.
    #[error(
        "the capsule's program came as an ELF file and its recipe names no sources: ask the author for a capsule that \
         is built from a Cargo package or by a `build.command`"
    )]
    NoRecipe,
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_capsule::PrebuiltRecipe;
    use nonos_types::Hash32;

    fn recipe() -> CargoRecipe {
        CargoRecipe {
            rustc: "rustc 1.95.0 (x)".into(),
            cargo: "cargo 1.95.0".into(),
            linker: "LLD 21".into(),
            target: crate::TARGET.into(),
            binary: "app".into(),
            flags: vec!["-Clink-arg=-Tnonos.ld".into()],
            features: Vec::new(),
            profile: vec![("lto".into(), "fat".into())],
            source_digest: Hash32::from_bytes([1; 32]),
            cargo_lock_digest: Hash32::from_bytes([2; 32]),
            sdk_version: "0.1.0".into(),
        }
    }

    #[test]
    fn each_field_that_differs_is_named_and_no_other() {
        let base = Recipe::Cargo(Box::new(recipe()));
        assert_eq!(differences(&base, &base), []);
        let check = |change: &dyn Fn(&mut CargoRecipe), expected: RecipeField| {
            let mut other = recipe();
            change(&mut other);
            let found = differences(&base, &Recipe::Cargo(Box::new(other)));
            assert_eq!(found.iter().map(|difference| difference.field).collect::<Vec<_>>(), [expected]);
        };
        check(&|r| r.rustc = "rustc 1.96.0".into(), RecipeField::Rustc);
        check(&|r| r.cargo.push('x'), RecipeField::Cargo);
        check(&|r| r.linker.push('x'), RecipeField::Linker);
        check(&|r| r.target.push('x'), RecipeField::Target);
        check(&|r| r.binary.push('x'), RecipeField::Binary);
        check(&|r| r.flags.clear(), RecipeField::Flags);
        check(&|r| r.features.push("x".into()), RecipeField::Features);
        check(&|r| r.profile.clear(), RecipeField::Profile);
        check(&|r| r.source_digest = Hash32::from_bytes([9; 32]), RecipeField::Sources);
        check(&|r| r.cargo_lock_digest = Hash32::from_bytes([9; 32]), RecipeField::LockedPackages);
        check(&|r| r.sdk_version.push('x'), RecipeField::SdkVersion);
        let prebuilt = Recipe::Prebuilt(PrebuiltRecipe { tools: vec!["a".into()], source_digest: None });
        assert_eq!(differences(&base, &prebuilt)[0].field, RecipeField::Kind);
        let other = Recipe::Prebuilt(PrebuiltRecipe { tools: vec!["b".into()], source_digest: None });
        assert_eq!(differences(&prebuilt, &other)[0].field, RecipeField::Tools);
    }

    #[test]
    fn a_recipe_wants_the_toolchain_that_it_names() {
        let mut recipe = recipe();
        assert_eq!(wanted(&recipe).library, Library::Installed);
        recipe.flags.insert(0, LIBRARY_FLAGS[0].into());
        let expected = Wanted { rustc_version: "rustc 1.95.0 (x)", library: Library::FromSource };
        assert_eq!(wanted(&recipe), expected);
    }
}
