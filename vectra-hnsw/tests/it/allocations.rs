//! A search with a scratch that was used before takes no memory from the allocator.

use vectra_core::Neighbor;
use vectra_core::admit::{Admit, All, Bits};
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, HnswView, Params, Scratch};

use crate::store::{Rows, clustered};

const ROWS: u32 = 3000;
const QUERIES: u32 = 50;

/// How often memory was taken by searches for different rows, all of equal effort.
fn allocations<I, A>(index: &I, rows: &Rows, admit: &A, memory: &mut (Scratch, Vec<Neighbor>)) -> u64
where
    I: AnnIndex<Scratch = Scratch>,
    A: Admit,
{
    let params = SearchParams::new(10, 64);
    let (scratch, found) = memory;
    let measured = allocation_counter::measure(|| {
        for number in 0..QUERIES {
            let query = rows.row(number * 37 % ROWS);
            index.search(&mut rows.bind(query), &params, admit, scratch, found);
            assert_eq!(found.len(), 10);
        }
    });
    measured.count_total
}

#[test]
fn a_scratch_is_filled_by_the_first_search_and_enough_for_all_others() {
    let rows = clustered(ROWS as usize, 8, 20, 7);
    let hnsw = Hnsw::build(&rows, &Params::default(), 1, &|_| true).expect("not stopped");
    let view = HnswView::open(Blob::copy_of(&hnsw.encode()), ROWS).expect("own encoding");
    for is_frozen in [false, true] {
        let mut memory = (Scratch::default(), Vec::new());
        let params = SearchParams::new(10, 64);
        let (scratch, found) = &mut memory;
        let first = allocation_counter::measure(|| {
            view.search(&mut rows.bind(rows.row(0)), &params, &All, scratch, found);
        });
        assert!((1..=8).contains(&first.count_total), "marks, pool and answer: {first:?}");
        let later = if is_frozen {
            allocations(&view, &rows, &All, &mut memory)
        } else {
            allocations(&hnsw, &rows, &All, &mut memory)
        };
        assert_eq!(later, 0, "frozen: {is_frozen}");
    }
}

#[test]
fn filtered_searches_take_no_memory_once_the_scratch_has_served_such_ones() {
    let rows = clustered(ROWS as usize, 8, 20, 8);
    let hnsw = Hnsw::build(&rows, &Params::default(), 1, &|_| true).expect("not stopped");
    for step in [2, 7, 100] {
        let admit = Bits::from_slots(ROWS, (0..ROWS).step_by(step));
        let mut memory = (Scratch::default(), Vec::new());
        assert!(allocations(&hnsw, &rows, &admit, &mut memory) > 0, "the counter counts");
        assert_eq!(allocations(&hnsw, &rows, &admit, &mut memory), 0, "every {step}th row admitted");
    }
}
