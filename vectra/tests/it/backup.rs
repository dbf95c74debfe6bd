//! Backup and restore: what comes back is what was there, and an interrupted one is the old one or the new one.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use vectra::{BackupOptions, ErrorKind, Index, Metric, Progress, Settings, Watch};
use vectra_core::io::Fs;
use vectra_core::io::sim::CrashModel;

use crate::world::{Broken, MODELS, Model, Op, Run, World, check, check_items, tiny};

pub(crate) const BACKUP: &str = "/backup";
pub(crate) const RESTORED: &str = "/restored";

pub(crate) fn started<'w>(world: &'w World, settings: &Settings, ops: &[Op]) -> Run<'w> {
    let (mut run, created) = Run::create(world, settings);
    created.and_then(|()| run.all(ops)).unwrap_or_else(|e| panic!("{e}"));
    run
}

/// Sealed, changed since, and unsealed rows.
pub(crate) fn some() -> Vec<Op> {
    use Op::{Delete, Flush, Insert, Optimize, Update, Upsert};
    vec![
        Insert((1..20).collect()),
        Optimize,
        Update(vec![1, 2]),
        Delete(vec![7]),
        Upsert(vec![3]),
        Flush,
        Delete(vec![8]),
        Update(vec![4]),
        Insert(vec![20, 21]),
    ]
}

fn sound(world: &World, root: &str) {
    let report = world.builder().verify_deep(root).expect("verified");
    assert!(report.findings.is_empty() && report.unknown.is_empty(), "{root}: {report:?}");
}

/// Opens what lies in `root` and compares it.
fn expect_at(world: &World, root: &str, model: &Model, metric: Metric) -> Index {
    let index = world.builder().open(root).expect("an index");
    check(&index.snapshot(), model, metric, 1).unwrap_or_else(|e| panic!("{root}: {e}"));
    index
}

fn files(world: &World, dir: &str) -> Vec<PathBuf> {
    let fs: &dyn Fs = &world.fs;
    fs.list(Path::new(dir))
        .expect("a directory")
        .into_iter()
        .map(|entry| Path::new(dir).join(entry.name))
        .collect()
}

