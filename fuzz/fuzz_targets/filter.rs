//! Feeds `vectra::fuzzing`'s target `filter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("filter", bytes));
