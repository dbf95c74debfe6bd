//! Bad seals: seen by whoever looks, cut off by whoever opens for writing, and nothing else is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use vectra_core::io::sim::{SimFs, SyncSite};
use vectra_core::io::{Access, Fs};
use vectra_wal::{BadSeal, FileLog, OpenError, Options};

use crate::damage::{FRAME, Files, HEADER, build, dir, name, opened, options, with};
use crate::world::{MODELS, Owned, open, sim_env};

const SEAL: usize = FRAME + 8;

/// A disk that durably holds `files`.
fn disk(files: &Files, seed: u64) -> SimFs {
    let fs = SimFs::new(seed, MODELS[(seed % 2) as usize]);
    let root: &dyn Fs = &fs;
    root.mkdir(&dir()).expect("a fresh disk");
    for (name, content) in files {
        let file = root.create_new(&dir().join(name)).expect("a fresh disk");
        file.write_all_at(content, 0).expect("a fresh disk");
        file.sync_all().expect("a fresh disk");
    }
    root.sync_dir(&dir()).expect("a fresh disk");
    root.sync_dir(dir().parent().expect("the root")).expect("a fresh disk");
    fs
}

fn torn(files: &Files, name: &str) -> Files {
    with(files, name, |bytes| {
        let at = bytes.len() - 20;
        bytes[at..].fill(0);
    })
}

fn seen(fs: &SimFs) -> Vec<BadSeal> {
    FileLog::check(fs, &dir(), options(), &mut |_| Ok(())).expect("no damage").bad_seals
}

fn recovered(fs: &SimFs) -> Result<Vec<Owned>, OpenError> {
    open(Arc::new(fs.clone()), &dir(), &sim_env(6).0, options()).map(|(_, _, frames)| frames)
}

fn len(fs: &SimFs, path: &Path) -> u64 {
    let root: &dyn Fs = fs;
    root.open(path, Access::Read).expect("a file").len().expect("a file")
}

#[test]
fn zeros_and_nothing_are_as_good_as_a_seal() {
    let (files, frames) = build(true, 100);
    let keep = |bytes: &mut Vec<u8>, zeros: usize| {
        bytes.truncate(bytes.len() - SEAL);
        bytes.resize(bytes.len() + zeros, 0);
    };
    for zeros in [0, 1, SEAL, 300] {
        let (recovery, left) =
            opened(&with(&files, &name(2), |b| keep(b, zeros)), options()).expect("intact");
        assert_eq!((left, recovery.bad_seals.len()), (frames.clone(), 0), "{zeros} zeros");
    }
    // Space behind the seal that was not cut off yet, and garbage there.
    let (recovery, _) = opened(&with(&files, &name(2), |b| b.extend([0; 90])), options()).expect("intact");
    assert_eq!(recovery.bad_seals, []);
    let (recovery, left) = opened(&with(&files, &name(2), |b| b.extend([0, 7])), options()).expect("intact");
    assert_eq!((left, recovery.bad_seals.len()), (frames, 1));
}

#[test]
fn a_seal_stays_good_when_recoveries_replace_the_file_that_it_names() {
    let (files, frames) = build(false, 0);
    let fs = disk(&files, 0);
    for _ in 0..3 {
        assert_eq!(recovered(&fs).expect("intact"), frames);
        assert_eq!(seen(&fs), []);
    }
}

#[test]
fn a_file_that_no_replay_needs_is_mended_too() {
    let (files, frames) = build(true, 0);
    let options = Options { replay_from: frames[6].last_lsn(), ..options() };
    let (recovery, left) = opened(&torn(&files, &name(1)), options).expect("intact");
    assert_eq!((left, recovery.bad_seals.len()), (frames[6..].to_vec(), 1));
    assert_eq!(recovery.bad_seals[0].path, dir().join(name(1)));
    assert!(recovery.bad_seals[0].to_string().contains("torn or damaged seal"));
}

