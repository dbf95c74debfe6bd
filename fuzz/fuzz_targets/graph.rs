//! Feeds `vectra::fuzzing`'s target `graph`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("graph", bytes));
