//! Writes the valid inputs of every target to `corpus/<target>/`, for libFuzzer to start from.

use nonos_testkit::fuzz::TARGETS;
use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for (index, input) in (target.corpus)().into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{index}")), input)?;
        }
    }
    Ok(())
}
