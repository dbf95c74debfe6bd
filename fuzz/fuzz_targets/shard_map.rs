//! Feeds `vectra::fuzzing`'s target `shard_map`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vectra::fuzzing::run("shard_map", bytes));
