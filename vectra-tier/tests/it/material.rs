//! Parts to test with.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;
use vectra_core::codec::{crc32c, digest};
use vectra_core::io::{Access, Fs, MemFs};
use vectra_tier::container::Writer;
use vectra_tier::{Header, PartRef, Role, SectionKind};

pub(crate) const PATH: &str = "/part";

/// A section's kind, field and bytes.
pub(crate) type Plain = (u16, u16, Vec<u8>);

pub(crate) fn memory() -> Arc<dyn Fs> {
    Arc::new(MemFs::new())
}

pub(crate) fn header() -> Header {
    Header { id: Uuid::from_u128(0x1234_5678_9abc), role: Role::Rows, rows: 77, schema_epoch: 5 }
}

/// Bytes that differ from page to page and from section to section.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|i| (i.wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

pub(crate) fn write_part(fs: &Arc<dyn Fs>, path: &Path, sections: &[Plain]) -> PartRef {
    let mut writer = Writer::create(fs, path, header()).expect("the path is free");
    for (kind, field, bytes) in sections {
        writer.section(SectionKind(*kind), *field, bytes).expect("memory does not fail");
    }
    writer.finish().expect("memory does not fail")
}

/// Two short sections with an empty one between them.
pub(crate) fn small() -> Vec<Plain> {
    vec![(1, 0, pattern(1, 300)), (2, 0, Vec::new()), (1, 9, pattern(2, 5))]
}

/// The file of the part with these sections, and its reference.
pub(crate) fn file_of(sections: &[Plain]) -> (Vec<u8>, PartRef) {
    let fs = memory();
    let part = write_part(&fs, Path::new(PATH), sections);
    (fs.read(Path::new(PATH), u64::MAX).expect("just written"), part)
}

/// A memory whose only file has these bytes and may be changed.
pub(crate) fn holding(bytes: &[u8]) -> Arc<dyn Fs> {
    let fs = memory();
    let file = fs.create_new(Path::new(PATH)).expect("empty");
    file.write_all_at(bytes, 0).expect("memory does not fail");
    fs
}

pub(crate) fn overwrite(fs: &dyn Fs, offset: usize, bytes: &[u8]) {
    let file = fs.open(Path::new(PATH), Access::ReadWrite).expect("there");
    file.write_all_at(bytes, offset as u64).expect("memory does not fail");
}

/// Makes every checksum around the sections right again, as a forger would, and gives the reference that fits.
pub(crate) fn repair(bytes: &mut [u8]) -> PartRef {
    let len = bytes.len();
    let header_crc = crc32c(&bytes[..4092]).to_le_bytes();
    bytes[4092..4096].copy_from_slice(&header_crc);
    let trailer = len - 64;
    bytes[trailer + 20..trailer + 24].copy_from_slice(&header_crc);
    let footer = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().expect("eight bytes"));
    let footer = usize::try_from(footer).map_or(trailer, |at| at.min(trailer));
    let footer_crc = crc32c(&bytes[footer..len - 16]).to_le_bytes();
    bytes[len - 16..len - 12].copy_from_slice(&footer_crc);
    PartRef { id: header().id, role: header().role, length: len as u64, digest: digest(&bytes[footer..]) }
}
