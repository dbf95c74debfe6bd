//! Named checkpoints and snapshots: what was pinned stays as it was, whatever happens to the index.

use std::collections::BTreeMap;
use std::path::Path;

use vectra::{ErrorKind, Metric, Settings};
use vectra_core::io::Fs;
use vectra_core::io::sim::CrashModel;

use crate::world::{Broken, Ledger, MODELS, Model, Op, Run, World, check, check_items, tiny};

fn started<'w>(world: &'w World, settings: &Settings) -> Run<'w> {
    let (run, created) = Run::create(world, settings);
    created.expect("created");
    run
}

/// Part files in the index.
fn parts(world: &World) -> usize {
    let fs: &dyn Fs = &world.fs;
    fs.list(Path::new("/index/seg")).expect("a directory").len()
}

fn work(run: &mut Run<'_>, ops: &[Op]) {
    run.all(ops).unwrap_or_else(|e| panic!("{e}"));
}

/// Everything that rewrites, kills or collects.
fn upheaval() -> Vec<Op> {
    use Op::{Compact, Delete, Flush, Insert, Optimize, Steps, Update, Upsert};
    vec![
        Upsert((1..9).collect()),
        Delete(vec![2, 10]),
        Flush,
        Update(vec![1, 4]),
        Insert((30..40).collect()),
        Steps(4),
        Optimize,
        Delete(vec![3, 31]),
        Compact,
        Upsert(vec![5, 10]),
        Compact,
    ]
}

#[test]
fn a_snapshot_does_not_change_and_outlives_the_index() {
    let world = World::new(4, MODELS[0]);
    let settings = tiny(Metric::Cosine, 2);
    let mut run = started(&world, &settings);
    work(
        &mut run,
        &[Op::Insert((1..20).collect()), Op::Flush, Op::Update(vec![1, 2]), Op::Insert(vec![20, 21])],
    );
    let (pinned, model) = (run.index().snapshot(), Model::clone(&run.ledger.now));
    for op in upheaval() {
        work(&mut run, &[op]);
        check(&pinned, &model, settings.metric, 1).unwrap_or_else(|e| panic!("{e}"));
    }
    run.index.take().expect("open").close().expect("closed");
    check(&pinned, &model, settings.metric, 2).unwrap_or_else(|e| panic!("after the close: {e}"));
    let again = world.builder().open("/index").expect("open");
    again.compact().expect("compacted");
    check(&pinned, &model, settings.metric, 3).unwrap_or_else(|e| panic!("after another compaction: {e}"));
}

