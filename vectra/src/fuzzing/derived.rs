//! Codes and graphs: whatever they hold, a search comes to an end and names only rows that exist.

use vectra_core::Metric;
use vectra_core::admit::{All, Bits};
use vectra_core::codec::crc32c;
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_hnsw::{Hnsw, HnswView, Params};
use vectra_quant::{
    Binary, CodeQuery, Codec, Coder, Header, Projection, Quantizer, RaBitQ, Rotated, Sq4, Sq8, Sq8View, View,
};

use crate::segment::calibration::{Calibration, Rule, TARGETS, WANTED};

/// A calibration behind the byte that says whether its sum is made right.
pub(super) fn calibration(bytes: &[u8]) {
    let Some((repair, section)) = bytes.split_first() else { return };
    let mut section = section.to_vec();
    let body = section.len().saturating_sub(4);
    repair_sum(&mut section, *repair, body);
    let Ok(table) = Calibration::decode(&section) else { return };
    for (k, target, first) in [(1, 0.5, f32::NEG_INFINITY), (10, 0.95, 0.5), (1000, 0.999, f32::NAN)] {
        let params = table.rule(k, target, first).params(k);
        assert!(
            params.slack >= 0.0 && params.k >= k && params.k <= params.ef_search,
            "a walk that can be made"
        );
    }
    assert_eq!(table.encode(), section, "one table has one encoding");
}

/// A section of codes behind the byte that says whether its header's sum is made right.
pub(super) fn codes(bytes: &[u8]) {
    let Some((repair, section)) = bytes.split_first() else { return };
    let mut section = section.to_vec();
    repair_sum(&mut section, *repair, 60);
    let section = Blob::copy_of(&section);
    match Header::decode(&section).map(|header| header.quantizer) {
        Ok(Quantizer::Sq8(codec)) => score(&section, codec),
        Ok(Quantizer::Sq4(codec)) => score(&section, codec),
        Ok(Quantizer::RaBitQ(codec)) => score(&section, codec),
        Ok(Quantizer::Binary(codec)) => score(&section, codec),
        Ok(_) | Err(_) => (),
    }
}

/// Scores some rows, if there are rows.
fn score<C: Codec>(section: &Blob, codec: C) {
    let Ok(view) = View::open_section(section, codec) else { return };
    let query = vec![0.5; view.dim()];
    let mut scorer = view.bind(&query);
    for slot in 0..view.len().min(8) as u32 {
        _ = scorer.score(slot);
    }
    if !view.is_empty() {
        _ = view.bind_slot(0).score(view.len() as u32 - 1);
    }
}

/// A projection behind the byte that says whether its header's sum is made right.
pub(super) fn projection(bytes: &[u8]) {
    let Some((repair, section)) = bytes.split_first() else { return };
    let mut section = section.to_vec();
    repair_sum(&mut section, *repair, 60);
    let Ok(projection) = Projection::open_section(&Blob::copy_of(&section)) else { return };
    let (dim, metric) = (projection.kept(), projection.metric());
    encode_and_score(&projection, &Sq8::new(dim, metric));
    encode_and_score(&projection, &Sq4::new(dim, metric));
}

fn encode_and_score<C: Codec>(projection: &Projection, codec: &C) {
    let (vector, mut row) = (vec![0.5; projection.dim()], vec![0; codec.row_bytes()]);
    projection.encode(codec, &vector, &mut row);
    _ = projection.bind(codec, &vector).score_row(&row);
}

/// A rotation behind the byte that says whether its header's sum is made right.
pub(super) fn rotation(bytes: &[u8]) {
    let Some((repair, section)) = bytes.split_first() else { return };
    let mut section = section.to_vec();
    if section.len() >= 64 && repair & 1 == 1 {
        let centre = crc32c(&section[64..]);
        section[12..16].copy_from_slice(&centre.to_le_bytes());
    }
    repair_sum(&mut section, *repair, 60);
    let Ok(rotated) = Rotated::open_section(&Blob::copy_of(&section)) else { return };
    let codec = RaBitQ::new(rotated.padded(), 3, rotated.metric());
    assert_eq!(rotated.to_section(), section, "one rotation has one encoding");
    let coder = Coder::rotated(rotated, codec);
    let (vector, mut row) = (vec![0.5; coder.dim()], vec![0; coder.codec().row_bytes()]);
    coder.encode(&vector, &mut row);
    _ = coder.bind(&vector).score_row(&row);
}

