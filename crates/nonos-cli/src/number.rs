//! Numbers as people and programs read them.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// Above this, programs that hold numbers as floats lose digits (RFC 8259, section 6).
const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;

/// A number in JSON: as a text beyond 2^53 - 1.
pub(crate) fn json(number: u64) -> Value {
    if number <= JSON_INTEGER_MAX { Value::from(number) } else { Value::from(number.to_string()) }
}

/// The inverse of [`json`].
pub(crate) fn from_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64().ok_or_else(|| D::Error::custom("a number that is no count")),
        Value::String(digits) => digits.parse().map_err(D::Error::custom),
        _ => Err(D::Error::custom("no number")),
    }
}

/// An address in JSON.
pub(crate) fn json_address(address: u32) -> Value {
    Value::from(format!("{address:#010x}"))
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 segment`, `2 segments`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1 entry`, `1,234 entries`.
pub(crate) fn entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{} entries", grouped(number)) }
}

/// `256 MiB`, `1,500 bytes`: the largest unit that is exact.
pub(crate) fn bytes(number: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if number >= 1 << shift && number.is_multiple_of(1 << shift) {
            return format!("{} {unit}", grouped(number >> shift));
        }
    }
    counted(number, "byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        let check = |number, text: &str| assert_eq!(grouped(number), text);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(12_345_678, "12,345,678");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn numbers_that_a_float_cannot_hold_are_texts_in_json() {
        assert_eq!(json(9_007_199_254_740_991), Value::from(9_007_199_254_740_991_u64));
        assert_eq!(json(9_007_199_254_740_992), Value::from("9007199254740992"));
    }

    #[test]
    fn sizes_keep_every_byte() {
        let check = |number, text: &str| assert_eq!(bytes(number), text);
        check(1, "1 byte");
        check(1_500, "1,500 bytes");
        check(256 << 20, "256 MiB");
        check((1 << 30) + 1024, "1,048,577 KiB");
    }
}
