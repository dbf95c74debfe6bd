//! What is refused: the exit code, the hint, and that nothing was written.

use serde_json::Value as Json;

use crate::files::{fvecs, gzip, metadata, npy_f16, npy_f32, npy_header, vectors};
use crate::run::{Place, tree};

/// Imports `bytes` as the file `name` into a new index and into one that is there; neither may change.
fn import_refused(name: &str, bytes: &[u8], code: i32, error: &str, hint: &str) {
    let place = Place::new();
    place.write(name, bytes);
    place.vectra("create there --dim 3").ok();
    place.run(&["import", name, "--into", "new"]).refused(code, error, hint);
    assert!(!place.has("new"), "{error}: nothing may be written");
    place.run(&["import", name, "--into", "there"]).refused(code, error, hint);
    let info = place.vectra("info there --json").json();
    assert_eq!((&info["items"], &info["visible_lsn"]), (&Json::from(0), &Json::from(0)), "{error}");
}

#[test]
fn npy_files_that_are_not_what_they_should_be() {
    let good = npy_f32(&vectors(4, 3));
    import_refused("v.npy", &good[..good.len() - 1], 5, "it is truncated", "copy or save the file again");
    import_refused("v.npy", &good[..60], 5, "ends within its header", "copy or save");
    import_refused("v.npy", &[&good[..], b"x"].concat(), 5, "something stands behind", "copy or save");
    import_refused("v.npy", b"PAR1 is another format", 5, "not a NumPy file", "numpy.save");
    import_refused("v.npy", b"", 5, "not a NumPy file", "numpy.save");
    let with = |descr, fortran, shape| [npy_header(descr, fortran, shape), vec![0; 24]].concat();
    import_refused("v.npy", &with(">f4", "False", "(2, 3)"), 5, "big-endian", "astype('<f4')");
    import_refused("v.npy", &with("<f8", "False", "(1, 3)"), 5, "type `<f8`", "astype('<f4')");
    import_refused("v.npy", &with("<f4", "True", "(2, 3)"), 5, "Fortran", "ascontiguousarray");
    import_refused(
        "v.npy",
        &with("<f4", "False", "(6,)"),
        5,
        "1 dimensions instead of 2",
        "one vector per row",
    );
    import_refused("v.npy", &npy_header("<f4", "False", "(0, 3)"), 5, "no rows", "nothing was written");
}

#[test]
fn vectors_that_no_index_takes() {
    let with = |value: f32| {
        let mut rows = vectors(400, 3);
        rows[399][1] = value;
        rows
    };
    import_refused(
        "v.npy",
        &npy_f32(&with(f32::NAN)),
        5,
        "row 399: component 1 is NaN",
        "nothing was written",
    );
    import_refused(
        "v.npy",
        &npy_f16(&with(f32::INFINITY)),
        5,
        "row 399: component 1 is inf",
        "nothing was written",
    );
    import_refused(
        "v.fvecs",
        &fvecs(&with(f32::NEG_INFINITY)),
        5,
        "component 1 is -inf",
        "nothing was written",
    );
    let mut rows = vectors(9, 3);
    rows[8] = vec![0.0; 3];
    import_refused("v.npy", &npy_f32(&rows), 5, "row 8: the vector has no direction", "nothing was written");
}

#[test]
fn other_files_that_are_not_what_they_should_be() {
    let good = fvecs(&vectors(4, 3));
    import_refused("v.fvecs", &good[..good.len() - 2], 5, "it is truncated", "copy the file again");
    import_refused("v.parquet", b"PAR1", 5, "does not tell a format", ".jsonl");
    import_refused(
        "v.jsonl",
        b"{\"vector\": [1, 2, 3]}\nnonsense\n",
        5,
        "line 2: this is not a row",
        "\"vector\"",
    );
    import_refused(
        "v.jsonl",
        b"{\"vector\": [1, 2, 3]}\n{\"vector\": [1]}\n",
        5,
        "line 2: the vector has 1",
        "one dim",
    );
    import_refused("v.jsonl", b"", 5, "empty", "\"vector\"");
    let twice = b"{\"id\": 1, \"vector\": [1, 2, 3]}\n{\"id\": 1, \"vector\": [1, 2, 4]}\n";
    import_refused("v.jsonl", twice, 5, "row 1: an earlier row has the same id `1`", "nothing was written");
    let packed = gzip(&"{\"vector\": [1, 2, 3]}\n".repeat(2000));
    import_refused(
        "v.jsonl.gz",
        &packed[..packed.len() - 9],
        5,
        "damaged or truncated",
        "copy the file again",
    );
}

#[test]
fn metadata_that_does_not_fit() {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(10, 3)));
    let cases = [
        (metadata(9), "9 lines, but v.npy has 10 rows", "one line per row"),
        (metadata(11), "11 lines", "one line per row"),
        (metadata(9) + "{\"name\": \n", "line 10: this is not JSON", "JSON object"),
        (metadata(9) + "[1]\n", "line 10: this is not a JSON object", "JSON object"),
        (metadata(9) + "{\"nome\": 1}\n", "row 9: its metadata has no field `name`", "correct the row"),
        (metadata(9) + "{\"name\": -1}\n", "row 9: field `name`: the id -1", "correct the row"),
        (
            metadata(9) + "{\"name\": \"item-0\"}\n",
            "row 9: an earlier row has the same id `item-0`",
            "leave out the row",
        ),
    ];
    for (text, error, hint) in cases {
        for bytes in [text.clone().into_bytes(), gzip(&text)] {
            place.write("m", bytes);
            place.vectra("import v.npy --into new --metadata m --ids-from name").refused(5, error, hint);
            assert!(!place.has("new"), "{error}");
        }
    }
    place.vectra("import v.npy --into new --metadata gone.jsonl").refused(3, "gone.jsonl", "check the path");
    place.vectra("import v.npy --into new --ids-from name").refused(
        2,
        "there is no metadata",
        "--metadata FILE",
    );
    assert!(!place.has("new"));
}

