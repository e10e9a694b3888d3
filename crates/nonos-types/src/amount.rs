//! Money: amounts of base units, shares in basis points, and the split that loses nothing.
//!
//! Spec: `docs/spec/12-manifest.md`, section "Amounts". A base unit is 10^-18 NONOS. There are no floats and no wrapping:
//! every sum is checked, every rounding is in a function's name. This module never rounds what a person wrote:
//! a text with more than 18 decimals is refused.

use alloc::vec::Vec;
use core::{fmt, num::NonZeroU64, str::FromStr};
use thiserror::Error;

/// Decimals of one NONOS.
pub const AMOUNT_DECIMALS: usize = 18;
/// Base units in one NONOS.
pub const AMOUNT_UNITS_PER_NONOS: u128 = 1_000_000_000_000_000_000;
/// The largest amount: ten thousand million NONOS. More than 2^34 of them fit a `u128`.
pub const AMOUNT_UNITS_MAX: u128 = 10_000_000_000 * AMOUNT_UNITS_PER_NONOS;
/// The word that stands behind every amount that a person writes.
pub const AMOUNT_UNIT_WORD: &str = "NONOS";
/// All of it, in basis points.
pub const BASIS_POINTS_ALL: u16 = 10_000;

const _: () = assert!(AMOUNT_UNITS_MAX <= u128::MAX >> 34);
const _: () = assert!(AMOUNT_UNITS_MAX <= u128::MAX / BASIS_POINTS_ALL as u128);
const _: () = assert!(AMOUNT_UNITS_PER_NONOS == 10u128.pow(AMOUNT_DECIMALS as u32));

/// An amount of money in base units, at most [`AMOUNT_UNITS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(AMOUNT_UNITS_MAX);

    /// From base units.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] above [`AMOUNT_UNITS_MAX`].
    pub const fn from_units(units: u128) -> Result<Self, AmountError> {
        if units > AMOUNT_UNITS_MAX { Err(AmountError::TooLarge) } else { Ok(Self(units)) }
    }

    /// In base units.
    #[must_use]
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`].
    pub const fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        // Two amounts are far below the end of a u128: see the assertion on AMOUNT_UNITS_MAX.
        Self::from_units(self.0 + other.0)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountError::Negative`] when `other` is larger.
    pub const fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        match self.0.checked_sub(other.0) {
            Some(units) => Ok(Self(units)),
            None => Err(AmountError::Negative),
        }
    }

    /// The sum of many.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`].
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// `self * numerator / denominator`, rounded down, exact before the rounding.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`].
    pub fn mul_div_floor(self, numerator: u64, denominator: NonZeroU64) -> Result<Self, AmountError> {
        let (numerator, denominator) = (u128::from(numerator), u128::from(denominator.get()));
        // floor((q d + r) n / d) = q n + floor(r n / d), and r n < 2^128 because both are below 2^64.
        let whole = (self.0 / denominator).checked_mul(numerator).ok_or(AmountError::TooLarge)?;
        let part = self.0 % denominator * numerator / denominator;
        whole.checked_add(part).ok_or(AmountError::TooLarge).and_then(Self::from_units)
    }
}

