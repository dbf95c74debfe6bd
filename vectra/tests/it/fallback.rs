//! A damaged manifest: the generation before it and the log say the same, or nothing is opened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vectra::{Error, ErrorKind, Metric, Settings};
use vectra_core::io::Fs;
use vectra_core::io::sim::SyncSite;
use vectra_core::testing::oracle::Dice;

use crate::world::{Broken, Ledger, MODELS, Op, Run, World, check, script, sweep_factor, tiny};

fn names(fs: &dyn Fs, dir: &str) -> Vec<String> {
    fs.list(Path::new(dir))
        .map_or_else(|_| Vec::new(), |found| found.into_iter().map(|entry| entry.name).collect())
}

/// The manifests, oldest first.
fn manifests(fs: &dyn Fs) -> Vec<PathBuf> {
    names(fs, "/index/manifest").into_iter().map(|name| Path::new("/index/manifest").join(name)).collect()
}

fn read(fs: &dyn Fs, path: &Path) -> Vec<u8> {
    fs.read(path, 1 << 20).expect("a file")
}

/// The script up to its last commit and beyond, and the power gone: two manifests that differ.
fn cut_off(settings: &Settings, seed: u64) -> (World, Ledger) {
    let world = World::new(seed, MODELS[(seed % 2) as usize]);
    let (mut run, created) = Run::create(&world, settings);
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    run.all(&[
        Op::Insert((40..46).collect()),
        Op::Steps(3),
        Op::Delete(vec![41]),
        Op::Flush,
        Op::Update(vec![42]),
    ])
    .unwrap_or_else(|e| panic!("{e}"));
    let ledger = run.ledger.clone();
    drop(run);
    (world, ledger)
}

/// A fresh copy of the disk after the power cut.
fn disk(world: &World, seed: u64) -> World {
    World::on(world.fs.crash(seed), seed)
}

fn flip(world: &World, path: &Path, byte: u64, dice: &mut Dice) {
    world.fs.flip_bit(path, 8 * byte + dice.below(8) as u64).expect("within the file");
}

/// What a user does next, and a look at everything.
fn go_on(run: &mut Run<'_>, settings: &Settings) -> Result<(), Broken> {
    check(&run.index().snapshot(), &run.ledger.now, settings.metric, 9)?;
    run.all(&[
        Op::Upsert(vec![3, 47]),
        Op::Flush,
        Op::Delete(vec![47]),
        Op::Kill,
        Op::Insert(vec![48]),
        Op::Compact,
    ])?;
    check(&run.index().snapshot(), &run.ledger.now, settings.metric, 10)?;
    run.step(&Op::Close)
}

#[test]
fn a_damaged_newest_manifest_loses_nothing() {
    let settings = tiny(Metric::L2, 2);
    let (world, ledger) = cut_off(&settings, 3);
    let newest = manifests(&disk(&world, 0).fs).pop().expect("a manifest");
    let len = read(&disk(&world, 0).fs, &newest).len() as u64;
    let mut dice = Dice::new(8);
    for byte in 0..len {
        let context = format!("byte {byte} of {len}");
        let damaged = disk(&world, byte % 3);
        let before = manifests(&damaged.fs);
        assert_eq!(before.last(), Some(&newest), "two generations, whatever the power took");
        flip(&damaged, &newest, byte, &mut dice);
        let bytes = read(&damaged.fs, &newest);
        let report = damaged.builder().verify_deep("/index").expect("verified");
        let name = newest.file_name().and_then(|name| name.to_str()).expect("a number");
        assert!(report.findings.iter().any(|f| f.place.contains(name) && f.data), "{context}: {report:?}");
        let mut run = Run::recover(&damaged, &settings, &ledger).unwrap_or_else(|e| panic!("{context}: {e}"));
        let opened = run.index().opened().clone();
        let generation: u64 = name.parse().expect("a number");
        assert_eq!(
            (opened.generation, opened.fell_back_from),
            (generation - 1, Some(generation)),
            "{context}"
        );
        assert!(opened.damage.iter().any(|found| found.place.contains(name)), "{context}: {opened:?}");
        let aside = PathBuf::from(format!("/index/quarantine/manifest-{name}"));
        assert_eq!(read(&damaged.fs, &aside), bytes, "{context}: set aside as it was");
        assert!(!manifests(&damaged.fs).contains(&newest), "{context}");
        if byte % (29 / sweep_factor().min(29)) != 0 {
            continue;
        }
        go_on(&mut run, &settings).unwrap_or_else(|e| panic!("{context}: {e}"));
        assert!(run.index().stats().generation > generation, "{context}: no number is used twice");
        assert_eq!(read(&damaged.fs, &aside), bytes, "{context}: it stays");
        assert!(run.index().opened().damage.is_empty(), "{context}: it is over");
        drop(run);
        let report = damaged.builder().verify_deep("/index").expect("verified");
        assert_eq!(report.findings, [], "{context}");
    }
}