#[test]
fn a_backup_is_an_index_and_restores_to_the_same() {
    for (shards, link) in [(1, false), (3, true)] {
        let world = World::new(3, MODELS[0]);
        let settings = tiny(Metric::Cosine, shards);
        let mut run = started(&world, &settings, &some());
        run.index().create_checkpoint("kept").expect("made");
        let kept = Model::clone(&run.ledger.now);
        run.all(&[Op::Delete(vec![1, 9]), Op::Insert(vec![30])]).unwrap_or_else(|e| panic!("{e}"));
        let (model, lsn) = (Model::clone(&run.ledger.now), run.index().snapshot().lsn());
        let told = Mutex::new(Vec::new());
        let tell = |progress: Progress| told.lock().expect("no panic").push(progress);
        let options = BackupOptions::new().link(link).watch(Watch::new(&tell));
        let report = run.index().backup_with(BACKUP, &options).expect("backed up");
        assert_eq!((report.lsn, report.generation, report.reused, report.left_out), (lsn, 1, 0, 0));
        assert_eq!(report.copied + report.linked, report.parts, "{report:?}");
        assert_eq!(report.linked > 0, link);
        let last = *told.lock().expect("no panic").last().expect("told");
        assert_eq!(last.done, last.total);
        // The index goes on and is lost.
        run.all(&[Op::Upsert((1..9).collect()), Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
        drop(run);
        sound(&world, BACKUP);

        let done = world.builder().restore(BACKUP, RESTORED, Watch::default()).expect("restored");
        assert_eq!((done.lsn, done.checkpoints, done.parts), (lsn, 1, report.parts));
        sound(&world, RESTORED);
        let index = expect_at(&world, RESTORED, &model, settings.metric);
        assert_eq!(index.settings(), &settings);
        check_items(&index.at_checkpoint("kept").expect("kept"), &kept).unwrap_or_else(|e| panic!("{e}"));
        index.insert_item(vectra::Item::new(999_u64, [1.0, 0.0, 0.0, 0.0])).expect("inserted");
        assert_eq!(index.snapshot().lsn(), lsn + 1);
        index.compact().expect("compacted");
        index.close().expect("closed");
        drop(expect_at(&world, BACKUP, &model, settings.metric));
    }
}

#[test]
fn a_second_backup_brings_only_what_is_new() {
    let world = World::new(4, MODELS[0]);
    let settings = tiny(Metric::L2, 1);
    let mut run = started(&world, &settings, &some());
    run.all(&[Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    let first = run.index().backup(BACKUP).expect("backed up");
    let same = run.index().backup(BACKUP).expect("backed up");
    assert_eq!((same.copied, same.reused, same.generation), (0, first.parts, 2), "{same:?}");
    // Looking into a backup does not spoil it.
    world.builder().open(BACKUP).expect("an index").close().expect("closed");
    run.all(&[Op::Insert(vec![40]), Op::Update(vec![1])]).unwrap_or_else(|e| panic!("{e}"));
    let more = run.index().backup(BACKUP).expect("backed up");
    assert_eq!((more.reused, more.copied), (first.parts, 4), "a small segment and an overlay: {more:?}");
    run.all(&[Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    let rewritten = run.index().backup(BACKUP).expect("backed up");
    assert_eq!(files(&world, "/backup/seg").len() as u64, rewritten.parts, "what nobody needs is gone");
    assert_eq!(files(&world, "/backup/manifest").len(), 1);
    assert_eq!(files(&world, "/backup/wal").len(), 1);
    sound(&world, BACKUP);
    drop(expect_at(&world, BACKUP, &run.ledger.now, settings.metric));
}

#[test]
fn a_part_that_rotted_in_the_backup_is_brought_again() {
    let world = World::new(5, MODELS[0]);
    let mut run = started(&world, &tiny(Metric::L2, 1), &some());
    run.all(&[Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    let first = run.index().backup(BACKUP).expect("backed up");
    world.fs.flip_bit(&files(&world, "/backup/seg")[0], 8 * 4100).expect("flipped");
    let second = run.index().backup(BACKUP).expect("backed up");
    assert_eq!((second.copied, second.reused), (1, first.parts - 1));
    sound(&world, BACKUP);
}

#[test]
fn damage_in_the_index_stops_a_backup_unless_it_is_derived() {
    let settings = tiny(Metric::L2, 1);
    let (mut stopped, mut left_out) = (0, 0);
    for n in 0..3 {
        let world = World::new(6, MODELS[0]);
        let mut run = started(&world, &settings, &some());
        run.all(&[Op::Compact, Op::Close]).unwrap_or_else(|e| panic!("{e}"));
        world.fs.flip_bit(&files(&world, "/index/seg")[n], 8 * 4100).expect("flipped");
        match run.index().backup(BACKUP) {
            Ok(report) => {
                left_out += report.left_out;
                sound(&world, BACKUP);
                drop(expect_at(&world, BACKUP, &run.ledger.now, settings.metric));
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
                let restored = world.builder().restore(BACKUP, RESTORED, Watch::default());
                assert_eq!(restored.expect_err("unfinished").kind(), ErrorKind::NotFound);
                stopped += 1;
            }
        }
    }
    assert_eq!((stopped, left_out), (2, 1), "rows and metadata are data, the index part is not");
}

#[test]
fn refusals_say_what_to_do() {
    let world = World::new(7, MODELS[0]);
    let settings = tiny(Metric::L2, 1);
    let run = started(&world, &settings, &some());
    let index = run.index();
    let refused = |outcome: Result<vectra::BackupReport, vectra::Error>, kind, text: &str| {
        let error = outcome.expect_err(text);
        assert!(error.kind() == kind && error.to_string().contains(text), "{text}: {error:?}");
    };
    refused(index.backup("/index"), ErrorKind::Invalid, "another folder");
    refused(index.backup("/index/inside"), ErrorKind::Invalid, "another folder");
    let other = world.builder().create("/other", settings.clone()).expect("created");
    refused(index.backup("/other"), ErrorKind::Conflict, "name a new folder");
    other.backup("/theirs").expect("backed up");
    refused(index.backup("/theirs"), ErrorKind::Conflict, "backup of another index");
    index.backup(BACKUP).expect("backed up");
    let opened = world.builder().open(BACKUP).expect("an index");
    refused(index.backup(BACKUP), ErrorKind::Conflict, "open for writing elsewhere");
    let restore = |from: &str, to: &str| world.builder().restore(from, to, Watch::default());
    let kind =
        |outcome: Result<_, vectra::Error>| outcome.map(|_: vectra::RestoreReport| ()).map_err(|e| e.kind());
    assert_eq!(kind(restore(BACKUP, RESTORED)), Err(ErrorKind::Conflict), "it is open");
    opened.delete_item(20_u64).expect("deleted");
    opened.close().expect("closed");
    refused(index.backup(BACKUP), ErrorKind::Conflict, "written to since");
    assert_eq!(kind(restore(BACKUP, RESTORED)), Err(ErrorKind::Conflict), "it was written to");
    assert_eq!(kind(restore("/nowhere", RESTORED)), Err(ErrorKind::NotFound));
    assert_eq!(kind(restore("/other", RESTORED)), Err(ErrorKind::Conflict), "it is open");
    other.close().expect("closed");
    assert_eq!(kind(restore("/other", RESTORED)), Err(ErrorKind::Invalid), "no backup");
    assert_eq!(kind(restore("/theirs", "/index")), Err(ErrorKind::Conflict), "not empty");
    assert_eq!(kind(restore("/theirs", "/theirs/x")), Err(ErrorKind::Invalid), "nested");
    restore("/theirs", RESTORED).expect("restored");
    assert_eq!(kind(restore("/theirs", RESTORED)), Err(ErrorKind::Conflict), "there is an index now");
}

#[test]
fn an_index_that_went_back_in_time_does_not_replace_its_backup() {
    let world = World::new(8, MODELS[0]);
    let mut run = started(&world, &tiny(Metric::L2, 1), &some());
    run.index().backup("/early").expect("backed up");
    run.all(&[Op::Insert(vec![50])]).unwrap_or_else(|e| panic!("{e}"));
    run.index().backup(BACKUP).expect("backed up");
    drop(run);
    world.builder().restore("/early", RESTORED, Watch::default()).expect("restored");
    let index = world.builder().open(RESTORED).expect("an index");
    let error = index.backup(BACKUP).expect_err("it is older");
    assert!(error.kind() == ErrorKind::Conflict && error.to_string().contains("restored"), "{error}");
    let report = index.backup("/early").expect("the same index goes on");
    assert_eq!(report.copied, 0, "{report:?}");
}

/// Two backups and a restore; which models may lie where after a crash.
fn script(run: &mut Run<'_>, [allowed, acknowledged]: &mut [Vec<Model>; 2]) -> Result<(), Broken> {
    use Op::{Compact, Delete, Flush, Insert, Update};
    run.all(&[Insert((1..9).collect()), Flush, Update(vec![1]), Insert(vec![9])])?;
    run.index().create_checkpoint("one")?;
    *allowed = vec![Model::clone(&run.ledger.now)];
    run.index().backup(BACKUP)?;
    acknowledged.clone_from(allowed);
    run.all(&[Delete(vec![2, 9]), Compact, Insert(vec![10, 11])])?;
    allowed.push(Model::clone(&run.ledger.now));
    run.index().backup(BACKUP)?;
    allowed.remove(0);
    acknowledged.clone_from(allowed);
    run.world.builder().restore(BACKUP, RESTORED, Watch::default())?;
    Ok(())
}

/// Whatever lies in `root` is whole: one of `models`, or nothing if `may_lack`.
pub(crate) fn whole(world: &World, root: &str, models: &[Model], may_lack: bool) -> Result<(), Broken> {
    let index = match world.builder().open(root) {
        Err(e) if e.kind() == ErrorKind::NotFound && may_lack => return Ok(()),
        other => other?,
    };
    let snapshot = index.snapshot();
    let fits = models.iter().any(|model| check_items(&snapshot, model).is_ok());
    drop(index);
    let report = world.builder().verify_deep(root)?;
    if fits && report.findings.is_empty() {
        return Ok(());
    }
    Err(Broken::Wrong(format!("{root} is a mixture (fits: {fits}): {:?}", report.findings)))
}

fn sweep(model: CrashModel, shards: u16) {
    let settings = tiny(Metric::L2, shards);
    let start = |world: &World, crash: Option<u64>| -> (Result<(), Broken>, [Vec<Model>; 2]) {
        let (mut run, created) = Run::create(world, &settings);
        created.unwrap_or_else(|e| panic!("{e}"));
        if let Some(n) = crash {
            world.fs.crash_at(n);
        }
        let mut promised = [Vec::new(), Vec::new()];
        (script(&mut run, &mut promised), promised)
    };
    let undisturbed = World::new(9, model);
    start(&undisturbed, None).0.unwrap_or_else(|e| panic!("without a crash: {e}"));
    let (from, to) = (1, undisturbed.fs.calls());
    for n in from..=to {
        let world = World::new(9, model);
        let (outcome, [allowed, acknowledged]) = start(&world, Some(n));
        assert!(outcome.is_ok() || world.fs.is_off(), "call {n}: {outcome:?}");
        let after = || World::on(world.fs.crash(n), n);
        let look = |world: &World| {
            whole(world, BACKUP, &allowed, acknowledged.is_empty())?;
            whole(world, RESTORED, &allowed, outcome.is_err())
        };
        look(&after()).unwrap_or_else(|e| panic!("{model:?}, call {n}: {e}"));
        // The next backup and restore tidy up; tried at some of the calls.
        if n % 5 != u64::from(shards) {
            continue;
        }
        let again = after();
        let Ok(index) = again.builder().open("/index") else { continue };
        let report = index.backup(BACKUP).unwrap_or_else(|e| panic!("{model:?}, call {n}, again: {e}"));
        assert_eq!(report.lsn, index.snapshot().lsn());
        sound(&again, BACKUP);
        match again.builder().restore(BACKUP, RESTORED, Watch::default()) {
            Ok(_) => sound(&again, RESTORED),
            Err(e) => assert!(
                e.kind() == ErrorKind::Conflict && again.builder().open(RESTORED).is_ok(),
                "call {n}: {e}"
            ),
        }
    }
}

#[test]
fn an_interrupted_backup_is_the_old_one_or_the_new_one_on_a_forgetful_disk() {
    sweep(MODELS[0], 1);
}

#[test]
fn an_interrupted_backup_is_the_old_one_or_the_new_one_on_a_journalling_disk() {
    sweep(MODELS[1], 2);
}

/// A name in a manifest is never a path, and a link in a backup is never followed.
#[test]
fn regress_restore_reads_nothing_outside_the_backup() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let index = Index::create(at("index"), tiny(Metric::L2, 1)).expect("created");
    index.insert_item(vectra::Item::new(1_u64, [1.0, 0.0, 0.0, 0.0])).expect("inserted");
    index.backup(at("backup")).expect("backed up");
    index.close().expect("closed");
    std::fs::write(at("backup").join("stray"), "x").expect("written");
    let part =
        std::fs::read_dir(at("backup/seg")).expect("listed").next().expect("a part").expect("read").path();
    let outside = at("outside");
    std::fs::rename(&part, &outside).expect("moved");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&outside, &part).expect("linked");
        let error = vectra::restore(at("backup"), at("new")).expect_err("a link");
        assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt), "{error:?}");
        assert_eq!(Index::open(at("new")).expect_err("nothing there").kind(), ErrorKind::NotFound);
        std::fs::remove_file(&part).expect("removed");
    }
    // The same bytes under the right name are fine again, and longer ones are not.
    std::fs::copy(&outside, &part).expect("copied");
    vectra::restore(at("backup"), at("new")).expect("restored");
    assert!(!at("new/stray").exists(), "only what the manifest names comes along");
    let mut longer = std::fs::read(&outside).expect("read");
    longer.push(0);
    std::fs::remove_file(&part).expect("removed");
    std::fs::write(&part, longer).expect("written");
    assert!(vectra::restore(at("backup"), at("other")).is_err());
}
