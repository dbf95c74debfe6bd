//! The process dies (`SIGKILL`) in the middle of mixed writes, again and again on the same folder. What was
//! acknowledged is there afterwards, what was in flight is there as a whole or not at all, and nothing else is.
//!
//! The child is this test binary once more: it runs [`child`], which does nothing unless it is told a folder.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use vectra::{
    Durability, ErrorKind, FieldKind, Filter, Index, Item, ItemId, ItemUpdate, Metric, Receipt, Settings,
    Value,
};
use vectra_core::distance::reference;
use vectra_core::testing::oracle::Dice;

const DIM: usize = 8;
const FOLDER: &str = "VECTRA_TEST_KILL_FOLDER";
const FIRST: &str = "VECTRA_TEST_KILL_FIRST";
const KILLS: u64 = 26;
/// Ids that are written over and over; the others are fresh.
const HOT: usize = 120;

type Model = BTreeMap<ItemId, Item>;

/// One step of the child; a function of its number alone.
#[derive(Debug)]
enum Step {
    Insert(Vec<Item>),
    Upsert(Vec<Item>),
    Update(Vec<ItemUpdate>),
    Delete(Vec<ItemId>),
    Flush,
    Optimize,
    Compact,
}

/// This test binary, to run only the test `name` and show what it prints.
pub(crate) fn again(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn item(id: u64, step: u64, dice: &mut Dice) -> Item {
    let vector: Vec<f32> = (0..DIM).map(|_| dice.uniform()).collect();
    Item::new(id, vector).with_metadata(metadata(step))
}

fn metadata(step: u64) -> Value {
    Value::from([("step", step.into()), ("even", step.is_multiple_of(2).into())])
}

/// The id of the `i`-th item that step `number` inserts, if it inserts.
fn fresh(number: u64, i: u64) -> u64 {
    10_000 + number * 64 + i
}

fn step(number: u64) -> Step {
    let dice = &mut Dice::new(number);
    let several = 1 + dice.below(12);
    let hot = |dice: &mut Dice| {
        let ids: std::collections::BTreeSet<u64> = (0..several).map(|_| dice.below(HOT) as u64).collect();
        ids.into_iter()
    };
    match dice.below(100) {
        0..30 => {
            Step::Insert((0..several as u64 * 2).map(|i| item(fresh(number, i), number, dice)).collect())
        }
        30..60 => Step::Upsert(hot(dice).map(|id| item(id, number, dice)).collect()),
        60..75 => Step::Update(hot(dice).take(3).map(|id| ItemUpdate::new(id, metadata(number))).collect()),
        75..94 => {
            let earlier = number.saturating_sub(dice.below(40) as u64);
            let old = (0..12).map(|i| fresh(earlier, 2 * i));
            Step::Delete(old.chain(hot(dice).take(2)).map(ItemId::from).collect())
        }
        94..97 => Step::Flush,
        97..99 => Step::Optimize,
        _ => Step::Compact,
    }
}

fn run(index: &Index, step: Step) -> vectra::Result<Receipt> {
    let nothing = Receipt { lsn: 0, items: 0 };
    match step {
        Step::Insert(items) => index.insert_items(items),
        Step::Upsert(items) => index.upsert_items(items),
        Step::Update(updates) => index.update_items(updates),
        Step::Delete(ids) => index.delete_items(ids),
        Step::Flush => index.flush().map(|()| nothing),
        Step::Optimize => index.wait_optimized().map(|()| nothing),
        Step::Compact => index.compact().map(|()| nothing),
    }
}

/// What the step does to the content; false if it must be refused.
fn apply(model: &mut Model, step: Step) -> bool {
    match step {
        Step::Insert(items) | Step::Upsert(items) => {
            model.extend(items.into_iter().map(|item| (item.id.clone(), item)));
        }
        Step::Update(updates) => {
            if updates.iter().any(|update| !model.contains_key(&update.id)) {
                return false;
            }
            for update in updates {
                model.get_mut(&update.id).expect("checked above").metadata = update.metadata;
            }
        }
        Step::Delete(ids) => ids.iter().for_each(|id| _ = model.remove(id)),
        Step::Flush | Step::Optimize | Step::Compact => {}
    }
    true
}

/// The child: runs step after step, from the first it is told to, and says what it has done after it is done.
#[test]
fn child() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let index = Index::open(folder).expect("the parent's folder");
    let first: u64 = first.parse().expect("the parent's number");
    let mut out = std::io::stdout().lock();
    writeln!(out).expect("the parent listens");
    for number in first.. {
        let line = match run(&index, step(number)) {
            Ok(receipt) => format!("ack {number} {}", receipt.lsn),
            Err(error) if error.kind() == ErrorKind::NotFound => format!("refused {number} 0"),
            Err(error) => format!("failed {number} {error}"),
        };
        writeln!(out, "{line}").expect("the parent listens");
        out.flush().expect("the parent listens");
    }
}

