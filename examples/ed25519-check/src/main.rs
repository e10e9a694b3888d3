//! Example capsule `ed25519-check`: a batch of Ed25519 signatures in, which of them are valid out.
//!
//! Input: lines `PUBLIC-KEY SIGNATURE MESSAGE` in hexadecimal, the message `-` where it is empty; lines that start with
//! `#` and empty lines are passed over. Output: a line for each signature and a count. Verification is strict: keys of
//! small order and encodings that are not canonical are refused (RFC 8032, section 5.1.7, and more).
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

extern crate alloc;

use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write};
use ed25519_dalek::{Signature, VerifyingKey};
use thiserror::Error;

nonos_sdk::entry!(main);

fn main() -> Result<(), BatchError> {
    let input = nonos_sdk::input::bytes();
    let input = str::from_utf8(&input).map_err(|error| BatchError::NotUtf8 { at: error.valid_up_to() })?;
    nonos_sdk::output::write_bytes(check_batch(input)?.as_bytes());
    Ok(())
}

fn check_batch(input: &str) -> Result<String, BatchError> {
    let mut out = String::new();
    let (mut valid, mut all) = (0, 0);
    for (number, line) in (1..).zip(input.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let verdict = Signed::parse(line).ok_or(BatchError::Line { number })?.check();
        all += 1;
        valid += u32::from(verdict == Verdict::Valid);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "line {number}: {verdict}");
    }
    let _ = writeln!(out, "{valid} of {all} valid");
    Ok(out)
}

/// A message, its signature and the key that is said to have made it.
struct Signed {
    key: [u8; 32],
    signature: [u8; 64],
    message: Vec<u8>,
}

impl Signed {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let (key, signature, message) = (fields.next()?, fields.next()?, fields.next()?);
        let mut signed = Self { key: [0; 32], signature: [0; 64], message: Vec::new() };
        hex::decode_to_slice(key, &mut signed.key).ok()?;
        hex::decode_to_slice(signature, &mut signed.signature).ok()?;
        if message != "-" {
            signed.message = hex::decode(message).ok().filter(|message| !message.is_empty())?;
        }
        fields.next().is_none().then_some(signed)
    }

    fn check(&self) -> Verdict {
        let Ok(key) = VerifyingKey::from_bytes(&self.key) else { return Verdict::NotAKey };
        if key.is_weak() {
            return Verdict::WeakKey;
        }
        match key.verify_strict(&self.message, &Signature::from_bytes(&self.signature)) {
            Ok(()) => Verdict::Valid,
            Err(_) => Verdict::WrongSignature,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    NotAKey,
    WeakKey,
    WrongSignature,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::NotAKey => "invalid: the key is not a point of the curve",
            Self::WeakKey => "invalid: the key is of small order",
            Self::WrongSignature => "invalid: the signature is not of this key over this message",
        })
    }
}

/// Why a batch cannot be checked.
#[derive(Debug, Error, PartialEq, Eq)]
enum BatchError {
    #[error("the input is not UTF-8 from byte {at} on")]
    NotUtf8 { at: usize },
    #[error("line {number} is not `PUBLIC-KEY SIGNATURE MESSAGE` in hexadecimal (32, 64 and any number of bytes)")]
    Line { number: usize },
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    /// RFC 8032, section 7.1, test 2.
    const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    #[test]
    fn the_committed_input_gives_the_committed_output() {
        let run = Mock::new().input(include_bytes!("../input")).run(main);
        assert_eq!(run.status, Ok(0), "{}", run.log);
        assert_eq!(String::from_utf8_lossy(&run.output), include_str!("../expected"));
    }

    #[test]
    fn every_bit_of_a_signature_counts() {
        let signed = Signed::parse(&format!("{KEY} {SIGNATURE} 72")).unwrap();
        assert_eq!(signed.check(), Verdict::Valid);
        for bit in 0..512 {
            let mut signature = signed.signature;
            signature[bit / 8] ^= 1 << (bit % 8);
            let broken = Signed { key: signed.key, signature, message: signed.message.clone() };
            assert_eq!(broken.check(), Verdict::WrongSignature, "bit {bit}");
        }
    }

    #[test]
    fn a_line_that_does_not_parse_is_named() {
        let check = |line: &str| {
            let input = format!("# two\n\n{KEY} {SIGNATURE} 72\n{line}\n");
            assert_eq!(check_batch(&input), Err(BatchError::Line { number: 4 }), "{line:?}");
        };
        check(KEY);
        check(&format!("{KEY} {SIGNATURE}"));
        check(&format!("{KEY} {SIGNATURE} 7"));
        check(&format!("{KEY} {SIGNATURE} 72 72"));
        check(&format!("{KEY} {SIGNATURE} "));
        check(&format!("{SIGNATURE} {KEY} 72"));
        check(&format!("{} {SIGNATURE} 72", "g".repeat(64)));
    }
}
