use super::*;

fn block(rows: u32, stored_len: usize) -> BlockEntry {
    BlockEntry {
        first_slot: 0,
        rows,
        offset: 0,
        stored_len,
        raw_len: 40,
        value_len: 50,
        codec: Codec::Zstd,
        layout: Layout::Columns,
    }
}

fn section(blocks: &[BlockEntry], row_count: u32) -> Vec<u8> {
    let stored: usize = blocks.iter().map(|b| b.stored_len).sum();
    let mut bytes = write_directory(blocks, row_count);
    bytes.resize(bytes.len() + stored, 7);
    bytes
}

#[test]
fn the_directory_comes_back_with_places() {
    let blocks = [block(3, 10), block(5, 20)];
    let read = read_directory(&section(&blocks, 8), 8).expect("well made");
    let start = ROWS_HEADER_BYTES + 2 * BLOCK_ENTRY_BYTES;
    assert_eq!(read[0], BlockEntry { offset: start, ..blocks[0].clone() });
    assert_eq!(read[1], BlockEntry { offset: start + 10, first_slot: 3, ..blocks[1].clone() });
}

#[test]
fn disagreement_is_refused() {
    let good = section(&[block(3, 10), block(5, 20)], 8);
    assert!(read_directory(&good, 9).is_err(), "row count of the caller");
    assert!(read_directory(&good[..good.len() - 1], 8).is_err(), "cut");
    assert!(read_directory(&[good.as_slice(), &[0]].concat(), 8).is_err(), "grown");
    assert!(read_directory(&section(&[block(3, 10)], 8), 8).is_err(), "rows of the blocks");
    for (broken, why) in [
        (BlockEntry { rows: 0, ..block(8, 10) }, "no rows"),
        (BlockEntry { rows: 2000, value_len: 4000, ..block(8, 10) }, "too many rows"),
        (BlockEntry { raw_len: 51, ..block(8, 10) }, "larger than its rows"),
        (BlockEntry { value_len: BLOCK_BYTES + 1, ..block(8, 10) }, "too large"),
        (BlockEntry { codec: Codec::Raw, ..block(8, 10) }, "raw lengths differ"),
        (BlockEntry { raw_len: 10_001, value_len: 20_000, ..block(8, 10) }, "absurd ratio"),
    ] {
        assert!(
            read_directory(&section(std::slice::from_ref(&broken), broken.rows), broken.rows).is_err(),
            "{why}"
        );
    }
    let mut newer = good;
    newer[0] = 2;
    assert!(matches!(read_directory(&newer, 8), Err(FormatError::Unsupported { .. })));
}

fn dictionary(codec: Codec, shared_stored_len: usize, shared_raw_len: usize) -> Vec<u8> {
    DictionaryHeader { codec, shared_stored_len, shared_raw_len }.write()
}

#[test]
fn the_dictionary_header_comes_back_within_limits() {
    let good = dictionary(Codec::Zstd, 40, 90);
    let read = DictionaryHeader::read(&mut Reader::new(&good)).expect("well made");
    assert_eq!((read.codec, read.shared_stored_len, read.shared_raw_len), (Codec::Zstd, 40, 90));
    for (bytes, why) in [
        (dictionary(Codec::ZstdTrained, 40, 90), "trained on itself"),
        (dictionary(Codec::Raw, 40, 90), "raw lengths differ"),
        (dictionary(Codec::Zstd, 1, 1001), "absurd ratio"),
        (dictionary(Codec::Zstd, 1 << 30, SHARED_SECTION_BYTES_MAX + 1), "too large"),
        (good[..good.len() - 1].to_vec(), "cut"),
        ([&good[..3], &[1], &good[4..]].concat(), "padding"),
    ] {
        assert!(DictionaryHeader::read(&mut Reader::new(&bytes)).is_err(), "{why}");
    }
}

fn indexes(paths: &[&str], lengths: &[u64]) -> Vec<u8> {
    let fields: Vec<_> = paths.iter().map(|path| IndexedField::new(*path, FieldKind::Number)).collect();
    let mut bytes = write_index_directory(fields.iter().zip(lengths.iter().copied()));
    bytes.resize(bytes.len() + lengths.iter().sum::<u64>() as usize, 7);
    bytes
}

#[test]
fn the_index_directory_comes_back_with_places() {
    let section = indexes(&["a", "b.c"], &[5, 9]);
    let read = read_index_directory(&section).expect("well made");
    let end = section.len();
    assert_eq!(read[0], (IndexedField::new("a", FieldKind::Number), end - 14..end - 9));
    assert_eq!(read[1], (IndexedField::new("b.c", FieldKind::Number), end - 9..end));
    assert!(read_index_directory(&indexes(&[], &[])).expect("no field is fine").is_empty());
}

#[test]
fn odd_index_directories_are_refused() {
    let good = indexes(&["a", "b"], &[5, 9]);
    assert!(read_index_directory(&good[..good.len() - 1]).is_err(), "cut");
    assert!(read_index_directory(&[good.as_slice(), &[0]].concat()).is_err(), "grown");
    assert!(read_index_directory(&indexes(&["a", "a"], &[1, 1])).is_err(), "twice");
    assert!(read_index_directory(&indexes(&["a..b"], &[1])).is_err(), "no path");
    let mut kind = good.clone();
    kind[4] = 9;
    assert!(read_index_directory(&kind).is_err(), "no kind");
    let mut length = good;
    length[5..13].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(read_index_directory(&length).is_err(), "no length");
}

#[test]
fn kinds_and_codecs_have_stable_numbers() {
    for (kind, byte) in [(FieldKind::Keyword, 0), (FieldKind::Number, 1), (FieldKind::Bool, 2)] {
        assert_eq!((kind.to_byte(), FieldKind::from_byte(byte)), (byte, Some(kind)));
    }
    assert_eq!(FieldKind::from_byte(3), None);
    for (codec, byte) in [(Codec::Raw, 0), (Codec::Zstd, 1), (Codec::ZstdTrained, 2)] {
        assert_eq!((codec as u8, Codec::from_byte(byte)), (byte, Some(codec)));
    }
    assert_eq!(Codec::from_byte(3), None);
}
