//! Feeds `vectra::fuzzing`'s target `log_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("log_header", bytes));
