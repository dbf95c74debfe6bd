//! Feeds `vectra::fuzzing`'s target `ids`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("ids", bytes));