/// At any moment of a run the power goes, and the newest manifest is damaged as well.
#[test]
fn a_power_cut_and_a_damaged_manifest_together_lose_nothing() {
    let settings = tiny(Metric::Cosine, 2);
    let whole = World::new(5, MODELS[0]);
    let (mut run, created) = Run::create(&whole, &settings);
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    drop(run);
    let (mut fell_back, mut dice) = (0, Dice::new(4));
    for n in (1..=whole.fs.calls()).step_by(if sweep_factor() > 1 { 1 } else { 5 }) {
        let world = World::new(5, MODELS[0]);
        world.fs.crash_at(n);
        let (mut run, created) = Run::create(&world, &settings);
        let _cut_off = created.and_then(|()| run.all(&script()));
        let ledger = run.ledger.clone();
        drop(run);
        let damaged = disk(&world, n);
        let found = manifests(&damaged.fs);
        let [.., _, newest] = &found[..] else { continue };
        let len = read(&damaged.fs, newest).len();
        flip(&damaged, newest, dice.below(len) as u64, &mut dice);
        let recovered = Run::recover(&damaged, &settings, &ledger)
            .and_then(|run| check(&run.index().snapshot(), &run.ledger.now, settings.metric, n));
        recovered.unwrap_or_else(|e| panic!("call {n}, {found:?}: {e}"));
        fell_back += 1;
    }
    assert!(fell_back > 20, "{fell_back}");
}

/// The power goes at every moment of an opening that falls back, and of the work behind it.
#[test]
fn falling_back_can_be_cut_off_anywhere() {
    let settings = tiny(Metric::L2, 1);
    let (world, ledger) = cut_off(&settings, 6);
    let damaged = || {
        let disk = disk(&world, 2);
        let newest = manifests(&disk.fs).pop().expect("a manifest");
        flip(&disk, &newest, 40, &mut Dice::new(1));
        disk
    };
    let work = |world: &World, ledger: &Ledger| {
        Run::recover(world, &settings, ledger).map(|mut run| {
            let outcome = run.all(&[Op::Insert(vec![49]), Op::Flush, Op::Delete(vec![49])]);
            (run.ledger.clone(), outcome)
        })
    };
    let whole = damaged();
    work(&whole, &ledger).unwrap_or_else(|e| panic!("{e}")).1.unwrap_or_else(|e| panic!("{e}"));
    for n in 1..=whole.fs.calls() {
        let cut = damaged();
        cut.fs.crash_at(n);
        let ledger = match work(&cut, &ledger) {
            Ok((ledger, Err(Broken::Engine(_)) | Ok(()))) => ledger,
            Err(Broken::Engine(_)) => ledger.clone(),
            Ok((_, Err(e))) | Err(e) => panic!("call {n}: {e}"),
        };
        let after = disk(&cut, n);
        let mut run = Run::recover(&after, &settings, &ledger).unwrap_or_else(|e| panic!("call {n}: {e}"));
        go_on(&mut run, &settings).unwrap_or_else(|e| panic!("call {n}: {e}"));
    }
}

