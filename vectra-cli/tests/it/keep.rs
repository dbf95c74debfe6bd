//! States that are kept: checkpoints, backups, restored and salvaged indexes.

use serde_json::json;

use crate::files::{npy_f32, vectors};
use crate::run::{Place, tree};

/// 60 rows of 8 components.
fn imported() -> Place {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(60, 8)));
    place.vectra("import v.npy --into index --metric l2").ok();
    place
}

#[test]
fn a_checkpoint_is_asked_like_the_present() {
    let place = imported();
    let made = place.vectra("checkpoint create index before --json").json();
    assert_eq!(made["name"], "before");
    place.vectra("delete index 17").ok();
    place.vectra("compact index").ok();
    let ask = |at: &str| place.vectra(&format!("query index --vector @v.npy[17] -k 1 {at} --json")).json();
    assert_ne!(ask("")["hits"][0]["id"], 17);
    assert_eq!(ask("--at before")["hits"][0]["id"], 17);
    let like = place.vectra("query index --like 17 --at before -k 3 --json").json();
    assert_eq!(like["hits"].as_array().map(Vec::len), Some(3));
    assert_eq!(place.vectra("checkpoint list index --json").json(), json!({"checkpoints": [made]}));
    assert!(place.vectra("checkpoint list index").ok().contains("before"));
    assert!(place.vectra("verify index --deep").ok().starts_with("ok: "));

    place.vectra("checkpoint create index before").refused(4, "drop it first", "checkpoint list");
    place.vectra("checkpoint create index Not/OK").refused(5, "1 to 64", "a-z");
    place.vectra("query index --like 17 --at gone").refused(
        3,
        "no checkpoint `gone`",
        "checkpoint list index",
    );
    assert_eq!(place.vectra("checkpoint drop index before --json").json(), json!({"dropped": "before"}));
    place.vectra("checkpoint drop index before").refused(3, "no checkpoint", "checkpoint list index");
    assert_eq!(place.vectra("checkpoint list index --json").json(), json!({"checkpoints": []}));
}

#[test]
fn a_backup_is_restored_and_goes_on() {
    let place = imported();
    place.vectra("checkpoint create index kept").ok();
    let first = place.vectra("backup index safe --json").json();
    assert_eq!((&first["generation"], &first["reused"]), (&json!(1), &json!(0)));
    let again = place.vectra("backup index safe --json").json();
    assert_eq!((&again["copied"], &again["reused"]), (&json!(0), &first["parts"]));
    assert!(place.vectra("backup index linked --link").ok().contains("backed up to LSN 1"));
    place.vectra("delete index 1 2 3").ok();
    let text = place.vectra("restore safe again").ok();
    assert!(text.contains("every byte was checked") && text.contains("next: vectra info again"), "{text}");
    assert_eq!((place.items("again"), place.items("index")), (60, 57));
    assert_eq!(place.vectra("checkpoint list again --json").json()["checkpoints"][0]["name"], "kept");
    assert_eq!(place.vectra("restore linked other --json").json()["lsn"], 1);

    let before = tree(&place.path("again"));
    place.vectra("restore safe again").refused(4, "not empty", "folder that is new");
    place.vectra("restore index fresh").refused(5, "not a backup", "vectra backup made");
    place.vectra("restore nowhere fresh").refused(3, "holds no backup", "name a backup");
    place.vectra("backup index again").refused(4, "not empty", "which folders are taken");
    place.vectra("backup index index/inside").refused(5, "another folder", "which folders");
    assert!(!place.has("fresh"));
    assert_eq!(tree(&place.path("again")), before, "a refusal changes nothing");
}

/// The hint names the folder that is damaged, which need not be the index.
#[test]
fn damage_in_a_backup_is_not_blamed_on_the_index() {
    let place = imported();
    place.vectra("backup index safe").ok();
    let manifests = place.path("safe").join("manifest");
    let manifest =
        std::fs::read_dir(manifests).expect("a folder").next().expect("one").expect("an entry").path();
    let mut bytes = std::fs::read(&manifest).expect("a manifest");
    bytes[200] ^= 1;
    std::fs::remove_file(&manifest).expect("removed");
    std::fs::write(&manifest, bytes).expect("written");
    place.vectra("backup index safe").refused(6, "is damaged", "vectra verify safe --deep");
}