/// The sums are right, so no crash left it there.
#[test]
fn a_whole_frame_that_is_no_fitting_seal_is_corruption() {
    let (files, _) = build(true, 0);
    let forged = |at: usize, value: u8| {
        with(&files, &name(2), |bytes| {
            let from = bytes.len() - SEAL;
            let salt = bytes[56..64].to_vec();
            bytes[from + at] = value;
            let payload = vectra_core::codec::crc32c(&bytes[from + FRAME..]);
            bytes[from + 28..from + 32].copy_from_slice(&payload.to_le_bytes());
            let covered = [
                &salt[..],
                &(from as u64).to_le_bytes(),
                &bytes[from..from + 4],
                &bytes[from + 8..from + FRAME],
            ];
            let sum = vectra_core::codec::crc32c(&covered.concat());
            bytes[from + 4..from + 8].copy_from_slice(&sum.to_le_bytes());
        })
    };
    assert!(opened(&forged(FRAME, 3), options()).is_ok(), "the same bytes again");
    for (what, at, value) in [("a later file", FRAME, 9), ("itself", FRAME, 2), ("another chain", 40, 0xee)] {
        let outcome = opened(&forged(at, value), options());
        assert!(matches!(outcome, Err(OpenError::Corruption(_))), "{what}: {outcome:?}");
    }
    let outcome = opened(&forged(12, 77), options());
    assert!(matches!(outcome, Err(OpenError::Unsupported { .. })), "an unknown kind: {outcome:?}");
}

#[test]
fn a_file_shorter_than_its_successor_says_is_damage_and_is_left_as_it_is() {
    let (files, _) = build(true, 0);
    let short = with(&files, &name(2), |bytes| bytes.truncate(bytes.len() - SEAL - 1));
    let fs = disk(&short, 0);
    assert!(matches!(recovered(&fs), Err(OpenError::Corruption(_))));
    assert_eq!(len(&fs, &dir().join(name(2))), short[&name(2)].len() as u64);
}

#[test]
fn damage_elsewhere_leaves_a_bad_seal_alone() {
    let (files, _) = build(true, 0);
    let damaged = with(&torn(&files, &name(1)), &name(3), |bytes| bytes[HEADER + 20] ^= 1);
    let fs = disk(&damaged, 0);
    assert!(matches!(recovered(&fs), Err(OpenError::Corruption(_))));
    assert_eq!(len(&fs, &dir().join(name(1))), files[&name(1)].len() as u64);
}

/// The power goes at every call of an opening that cuts two seals off.
#[test]
fn cutting_off_can_be_cut_off_anywhere() {
    let (files, frames) = build(true, 0);
    let files = torn(&torn(&files, &name(1)), &name(2));
    for seed in 0..6 {
        let whole = disk(&files, seed);
        let before = whole.calls();
        assert_eq!(seen(&whole).len(), 2);
        assert_eq!(recovered(&whole).expect("no fault"), frames);
        assert_eq!(seen(&whole), []);
        for n in before + 1..=whole.calls() {
            let fs = disk(&files, seed);
            fs.crash_at(n);
            let _cut_off = recovered(&fs);
            let after = fs.crash(seed ^ n);
            assert!(seen(&after).len() <= 2, "call {n}");
            assert_eq!(recovered(&after).expect("it opens"), frames, "call {n}");
            assert_eq!(seen(&after), [], "call {n}");
        }
    }
}

/// How often a seal that was cut off is bad again after a power cut.
fn comes_back(files: &Files, ignored: Option<SyncSite>) -> usize {
    let again = |seed: u64| {
        let fs = disk(files, seed);
        if let Some(site) = ignored {
            fs.ignore_sync(site.file, site.line);
        }
        recovered(&fs).expect("no fault");
        !seen(&fs.crash(seed)).is_empty()
    };
    (0..20).filter(|seed| again(*seed)).count()
}

#[test]
fn what_was_cut_off_stays_so_by_its_sync() {
    let files = torn(&build(true, 0).0, &name(2));
    assert_eq!(comes_back(&files, None), 0);
    let fs = disk(&files, 0);
    recovered(&fs).expect("no fault");
    let sites: BTreeSet<SyncSite> =
        fs.sync_sites().into_iter().filter(|site| site.file.ends_with("seal.rs")).collect();
    assert_eq!(sites.len(), 1, "{sites:?}");
    for site in sites {
        assert!(comes_back(&files, Some(site)) > 0, "{site:?} is not needed");
    }
}
