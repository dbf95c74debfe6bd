//! Feeds `vectra::fuzzing`'s target `codes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("codes", bytes));
