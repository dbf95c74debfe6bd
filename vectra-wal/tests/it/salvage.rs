//! What can still be had from a damaged log, and how it is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use vectra_core::io::sim::{CrashModel, Fault, SimFs};
use vectra_core::io::{Fs, MemFs};
use vectra_wal::{Control, DumpEntry, Durability, FileLog, Gap, Log, Lsn, OpenError, Options, SalvageReport};

use crate::world::{Owned, anchor, open, payload, sim_env};

const HEADER: usize = 4096;
const INDEX: [u8; 16] = [5; 16];

/// The files of a log by name.
type Files = BTreeMap<String, Vec<u8>>;

fn dir() -> PathBuf {
    PathBuf::from("/wal")
}

fn name(seq: u64) -> String {
    format!("{seq:020}.wal")
}

fn options() -> Options {
    let mut options = Options::new(INDEX);
    (options.file_bytes_min, options.file_bytes_max, options.reserve_bytes) =
        (HEADER as u64 + 400, HEADER as u64 + 400, 64);
    options
}

fn read(fs: &dyn Fs) -> Files {
    let names = fs.list(&dir()).expect("the folder").into_iter().map(|e| e.name);
    names.map(|name| (name.clone(), fs.read(&dir().join(&name), 1 << 20).expect("a file"))).collect()
}

fn disk_with(files: &Files) -> MemFs {
    let fs = MemFs::new();
    fs.mkdir(&dir()).expect("memory");
    for (name, content) in files {
        fs.create_new(&dir().join(name)).expect("memory").write_all_at(content, 0).expect("memory");
    }
    fs
}

/// A log of two lives in several files with all kinds of frames, and its frames. The file that the second life replaced
/// is back, too: `name(replaced)`.
struct Built {
    files: Files,
    frames: Vec<Owned>,
    replaced: u64,
}

fn build() -> Built {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (env, spawner) = sim_env(4);
    let mut log = FileLog::create(Arc::clone(&fs), &dir(), &env, options()).expect("memory");
    let mut replaced = (String::new(), Vec::new());
    for (i, len) in [30, 60, 0, 90, 41, 300, 8, 70, 120, 100, 25, 99].into_iter().enumerate() {
        let ticket = log.enqueue(i as u8, 1 + i as u32 % 3, payload(i as u64, len)).expect("open");
        let durability = if i % 4 == 1 { Durability::None } else { Durability::Sync };
        log.commit(&ticket, durability, &|_| ()).expect("no faults");
        match i {
            2 | 9 => log.note_anchor(anchor(i as u64)).expect("no faults"),
            3 => spawner.run_all(),
            7 => {
                drop(log);
                replaced = read(&*fs).pop_last().expect("a newest file");
                log = open(Arc::clone(&fs), &dir(), &env, options()).expect("intact").0;
            }
            _ => {}
        }
    }
    drop(log);
    let mut files = read(&*fs);
    let seq = replaced.0[..20].parse().expect("a number");
    files.insert(replaced.0, replaced.1);
    let (_, _, frames) = open(fs, &dir(), &env, options()).expect("intact");
    Built { files, frames, replaced: seq }
}

fn salvaged(fs: &dyn Fs) -> Result<(SalvageReport, Vec<Owned>), OpenError> {
    let mut frames = Vec::new();
    let report = FileLog::salvage(fs, &dir(), INDEX, &mut |frame| {
        frames.push(Owned::from(frame));
        Ok(())
    })?;
    Ok((report, frames))
}

fn ranges(gaps: &[Gap]) -> Vec<(Lsn, Lsn)> {
    gaps.iter().map(|gap| (gap.first_lsn, gap.last_lsn)).collect()
}

/// Where the frame with this first LSN stands in a file.
fn place_of(content: &[u8], first_lsn: Lsn) -> Option<usize> {
    let mut at = HEADER;
    while content.get(at..at + 4) == Some(b"vFrm") {
        let field =
            |from: usize| u32::from_le_bytes(content[at + from..at + from + 4].try_into().expect("4"));
        if u64::from(field(16)) == first_lsn && field(24) > 0 {
            return Some(at);
        }
        at += (56 + field(8) as usize).next_multiple_of(8);
    }
    None
}

/// The files without those that a later one stands in for.
fn live(built: &Built) -> Files {
    let mut files = built.files.clone();
    files.remove(&name(built.replaced));
    files
}

