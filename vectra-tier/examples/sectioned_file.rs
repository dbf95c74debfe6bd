//! A file of named sections, written in one pass and checked as it is read; no database in sight.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;
use vectra_core::io::{Access, Fs, MemFs};
use vectra_tier::container::{PAGE, Writer};
use vectra_tier::{Header, Mode, PartHandle, Role, SectionKind};

const SAMPLES: SectionKind = SectionKind(1);
const NOTES: SectionKind = SectionKind(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let path = Path::new("/measurements");

    let header = Header { id: Uuid::from_u128(1), role: Role::Rows, rows: 100_000, schema_epoch: 0 };
    let mut writer = Writer::create(&fs, path, header)?;
    writer.begin(SAMPLES, 0);
    for sample in 0..100_000_u32 {
        writer.write(&sample.to_le_bytes())?;
    }
    writer.end()?;
    writer.section(NOTES, 0, b"calm sea, light wind")?;
    let reference = writer.finish()?;
    println!("wrote the {reference}");

    let part = PartHandle::open(&*fs, path, &reference, Mode::Map)?;
    let samples = part.section(SAMPLES, 0)?;
    let tenth = samples.verified_range(40..44)?;
    println!(
        "sample 10 is {}; verified {} of {} pages so far",
        u32::from_le_bytes(tenth.try_into()?),
        samples.page_checks(),
        samples.pages()
    );
    part.verify()?;
    println!("every byte of the file is as it was written");

    // One bit flips on the disk, in the third page of the samples.
    let copy = Path::new("/copy");
    let mut bytes = fs.read(path, u64::MAX)?;
    bytes[4096 + 2 * PAGE + 5] ^= 1;
    fs.create_new(copy)?.write_all_at(&bytes, 0)?;
    let damaged = PartHandle::open(&*fs, copy, &reference, Mode::Read)?;
    let samples = damaged.section(SAMPLES, 0)?;
    println!("the first page is still good: {}", samples.verified_range(0..PAGE).is_ok());
    match samples.verified_range(2 * PAGE..2 * PAGE + 4) {
        Ok(_) => return Err("the flipped bit went unnoticed".into()),
        Err(error) => println!("the third is not: {}", error.damage().ok_or("not a damage")?),
    }
    assert!(fs.open(path, Access::ReadWrite).is_err(), "finished parts are read-only");
    Ok(())
}
