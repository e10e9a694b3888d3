//! Decay: what is old weighs less, by half in every half-life, in integers and never upwards.

use std::collections::BTreeMap;

/// `value` after `age_s`: halved for every whole half-life, and on a straight line in between; rounded down. `value` is at most
/// 2^94, which is more than all money, and a half-life at most 2^32 seconds.
#[must_use]
pub const fn decay(value: u128, age_s: u64, half_life_s: u64) -> u128 {
    let halvings = age_s / half_life_s;
    if halvings >= u128::BITS as u64 {
        return 0;
    }
    let (rest_s, whole_s) = ((age_s % half_life_s) as u128, 2 * half_life_s as u128);
    (value >> halvings) * (whole_s - rest_s) / whole_s
}

/// Sums by stretches of time; the newest few. In whatever order events come, the sums are the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Buckets(BTreeMap<u64, u128>);

/// How long a stretch is, how many are kept, how they fade.
#[derive(Debug, Clone, Copy)]
pub(super) struct BucketRule {
    pub(super) stretch_s: u64,
    pub(super) kept_max: usize,
    pub(super) half_life_s: u64,
    pub(super) value_max: u128,
}

impl Buckets {
    pub(super) fn add(&mut self, rule: BucketRule, at_s: u64, value: u128) {
        if value == 0 {
            return;
        }
        let sum = self.0.entry(at_s / rule.stretch_s).or_default();
        *sum = sum.saturating_add(value).min(rule.value_max);
        if self.0.len() > rule.kept_max {
            self.0.pop_first();
        }
    }

    /// The decayed sum. `forgiven` of the oldest stretch do not count, and nothing does that is too old to be kept.
    pub(super) fn sum(&self, rule: BucketRule, now_s: u64, forgiven: u128) -> u128 {
        let values = self.0.iter().enumerate().map(|(place, (stretch, value))| {
            let value = if place == 0 { value.saturating_sub(forgiven) } else { *value };
            let age_s = now_s.saturating_sub(stretch.saturating_mul(rule.stretch_s));
            if age_s / rule.stretch_s > rule.kept_max as u64 { 0 } else { decay(value, age_s, rule.half_life_s) }
        });
        values.sum()
    }

    /// Takes over what another holds.
    pub(super) fn absorb(&mut self, rule: BucketRule, other: &Self) {
        other.0.iter().for_each(|(stretch, value)| self.add(rule, stretch.saturating_mul(rule.stretch_s), *value));
    }

    /// What was ever added and is still kept.
    pub(super) fn total(&self) -> u128 {
        self.0.values().sum()
    }

    /// When the newest stretch begins.
    pub(super) fn newest_s(&self, rule: BucketRule) -> Option<u64> {
        self.0.last_key_value().map(|(stretch, _)| stretch.saturating_mul(rule.stretch_s))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn rows(&self) -> &BTreeMap<u64, u128> {
        &self.0
    }

    pub(super) const fn from_rows(rows: BTreeMap<u64, u128>) -> Self {
        Self(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_types::AMOUNT_UNITS_MAX;
    use proptest::prelude::*;

    #[test]
    fn a_half_life_halves_and_a_long_time_leaves_nothing() {
        assert_eq!(decay(1_000, 0, 10), 1_000);
        assert_eq!(decay(1_000, 5, 10), 750);
        assert_eq!(decay(1_000, 10, 10), 500);
        assert_eq!(decay(1_000, 20, 10), 250);
        assert_eq!(decay(u128::MAX >> 34, 10 * 128, 10), 0);
        assert_eq!(decay(1, u64::MAX, 1), 0);
    }

    proptest! {
        #[test]
        fn decay_never_goes_up(
            value in 0..=AMOUNT_UNITS_MAX, age_s in 0u64..1 << 40, more_s in 0u64..1 << 40, half_life_s in 1u64..1 << 32
        ) {
            prop_assert!(decay(value, age_s + more_s, half_life_s) <= decay(value, age_s, half_life_s));
            prop_assert!(decay(value, age_s, half_life_s) <= value);
        }
    }
}
