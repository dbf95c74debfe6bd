use proptest::prelude::*;
use vectra_core::scorer::{VectorStore, by_scoring};
use vectra_core::testing::oracle::uniform;

use super::super::codec::Sq8;
use super::*;

fn rows(codec: Sq8, count: usize, seed: u64) -> Vec<u8> {
    let mut rows = vec![0; count * codec.row_bytes()];
    let vectors = uniform(count, codec.dim(), seed);
    let pairs = vectors.chunks_exact(codec.dim()).zip(rows.chunks_exact_mut(codec.row_bytes()));
    pairs.for_each(|(vector, row)| codec.encode(vector, row));
    rows
}

type Found = Vec<(usize, Vec<Neighbor>)>;

fn found(search: impl FnOnce(&mut dyn FnMut(usize, &[Neighbor]))) -> Found {
    let mut all = Vec::new();
    search(&mut |i, nearest| all.push((i, nearest.to_vec())));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_nearest_among_columns_are_those_of_scoring_one_by_one(
        metric in 0..4_usize, dim in 1..140_usize, count in 1..150_usize, k in 0..80_usize, seed in 0..1000_u64,
        picks in prop::collection::vec((any::<u32>(), any::<u32>()), 0..150),
    ) {
        let codec = Sq8::new(dim, Metric::ALL[metric]);
        let bytes = rows(codec, count, seed);
        let store = Sq8Rows::new(codec, &bytes);
        let asked: Vec<u32> = picks.iter().map(|(row, _)| row % count as u32).collect();
        let mut columns: Vec<u32> = picks.iter().map(|(_, column)| column % count as u32).collect();
        columns.sort_unstable();
        columns.dedup();
        let fast = found(|give| store.nearest_among(&asked, &columns, k, give));
        let slow = found(|give| by_scoring(&store, &asked, &columns, k, give));
        prop_assert_eq!(fast, slow);
    }

    #[test]
    fn distances_between_rows_are_those_of_scoring(metric in 0..4_usize, dim in 1..200_usize, seed in 0..1000_u64) {
        let codec = Sq8::new(dim, Metric::ALL[metric]);
        let bytes = rows(codec, 9, seed);
        let store = Sq8Rows::new(codec, &bytes);
        for (a, b) in (0..9).flat_map(|a| (0..9).map(move |b| (a, b))) {
            let scored = vectra_core::scorer::Scorer::score(&mut store.bind_slot(a), b);
            prop_assert_eq!(store.between(a, b).to_bits(), scored.to_bits());
        }
    }
}

#[test]
fn every_kernel_gives_the_bits_of_scoring() {
    for (metric, dim) in [(Metric::L2, 90), (Metric::Cosine, 33), (Metric::Dot, 64)] {
        let codec = Sq8::new(dim, metric);
        let bytes = rows(codec, 70, 5);
        let store = Sq8Rows::new(codec, &bytes);
        let columns: Vec<u32> = (0..70).collect();
        let mut cross = Cross::new(&store, &columns);
        for kernel in crate::sq::kernel::all_kernels() {
            cross.kernels = kernel;
            cross.meet(&[3, 1, 2]);
            for (i, row) in [3, 1, 2].into_iter().enumerate() {
                let scored = columns.iter().map(|column| store.between(row, *column).to_bits());
                let found = &cross.distances[i * cross.columns.padded()..][..70];
                assert!(found.iter().map(|d| d.to_bits()).eq(scored), "{} {metric}", kernel.name());
                let (mut nearest, mut expected) = (Vec::new(), Vec::new());
                cross.nearest(i, 4, row, &columns, &mut nearest);
                by_scoring(&store, &[row], &columns, 4, &mut |_, near| expected.extend_from_slice(near));
                assert_eq!(nearest, expected, "{} {metric}", kernel.name());
            }
        }
    }
}

#[test]
fn equal_rows_come_in_the_order_of_their_slots_from_the_own_on() {
    let codec = Sq8::new(20, Metric::L2);
    let one = rows(codec, 1, 3);
    let bytes = one.repeat(300);
    let columns: Vec<u32> = (0..300).rev().collect();
    let store = Sq8Rows::new(codec, &bytes);
    let all = found(|give| store.nearest_among(&[2, 297], &columns, 4, give));
    let slots: Vec<Vec<u32>> =
        all.iter().map(|(_, nearest)| nearest.iter().map(|n| n.slot).collect()).collect();
    assert_eq!(slots, [vec![3, 4, 5, 6], vec![298, 299, 0, 1]]);
}
