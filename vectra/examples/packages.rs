#![allow(clippy::disallowed_methods, reason = "an example tidies up after itself")]
//! The whole engine in one program: create, write, query with a filter, reopen, verify.

use vectra::{FieldKind, Index, Item, Metric, Settings, Value, mongo};

fn main() -> vectra::Result<()> {
    let dir = std::env::temp_dir().join(format!("vectra-example-{}", std::process::id()));
    let settings = Settings::new(8)
        .with_metric(Metric::Cosine)
        .with_seal_rows(500)
        .with_indexed_field("shelf", FieldKind::Number);
    let index = Index::create(&dir, settings)?;
    let items = (0..2000_u64).map(|n| {
        let vector: Vec<f32> = (0..8).map(|d| ((n * 7 + d * 13) % 101) as f32 - 50.0).collect();
        Item::new(n, vector)
            .with_metadata([("shelf", Value::from(n % 10)), ("name", format!("book {n}").into())])
    });
    index.insert_items(items.collect())?;
    index.delete_items((0..100_u64).map(Into::into).collect())?;
    index.wait_optimized()?;

    let question = [1.0, -3.0, 5.0, 0.5, 2.0, -1.0, 4.0, 0.0];
    for hit in index.query(&question).top_k(3).filter(mongo(r#"{"shelf": {"$in": [3, 4]}}"#)?).run()? {
        let name = hit.metadata.as_ref().and_then(|m| m.get("name")).and_then(Value::as_str).unwrap_or("?");
        println!("{:>5}  {:.4}  {name}", hit.id, hit.distance);
    }
    println!("{:#?}", index.stats().shards);
    index.close()?;

    let index = Index::open(&dir)?;
    assert_eq!(index.snapshot().len(), 1900);
    index.close()?;
    assert!(vectra::verify_deep(&dir)?.findings.is_empty());
    std::fs::remove_dir_all(&dir).expect("the example's own folder");
    Ok(())
}
