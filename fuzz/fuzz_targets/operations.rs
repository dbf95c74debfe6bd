//! Feeds `vectra::fuzzing`'s target `operations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("operations", bytes));
