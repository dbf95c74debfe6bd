//! Feeds `vectra::fuzzing`'s target `metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("metadata", bytes));
