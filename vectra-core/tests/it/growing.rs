//! Chunks and columns while they grow: what a reader has seen once stays as it was.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use vectra_core::vector::chunk::{ChunkReader, chunked};
use vectra_core::vector::column::column;

/// The row that belongs in `slot`: every element tells the slot and its own place.
fn row(slot: u32, stride: usize) -> Vec<u32> {
    (0..stride as u32).map(|at| slot.wrapping_mul(2_654_435_761) ^ at).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn runs_cover_any_range_in_order_and_within_chunks(
        stride in 1..20_usize, per_chunk in 1..40_usize, rows in 0..150_u32, a in 0..150_u32, b in 0..150_u32
    ) {
        let (mut writer, reader) = chunked::<u32>(stride, per_chunk);
        for slot in 0..rows {
            prop_assert_eq!(writer.push(&row(slot, stride)), slot);
        }
        prop_assert_eq!((reader.len(), reader.is_empty(), reader.stride()), (rows, rows == 0, stride));
        let (first, end) = (a.min(b).min(rows), a.max(b).min(rows));
        let mut next = first;
        for (slot, run) in reader.runs(first..end) {
            prop_assert_eq!(slot, next);
            prop_assert!(!run.is_empty() && run.len() % stride == 0);
            prop_assert!(run.len() / stride <= per_chunk.next_power_of_two());
            prop_assert_eq!(run.as_ptr() as usize % 4, 0);
            for found in run.chunks(stride) {
                prop_assert_eq!(found, &row(next, stride)[..]);
                prop_assert_eq!(found, reader.row(next));
                next += 1;
            }
        }
        prop_assert_eq!(next, end);
        let chunks = (rows as usize).div_ceil(per_chunk.next_power_of_two());
        prop_assert!(reader.bytes() >= chunks * per_chunk * stride * 4);
        prop_assert_eq!(reader.bytes() == 0, rows == 0);
    }
}

/// Reads everything published so far, again and again, until `rows` are there.
fn watch(reader: &ChunkReader<u32>, rows: u32, stride: usize) {
    let mut seen = 0;
    while seen < rows {
        let len = reader.len();
        assert!(len >= seen, "the length went back");
        let mut next = seen.saturating_sub(70);
        for (first, run) in reader.runs(next..len) {
            assert_eq!(first, next);
            for found in run.chunks(stride) {
                assert_eq!(found, row(next, stride), "slot {next}");
                next += 1;
            }
        }
        assert_eq!(next, len);
        seen = len;
        std::thread::yield_now();
    }
}

#[test]
fn readers_of_chunks_never_see_half_a_row() {
    for (stride, per_chunk) in [(1, 1), (5, 16), (33, 64)] {
        let (mut writer, reader) = chunked::<u32>(stride, per_chunk);
        let rows = 3000;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let reader = reader.clone();
                scope.spawn(move || watch(&reader, rows, stride));
            }
            for slot in 0..rows {
                writer.push(&row(slot, stride));
            }
        });
        assert_eq!((writer.len(), writer.reader().len()), (rows, rows));
    }
}

#[test]
fn references_stay_good_while_the_storage_grows() {
    let (mut writer, reader) = chunked::<u32>(3, 2);
    writer.push(&row(0, 3));
    let first = reader.row(0);
    let (mut texts, text_reader) = column();
    texts.push("zero".to_owned());
    let zero = text_reader.get(0).expect("pushed");
    for slot in 1..5000 {
        writer.push(&row(slot, 3));
        texts.push(slot.to_string());
    }
    assert_eq!((first, zero.as_str()), (&row(0, 3)[..], "zero"));
    assert_eq!(first.as_ptr(), reader.row(0).as_ptr(), "rows never move");
    assert!(std::ptr::eq(zero, text_reader.get(0).expect("still there")));
}

#[test]
fn readers_outlive_the_writer() {
    let (mut writer, reader) = chunked::<u32>(2, 4);
    (0..9).for_each(|slot| _ = writer.push(&row(slot, 2)));
    drop(writer);
    let other = reader.clone();
    drop(reader);
    assert!((0..9).all(|slot| other.row(slot) == row(slot, 2)));
}

/// What another thread learns through the length alone is enough to read.
#[test]
fn a_published_slot_can_be_read_at_once_by_anybody() {
    let (mut writer, reader) = column::<Box<u32>>();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (reader, stop) = (&reader, &stop);
        let watcher = scope.spawn(move || {
            let mut looked = 0_u64;
            while !stop.load(Ordering::Acquire) || looked == 0 {
                if let Some(last) = reader.len().checked_sub(1) {
                    assert_eq!(reader.get(last).map(|value| **value), Some(last));
                    looked += 1;
                }
                std::thread::yield_now();
            }
            looked
        });
        (0..4000).for_each(|slot| _ = writer.push(Box::new(slot)));
        stop.store(true, Ordering::Release);
        assert!(watcher.join().expect("no panic") > 0);
    });
    assert_eq!(reader.iter().count(), 4000);
}

#[test]
fn misuse_is_stopped() {
    let panics =
        |call: &mut dyn FnMut()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err();
    let (mut writer, reader) = chunked::<u32>(2, 4);
    writer.push(&[1, 2]);
    assert!(panics(&mut || _ = writer.push(&[1])), "a short row");
    assert!(panics(&mut || _ = writer.push(&[1, 2, 3])), "a long row");
    assert!(panics(&mut || _ = reader.row(1)), "beyond the end");
    assert!(panics(&mut || _ = reader.runs(0..2).count()), "beyond the end");
    assert!(panics(&mut || _ = chunked::<u32>(0, 1)) && panics(&mut || _ = chunked::<u32>(1, 0)));
    assert!(panics(&mut || _ = chunked::<u32>(usize::MAX, 8)), "more than there is address space");
    assert_eq!((writer.len(), reader.row(0)), (1, &[1, 2][..]), "and nothing was harmed");
    assert_eq!(reader.runs(1..1).count(), 0);
}
