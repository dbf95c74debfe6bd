//! Codes that are chosen, and changed while the index is in use.

use std::path::Path;

use vectra::{Builder, ErrorKind, Index, Item, Metric, Quantization, Reader, Settings};
use vectra_core::testing::oracle::{Oracle, clustered};

const DIM: usize = 48;
const ROWS: usize = 4000;
const QUERIES: usize = 50;
const CHOICES: [(Quantization, &str); 6] = [
    (Quantization::Sq4, "sq4"),
    (Quantization::RaBitQ { bits: 1 }, "rabitq-1"),
    (Quantization::RaBitQ { bits: 5 }, "rabitq-5"),
    (Quantization::Sq8, "sq8"),
    (Quantization::RaBitQ { bits: 8 }, "rabitq-8"),
    (Quantization::Auto, "sq8"),
];

fn vectors() -> Vec<f32> {
    let mut all = clustered(ROWS + QUERIES, DIM, 40, 0.6, 5);
    all.truncate(ROWS * DIM);
    all
}

/// Of the same kind.
fn queries() -> Vec<f32> {
    clustered(ROWS + QUERIES, DIM, 40, 0.6, 5)[ROWS * DIM..].to_vec()
}

fn filled(root: &Path, settings: Settings) -> Index {
    let index = Builder::new().threads(1).create(root, settings).expect("a new folder");
    let vectors = vectors();
    let items = vectors.chunks_exact(DIM).enumerate().map(|(n, row)| Item::new(n as u64, row));
    index.insert_items(items.collect()).expect("new ids");
    index.wait_optimized().expect("a healthy disk");
    index
}

/// The codecs of all segments.
fn codecs(index: &Index) -> Vec<&'static str> {
    let stats = index.stats();
    let segments = stats.shards.iter().flat_map(|shard| &shard.segments);
    segments.map(|segment| segment.codes.expect("sealed with codes").codec).collect()
}

/// The share of the ten nearest that some queries find.
fn recall(index: &Index) -> f64 {
    let (rows, queries) = (vectors(), queries());
    let oracle = Oracle::new(&rows, DIM, Metric::Cosine);
    let found = queries.chunks_exact(DIM).map(|query| {
        let hits = index.query(query).top_k(10).run().expect("answered");
        let slots: Vec<u32> =
            hits.iter().map(|hit| hit.id.to_string().parse().expect("ids are numbers")).collect();
        oracle.recall(query, 10, &slots, |_| true)
    });
    found.sum::<f64>() / QUERIES as f64
}

#[test]
fn a_chosen_codec_is_kept_and_changed_while_queries_go_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    let mut index = filled(&root, Settings::new(DIM as u32).with_quantization(Quantization::Sq4));
    assert_eq!(codecs(&index), ["sq4"]);
    for (chosen, codec) in CHOICES {
        index.set_quantization(chosen, None).expect("a healthy disk");
        // Codes of one kind or the other: the answers are exact distances.
        let found = recall(&index);
        assert!(found > 0.98, "{chosen} is on its way: {found}");
        index.wait_optimized().expect("a healthy disk");
        assert_eq!((codecs(&index), index.quantization()), (vec![codec], (chosen, None)));
        let found = recall(&index);
        assert!(found > 0.98, "{chosen}: {found}");
        index.close().expect("a healthy disk");
        let reader = Reader::open(&root).expect("an index");
        assert_eq!(reader.settings().quantization, chosen);
        drop(reader);
        index = Builder::new().threads(1).open(&root).expect("an index");
        assert_eq!((codecs(&index), index.quantization()), (vec![codec], (chosen, None)));
    }
    index.close().expect("a healthy disk");
    let report = vectra::verify_deep(&root).expect("an index");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn what_was_chosen_before_a_crash_is_done_after_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    let index = filled(&root, Settings::new(DIM as u32));
    index.set_quantization(Quantization::Sq4, Some(1 << 20)).expect("a healthy disk");
    // Closed, perhaps, before anything was encoded.
    index.close().expect("a healthy disk");
    let index = Builder::new().threads(1).open(&root).expect("an index");
    assert_eq!(index.quantization(), (Quantization::Sq4, Some(1 << 20)));
    index.wait_optimized().expect("a healthy disk");
    assert_eq!(codecs(&index), ["sq4"]);
    let merged = vectors()[..DIM].to_vec();
    index.upsert_item(Item::new(7_u64, merged)).expect("room");
    index.compact().expect("a healthy disk");
    assert_eq!(codecs(&index), ["sq4"], "what is merged later, too");
}

