//! How vectors are encoded: chosen when an index is made, changed later, explained at any time.

use serde_json::{Value as Json, json};
use vectra::Quantization;

use crate::files::{npy_f32, vectors};
use crate::run::Place;

const ROWS: u64 = 600;
const DIM: usize = 256;

/// An index of vectors that were asked to be encoded as `asked` says.
fn imported(asked: &str) -> Place {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(ROWS, DIM)));
    place.vectra(&format!("import v.npy --into index {asked} --json")).ok();
    place
}

fn info(place: &Place) -> Json {
    place.vectra("info index --json").json()
}

/// The one segment of the index.
fn segment(info: &Json) -> &Json {
    assert_eq!(info["shards"][0]["segments"].as_array().map(Vec::len), Some(1), "{info}");
    &info["shards"][0]["segments"][0]
}

fn number(of: &Json, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("a number {name}: {of}"))
}

#[test]
fn info_has_the_names_and_the_sums() {
    let place = imported("--quantization sq4");
    let info = info(&place);
    let (all, segment) = (&info["quantization"], segment(&info));
    let codes = &segment["codes"];
    let made = json!({
        "codec": "sq4", "components": DIM, "projected": false, "rotated": true,
        "row_bytes": number(codes, "row_bytes"), "bytes": ROWS * number(codes, "row_bytes"),
    });
    assert_eq!(*codes, made);
    let (codes, graph) = (number(codes, "bytes"), number(segment, "graph_bytes"));
    assert!(graph > 0 && number(codes_of(segment), "row_bytes") < DIM as u64);
    let f32_bytes = 4 * ROWS * DIM as u64;
    assert_eq!((&all["asked"], &all["memory_budget_bytes"]), (&json!("sq4"), &Json::Null));
    assert_eq!((number(all, "codes_bytes"), number(all, "graph_bytes")), (codes, graph));
    assert_eq!((number(all, "bytes"), number(all, "f32_bytes")), (codes + graph, f32_bytes));
    assert_eq!(all["f32_share"], json!((codes + graph) as f64 / f32_bytes as f64));
    assert_eq!(all["fits"], true);

    let text = place.vectra("info index").ok();
    assert!(text.lines().any(|line| line.trim_end() == "encoding    sq4"), "{text}");
    assert!(text.contains("sq4 of 256 rotated, ") && text.contains("encoded as"), "{text}");
    assert!(text.contains("as f32 vectors") && !text.contains("budget"), "{text}");
}

fn codes_of(segment: &Json) -> &Json {
    &segment["codes"]
}

#[test]
fn it_is_changed_and_told_before_and_after() {
    let place = imported("");
    let first = info(&place)["quantization"].clone();
    assert_eq!(first["asked"], "auto");
    let done = place.vectra("quantize index rabitq-2 --json").json();
    assert_eq!(done["before"], first);
    assert_eq!(done["after"]["asked"], "rabitq-2");
    assert!(number(&done["after"], "codes_bytes") < number(&first, "codes_bytes"), "{done}");
    assert_eq!(number(&done["after"], "graph_bytes"), number(&first, "graph_bytes"));
    assert!(done["seconds"].is_f64());
    let after = info(&place);
    assert_eq!(after["quantization"], done["after"]);
    assert_eq!(segment(&after)["codes"]["codec"], "rabitq-2");
    assert_eq!(place.vectra("verify index --deep --json").json()["ok"], true);
    let exact = place.vectra("query index --vector @v.npy[17] -k 3 --exact --json").json();
    assert_eq!(place.vectra("query index --vector @v.npy[17] -k 3 --json").json()["hits"], exact["hits"]);

    let text = place.vectra("quantize index sq8").ok();
    assert!(text.starts_with("encoded in ") && text.contains(" KiB -> "), "{text}");
    let line = |wanted: &str| text.lines().any(|line| line == wanted);
    assert!(line("before    rabitq-2") && line("encoding  sq8"), "{text}");
}

#[test]
fn a_budget_is_kept_and_its_choice_explained() {
    let place = imported("");
    let first = info(&place);
    let graph = number(&first["quantization"], "graph_bytes");
    // Room for a bit or a few, not for what is there.
    let budget = graph + ROWS * number(codes_of(segment(&first)), "row_bytes") / 2;
    let done = place.vectra(&format!("quantize index --memory-budget {budget} --json")).json();
    let after = &done["after"];
    assert_eq!((number(after, "memory_budget_bytes"), &after["fits"]), (budget, &json!(true)));
    assert!(number(after, "bytes") <= budget && after["asked"] == "auto", "{done}");
    let text = place.vectra("info index").ok();
    assert!(text.contains("auto within ") && text.contains(": rabitq-"), "{text}");
    assert!(text.contains(", as one bit more for each component would take "), "{text}");
    assert!(text.contains(", within the budget"), "{text}");

    let text = place.vectra("quantize index --memory-budget 1KiB").ok();
    assert!(text.contains("auto within 1.0 KiB: rabitq-1, the smallest there is"), "{text}");
    assert!(text.contains(" above the budget"), "{text}");
    assert_eq!(info(&place)["quantization"]["fits"], false);

    let text = place.vectra("quantize index sq8").ok();
    assert!(text.contains("sq8; the memory budget of 1.0 KiB is for auto alone"), "{text}");
    let done = place.vectra("quantize index auto --no-memory-budget --json").json();
    assert_eq!(done["after"], first["quantization"]);
}

#[test]
fn it_is_explained_beside_a_writer_and_without_rows() {
    let place = Place::new();
    let made = place.vectra("create index --dim 4 --quantization auto --memory-budget 1.5MiB --json").json();
    assert_eq!((&made["quantization"], &made["memory_budget_bytes"]), (&json!("auto"), &json!(3 << 19)));
    let _writer = vectra::Index::open(place.path("index")).expect("an index");
    let told = place.vectra("quantize index --json").json();
    assert_eq!(
        (number(&told["now"], "memory_budget_bytes"), &told["now"]["asked"]),
        (3 << 19, &json!("auto"))
    );
    assert_eq!(told["now"]["f32_share"], Json::Null);
    assert_eq!(told["names"].as_array().map(Vec::len), Some(Quantization::ALL.len()));
    let text = place.vectra("quantize index").ok();
    assert!(text.contains("auto within 1.5 MiB; nothing is encoded yet"), "{text}");
    assert!(text.contains("rabitq-8") && text.contains("vectra quantize index NAME"), "{text}");
    place.vectra("quantize index sq8").refused(4, "", "index");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = imported("--quantization sq8");
    let both = "create other --dim 4 --quantization sq4 --memory-budget 1MiB";
    place.vectra(both).refused(5, "what auto chooses", "--memory-budget");
    assert!(!place.has("other"));
    place.vectra("quantize index --memory-budget 1MiB").refused(5, "sq8 leaves nothing", "auto");
    let again = "import v.npy --into index --resume --quantization sq4";
    place.vectra(again).refused(5, "has the quantization sq8", "vectra quantize index");
    place.vectra("import v.npy --into index --resume --quantization sq8").ok();
    assert_eq!(place.vectra("quantize index sq5").code, 2);
    assert_eq!(place.vectra("quantize index --memory-budget 5apples").code, 2);
    place.vectra("quantize nowhere sq4").refused(3, "", "vectra create nowhere");
    place.vectra("create flat --dim 4 --metric l1 --quantization sq4").refused(
        5,
        "l1",
        "vectra create --help",
    );
    assert_eq!(info(&place)["quantization"]["asked"], "sq8");
}
