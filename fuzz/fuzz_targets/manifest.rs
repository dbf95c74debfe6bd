//! Feeds `vectra::fuzzing`'s target `manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("manifest", bytes));