#[test]
fn a_damaged_previous_manifest_is_reported_and_keeps_everything_until_it_is_superseded() {
    let settings = tiny(Metric::L2, 1);
    let (world, ledger) = cut_off(&settings, 7);
    let previous = manifests(&disk(&world, 0).fs).into_iter().rev().nth(1).expect("two manifests");
    let len = read(&disk(&world, 0).fs, &previous).len() as u64;
    let mut dice = Dice::new(2);
    for byte in (0..len).step_by(if sweep_factor() > 1 { 1 } else { 7 }) {
        let damaged = disk(&world, 0);
        let found = manifests(&damaged.fs);
        let [.., previous, _] = &found[..] else { panic!("two generations, not {found:?}") };
        flip(&damaged, previous, byte, &mut dice);
        let report = damaged.builder().verify_deep("/index").expect("verified");
        assert!(report.findings.iter().any(|finding| finding.place.contains("before")), "{report:?}");
        let parts = names(&damaged.fs, "/index/seg");
        let mut run =
            Run::recover(&damaged, &settings, &ledger).unwrap_or_else(|e| panic!("byte {byte}: {e}"));
        let opened = run.index().opened();
        assert_eq!((opened.fell_back_from, opened.damage.len()), (None, 1), "{opened:?}");
        assert_eq!(names(&damaged.fs, "/index/seg"), parts, "nobody knows what it names");
        assert_eq!(manifests(&damaged.fs), found);
        go_on(&mut run, &settings).unwrap_or_else(|e| panic!("byte {byte}: {e}"));
        drop(run);
        assert!(!manifests(&damaged.fs).contains(previous), "superseded twice");
        assert_eq!(damaged.builder().verify_deep("/index").expect("verified").findings, []);
    }
}

fn refused(world: &World) -> Error {
    let error = world.builder().open("/index").map(drop).expect_err("two things are damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    error
}

#[test]
fn two_damaged_manifests_are_one_too_many() {
    let settings = tiny(Metric::L2, 1);
    let (world, _) = cut_off(&settings, 9);
    let damaged = disk(&world, 0);
    let found = manifests(&damaged.fs);
    found.iter().for_each(|path| flip(&damaged, path, 99, &mut Dice::new(3)));
    let error = refused(&damaged);
    assert!(error.to_string().contains(&found[found.len() - 1].display().to_string()), "{error}");
    assert_eq!(manifests(&damaged.fs), found, "nothing is touched");
    assert!(names(&damaged.fs, "/index/quarantine").is_empty());
    assert!(!damaged.builder().verify_deep("/index").expect("verified").findings.is_empty());
}

#[test]
fn nothing_is_fallen_back_to_that_lacks_a_part_or_a_piece_of_the_log() {
    let settings = tiny(Metric::L2, 1);
    let (world, _) = cut_off(&settings, 10);
    let (mut parts, mut logs) = (0, 0);
    let newest = |world: &World| manifests(&world.fs).pop().expect("a manifest");
    for dir in ["/index/seg", "/index/wal"] {
        for name in names(&disk(&world, 0).fs, dir) {
            let damaged = disk(&world, 0);
            flip(&damaged, &newest(&damaged), 50, &mut Dice::new(5));
            damaged.fs.remove(&Path::new(dir).join(&name)).expect("it is there");
            match damaged.builder().open("/index") {
                // Only the newest needs it, or it is derived, or holds nothing yet.
                Ok(index) => assert_eq!(index.snapshot().len(), {
                    let sound = disk(&world, 0);
                    sound.builder().open("/index").expect("sound").snapshot().len()
                }),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{dir}/{name}: {error}");
                    let newest = newest(&damaged);
                    assert!(error.to_string().contains(&newest.display().to_string()), "{error}");
                    assert!(names(&damaged.fs, "/index/quarantine").is_empty(), "nothing is touched");
                    *(if dir.ends_with("seg") { &mut parts } else { &mut logs }) += 1;
                }
            }
        }
    }
    assert!(parts > 0 && logs > 0, "{parts} parts, {logs} pieces of the log");
}

