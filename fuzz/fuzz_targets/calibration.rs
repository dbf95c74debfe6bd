//! Feeds `vectra::fuzzing`'s target `calibration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("calibration", bytes));
