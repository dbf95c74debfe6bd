//! What it costs to read only bytes that were checked: random rows through the checks, and without them.
//!
//! `cargo run --release -p vectra-tier --example verified_reads -- [ROWS] [ROW_BYTES]`

#![allow(clippy::disallowed_methods, reason = "a measurement reads the real clock")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;
use vectra_core::io::{Fs, MemFs};
use vectra_tier::container::Writer;
use vectra_tier::{Header, Mode, PartHandle, Role, SectionKind};

const VECTORS: SectionKind = SectionKind(1);
const ROUNDS: usize = 15;
const READS: usize = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let rows = arguments.next().transpose()?.unwrap_or(2_000).max(1);
    let row_bytes = arguments.next().transpose()?.unwrap_or(768).max(8);

    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let path = Path::new("/rows");
    let header = Header { id: Uuid::from_u128(1), role: Role::Rows, rows: rows as u32, schema_epoch: 0 };
    let mut writer = Writer::create(&fs, path, header)?;
    let content: Vec<u8> = (0..rows * row_bytes).map(|i| (i * 31) as u8).collect();
    writer.section(VECTORS, 0, &content)?;
    let reference = writer.finish()?;
    let section = PartHandle::open(&*fs, path, &reference, Mode::Map)?.section(VECTORS, 0)?;

    let begun = Instant::now();
    section.verified()?;
    let first = begun.elapsed().as_secs_f64();
    println!("first reads: {} pages checked in {:.2} ms", section.pages(), first * 1e3);

    // A fixed walk over the rows that no prefetcher guesses.
    let places: Vec<usize> = (0..READS).map(|i| (i.wrapping_mul(2_654_435_761) % rows) * row_bytes).collect();
    let (mut plain, mut checked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(nanoseconds(&places, |at| sum(&section.bytes()[at..at + row_bytes])));
        checked.push(nanoseconds(&places, |at| section.verified_range(at..at + row_bytes).map_or(0, sum)));
    }
    for times in [&mut plain, &mut checked] {
        times.sort_by(f64::total_cmp);
    }
    let (plain, checked) = (plain[ROUNDS / 2], checked[ROUNDS / 2]);
    println!(
        "a row of {row_bytes} bytes: {plain:.1} ns plain, {checked:.1} ns checked (medians of {ROUNDS})"
    );
    println!("the check of a page that was read before costs {:.1} ns per read", checked - plain);
    Ok(())
}

/// Nanoseconds per call of `read`.
fn nanoseconds(places: &[usize], read: impl Fn(usize) -> u64) -> f64 {
    let begun = Instant::now();
    let all = places.iter().fold(0_u64, |all, at| all.wrapping_add(read(*at)));
    let took = begun.elapsed();
    black_box(all);
    took.as_nanos() as f64 / places.len() as f64
}

/// Touches every word of a row, as a distance does.
fn sum(row: &[u8]) -> u64 {
    row.as_chunks::<8>().0.iter().fold(0, |all, word| all.wrapping_add(u64::from_le_bytes(*word)))
}
