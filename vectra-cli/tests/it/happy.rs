//! What goes well: create, import in every format, query, get, info, verify, delete, compact.

use serde_json::{Value as Json, json};

use crate::files::{fvecs, gzip, metadata, npy_f16, npy_f32, vector, vectors};
use crate::run::Place;

fn ids(answer: &Json) -> Vec<String> {
    let hits = answer["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit["id"].to_string().trim_matches('"').to_owned()).collect()
}

/// 300 rows of f16 with metadata, ids from names.
fn imported() -> Place {
    let place = Place::new();
    place.write("v.npy", npy_f16(&vectors(300, 16)));
    place.write("m.jsonl.gz", gzip(&metadata(300)));
    let done = place
        .vectra(
            "import v.npy --into index --metadata m.jsonl.gz --ids-from name --index-field parity:keyword \
             --index-field n:number --batch 64 --json",
        )
        .json();
    assert_eq!((&done["rows"], &done["imported"], &done["skipped"]), (&json!(300), &json!(300), &json!(0)));
    assert_eq!(done["created"], true);
    place
}

#[test]
fn an_npy_file_becomes_an_index_that_answers() {
    let place = imported();
    let info = place.vectra("info index --json").json();
    assert_eq!((&info["items"], &info["dim"], &info["element"]), (&json!(300), &json!(16), &json!("f16")));
    assert_eq!((&info["metric"], &info["visible_lsn"]), (&json!("cosine"), &info["durable_lsn"]));
    assert_eq!(info["indexed_fields"][0], json!({"path": "parity", "kind": "keyword"}));
    assert!(info["bytes"].as_u64() > Some(1000));

    let nearest = place.vectra("query index --vector @v.npy[17] -k 3 --json").json();
    assert_eq!(ids(&nearest)[0], "item-17");
    assert_eq!(nearest["hits"][0]["metadata"], json!({"name": "item-17", "parity": "odd", "n": 17}));
    assert!(nearest["took_us"].is_u64() && nearest["hits"][0].get("vector").is_none());

    let exact = place.vectra("query index --vector @v.npy[17] -k 10 --exact --with-vectors --json").json();
    assert_eq!(exact["hits"].as_array().map(Vec::len), Some(10));
    assert_eq!(exact["hits"][0]["vector"].as_array().map(Vec::len), Some(16));
    let wide = place.vectra("query index --vector @v.npy[17] -k 10 --ef 300 --json").json();
    assert_eq!(ids(&wide), ids(&exact));

    let verified = place.vectra("verify index --json").json();
    assert_eq!((&verified["ok"], verified["parts"].as_u64() > Some(0)), (&json!(true), true));
}

#[test]
fn every_row_of_a_file_is_asked_at_once() {
    let place = imported();
    place.write("q.npy", npy_f16(&vectors(20, 16)));
    for more in ["", " --exact", " --ef 300", " --with-vectors"] {
        let answers = place.vectra(&format!("query index --vectors q.npy -k 4 --json{more}")).ok();
        assert_eq!(answers.lines().count(), 20);
        for (number, line) in answers.lines().enumerate() {
            let many: Json = serde_json::from_str(line).expect("a line is an object");
            let alone = format!("query index --vector @q.npy[{number}] -k 4 --json{more}");
            assert_eq!(many["query"], number);
            assert_eq!(many["hits"], place.vectra(&alone).json()["hits"], "{more}, row {number}");
        }
    }
    let filter = ["query", "index", "--vectors", "q.npy", "-k", "2", "--filter", r#"{"parity": "odd"}"#];
    let text = place.run(&filter).ok();
    assert_eq!(text.matches("query ").count(), 20, "{text}");
    assert!(text.contains("20 queries in ") && !text.contains("even"), "{text}");
    place.write("wide.npy", npy_f16(&vectors(2, 17)));
    let refused = place.vectra("query index --vectors wide.npy");
    refused.refused(5, "query 0: the vector has 17 components", "vectra info");
}

#[test]
fn likeness_leaves_the_item_out_and_filters_hold() {
    let place = imported();
    let like = place.vectra("query index --like item-17 -k 5 --exact --json").json();
    assert_eq!(like["hits"].as_array().map(Vec::len), Some(5));
    assert!(!ids(&like).contains(&"item-17".to_owned()));
    let filter = r#"{"parity": "even", "n": {"$lt": 50}}"#;
    let some =
        place.run(&["query", "index", "--like", "item-17", "-k", "100", "--filter", filter, "--json"]).json();
    let found = some["hits"].as_array().expect("hits");
    assert_eq!(found.len(), 25);
    assert!(
        found
            .iter()
            .all(|hit| hit["metadata"]["parity"] == "even" && hit["metadata"]["n"].as_u64() < Some(50))
    );
}

#[test]
fn text_output_is_a_table() {
    let place = imported();
    let table = place.vectra("query index --like item-3 -k 2").ok();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["rank", "id", "distance", "metadata"]);
    assert!(lines[1].trim_start().starts_with("1  item-"), "{table}");
    assert!(lines[3].starts_with("2 found in"), "{table}");
    assert!(place.vectra("info index").ok().contains("16 dimensions, cosine distance, f16"));
    assert!(place.vectra("verify index").ok().starts_with("ok: "));
    assert!(place.vectra("get index item-3").ok().contains("(16 components)"));
}

#[test]
fn one_item_is_shown_and_deleted() {
    let place = imported();
    let item = place.vectra("get index item-8 --json").json();
    assert_eq!((&item["id"], &item["metadata"]["n"]), (&json!("item-8"), &json!(8)));
    let gone = place.vectra("delete index item-8 item-9 item-9000 --json").json();
    assert_eq!(gone, json!({"deleted": 2, "missing": ["item-9000"]}));
    assert_eq!(place.vectra("get index item-8").code, 3);
    assert_eq!(place.items("index"), 298);
    let compacted = place.vectra("compact index --json").json();
    assert!(compacted["bytes_after"].is_u64());
    let info = place.vectra("info index --json").json();
    assert_eq!(info["shards"][0]["segments"][0]["rows"], 298, "{info}");
    assert_eq!(place.vectra("verify index --json").json()["ok"], true);
}

#[test]
fn fvecs_and_npy_of_f32_give_the_same_answers() {
    let place = Place::new();
    let rows = vectors(120, 7);
    place.write("v.fvecs", fvecs(&rows));
    place.write("v.npy", npy_f32(&rows));
    place.vectra("import v.fvecs --into a --metric l2").ok();
    place.vectra("import v.npy --into b --metric l2").ok();
    for name in ["a", "b"] {
        let info = place.run(&["info", name, "--json"]).json();
        assert_eq!(
            (&info["metric"], &info["element"], &info["items"]),
            (&json!("l2"), &json!("f32"), &json!(120))
        );
    }
    let vector = serde_json::to_string(&vector(5, 7)).expect("JSON");
    let ask = |name: &str| place.run(&["query", name, "--vector", &vector, "--exact", "--json"]).json();
    assert_eq!(ask("a")["hits"], ask("b")["hits"]);
    assert_eq!(ask("a")["hits"][0]["id"], 5, "row numbers are numbers");
    assert_eq!(place.vectra("get b 5 --json").json()["id"], 5);
}

#[test]
fn json_lines_carry_ids_and_metadata() {
    let place = Place::new();
    let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let text = format!(
        "{{\"id\": \"a b\", \"vector\": [1, 0]}}\n{{\"id\": 7, \"vector\": [0, 1], \"metadata\": {{\"k\": [1, null]}}}}\n\
         {{\"id\": \"{uuid}\", \"vector\": [1, 1]}}\n{{\"vector\": [-1, 1]}}\n"
    );
    place.write("plain.jsonl", &text);
    place.write("packed.jsonl.gz", gzip(&text));
    for file in ["plain.jsonl", "packed.jsonl.gz"] {
        let into = &format!("index-of-{file}");
        place.run(&["import", file, "--into", into]).ok();
        assert_eq!(place.items(into), 4);
        let get = |id: &str| place.run(&["get", into, id, "--json"]).json();
        assert_eq!(get("a b"), json!({"id": "a b", "metadata": null, "vector": [1, 0]}));
        assert_eq!(get("7")["metadata"], json!({"k": [1, null]}));
        assert_eq!(get(uuid)["vector"], json!([1, 1]));
        assert_eq!(get("3")["vector"], json!([-1, 1]));
    }
}

#[test]
fn an_empty_index_is_made_and_filled() {
    let place = Place::new();
    let args = "create index --dim 4 --metric dot --element f16 --shards 3 --index-field n:number --durability interval:50";
    assert!(place.vectra(args).ok().contains("next: vectra import"));
    let info = place.vectra("info index --json").json();
    assert_eq!((&info["items"], &info["durability"]), (&json!(0), &json!("interval:50")));
    assert_eq!(info["shards"].as_array().map(Vec::len), Some(3));
    assert_eq!(ids(&place.vectra("query index --vector [1,2,3,4] --json").json()), [""; 0]);
    place.write("v.npy", npy_f32(&vectors(50, 4)));
    place.write("m.jsonl", metadata(50));
    let done =
        place.vectra("import v.npy --into index --metadata m.jsonl --index-field n:number --json").json();
    assert_eq!(done["created"], false);
    assert_eq!(place.items("index"), 50);
    assert_eq!(
        place.vectra("query index --vector [1,2,3,4] -k 50 --exact --json").json()["hits"][49]["rank"],
        50
    );
}

#[test]
fn help_and_version_are_no_errors() {
    let place = Place::new();
    assert!(place.vectra("--version").ok().starts_with("vectra "));
    assert!(place.vectra("import --help").ok().contains("--resume"));
}

#[test]
fn a_recall_can_be_declared_and_measured() {
    let place = imported();
    let exact = place.vectra("query index --vector @v.npy[17] -k 10 --exact --json").json();
    let declared = place.vectra("query index --vector @v.npy[17] -k 10 --recall 0.9 --json").json();
    assert_eq!(ids(&declared), ids(&exact), "so few rows are scanned");
    assert_eq!(declared["planned"], json!({"recall": 0.9, "calibrated": 0, "uncalibrated": 0}));
    assert!(exact.get("planned").is_none());
    let text = place.vectra("query index --vector @v.npy[17] --recall 0.9").out;
    assert!(
        text.contains("planned for recall 0.9: 0 segments by calibration, 0 by rule of thumb, 1 scanned")
    );

    let measured = place.vectra("measure-recall index --queries v.npy --recall 0.9 --json").json();
    assert_eq!((&measured["queries"], &measured["planned"]["recall"]), (&json!(300), &json!(0.9)));
    assert!(measured["recall"].as_f64() > Some(0.95) && measured["interval"][0].as_f64() > Some(0.9));
    assert!(measured["worst"]["query"].is_u64() && measured["worst"]["recall"].is_f64());
    let drawn = place.vectra("measure-recall index --rows 30 --seed 3 -k 5 --ef 64 --json").json();
    assert!(drawn["queries"] == 30 && drawn["worst"]["item"].is_string() && drawn.get("planned").is_none());
    assert_eq!(place.vectra("measure-recall index --json").json()["queries"], 200);
    let text = place.vectra("measure-recall index --rows 30 --recall 1").out;
    assert!(text.contains("1.0000") && text.contains("planned for"), "{text}");
}