/// A share: 0 to 10,000 hundredths of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(BASIS_POINTS_ALL);

    /// From a number.
    ///
    /// # Errors
    /// [`AmountError::ShareTooLarge`] above 10,000.
    pub const fn new(points: u16) -> Result<Self, AmountError> {
        if points > BASIS_POINTS_ALL { Err(AmountError::ShareTooLarge { got: points }) } else { Ok(Self(points)) }
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Splits an amount by shares that sum to 10,000. Each part is rounded down, except the last one whose share is not
/// zero: it is what is left, so that the parts always sum to the amount and a share of zero gets nothing.
///
/// # Errors
/// [`AmountError::SharesDoNotSum`].
pub fn split_floor(amount: Amount, shares: &[BasisPoints]) -> Result<Vec<Amount>, AmountError> {
    let got = shares.iter().map(|share| u64::from(share.0)).sum::<u64>();
    if got != u64::from(BASIS_POINTS_ALL) {
        return Err(AmountError::SharesDoNotSum { got });
    }
    let last = shares.iter().rposition(|share| share.0 != 0).unwrap_or_default();
    // No overflow: see the second assertion on AMOUNT_UNITS_MAX.
    let floor = |share: &BasisPoints| amount.0 * u128::from(share.0) / u128::from(BASIS_POINTS_ALL);
    let mut parts: Vec<Amount> = shares.iter().map(|share| Amount(floor(share))).collect();
    let paid: u128 = parts.iter().map(|part| part.0).sum();
    if let Some(part) = parts.get_mut(last) {
        part.0 += amount.0 - paid;
    }
    Ok(parts)
}

impl fmt::Display for Amount {
    /// The one way an amount is written: no leading zeros, no trailing zeros behind the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / AMOUNT_UNITS_PER_NONOS, self.0 % AMOUNT_UNITS_PER_NONOS);
        if part == 0 {
            return write!(f, "{whole} {AMOUNT_UNIT_WORD}");
        }
        let digits = alloc::format!("{part:0AMOUNT_DECIMALS$}");
        write!(f, "{whole}.{} {AMOUNT_UNIT_WORD}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({} units)", self.0)
    }
}

impl fmt::Debug for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasisPoints({})", self.0)
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    /// Reads `0.0001 NONOS`: digits, at most one point with digits on both sides, one space, the unit word.
    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        let Some(number) = text.strip_suffix(AMOUNT_UNIT_WORD).and_then(|rest| rest.strip_suffix(' ')) else {
            return Err(ParseAmountError::Unit);
        };
        let (whole, part) = match number.split_once('.') {
            Some((whole, part)) => (whole, Some(part)),
            None => (number, None),
        };
        if let Some(got) = number.chars().find(|c| !c.is_ascii_digit() && *c != '.') {
            return Err(ParseAmountError::Character { got });
        }
        if whole.is_empty() || part.is_some_and(str::is_empty) {
            return Err(ParseAmountError::DigitsMissing);
        }
        let part = part.unwrap_or_default();
        if part.contains('.') {
            return Err(ParseAmountError::Character { got: '.' });
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(ParseAmountError::LeadingZero);
        }
        if part.len() > AMOUNT_DECIMALS {
            return Err(ParseAmountError::TooManyDecimals { got_decimals: part.len() });
        }
        // Digits of the whole NONOS, then of the part, then zeros up to 18 decimals: the base units in decimal.
        let zeros = core::iter::repeat_n(b'0', AMOUNT_DECIMALS - part.len());
        let digits = whole.bytes().chain(part.bytes()).chain(zeros);
        let mut units: u128 = 0;
        for digit in digits {
            units = units * 10 + u128::from(digit - b'0');
            // Ten times the largest amount is far below the end of a u128, so the line above cannot overflow.
            if units > AMOUNT_UNITS_MAX {
                return Err(ParseAmountError::TooLarge);
            }
        }
        Ok(Self(units))
    }
}

/// Why a calculation with amounts has no result.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AmountError {
    /// More than the largest amount.
    #[error("the amount is above the largest one, 10,000,000,000 NONOS")]
    TooLarge,
    /// Less than nothing.
    #[error("the amount to take away is larger than what is there")]
    Negative,
    /// A share above the whole.
    #[error("a share is at most 10,000 basis points, this is {got}")]
    ShareTooLarge {
        /// What it says.
        got: u16,
    },
    /// Shares that are less or more than the whole.
    #[error("the shares sum to {got} basis points, they must sum to 10,000")]
    SharesDoNotSum {
        /// Their sum.
        got: u64,
    },
}

