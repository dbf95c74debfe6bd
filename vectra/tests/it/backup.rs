//! Backup and restore: what comes back is what was there, and an interrupted one is the old one or the new one.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use vectra::{BackupOptions, ErrorKind, Index, Metric, Progress, Settings, Watch};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, Fault, SyncSite};

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
                e.kind() == ErrorKind::Conflict
                    && !files(&again, RESTORED).contains(&Path::new(RESTORED).join("RESTORE"))
                    && again.builder().open(RESTORED).is_ok(),
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
    // A damaged derived part would be left out instead.
    let is_rows = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| bytes[28] == 1);
    let mut parts =
        std::fs::read_dir(at("backup/seg")).expect("listed").map(|entry| entry.expect("read").path());
    let part = parts.find(is_rows).expect("a part with rows");
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

/// Where what only an earlier backup needs is rotten, the next one is good all the same.
#[test]
fn regress_rot_in_the_previous_backup_does_not_withdraw_the_next() {
    let world = World::new(10, MODELS[0]);
    let settings = tiny(Metric::L2, 1);
    let mut run = started(&world, &settings, &some());
    run.all(&[Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    run.index().backup(BACKUP).expect("backed up");
    run.all(&[Op::Upsert((1..22).collect()), Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    let present = files(&world, "/index/seg");
    let is_old = |part: &&PathBuf| !present.iter().any(|present| present.file_name() == part.file_name());
    let stored = files(&world, "/backup/seg");
    let old: Vec<&PathBuf> = stored.iter().filter(is_old).collect();
    assert!(!old.is_empty());
    old.iter().for_each(|part| world.fs.flip_bit(part, 8 * 4100).expect("flipped"));
    let report = run.index().backup(BACKUP).expect("nothing of the new backup is damaged");
    assert_eq!(report.generation, 2);
    sound(&world, BACKUP);
    drop(expect_at(&world, BACKUP, &run.ledger.now, settings.metric));
}

#[test]
fn what_somebody_reads_in_a_backup_stays_until_the_next() {
    let world = World::new(11, MODELS[0]);
    let settings = tiny(Metric::L2, 1);
    let mut run = started(&world, &settings, &some());
    run.index().backup(BACKUP).expect("backed up");
    let (model, first) = (Model::clone(&run.ledger.now), files(&world, "/backup/seg"));
    let reader = world.builder().open_reader(BACKUP).expect("an index");
    run.all(&[Op::Upsert((1..22).collect()), Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    run.index().backup(BACKUP).expect("backed up");
    let there = files(&world, "/backup/seg");
    assert!(first.iter().all(|part| there.contains(part)));
    assert_eq!(files(&world, "/backup/manifest").len(), 2);
    check(&reader.snapshot(), &model, settings.metric, 1).unwrap_or_else(|e| panic!("{e}"));
    drop(reader);
    let last = run.index().backup(BACKUP).expect("backed up");
    assert_eq!(files(&world, "/backup/seg").len() as u64, last.parts);
    assert_eq!(files(&world, "/backup/manifest").len(), 1);
    sound(&world, BACKUP);
}

fn put(world: &World, path: &str, text: &[u8]) {
    let fs: &dyn Fs = &world.fs;
    let path = Path::new(path);
    if let Some(dir) = path.parent() {
        let _there_already = fs.mkdir(dir);
    }
    fs.create_new(path).and_then(|file| file.write_all_at(text, 0)).expect("a new file");
}

fn text(world: &World, path: &Path) -> Vec<u8> {
    (&world.fs as &dyn Fs).read(path, 1 << 20).expect("a file")
}

/// A file that has the name of a note does not make a folder ours.
#[test]
fn regress_folders_of_others_are_left_alone() {
    let world = World::new(12, MODELS[0]);
    let run = started(&world, &tiny(Metric::L2, 1), &some());
    run.index().backup(BACKUP).expect("backed up");
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for note in ["BACKUP", "RESTORE"] {
        let root = format!("/{}", note.to_lowercase().repeat(2));
        (&world.fs as &dyn Fs).mkdir(Path::new(&root)).expect("new");
        let inside = [
            note,
            &format!("tmp/{id}.part"),
            "tmp/x",
            "wal/00000000000000000001.tmp",
            &format!("seg/{id}.part"),
        ];
        let inside: Vec<String> = inside.iter().map(|name| format!("{root}/{name}")).collect();
        inside.iter().for_each(|path| put(&world, path, path.as_bytes()));
        let error = match note {
            "BACKUP" => run.index().backup(&root).map(drop),
            _ => world.builder().restore(BACKUP, &root, Watch::default()).map(drop),
        };
        let error = error.expect_err("somebody else's");
        assert!(error.kind() == ErrorKind::Conflict && error.to_string().contains("new folder"), "{error}");
        inside.iter().for_each(|path| assert_eq!(text(&world, Path::new(path)), path.as_bytes(), "{path}"));
        assert_eq!(files(&world, &root).len(), 4, "and nothing came along");
    }
    // In a folder of ours, names that no writer leaves stay, too.
    put(&world, "/backup/tmp/notes.txt", b"mine");
    put(&world, "/backup/wal/letters-of-grandma.txt", b"mine");
    put(&world, &format!("/backup/tmp/{id}.part"), b"a leftover");
    run.index().backup(BACKUP).expect("backed up");
    assert_eq!(files(&world, "/backup/tmp"), [Path::new("/backup/tmp/notes.txt")]);
    assert_eq!(text(&world, Path::new("/backup/wal/letters-of-grandma.txt")), b"mine");
}

/// A disk that fails for a moment says nothing about what is on it.
#[test]
fn regress_a_passing_fault_takes_no_part_from_the_backup() {
    let base = World::new(13, MODELS[0]);
    let mut run = started(&base, &tiny(Metric::L2, 1), &some());
    run.all(&[Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    let parts = run.index().backup(BACKUP).expect("backed up").parts;
    run.all(&[Op::Close]).unwrap_or_else(|e| panic!("{e}"));
    drop(run);
    let stored: Vec<(PathBuf, Vec<u8>)> =
        files(&base, "/backup/seg").into_iter().map(|path| (path.clone(), text(&base, &path))).collect();
    let open = |n| {
        let world = World::on(base.fs.crash(1), n | 1 << 40);
        let index = world.builder().open("/index").expect("an index");
        (world, index)
    };
    let (world, index) = open(0);
    let before = world.fs.reads();
    index.backup(BACKUP).expect("backed up");
    let reads = world.fs.reads() - before;
    let mut failed = 0;
    for n in 1..=reads {
        let (world, index) = open(n);
        world.fs.fail_read(world.fs.reads() + n, Fault::Eio, false);
        let outcome = index.backup(BACKUP);
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Io, "read {n} of {reads}: {error:?}");
            failed += 1;
        }
        for (path, bytes) in &stored {
            assert!(text(&world, path) == *bytes, "read {n} of {reads}: {}", path.display());
        }
        world.fs.clear_faults();
        let again = index.backup(BACKUP).unwrap_or_else(|e| panic!("read {n} of {reads}: {e}"));
        assert_eq!((again.copied, again.reused), (0, parts), "read {n} of {reads}");
    }
    assert!(failed > 10, "only {failed} of {reads} faults mattered");
}

/// Every call of a restore may be the last: the next one finishes what is there, or does it over.
#[test]
fn regress_a_restore_cut_off_anywhere_can_be_repeated() {
    let base = World::new(14, MODELS[0]);
    let settings = tiny(Metric::L2, 1);
    let run = started(&base, &settings, &some());
    run.index().backup(BACKUP).expect("backed up");
    let model = Model::clone(&run.ledger.now);
    drop(run);
    // A restore begins with the same.
    let begun_note = text(&base, Path::new("/backup/BACKUP"));
    let restore = |world: &World| world.builder().restore(BACKUP, RESTORED, Watch::default());
    let whole = World::on(base.fs.crash(1), 1 | 1 << 40);
    let before = whole.fs.calls();
    let parts = restore(&whole).expect("restored").parts;
    let note = Path::new("/restored/RESTORE").to_owned();
    let (mut finished, mut over) = (0, 0);
    for n in 1..=whole.fs.calls() - before {
        let world = World::on(base.fs.crash(1), 1 | 1 << 40);
        world.fs.crash_at(world.fs.calls() + n);
        restore(&world).expect_err("the power went");
        let world = World::on(world.fs.crash(n), n | 1 << 41);
        let begun = (&world.fs as &dyn Fs).exists(&note).expect("asked");
        let manifests = (&world.fs as &dyn Fs).list(Path::new("/restored/manifest"));
        let published = begun && manifests.is_ok_and(|found| !found.is_empty());
        match restore(&world) {
            Ok(report) if published => {
                assert_eq!(report.parts, 0, "call {n}: everything was there");
                finished += 1;
            }
            Ok(report) => assert_eq!(report.parts, parts, "call {n}"),
            Err(e) => assert!(e.kind() == ErrorKind::Conflict && !begun, "call {n}: {e}"),
        }
        assert!(!(&world.fs as &dyn Fs).exists(&note).expect("asked"), "call {n}");
        if published && over == 0 {
            // The same once more, with damage to what was published and never checked.
            put(&world, "/restored/RESTORE", &begun_note);
            let stored = files(&world, "/restored/seg");
            let rows = stored.iter().find(|part| text(&world, part)[28] == 1).expect("a part with rows");
            world.fs.flip_bit(rows, 8 * 4100).expect("flipped");
            let report = restore(&world).unwrap_or_else(|e| panic!("call {n}, damaged: {e}"));
            assert_eq!(report.parts, parts);
            sound(&world, RESTORED);
            over += 1;
        }
        drop(expect_at(&world, RESTORED, &model, settings.metric));
    }
    assert!(finished > 0 && over > 0, "{finished} finished, {over} done over");
    // Somebody else's restore is not gone on with.
    let world = World::on(base.fs.crash(1), 2 | 1 << 40);
    let other = world.builder().create("/other", settings).expect("created");
    other.backup("/theirs").expect("backed up");
    put(&world, "/restored/RESTORE", &text(&world, Path::new("/theirs/BACKUP")));
    let error = restore(&world).expect_err("another backup's");
    assert!(error.kind() == ErrorKind::Conflict && error.to_string().contains("another backup"), "{error}");
}

/// A backup that fails at call `n`, one that does not, then a power cut: whether the second one holds, and where its syncs
/// are. Nothing if the first one did not fail.
fn backup_after_a_failure(base: &World, n: u64, model: &Model, ignored: Option<SyncSite>) -> Option<bool> {
    let world = World::on(base.fs.crash(1), 3 | 1 << 40);
    if let Some(site) = ignored {
        world.fs.ignore_sync(site.file, site.line);
    }
    let index = world.builder().open("/index").expect("an index");
    world.fs.fail_call(world.fs.calls() + n, Fault::Eio, false);
    index.backup(BACKUP).err()?;
    world.fs.clear_faults();
    index.backup(BACKUP).expect("nothing fails any more");
    drop(index);
    let holds = |seed| {
        let after = World::on(world.fs.crash(seed), seed | 1 << 41);
        whole(&after, BACKUP, std::slice::from_ref(model), false).is_ok()
    };
    Some((0..6).all(holds))
}

/// Whether this is the sync of the names that an earlier backup gave.
pub(crate) fn is_of_reused_names(site: &SyncSite) -> bool {
    let source = include_str!("../../src/backup/folder.rs");
    let begin = source.lines().position(|line| line.contains("fn publish")).expect("it is there") as u32;
    site.file.ends_with("backup/folder.rs") && (begin..begin + 12).contains(&site.line)
}

/// The name of a part that an earlier backup brought may not have been durable.
#[test]
fn regress_what_is_reused_is_durable() {
    let base = World::new(15, MODELS[0]);
    let mut run = started(&base, &tiny(Metric::L2, 1), &some());
    run.all(&[Op::Compact, Op::Close]).unwrap_or_else(|e| panic!("{e}"));
    let model = Model::clone(&run.ledger.now);
    drop(run);
    let whole = World::on(base.fs.crash(1), 3 | 1 << 40);
    let index = whole.builder().open("/index").expect("an index");
    let before = whole.fs.calls();
    index.backup(BACKUP).expect("backed up");
    let calls = whole.fs.calls() - before;
    let site = whole.fs.sync_sites().into_iter().find(is_of_reused_names).expect("names are made durable");
    let (mut failed, mut missed) = (0, 0);
    for n in 1..=calls {
        let Some(holds) = backup_after_a_failure(&base, n, &model, None) else { continue };
        assert!(holds, "call {n} of {calls}");
        failed += 1;
        missed += u32::from(backup_after_a_failure(&base, n, &model, Some(site)) == Some(false));
    }
    assert!(failed > 20 && missed > 0, "{failed} failed; without {site:?} {missed} were lost");
}