#[test]
fn what_can_be_read_is_salvaged_and_the_rest_is_listed() {
    let place = imported();
    let whole = place.vectra("salvage index --out copy --json").json();
    assert_eq!((&whole["complete"], &whole["items"]), (&json!(true), &json!(60)));
    assert!(place.vectra("salvage index --out second").ok().starts_with("complete: 60 items saved"));

    for entry in std::fs::read_dir(place.path("index/manifest")).expect("a folder") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    let before = tree(&place.path("index"));
    place.vectra("salvage index --out third").refused(5, "dimension and metric", "--dim");
    let ran = place.vectra("salvage index --out third --dim 8 --metric l2");
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.out.starts_with("incomplete: 60 items saved, without a manifest"), "{ran:?}");
    assert!(ran.out.contains("may have come back"), "{ran:?}");
    place.vectra("salvage index --out third --dim 8").refused(4, "already holds", "new or empty");
    place.vectra("salvage nowhere --out fourth").refused(3, "nothing of an index", "verify");
    assert_eq!(tree(&place.path("index")), before, "a damaged folder is not changed");
    assert_eq!(place.items("third"), 60);
}

#[test]
fn the_log_is_shown_with_what_is_damaged() {
    let place = Place::new();
    {
        let index = vectra::Index::create(place.path("index"), vectra::Settings::new(2)).expect("created");
        index.insert_item(vectra::Item::new("a", [1.0, 0.0])).expect("inserted");
        index.insert_items(vec![vectra::Item::new(7_u64, [1.0, 1.0])]).expect("inserted");
        index.delete_item("a").expect("deleted");
        let mut loader = index.bulk_loader().replacing();
        loader.push(vectra::Item::new(7_u64, [0.5, 1.0])).expect("loaded");
        loader.push(vectra::Item::new(8_u64, [0.5, 0.5])).expect("loaded");
        loader.finish().expect("loaded");
    }
    let text = place.vectra("wal dump index").ok();
    assert!(text.contains("LSN 1..=1: put a") && text.contains("LSN 3..=3: delete a"), "{text}");
    assert!(text.contains("LSN 4..=4: load of 2 rows in 1 segments, 1 of them new versions"), "{text}");
    let entries = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("an object per line")).collect()
    };
    let shown = entries(&place.vectra("wal dump index --json").ok());
    assert_eq!(shown[0]["entry"], "file");
    assert_eq!(shown[2]["ops"], json!([{"lsn": 2, "op": "put", "id": 7}]));
    assert_eq!(shown[4]["load"], json!({"rows": 2, "segments": 1, "replaced": [7]}));

    let log = place.path("index/wal").join(shown[0]["name"].as_str().expect("a name"));
    let mut bytes = std::fs::read(&log).expect("read");
    let at = shown[1]["offset"].as_u64().expect("an offset") as usize;
    bytes[at + 60] ^= 1;
    std::fs::write(&log, bytes).expect("written");
    let ran = place.vectra("wal dump index --json");
    assert_eq!(ran.code, 6, "{ran:?}");
    let damaged = entries(&ran.out);
    assert!(damaged.iter().any(|entry| entry["entry"] == "damage"), "{damaged:?}");
    assert!(
        damaged.iter().any(|entry| entry["first_lsn"] == 3),
        "what stands behind it is shown: {damaged:?}"
    );
    let lossy = place.vectra("salvage index --out saved");
    assert_eq!(lossy.code, 6);
    assert!(lossy.out.contains("lost writes from LSN 1 to 1"), "{lossy:?}");
    assert_eq!(place.items("saved"), 2);
    place.vectra("wal dump nowhere").refused(3, "holds no log", "vectra");
}
