//! Message: what simulated nodes say. The first byte is the verdict that a check gives.

use bytes::Bytes;
use nonos_mesh_proto::gossip::Verdict;

const BYTES: usize = 256;

/// A message by a node, by its number.
pub(crate) fn message(verdict: Verdict, publisher: u32, number: u64) -> Bytes {
    let mut bytes = vec![0; BYTES];
    bytes[0] = match verdict {
        Verdict::Accept => 0,
        Verdict::Ignore => 1,
        Verdict::Reject => 2,
    };
    bytes[1..5].copy_from_slice(&publisher.to_le_bytes());
    bytes[5..13].copy_from_slice(&number.to_le_bytes());
    bytes.into()
}

pub(crate) fn verdict(bytes: &[u8]) -> Verdict {
    match bytes.first() {
        Some(0) => Verdict::Accept,
        Some(1) => Verdict::Ignore,
        _ => Verdict::Reject,
    }
}

/// Who made it; none when it is no message of the simulation.
pub(crate) fn publisher(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?))
}
