//! Feeds `vectra::fuzzing`'s target `segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("segment", bytes));
