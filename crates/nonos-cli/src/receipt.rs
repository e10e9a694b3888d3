//! Receipt files, and what a claim says, as text and as JSON.

use crate::{calendar, exit::ExitClass, failure::Failure, file, number};
use nonos_image::Salt;
use nonos_verifier::{
    Claim, Receipt, Status,
    receipt::{RECEIPT_BYTES_MAX, VERSION},
};
use serde_json::{Value, json};
use std::path::Path;

/// Reads a receipt; whether it proves anything is for the verifier to say.
pub(crate) fn open(path: &Path) -> Result<(Receipt, usize), Failure> {
    let bytes = file::read(path, RECEIPT_BYTES_MAX as u64, ExitClass::Receipt)?;
    let receipt = Receipt::from_bytes(&bytes).map_err(|error| Failure::from(error).in_file(path))?;
    tracing::info!("{}: receipt format {VERSION}, {}", path.display(), number::bytes(bytes.len() as u64));
    Ok((receipt, bytes.len()))
}

/// How a run ended, in words.
pub(crate) fn status(claim: &Claim) -> String {
    match claim.status {
        Status::Halted { status } => format!("halted with status {status}"),
        Status::Trapped { trap } => format!("trapped ({trap})"),
    }
}

/// Everything that a claim states.
pub(crate) fn json_of_claim(claim: &Claim) -> Value {
    let (status, trap) = match claim.status {
        Status::Halted { status } => (Some(status), None),
        Status::Trapped { trap } => (None, Some(trap.to_string())),
    };
    json!({
        "capsule_id": claim.capsule_id.to_string(),
        "image_id": claim.image_id.to_string(),
        "ticket_id": claim.ticket_id.to_string(),
        "executor_id": claim.executor_id.to_string(),
        "ticket_seed": hex::encode(claim.ticket_seed),
        "ticket_time_s": number::json(claim.ticket_time_s),
        "fuel_cycles": number::json(claim.fuel_cycles),
        "input_commitment": claim.input_commitment.to_string(),
        "output_commitment": claim.output_commitment.to_string(),
        "transcript": claim.transcript.to_string(),
        "first_checkpoint": claim.first.to_string(),
        "last_checkpoint": claim.last.to_string(),
        "cycles": number::json(claim.cycles),
        "segments": claim.segments,
        "halted_status": status,
        "trap": trap,
        "hiding": claim.hiding,
        "claim_digest": claim.digest().to_string(),
    })
}

/// The rows in which a claim is shown to a person: what is proven.
pub(crate) fn rows_of_claim(claim: &Claim) -> Vec<(&'static str, String)> {
    let zero_means = |text: String, none: &str| {
        if text.bytes().all(|b| b == b'0') { none.to_owned() } else { text }
    };
    vec![
        ("capsule", claim.capsule_id.to_string()),
        ("image", claim.image_id.to_string()),
        ("input", format!("commitment {}", claim.input_commitment)),
        ("output", format!("commitment {}", claim.output_commitment)),
        ("end", status(claim)),
        (
            "spent",
            format!(
                "{} of {} cycles, in {}",
                number::grouped(claim.cycles),
                number::grouped(claim.fuel_cycles),
                number::counted(u64::from(claim.segments), "segment")
            ),
        ),
        ("ticket", zero_means(claim.ticket_id.to_string(), "none")),
        ("executor", zero_means(claim.executor_id.to_string(), "nobody in particular")),
        ("random seed", zero_means(hex::encode(claim.ticket_seed), "zero")),
        (
            "time for `now`",
            if claim.ticket_time_s == 0 { "zero".to_owned() } else { calendar::print(claim.ticket_time_s) },
        ),
    ]
}

/// A salt as 32 hexadecimal digits.
pub(crate) fn print_salt(salt: Salt) -> String {
    hex::encode(salt.iter().flat_map(|limb| limb.to_le_bytes()).collect::<Vec<u8>>())
}

/// Reads what [`print_salt`] wrote.
pub(crate) fn parse_salt(text: &str) -> Result<Salt, String> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| "a salt is 32 hexadecimal digits".to_owned())?;
    Ok(core::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_read_as_it_was_printed() {
        let salt = [1, 2, 0xffff, 4, 5, 6, 7, 0x8000];
        assert_eq!(parse_salt(&print_salt(salt)), Ok(salt));
        for text in ["", "00", &"g".repeat(32), &"0".repeat(33)] {
            assert!(parse_salt(text).is_err(), "{text}");
        }
    }
}
