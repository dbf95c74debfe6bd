//! An index that another process has open.

use vectra::{Index, Item, Settings};

use crate::files::{npy_f32, vectors};
use crate::run::Place;

#[test]
fn a_second_writer_is_told_who_holds_the_index() {
    let place = Place::new();
    let index = Index::create(place.path("index"), Settings::new(3)).expect("created");
    index.insert_item(Item::new("a", [1.0, 2.0, 3.0])).expect("inserted");
    place.write("v.npy", npy_f32(&vectors(10, 3)));
    let holder = format!("process {}", std::process::id());
    for args in ["import v.npy --into index", "delete index a", "compact index"] {
        place.vectra(args).refused(
            4,
            &holder,
            "vectra query, get, info, verify, salvage and wal dump work meanwhile",
        );
    }
    place.vectra("create index --dim 3").refused(4, &holder, "vectra info index");
    // Reading goes on beside the writer, with everything that was acknowledged.
    let queried = place.vectra("query index --vector [1,2,3] --json").json();
    assert_eq!(queried["hits"][0]["id"], "a");
    assert_eq!(place.vectra("get index a --json").json()["vector"], serde_json::json!([1, 2, 3]));
    assert_eq!(place.vectra("info index --json").json()["items"], 1);
    assert!(place.vectra("verify index").ok().starts_with("ok: "));
    index.insert_item(Item::new("b", [2.0, 2.0, 2.0])).expect("inserted");
    index.compact().expect("compacted");
    assert_eq!(place.vectra("query index --like a --json").json()["hits"][0]["id"], "b");
    assert_eq!(place.vectra("info index --json").json()["shards"][0]["segments"][0]["rows"], 2);
    assert!(place.vectra("verify index").ok().starts_with("ok: "));
    index.close().expect("closed");
}
