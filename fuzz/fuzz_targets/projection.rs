//! Feeds `vectra::fuzzing`'s target `projection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("projection", bytes));