#[test]
fn an_intact_log_is_salvaged_whole() {
    let built = build();
    assert!(built.files.len() >= 5, "{:?}", built.files.keys());
    for files in [built.files.clone(), live(&built)] {
        let fs = disk_with(&files);
        let (report, frames) = salvaged(&fs).expect("a log");
        assert_eq!(frames, built.frames);
        assert_eq!(
            (report.frames, report.gap_count, report.damage_count, report.stale_frames),
            (12, 0, 0, 0)
        );
        assert_eq!((report.files, report.anchor), (files.len() as u64, Some(anchor(9))));
        assert_eq!((report.first_lsn, report.last_lsn), (1, built.frames[11].last_lsn()));
        assert!(!report.tail_damaged);
        assert_eq!(read(&fs), files, "nothing is changed");
    }
}

#[test]
fn a_damaged_frame_is_missing_alone() {
    let built = build();
    let files = live(&built);
    for lost in &built.frames {
        let (name, at) = files
            .iter()
            .find_map(|(name, content)| Some((name.clone(), place_of(content, lost.first_lsn)?)))
            .expect("each frame stands somewhere");
        for byte in [0, 20, 50] {
            let mut files = files.clone();
            files.get_mut(&name).expect("it is there")[at + byte] ^= 0x10;
            let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
            let left: Vec<Owned> = built.frames.iter().filter(|f| *f != lost).cloned().collect();
            assert_eq!(frames, left);
            assert_eq!((report.damage_count, &report.damage[0].file), (1, &dir().join(&name)));
            assert_eq!(report.damage[0].offset, at as u64);
            // That the very last group was ever there nothing testifies to.
            let known = lost.first_lsn <= report.durable_lsn;
            assert_eq!(known, lost != &built.frames[11]);
            let gap = if known { vec![(lost.first_lsn, lost.last_lsn())] } else { vec![] };
            assert_eq!(ranges(&report.gaps), gap);
            assert_eq!(report.tail_damaged, !known);
            assert_eq!(report.missing_operations, u64::from(lost.op_count) * u64::from(known));
        }
    }
}

#[test]
fn frames_behind_a_damaged_file_header_are_found() {
    let built = build();
    for file in live(&built).keys() {
        for at in [0, 9, 41, 50, 75, 2000, 4095] {
            let mut files = live(&built);
            files.get_mut(file).expect("it is there")[at] ^= 1;
            let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
            assert_eq!(frames, built.frames, "{file}, byte {at}");
            assert_eq!((report.damage_count, report.damage[0].offset), (1, 0));
            assert!(!report.tail_damaged && report.first_lsn == 1);
        }
    }
}

#[test]
fn a_damaged_header_hides_no_damaged_tail() {
    let built = build();
    for (i, file) in live(&built).keys().enumerate() {
        let mut files = live(&built);
        files.get_mut(file).expect("it is there")[4095] ^= 1;
        let (name, mut last) = files.pop_last().expect("a newest file");
        let at = place_of(&last, built.frames[11].first_lsn).expect("the last frame is there");
        last[at + 50] ^= 1;
        files.insert(name, last);
        let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
        assert_eq!((frames.len(), report.tail_damaged, report.damage_count), (11, true, 2), "header {i}");
    }
}

#[test]
fn a_torn_seal_before_an_empty_file_is_no_damaged_tail() {
    let built = build();
    let mut files = live(&built);
    files.last_entry().expect("a newest file").get_mut().truncate(HEADER);
    let before = files.keys().rev().nth(1).expect("several").clone();
    let content = files.get_mut(&before).expect("it is there");
    let seal = content.windows(4).rposition(|bytes| bytes == b"vFrm").expect("a seal");
    content[seal + 20] ^= 1;
    let (report, _) = salvaged(&disk_with(&files)).expect("a log");
    assert_eq!((report.damage_count, report.gap_count, report.tail_damaged), (1, 0, false), "{report:?}");
    // The frame before it, however, is missed.
    let content = files.get_mut(&before).expect("it is there");
    let frame = content[..seal].windows(4).rposition(|bytes| bytes == b"vFrm").expect("a frame");
    content[frame + 20] ^= 1;
    let (report, _) = salvaged(&disk_with(&files)).expect("a log");
    assert_eq!((report.gap_count, report.tail_damaged), (1, false), "{report:?}");
}

