//! Everything a user does with an index, on one that may be forged.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vectra::{Error, ErrorKind, Health, Index, ItemId, ItemUpdate, Snapshot, Value, mongo};

use super::folder::{Folder, ROOT};
use super::guard::Guarded;
use super::material::{Sandbox, VECTOR, item};

/// Bytes of memory beyond those of the files.
const MEMORY_MAX: u64 = 64 << 20;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    /// Verify, open, query, get and list.
    Read,
    /// And write, flush, compact, close and open again.
    Write,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Verify found something, or failed.
    pub(crate) noticed: bool,
    pub(crate) opened: bool,
    /// The errors of all calls, in order.
    pub(crate) errors: Vec<ErrorKind>,
    /// Most bytes of memory held at a time.
    pub(crate) memory: u64,
    /// Bytes by which the files grew.
    pub(crate) grown: u64,
    /// What must not be, whatever the bytes: a panic, too much memory.
    pub(crate) broken: Option<String>,
}

impl Outcome {
    /// Passes on what a call gave; an error that tells of a panic in the background is one.
    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(error.kind());
                if error.to_string().contains("panicked") {
                    self.broken.get_or_insert_with(|| format!("background work: {error}"));
                }
                None
            }
        }
    }
}

/// Walks the road on `folder`; the outcome says whether anything happened that never may.
pub(crate) fn exercise(folder: &Folder, road: Road) -> Outcome {
    let fs = Arc::new(Guarded::new(folder.to_fs()));
    let mut outcome = Outcome::default();
    let mut caught = Ok(());
    let measured = allocation_counter::measure(|| {
        caught = catch_unwind(AssertUnwindSafe(|| walk(&fs, road, &mut outcome)));
    });
    (outcome.memory, outcome.grown) = (measured.bytes_max, fs.grown());
    if let Err(panic) = caught {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        outcome.broken = Some(format!("a panic: {}", text.unwrap_or_default()));
    } else if outcome.memory > folder.bytes() + MEMORY_MAX {
        outcome.broken = Some(format!("{} bytes of memory for {} in files", outcome.memory, folder.bytes()));
    }
    outcome
}

fn walk(fs: &Arc<Guarded>, road: Road, outcome: &mut Outcome) {
    let sandbox = Sandbox::on(fs.clone(), 9);
    let report = outcome.note(sandbox.builder().verify_deep(ROOT));
    outcome.noticed = report.is_none_or(|report| !report.findings.is_empty());
    let Some(index) = outcome.note(sandbox.builder().open(ROOT)) else { return };
    outcome.opened = true;
    read(&index.snapshot(), outcome);
    if road == Road::Read {
        return;
    }
    write(&index, outcome);
    read(&index.snapshot(), outcome);
    outcome.note(index.flush());
    outcome.note(index.compact());
    if let Health::Stopped { error } | Health::Degraded { error, .. } = index.health() {
        outcome.note::<()>(Err(error));
    }
    read(&index.snapshot(), outcome);
    outcome.note(index.close());
    let again = Sandbox::on(fs.clone(), 10);
    if let Some(index) = outcome.note(again.builder().open(ROOT)) {
        read(&index.snapshot(), outcome);
    }
}

/// Queries of every kind, look-ups and pages.
fn read(snapshot: &Snapshot, outcome: &mut Outcome) {
    for k in [1, 5, 40] {
        outcome.note(snapshot.query(&VECTOR).top_k(k).with_vectors().run());
        outcome.note(snapshot.query(&VECTOR).top_k(k).exact().run());
    }
    for filter in [
        r#"{"tag": "red"}"#,
        r#"{"n": {"$gte": 5}}"#,
        r#"{"tag": {"$ne": "red"}, "on": true}"#,
        r#"{"other": {"$exists": false}}"#,
    ] {
        let filter = mongo(filter).expect("a filter");
        outcome.note(snapshot.query(&VECTOR).top_k(7).filter(filter).run());
    }
    for key in 0..12 {
        outcome.note(snapshot.get_item(item(key).id));
    }
    list(snapshot, outcome);
}

/// All pages: each must go on behind the one before, and so come to an end.
fn list(snapshot: &Snapshot, outcome: &mut Outcome) {
    let mut after: Option<ItemId> = None;
    let mut seen = BTreeSet::new();
    loop {
        let Some(page) = outcome.note(snapshot.list_items(after.as_ref(), 9)) else { return };
        let Some(next) = page.next else { return };
        if !seen.insert(next.clone()) {
            outcome
                .broken
                .get_or_insert_with(|| format!("the pages come back to {next}: a list without an end"));
            return;
        }
        after = Some(next);
    }
}

fn write(index: &Index, outcome: &mut Outcome) {
    outcome.note(index.insert_items((100..104).map(item).collect()));
    outcome.note(index.upsert_items([0, 1, 24, 30].map(item).to_vec()));
    let change = |key: u64| ItemUpdate { id: item(key).id, metadata: Value::from([("n", Value::from(7))]) };
    for key in [5, 8, 9, 25] {
        outcome.note(index.update_items(vec![change(key)]));
    }
    for key in [2, 7, 27] {
        outcome.note(index.delete_item(item(key).id));
    }
}