#[test]
fn damage_upon_damage_is_set_aside_one_by_one() {
    let settings = tiny(Metric::L2, 1);
    let (world, ledger) = cut_off(&settings, 12);
    let damaged = disk(&world, 0);
    let mut ledger = ledger;
    for round in 1..=3 {
        let newest = manifests(&damaged.fs).pop().expect("a manifest");
        flip(&damaged, &newest, 60, &mut Dice::new(round));
        let mut run =
            Run::recover(&damaged, &settings, &ledger).unwrap_or_else(|e| panic!("round {round}: {e}"));
        // Two commits, so that there is something to fall back to again.
        run.all(&[Op::Upsert(vec![round]), Op::Flush, Op::Upsert(vec![round + 10]), Op::Flush])
            .unwrap_or_else(|e| panic!("round {round}: {e}"));
        ledger = run.ledger.clone();
        drop(run);
        assert_eq!(names(&damaged.fs, "/index/quarantine").len() as u64, round);
    }
}

/// The log remembers what was published.
#[test]
fn a_manifest_that_is_gone_is_missed() {
    let settings = tiny(Metric::L2, 2);
    let (world, ledger) = cut_off(&settings, 14);
    let damaged = disk(&world, 0);
    let newest = manifests(&damaged.fs).pop().expect("a manifest");
    damaged.fs.remove(&newest).expect("it is there");
    let name = newest.file_name().and_then(|name| name.to_str()).expect("a number");
    let generation: u64 = name.parse().expect("a number");
    let named = || {
        let report = damaged.builder().verify_deep("/index").expect("verified");
        report.findings.iter().any(|finding| finding.place.contains(name) && finding.data)
    };
    assert!(named());
    let mut run = Run::recover(&damaged, &settings, &ledger).unwrap_or_else(|e| panic!("{e}"));
    let opened = run.index().opened();
    assert_eq!((opened.generation, opened.fell_back_from), (generation - 1, Some(generation)));
    assert!(opened.damage[0].place.contains(name), "{opened:?}");
    go_on(&mut run, &settings).unwrap_or_else(|e| panic!("{e}"));
    assert!(run.index().stats().generation > generation, "its number is not used again");
    drop(run);
    assert!(!named(), "it is superseded");
}

/// Falls back, commits, loses power; how often (of `seeds` times) the damaged manifest is nowhere afterwards.
fn lost_evidence(
    world: &World,
    settings: &Settings,
    ledger: &Ledger,
    ignored: Option<SyncSite>,
    seeds: u64,
) -> u64 {
    let lost = |seed: u64| {
        let damaged = disk(world, 1);
        let newest = manifests(&damaged.fs).pop().expect("a manifest");
        flip(&damaged, &newest, 70, &mut Dice::new(2));
        let bytes = read(&damaged.fs, &newest);
        if let Some(site) = ignored {
            damaged.fs.ignore_sync(site.file, site.line);
        }
        let mut run = Run::recover(&damaged, settings, ledger).unwrap_or_else(|e| panic!("{e}"));
        run.all(&[Op::Upsert(vec![1]), Op::Flush]).unwrap_or_else(|e| panic!("{e}"));
        drop(run);
        let after = disk(&damaged, seed);
        let aside = names(&after.fs, "/index/quarantine");
        let aside = aside.iter().map(|name| Path::new("/index/quarantine").join(name));
        !aside.chain(manifests(&after.fs)).any(|path| read(&after.fs, &path) == bytes)
    };
    (0..seeds).map(|seed| u64::from(lost(seed))).sum()
}

#[test]
fn what_is_set_aside_survives_a_power_cut_by_two_syncs() {
    let settings = tiny(Metric::L2, 1);
    // An even seed: the disk that forgets the names in each folder by themselves.
    let (world, ledger) = cut_off(&settings, 16);
    assert_eq!(lost_evidence(&world, &settings, &ledger, None, 16), 0);
    let damaged = disk(&world, 1);
    flip(&damaged, &manifests(&damaged.fs).pop().expect("a manifest"), 70, &mut Dice::new(2));
    drop(Run::recover(&damaged, &settings, &ledger).unwrap_or_else(|e| panic!("{e}")));
    let trace = damaged.fs.trace();
    let sites: BTreeSet<SyncSite> = trace
        .iter()
        .filter_map(|call| call.site)
        .filter(|site| site.file.ends_with("manifest/quarantine.rs"))
        .collect();
    assert_eq!(sites.len(), 2, "{sites:?}");
    for site in sites {
        assert!(lost_evidence(&world, &settings, &ledger, Some(site), 16) > 0, "{site:?} is not needed");
    }
}