#[test]
fn a_newest_file_without_its_header_or_its_end_is_a_damaged_tail() {
    let built = build();
    for len in [0, 100, HEADER - 1] {
        let mut files = live(&built);
        let mut newest = files.last_entry().expect("a newest file");
        newest.get_mut().truncate(len);
        let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
        assert!(frames.len() < 12 && report.tail_damaged, "{len} bytes: {report:?}");
    }
}

#[test]
fn a_missing_file_is_a_gap() {
    let built = build();
    let whole = live(&built);
    for (i, file) in whole.keys().enumerate() {
        let mut files = whole.clone();
        files.remove(file);
        let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
        assert!(frames.len() < 12 && frames.iter().all(|f| built.frames.contains(f)));
        // What the first file held may have been truncated: nothing says that it must be there. What the last one held
        // nobody knows, but that it was there the one before says.
        let last = whole.len() - 1;
        assert_eq!(report.gap_count, u64::from(i > 0 && i < last), "without {file}");
        assert_eq!((report.tail_damaged, report.damage_count), (i == last, u64::from(i == last)));
        let first = frames.iter().map(|frame| frame.first_lsn).min().expect("some are left");
        assert_eq!((report.first_lsn, first > 1), (first, i == 0));
    }
}

#[test]
fn a_replaced_file_helps_out_and_says_nothing_else() {
    let built = build();
    let content = &built.files[&name(built.replaced)];
    let rescued: Vec<&Owned> =
        built.frames.iter().filter(|f| place_of(content, f.first_lsn).is_some()).collect();
    assert!(!rescued.is_empty());
    for frame in rescued {
        let mut files = live(&built);
        let copy = files.iter_mut().find_map(|(_, c)| place_of(c, frame.first_lsn).map(|at| (c, at)));
        let (copy, at) = copy.expect("the copy has it, too");
        copy[at + 30] ^= 1;
        assert_eq!(salvaged(&disk_with(&files)).expect("a log").1.len(), 11);
        files.insert(name(built.replaced), content.clone());
        let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
        assert_eq!(frames, built.frames);
        assert_eq!((report.gap_count, report.damage_count), (0, 1));
    }
}

/// Three frames of which the second is torn, the file after that crash, and the log after a second life.
fn a_log_with_a_void_tail() -> (Files, Vec<u8>) {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (env, _) = sim_env(4);
    let append = |log: &FileLog, text: &str| {
        let ticket = log.enqueue(1, 1, text.into()).expect("open");
        log.commit(&ticket, Durability::None, &|_| ()).expect("no faults");
    };
    let log = FileLog::create(Arc::clone(&fs), &dir(), &env, options()).expect("memory");
    ["one", "two", "three"].iter().for_each(|text| append(&log, text));
    drop(log);
    let mut torn = read(&*fs).remove(&name(1)).expect("the only file");
    torn[HEADER + 64 + 20] ^= 1;
    let fs: Arc<dyn Fs> = Arc::new(disk_with(&Files::from([(name(1), torn.clone())])));
    let (log, recovery, _) = open(Arc::clone(&fs), &dir(), &env, options()).expect("torn");
    assert_eq!((recovery.last_lsn, recovery.dropped_frames), (1, 1));
    append(&log, "another");
    drop(log);
    let mut files = read(&*fs);
    files.insert(name(1), torn.clone());
    (files, torn)
}

#[test]
fn what_recovery_dropped_does_not_come_back() {
    let (mut files, _) = a_log_with_a_void_tail();
    let texts = |files: &Files| {
        let (report, frames) = salvaged(&disk_with(files)).expect("a log");
        let texts: Vec<String> =
            frames.into_iter().map(|f| String::from_utf8(f.payload).expect("text")).collect();
        (texts.join(" "), report.stale_frames, report.gap_count)
    };
    assert_eq!(
        texts(&files),
        ("one another".to_owned(), 0, 0),
        "the later header says how far the file counts"
    );
    files.get_mut(&name(2)).expect("the copy")[100] ^= 1;
    assert_eq!(texts(&files), ("one another".to_owned(), 1, 0), "without it, the chain of payload sums does");
}

#[test]
fn another_index_is_left_out() {
    let built = build();
    let fs = disk_with(&built.files);
    let nobody = FileLog::salvage(&fs, &dir(), [6; 16], &mut |_| panic!("not theirs"));
    assert!(matches!(nobody, Err(OpenError::Missing { .. })));
    assert!(matches!(salvaged(&MemFs::new()), Err(OpenError::Missing { .. })), "no folder");
    let mut files = live(&built);
    let second = files.keys().nth(1).expect("several").clone();
    files.get_mut(&second).expect("it is there")[20] ^= 1;
    files.insert("notes.txt".to_owned(), Vec::new());
    let (report, frames) = salvaged(&disk_with(&files)).expect("a log");
    assert_eq!(report.ignored, ["notes.txt".to_owned(), second], "whose it is cannot be told");
    assert!(frames.len() < 12 && report.gap_count == 1);
}

