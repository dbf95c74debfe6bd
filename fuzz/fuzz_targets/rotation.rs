//! Feeds `vectra::fuzzing`'s target `rotation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("rotation", bytes));
