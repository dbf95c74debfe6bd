use std::collections::BTreeSet;

use vectra_core::Value;
use vectra_core::admit::Bits;
use vectra_core::io::Blob;

use super::*;

fn row(i: i64) -> Value {
    Value::from([("id", Value::from(i)), ("name", Value::from(format!("name of row number {}", i * 31)))])
}

fn store(rows: i64) -> (RowStore, u32) {
    let mut buffer = RowBuffer::default();
    (0..rows).for_each(|i| buffer.push(&row(i)).expect("a small row"));
    assert_eq!(buffer.len() as i64, rows);
    let (rows_section, dictionary) = buffer.finish().expect("small rows");
    let count = rows as u32;
    let store = RowStore::open(Blob::copy_of(&rows_section), &Blob::copy_of(&dictionary), count);
    (store.expect("own sections"), count)
}

#[test]
fn rows_are_found_at_random_again_and_again() {
    let (store, count) = store(9000);
    for step in 0..200_u32 {
        let slot = step * 7919 % count;
        assert_eq!(store.get(slot), Ok(row(slot.into())));
    }
}

#[test]
fn a_scan_gives_the_wanted_rows_in_order() {
    let (store, count) = store(5000);
    for wanted in [vec![], vec![0], vec![count - 1], (0..count).step_by(97).collect(), (2000..2100).collect()]
    {
        let mut seen = Vec::new();
        let scanned = store.scan(
            &Bits::from_slots(count, wanted.iter().copied()),
            Some(&BTreeSet::from(["id", "name"])),
            |slot, value| {
                assert_eq!(value, row(slot.into()));
                seen.push(slot);
            },
        );
        assert_eq!(scanned, Ok(()));
        assert_eq!(seen, wanted);
    }
}

#[test]
fn threads_share_a_store() {
    let (store, count) = store(3000);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let store = &store;
            scope.spawn(move || {
                for step in 0..100 {
                    let slot = (thread * 997 + step * 31) % count;
                    assert_eq!(store.get(slot), Ok(row(slot.into())));
                }
            });
        }
    });
}
