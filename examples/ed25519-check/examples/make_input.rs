//! Writes the batch in `input` to standard output: `cargo run -p ed25519-check --example make_input`.
//!
//! The test vectors of RFC 8032, then signatures of keys whose seeds are a byte repeated, then ways to be invalid.
#![allow(clippy::print_stdout)]

use ed25519_dalek::{Signer, SigningKey};

/// RFC 8032, section 7.1, tests 1 to 3: seed and message.
const RFC_8032: [(&str, &str); 3] = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"),
];

/// The order of the group, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn main() {
    println!("# RFC 8032, section 7.1, tests 1 to 3");
    for (seed, message) in RFC_8032 {
        let key = SigningKey::from_bytes(&bytes(seed).try_into().expect("32 bytes"));
        let message = bytes(message);
        print_line(key.verifying_key().as_bytes(), &key.sign(&message).to_bytes(), &message);
    }

    println!("# sixteen keys, each over a longer message");
    for i in 0..16u8 {
        let (key, message) = sample(i);
        print_line(key.verifying_key().as_bytes(), &key.sign(&message).to_bytes(), &message);
    }

    let (key, message) = sample(3);
    let public = key.verifying_key().to_bytes();
    let signature = key.sign(&message).to_bytes();
    println!("# another message");
    print_line(&public, &signature, &sample(4).1);
    println!("# another key");
    print_line(sample(5).0.verifying_key().as_bytes(), &signature, &message);
    println!("# one bit of R");
    let mut changed = signature;
    changed[7] ^= 0x10;
    print_line(&public, &changed, &message);
    println!("# S plus the order of the group: the same number, not its canonical encoding");
    let mut changed = signature;
    let mut carry = 0;
    for (byte, order) in changed[32..].iter_mut().zip(bytes(ORDER)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    print_line(&public, &changed, &message);
    println!("# a key of small order: the identity, with R the identity and S zero, fits every message");
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut forged = [0; 64];
    forged[0] = 1;
    print_line(&identity, &forged, &message);
    println!("# a key that is no point");
    let mut no_point = [0; 32];
    no_point[0] = 2;
    print_line(&no_point, &signature, &message);
}

fn sample(i: u8) -> (SigningKey, Vec<u8>) {
    let message = format!("delivery {i}: {}", "the bytes were handed over and checked; ".repeat(usize::from(i)));
    (SigningKey::from_bytes(&[i + 1; 32]), message.into_bytes())
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

fn print_line(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) {
    let message = if message.is_empty() { "-".into() } else { hex::encode(message) };
    println!("{} {} {message}", hex::encode(key), hex::encode(signature));
}