/// A graph over the rows that its header states, behind the byte that says whether its header's sum is made right.
pub(super) fn graph(bytes: &[u8]) {
    let Some((repair, section)) = bytes.split_first() else { return };
    let mut section = section.to_vec();
    repair_sum(&mut section, *repair, 124);
    let rows = section.get(12..16).map_or(0, |b| u32::from_le_bytes(b.try_into().expect("four bytes")));
    let Ok(view) = HnswView::open(Blob::copy_of(&section), rows) else { return };
    let sound = view.verify().is_ok();
    let store = store(rows);
    let (mut scratch, mut found) = (<HnswView as AnnIndex>::Scratch::default(), Vec::new());
    let query = [0.25, -1.0];
    let mut scorer = store.bind(&query);
    let odd = Bits::from_slots(rows, (0..rows).filter(|slot| slot % 2 == 1));
    for (k, ef) in [(1, 1), (5, 20), (40, 40)] {
        let params = SearchParams::new(k, ef);
        view.search(&mut scorer, &params, &All, &mut scratch, &mut found);
        assert!(found.len() <= k && found.iter().all(|hit| hit.slot < rows), "rows that exist");
        assert!(!sound || rows == 0 || !found.is_empty(), "a sound graph leads somewhere");
        view.search(&mut scorer, &params, &odd, &mut scratch, &mut found);
        assert!(found.iter().all(|hit| hit.slot < rows && hit.slot % 2 == 1), "admitted rows that exist");
    }
    _ = view.stats();
}

fn repair_sum(section: &mut [u8], repair: u8, at: usize) {
    if repair & 1 == 1 && section.len() >= at + 4 {
        let sum = crc32c(&section[..at]);
        section[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Codes of `rows` rows of two components.
fn store(rows: u32) -> Sq8View {
    let codec = Sq8::new(2, Metric::L2);
    let mut bytes = vec![0; rows as usize * codec.row_bytes()];
    for (slot, row) in bytes.chunks_exact_mut(codec.row_bytes()).enumerate() {
        codec.encode(&[slot as f32, (slot * 7 % 5) as f32], row);
    }
    Sq8View::open(Blob::copy_of(&bytes), codec, rows).expect("as many rows as were encoded")
}

/// A section of two rows.
fn rows_of<C: Codec>(codec: &C) -> Vec<u8> {
    let header = Header { quantizer: codec.quantizer(), rows: 2 }.encode();
    let vector: Vec<f32> = [0.5, -1.0].into_iter().cycle().take(codec.dim()).collect();
    let mut rows = vec![0; 2 * codec.row_bytes()];
    rows.chunks_exact_mut(codec.row_bytes()).for_each(|row| codec.encode(&vector, row));
    [&header[..], &rows].concat()
}

/// Sections of sixty rows and fewer.
pub(super) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let behind = |bytes: &[u8]| [&[1], bytes].concat();
    let store = store(60);
    let codec = store.codec();
    let header = Header { quantizer: codec.quantizer(), rows: 3 }.encode();
    let codes = [&header[..], &store.rows().bytes()[..3 * codec.row_bytes()]].concat();
    let of_four_bits = rows_of(&Sq4::new(2, Metric::L2));
    let [of_three_bits, of_signs] =
        [rows_of(&RaBitQ::new(64, 3, Metric::L2)), rows_of(&Binary::new(5, Metric::Cosine))];
    let rotation = Rotated::new(&[0.5, -1.0, 0.25], Metric::L2, 7).to_section();
    let params = Params { m: 4, ef_construction: 8, seed: 1 };
    let graph = Hnsw::build(&store, &params, 1, &|_| true).expect("nobody stops it").encode();
    let directions = [1.0, 0.0, 0.0, 0.0, 0.6, 0.8];
    let projection = Projection::new(&directions, &[0.5, 1.0, 2.0], Metric::Cosine).to_section();
    let rule = |i: usize| Rule { slack: i as f32 / 64.0, ef: 16 + i as u32, depth: 12 };
    let rules = (0..2 * WANTED.len() * TARGETS.len()).map(rule).collect();
    let calibration = Calibration::new(vec![0.25, 0.5], rules).encode();
    vec![
        ("calibration", "two_bands", behind(&calibration)),
        ("codes", "three_rows", behind(&codes)),
        ("codes", "two_rows_of_four_bits", behind(&of_four_bits)),
        ("codes", "two_rows_of_rabitq", behind(&of_three_bits)),
        ("codes", "two_rows_of_signs", behind(&of_signs)),
        ("graph", "sixty_rows", behind(&graph)),
        ("projection", "two_of_three", behind(&projection)),
        ("rotation", "of_three", behind(&rotation)),
    ]
}
