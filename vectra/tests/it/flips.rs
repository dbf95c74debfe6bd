//! Single flipped bits in a closed index: every one is found and named, and none is ever believed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use vectra::{Error, ErrorKind, Hit, Index, Item, Snapshot, mongo};
use vectra_core::io::{File, MemFs};
use vectra_tier::container::identify;
use vectra_tier::{Mode, PartHandle, PartRef};

use crate::forge::{Evidence, Folder, ROOT, Sandbox, VECTOR, is_long, minimal, writable};

/// Whether an error says that a file is not what it should be.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported)
}

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

/// Every bit of every file but the lock, whose text is for people: the full check finds it.
///
/// In the everyday run the zeros that fill up parts are shown to the check of their part alone, but for some of them.
#[test]
fn every_flipped_bit_is_named() {
    let what = "every single bit of every file but LOCK of a small closed index: verify names the damage";
    let evidence = Evidence::begin("d4_verify", what, "flips::every_flipped_bit_is_named");
    let folder = minimal();
    let fs = Arc::new(folder.to_fs());
    let sandbox = Sandbox::on(fs.clone(), 1);
    assert_eq!(sandbox.builder().verify_deep(ROOT).expect("intact").findings, []);
    let (mut bits, mut whole, mut silent) = (0, 0, Vec::new());
    for (name, bytes) in &folder.files {
        let (file, path) = (writable(&fs, name), Path::new(ROOT).join(name));
        let part = name.starts_with("seg/").then(|| identify(&*fs, &path).expect("a part"));
        let called = called(name);
        for bit in 0..8 * bytes.len() {
            flip(&*file, bit);
            let named = match &part {
                Some(part) if !is_long() && !tells(bytes, bit / 8) => part_names(&fs, &path, part),
                _ => {
                    whole += 1;
                    verify_names(&sandbox, called)
                }
            };
            if !named {
                silent.push(format!("bit {} of byte {} of {name}", bit % 8, bit / 8));
            }
            flip(&*file, bit);
            bits += 1;
        }
    }
    assert_eq!(sandbox.builder().verify_deep(ROOT).expect("intact again").findings, []);
    let files = folder.files.len() as u64;
    let counts = [
        ("bits", bits),
        ("by the check of the index", whole),
        ("files", files),
        ("not named", silent.len() as u64),
    ];
    evidence.end((0, bits - 1), &counts, silent.len() as u64);
    assert!(silent.is_empty(), "{} bits are not named: {:#?}", silent.len(), &silent[..silent.len().min(40)]);
}

/// What an intact index answers.
struct Known {
    items: Vec<Item>,
    all: Vec<Hit>,
    red: Vec<Hit>,
}

const FILTER: &str = r#"{"tag": {"$in": ["red", "blue"]}}"#;

fn exact(snapshot: &Snapshot, filter: Option<&str>) -> Result<Vec<Hit>, Error> {
    let query = snapshot.query(&VECTOR).top_k(20).exact().with_vectors();
    match filter {
        Some(filter) => query.filter(mongo(filter)?).run(),
        None => query.run(),
    }
}

impl Known {
    fn of(index: &Index) -> Result<Self, Error> {
        let snapshot = index.snapshot();
        let items = snapshot.list_items(None, 100)?.items;
        Ok(Self { items, all: exact(&snapshot, None)?, red: exact(&snapshot, Some(FILTER))? })
    }

    /// Every answer is this one, or an error that says that a file is damaged. Approximate answers may be fewer.
    fn check(&self, index: &Index) -> Result<(), String> {
        let snapshot = index.snapshot();
        let same = |what: &str, got: Result<bool, Error>| match got {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{what}: another answer")),
            Err(error) if is_refusal(&error) => Ok(()),
            Err(error) => Err(format!("{what}: {error}")),
        };
        same("list", snapshot.list_items(None, 100).map(|page| page.items == self.items))?;
        same("exact", exact(&snapshot, None).map(|hits| hits == self.all))?;
        same("filtered", exact(&snapshot, Some(FILTER)).map(|hits| hits == self.red))?;
        for item in &self.items {
            same("get", snapshot.get_item(item.id.clone()).map(|got| got.as_ref() == Some(item)))?;
        }
        let near = snapshot.query(&VECTOR).top_k(3).with_vectors().run();
        same("near", near.map(|hits| hits.iter().all(|hit| self.all.contains(hit))))
    }
}

/// Whether a byte says something, or is one of a few among those that do not.
fn tells(bytes: &[u8], at: usize) -> bool {
    bytes[at] != 0 || at % 512 == 511 || at > 0 && bytes[at - 1] != 0
}

/// One bit of every byte that is not padding (all bits of all bytes with `VECTRA_FAULTS=long`): whoever opens the index
/// without a check gets right answers or errors.
#[test]
fn no_flipped_bit_is_believed() {
    let what = "a flipped bit of a small closed index: open, query, get and list answer rightly or say that it is damaged";
    let evidence = Evidence::begin("d4_answers", what, "flips::no_flipped_bit_is_believed");
    let folder = minimal();
    let open = |folder: &Folder| Sandbox::on(Arc::new(folder.to_fs()), 2).builder().open(ROOT);
    let known = Known::of(&open(&folder).expect("intact")).expect("intact");
    assert_eq!(known.items.len(), 4, "four items live");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::from([("bits", 0), ("answered", 0), ("refused", 0)]);
    let mut wrong = Vec::new();
    let mut flipped = folder.clone();
    for (name, bytes) in &folder.files {
        for at in (0..bytes.len()).filter(|at| is_long() || tells(bytes, *at)) {
            let bits = if is_long() { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                let file = flipped.files.get_mut(name).expect("the same names");
                file[at] ^= 1 << bit;
                let came = match open(&flipped) {
                    Ok(index) => known.check(&index).map(|()| "answered"),
                    Err(error) if is_refusal(&error) => Ok("refused"),
                    Err(error) => Err(error.to_string()),
                };
                match came {
                    Ok(came) => *counts.entry(came).or_default() += 1,
                    Err(error) => wrong.push(format!("bit {bit} of byte {at} of {name}: {error}")),
                }
                flipped.files.get_mut(name).expect("the same names")[at] ^= 1 << bit;
                *counts.entry("bits").or_default() += 1;
            }
        }
    }
    let counts: Vec<(&str, u64)> = counts.into_iter().collect();
    evidence.end((0, counts.iter().map(|(_, n)| *n).max().unwrap_or(0)), &counts, wrong.len() as u64);
    assert!(wrong.is_empty(), "{} bits are believed: {:#?}", wrong.len(), &wrong[..wrong.len().min(40)]);
    assert!(counts.iter().all(|(_, n)| *n > 0), "{counts:?}");
}
