//! Single flipped bits in a closed index: found, named, and never believed.

use std::path::{Path, PathBuf};

use vectra::{ErrorKind, Metric};
use vectra_core::io::Fs;
use vectra_core::testing::oracle::Dice;

use crate::faults::closed;
use crate::world::{Broken, Ledger, Run, World, check, sweep_factor, tiny};

/// Every file with its length, except the lock: what it says is for people.
fn files(fs: &dyn Fs, dir: &Path, found: &mut Vec<(PathBuf, u64)>) {
    for entry in fs.list(dir).expect("a directory") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files(fs, &path, found);
        } else if entry.name != "LOCK" {
            let file = fs.open(&path, vectra_core::io::Access::Read).expect("listed");
            found.push((path, file.len().expect("open")));
        }
    }
}

/// What came of a flip.
#[derive(Debug, Default)]
struct Tally {
    endured: u64,
    refused: u64,
    silent: Vec<String>,
}

fn flip(
    closed: &World,
    settings: &vectra::Settings,
    ledger: &Ledger,
    path: &Path,
    bit: u64,
    tally: &mut Tally,
) {
    let context = format!("bit {} of byte {} of {}", bit % 8, bit / 8, path.display());
    let world = World::on(closed.fs.crash(0), 21);
    world.fs.flip_bit(path, bit).expect("within the file");
    let found = world.builder().verify("/index");
    let named = match &found {
        Ok(report) => !report.findings.is_empty(),
        Err(e) => matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
    };
    if !named {
        // What opening alone notices is no better.
        tally.silent.push(context);
        return;
    }
    let opened = Run::recover(&world, settings, ledger)
        .and_then(|run| check(&run.index().snapshot(), &run.ledger.now, settings.metric, 3));
    match opened {
        Ok(()) => tally.endured += 1,
        Err(Broken::Engine(e)) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
            tally.refused += 1;
        }
        Err(e) => panic!("{context}: {e}"),
    }
}

#[test]
fn no_flipped_bit_is_believed() {
    let settings = tiny(Metric::Cosine, 2);
    let (closed, ledger) = closed(&settings);
    let mut all = Vec::new();
    files(&closed.fs, Path::new("/index"), &mut all);
    let bytes: u64 = all.iter().map(|(_, len)| len).sum();
    let mut dice = Dice::new(77);
    let mut tally = Tally::default();
    let wanted = 2000 * sweep_factor();
    for (path, len) in &all {
        // Every file gets its share, and at least a few.
        let share = (wanted * len / bytes).clamp(16, 8 * len);
        for _ in 0..share {
            flip(&closed, &settings, &ledger, path, dice.below(8 * *len as usize) as u64, &mut tally);
        }
    }
    println!(
        "{} files, {bytes} bytes: {} flips only named, {} also refused at opening",
        all.len(),
        tally.endured,
        tally.refused
    );
    assert!(tally.silent.is_empty(), "{} of them, not noticed: {:#?}", tally.silent.len(), tally.silent);
    assert!(tally.endured > 0 && tally.refused > 0);
}
