//! The process dies (`SIGKILL`) in the middle of mixed writes by eight threads, again and again on the same folder. What
//! was acknowledged is there afterwards, what was in flight is there as a whole or not at all, and nothing else is.
//!
//! The child is this test binary once more: it runs [`child`], which does nothing unless it is told a folder. Who was
//! told what is known to the parent, outside the process that dies. Each thread has items of its own, so that what it
//! was told, in its order, decides what must be found of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use vectra::{
    Durability, ErrorKind, FieldKind, Filter, Index, Item, ItemId, ItemUpdate, Metric, Receipt, Settings,
    Value,
};
use vectra_core::distance::reference;
use vectra_core::testing::oracle::Dice;

use crate::evidence::{Evidence, target};

const DIM: usize = 8;
const FOLDER: &str = "VECTRA_TEST_KILL_FOLDER";
const FIRST: &str = "VECTRA_TEST_KILL_FIRST";
/// Threads that write.
const WRITERS: u64 = 8;
/// Ids that a writer writes over and over; the others are fresh.
const HOT: usize = 15;
/// Ids from one writer's first to the next one's.
const OWN: u64 = 1 << 32;

type Model = BTreeMap<ItemId, Item>;

/// One step of a writer; a function of the writer and the step's number alone.
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

/// The id of the `i`-th item that step `number` of `writer` inserts, if it inserts.
fn fresh(writer: u64, number: u64, i: u64) -> u64 {
    writer * OWN + 10_000 + number * 64 + i
}

