use proptest::prelude::*;

use super::*;

/// A row that only `slot` has, so that a mixed-up or half-written row is noticed.
fn row_of(slot: u32, stride: usize) -> Vec<u32> {
    (0..stride as u32).map(|i| slot.wrapping_mul(31).wrapping_add(i)).collect()
}

fn filled(stride: usize, rows_per_chunk: usize, rows: u32) -> (ChunkWriter<u32>, ChunkReader<u32>) {
    let (mut writer, reader) = chunked(stride, rows_per_chunk);
    for slot in 0..rows {
        assert_eq!(writer.push(&row_of(slot, stride)), slot);
    }
    (writer, reader)
}

#[test]
fn rows_come_back_by_slot() {
    let (writer, reader) = filled(3, 4, 100);
    for slot in 0..100 {
        assert_eq!(reader.row(slot), row_of(slot, 3));
    }
    assert_eq!((writer.len(), reader.len(), reader.stride()), (100, 100, 3));
    assert!(!reader.is_empty() && !writer.is_empty());
}

#[test]
fn rows_keep_their_address_while_the_storage_grows() {
    let (mut writer, reader) = filled(5, 2, 1);
    let first = reader.row(0).as_ptr();
    for slot in 1..1000 {
        writer.push(&row_of(slot, 5));
    }
    assert_eq!(reader.row(0).as_ptr(), first);
    assert_eq!(reader.row(0), row_of(0, 5));
}

#[test]
fn chunks_are_aligned_and_counted() {
    let (mut writer, reader) = chunked::<u8>(3, 5); // rounded up to eight rows, 24 bytes
    assert_eq!((reader.bytes(), reader.len()), (0, 0));
    for _ in 0..9 {
        writer.push(&[1, 2, 3]);
    }
    assert_eq!(reader.bytes(), 2 * LINE);
    assert_eq!(reader.row(0).as_ptr() as usize % LINE, 0);
    assert_eq!(reader.row(8).as_ptr() as usize % LINE, 0);
    assert_eq!(
        reader.runs(0..9).map(|(first, run)| (first, run.len())).collect::<Vec<_>>(),
        [(0, 24), (8, 3)]
    );
}

#[test]
fn readers_outlive_the_writer() {
    let (writer, reader) = filled(2, 8, 20);
    let other = writer.reader();
    drop(writer);
    let third = reader.clone();
    drop(reader);
    assert_eq!((other.row(19), third.row(0)), (&row_of(19, 2)[..], &row_of(0, 2)[..]));
}

#[test]
#[should_panic(expected = "slot 2 is beyond the 2 rows")]
fn a_row_beyond_the_length_cannot_be_read() {
    // Its memory is there, in the same chunk: only the length forbids it.
    filled(1, 8, 2).1.row(2);
}

#[test]
#[should_panic(expected = "reach beyond the 2 rows")]
fn runs_beyond_the_length_cannot_be_read() {
    let (_writer, reader) = filled(1, 8, 2);
    assert_eq!(reader.runs(0..3).count(), 0);
}

#[test]
#[should_panic(expected = "a row of another length")]
fn a_row_of_another_length_is_refused() {
    chunked::<f32>(2, 8).0.push(&[1.0]);
}

#[test]
#[should_panic(expected = "at least one element")]
fn rows_without_elements_are_refused() {
    chunked::<f32>(0, 8);
}

#[test]
#[should_panic(expected = "fits the address space")]
fn chunks_beyond_the_address_space_are_refused() {
    chunked::<f32>(usize::MAX / 4, 8);
}

#[test]
fn readers_see_whole_rows_while_the_writer_appends() {
    const ROWS: u32 = 1500;
    // Long rows and a look at the newest one: a row published before it is written is caught in the act.
    const STRIDE: usize = 2048;
    let (mut writer, reader) = chunked(STRIDE, 64);
    let rows = (0..ROWS).map(|slot| row_of(slot, STRIDE)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (reader, rows) = (reader.clone(), &rows);
            scope.spawn(move || {
                let mut seen = 0;
                while seen < ROWS {
                    let len = reader.len();
                    assert!(len >= seen, "the length went back");
                    if let Some(newest) = len.checked_sub(1) {
                        assert!(reader.row(newest) == rows[newest as usize], "row {newest} is not whole");
                    }
                    seen = len;
                }
                for (first, run) in reader.runs(0..seen) {
                    assert!(run == rows[first as usize..][..run.len() / STRIDE].concat(), "run at {first}");
                }
            });
        }
        for row in &rows {
            writer.push(row);
            std::thread::yield_now();
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn runs_cover_the_range_once(
        stride in 1_usize..9,
        rows_per_chunk in 1_usize..40,
        rows in 1_u32..200,
        ends in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let (_writer, reader) = filled(stride, rows_per_chunk, rows);
        let cut = |share: f64| (share * f64::from(rows + 1)) as u32;
        let range = cut(ends.0.min(ends.1))..cut(ends.0.max(ends.1));
        let mut next = range.start;
        for (first, run) in reader.runs(range.clone()) {
            prop_assert_eq!(first, next);
            prop_assert!(!run.is_empty() && run.len() % stride == 0);
            for row in run.chunks_exact(stride) {
                prop_assert_eq!(row, &row_of(next, stride)[..]);
                next += 1;
            }
        }
        prop_assert_eq!(next, range.end);
    }
}
