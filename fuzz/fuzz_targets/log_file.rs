//! Feeds `vectra::fuzzing`'s target `log_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("log_file", bytes));
