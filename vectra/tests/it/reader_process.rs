//! A writer in this process, a reader in another: the reader follows, what it sees is whole, and its death frees what
//! it held.
//!
//! The child is this test binary once more: it runs [`child`], which does nothing unless it is told a folder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use vectra::{ErrorKind, Index, Item, Metric, Reader, Settings, Snapshot, Value};
use vectra_core::testing::oracle::Dice;

use crate::kill::again;

const FOLDER: &str = "VECTRA_TEST_READER_FOLDER";
const DIM: usize = 8;
/// Items that are always written together.
const GROUP: u64 = 24;
const ROUNDS: u64 = 60;

fn group(stamp: u64) -> Vec<Item> {
    let mut dice = Dice::new(stamp);
    let mut vector = || (0..DIM).map(|_| dice.uniform()).collect::<Vec<f32>>();
    (0..GROUP).map(|i| Item::new(i, vector()).with_metadata([("stamp", Value::from(stamp))])).collect()
}

/// The stamp that all items bear.
fn stamp(snapshot: &Snapshot) -> u64 {
    let items = snapshot.list_items(None, 99).expect("readable").items;
    assert_eq!(items.len() as u64, GROUP);
    let Some(Value::Int(stamp)) = items[0].metadata.get("stamp") else { panic!("every item has a stamp") };
    let stamp = u64::try_from(*stamp).expect("counted from 0");
    assert_eq!(items, group(stamp), "a group is seen whole");
    let hits = snapshot.query(&items[3].vector).top_k(1).exact().run().expect("answered");
    assert_eq!(hits[0].id, items[3].id);
    stamp
}

/// The child: for every line it gets, it looks again and answers with what it sees.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let error = Index::open(&folder).map(drop).expect_err("there is one writer");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("Reader"), "{error}");
    let reader = Reader::open(&folder).expect("beside the writer");
    assert!(reader.is_pinned());
    let (mut seen, mut lsn) = (0, 0);
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nready").expect("the parent listens");
    for _ in std::io::stdin().lock().lines() {
        let before = reader.snapshot();
        reader.refresh().expect("refreshed");
        let snapshot = reader.snapshot();
        let now = stamp(&snapshot);
        assert!(now >= seen && snapshot.lsn() >= lsn, "time goes on");
        stamp(&before);
        (seen, lsn) = (now, snapshot.lsn());
        writeln!(out, "saw {now}").expect("the parent listens");
    }
}

fn pins(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("pins")).expect("a folder").count()
}

#[test]
fn a_reader_in_another_process_follows_and_its_death_frees_what_it_held() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let mut settings = Settings::new(DIM as u32).with_metric(Metric::L2).with_seal_rows(50).with_graph(4, 8);
    (settings.log_bytes_min, settings.log_bytes_max) = (8192, 32 << 10);
    let index = Index::create(&path, settings).expect("created");
    index.upsert_items(group(0)).expect("written");
    let mut child = again("reader_process::child").env(FOLDER, &path).spawn().expect("a child");
    let mut asks = child.stdin.take().expect("piped");
    let mut answers = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(answers.any(|line| line == "ready"));

    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                index.upsert_items(group(number)).expect("written");
                acknowledged.store(number, Ordering::SeqCst);
                match number % 9 {
                    4 => index.flush().expect("flushed"),
                    8 => index.compact().expect("compacted"),
                    _ => {}
                }
                if done.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        for round in 0..ROUNDS {
            let due = acknowledged.load(Ordering::SeqCst);
            writeln!(asks, "again").expect("the child listens");
            let answer = answers.find(|line| line.starts_with("saw")).unwrap_or_else(|| {
                done.store(true, Ordering::SeqCst);
                panic!("the reader failed in round {round}")
            });
            let saw: u64 = answer[4..].parse().expect("a number");
            assert!(saw >= due, "round {round}: it saw {saw}, {due} was acknowledged");
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(pins(&path), 1, "one reader, one pin");
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    assert_eq!(pins(&path), 1, "it could not tidy up");
    index.upsert_items(group(1)).expect("written");
    index.compact().expect("compacted");
    assert_eq!(pins(&path), 0);
    let count = |dir: &str| std::fs::read_dir(path.join(dir)).expect("a folder").count();
    assert_eq!(count("manifest"), 2, "only the two newest are left");
    // What it holds, not more: every part is named by the newest manifest.
    assert!(count("seg") <= 5, "{}", count("seg"));
    index.close().expect("closed");
    assert!(vectra::verify_deep(&path).expect("verified").findings.is_empty());
}
