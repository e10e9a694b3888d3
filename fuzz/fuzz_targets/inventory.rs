//! The target `inventory` of `nonos_testkit::fuzz`, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    nonos_testkit::fuzz::feed("inventory", bytes);
});