#[test]
fn an_index_of_another_kind() {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(10, 3)));
    place.vectra("create flat --dim 4").ok();
    place.vectra("import v.npy --into flat").refused(
        5,
        "v.npy has 3 dimensions, the index flat has 4",
        "new folder",
    );
    place.vectra("create round --dim 3").ok();
    place.vectra("import v.npy --into round --metric l1").refused(5, "measures cosine", "leave --metric out");
    place.vectra("import v.npy --into round --index-field a:bool").refused(
        5,
        "--index-field a",
        "new folder",
    );
    place.vectra("create round --dim 3").refused(4, "already holds an index", "vectra info round");
    std::fs::create_dir(place.path("photos")).expect("a folder");
    place.write("photos/cat.jpg", "meow");
    place.vectra("import v.npy --into photos").refused(4, "photos", "new or empty");
    assert_eq!(tree(&place.path("photos")).len(), 1 + usize::from(place.has("photos/LOCK")));
}

#[test]
fn questions_that_make_no_sense() {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(10, 3)));
    place.vectra("import v.npy --into index").ok();
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (&["--vector", "[1, 2]"], 5, "2 components, the index has 3", "vectra info index"),
        (&["--vector", "[0, 0, 0]"], 5, "no direction", "vectra info index"),
        (&["--vector", "1, 2, 3"], 5, "not a JSON array", "--vector '@FILE.npy[ROW]'"),
        (&["--vector", "@v.npy"], 5, "10 rows; say which one", "@v.npy[0]"),
        (&["--vector", "@v.npy[10]"], 5, "there is no row 10", "counted from 0"),
        (&["--vector", "@gone.npy[0]"], 3, "gone.npy", "check the path"),
        (&["--like", "99"], 3, "no item with the id `99`", "--like takes the id"),
        (&["--like", "1", "--filter", "{"], 5, "not valid JSON", "--filter '"),
        (&["--like", "1", "--filter", "{\"a\": {\"$near\": 1}}"], 5, "$near", "--filter '"),
        (&["--like", "1", "-k", "99999999"], 5, "top_k", "vectra info"),
    ];
    for (args, code, error, hint) in cases {
        let args = [&["query", "index"], *args].concat();
        place.run(&args).refused(*code, error, hint);
    }
    place.vectra("query nowhere --like 1").refused(
        3,
        "nowhere holds no index",
        "vectra import FILE --into nowhere",
    );
    for command in ["info", "verify", "compact"] {
        place.run(&[command, "nowhere"]).refused(3, "nowhere", "vectra create nowhere");
    }
    assert!(!place.has("nowhere"));
    place.vectra("create index2 --dim 0").refused(5, "dim is 0", "vectra create --help");
    assert!(!place.has("index2"));
}

#[test]
fn command_lines_that_are_not_understood() {
    let place = Place::new();
    for args in [
        "",
        "dance",
        "create x",
        "create x --dim 3 --metric hamming",
        "query x",
        "import f --into x --batch 0",
    ] {
        let ran = place.vectra(args);
        assert_eq!(ran.code, 2, "{args}: {ran:?}");
        assert!(
            ran.out.is_empty() && ran.err.contains("Usage") || ran.err.contains("--help"),
            "{args}: {ran:?}"
        );
    }
    assert!(!place.has("x"));
}

#[test]
fn errors_are_json_where_results_are() {
    let place = Place::new();
    let ran = place.vectra("get nowhere 1 --json");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    let error: Json = serde_json::from_str(&ran.err).expect("one JSON object");
    assert_eq!((error["kind"].as_str(), error["code"].as_i64()), (Some("not_found"), Some(3)));
    assert!(error["error"].as_str().is_some_and(|text| text.contains("nowhere")));
    assert!(error["hint"].as_str().is_some_and(|text| text.contains("vectra import")));
}

#[test]
fn json_is_asked_for_anywhere_but_of_the_demo() {
    let place = Place::new();
    for line in ["--json get nowhere 1", "get --json nowhere 1", "--json checkpoint list nowhere"] {
        let ran = place.vectra(line);
        let error: Json = serde_json::from_str(&ran.err).expect("one JSON object");
        assert_eq!((ran.code, error["kind"].as_str()), (3, Some("not_found")), "{line}");
    }
    let ran = place.vectra("demo --json");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("leave out --json"), "{ran:?}");
}

#[test]
fn verify_finds_a_changed_byte() {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(500, 32)));
    place.vectra("import v.npy --into index").ok();
    let files = tree(&place.path("index"));
    let (path, mut bytes) = files.into_iter().max_by_key(|(_, bytes)| bytes.len()).expect("the largest part");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    // Parts may be read-only, so the damaged copy takes the name of the original.
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, bytes).expect("written");
    let ran = place.vectra("verify index --deep --json");
    assert_eq!((ran.code, ran.err.as_str()), (6, ""));
    let report: Json = serde_json::from_str(&ran.out).expect("one JSON object");
    assert_eq!(report["ok"], false);
    assert!(report["findings"][0]["place"].as_str().is_some_and(|place| place.contains("part")), "{report}");
    let text = place.vectra("verify index --deep");
    assert_eq!(text.code, 6);
    assert!(text.out.starts_with("damaged: 1 findings"), "{text:?}");
}