fn step(writer: u64, number: u64) -> Step {
    let dice = &mut Dice::new(number * WRITERS + writer);
    let several = 1 + dice.below(12);
    let hot = |dice: &mut Dice| {
        let ids: std::collections::BTreeSet<u64> =
            (0..several).map(|_| writer * OWN + dice.below(HOT) as u64).collect();
        ids.into_iter()
    };
    match dice.below(100) {
        0..30 => Step::Insert(
            (0..several as u64 * 2).map(|i| item(fresh(writer, number, i), number, dice)).collect(),
        ),
        30..60 => Step::Upsert(hot(dice).map(|id| item(id, number, dice)).collect()),
        60..75 => Step::Update(hot(dice).take(3).map(|id| ItemUpdate::new(id, metadata(number))).collect()),
        75..98 => {
            let earlier = number.saturating_sub(dice.below(40) as u64);
            let old = (0..12).map(|i| fresh(writer, earlier, 2 * i));
            Step::Delete(old.chain(hot(dice).take(2)).map(ItemId::from).collect())
        }
        _ if writer > 0 => Step::Upsert(vec![item(writer * OWN, number, dice)]),
        98 => Step::Flush,
        _ if dice.below(2) == 0 => Step::Optimize,
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

/// The child: each writer runs step after step, from the first it is told to, and says what it has done after it is
/// done.
#[test]
fn child() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let index = Index::open(folder).expect("the parent's folder");
    let out = Mutex::new(std::io::stdout());
    let say = |line: String| {
        let mut out = out.lock().expect("nobody panics with it");
        writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent listens");
    };
    say(String::new());
    let write = |writer: u64, first: u64| {
        for number in first.. {
            say(match run(&index, step(writer, number)) {
                Ok(receipt) => format!("ack {writer} {number} {}", receipt.lsn),
                Err(error) if error.kind() == ErrorKind::NotFound => format!("refused {writer} {number} 0"),
                Err(error) => format!("failed {writer} {number} {error}"),
            });
        }
    };
    std::thread::scope(|threads| {
        for (writer, first) in (0..).zip(first.split(',')) {
            let first = first.parse().expect("the parent's number");
            threads.spawn(move || write(writer, first));
        }
    });
}

/// What a writer was told.
#[derive(Debug, Clone, Copy)]
struct Word {
    writer: u64,
    number: u64,
    carried_out: bool,
    lsn: u64,
}

/// Lets a child write until it has said `acks` times that something is done, and a little longer; then kills it.
/// What it said, in order.
fn live_and_die(folder: &Path, first: &[u64], acks: usize, longer: Duration) -> Vec<Word> {
    let first: Vec<String> = first.iter().map(u64::to_string).collect();
    let mut child =
        again("kill::child").env(FOLDER, folder).env(FIRST, first.join(",")).spawn().expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = Vec::new();
    while said.len() < acks {
        let line = lines.next().expect("a child writes until it is killed").expect("text");
        said.extend(parse(&line));
    }
    std::thread::sleep(longer);
    kill(&mut child);
    // The last line may be cut off.
    said.extend(lines.map_while(Result::ok).filter_map(|line| parse(&line)));
    said
}

fn kill(child: &mut Child) {
    child.kill().expect("SIGKILL");
    let status = child.wait().expect("its end");
    assert!(!status.success(), "it did not end by itself");
}

fn parse(line: &str) -> Option<Word> {
    assert!(!line.starts_with("failed"), "{line}");
    let mut words = line.split(' ');
    let carried_out = match words.next()? {
        "ack" => true,
        "refused" => false,
        _ => return None,
    };
    let mut number = || words.next()?.parse().ok();
    let (writer, number, lsn) = (number()?, number()?, number()?);
    Some(Word { writer, number, carried_out, lsn })
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

/// One writer's part of what was found.
fn part(found: &Model, writer: u64) -> Model {
    let range = ItemId::from(writer * OWN)..ItemId::from((writer + 1) * OWN);
    found.range(range).map(|(id, item)| (id.clone(), item.clone())).collect()
}

/// What the parent knows.
#[derive(Debug, Default)]
struct Journal {
    models: Vec<Model>,
    /// The first step of each writer of which nothing is known.
    next: Vec<u64>,
    acknowledged: u64,
}

impl Journal {
    fn take_down(&mut self, said: Vec<Word>) {
        self.acknowledged = 0;
        for Word { writer, number, carried_out, lsn } in said {
            let w = writer as usize;
            assert_eq!(number, self.next[w], "the steps of writer {writer} are said in order");
            let done = apply(&mut self.models[w], step(writer, number));
            assert_eq!(done, carried_out, "step {number} of writer {writer}");
            self.acknowledged = self.acknowledged.max(lsn);
            self.next[w] += 1;
        }
    }

    /// Compares each writer's part with what it was told, or with that and its next step as a whole.
    fn compare(&mut self, found: &Model, kill: u64) {
        for writer in 0..WRITERS {
            let (w, found) = (writer as usize, part(found, writer));
            if found == self.models[w] {
                continue;
            }
            apply(&mut self.models[w], step(writer, self.next[w]));
            let model = &self.models[w];
            let differ = found.iter().find(|(id, item)| model.get(*id) != Some(*item));
            let lost = model.keys().find(|id| !found.contains_key(*id));
            let step = self.next[w];
            assert!(
                found == *model,
                "kill {kill}, writer {writer}, step {step}: found {differ:?}, lost {lost:?}"
            );
            self.next[w] += 1;
        }
        let parts: usize = self.models.iter().map(Model::len).sum();
        assert_eq!(found.len(), parts, "kill {kill}: items of nobody");
    }

    fn whole(&self) -> Model {
        self.models.iter().flatten().map(|(id, item)| (id.clone(), item.clone())).collect()
    }
}

fn survives(test: &'static str, durability: Durability) {
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

    let what = format!("kill -9 of a process with {WRITERS} writers, {durability:?}");
    let mut evidence = Evidence::begin("d6", test, what);
    let writers = WRITERS as usize;
    let mut journal =
        Journal { models: vec![Model::new(); writers], next: vec![0; writers], acknowledged: 0 };
    let mut dice = Dice::new(4);
    evidence.until("kills", target(25, 1000), |evidence, kill| {
        let longer = Duration::from_micros(dice.below(3000) as u64);
        let said = live_and_die(&path, &journal.next, 1 + dice.below(60), longer);
        evidence.add("steps acknowledged", said.len() as u64);
        evidence.add("kills", 1);
        journal.take_down(said);
        let index = Index::open(&path).expect("it always opens");
        assert!(index.stats().visible_lsn >= journal.acknowledged, "kill {kill}: {:?}", index.stats());
        journal.compare(&content(&index), kill);
        assert_agrees(&index, &journal.whole(), kill);
        // Every other time the parent dies without a word as well, as far as a test can; and now and then it starts
        // afresh, so that a long run does not drown in items.
        if kill.is_multiple_of(2) {
            if kill % 40 == 38 {
                let all: Vec<ItemId> = journal.whole().into_keys().collect();
                all.chunks(500).for_each(|ids| _ = index.delete_items(ids.to_vec()).expect("deleted"));
                journal.models = vec![Model::new(); writers];
            }
            index.close().expect("closed");
        }
    });
    let index = Index::open(&path).expect("opened");
    index.compact().expect("compacted");
    assert!(content(&index) == journal.whole(), "compaction changes nothing");
    assert!(index.stats().generation > 10, "sealing went on in the background: {:?}", index.stats());
    index.close().expect("closed");
    assert!(vectra::verify_deep(&path).expect("verified").findings.is_empty());
    evidence.end();
}

#[test]
fn acknowledged_writes_survive_the_death_of_the_process() {
    survives("sync", Durability::Sync);
}

#[test]
fn they_do_without_a_sync_too() {
    survives("none", Durability::None);
}
