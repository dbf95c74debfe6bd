//! Input files made by hand.

use std::io::Write;

use half::f16;

/// A deterministic vector of `dim` components, not zero.
pub(crate) fn vector(row: u64, dim: usize) -> Vec<f32> {
    let component = |at: usize| {
        let mixed = (row + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add((at as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..dim).map(component).collect()
}

/// `rows` such vectors.
pub(crate) fn vectors(rows: u64, dim: usize) -> Vec<Vec<f32>> {
    (0..rows).map(|row| vector(row, dim)).collect()
}

/// A `NumPy` header.
pub(crate) fn npy_header(descr: &str, fortran: &str, shape: &str) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    let text = format!("{dict:117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}

/// A `NumPy` file of f32.
pub(crate) fn npy_f32(rows: &[Vec<f32>]) -> Vec<u8> {
    let mut bytes = npy_header("<f4", "False", &format!("({}, {})", rows.len(), rows[0].len()));
    bytes.extend(rows.iter().flatten().flat_map(|x| x.to_le_bytes()));
    bytes
}

/// A `NumPy` file of f16.
pub(crate) fn npy_f16(rows: &[Vec<f32>]) -> Vec<u8> {
    let mut bytes = npy_header("<f2", "False", &format!("({}, {})", rows.len(), rows[0].len()));
    bytes.extend(rows.iter().flatten().flat_map(|x| f16::from_f32(*x).to_le_bytes()));
    bytes
}

/// An fvecs file.
pub(crate) fn fvecs(rows: &[Vec<f32>]) -> Vec<u8> {
    let row = |row: &Vec<f32>| {
        let values = row.iter().flat_map(|x| x.to_le_bytes());
        (row.len() as i32).to_le_bytes().into_iter().chain(values).collect::<Vec<u8>>()
    };
    rows.iter().flat_map(row).collect()
}

/// Metadata lines `{"name": "item-N", "parity": ..., "n": N}`.
pub(crate) fn metadata(rows: u64) -> String {
    let mut text = String::new();
    for n in 0..rows {
        let parity = if n.is_multiple_of(2) { "even" } else { "odd" };
        let object = serde_json::json!({"name": format!("item-{n}"), "parity": parity, "n": n});
        text.push_str(&object.to_string());
        text.push('\n');
    }
    text
}

/// The same, gzip.
pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}
