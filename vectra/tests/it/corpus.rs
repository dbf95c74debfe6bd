//! Every input that fuzzing keeps, through the entry points that fuzzing uses.

use std::path::{Path, PathBuf};

use vectra::fuzzing::{TARGETS, run, seeds};

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(kind).join(target)
}

/// The files of a folder that may not be there, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

#[test]
fn nothing_that_was_found_comes_back() {
    let (mut replayed, mut bytes) = (0, 0);
    for (target, _) in TARGETS {
        let corpus = files(&folder("corpus", target));
        assert!(!corpus.is_empty(), "{target} has no corpus; write one: VECTRA_WRITE_CORPUS=1");
        for path in corpus.into_iter().chain(files(&folder("regressions", target))) {
            let input = std::fs::read(&path).expect("listed");
            println!("{}", path.display());
            run(target, &input);
            (replayed, bytes) = (replayed + 1, bytes + input.len());
        }
    }
    println!("{replayed} inputs, {bytes} bytes");
    assert!(bytes < 300 << 10, "the corpus is kept small: {bytes} bytes");
}

/// Seeds and each of their beginnings: what a crash or a cut-off copy leaves of a valid input.
#[test]
fn beginnings_of_valid_inputs_are_answered_or_refused() {
    for (target, name, bytes) in seeds() {
        let step = (bytes.len() / 64).max(1);
        for len in (0..=bytes.len()).step_by(step) {
            println!("{target}/{name}, {len} bytes");
            run(target, &bytes[..len]);
        }
    }
}

/// `VECTRA_WRITE_CORPUS=1` writes the seeds to `fuzz/corpus`, where fuzzing begins.
#[test]
fn every_target_has_a_seed() {
    let seeds = seeds();
    for (target, _) in TARGETS {
        assert!(seeds.iter().any(|(of, ..)| *of == target), "{target} has no seed");
    }
    if std::env::var_os("VECTRA_WRITE_CORPUS").is_some() {
        for (target, name, bytes) in seeds {
            let folder = folder("corpus", target);
            std::fs::create_dir_all(&folder).expect("the repository");
            std::fs::write(folder.join(name), bytes).expect("the repository");
        }
    }
}
