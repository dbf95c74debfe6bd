//! One entry point for each decoder, for the fuzzer and for the tests that replay what it found. Feature `fuzzing`.
//!
//! An entry takes any bytes. Where the format has checksums, the first byte says whether they are made right first:
//! otherwise nothing random would ever come past them.

mod derived;
mod files;
mod truth;

/// A target: its name, and what feeds bytes to its decoder.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: [Target; 16] = [
    ("calibration", derived::calibration),
    ("codes", derived::codes),
    ("container", files::container),
    ("filter", truth::filter),
    ("graph", derived::graph),
    ("ids", truth::ids),
    ("indexes", truth::indexes),
    ("log_file", files::log_file),
    ("log_header", files::log_header),
    ("manifest", files::manifest),
    ("metadata", truth::metadata),
    ("operations", truth::operations),
    ("projection", derived::projection),
    ("rotation", derived::rotation),
    ("segment", truth::segment),
    ("shard_map", files::shard_map),
];

/// Feeds `bytes` to the target `name`.
///
/// # Panics
/// If there is no such target, or it found a bug.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("the name of a target").1(bytes);
}

/// A small valid input or two for each target, from which fuzzing starts: (target, name, bytes).
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds = files::seeds();
    seeds.extend(derived::seeds());
    seeds.extend(truth::seeds());
    seeds
}

/// Splits what stands behind two little-endian 16-bit lengths into three pieces.
fn three(bytes: &[u8]) -> [&[u8]; 3] {
    let (head, rest) = bytes.split_at_checked(4).unwrap_or((&[0; 4], bytes));
    let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let (first, rest) = rest.split_at(length(0).min(rest.len()));
    let (second, third) = rest.split_at(length(2).min(rest.len()));
    [first, second, third]
}

/// The inverse of [`three`], for seeds.
fn join(pieces: [&[u8]; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pieces[..2].iter().for_each(|piece| bytes.extend_from_slice(&(piece.len() as u16).to_le_bytes()));
    pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    bytes
}
