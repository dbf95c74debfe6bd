//! The textbook way to replace a file survives every power cut, and needs each of its syncs.

use std::io;
use std::path::Path;

use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs};

const MODELS: [CrashModel; 2] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered];
const VERSIONS: u8 = 3;

fn content(version: u8) -> Vec<u8> {
    vec![version; 700]
}

/// Writes one version after the other to `a`; counts in `acked` those whose durability was reported.
fn replace_repeatedly(fs: &dyn Fs, acked: &mut u8) -> io::Result<()> {
    for version in 1..=VERSIONS {
        let file = fs.create_new(Path::new("a.tmp"))?;
        file.write_all_at(&content(version), 0)?;
        file.sync_data()?;
        fs.rename(Path::new("a.tmp"), Path::new("a"))?;
        fs.sync_dir(Path::new("/"))?;
        *acked = version;
    }
    Ok(())
}

/// Whether what is found after the crash is the last acknowledged version or the one after it.
fn is_sound(after: &SimFs, acked: u8) -> bool {
    let fs: &dyn Fs = after;
    match fs.read(Path::new("a"), 1 << 20) {
        Ok(found) => [acked, acked + 1].iter().any(|&version| version > 0 && found == content(version)),
        Err(e) => e.kind() == io::ErrorKind::NotFound && acked == 0,
    }
}

/// Crashes before, during and after every call, with some outcomes each; how many were unsound.
fn unsound_crashes(model: CrashModel, prepare: impl Fn(&SimFs)) -> usize {
    let whole = SimFs::new(1, model);
    replace_repeatedly(&whole, &mut 0).expect("no fault is planned");
    let mut unsound = 0;
    for n in 1..=whole.calls() + 1 {
        let disk = SimFs::new(n, model);
        prepare(&disk);
        disk.crash_at(n);
        let mut acked = 0;
        let result = replace_repeatedly(&disk, &mut acked);
        assert_eq!(result.is_err(), n <= whole.calls());
        unsound += (0..40).filter(|&seed| !is_sound(&disk.crash(seed), acked)).count();
    }
    unsound
}

#[test]
fn write_sync_rename_sync_is_safe_at_every_call() {
    for model in MODELS {
        assert_eq!(unsound_crashes(model, |_| {}), 0, "{model:?}");
    }
}

#[test]
fn without_any_one_of_its_syncs_it_is_not() {
    let whole = SimFs::new(1, CrashModel::WeakPosix);
    replace_repeatedly(&whole, &mut 0).expect("no fault is planned");
    let sites = whole.sync_sites();
    assert_eq!(sites.len(), 2);
    for site in sites {
        let unsound = unsound_crashes(CrashModel::WeakPosix, |disk| disk.ignore_sync(site.file, site.line));
        assert!(unsound > 0, "the sync at {site:?} is not needed?");
    }
}