#[test]
fn a_read_that_fails_is_damage_not_the_end() {
    let built = build();
    let sim = |files: &Files| {
        let fs = SimFs::new(1, CrashModel::WeakPosix);
        let root: &dyn Fs = &fs;
        root.mkdir(&dir()).expect("a disk");
        for (name, content) in files {
            root.create_new(&dir().join(name)).expect("a disk").write_all_at(content, 0).expect("a disk");
        }
        fs
    };
    let whole = sim(&live(&built));
    salvaged(&whole).expect("a log");
    let reads = whole.reads();
    for n in 1..=reads {
        let fs = sim(&live(&built));
        fs.fail_read(n, Fault::Eio, false);
        let outcome = salvaged(&fs);
        let Ok((report, frames)) = outcome else {
            assert!(matches!(outcome, Err(OpenError::Io { .. })), "only the folder itself: {outcome:?}");
            continue;
        };
        assert!(frames.iter().all(|f| built.frames.contains(f)), "read {n}");
        assert!(frames.len() == 12 || report.damage_count > 0, "read {n}: {report:?}");
        let fs = sim(&live(&built));
        fs.fail_read(n, Fault::Eio, true);
        if let Ok((report, frames)) = salvaged(&fs) {
            assert!(frames.len() < 12 && report.damage_count > 0, "from read {n} on: {report:?}");
        }
    }
}

#[test]
fn a_dump_shows_everything_in_its_place() {
    let built = build();
    let mut files = live(&built);
    let mut shown = Vec::new();
    let mut notes = Vec::new();
    let fs = disk_with(&files);
    FileLog::dump(&fs, &dir(), &mut |entry| match entry {
        DumpEntry::Frame(f) if f.is_control => notes.push(f.control.expect("known")),
        DumpEntry::Frame(f) => {
            let (kind, first_lsn, op_count) = (f.kind, f.first_lsn, f.op_count);
            assert_eq!(place_of(&files[&name(f.seq)], first_lsn), Some(f.offset as usize));
            assert!(f.durable_lsn < first_lsn);
            shown.push(Owned { kind, first_lsn, op_count, payload: f.payload.to_vec() });
        }
        DumpEntry::File { name, len, header, .. } => {
            assert_eq!((len, header.expect("intact").index), (files[&name].len() as u64, INDEX));
        }
        other => panic!("{other:?}"),
    })
    .expect("a folder");
    assert_eq!(shown, built.frames);
    let count = |wanted: fn(&Control) -> bool| notes.iter().filter(|note| wanted(note)).count();
    assert_eq!(count(|n| matches!(n, Control::Seal(_))), files.len() - 1);
    assert_eq!((count(|n| matches!(n, Control::Mark)), count(|n| matches!(n, Control::Anchor(_)))), (1, 2));

    // A hole, a file that ends early, a bad header and names that are none.
    let [first, second, third] = [0, 1, 2].map(|i| files.keys().nth(i).expect("several").clone());
    files.get_mut(&first).expect("it is there")[HEADER..HEADER + 40].fill(0);
    let cut = place_of(
        &files[&second],
        built
            .frames
            .iter()
            .rfind(|f| place_of(&files[&second], f.first_lsn).is_some())
            .expect("one")
            .first_lsn,
    );
    files.get_mut(&second).expect("it is there").truncate(cut.expect("found"));
    files.get_mut(&third).expect("it is there")[0] = 0;
    files.insert("00000000000000000900.tmp".to_owned(), Vec::new());
    let (mut damage, mut ignored, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    FileLog::dump(&disk_with(&files), &dir(), &mut |entry| match entry {
        DumpEntry::Damage { seq, offset, len, reason } => damage.push((name(seq), offset, len, reason)),
        DumpEntry::Ignored { name } => ignored.push(name),
        DumpEntry::File { name, header: Err(reason), .. } => bad.push((name, reason)),
        _ => {}
    })
    .expect("a folder");
    assert_eq!(ignored, ["00000000000000000900.tmp"]);
    assert_eq!(bad, [(third, "no log file".to_owned())]);
    assert_eq!(
        (damage[0].0.as_str(), damage[0].1, damage[0].3.as_str()),
        (first.as_str(), HEADER as u64, "no frame")
    );
    assert_eq!(damage.len(), 1, "the third file cannot say how the second ends: {damage:?}");
}

#[test]
fn a_dump_names_a_file_that_ends_early() {
    let built = build();
    let mut files = live(&built);
    let second = files.keys().nth(1).expect("several").clone();
    files.get_mut(&second).expect("it is there").truncate(HEADER);
    let mut damage = Vec::new();
    FileLog::dump(&disk_with(&files), &dir(), &mut |entry| {
        if let DumpEntry::Damage { seq, offset, len, .. } = entry {
            damage.push((name(seq), offset, len));
        }
    })
    .expect("a folder");
    assert_eq!(damage, [(second, HEADER as u64, 0)]);
}

#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Fill(prop::sample::Index, usize, u8),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    Remove,
    /// The file becomes a copy of another one.
    Replace(prop::sample::Index),
}

