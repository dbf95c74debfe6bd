//! Single flipped bits in golden folders: the full check names every one, and none is ever believed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use vectra_core::io::{Fs, MemFs};
use vectra_core::testing::oracle::Dice;
use vectra_tier::container::identify;

use crate::compat::{Golden, all, vector_of};
use crate::evidence::{Evidence, is_long};
use crate::flips::{ask, called, flip, part_names, place, verify_names};
use crate::forge::{Folder, Guarded, ROOT, Sandbox, writable};
use crate::known::{Known, Question};

/// Bits flipped in each file in the everyday run.
const BITS_PER_FILE: usize = 24;
/// In the long run, one of so many bits takes the long way where a short one proves the same.
const ONE_IN: usize = 64;

/// The bits of a file to flip: some, or all in the long run.
fn chosen(bytes: &[u8], dice: &mut Dice) -> Vec<usize> {
    if is_long() {
        return (0..8 * bytes.len()).collect();
    }
    (0..BITS_PER_FILE).map(|_| dice.below(8 * bytes.len())).collect()
}

/// In the long run the check of a part alone, as the check of the index makes it, stands for that but for some bits.
#[test]
fn every_flipped_bit_of_a_golden_folder_is_named() {
    let what = "single bits of every golden file: verify names the damage";
    let mut evidence = Evidence::begin("d4", "golden_named", what);
    let mut silent = Vec::new();
    for golden in all() {
        let fs: Arc<MemFs> = Arc::new(golden.folder.to_fs());
        let sandbox = Sandbox::on(fs.clone(), 1);
        for (name, bytes) in &golden.folder.files {
            let (file, path) = (writable(&fs, name), Path::new(ROOT).join(name));
            let part = name.starts_with("seg/").then(|| identify(&*fs, &path).expect("a part"));
            let mut dice = Dice::new(bytes.len() as u64 ^ evidence.count("files"));
            for bit in chosen(bytes, &mut dice) {
                if evidence.is_over() {
                    break;
                }
                flip(&*file, bit);
                let named = match &part {
                    Some(part) if is_long() && dice.below(ONE_IN) > 0 => part_names(&fs, &path, part),
                    _ => {
                        evidence.add("by the check of the index", 1);
                        verify_names(&sandbox, called(name))
                    }
                };
                if !named {
                    silent.push(format!("{}/{}", golden.name, place(bit, name)));
                }
                flip(&*file, bit);
                evidence.add("bits", 1);
            }
            evidence.add("files", 1);
        }
        assert_eq!(Folder::read(&*fs as &dyn Fs), golden.folder, "every bit is back");
    }
    assert!(silent.is_empty(), "{} bits are not named: {:#?}", silent.len(), &silent[..silent.len().min(40)]);
    evidence.end();
}

fn questions(golden: &Golden) -> Vec<Question> {
    let question = |query: &serde_json::Value| Question {
        vector: vector_of(&query["vector"]),
        filter: query["filter"].clone(),
    };
    golden.array("queries").iter().take(4).map(question).collect()
}

/// What the intact folder answers, and which bytes of which files were read for it, whatever is asked first.
fn learn(golden: &Golden) -> (Known, BTreeMap<String, Vec<bool>>) {
    let mut read: BTreeMap<String, Vec<bool>> =
        golden.folder.files.iter().map(|(name, bytes)| (name.clone(), vec![false; bytes.len()])).collect();
    let intact = Sandbox::on(Arc::new(golden.folder.to_fs()), 2).builder().open(ROOT).expect("intact");
    let known = Known::of(&intact, questions(golden)).expect("intact");
    for turn in 0..3 {
        let fs = Arc::new(Guarded::remembering(golden.folder.to_fs()));
        let index = Sandbox::on(fs.clone(), 2).builder().open(ROOT).expect("intact");
        known.check(&index, turn).expect("intact");
        drop(index);
        for (path, ranges) in fs.reads() {
            let name = path.strip_prefix(ROOT).expect("nothing else is there").to_str().expect("ASCII");
            let Some(bytes) = read.get_mut(name) else { continue };
            for range in ranges {
                let end = (range.end as usize).min(bytes.len());
                bytes[(range.start as usize).min(end)..end].fill(true);
            }
        }
    }
    (known, read)
}

/// In the long run every bit of every byte that opening and asking reads, and some of the others: what is not read when all
/// is intact is not read either when only that has changed, so it can change no answer.
#[test]
fn no_flipped_bit_of_a_golden_folder_is_believed() {
    let what = "single bits of every golden file: open, query, get, list and checkpoints answer rightly or say that it is damaged";
    let mut evidence = Evidence::begin("d4", "golden_asked", what);
    let mut wrong = Vec::new();
    for golden in all() {
        let (known, read) = learn(&golden);
        let bytes_read = read.values().flatten().filter(|read| **read).count();
        evidence.add("bytes read when all is intact", bytes_read as u64);
        let mut flipped = golden.folder.clone();
        for (name, bytes) in &golden.folder.files {
            let mut dice = Dice::new(bytes.len() as u64 ^ evidence.count("files"));
            for bit in chosen(bytes, &mut dice) {
                if evidence.is_over() {
                    break;
                }
                evidence.add("bits", 1);
                if is_long() && !read[name][bit / 8] && dice.below(ONE_IN) > 0 {
                    evidence.add("of bytes that nobody reads", 1);
                    continue;
                }
                flipped.files.get_mut(name).expect("the same names")[bit / 8] ^= 1 << (bit % 8);
                match ask(&flipped, &known, bit) {
                    Ok(came) => evidence.add(came, 1),
                    Err(error) => wrong.push(format!("{}/{}: {error}", golden.name, place(bit, name))),
                }
                flipped.files.get_mut(name).expect("the same names")[bit / 8] = bytes[bit / 8];
            }
            evidence.add("files", 1);
        }
    }
    assert!(wrong.is_empty(), "{} bits are believed: {:#?}", wrong.len(), &wrong[..wrong.len().min(40)]);
    assert!(evidence.is_over() || evidence.count("answered").min(evidence.count("refused")) > 0);
    evidence.end();
}
