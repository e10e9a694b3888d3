//! Decimals with two places, as integers.

use core::fmt;

/// A number of hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cents(pub(crate) i64);

impl Cents {
    /// Reads digits with an optional sign and at most two decimals.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 {
            return None;
        }
        let hundredths = decimals.parse::<i64>().ok()? * if decimals.len() == 1 { 10 } else { 1 };
        let cents = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
        Some(Self(if negative { -cents } else { cents }))
    }

    /// The sum, unless it does not fit.
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// A part of it, rounded to the nearest hundredth, halves away from zero.
    pub(crate) fn divide_rounding(self, count: u64) -> Self {
        let (value, count) = (i128::from(self.0), i128::from(count));
        let half = count / 2 * value.signum();
        Self(((value + half) / count) as i64)
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_up_to_two_decimals_are_read_and_written() {
        let check = |text: &str, cents: i64, shown: &str| {
            assert_eq!(Cents::parse(text), Some(Cents(cents)), "{text}");
            assert_eq!(Cents(cents).to_string(), shown);
        };
        check("0", 0, "0.00");
        check("-0.5", -50, "-0.50");
        check("12.05", 1205, "12.05");
        check("-3", -300, "-3.00");
        check("92233720368547758.07", i64::MAX, "92233720368547758.07");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "-", ".5", "5.", "1.234", "1e3", "+1", "1,5", " 1", "--1", "1.-5", "92233720368547758.08"] {
            assert_eq!(Cents::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn means_round_halves_away_from_zero() {
        let check = |sum, count, mean| assert_eq!(Cents(sum).divide_rounding(count), Cents(mean), "{sum} / {count}");
        check(5, 2, 3);
        check(-5, 2, -3);
        check(4, 3, 1);
        check(5, 3, 2);
        check(-4, 3, -1);
        check(0, 7, 0);
    }
}
