//! Feeds `vectra::fuzzing`'s target `container`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("container", bytes));
