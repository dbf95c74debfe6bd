//! Compression pays.

use vectra_core::Value;
use vectra_core::codec::{Writer, encode_value};
use vectra_metadata::Schema;

use crate::documents::{open, sections};

#[test]
fn repetitive_rows_shrink() {
    let rows: Vec<Value> = (0..5000_i64)
        .map(|i| {
            Value::from([
                ("section", Value::from(["fonts", "libs", "games", "admin"][(i % 4) as usize])),
                ("package", Value::from(format!("library-{:05}-dev", i * 3))),
                ("size", Value::from(i * 31 % 1000)),
            ])
        })
        .collect();
    let mut plain = Writer::new();
    rows.iter().for_each(|row| encode_value(row, &mut plain));
    let built = sections(&Schema::default(), &rows);
    let stored = built.rows.len() + built.dictionary.len();
    let ratio = plain.len() as f64 / stored as f64;
    // Columns alone take out keys and prefixes; zstd the rest.
    let goal = if cfg!(feature = "zstd") { 12.0 } else { 4.0 };
    assert!(ratio > goal, "{} bytes became {stored}: {ratio:.1}", plain.len());
    assert_eq!(open(&built, rows.len()).get(4321).as_ref(), Ok(&rows[4321]));
}

#[test]
fn tiny_sets_cost_little() {
    let built = sections(&Schema::default(), &[Value::from([("a", Value::from(1))])]);
    assert!(built.rows.len() + built.dictionary.len() + built.indexes.len() < 80, "{built:?}");
    let empty = sections(&Schema::default(), &[]);
    assert_eq!(empty.rows.len(), 12);
    assert!(open(&empty, 0).get(0).is_err());
}
