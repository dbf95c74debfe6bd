//! What is written is read, whatever its shape.

use std::path::Path;

use proptest::prelude::*;
use vectra_core::codec::{Reader, digest};
use vectra_core::io::OsFs;
use vectra_tier::container::{PAGE, Writer, identify};
use vectra_tier::{Mode, OpenError, PartHandle, ReadError, SectionKind};

use crate::material::{PATH, Plain, file_of, header, memory, pattern, small, write_part};

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 0_usize..300, 4094_usize..4099, PAGE - 2..PAGE + 3, 2 * PAGE - 1..2 * PAGE + 2,]
}

fn sections() -> impl Strategy<Value = Vec<Plain>> {
    let names = prop::collection::btree_set((0_u16..4, prop_oneof![Just(0), Just(u16::MAX), 1_u16..4]), 0..5);
    let bodies = prop::collection::vec((any::<u32>(), length()), 5);
    (names, bodies).prop_map(|(names, bodies)| {
        let body = |(seed, len): (u32, usize)| pattern(u64::from(seed), len);
        names.into_iter().zip(bodies).map(|((kind, field), of)| (kind, field, body(of))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read(sections in sections(), read in any::<bool>()) {
        let fs = memory();
        let part = write_part(&fs, Path::new(PATH), &sections);
        let mode = if read { Mode::Read } else { Mode::Map };
        let handle = PartHandle::open(&*fs, Path::new(PATH), &part, mode).expect("own file");
        prop_assert_eq!(handle.reference(), &part);
        prop_assert_eq!(*handle.header(), header());
        prop_assert_eq!(handle.rows(), 77);
        prop_assert!(handle.is_rewritable());
        let listed: Vec<_> = sections.iter().map(|(k, f, b)| (SectionKind(*k), *f, b.len() as u64)).collect();
        prop_assert_eq!(handle.sections().collect::<Vec<_>>(), listed);
        for (kind, field, bytes) in &sections {
            prop_assert!(handle.has(SectionKind(*kind), *field));
            let section = handle.section(SectionKind(*kind), *field).expect("written");
            prop_assert_eq!(&**section.bytes(), &bytes[..]);
            prop_assert_eq!(&**section.verified().expect("undamaged"), &bytes[..]);
            prop_assert_eq!(section.bytes().as_ptr() as usize % 64, 0);
        }
        handle.verify().expect("undamaged");
        prop_assert_eq!(identify(&*fs, Path::new(PATH)).expect("own file"), part);
    }

    #[test]
    fn the_file_does_not_depend_on_the_sizes_of_the_writes(len in length(), step in 1_usize..70_000) {
        let bytes = pattern(3, len);
        let fs = memory();
        let mut writer = Writer::create(&fs, Path::new(PATH), header()).expect("free");
        writer.begin(SectionKind(4), 0);
        for piece in bytes.chunks(step) {
            writer.write(piece).expect("memory does not fail");
        }
        writer.end().expect("memory does not fail");
        let part = writer.finish().expect("memory does not fail");
        let (whole, expected) = file_of(&[(4, 0, bytes)]);
        prop_assert_eq!(part, expected);
        prop_assert!(fs.read(Path::new(PATH), u64::MAX).expect("written") == whole);
    }
}

/// The bytes of the first version; they are readable for ever.
#[test]
fn the_layout_is_pinned() {
    let (bytes, part) = file_of(&small());
    let mut header = Reader::new(&bytes);
    assert_eq!(header.bytes(8), Ok(&b"VECTRPRT"[..]));
    assert_eq!((header.u16(), header.u16(), header.u32()), (Ok(1), Ok(0), Ok(0x0a0b_0c0d)));
    assert_eq!((header.u32(), header.u32(), header.u32()), (Ok(0), Ok(0), Ok(0)), "features");
    assert_eq!((header.u16(), header.u16()), (Ok(1), Ok(0)), "role");
    assert_eq!(header.bytes(16), Ok(&part.id.as_bytes()[..]));
    assert_eq!((header.u32(), header.u32()), (Ok(77), Ok(5)), "rows, schema epoch");
    assert_eq!(bytes[4096..4396], pattern(1, 300));
    assert_eq!(bytes[8192..8197], pattern(2, 5));
    assert_eq!(bytes.len(), 12_288 + 2 * 4 + 3 * 48 + 64);
    let mut directory = Reader::new(&bytes[12_288 + 8..]);
    assert_eq!((directory.u16(), directory.u16(), directory.u32()), (Ok(1), Ok(0), Ok(0)));
    assert_eq!((directory.u64(), directory.u64(), directory.u64()), (Ok(4096), Ok(300), Ok(12_288)));
    assert_eq!(directory.u128(), Ok(digest(&pattern(1, 300)).0));
    let mut trailer = Reader::new(&bytes[bytes.len() - 64..]);
    assert_eq!((trailer.u64(), trailer.u64(), trailer.u32()), (Ok(12_288), Ok(12_296), Ok(3)));
    assert_eq!(trailer.bytes(4), Ok(&bytes[4092..4096]), "the header's checksum again");
    assert_eq!((trailer.u64(), trailer.bytes(16)), (Ok(bytes.len() as u64), Ok(&part.id.as_bytes()[..])));
    assert_eq!(&bytes[bytes.len() - 12..], b"\0\0\0\0VECTREND");
    assert_eq!((part.length, part.digest), (bytes.len() as u64, digest(&bytes[12_288..])));
}

/// The digest of one whole file: any change of the format, however small, shows here.
#[test]
fn a_golden_file_keeps_its_digest() {
    let (bytes, _) = file_of(&small());
    assert_eq!(digest(&bytes).to_string(), GOLDEN);
}

const GOLDEN: &str = "49ad7b255ada021050e00bf946bfc0cc";

#[test]
fn a_real_file_is_mapped_read_only_and_refuses_what_it_lacks() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("a.part");
    let fs: std::sync::Arc<dyn vectra_core::io::Fs> = std::sync::Arc::new(OsFs::new());
    let part = write_part(&fs, &path, &small());
    #[expect(
        clippy::disallowed_methods,
        reason = "the mode that the operating system sees is what is tested"
    )]
    let metadata = path.metadata()?;
    assert!(metadata.permissions().readonly());
    let handle = PartHandle::open(&*fs, &path, &part, Mode::Map)?;
    let section = handle.section(SectionKind(1), 0)?;
    assert_eq!(section.verified_range(10..20)?, &pattern(1, 300)[10..20]);
    assert!(matches!(handle.section(SectionKind(1), 1), Err(ReadError::Missing { field: 1, .. })));
    assert!(matches!(section.verified_range(0..301), Err(ReadError::OutOfRange { length: 300, .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "a caller's mistake must not panic")]
    let backwards = section.verified_range(20..10);
    assert!(backwards.is_err());
    drop(handle);
    assert_eq!(section.verified_range(299..300)?, &pattern(1, 300)[299..], "sections outlive the handle");
    fs.remove(&path)?;
    let gone = PartHandle::open(&*fs, &path, &part, Mode::Map);
    assert!(
        matches!(gone, Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound)
    );
    Ok(())
}