#[test]
fn a_checkpoint_stays_through_everything_and_goes_when_dropped() {
    for shards in [1, 3] {
        let world = World::new(5, MODELS[0]);
        let settings = tiny(Metric::L2, shards);
        let mut run = started(&world, &settings);
        let empty = run.index().create_checkpoint("empty").expect("made");
        assert_eq!(empty.lsn, 0);
        work(
            &mut run,
            &[Op::Insert((1..20).collect()), Op::Flush, Op::Update(vec![1, 2]), Op::Delete(vec![7])],
        );
        work(&mut run, &[Op::Insert(vec![20, 21])]);
        let info = run.index().create_checkpoint("before").expect("made");
        let model = Model::clone(&run.ledger.now);
        assert_eq!(info.lsn, run.index().stats().durable_lsn);
        work(&mut run, &upheaval());
        work(&mut run, &[Op::Close, Op::Compact, Op::Kill]);
        let names: Vec<_> = run.index().checkpoints().into_iter().map(|c| (c.name, c.lsn)).collect();
        assert_eq!(names, [("before".to_owned(), info.lsn), ("empty".to_owned(), 0)]);
        let pinned = run.index().at_checkpoint("before").expect("readable");
        assert_eq!(pinned.lsn(), info.lsn);
        check(&pinned, &model, settings.metric, 1).unwrap_or_else(|e| panic!("{e}"));
        assert!(run.index().at_checkpoint("empty").expect("readable").is_empty());
        run.index().drop_checkpoint("before").expect("dropped");
        assert_eq!(run.index().at_checkpoint("before").expect_err("gone").kind(), ErrorKind::NotFound);
        work(&mut run, &[Op::Compact]);
        check(&pinned, &model, settings.metric, 2).unwrap_or_else(|e| panic!("dropped, but open: {e}"));
        drop(pinned);
        let before = parts(&world);
        work(&mut run, &[Op::Upsert(vec![1]), Op::Compact, Op::Close]);
        assert!(parts(&world) < before, "what only the checkpoint needed is gone: {before}");
        let report = world.builder().verify_deep("/index").expect("verified");
        assert!(report.findings.is_empty(), "{report:?}");
        check_items(&run.index().snapshot(), &run.ledger.now).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn refusals_say_what_to_do() {
    let world = World::new(6, MODELS[0]);
    let run = started(&world, &tiny(Metric::L2, 1));
    let index = run.index();
    index.create_checkpoint("a").expect("made");
    let twice = index.create_checkpoint("a").expect_err("taken");
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    assert!(twice.to_string().contains("drop it first"), "{twice}");
    assert_eq!(index.create_checkpoint("A b").expect_err("no name").kind(), ErrorKind::Invalid);
    assert_eq!(index.drop_checkpoint("b").expect_err("none").kind(), ErrorKind::NotFound);
    assert_eq!(index.at_checkpoint("../a").expect_err("none").kind(), ErrorKind::NotFound);
    assert_eq!(index.checkpoints().len(), 1);
}

/// What may be found under each name after a crash: a state, or none.
type Kept = BTreeMap<&'static str, Vec<Option<Model>>>;

fn script(run: &mut Run<'_>, kept: &mut Kept) -> Result<(), Broken> {
    use Op::{Close, Compact, Delete, Flush, Insert, Steps, Update, Upsert};
    let make = |run: &Run<'_>, kept: &mut Kept, name| {
        kept.insert(name, vec![None, Some(Model::clone(&run.ledger.now))]);
        run.index().create_checkpoint(name)?;
        kept.get_mut(name).expect("just put there").remove(0);
        Ok::<_, Broken>(())
    };
    run.all(&[Insert((1..8).collect()), Flush, Update(vec![1, 2]), Insert(vec![9])])?;
    make(run, kept, "one")?;
    run.all(&[Delete(vec![3, 9]), Upsert((4..12).collect()), Steps(3), Compact])?;
    make(run, kept, "two")?;
    run.all(&[Update(vec![4]), Close, Insert(vec![20])])?;
    kept.get_mut("one").expect("made").push(None);
    run.index().drop_checkpoint("one")?;
    kept.insert("one", vec![None]);
    run.all(&[Compact, Insert(vec![21]), Close])
}

fn look(world: &World, settings: &Settings, ledger: &Ledger, kept: &Kept) -> Result<(), Broken> {
    let run = Run::recover(world, settings, ledger)?;
    let found: Vec<String> = run.index().checkpoints().into_iter().map(|c| c.name).collect();
    for (name, allowed) in kept {
        let there = found.iter().any(|found| found == name);
        let expected = allowed.iter().find(|state| state.is_some() == there);
        match expected {
            None => return Err(Broken::Wrong(format!("checkpoint {name}: found is {there}"))),
            Some(Some(model)) => check_items(&run.index().at_checkpoint(name)?, model)?,
            Some(None) => {}
        }
    }
    if let Some(stranger) = found.iter().find(|name| !kept.contains_key(name.as_str())) {
        return Err(Broken::Wrong(format!("checkpoint {stranger} was never made")));
    }
    drop(run);
    let report = world.builder().verify_deep("/index")?;
    if report.findings.is_empty() { Ok(()) } else { Err(Broken::Wrong(format!("{:?}", report.findings))) }
}

fn sweep(model: CrashModel, shards: u16) {
    let settings = tiny(Metric::L2, shards);
    let whole = World::new(8, model);
    let (mut run, created) = Run::create(&whole, &settings);
    let mut kept = Kept::new();
    created.and_then(|()| script(&mut run, &mut kept)).unwrap_or_else(|e| panic!("without a crash: {e}"));
    drop(run);
    for n in 1..=whole.fs.calls() + 1 {
        let world = World::new(8, model);
        world.fs.crash_at(n);
        let (mut run, created) = Run::create(&world, &settings);
        let mut kept = Kept::new();
        let outcome = created.and_then(|()| script(&mut run, &mut kept));
        assert!(outcome.is_ok() || world.fs.is_off(), "call {n}: {outcome:?}");
        let ledger = run.ledger.clone();
        drop(run);
        let after = World::on(world.fs.crash(n), n);
        look(&after, &settings, &ledger, &kept).unwrap_or_else(|e| panic!("{model:?}, call {n}: {e}"));
    }
}

#[test]
fn a_checkpoint_is_there_or_not_after_a_crash_on_a_forgetful_disk() {
    sweep(MODELS[0], 1);
}

#[test]
fn a_checkpoint_is_there_or_not_after_a_crash_on_a_journalling_disk() {
    sweep(MODELS[1], 2);
}

/// The log knows nothing of checkpoints, so two manifests have to.
#[test]
fn regress_a_damaged_manifest_takes_no_checkpoint_and_brings_none_back() {
    let settings = tiny(Metric::L2, 1);
    for dropped in [false, true] {
        let world = World::new(9, MODELS[0]);
        let mut run = started(&world, &settings);
        work(&mut run, &[Op::Insert((1..9).collect()), Op::Compact]);
        run.index().create_checkpoint("kept").expect("made");
        if dropped {
            // Idle in between: everything that waits for quiet is done.
            work(&mut run, &[Op::Close]);
            run.index().drop_checkpoint("kept").expect("dropped");
        }
        let model = Model::clone(&run.ledger.now);
        drop(run);
        let fs: &dyn Fs = &world.fs;
        let newest = fs.list(Path::new("/index/manifest")).expect("a folder").pop().expect("a manifest");
        world.fs.flip_bit(&Path::new("/index/manifest").join(newest.name), 700).expect("flipped");
        let index = world.builder().open("/index").expect("the one before does");
        assert!(index.opened().fell_back_from.is_some());
        let names: Vec<String> = index.checkpoints().into_iter().map(|found| found.name).collect();
        if dropped {
            assert_eq!(names, [""; 0]);
            continue;
        }
        assert_eq!(names, ["kept"]);
        let pinned = index.at_checkpoint("kept").expect("readable");
        check_items(&pinned, &model).unwrap_or_else(|e| panic!("{e}"));
    }
}
