//! Package: a capsule file, read and checked, and what to know about its signatures now.

use crate::{Context, calendar, exit::ExitClass, failure::Failure, file};
use nonos_author::statements::StatementStore;
use nonos_capsule::{CAPSULE_BYTES_MAX, Capsule, VerifyError};
use nonos_keys::Revocation;
use std::path::{Path, PathBuf};

/// Reads a capsule and checks every rule of the format; whether the signatures hold is for [`verify`] to say.
pub(crate) fn open(path: &Path) -> Result<Capsule, Failure> {
    let bytes = file::read(path, CAPSULE_BYTES_MAX as u64, ExitClass::Capsule)?;
    let capsule = Capsule::decode(&bytes).map_err(|error| Failure::from(error).in_file(path))?;
    tracing::info!(
        "{} is capsule {} ({} {})",
        path.display(),
        capsule.id(),
        capsule.manifest().name(),
        capsule.manifest().version()
    );
    Ok(capsule)
}

/// What is known to be revoked: the statements of the home, and those of these files.
pub(crate) fn revocations(files: &[PathBuf], context: &Context) -> Result<Vec<Revocation>, Failure> {
    let mut known = match context.home() {
        // Looking must not make the folder.
        Ok(home) if home.statements_dir().is_dir() => StatementStore::open(&home)?.load()?.revocations,
        _ => Vec::new(),
    };
    for path in files {
        let bytes = file::read(path, Revocation::BYTES as u64, ExitClass::Key)?;
        known.push(Revocation::decode(&bytes).map_err(|error| Failure::from(error).in_file(path))?);
    }
    Ok(known)
}

/// Whether a capsule is to be run: `true` when enough of its signers signed, `false` when too few did and that is
/// allowed. A signature that does not hold is never allowed.
pub(crate) fn verify(
    capsule: &Capsule,
    path: &Path,
    allow_unsigned: bool,
    revocation_files: &[PathBuf],
    context: &Context,
) -> Result<bool, Failure> {
    let revocations = revocations(revocation_files, context)?;
    match capsule.verify(calendar::now_s(), &revocations) {
        Ok(verified) => {
            tracing::info!("signed by {} of {} signers", verified.counted().len(), capsule.manifest().signers().len());
            Ok(true)
        }
        Err(VerifyError::Unsigned { .. } | VerifyError::ThresholdNotMet { .. }) if allow_unsigned => {
            tracing::info!("{} is not signed by enough signers; --allow-unsigned runs it all the same", path.display());
            Ok(false)
        }
        Err(error) => Err(Failure::from(error).in_file(path)),
    }
}