fn any_harm() -> impl Strategy<Value = (prop::sample::Index, Harm)> {
    let at = || any::<prop::sample::Index>();
    let harm = prop_oneof![
        4 => (at(), 1..=255_u8).prop_map(|(i, bits)| Harm::Flip(i, bits)),
        2 => (at(), 1..700_usize, any::<u8>()).prop_map(|(i, len, byte)| Harm::Fill(i, len, byte)),
        2 => at().prop_map(Harm::Cut),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Harm::Append),
        1 => Just(Harm::Remove),
        1 => at().prop_map(Harm::Replace),
    ];
    (at(), harm)
}

fn harm(files: &mut Files, which: prop::sample::Index, harm: &Harm) {
    let names: Vec<String> = files.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = &names[which.index(names.len())];
    let content = files.get_mut(name).expect("listed");
    // Mostly where the frames are.
    let place = |i: &prop::sample::Index, len: usize| {
        let from = if i.index(5) == 0 { 0 } else { HEADER.min(len.saturating_sub(1)) };
        from + i.index(len.max(from + 1) - from)
    };
    let len = content.len();
    match harm {
        Harm::Remove => _ = files.remove(name),
        Harm::Replace(other) => {
            let other = files[&names[other.index(names.len())]].clone();
            files.insert(name.clone(), other);
        }
        Harm::Append(bytes) => content.extend_from_slice(bytes),
        _ if len == 0 => {}
        Harm::Flip(i, bits) => content[place(i, len)] ^= bits,
        Harm::Fill(i, n, byte) => {
            let at = place(i, len);
            content[at..len.min(at + n)].fill(*byte);
        }
        Harm::Cut(i) => content.truncate(place(i, len)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_damage_is_survived_and_nothing_is_made_up(harms in prop::collection::vec(any_harm(), 1..6)) {
        let built = build();
        let mut files = built.files.clone();
        harms.iter().for_each(|(which, what)| harm(&mut files, *which, what));
        let fs = disk_with(&files);
        FileLog::dump(&fs, &dir(), &mut |entry| {
            if let DumpEntry::Frame(f) = entry && !f.is_control {
                let (kind, first_lsn, op_count) = (f.kind, f.first_lsn, f.op_count);
                let shown = Owned { kind, first_lsn, op_count, payload: f.payload.to_vec() };
                assert!(built.frames.contains(&shown), "{shown:?} was never written");
            }
        })
        .expect("a folder");
        let Ok((report, frames)) = salvaged(&fs) else {
            return Ok(());
        };
        prop_assert!(frames.is_sorted_by(|a, b| a.last_lsn() < b.first_lsn));
        for frame in &frames {
            prop_assert!(built.frames.contains(frame), "{:?} was never written", frame);
        }
        for lost in built.frames.iter().filter(|f| !frames.contains(f)) {
            let gaps = ranges(&report.gaps);
            let told = lost.first_lsn < report.first_lsn
                || gaps.iter().any(|(first, last)| *first <= lost.first_lsn && lost.last_lsn() <= *last);
            prop_assert!(told || lost.first_lsn > report.durable_lsn, "nobody misses {:?}: {:?}", lost, report);
        }
        // An opening gives a prefix of it, or refuses.
        if let Ok((_, _, opened)) = open(Arc::new(fs), Path::new("/wal"), &sim_env(5).0, options()) {
            prop_assert!(built.frames.starts_with(&opened));
        }
    }
}
