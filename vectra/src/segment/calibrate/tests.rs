use vectra_core::io::Blob;
use vectra_core::testing::oracle::clustered;
use vectra_hnsw::{Hnsw, Params};
use vectra_quant::{Codec, Sq8, Sq8View};

use super::nearest::{KEPT, Near};
use super::trace::{POOLS, SLACKS, case, slacks};
use super::*;
use crate::segment::calibration::WANTED;

const DIM: usize = 16;
const ROWS: u32 = 3000;

fn codes(metric: Metric) -> Sq8View {
    let codec = Sq8::new(DIM, metric);
    let vectors = clustered(ROWS as usize, DIM, 30, 0.8, 9);
    let mut bytes = vec![0; ROWS as usize * codec.row_bytes()];
    let rows = vectors.chunks_exact(DIM).zip(bytes.chunks_exact_mut(codec.row_bytes()));
    rows.for_each(|(vector, row)| codec.encode(vector, row));
    Sq8View::open(Blob::copy_of(&bytes), codec, ROWS).expect("as many rows as were encoded")
}

fn questions_of(slots: impl IntoIterator<Item = u32>) -> Vec<Question> {
    let vectors = clustered(ROWS as usize, DIM, 30, 0.8, 9);
    let of = |row: u32| Question { vector: vectors[row as usize * DIM..][..DIM].into(), row };
    slots.into_iter().map(of).collect()
}

#[test]
fn one_pass_finds_what_a_scan_for_each_query_finds() {
    use vectra_core::scorer::Scorer;
    let store = codes(Metric::L2);
    let questions = questions_of([3, 700, 2999]);
    for (question, near) in questions.iter().zip(nearest(&store, &questions)) {
        let mut scorer = store.bind(&question.vector);
        let mut all: Vec<(f32, u32)> =
            (0..ROWS).filter(|slot| *slot != question.row).map(|slot| (scorer.score(slot), slot)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        assert_eq!(near.len(), KEPT);
        let found: Vec<u32> = near.iter().map(|near| near.slot).collect();
        assert_eq!(found, all[..KEPT].iter().map(|(_, slot)| *slot).collect::<Vec<_>>());
        assert!((0..).zip(&near).all(|(rank, near)| near.rank == rank));
    }
}

#[test]
fn a_trace_tells_the_recall_of_the_walks_themselves() {
    use vectra_core::admit::All;
    use vectra_core::index::{AnnIndex, SearchParams};
    let store = codes(Metric::L2);
    let params = Params { m: 6, ef_construction: 24, seed: 1 };
    let graph = Hnsw::build(&store, &params, 1, &|_| true).expect("not stopped");
    let graph = HnswView::open(Blob::copy_of(&graph.encode()), ROWS).expect("own bytes");
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    // Outside of the graph: the row that is left out is one that nobody finds anyway.
    let shifted: Vec<Question> = questions_of((0..60).map(|i| i * 50))
        .into_iter()
        .map(|q| Question { vector: q.vector.iter().map(|x| x + 0.4).collect(), row: u32::MAX })
        .collect();
    let mut off = 0.0;
    let mut sums = [(0.0, 0.0); 12];
    for (question, near) in shifted.iter().zip(nearest(&store, &shifted)) {
        let mut scorer = store.bind(&question.vector);
        let outcome = trace(&graph, &mut scorer, question.row, &near, &mut scratch).expect("a start");
        let walks = [(5, 23), (SLACKS - 1, 3), (SLACKS - 1, 8), (20, 12), (15, 23), (25, 23)];
        let walks = [0, 1].into_iter().flat_map(|i| walks.map(|walk| (i, walk)));
        for (sum, (i, (slack, pool))) in sums.iter_mut().zip(walks) {
            let k = WANTED[i] as usize;
            let params = SearchParams::new(k, (POOLS[pool] as usize).max(k)).with_slack(k, slacks()[slack]);
            graph.search(&mut scorer, &params, &All, &mut scratch, &mut found);
            let right = near[..k].iter().filter(|near| found.iter().any(|n| n.slot == near.slot)).count();
            let foreseen = outcome.cases[case(i, slack, pool)];
            let right = right as f64 / k as f64;
            off += (f64::from(foreseen.recall) - right).abs();
            *sum = (sum.0 + f64::from(foreseen.recall) / 60.0, sum.1 + right / 60.0);
        }
    }
    // A walk that ends scores what is still in flight, of which the trace knows nothing: it finds a little more.
    assert!(off / 720.0 < 0.02, "off by {} for each walk: {sums:?}", off / 720.0);
    assert!(sums[7].1 < sums[8].1 && sums[6].1 < 0.97, "walks that miss something: {sums:?}");
}

#[test]
fn a_walk_for_one_hit_costs_what_is_foreseen() {
    use vectra_core::admit::All;
    use vectra_core::index::{AnnIndex, SearchParams};
    let store = codes(Metric::L2);
    let graph = Hnsw::build(&store, &Params { m: 6, ef_construction: 24, seed: 1 }, 1, &|_| true)
        .expect("not stopped");
    let graph = HnswView::open(Blob::copy_of(&graph.encode()), ROWS).expect("own bytes");
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let questions = questions_of((0..60).map(|i| i * 50));
    let (slack, pool) = (25, 23);
    let (mut foreseen, mut counted) = (0.0, 0);
    for (question, near) in questions.iter().zip(nearest(&store, &questions)) {
        let mut scorer = store.bind(&question.vector);
        let outcome = trace(&graph, &mut scorer, u32::MAX, &near, &mut scratch).expect("a start");
        foreseen += f64::from(outcome.cases[case(0, slack, pool)].distances);
        let params = SearchParams::new(1, POOLS[pool] as usize).with_slack(1, slacks()[slack]);
        counted += graph.search(&mut scorer, &params, &All, &mut scratch, &mut found).distances;
    }
    // The entry, which is far from everything, is taken before anything was scored: it ends no walk.
    let share = foreseen / counted as f64;
    assert!((0.75..1.25).contains(&share), "{foreseen} foreseen, {counted} counted");
}

#[test]
fn rows_as_near_as_the_last_answer_are_answers_too() {
    let store = codes(Metric::L2);
    let graph = Hnsw::build(&store, &Params::default(), 1, &|_| true).expect("not stopped");
    let graph = HnswView::open(Blob::copy_of(&graph.encode()), ROWS).expect("own bytes");
    let question = &questions_of([0])[0];
    let mut scorer = store.bind(&question.vector);
    // As if all rows were equally far: whichever are found are right.
    let near: Vec<Near> = nearest(&store, std::slice::from_ref(question))
        .remove(0)
        .into_iter()
        .map(|near| Near { exact: 1.0, ..near })
        .collect();
    let outcome = trace(&graph, &mut scorer, u32::MAX, &near, &mut Scratch::default()).expect("a start");
    for i in 0..WANTED.len() {
        let most = outcome.cases[case(i, SLACKS - 1, POOLS.len() - 1)].recall;
        assert!((most - 1.0).abs() < 1e-6, "{most}");
    }
}