/// Why a text is not an amount.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseAmountError {
    /// The unit word is missing, or not one space behind the number.
    #[error("an amount ends in one space and the word NONOS: write \"0.0001 NONOS\"")]
    Unit,
    /// A sign, an exponent, a separator, anything that is not a digit or the one point.
    #[error(
        "an amount is plain decimal digits with at most one point, {got:?} is not allowed: \
         write it without sign, exponent, spaces or separators"
    )]
    Character {
        /// The first such character.
        got: char,
    },
    /// No digit before or behind the point.
    #[error("an amount has digits on both sides of its point: write \"0.5 NONOS\" or \"5 NONOS\"")]
    DigitsMissing,
    /// `007`.
    #[error("an amount has no zeros in front: write \"7 NONOS\", not \"007 NONOS\"")]
    LeadingZero,
    /// Finer than a base unit.
    #[error(
        "an amount has at most 18 decimals, this has {got_decimals}: the smallest unit is 10^-18 NONOS, \
         round it yourself to 18 decimals or fewer"
    )]
    TooManyDecimals {
        /// How many it has.
        got_decimals: usize,
    },
    /// More than the largest amount.
    #[error("an amount is at most 10,000,000,000 NONOS: write less")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString, vec};
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<u128, ParseAmountError>) {
        assert_eq!(text.parse::<Amount>().map(Amount::units), expected, "{text:?}");
    }

    #[test]
    fn decimals_are_read_exactly() {
        check("0.0001 NONOS", Ok(100_000_000_000_000));
        check("0 NONOS", Ok(0));
        check("1 NONOS", Ok(AMOUNT_UNITS_PER_NONOS));
        check("1.10 NONOS", Ok(1_100_000_000_000_000_000));
        check("0.000000000000000001 NONOS", Ok(1));
        check("10000000000 NONOS", Ok(AMOUNT_UNITS_MAX));
        check("9999999999.999999999999999999 NONOS", Ok(AMOUNT_UNITS_MAX - 1));
    }

    #[test]
    fn what_is_not_plain_decimal_with_its_unit_is_refused_by_its_defect() {
        for text in ["", "1", "1 nonos", "1NONOS", "1  nonos", "1\tNONOS", "NONOS", "1 NONOS ", "1 ETH"] {
            check(text, Err(ParseAmountError::Unit));
        }
        for (text, got) in [
            ("-1", '-'),
            ("+1", '+'),
            ("1e3", 'e'),
            ("1_000", '_'),
            ("1,5", ','),
            ("1.2.3", '.'),
            ("1 ", ' '),
            ("１", '１'),
        ] {
            check(&format!("{text} NONOS"), Err(ParseAmountError::Character { got }));
        }
        for text in [".5", "5.", ".", ""] {
            check(&format!("{text} NONOS"), Err(ParseAmountError::DigitsMissing));
        }
        check("00 NONOS", Err(ParseAmountError::LeadingZero));
        check("01.5 NONOS", Err(ParseAmountError::LeadingZero));
        check("0.0000000000000000001 NONOS", Err(ParseAmountError::TooManyDecimals { got_decimals: 19 }));
        check("10000000000.000000000000000001 NONOS", Err(ParseAmountError::TooLarge));
        check(&format!("{} NONOS", "9".repeat(500)), Err(ParseAmountError::TooLarge));
    }

    #[test]
    fn an_amount_has_one_print() {
        let check = |units, text: &str| assert_eq!(Amount::from_units(units).unwrap().to_string(), text);
        check(0, "0 NONOS");
        check(100_000_000_000_000, "0.0001 NONOS");
        check(AMOUNT_UNITS_PER_NONOS * 5 / 2, "2.5 NONOS");
        check(1, "0.000000000000000001 NONOS");
        check(AMOUNT_UNITS_MAX, "10000000000 NONOS");
    }

    #[test]
    fn sums_and_differences_stop_at_the_limits() {
        let one = Amount::from_units(1).unwrap();
        assert_eq!(Amount::MAX.checked_add(one), Err(AmountError::TooLarge));
        assert_eq!(Amount::MAX.checked_add(Amount::MAX), Err(AmountError::TooLarge));
        assert_eq!(Amount::ZERO.checked_sub(one), Err(AmountError::Negative));
        assert_eq!(Amount::checked_sum([Amount::MAX; 40]), Err(AmountError::TooLarge));
        assert_eq!(Amount::from_units(AMOUNT_UNITS_MAX + 1), Err(AmountError::TooLarge));
        assert_eq!(Amount::MAX.mul_div_floor(u64::MAX, NonZeroU64::MIN), Err(AmountError::TooLarge));
    }

    #[test]
    fn shares_that_do_not_sum_to_the_whole_are_refused() {
        let shares = |points: &[u16]| points.iter().map(|p| BasisPoints::new(*p).unwrap()).collect::<Vec<_>>();
        let check = |points: &[u16], got| {
            assert_eq!(split_floor(Amount::MAX, &shares(points)), Err(AmountError::SharesDoNotSum { got }));
        };
        check(&[], 0);
        check(&[9_999], 9_999);
        check(&[10_000, 1], 10_001);
        check(&[10_000; 7], 70_000);
        assert_eq!(BasisPoints::new(10_001), Err(AmountError::ShareTooLarge { got: 10_001 }));
    }

    #[test]
    fn the_dust_of_a_split_goes_to_the_last_share_that_is_not_zero() {
        let shares = [5_000, 0, 2_500, 2_500, 0].map(|points| BasisPoints::new(points).unwrap());
        let parts = split_floor(Amount::from_units(7).unwrap(), &shares).unwrap();
        assert_eq!(parts.iter().map(|part| part.units()).collect::<Vec<_>>(), vec![3, 0, 1, 3, 0]);
    }

    fn any_amount() -> impl Strategy<Value = Amount> {
        prop_oneof![0..=AMOUNT_UNITS_MAX, 0..1_000_000u128, (AMOUNT_UNITS_MAX - 1_000)..=AMOUNT_UNITS_MAX]
            .prop_map(|units| Amount::from_units(units).unwrap())
    }

    /// Shares between sorted cuts of 0..=10,000 always sum to 10,000.
    fn any_shares() -> impl Strategy<Value = Vec<BasisPoints>> {
        prop::collection::vec(0..=BASIS_POINTS_ALL, 0..20).prop_map(|mut cuts| {
            cuts.extend([0, BASIS_POINTS_ALL]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| BasisPoints::new(pair[1] - pair[0]).unwrap()).collect()
        })
    }

    proptest! {
        #[test]
        fn a_split_conserves_every_unit_and_pays_each_share_its_floor(amount in any_amount(), shares in any_shares()) {
            let parts = split_floor(amount, &shares).unwrap();
            prop_assert_eq!(parts.len(), shares.len());
            prop_assert_eq!(Amount::checked_sum(parts.iter().copied()), Ok(amount));
            for (part, share) in parts.iter().zip(&shares) {
                let floor = amount.units() * u128::from(share.get()) / 10_000;
                prop_assert!(part.units() >= floor && part.units() < floor + shares.len() as u128);
                prop_assert!(share.get() != 0 || part.is_zero());
            }
        }

        #[test]
        fn an_amount_parses_from_what_it_prints(amount in any_amount()) {
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }

        #[test]
        fn any_text_parses_or_is_refused_without_a_panic(text in "[0-9.eE+_ -]{0,40}( NONOS)?") {
            if let Ok(amount) = text.parse::<Amount>() {
                prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            }
        }

        #[test]
        fn mul_div_agrees_with_plain_arithmetic_where_that_fits(
            units in 0..=u128::from(u64::MAX), n in 0..=u64::MAX, d in 1..=u64::MAX
        ) {
            let expected = Amount::from_units(units * u128::from(n) / u128::from(d));
            let got = Amount::from_units(units).unwrap().mul_div_floor(n, NonZeroU64::new(d).unwrap());
            prop_assert_eq!(got, expected);
        }
    }
}
