//! Files: read with a limit, written whole or not at all. `-` is stdin or stdout.

use crate::{exit::ExitClass, failure::Failure, terminal::Terminal};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

/// Whether a path stands for stdin or stdout.
pub(crate) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All bytes of a file or of stdin. More than `bytes_max` are a failure of class `class`.
pub(crate) fn read(path: &Path, bytes_max: u64, class: ExitClass) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::io("read", path, &error);
    let mut bytes = Vec::new();
    if is_stream(path) {
        io::stdin().lock().take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // A large file is refused before it is read.
        if metadata.len() <= bytes_max {
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        } else {
            return Err(too_large(path, bytes_max, class));
        }
    }
    if bytes.len() as u64 > bytes_max {
        return Err(too_large(path, bytes_max, class));
    }
    tracing::debug!("read {}: {} bytes", path.display(), bytes.len());
    Ok(bytes)
}

/// Writes a file whole or not at all; what was there stays until then.
pub(crate) fn write(path: &Path, bytes: &[u8], terminal: Terminal) -> Result<(), Failure> {
    if is_stream(path) {
        return terminal.out(bytes);
    }
    let failed = |error| Failure::io("write", path, &error);
    // What is no plain file (a device, a pipe) is written as it is; a folder is refused.
    if let Ok(metadata) = fs::metadata(path)
        && !metadata.is_file()
    {
        return File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes)).map_err(failed);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nonos-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    tracing::debug!("wrote {}: {} bytes", path.display(), bytes.len());
    Ok(())
}

fn too_large(path: &Path, bytes_max: u64, class: ExitClass) -> Failure {
    let message = format!("{} has more than {bytes_max} bytes, the most that are allowed", path.display());
    Failure::new(class, message, "give a smaller file, or check that it is the right one")
}
