//! Filters JSON documents with the Mongo-style dialect, first one by one, then as a sealed segment.
//!
//! Run with `cargo run -p vectra-metadata --example filter_json -- '{"tags": "rust"}'`.

use std::error::Error;

use serde_json::{Value, json};
use vectra_core::io::Blob;
use vectra_metadata::{
    Builder, FieldKind, IndexedField, MetadataView, Schema, matches, parse, value_from_json, value_to_json,
};

fn documents() -> Vec<Value> {
    vec![
        json!({"title": "Graphs", "year": 2021, "tags": ["rust", "search"], "author": {"name": "Ada"}}),
        json!({"title": "Codes", "year": 2019, "tags": ["c"], "author": {"name": "Grace"}}),
        json!({"title": "Logs", "year": 2023, "tags": ["rust"], "author": null}),
        json!({"title": "Notes", "tags": []}),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let default = r#"{"tags": "rust", "$or": [{"year": {"$gte": 2022}}, {"author.name": "Ada"}]}"#.to_owned();
    let filter = parse::mongo(&serde_json::from_str(&std::env::args().nth(1).unwrap_or(default))?)?;
    let documents = documents().into_iter().map(value_from_json).collect::<Result<Vec<_>, _>>()?;

    let one_by_one: Vec<u32> = (0..)
        .zip(&documents)
        .filter(|(_, document)| matches(&filter, document))
        .map(|(slot, _)| slot)
        .collect();
    println!("one by one: {one_by_one:?}");

    let schema = Schema::new(vec![
        IndexedField::new("tags", FieldKind::Keyword),
        IndexedField::new("year", FieldKind::Number),
    ])?;
    let mut builder = Builder::new(&schema);
    documents.iter().for_each(|document| builder.push(document));
    let sections = builder.finish()?;
    let [rows, dictionary, indexes] =
        [&sections.rows, &sections.dictionary, &sections.indexes].map(|bytes| Blob::copy_of(bytes));
    let view = MetadataView::open(rows, dictionary, indexes, documents.len() as u32)?;

    let estimate = view.estimate(&filter);
    println!("estimate: {} to {}, probably {}", estimate.min, estimate.max, estimate.likely);
    let answer = view.filter(&filter)?;
    println!("as a segment, {} rows looked at:", answer.evaluated);
    for slot in answer.bits.iter() {
        println!("  {slot}: {}", value_to_json(&view.get(slot)?));
    }
    assert_eq!(answer.bits.iter().collect::<Vec<_>>(), one_by_one, "both ways agree");
    Ok(())
}