/// Lets a child write until it has said `acks` times that something is done, and a little longer; then kills it.
/// What it said, in order: the number of a step, whether it was carried out, and its LSN.
fn live_and_die(folder: &Path, first: u64, acks: usize, longer: Duration) -> Vec<(u64, bool, u64)> {
    let mut child =
        again("kill::child").env(FOLDER, folder).env(FIRST, first.to_string()).spawn().expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = Vec::new();
    while said.len() < acks {
        let line = lines.next().expect("a child writes until it is killed").expect("text");
        said.extend(parse(&line));
    }
    std::thread::sleep(longer);
    kill(&mut child);
    // What it said between its last line read and its death counts too. The last line may be cut off.
    said.extend(lines.map_while(Result::ok).filter_map(|line| parse(&line)));
    said
}

fn kill(child: &mut Child) {
    child.kill().expect("SIGKILL");
    let status = child.wait().expect("its end");
    assert!(!status.success(), "it did not end by itself");
}

fn parse(line: &str) -> Option<(u64, bool, u64)> {
    assert!(!line.starts_with("failed"), "{line}");
    let (word, rest) = line.split_once(' ')?;
    let carried_out = match word {
        "ack" => true,
        "refused" => false,
        _ => return None,
    };
    let (number, lsn) = rest.split_once(' ')?;
    Some((number.parse().ok()?, carried_out, lsn.parse().ok()?))
}

fn content(index: &Index) -> Model {
    let (mut all, mut after) = (Model::new(), None);
    loop {
        let page = index.list_items(after.as_ref(), 500).expect("a page");
        all.extend(page.items.into_iter().map(|item| (item.id.clone(), item)));
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// Queries, counts and look-ups tell the same as the list did.
fn assert_agrees(index: &Index, model: &Model, seed: u64) {
    assert_eq!(index.stats().items, model.len() as u64);
    let dice = &mut Dice::new(seed);
    let query: Vec<f32> = (0..DIM).map(|_| dice.uniform()).collect();
    for even in [None, Some(true)] {
        let admits =
            |item: &&Item| even.is_none_or(|even| item.metadata.get("even") == Some(&Value::Bool(even)));
        let mut near: Vec<(f64, &ItemId)> = model
            .values()
            .filter(admits)
            .map(|item| (reference::distance(Metric::L2, &query, &item.vector), &item.id))
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ask = index.query(&query).exact();
        let ask = if even.is_some() { ask.filter(Filter::eq("even", true)) } else { ask };
        let hits = ask.run().expect("answered");
        let found: Vec<&ItemId> = hits.iter().map(|hit| &hit.id).collect();
        assert_eq!(found, near.iter().take(10).map(|(_, id)| *id).collect::<Vec<_>>());
    }
    for id in model.keys().step_by(7) {
        assert_eq!(index.get_item(id.clone()).expect("readable").as_ref(), model.get(id));
    }
}

fn survives(durability: Durability) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let mut settings = Settings::new(DIM as u32)
        .with_metric(Metric::L2)
        .with_shards(2)
        .with_seal_rows(40)
        .with_durability(durability)
        .with_indexed_field("even", FieldKind::Bool);
    (settings.log_bytes_min, settings.log_bytes_max) = (4096, 16 << 10);
    Index::create(&path, settings).expect("created").close().expect("closed");

    let (mut model, mut next) = (Model::new(), 0);
    let mut dice = Dice::new(4);
    for round in 0..KILLS {
        let longer = Duration::from_micros(dice.below(3000) as u64);
        let said = live_and_die(&path, next, 1 + dice.below(45), longer);
        let mut acknowledged = 0;
        for (number, carried_out, lsn) in said {
            assert_eq!(number, next, "steps are said in order");
            assert_eq!(apply(&mut model, step(number)), carried_out, "step {number} after kill {round}");
            acknowledged = acknowledged.max(lsn);
            next += 1;
        }
        let index = Index::open(&path).expect("it always opens");
        assert!(index.stats().visible_lsn >= acknowledged, "kill {round}: {:?}", index.stats());
        let found = content(&index);
        if found != model {
            // Then the step in flight was carried out as a whole.
            apply(&mut model, step(next));
            let differ = found.iter().find(|(id, item)| model.get(*id) != Some(*item));
            let lost = model.keys().find(|id| !found.contains_key(*id));
            assert!(found == model, "kill {round}, step {next}: found {differ:?}, lost {lost:?}");
            next += 1;
        }
        assert_agrees(&index, &model, round);
        // Every other time the parent dies without a word as well, as far as a test can.
        if round.is_multiple_of(2) {
            index.close().expect("closed");
        }
    }
    let index = Index::open(&path).expect("opened");
    index.compact().expect("compacted");
    assert!(content(&index) == model, "compaction changes nothing");
    assert!(index.stats().generation > 20, "sealing went on in the background: {:?}", index.stats());
    index.close().expect("closed");
    assert!(vectra::verify(&path).expect("verified").findings.is_empty());
}

#[test]
fn acknowledged_writes_survive_the_death_of_the_process() {
    survives(Durability::Sync);
}

#[test]
fn they_do_without_a_sync_too() {
    survives(Durability::None);
}
