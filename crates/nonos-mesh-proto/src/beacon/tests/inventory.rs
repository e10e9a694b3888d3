use crate::beacon::{sample::*, *};
use nonos_keys::{PublicKey, Signature};
use nonos_types::codec::CodecError;

const PEER: usize = 10;
const ADDRESSES: usize = PEER + 32;
const CAPSULES: usize = ADDRESSES + 4 + 4 + 31;
const SEQUENCE: usize = CAPSULES + 4 + 2 * 32;
const EXPIRES: usize = SEQUENCE + 16;
const BODY: usize = EXPIRES + 8;

fn sample() -> Inventory {
    inventory(&key(1), &[3, 4], 5)
}

#[test]
fn an_inventory_reads_as_it_was_written_and_has_one_id() {
    let one = sample();
    let bytes = one.to_bytes();
    assert_eq!(bytes.len(), BODY + PublicKey::BYTES + Signature::BYTES);
    assert_eq!(Inventory::from_bytes(&bytes), Ok(one.clone()));
    assert!(fuzz_inventory(&bytes));
    assert!(one.clone().verify(NOW_S, &[]).is_ok());
    assert_eq!(one.id().to_string(), GOLDEN_ID, "the format of an inventory changes on purpose only");
}

const GOLDEN_ID: &str = "0c5cd6af0cbc4a59c1a03339699fd796845ec921574c1c137e124cbdea80d2c2";

#[test]
fn the_largest_inventory_is_as_large_as_the_limit_says() {
    let mut body = holdings(&[], u64::MAX);
    body.addresses = (0..ADDRESSES_MAX).map(|i| format!("/{i}{}", "a".repeat(ADDRESS_BYTES_MAX - 2))).collect();
    body.capsules = (0..INVENTORY_CAPSULES_MAX as u64).map(capsule_id).collect();
    assert_eq!(body.sign(&key(1)).unwrap().to_bytes().len(), INVENTORY_BYTES_MAX);
    assert_eq!(INVENTORY_BYTES_MAX, 22_888, "as the spec says");
}

#[test]
fn damaged_inventories_are_refused_each_with_its_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: InventoryError| {
        let mut bytes = sample().to_bytes();
        change(&mut bytes);
        assert_eq!(Inventory::from_bytes(&bytes), Err(expected));
    };
    check(&|b| b[7] ^= 1, InventoryError::Magic);
    check(&|b| b[8] = 9, InventoryError::Version { got: 9 });
    check(&|b| b[ADDRESSES] = 9, CodecError::TooLarge { at: ADDRESSES, field: "addresses", got: 9, max: 8 }.into());
    check(
        &|b| b[CAPSULES + 2] = 1,
        CodecError::TooLarge { at: CAPSULES, field: "capsules", got: 65_538, max: 512 }.into(),
    );
    let address = "ip4/192.0.2.1/udp/4001/quic-v1";
    check(&|b| b[ADDRESSES + 8] = b'-', TextError::Address { got: format!("-{address}") }.into());
    check(&|b| b[CAPSULES + 4 + 7] = 4, InventoryError::CapsuleOrder { capsule: capsule_id(4) });
    check(&|b| b[CAPSULES + 4 + 7] = 5, InventoryError::CapsuleOrder { capsule: capsule_id(4) });
    let early = InventoryError::ExpiryBeforeIssue { issued_s: NOW_S, expires_s: NOW_S };
    check(&|b| b[EXPIRES..BODY].copy_from_slice(&NOW_S.to_le_bytes()), early);
    let got_s = INVENTORY_LIFETIME_S_MAX + 1;
    let late = (NOW_S + got_s).to_le_bytes();
    check(&|b| b[EXPIRES..BODY].copy_from_slice(&late), InventoryError::Lifetime { got_s });
    check(
        &|b| b.push(0),
        CodecError::Trailing { at: BODY + PublicKey::BYTES + Signature::BYTES, extra_bytes: 1 }.into(),
    );
    let whole = sample().to_bytes();
    for length in 0..whole.len() {
        assert!(Inventory::from_bytes(&whole[..length]).is_err(), "{length}");
    }
    let mut keyless = whole;
    keyless[BODY..BODY + 32].fill(0);
    assert!(matches!(Inventory::from_bytes(&keyless), Err(InventoryError::Seeder(_))));
}

#[test]
fn what_no_decoder_takes_no_seeder_signs() {
    let check = |change: fn(&mut InventoryBody), expected: InventoryError| {
        let mut body = holdings(&[3, 4], 5);
        change(&mut body);
        assert_eq!(body.sign(&key(1)).unwrap_err(), expected);
    };
    check(|b| b.addresses = vec!["/a".to_owned(); 9], InventoryError::TooManyAddresses { got: 9 });
    check(|b| b.addresses = vec!["/a".to_owned(); 2], InventoryError::AddressOrder { address: "/a".to_owned() });
    check(|b| b.capsules = vec![capsule_id(1); 513], InventoryError::TooManyCapsules { got: 513 });
    check(|b| b.capsules = vec![capsule_id(1); 2], InventoryError::CapsuleOrder { capsule: capsule_id(1) });
}

#[test]
fn a_changed_inventory_does_not_verify() {
    for at in [PEER, SEQUENCE, BODY + PublicKey::BYTES, BODY + PublicKey::BYTES + 64] {
        let mut bytes = sample().to_bytes();
        bytes[at] ^= 1;
        let error = Inventory::from_bytes(&bytes).unwrap().verify(NOW_S, &[]).unwrap_err();
        assert!(matches!(error, StatementError::Signature(_)), "byte {at}");
    }
}

#[test]
fn two_inventories_with_one_sequence_convict_their_seeder_and_nothing_else_does() {
    let (one, other) = (sample(), inventory(&key(1), &[3], 5));
    let convicts = Equivocation::of_inventories(one.clone(), other.clone());
    assert_eq!(convicts.verify(), Ok(key(1).id()));
    assert_eq!(Equivocation::of_inventories(other.clone(), one.clone()), convicts);
    let same = Equivocation::of_inventories(one.clone(), one.clone());
    assert_eq!(same.verify(), Err(EquivocationError::Order { id: id_of(&one) }));
    let newer = Equivocation::of_inventories(one.clone(), inventory(&key(1), &[3], 6));
    assert!(matches!(newer.verify(), Err(EquivocationError::TwoSequences { .. })));
    let others = Equivocation::of_inventories(one.clone(), inventory(&key(2), &[3], 5));
    assert!(matches!(others.verify(), Err(EquivocationError::TwoKeys { .. })));
    let mut forged = other.to_bytes();
    forged[PEER] ^= 1;
    let forged = Equivocation::of_inventories(one, Inventory::from_bytes(&forged).unwrap());
    assert!(matches!(forged.verify(), Err(EquivocationError::Signature { .. })));
}

#[test]
fn two_announcements_convict_only_for_one_name_and_version() {
    let one = announcement(&key(1), "zk-search", 5);
    let mut body = body("zk-search", 5);
    body.capsule = capsule_id(9);
    let other = body.clone().sign(&key(1)).unwrap();
    assert_eq!(Equivocation::of_announcements(one.clone(), other).verify(), Ok(key(1).id()));
    body.version = "2.0.0".to_owned();
    let next = body.sign(&key(1)).unwrap();
    assert_eq!(Equivocation::of_announcements(one, next).verify(), Err(EquivocationError::TwoSlots));
}

#[test]
fn random_changes_of_inventories_never_panic() {
    let valid = [sample().to_bytes(), inventory(&key(2), &[], 0).to_bytes()];
    mutate(&valid, 3_000, fuzz_inventory);
}
