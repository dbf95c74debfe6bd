//! Codes of one to eight bits: what bytes they have, what the document says of these, and what they find.

use vectra_core::Metric;
use vectra_core::admit::All;
use vectra_core::codec::digest;
use vectra_core::env::{Rng, SeededRng};
use vectra_core::index::{AnnIndex, Flat, FlatScratch, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_core::testing::oracle::{Oracle, clustered, collinear, duplicates, uniform};
use vectra_core::testing::stores::ann_index_conformance;
use vectra_quant::pruned::Candidates;
use vectra_quant::rabitq::SignBlocks;
use vectra_quant::{
    Codec, Coded, Coder, Estimate, Header, Quantizer, RaBitQ, RaBitQRows, RaBitQView, Rotated, Rotation,
};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn coder(vectors: &[f32], dim: usize, bits: u32, metric: Metric) -> Coder<RaBitQ> {
    let rotated = Rotated::fit(vectors, dim, metric, 17);
    let codec = RaBitQ::new(rotated.padded(), bits, metric);
    Coder::rotated(rotated, codec)
}

fn rows(coder: &Coder<RaBitQ>, vectors: &[f32]) -> Vec<u8> {
    let stride = coder.codec().row_bytes();
    let mut rows = vec![0; vectors.len() / coder.dim() * stride];
    let pairs = vectors.chunks_exact(coder.dim()).zip(rows.chunks_exact_mut(stride));
    pairs.for_each(|(vector, row)| coder.encode(vector, row));
    rows
}

/// A section of four vectors of 160 components, which are sums of powers of two.
fn section(bits: u32, metric: Metric) -> Vec<u8> {
    let codec = RaBitQ::new(160, bits, metric);
    let header = Header { quantizer: Quantizer::RaBitQ(codec), rows: 4 };
    [&header.encode()[..], &rows(&Coder::direct(codec), &uniform(4, 160, 42))].concat()
}

#[test]
fn sections_have_the_bytes_of_version_1() {
    let found: Vec<String> = METRICS
        .iter()
        .flat_map(|metric| (1..=8).map(|bits| digest(&section(bits, *metric)).to_string()))
        .collect();
    assert_eq!(
        digest(found.concat().as_bytes()).to_string(),
        "0e64e2d690cb75524d4caf76db1cafae",
        "{found:#?}"
    );
}

#[test]
fn rotated_sections_have_the_bytes_of_version_1() {
    let mut all = Vec::new();
    for metric in METRICS {
        for dim in [20, 64, 100, 384] {
            let vectors = uniform(4, dim, 43);
            let coder = coder(&vectors, dim, 1, metric);
            let rows = rows(&coder, &vectors);
            all.extend(coder.rotation().expect("made so").to_section());
            all.extend(&rows);
            all.extend(SignBlocks::pack(RaBitQRows::new(*coder.codec(), &rows)).to_section());
        }
    }
    assert_eq!(digest(&all).to_string(), "6e03eae594646aa61017d03716ccef74");
}

#[test]
fn a_section_says_what_it_is() {
    for bits in 1..=8 {
        let bytes = section(bits, Metric::Dot);
        let codec = RaBitQ::new(160, bits, Metric::Dot);
        assert_eq!(Header::decode(&bytes).expect("written above").quantizer, Quantizer::RaBitQ(codec));
        let view = RaBitQView::open_section(&Blob::copy_of(&bytes), codec).expect("written above");
        assert_eq!((view.len(), view.dim()), (4, 160));
        let other = RaBitQ::new(160, bits % 8 + 1, Metric::Dot);
        assert!(RaBitQView::open_section(&Blob::copy_of(&bytes), other).is_err());
    }
}

/// The planes of a row as the format document describes them: width and first byte.
fn planes_by_the_book(dim: usize, bits: u32) -> (Vec<(usize, usize)>, usize) {
    let widths: &[usize] = match bits {
        1 => &[1],
        2 => &[2],
        3 => &[2, 1],
        4 => &[4],
        5 => &[4, 1],
        6 => &[4, 2],
        7 => &[4, 2, 1],
        _ => &[4, 4],
    };
    let place = |step: usize| {
        let (mut planes, mut end) = (Vec::new(), 0_usize);
        for width in widths {
            let start = end.div_ceil(step) * step;
            planes.push((*width, start));
            end = start + dim.div_ceil(8 / width);
        }
        (planes, (end + 12).div_ceil(64) * 64)
    };
    let (aligned, packed) = (place(64), place(1));
    if packed.1 < aligned.1 { packed } else { aligned }
}

/// The code of a component, bit by bit.
fn code_by_the_book(row: &[u8], dim: usize, bits: u32, component: usize) -> u8 {
    let mut code = 0;
    for (width, start) in planes_by_the_book(dim, bits).0 {
        let (fields, end) = (8 / width, start + dim.div_ceil(8 / width));
        let (mut from, mut first) = (start, 0);
        loop {
            let until = end.min((from / 64 + 1) * 64);
            let b = until - from;
            if component < first + fields * b {
                let (field, byte) = ((component - first) / b, (component - first) % b);
                code = code << width | row[from + byte] >> (width * field) & ((1 << width) - 1);
                break;
            }
            (from, first) = (until, first + fields * b);
        }
    }
    code
}

#[test]
fn rows_follow_the_document() {
    for (dim, bits) in
        [(1, 8), (100, 1), (128, 3), (160, 7), (192, 3), (384, 5), (417, 1), (384, 6), (768, 8)]
    {
        let coder = Coder::direct(RaBitQ::new(dim, bits, Metric::L2));
        assert_eq!(coder.codec().row_bytes(), planes_by_the_book(dim, bits).1);
        for vector in uniform(5, dim, dim as u64).chunks_exact(dim) {
            let row = rows(&coder, vector);
            let middle = f64::from((1_u32 << bits) - 1) / 2.0;
            let levels: Vec<f64> =
                (0..dim).map(|i| f64::from(code_by_the_book(&row, dim, bits, i)) - middle).collect();
            let product =
                |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| (0..dim).map(|i| a(i) * b(i)).sum();
            let (x, v) = (|i: usize| f64::from(vector[i]), |i: usize| levels[i]);
            let (energy, along, squares): (f64, f64, f64) =
                (product(&x, &x), product(&x, &v), product(&v, &v));
            let float = |behind: usize| {
                let bytes = row[row.len() - behind..][..4].try_into().expect("four bytes");
                f64::from(f32::from_le_bytes(bytes))
            };
            let scale = energy / along;
            assert!((float(12) - energy).abs() <= 1e-6 * energy);
            assert!((float(8) - scale).abs() <= 1e-6 * scale, "{dim} {bits}: {} for {scale}", float(8));
            let least = [0.42_f64, 0.24, 0.134, 0.0735, 0.039, 0.02, 0.01, 0.005][bits as usize - 1];
            let sine = (1.0 - along * along / (energy * squares)).max(least * least);
            let error = (scale * scale * squares * sine / (dim as f64 - 1.0).max(1.0)).sqrt();
            assert!((float(4) - error).abs() <= 1e-3 * error, "{dim} {bits}: {} for {error}", float(4));
        }
    }
}

/// A rotation as the format document describes it, in `f64`.
fn rotation_by_the_book(vector: &[f32], seed: u64) -> Vec<f64> {
    let n = vector.len().div_ceil(64) * 64;
    let p = 1_usize << n.ilog2();
    let mut x: Vec<f64> = vector.iter().map(|x| f64::from(*x)).collect();
    x.resize(n, 0.0);
    let rng = SeededRng::new(seed);
    for round in 0..if p == n { 3 } else { 4 } {
        for block in x.chunks_mut(64) {
            let bits = rng.next_u64();
            block.iter_mut().enumerate().filter(|(i, _)| bits >> i & 1 == 1).for_each(|(_, x)| *x = -*x);
        }
        let first = if round % 2 == 0 { 0 } else { n - p };
        let before = x[first..first + p].to_vec();
        for (i, x) in x[first..first + p].iter_mut().enumerate() {
            let sign = |j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            *x = before.iter().enumerate().map(|(j, y)| sign(j) * y).sum::<f64>() / (p as f64).sqrt();
        }
        for i in 0..if p < n { n / 2 } else { 0 } {
            let (a, b) = (x[i], x[n / 2 + i]);
            (x[i], x[n / 2 + i]) = ((a + b) / 2.0_f64.sqrt(), (a - b) / 2.0_f64.sqrt());
        }
    }
    x
}

#[test]
fn rotations_follow_the_document() {
    for dim in [1, 64, 100, 160, 384, 512] {
        let vector = uniform(1, dim, 3);
        let rotation = Rotation::new(dim, 0xdead_beef);
        let mut found = vec![0.0; rotation.padded()];
        rotation.apply(&vector, &mut found);
        let expected = rotation_by_the_book(&vector, 0xdead_beef);
        assert!(found.iter().zip(&expected).all(|(x, y)| (f64::from(*x) - y).abs() < 1e-5), "{dim}");
    }
}

/// The share of the true neighbours among the nearest by codes.
fn recall(vectors: &[f32], queries: &[f32], dim: usize, bits: u32, metric: Metric) -> f64 {
    let (coder, oracle) = (coder(vectors, dim, bits, metric), Oracle::new(vectors, dim, metric));
    let rows = rows(&coder, vectors);
    let store = Coded::new(&coder, RaBitQRows::new(*coder.codec(), &rows));
    let (mut scratch, mut out, mut sum) = (FlatScratch::default(), Vec::new(), 0.0);
    for query in queries.chunks_exact(dim) {
        let params = SearchParams::new(10, 10);
        let flat = Flat::new(store.len() as u32);
        flat.search(&mut store.bind(query), &params, &All, &mut scratch, &mut out);
        let slots: Vec<u32> = out.iter().map(|found| found.slot).collect();
        sum += oracle.recall(query, 10, &slots, |_| true);
    }
    sum / (queries.len() / dim) as f64
}

#[test]
fn more_bits_find_more() {
    let all = clustered(2020, 96, 30, 0.5, 1);
    let (vectors, queries) = all.split_at(2000 * 96);
    for metric in METRICS {
        let found = [1, 2, 4, 6, 8].map(|bits| recall(vectors, queries, 96, bits, metric));
        let least = [0.35, 0.55, 0.8, 0.9, 0.97];
        assert!(found.iter().zip(least).all(|(found, least)| *found >= least), "{metric}: {found:?}");
        assert!(found.is_sorted(), "{metric}: {found:?}");
    }
}

#[test]
fn a_flat_search_over_codes_keeps_every_promise_of_an_index() {
    let (vectors, queries) = (uniform(500, 64, 4), uniform(10, 64, 5));
    for metric in METRICS {
        let coder = coder(&vectors, 64, 7, metric);
        let rows = rows(&coder, &vectors);
        let store = Coded::new(&coder, RaBitQRows::new(*coder.codec(), &rows));
        ann_index_conformance(&Flat::new(500), &store, &Oracle::new(&vectors, 64, metric), &queries, 1, 0.9);
    }
}

/// What a scan of one bit and a pruned re-rank find, of vectors of which many are the same, or near to nothing.
#[test]
fn degenerate_sets_are_searched() {
    let constant = |x: f32| vec![x; 300 * 40];
    let mut one_alive = constant(0.25);
    one_alive.iter_mut().step_by(40).enumerate().for_each(|(i, x)| *x = i as f32);
    let sets = [
        ("duplicates", 40, duplicates(300, 40, 7, 1)),
        ("one ray", 40, collinear(300, 40, 2)),
        ("all equal", 40, constant(3.0)),
        ("zeros", 40, constant(0.0)),
        ("tiny", 40, uniform(300, 40, 3).iter().map(|x| x * 1e-38).collect()),
        ("huge", 40, uniform(300, 40, 4).iter().map(|x| x * 1e15).collect()),
        ("one component", 1, uniform(300, 1, 5)),
        ("constant but for one", 40, one_alive),
        ("long", 4096, uniform(100, 4096, 6)),
    ];
    for (name, dim, vectors) in sets {
        for metric in METRICS {
            let (coder, oracle) = (coder(&vectors, dim, 1, metric), Oracle::new(&vectors, dim, metric));
            let rows = rows(&coder, &vectors);
            let blocks = SignBlocks::pack(RaBitQRows::new(*coder.codec(), &rows));
            let mut estimates = vec![Estimate::default(); blocks.len()];
            let (mut sum, mut wanted) = (0, 0);
            for query in vectors.chunks_exact(dim).step_by(29) {
                let bound = coder.bind(query).with_eps(4.0);
                let size = if metric == Metric::Cosine {
                    1.0
                } else {
                    -Oracle::new(query, dim, Metric::Dot).distance(query, 0)
                };
                // What differs by what an `f32` rounds is the same.
                let worst = oracle.nearest(query, 5, |_| true)[4].distance + 1e-6 * size + 1e-38;
                bound.estimate_all(&rows, &mut estimates);
                assert!(
                    estimates.iter().all(|e| e.distance.is_finite() && e.error.is_finite()),
                    "{name} {metric}"
                );
                let mut candidates = Candidates::new(5);
                (0..).zip(&estimates).for_each(|(slot, estimate)| candidates.push(slot, *estimate));
                for candidates in [candidates, blocks.candidates(&bound.signs(), 5, |_| true)] {
                    let found = candidates.rerank(|slot| oracle.distance(query, slot) as f32);
                    sum += found.nearest.iter().filter(|found| f64::from(found.distance) <= worst).count();
                    wanted += 5;
                }
            }
            assert!(20 * sum >= 19 * wanted, "{name} {metric}: {sum} of {wanted}");
        }
    }
}