/// Bytes of codes and graphs.
fn searched_bytes(index: &Index) -> u64 {
    let stats = index.stats();
    let segments = stats.shards.iter().flat_map(|shard| &shard.segments);
    let bytes = segments.map(|segment| {
        let codes = segment.codes.expect("sealed with codes");
        u64::from(segment.rows) * codes.row_bytes as u64 + segment.graph_bytes
    });
    bytes.sum()
}

#[test]
fn stats_say_what_codes_take_also_to_readers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    let index = filled(&root, Settings::new(DIM as u32));
    let reader = Reader::open(&root).expect("an index");
    let all = searched_bytes(&index);
    for (asked, budget, codec, fits) in [
        (Quantization::Sq4, None, "sq4", true),
        (Quantization::RaBitQ { bits: 3 }, Some(5), "rabitq-3", false),
        (Quantization::Auto, Some(5), "rabitq-1", false),
        (Quantization::Auto, Some(all), "sq8", true),
    ] {
        index.set_quantization(asked, budget).expect("a healthy disk");
        index.wait_optimized().expect("a healthy disk");
        let stats = index.stats();
        let sums = stats.quantization;
        assert_eq!((sums.asked, sums.memory_budget_bytes, sums.fits), (asked, budget, fits));
        assert_eq!((sums.bytes(), sums.f32_bytes), (searched_bytes(&index), (4 * ROWS * DIM) as u64));
        let codes = stats.shards[0].segments[0].codes.expect("sealed with codes");
        assert_eq!((codes.codec, codes.projected, codes.rotated), (codec, false, codec != "sq8"));
        let chosen = if codec == "rabitq-1" { Quantization::RaBitQ { bits: 1 } } else { asked };
        assert_eq!((codes.chosen, codes.finer_row_bytes.is_some()), (chosen, codec.starts_with("rabitq")));
        assert!(reader.refresh().expect("a healthy disk"), "another generation");
        assert_eq!(reader.stats().quantization, sums);
        assert_eq!(reader.stats().shards[0].segments[0].codes, Some(codes));
        assert_eq!(reader.settings().quantization, asked);
    }
}

#[test]
fn codes_shrink_and_grow_with_the_budget() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let index = filled(&dir.path().join("index"), Settings::new(DIM as u32));
    let all = searched_bytes(&index);
    let graph = all - ROWS as u64 * 64;
    // 48 components are 64 after the rotation.
    for (row, codec) in [(64, "sq8"), (63, "rabitq-1"), (64, "sq8"), (0, "rabitq-1")] {
        index.set_quantization(Quantization::Auto, Some(graph + ROWS as u64 * row)).expect("a healthy disk");
        index.wait_optimized().expect("a healthy disk");
        assert_eq!(codecs(&index), [codec], "{row} bytes a row");
        assert!(searched_bytes(&index) <= all);
        let found = recall(&index);
        assert!(found > 0.98, "{codec}: {found}");
    }
    index.set_quantization(Quantization::Auto, None).expect("a healthy disk");
    index.wait_optimized().expect("a healthy disk");
    assert_eq!(codecs(&index), ["sq8"]);
}

#[test]
fn a_metric_without_such_codes_is_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::new(DIM as u32).with_metric(Metric::L1);
    let refused = Index::create(dir.path().join("a"), settings.clone().with_quantization(Quantization::Sq4));
    assert_eq!(refused.map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Invalid));
    let index = Index::create(dir.path().join("b"), settings).expect("a new folder");
    let error = index.set_quantization(Quantization::Sq4, None).expect_err("no products");
    assert!(error.to_string().contains("use auto or sq8"), "{error}");
    assert_eq!(index.quantization(), (Quantization::Auto, None));
}
