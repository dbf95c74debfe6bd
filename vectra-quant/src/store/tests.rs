use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::testing::oracle::{collinear, duplicates, uniform};
use vectra_core::testing::stores::vector_store_conformance;

use super::*;
use crate::sq::{Sq8, Sq8Rows, Sq8View};
use crate::sq4::{Sq4, Sq4Rows};

/// What every codec knows.
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

/// A section with its header.
fn section<C: Codec>(codec: &C, vectors: &[f32]) -> Vec<u8> {
    let count = vectors.len() / codec.dim();
    let mut bytes = Header { quantizer: codec.quantizer(), rows: count as u32 }.encode().to_vec();
    bytes.resize(HEADER_BYTES + count * codec.row_bytes(), 0);
    let rows = bytes[HEADER_BYTES..].chunks_exact_mut(codec.row_bytes());
    vectors.chunks_exact(codec.dim()).zip(rows).for_each(|(vector, row)| codec.encode(vector, row));
    bytes
}

/// A codec for so many dimensions.
type Of<C> = fn(usize, Metric) -> C;

fn conforms<C: Codec>(of: Of<C>, metrics: &[Metric], vectors: &[f32], dim: usize, tolerance: f64) {
    for metric in metrics {
        let codec = of(dim, *metric);
        let section = Blob::copy_of(&section(&codec, vectors));
        let view = View::open_section(&section, codec.clone()).expect("written above");
        assert_eq!(*view.codec(), codec);
        vector_store_conformance(&view, vectors, *metric, tolerance);
        vector_store_conformance(&view.rows(), vectors, *metric, tolerance);
    }
}

#[test]
fn codes_of_eight_bits_conform() {
    let conforms =
        |vectors: &[f32], dim, tolerance| conforms(Sq8::new, &Metric::ALL, vectors, dim, tolerance);
    for dim in [2, 17, 48, 64, 384] {
        conforms(&uniform(90, dim, 1), dim, 1e-2);
    }
    conforms(&duplicates(90, 20, 3, 2), 20, 1e-2);
    conforms(&collinear(90, 20, 3), 20, 1e-2);
    conforms(&uniform(90, 1, 4), 1, 1e-6);
    conforms(&[], 3, 0.0);
}

#[test]
fn codes_of_four_bits_conform() {
    let conforms = |vectors: &[f32], dim, tolerance| conforms(Sq4::new, &METRICS, vectors, dim, tolerance);
    for (dim, tolerance) in [(2, 0.1), (17, 0.1), (48, 0.08), (112, 0.06), (113, 0.06), (384, 0.04)] {
        conforms(&uniform(90, dim, 1), dim, tolerance);
    }
    conforms(&duplicates(90, 20, 3, 2), 20, 0.1);
    conforms(&collinear(90, 20, 3), 20, 0.1);
    conforms(&uniform(90, 1, 4), 1, 0.02);
    conforms(&[], 3, 0.0);
}

fn one_query_for_two_sections<C: Codec>(of: Of<C>) {
    let codec = of(10, Metric::L2);
    let (a, b) = (section(&codec, &uniform(5, 10, 1)), section(&codec, &uniform(5, 10, 2)));
    let vector = uniform(1, 10, 3);
    let query = codec.bind(&vector);
    for bytes in [a, b] {
        let rows = Rows::new(codec.clone(), &bytes[HEADER_BYTES..]);
        assert_eq!(rows.scorer(&query).score(3).to_bits(), rows.bind(&vector).score(3).to_bits());
        assert_eq!(rows.row(4), &rows.bytes()[4 * 64..]);
    }
}

#[test]
fn one_bound_query_serves_many_sections() {
    one_query_for_two_sections(Sq8::new);
    one_query_for_two_sections(Sq4::new);
}

/// [`Rows::nearest`] finds what sorting all distances finds.
fn nearest_are_those_of_all<C: Codec>(of: Of<C>) {
    let codec = of(10, Metric::L2);
    let (vectors, vector) = (uniform(2500, 10, 1), uniform(1, 10, 2));
    let bytes = section(&codec, &vectors);
    let (rows, query) = (Rows::new(codec.clone(), &bytes[HEADER_BYTES..]), codec.bind(&vector));
    let mut distances = vec![0.0; 2500];
    query.scan(rows.bytes(), &mut distances);
    let all = (0..).zip(&distances).map(|(slot, distance)| Neighbor { distance: *distance, slot });
    let mut all: Vec<Neighbor> = all.collect();
    all.sort();
    for k in [0, 1, 10, 2400, 2500, 9999] {
        assert_eq!(rows.nearest(&query, k), all[..k.min(2500)], "{k}");
    }
    assert!(Rows::new(codec, &[]).nearest(&query, 3).is_empty());
}

#[test]
fn the_nearest_of_a_scan_are_those_of_all_rows() {
    nearest_are_those_of_all(Sq8::new);
    nearest_are_those_of_all(Sq4::new);
}

#[test]
fn sections_of_other_codecs_are_refused() {
    let (eight, four) = (Sq8::new(10, Metric::L2), Sq4::new(10, Metric::L2));
    let (of_eight, of_four) = (Blob::copy_of(&section(&eight, &[])), Blob::copy_of(&section(&four, &[])));
    let error = View::open_section(&of_eight, four).expect_err("of eight bits");
    assert!(error.to_string().contains("codec SQ4"), "{error}");
    let error = View::open_section(&of_four, eight).expect_err("of four bits");
    assert!(error.to_string().contains("codec SQ8"), "{error}");
    View::open_section(&of_eight, Sq8::new(11, Metric::L2)).expect_err("of other dimensions");
    View::open_section(&of_eight, Sq8::new(10, Metric::Dot)).expect_err("of another metric");
}

