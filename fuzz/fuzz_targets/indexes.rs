//! Feeds `vectra::fuzzing`'s target `indexes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("indexes", bytes));
