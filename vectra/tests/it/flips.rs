//! Single flipped bits in a closed index: every one is found and named, and none is ever believed.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use vectra_core::io::{File, Fs, MemFs};
use vectra_tier::container::identify;
use vectra_tier::{Mode, PartHandle, PartRef};

use crate::evidence::{Evidence, is_long};
use crate::forge::{Folder, ROOT, Sandbox, VECTOR, minimal, writable};
use crate::known::{Known, Question, is_refusal};

pub(crate) fn flip(file: &dyn File, bit: usize) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit as u64 / 8).expect("within the file");
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit as u64 / 8).expect("memory");
}

/// The full check of the whole index names the file `called` so.
pub(crate) fn verify_names(sandbox: &Sandbox, called: &str) -> bool {
    match sandbox.builder().verify_deep(ROOT) {
        Ok(report) => report
            .findings
            .iter()
            .any(|finding| finding.place.contains(called) || finding.problem.contains(called)),
        Err(error) => is_refusal(&error) && error.to_string().contains(called),
    }
}

/// The name by which findings call a file: parts by their id, the others by their folder or name.
pub(crate) fn called(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(dir, file)| match dir {
        "seg" => file.trim_end_matches(".part"),
        "wal" => "log",
        _ => file,
    })
}

/// The full check of one part, which the check of the index makes of every part, finds something.
pub(crate) fn part_names(fs: &MemFs, path: &Path, part: &PartRef) -> bool {
    PartHandle::open(fs, path, part, Mode::Read).map_or(true, |handle| handle.verify().is_err())
}

/// "bit 3 of byte 70 of FORMAT".
pub(crate) fn place(bit: usize, name: &str) -> String {
    format!("bit {} of byte {} of {name}", bit % 8, bit / 8)
}

/// Every bit of every file but the lock, whose text is for people: the full check finds it.
///
/// In the everyday run the zeros that fill up parts are shown to the check of their part alone, but for some of them.
#[test]
fn every_flipped_bit_is_named() {
    let what = "every single bit of every file but LOCK of a small closed index: verify names the damage";
    let mut evidence = Evidence::begin("d4", "small_named", what);
    let folder = minimal();
    let fs = Arc::new(folder.to_fs());
    let sandbox = Sandbox::on(fs.clone(), 1);
    assert_eq!(sandbox.builder().verify_deep(ROOT).expect("intact").findings, []);
    let mut silent = Vec::new();
    for (name, bytes) in &folder.files {
        let (file, path) = (writable(&fs, name), Path::new(ROOT).join(name));
        let part = name.starts_with("seg/").then(|| identify(&*fs, &path).expect("a part"));
        let called = called(name);
        for bit in 0..8 * bytes.len() {
            if evidence.is_over() {
                break;
            }
            flip(&*file, bit);
            let named = match &part {
                Some(part) if !is_long() && !tells(bytes, bit / 8) => part_names(&fs, &path, part),
                _ => {
                    evidence.add("by the check of the index", 1);
                    verify_names(&sandbox, called)
                }
            };
            if !named {
                silent.push(place(bit, name));
            }
            flip(&*file, bit);
            evidence.add("bits", 1);
        }
        evidence.add("files", 1);
    }
    assert_eq!(Folder::read(&*fs as &dyn Fs), folder, "every bit is back");
    assert!(silent.is_empty(), "{} bits are not named: {:#?}", silent.len(), &silent[..silent.len().min(40)]);
    evidence.end();
}

/// What came of a flipped bit: "answered" or "refused", or what was believed.
pub(crate) fn ask(folder: &Folder, known: &Known, turn: usize) -> Result<&'static str, String> {
    match Sandbox::on(Arc::new(folder.to_fs()), 2).builder().open(ROOT) {
        Ok(index) => known.check(&index, turn).map(|()| "answered"),
        Err(error) if is_refusal(&error) => Ok("refused"),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a byte says something, or is one of a few among those that do not.
fn tells(bytes: &[u8], at: usize) -> bool {
    bytes[at] != 0 || at % 512 == 511 || at > 0 && bytes[at - 1] != 0
}

fn questions() -> Vec<Question> {
    let filter = json!({ "tag": { "$in": ["red", "blue"] } });
    [Json::Null, filter].map(|filter| Question { vector: VECTOR.to_vec(), filter }).to_vec()
}

/// One bit of every byte that is not padding (all bits of all bytes in the long run): whoever opens the index without a
/// check gets right answers or errors.
#[test]
fn no_flipped_bit_is_believed() {
    let what = "a flipped bit of a small closed index: open, query, get and list answer rightly or say that it is damaged";
    let mut evidence = Evidence::begin("d4", "small_asked", what);
    let folder = minimal();
    let intact = Sandbox::on(Arc::new(folder.to_fs()), 2).builder().open(ROOT).expect("intact");
    let known = Known::of(&intact, questions()).expect("intact");
    assert_eq!(known.items.len(), 4, "four items live");
    let (mut flipped, mut wrong) = (folder.clone(), Vec::new());
    for (name, bytes) in &folder.files {
        for bit in 0..8 * bytes.len() {
            let (at, chosen) = (bit / 8, is_long() || bit % 8 == bit / 8 % 8 && tells(bytes, bit / 8));
            if !chosen || evidence.is_over() {
                continue;
            }
            flipped.files.get_mut(name).expect("the same names")[at] ^= 1 << (bit % 8);
            match ask(&flipped, &known, bit) {
                Ok(came) => evidence.add(came, 1),
                Err(error) => wrong.push(format!("{}: {error}", place(bit, name))),
            }
            flipped.files.get_mut(name).expect("the same names")[at] = bytes[at];
            evidence.add("bits", 1);
        }
        evidence.add("files", 1);
    }
    assert!(wrong.is_empty(), "{} bits are believed: {:#?}", wrong.len(), &wrong[..wrong.len().min(40)]);
    assert!(evidence.is_over() || evidence.count("answered").min(evidence.count("refused")) > 0);
    evidence.end();
}
