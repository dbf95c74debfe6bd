//! The log notes each generation that was published: one that is gone, or is another than was noted, is damage.

use std::path::{Path, PathBuf};

use vectra::{Metric, Reader, Settings};
use vectra_core::codec::digest;
use vectra_core::io::Fs;

use crate::world::{Ledger, MODELS, Op, Run, World, check, script, tiny};

/// Where the epoch stands in a manifest.
const EPOCH: usize = 62;

fn settings() -> Settings {
    tiny(Metric::L2, 2)
}

/// An index that was let go of as by a killed process, with two generations and writes behind them; the newest's number.
fn world(seed: u64) -> (World, Ledger, u64) {
    let world = World::new(seed, MODELS[(seed % 2) as usize]);
    let (mut run, created) = Run::create(&world, &settings());
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    run.all(&[Op::Insert((40..46).collect()), Op::Steps(3), Op::Flush, Op::Update(vec![42])])
        .unwrap_or_else(|e| panic!("{e}"));
    let (ledger, generation) = (run.ledger.clone(), run.index().stats().generation);
    drop(run);
    (world, ledger, generation)
}

fn path(generation: u64) -> PathBuf {
    Path::new("/index/manifest").join(format!("{generation:020}"))
}

fn read(world: &World, path: &Path) -> Vec<u8> {
    let fs: &dyn Fs = &world.fs;
    fs.read(path, 1 << 20).expect("a file")
}

/// Another manifest under the same number, every sum right.
fn exchange(world: &World, generation: u64, change: impl FnOnce(&mut [u8])) {
    let (fs, path): (&dyn Fs, PathBuf) = (&world.fs, path(generation));
    let mut bytes = read(world, &path);
    let body = bytes.len() - 16;
    change(&mut bytes[..body]);
    let sum = digest(&bytes[..body]).to_le_bytes();
    bytes[body..].copy_from_slice(&sum);
    fs.remove(&path).expect("it is there");
    fs.create_new(&path).expect("it is gone").write_all_at(&bytes, 0).expect("room");
}

/// Of an index that has forgotten a part's name and asks for another one.
fn with_another_part(world: &World, generation: u64) {
    let fs: &dyn Fs = &world.fs;
    let names = fs.list(Path::new("/index/seg")).expect("parts");
    let ids = names.iter().filter_map(|entry| entry.name.strip_suffix(".part")?.parse::<uuid::Uuid>().ok());
    let ids: Vec<[u8; 16]> = ids.map(uuid::Uuid::into_bytes).collect();
    exchange(world, generation, |body| {
        let at = (0..body.len() - 16).find(|at| ids.iter().any(|id| body[*at..].starts_with(id)));
        body[at.expect("a part is named")] ^= 1;
    });
}

/// The damage is named by the check, and got over by whoever opens.
fn is_got_over(world: &World, ledger: &Ledger, generation: u64) {
    let name = format!("{generation:020}");
    let report = world.builder().verify_deep("/index").expect("verified");
    assert!(report.findings.iter().any(|found| found.place.contains(&name) && found.data), "{report:?}");
    let mut run = Run::recover(world, &settings(), ledger).unwrap_or_else(|e| panic!("{e}"));
    let opened = run.index().opened().clone();
    assert_eq!((opened.generation, opened.fell_back_from), (generation - 1, Some(generation)), "{opened:?}");
    assert!(opened.damage.iter().any(|found| found.place.contains(&name)), "{opened:?}");
    check(&run.index().snapshot(), &run.ledger.now, Metric::L2, 3).unwrap_or_else(|e| panic!("{e}"));
    run.all(&[Op::Upsert(vec![3, 47]), Op::Flush, Op::Kill, Op::Compact, Op::Close])
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(run.index().opened().damage.is_empty(), "it is over");
    assert!(run.index().stats().generation > generation, "no number is used twice");
    drop(run);
    assert_eq!(world.builder().verify_deep("/index").expect("verified").findings, []);
}