fn lengths<C: Codec>(of: Of<C>) {
    let codec = of(10, Metric::L2);
    let bytes = section(&codec, &uniform(5, 10, 1));
    for len in [0, 40, 64, 65, bytes.len() - 64, bytes.len() - 1] {
        View::open_section(&Blob::copy_of(&bytes[..len]), codec.clone()).expect_err("too short");
    }
    let rows = Blob::copy_of(&bytes[HEADER_BYTES..]);
    let length = FormatError::Length { rows: 6, row_bytes: 64, expected: 384, found: 320 };
    assert_eq!(View::open(rows.clone(), codec.clone(), 6).expect_err("five rows"), length);
    assert_eq!(View::open(rows, codec.clone(), 5).expect("five rows").len(), 5);
    assert!(View::open(Blob::default(), codec, 0).expect("no rows").is_empty());
}

#[test]
fn lengths_are_checked_when_opening() {
    lengths(Sq8::new);
    lengths(Sq4::new);
}

#[test]
fn views_share_their_bytes() {
    let sq8 = Sq8::new(10, Metric::L2);
    let section = Blob::copy_of(&section(&sq8, &uniform(5, 10, 1)));
    let view = Sq8View::open_section(&section, sq8).expect("written above");
    assert_eq!(view.rows().bytes().as_ptr(), view.clone().rows().bytes().as_ptr());
    assert_eq!(view.rows().bytes().as_ptr() as usize % 64, 0, "the header keeps the alignment");
    assert!(view.is_owned());
    assert_eq!(view.to_owned_memory().rows().bytes(), view.rows().bytes());
    let shown = format!("{view:?}");
    assert!(shown.starts_with("View(5 rows of Sq8 { dim: 10, metric: L2 }, Blob"), "{shown}");
    assert_eq!(format!("{:?}", view.rows()), "Rows(5 of Sq8 { dim: 10, metric: L2 })");
}

#[test]
#[should_panic(expected = "beyond the 5 rows")]
fn expanding_a_slot_beyond_the_rows_panics() {
    let sq8 = Sq8::new(10, Metric::L2);
    let bytes = section(&sq8, &uniform(5, 10, 1));
    let rows = Sq8Rows::new(sq8, &bytes[HEADER_BYTES..]);
    rows.bind(&[0.0; 10]).expand(&Expansion::whole(0, &[5]), f32::INFINITY, &mut Pool::default());
}

#[test]
#[should_panic(expected = "beyond the 5 rows")]
fn expanding_a_slot_beyond_the_rows_of_four_bits_panics() {
    let sq4 = Sq4::new(10, Metric::L2);
    let bytes = section(&sq4, &uniform(5, 10, 1));
    let rows = Sq4Rows::new(sq4, &bytes[HEADER_BYTES..]);
    rows.bind(&[0.0; 10]).expand(&Expansion::whole(0, &[5]), f32::INFINITY, &mut Pool::default());
}

#[test]
#[should_panic(expected = "out of range")]
fn binding_a_slot_beyond_the_rows_panics() {
    Sq8Rows::new(Sq8::new(10, Metric::L2), &[]).bind_slot(0);
}

#[test]
#[should_panic(expected = "different codecs")]
fn a_query_of_another_codec_panics() {
    let query = Sq8::new(10, Metric::L1).bind(&[0.0; 10]);
    Sq8Rows::new(Sq8::new(10, Metric::L2), &[]).scorer(&query);
}

/// Opens `body` as `rows` rows, which is refused or can be searched.
fn opened_and_searched<C: Codec>(codec: C, rows: u32, body: &[u8]) {
    let header = Header { quantizer: codec.quantizer(), rows }.encode();
    let section = Blob::copy_of(&[&header[..], body].concat());
    match View::open_section(&section, codec) {
        Err(error) => assert!(body.len() != 64 * rows as usize, "{error}"),
        Ok(view) => {
            let slots: Vec<u32> = (0..rows).collect();
            let mut pool = Pool::default();
            pool.reset(8);
            let expansion = Expansion::whole(0, &slots);
            let mut scorer = view.bind(&[0.5; 30]);
            scorer.fetch(&expansion);
            scorer.expand(&expansion, f32::INFINITY, &mut pool);
            view.nearest_among(&slots, &slots, 3, &mut |_, nearest| {
                assert!(nearest.iter().all(|near| !near.distance.is_nan()));
            });
            for slot in slots {
                view.between(slot, 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused_or_a_section(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..64_usize) {
        let codec = Sq4::new(30, Metric::L2);
        View::open_section(&Blob::copy_of(&bytes), codec).expect_err("no header");
        let mut forged = section(&codec, &uniform(3, 30, 1));
        let end = (at + bytes.len()).min(forged.len());
        forged[at..end].copy_from_slice(&bytes[..end - at]);
        if let Ok(view) = View::open_section(&Blob::copy_of(&forged), codec) {
            view.between(0, 2);
        }
    }

    #[test]
    fn opening_and_searching_any_bytes_never_panics(
        body in prop::collection::vec(any::<u8>(), 0..400),
        rows in 0..5_u32,
        metric in 0..4_usize,
    ) {
        opened_and_searched(Sq8::new(30, Metric::ALL[metric]), rows, &body);
        opened_and_searched(Sq4::new(30, METRICS[metric % 3]), rows, &body);
    }
}
