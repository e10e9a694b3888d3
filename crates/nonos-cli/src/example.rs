//! Examples: built capsules that are part of the command, so that `nonos demo` and `nonos bench` need no other file.

/// The capsule of `nonos demo`, its input and the output that it must give.
pub(crate) const DEMO_CAPSULE: &[u8] = include_bytes!("../../../examples/zk-search/zk-search.mod");
pub(crate) const DEMO_INPUT: &[u8] = include_bytes!("../../../examples/zk-search/input");
pub(crate) const DEMO_EXPECTED: &[u8] = include_bytes!("../../../examples/zk-search/expected");

/// The capsules of `nonos bench run`.
pub(crate) const BENCH_CAPSULES: [&[u8]; 3] = [
    include_bytes!("../../../examples/bench-core/bench-core.mod"),
    include_bytes!("../../../examples/bench-memory/bench-memory.mod"),
    BENCH_HASH,
];
/// The one that `nonos bench prove` proves.
pub(crate) const BENCH_HASH: &[u8] = include_bytes!("../../../examples/bench-hash/bench-hash.mod");

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_capsule::Capsule;

    #[test]
    fn the_capsules_that_are_built_in_are_capsules() {
        for bytes in BENCH_CAPSULES.into_iter().chain([DEMO_CAPSULE]) {
            assert!(Capsule::decode(bytes).is_ok());
        }
    }
}
