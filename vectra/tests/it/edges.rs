//! Sets that no workload has and every user makes once: one row, many equal rows, rows on a line, rows of zeros; of few
//! dimensions and of many. Before and after sealing and after opening again, the default effort answers as a scan does.

use std::collections::BTreeSet;
use std::sync::Arc;

use half::f16;
use vectra::seams::MemFs;
use vectra::{Builder, ElementKind, Hit, Index, Item, ItemId, Metric, Settings};
use vectra_core::testing::oracle::{Dice, Oracle, collinear, uniform};

const DIMS: [usize; 6] = [4, 7, 64, 384, 1000, 4096];
const METRICS: [Metric; 4] = [Metric::Cosine, Metric::L2, Metric::Dot, Metric::L1];
const ELEMENTS: [ElementKind; 2] = [ElementKind::F32, ElementKind::F16];
/// A segment of so many rows is walked by its graph; of fewer, its codes are scanned.
const WALKED: usize = 1300;

/// Rows as an index stores them, and what is asked of it.
struct Set {
    what: String,
    settings: Settings,
    rows: Vec<f32>,
    questions: Vec<Question>,
}

/// A query and what a scan answers.
struct Question {
    query: Vec<f32>,
    /// The distance of each row.
    distances: Vec<f64>,
    /// The same, ascending.
    ascending: Vec<f64>,
    /// What single precision may add to a distance, by row.
    rounding: Vec<f64>,
}

impl Set {
    fn new(what: &str, metric: Metric, element: ElementKind, dim: usize, mut rows: Vec<f32>) -> Self {
        if element == ElementKind::F16 {
            rows.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
        }
        let what = format!("{} x {dim}, {what}, {metric}, {element}", rows.len() / dim);
        let settings = Settings::new(dim as u32).with_metric(metric).with_element(element);
        let oracle = Oracle::new(&rows, dim, metric);
        // What has no direction is no question under cosine.
        let asks = |query: &Vec<f32>| metric != Metric::Cosine || query.iter().any(|x| *x != 0.0);
        let questions = queries(&oracle, dim).into_iter().filter(asks);
        let questions = questions.map(|query| Question::new(&oracle, query)).collect();
        Self { what, settings, rows, questions }
    }

    /// Every stage of the set's life gives the answers of a scan.
    fn check(&self) {
        let fs = Arc::new(MemFs::new());
        let builder = || Builder::new().fs(fs.clone()).threads(1);
        let index = builder().create("/set", self.settings.clone()).expect("a new folder");
        let items = self.rows.chunks_exact(self.settings.dim as usize).enumerate();
        let items = items.map(|(n, row)| Item::new(n as u64, row)).collect();
        index.insert_items(items).unwrap_or_else(|e| panic!("{}: {e}", self.what));
        self.answers(&index, "in memory");
        index.wait_optimized().unwrap_or_else(|e| panic!("{}: {e}", self.what));
        let stats = index.stats();
        let segments = &stats.shards[0].segments;
        assert_eq!(stats.shards[0].unsealed_rows, 0, "{}", self.what);
        assert!(!segments.is_empty() && segments.iter().all(|s| s.has_graph), "{}: {stats:?}", self.what);
        self.answers(&index, "sealed");
        index.close().expect("nothing fails");
        self.answers(&builder().open("/set").expect("closed in order"), "opened again");
    }

    fn answers(&self, index: &Index, when: &str) {
        for (number, question) in self.questions.iter().enumerate() {
            let all = question.distances.len();
            for (k, exact) in [(1, false), (10, false), (10, true), (all + 3, false)] {
                let asked = index.query(&question.query).top_k(k).without_metadata();
                let asked = if exact { asked.exact() } else { asked };
                let what = format!("{}, {when}, query {number}, k = {k}, exact: {exact}", self.what);
                let hits = asked.run().unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(hits.len(), k.min(all), "{what}");
                question.compare(&hits, &what);
            }
        }
    }
}

impl Question {
    fn new(oracle: &Oracle<'_>, query: Vec<f32>) -> Self {
        let distances: Vec<f64> = (0..oracle.len()).map(|slot| oracle.distance(&query, slot)).collect();
        let mut ascending = distances.clone();
        ascending.sort_by(f64::total_cmp);
        let length = |row: &[f32]| row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        let rounding = |(slot, distance): (u32, &f64)| match oracle.metric() {
            Metric::Cosine => 2e-6,
            Metric::Dot => 1e-6 * length(&query) * length(oracle.vector(slot)),
            // Sums of differences, which are nearly exact.
            Metric::L2 | Metric::L1 => 4e-6 * distance,
        };
        let rounding = (0..).zip(&distances).map(rounding).collect();
        Self { query, distances, ascending, rounding }
    }

