use std::io::Cursor;

use half::f16;
use proptest::prelude::*;

use super::header::{BYTES_MAX, Header, Malformed};
use super::*;

const FIELDS: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

fn file(version: u8, fields: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((fields.len() as u16).to_le_bytes()),
        _ => bytes.extend((fields.len() as u32).to_le_bytes()),
    }
    bytes.extend(fields.as_bytes());
    bytes.extend(data);
    bytes
}

fn open(bytes: Vec<u8>) -> Result<Array<Cursor<Vec<u8>>>, ArrayError> {
    Array::new("x.npy".to_owned(), Cursor::new(bytes))
}

fn six(step: f32) -> Vec<u8> {
    (0..6).flat_map(|i| (step * i as f32).to_le_bytes()).collect()
}

#[test]
fn rows_come_back_in_every_version() {
    for version in 1..=3 {
        let mut array = open(file(version, FIELDS, &six(0.5))).expect("a good file");
        assert_eq!((array.rows(), array.columns(), array.dtype()), (2, 3, Dtype::F32));
        assert_eq!(array.vectors(0, 2).expect("all rows"), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(array.vectors(1, 1).expect("the second row"), [1.5, 2.0, 2.5]);
        assert!(array.vectors(2, 0).expect("no rows").is_empty());
    }
}

#[test]
fn halves_and_integers_are_widened() {
    let data: Vec<u8> = [1.5, -2.0].iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
    let fields = "{\"shape\": (1,2), 'fortran_order':False,'descr':'<f2'}  \n";
    let mut halves = open(file(1, fields, &data)).expect("a good file");
    assert_eq!(halves.vectors(0, 1).expect("the row"), [1.5, -2.0]);
    let fields = |descr: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 1)}}");
    let small: Vec<u8> = [7_i32, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut small = open(file(1, &fields("<i4"), &small)).expect("a good file");
    assert_eq!(small.integers(0, 2).expect("both rows"), [7, -1]);
    let large: Vec<u8> = [1_i64 << 40, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut large = open(file(1, &fields("<i8"), &large)).expect("a good file");
    assert_eq!(large.integers(0, 2).expect("both rows"), [1 << 40, -1]);
    assert!(matches!(large.vectors(0, 1), Err(ArrayError::Elements { found: Dtype::I64, .. })));
    assert!(matches!(halves.integers(0, 1), Err(ArrayError::Elements { found: Dtype::F16, .. })));
}

#[test]
fn a_file_of_the_wrong_length_is_refused() {
    let good = file(1, FIELDS, &six(1.0));
    for found in [good.len() - 1, good.len() - 24] {
        let error = open(good[..found].to_vec()).expect_err("it is cut off");
        assert!(
            matches!(error, ArrayError::Length { expected, .. } if expected == good.len() as u64),
            "{error}"
        );
    }
    let mut long = good;
    long.push(0);
    let error = open(long).expect_err("something follows").to_string();
    assert!(error.starts_with("x.npy: ") && error.contains("truncated or damaged"), "{error}");
}

#[test]
fn rows_beyond_the_end_are_refused() {
    let mut array = open(file(1, FIELDS, &six(1.0))).expect("a good file");
    for (first, count) in [(0, 3), (2, 1), (usize::MAX, 2)] {
        assert!(matches!(array.vectors(first, count), Err(ArrayError::Row { rows: 2, .. })));
    }
}

#[test]
fn each_fault_of_a_header_has_its_name() {
    let dict = |descr: &str, order: &str, shape: &str| {
        file(1, &format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"), &[])
    };
    for (bytes, expected) in [
        (b"PK\x03\x04".to_vec(), Malformed::Magic),
        (Vec::new(), Malformed::Magic),
        (b"\x93NUMPY\x01".to_vec(), Malformed::Length),
        (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), Malformed::Length),
        (file(4, FIELDS, &[]), Malformed::Version(4)),
        (dict("<f8", "False", "(2, 3)"), Malformed::Descr("<f8".to_owned())),
        (dict(">f4", "False", "(2, 3)"), Malformed::Descr(">f4".to_owned())),
        (dict("<f4", "True", "(2, 3)"), Malformed::ColumnMajor),
        (dict("<f4", "False", "(6,)"), Malformed::Shape),
        (dict("<f4", "False", "()"), Malformed::Shape),
        (dict("<f4", "False", "(2, 0)"), Malformed::Shape),
        (dict("<f4", "False", "(2, 3, 1)"), Malformed::Shape),
        (dict("<f4", "False", "(2, -3)"), Malformed::Dictionary),
        (dict("<f4", "Maybe", "(2, 3)"), Malformed::Dictionary),
        (file(1, "{'descr': '<f4'}", &[]), Malformed::Dictionary),
        (file(1, "{'descr': '<f4', 'descr': '<f4'}", &[]), Malformed::Dictionary),
        (file(1, "[1, 2]", &[]), Malformed::Dictionary),
    ] {
        assert_eq!(Header::parse(&bytes), Err(expected), "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn shapes_too_large_for_any_file_do_not_overflow() {
    for shape in ["(18446744073709551615, 2)", "(9223372036854775807, 1)"] {
        let fields = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
        assert!(matches!(open(file(1, &fields, &[0; 16])), Err(ArrayError::Length { .. })));
    }
}

#[test]
fn an_absurd_header_length_allocates_nothing() {
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.resize(BYTES_MAX as usize + 100, b' ');
    assert!(matches!(open(bytes), Err(ArrayError::Header { source: Malformed::Length, .. })));
}

/// A good file with some bytes changed: gets much deeper into the reader than noise does.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (prop::collection::vec(change, 0..4), 0_usize..30).prop_map(|(changes, cut)| {
        let mut bytes = file(1, FIELDS, &six(1.0));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_an_array_or_an_error(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), damaged()],
    ) {
        let length = bytes.len();
        if let Ok(mut array) = open(bytes) {
            let rows = array.rows();
            prop_assert!(rows * array.columns() * array.dtype().size() <= length);
            let read = array.vectors(0, rows).map(|x| x.len()).or_else(|_| array.integers(0, rows).map(|x| x.len()));
            prop_assert_eq!(read.expect("one of the two fits the type"), rows * array.columns());
        }
    }

    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(-1e6_f32..1e6, 1..40), columns in 1_usize..5) {
        let rows = values.len() / columns;
        let values = &values[..rows * columns];
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let fields = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
        let mut array = open(file(1, &fields, &data)).expect("a good file");
        prop_assert_eq!(array.vectors(0, rows).expect("all rows"), values);
    }
}
