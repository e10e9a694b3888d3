//! Passphrases: from a file, or typed by a person at a terminal. Never from the command line.

use crate::{exit::ExitClass, failure::Failure, file};
use std::{
    io::{self, IsTerminal},
    path::Path,
};
use zeroize::Zeroizing;

/// Most bytes of a passphrase.
const PASSPHRASE_BYTES_MAX: u64 = 1024;

/// The first line of a file.
pub(crate) fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = Zeroizing::new(file::read(path, PASSPHRASE_BYTES_MAX, ExitClass::Key)?);
    let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len());
    let line = bytes.get(..end).unwrap_or_default();
    if line.is_empty() {
        let message = format!("{} has no passphrase in its first line", path.display());
        return Err(Failure::new(
            ExitClass::Key,
            message,
            "write the passphrase there, or use --no-passphrase for a key without",
        ));
    }
    Ok(Zeroizing::new(line.to_vec()))
}

/// Typed once.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if !io::stdin().is_terminal() {
        let help = "give a file that holds it with --passphrase-file FILE";
        return Err(Failure::new(ExitClass::Key, "a passphrase is needed, and nobody is there to type it", help));
    }
    let typed = rpassword::prompt_password(prompt)
        .map_err(|error| Failure::io("read from", Path::new("the terminal"), &error))?;
    Ok(Zeroizing::new(Zeroizing::new(typed).as_bytes().to_vec()))
}

/// Typed twice, for a new key.
pub(crate) fn ask_new() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let first = ask("New passphrase: ")?;
    if first.is_empty() {
        return Err(Failure::new(
            ExitClass::Key,
            "the passphrase is empty",
            "type one, or use --no-passphrase for a key without",
        ));
    }
    if first != ask("The same again: ")? {
        return Err(Failure::new(ExitClass::Key, "the two passphrases differ", "try again"));
    }
    Ok(first)
}

/// Typed twice, for a new key that may go without: nothing typed means none.
pub(crate) fn ask_new_or_none() -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let first = ask("Passphrase for the new key (Enter for none): ")?;
    if first.is_empty() {
        return Ok(None);
    }
    if first != ask("The same again: ")? {
        return Err(Failure::new(ExitClass::Key, "the two passphrases differ", "try again"));
    }
    Ok(Some(first))
}
