use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::testing::oracle::{collinear, duplicates, uniform};
use vectra_core::testing::stores::vector_store_conformance;

use super::*;

/// A section with its header.
fn section(sq8: Sq8, vectors: &[f32]) -> Vec<u8> {
    let count = vectors.len() / sq8.dim();
    let mut bytes = Header { quantizer: Quantizer::Sq8(sq8), rows: count as u32 }.encode().to_vec();
    bytes.resize(HEADER_BYTES + count * sq8.row_bytes(), 0);
    let rows = bytes[HEADER_BYTES..].chunks_exact_mut(sq8.row_bytes());
    vectors.chunks_exact(sq8.dim()).zip(rows).for_each(|(vector, row)| sq8.encode(vector, row));
    bytes
}

fn conforms(vectors: &[f32], dim: usize, tolerance: f64) {
    for metric in Metric::ALL {
        let sq8 = Sq8::new(dim, metric);
        let section = Blob::copy_of(&section(sq8, vectors));
        let view = Sq8View::open_section(&section).expect("written above");
        assert_eq!(view.codec(), sq8);
        vector_store_conformance(&view, vectors, metric, tolerance);
        vector_store_conformance(&view.rows(), vectors, metric, tolerance);
    }
}

#[test]
fn codes_conform() {
    for dim in [2, 17, 48, 64, 384] {
        conforms(&uniform(90, dim, 1), dim, 1e-2);
    }
    conforms(&duplicates(90, 20, 3, 2), 20, 1e-2);
    conforms(&collinear(90, 20, 3), 20, 1e-2);
    conforms(&uniform(90, 1, 4), 1, 1e-6);
    conforms(&[], 3, 0.0);
}

#[test]
fn one_bound_query_serves_many_sections() {
    let sq8 = Sq8::new(10, Metric::L2);
    let (a, b) = (section(sq8, &uniform(5, 10, 1)), section(sq8, &uniform(5, 10, 2)));
    let vector = uniform(1, 10, 3);
    let query = sq8.bind(&vector);
    for bytes in [a, b] {
        let rows = Sq8Rows::new(sq8, &bytes[HEADER_BYTES..]);
        assert_eq!(rows.scorer(&query).score(3).to_bits(), rows.bind(&vector).score(3).to_bits());
        assert_eq!(rows.row(4), &rows.bytes()[4 * 64..]);
    }
}

#[test]
fn lengths_are_checked_when_opening() {
    let sq8 = Sq8::new(10, Metric::L2);
    let bytes = section(sq8, &uniform(5, 10, 1));
    for len in [0, 40, 64, 65, bytes.len() - 64, bytes.len() - 1] {
        Sq8View::open_section(&Blob::copy_of(&bytes[..len])).expect_err("too short");
    }
    let rows = Blob::copy_of(&bytes[HEADER_BYTES..]);
    let length = FormatError::Length { rows: 6, row_bytes: 64, expected: 384, found: 320 };
    assert_eq!(Sq8View::open(rows.clone(), sq8, 6).expect_err("five rows"), length);
    assert_eq!(Sq8View::open(rows, sq8, 5).expect("five rows").len(), 5);
    assert!(Sq8View::open(Blob::default(), sq8, 0).expect("no rows").is_empty());
}

#[test]
fn views_share_their_bytes() {
    let sq8 = Sq8::new(10, Metric::L2);
    let view =
        Sq8View::open_section(&Blob::copy_of(&section(sq8, &uniform(5, 10, 1)))).expect("written above");
    assert_eq!(view.rows().bytes().as_ptr(), view.clone().rows().bytes().as_ptr());
    assert_eq!(view.rows().bytes().as_ptr() as usize % 64, 0, "the header keeps the alignment");
    assert!(view.is_owned());
    assert_eq!(view.to_owned_memory().rows().bytes(), view.rows().bytes());
    assert!(
        format!("{view:?} {:?}", view.rows())
            .starts_with("Sq8View(5 rows of Sq8 { dim: 10, metric: L2 }, Blob")
    );
}

#[test]
#[should_panic(expected = "beyond the 5 rows")]
fn expanding_a_slot_beyond_the_rows_panics() {
    let sq8 = Sq8::new(10, Metric::L2);
    let bytes = section(sq8, &uniform(5, 10, 1));
    let rows = Sq8Rows::new(sq8, &bytes[HEADER_BYTES..]);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn opening_and_searching_any_bytes_never_panics(
        body in prop::collection::vec(any::<u8>(), 0..400),
        rows in 0..5_u32,
        metric in 0..4_usize,
    ) {
        let sq8 = Sq8::new(30, Metric::ALL[metric]);
        let header = Header { quantizer: Quantizer::Sq8(sq8), rows }.encode();
        let section = Blob::copy_of(&[&header[..], &body].concat());
        match Sq8View::open_section(&section) {
            Err(error) => prop_assert!(body.len() != 64 * rows as usize, "{}", error),
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
                for slot in slots { view.between(slot, 0); }
            }
        }
    }
}