#[test]
fn a_manifest_that_is_not_the_one_that_was_noted_is_damage() {
    for seed in [3, 4] {
        let (world, ledger, generation) = world(seed);
        let bytes = read(&world, &path(generation));
        exchange(&world, generation, |_| ());
        assert_eq!(read(&world, &path(generation)), bytes, "the sums are those of the format");
        exchange(&world, generation, |body| body[EPOCH] ^= 4);
        is_got_over(&world, &ledger, generation);
    }
}

#[test]
fn so_is_one_that_cannot_be_opened_with() {
    let (world, ledger, generation) = world(5);
    with_another_part(&world, generation);
    is_got_over(&world, &ledger, generation);
}

#[test]
fn with_the_one_before_damaged_as_well_nothing_is_opened() {
    let (world, _, generation) = world(6);
    exchange(&world, generation, |body| body[EPOCH] ^= 4);
    world.fs.flip_bit(&path(generation - 1), 8 * 90).expect("within the file");
    let error = world.builder().open("/index").map(drop).expect_err("two things are damaged");
    assert_eq!(error.kind(), vectra::ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("cannot") || error.to_string().contains("noted"), "{error}");
    let fs: &dyn Fs = &world.fs;
    assert!(fs.list(Path::new("/index/quarantine")).map_or(true, |found| found.is_empty()));
    world.builder().open_reader("/index").map(drop).expect_err("two things are damaged");
}

fn reader(world: &World) -> Reader {
    world.builder().open_reader("/index").unwrap_or_else(|e| panic!("{e:?}"))
}

fn says(reader: &Reader, ledger: &Ledger, missing: Option<u64>) {
    let opened = reader.opened();
    assert_eq!((opened.fell_back_from, opened.damage.is_empty()), (missing, missing.is_none()), "{opened:?}");
    check(&reader.snapshot(), &ledger.now, Metric::L2, 5).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_reader_says_what_it_got_over() {
    let (gone, ledger, generation) = world(7);
    says(&reader(&gone), &ledger, None);
    let fs: &dyn Fs = &gone.fs;
    fs.remove(&path(generation)).expect("it is there");
    let shown = reader(&gone);
    says(&shown, &ledger, Some(generation));
    assert!(!shown.refresh().expect("as before"), "nothing is new");
    says(&shown, &ledger, Some(generation));

    let (other, ledger, generation) = world(8);
    exchange(&other, generation, |body| body[EPOCH] ^= 4);
    let shown = reader(&other);
    says(&shown, &ledger, Some(generation));
    assert_eq!(shown.opened().generation, generation - 1);
    assert!(shown.is_pinned());
}

#[test]
fn a_reader_that_follows_the_log_misses_a_manifest_that_it_notes() {
    let (world, ledger, _) = world(9);
    let shown = reader(&world);
    says(&shown, &ledger, None);
    let mut run = Run::recover(&world, &settings(), &ledger).unwrap_or_else(|e| panic!("{e}"));
    run.all(&[Op::Upsert(vec![1, 2, 3]), Op::Flush, Op::Upsert(vec![4])]).unwrap_or_else(|e| panic!("{e}"));
    shown.refresh().expect("a commit");
    says(&shown, &run.ledger, None);
    run.all(&[Op::Upsert(vec![5]), Op::Flush, Op::Upsert(vec![6])]).unwrap_or_else(|e| panic!("{e}"));
    let newest = run.index().stats().generation;
    let fs: &dyn Fs = &world.fs;
    fs.remove(&path(newest)).expect("it is there");
    assert!(shown.refresh().expect("the log holds everything"));
    says(&shown, &run.ledger, Some(newest));
    // The next commit supersedes it.
    run.all(&[Op::Upsert(vec![7]), Op::Flush, Op::Upsert(vec![8])]).unwrap_or_else(|e| panic!("{e}"));
    shown.refresh().expect("a commit");
    says(&shown, &run.ledger, None);
}
