use super::book::{fault, nonos, who};
use crate::beacon::sample::{NOW_S, mutate, units};
use crate::trust::*;
use nonos_types::codec::CodecError;

fn sample() -> Trust {
    let mut trust = Trust::new(TrustLimits::default());
    for number in 0..FAULTS_KEPT_MAX as u64 + 2 {
        trust.handle_evidence(&fault(1, number, FaultKind::BadRange), NOW_S + number);
    }
    trust.handle_settled(who(2), nonos(3), NOW_S);
    trust.handle_promised(who(2), units(7), NOW_S).unwrap();
    trust.handle_promised(who(3), units(5), NOW_S).unwrap();
    trust.handle_lost(who(3), units(5), NOW_S);
    trust.handle_offline(who(3), NOW_S);
    trust.handle_unknown(who(3), NOW_S);
    trust.set_policy(who(4), Some(Policy::Limit(nonos(1))), NOW_S);
    trust.set_policy(who(5), Some(Policy::Trust), NOW_S);
    trust.set_policy(who(6), Some(Policy::Refuse), NOW_S);
    trust
}

fn read(bytes: &[u8]) -> Result<Trust, SnapshotError> {
    Trust::from_bytes(bytes, TrustLimits::default())
}

#[test]
fn a_book_reads_as_it_was_written_and_goes_on_as_before() {
    let trust = sample();
    let again = read(&trust.to_bytes()).unwrap();
    assert_eq!(again, trust);
    for key in trust.keys() {
        assert_eq!(again.explain(key, NOW_S + 99), trust.explain(key, NOW_S + 99));
    }
    assert!(fuzz_trust(&trust.to_bytes()));
    assert_eq!(read(&Trust::new(TrustLimits::default()).to_bytes()).unwrap().keys().count(), 0);
}

#[test]
fn damaged_books_are_refused_each_with_its_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: SnapshotError| {
        let mut bytes = sample().to_bytes();
        change(&mut bytes);
        assert_eq!(read(&bytes), Err(expected));
    };
    // Magic, version, no forgotten losses, six keys; then the first key, four empty lists, its faults.
    const KEYS: usize = 8 + 2 + 4;
    const FAULTS: usize = KEYS + 4 + 32 + 4 * 4 + 16;
    const MORE: usize = FAULTS + 4 + FAULTS_KEPT_MAX * 81;
    check(&|b| b[0] ^= 1, SnapshotError::Magic);
    check(&|b| b[8] = 2, SnapshotError::Version { got: 2 });
    check(
        &|b| b[KEYS + 2] = 1,
        CodecError::TooLarge { at: KEYS, field: "keys", got: 65_542, max: KEYS_MAX as u64 }.into(),
    );
    check(&|b| b[KEYS + 4 + 7] = 2, SnapshotError::KeyOrder { key: who(2) });
    check(&|b| b[FAULTS - 1] = 1, SnapshotError::Amount { field: "outstanding", got_units: 1 << 120 });
    check(&|b| b[FAULTS] = 17, CodecError::TooLarge { at: FAULTS, field: "faults", got: 17, max: 16 }.into());
    check(&|b| b[FAULTS + 4 + 32] = 5, SnapshotError::Kind { got: 5 });
    let at = FAULTS + 4 + 81;
    let order = CodecError::NotCanonical { at, field: "fault", why: "faults ascend" };
    check(&|b| b[FAULTS + 4 + 7] = 9, order.into());
    let times =
        CodecError::NotCanonical { at: FAULTS + 4, field: "fault", why: "a fault is last seen no earlier than first" };
    check(&|b| b[at - 1 - 8] = 1, times.into());
    check(&|b| b[MORE + 1 + 8] = 4, SnapshotError::Policy { got: 4 });
    let end = sample().to_bytes().len();
    check(&|b| b.push(0), CodecError::Trailing { at: end, extra_bytes: 1 }.into());
    for length in 0..end {
        assert!(read(&sample().to_bytes()[..length]).is_err(), "{length}");
    }
}

#[test]
fn random_changes_of_books_never_panic() {
    mutate(&[sample().to_bytes(), Trust::new(TrustLimits::default()).to_bytes()], 20_000, fuzz_trust);
}
