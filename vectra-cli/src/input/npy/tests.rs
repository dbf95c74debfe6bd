use proptest::prelude::*;

use super::header::{Header, NpyError};
use super::*;

fn with_header(version: u8, dict: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([version, 0]);
    if version == 1 {
        bytes.extend((dict.len() as u16).to_le_bytes());
    } else {
        bytes.extend((dict.len() as u32).to_le_bytes());
    }
    bytes.extend(dict.as_bytes());
    bytes
}

fn dict(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}   \n")
}

fn refused(descr: &str, fortran: &str, shape: &str) -> NpyError {
    Header::parse(&with_header(1, &dict(descr, fortran, shape))).expect_err("must be refused")
}

#[test]
fn headers_of_all_versions_are_read() {
    for version in [1, 2, 3] {
        let bytes = with_header(version, &dict("<f2", "False", "(3, 4)"));
        let header = Header::parse(&bytes).expect("a header");
        assert_eq!((header.element, header.rows, header.columns), (ElementKind::F16, 3, 4));
        assert_eq!(header.data_at, bytes.len() as u64);
        assert_eq!(header.row_bytes(), 8);
    }
    let other_order = r#"{"shape":(1,2),"fortran_order":False,"descr":"<f4"}"#;
    assert_eq!(Header::parse(&with_header(1, other_order)).expect("a header").columns, 2);
}

#[test]
fn what_is_not_read_is_named() {
    assert_eq!(Header::parse(b"PK\x03\x04"), Err(NpyError::Foreign));
    assert_eq!(Header::parse(b""), Err(NpyError::Foreign));
    assert_eq!(Header::parse(b"\x93NUM"), Err(NpyError::TruncatedHeader));
    assert_eq!(Header::parse(b"\x93NUMPY\x01\x00\xff\x00{"), Err(NpyError::TruncatedHeader));
    assert_eq!(Header::parse(&with_header(9, "")), Err(NpyError::Version(9, 0)));
    assert_eq!(refused(">f4", "False", "(1, 2)"), NpyError::BigEndian(">f4".into()));
    assert_eq!(refused("<f8", "False", "(1, 2)"), NpyError::Element("<f8".into()));
    assert_eq!(refused("<f4", "True", "(1, 2)"), NpyError::Fortran);
    assert_eq!(refused("<f4", "False", "(12,)"), NpyError::Dimensions(1));
    assert_eq!(refused("<f4", "False", "()"), NpyError::Dimensions(0));
    assert_eq!(refused("<f4", "False", "(1, 2, 3)"), NpyError::Dimensions(3));
    assert_eq!(refused("<f4", "False", "(1, 0)"), NpyError::Columns(0));
    assert_eq!(refused("<f4", "False", "(1, 99999999)"), NpyError::Columns(99_999_999));
    assert!(matches!(refused("<f4", "Maybe", "(1, 2)"), NpyError::Damaged(_)));
    assert!(matches!(refused("<f4", "False", "(-1, 2)"), NpyError::Damaged(_)));
    let records = "{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (3,)}";
    assert_eq!(Header::parse(&with_header(1, records)), Err(NpyError::Element("record".into())));
    assert!(matches!(Header::parse(&with_header(1, "{'descr': '<f4'}")), Err(NpyError::Damaged(_))));
}

#[test]
fn the_length_must_fit_exactly() {
    let header = Header::parse(&with_header(1, &dict("<f4", "False", "(2, 2)"))).expect("a header");
    let right = header.data_at + 16;
    assert_eq!(header.check_length(right), Ok(()));
    assert!(matches!(header.check_length(right - 1), Err(NpyError::Truncated { .. })));
    assert!(matches!(header.check_length(right + 1), Err(NpyError::Trailing { .. })));
    let huge = with_header(1, &dict("<f4", "False", "(18446744073709551615, 65536)"));
    assert!(Header::parse(&huge).expect("a header").check_length(100).is_err());
}

#[test]
fn every_error_says_what_to_do() {
    let errors = [NpyError::Foreign, NpyError::Fortran, NpyError::Dimensions(1), NpyError::Version(4, 0)];
    assert!(errors.iter().all(|e| !e.hint().is_empty()));
}

#[test]
fn rows_come_back_from_a_file_and_from_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.npy");
    let mut bytes = with_header(1, &dict("<f2", "False", "(2, 3)"));
    let values = [1.0, -2.0, 0.5, 0.25, 65504.0, -0.0];
    for x in values {
        bytes.extend(f16::from_f32(x).to_le_bytes());
    }
    std::fs::write(&path, &bytes).expect("written");
    let file = NpyFile::open(&path).expect("sound");
    assert_eq!((file.dim(), file.len(), file.element()), (3, 2, ElementKind::F16));
    let rows: Vec<Vec<f32>> = file.rows().expect("open").map(|row| row.expect("a row")).collect();
    assert_eq!(rows.concat(), values);
    assert_eq!(rows_of(&bytes).expect("rows"), rows);
    assert_eq!(file.row(1).expect("there"), rows[1]);
    assert!(file.row(2).expect_err("outside").to_string().contains("no row 2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_give_a_header_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::parse(&bytes);
        let _ = rows_of(&bytes);
    }

    #[test]
    fn any_dictionary_gives_a_header_or_an_error(text in "[{}'\"(),: <f24a-zFT0-9\u{e9}]{0,80}", version in 0u8..5) {
        if let Ok(header) = Header::parse(&with_header(version, &text)) {
            prop_assert!(header.columns > 0);
        }
    }

    #[test]
    fn a_damaged_file_never_panics(at in 0usize..90, value in any::<u8>(), cut in 0usize..100) {
        let mut bytes = with_header(1, &dict("<f4", "False", "(2, 2)"));
        bytes.extend([0; 16]);
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(cut.max(1).min(bytes.len()));
        let _ = rows_of(&bytes);
    }
}