    /// Each hit comes once, with its own distance, and is as near as the scan's in its place.
    fn compare(&self, hits: &[Hit], what: &str) {
        let slots: BTreeSet<usize> = hits.iter().map(slot).collect();
        assert_eq!(slots.len(), hits.len(), "{what}: a hit came twice");
        for (place, (hit, best)) in hits.iter().zip(&self.ascending).enumerate() {
            let slot = slot(hit);
            let (own, rounding) = (self.distances[slot], self.rounding[slot]);
            let (found, difference) = (hit.distance, f64::from(hit.distance) - own);
            assert!(difference.abs() <= rounding, "{what}: row {slot} is at {own}, not {found}");
            assert!(own - best <= rounding, "{what}: hit {place} is at {own}, the scan's is at {best}");
        }
    }
}

/// Rows, what lies between rows, what lies opposite, and something else.
fn queries(oracle: &Oracle<'_>, dim: usize) -> Vec<Vec<f32>> {
    let [first, middle, last] = [0, oracle.len() / 2, oracle.len() - 1].map(|slot| oracle.vector(slot));
    let between = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + 0.3 * (b - a)).collect();
    let other = uniform(1, dim, 99);
    let opposite = middle.iter().map(|x| -x).collect();
    vec![first.to_vec(), between(middle, last), opposite, between(middle, &other), other]
}

fn slot(hit: &Hit) -> usize {
    match hit.id {
        ItemId::U64(number) => number as usize,
        _ => panic!("only numbers were inserted, found {}", hit.id),
    }
}

/// Rows `start + t * step` for `t` from 0 to 1: a line that does not go through the origin.
fn line(count: usize, dim: usize) -> Vec<f32> {
    let mut dice = Dice::new(5);
    let mut draw = || (0..dim).map(|_| dice.gaussian()).collect::<Vec<f32>>();
    let (start, step) = (draw(), draw());
    let at = |t: f32| start.iter().zip(&step).map(move |(a, b)| a + t * b).collect::<Vec<f32>>();
    (0..count).flat_map(|n| at(n as f32 / count as f32)).collect()
}

#[test]
fn few_rows_of_any_dimension() {
    for dim in DIMS {
        for metric in METRICS {
            for element in ELEMENTS {
                for count in [1, 2, 10] {
                    Set::new("uniform", metric, element, dim, uniform(count, dim, 3)).check();
                }
            }
        }
    }
}

/// Sets whose rows `make` gives for a number of rows and of components: under every metric, in both precisions, and more
/// rows where they are short.
fn check_all(what: &str, metrics: &[Metric], dims: &[usize], make: impl Fn(usize, usize) -> Vec<f32>) {
    for dim in dims {
        let short = [(ElementKind::F32, 1000), (ElementKind::F16, WALKED)];
        let long = [(ElementKind::F16, 1000)];
        for metric in metrics {
            for (element, count) in if *dim > 384 { &long[..] } else { &short } {
                Set::new(what, *metric, *element, *dim, make(*count, *dim)).check();
            }
        }
    }
}

#[test]
fn equal_rows() {
    check_all("equal", &METRICS, &DIMS[..5], |count, dim| uniform(1, dim, 4).repeat(count));
}

#[test]
fn equal_rows_of_the_most_components() {
    check_all("equal", &METRICS[..3], &DIMS[5..], |count, dim| uniform(1, dim, 4).repeat(count));
}

#[test]
fn rows_of_zeros() {
    check_all("zeros", &METRICS[1..], &[4, 64], |count, dim| vec![0.0; count * dim]);
}

#[test]
fn rows_on_a_ray() {
    check_all("on a ray", &METRICS, &DIMS[..5], |count, dim| collinear(count, dim, 6));
    check_all("on a ray", &METRICS[..3], &DIMS[5..], |_, dim| collinear(200, dim, 6));
}

#[test]
fn rows_on_a_line_beside_the_origin() {
    check_all("on a line", &METRICS, &DIMS[..5], line);
    check_all("on a line", &METRICS[..3], &DIMS[5..], |_, dim| line(200, dim));
}

#[test]
fn a_chosen_effort_is_not_exceeded_in_doubt() {
    let set = Set::new("equal", Metric::L2, ElementKind::F32, 8, uniform(1, 8, 4).repeat(WALKED));
    let index = Builder::new().fs(Arc::new(MemFs::new())).create("/set", set.settings.clone()).expect("new");
    let items = set.rows.chunks_exact(8).enumerate().map(|(n, row)| Item::new(n as u64, row));
    index.insert_items(items.collect()).expect("valid");
    index.wait_optimized().expect("background work");
    let reads = |asked: vectra::QueryBuilder<'_>| {
        let (hits, profile) = asked.run_profiled().expect("answered");
        assert_eq!(hits.len(), 10);
        profile.exact_reads
    };
    assert_eq!(reads(index.query(&set.rows[..8]).ef(64)), 32, "the candidates that are compared at most");
    assert_eq!(reads(index.query(&set.rows[..8])), 32 + WALKED as u64, "and then the segment");
}
