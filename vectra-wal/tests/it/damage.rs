//! Damaged, shortened, missing and misplaced files: named, never taken for something else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::io::{Access, Fs, MemFs};
use vectra_wal::{Durability, FileLog, Log, OpenError, Options, Recovery};

use crate::world::{Owned, open, payload, sim_env};

pub(crate) const HEADER: usize = 4096;
pub(crate) const FRAME: usize = 56;

/// The files of a log by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/wal")
}

pub(crate) fn options() -> Options {
    let mut options = Options::new([5; 16]);
    (options.file_bytes_min, options.file_bytes_max, options.reserve_bytes) =
        (HEADER as u64 + 300, HEADER as u64 + 300, 0);
    options
}

/// Seven synced frames in three files, or four if the log is closed.
pub(crate) fn build(close: bool, reserve_bytes: u64) -> (Files, Vec<Owned>) {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (env, _) = sim_env(4);
    let options = Options { reserve_bytes, ..options() };
    let log = FileLog::create(Arc::clone(&fs), &dir(), &env, options.clone()).expect("memory");
    for (i, len) in [30, 60, 0, 90, 41, 8, 70].into_iter().enumerate() {
        let ticket = log.enqueue(i as u8, 1 + i as u32 % 2, payload(i as u64, len)).expect("open");
        log.commit(&ticket, Durability::Sync, &|_| ()).expect("no faults");
    }
    if close {
        log.close().expect("no faults");
    }
    let files = read(&*fs);
    let (_, _, frames) = open(fs, &dir(), &env, options).expect("intact");
    (files, frames)
}

fn read(fs: &dyn Fs) -> Files {
    let names = fs.list(&dir()).expect("the folder").into_iter().map(|e| e.name);
    names.map(|name| (name.clone(), fs.read(&dir().join(&name), 1 << 20).expect("a file"))).collect()
}

/// Opens what `files` make up.
pub(crate) fn opened(files: &Files, options: Options) -> Result<(Recovery, Vec<Owned>), OpenError> {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.mkdir(&dir()).expect("memory");
    for (name, content) in files {
        fs.create_new(&dir().join(name)).expect("memory").write_all_at(content, 0).expect("memory");
    }
    let looked_at = FileLog::check(&*fs, &dir(), options.clone(), &mut |_| Ok(()));
    assert_eq!(read(&*fs), *files, "a look changes nothing");
    let outcome = open(Arc::clone(&fs), &dir(), &sim_env(5).0, options.clone());
    if outcome.is_ok() {
        let seals =
            FileLog::check(&*fs, &dir(), options.clone(), &mut |_| Ok(())).map(|found| found.bad_seals);
        assert_eq!(seals.expect("it opened"), [], "an opening leaves no bad seal");
    }
    if let (Ok(looked_at), Ok((_, recovery, _))) = (&looked_at, &outcome) {
        assert_eq!(looked_at.bad_seals, recovery.bad_seals);
    }
    if options.replay_from == 0 {
        assert_eq!(looked_at.is_ok(), outcome.is_ok(), "a look and an opening agree: {looked_at:?}");
    }
    outcome.map(|(_, recovery, frames)| (recovery, frames))
}

pub(crate) fn name(seq: u64) -> String {
    format!("{seq:020}.wal")
}

/// `files` with one of them changed.
pub(crate) fn with(files: &Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Files {
    let mut files = files.clone();
    change(files.get_mut(name).expect("a file of the log"));
    files
}

pub(crate) fn is_corruption<T>(outcome: &Result<T, OpenError>) -> bool {
    matches!(outcome, Err(OpenError::Corruption(_)))
}

#[test]
fn a_closed_log_has_the_expected_files() {
    let (files, frames) = build(true, 100);
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), [1, 2, 3, 4].map(name));
    assert_eq!((frames.len(), files[&name(4)].len()), (7, HEADER));
    let (files, _) = build(false, 100);
    assert_eq!(files.len(), 3);
}

#[test]
fn a_closed_log_cut_at_any_byte_is_corrupt() {
    let (files, frames) = build(true, 0);
    for (file, content) in &files {
        let seal = if content.len() > HEADER { FRAME + 8 } else { 0 };
        for len in 0..content.len() {
            let outcome = opened(&with(&files, file, |bytes| bytes.truncate(len)), options());
            if len >= content.len() - seal {
                // Only the seal is hurt, and the successor it names is there.
                let (recovery, left) = outcome.expect("nothing is lost");
                assert_eq!(left, frames);
                let gone = len == content.len() - seal;
                assert_eq!(recovery.bad_seals.len(), usize::from(!gone), "{file} cut at {len}");
            } else {
                assert!(is_corruption(&outcome), "{file} cut at {len}: {outcome:?}");
            }
        }
    }
}

#[test]
fn any_flipped_bit_of_a_closed_log_is_found() {
    let (files, frames) = build(true, 0);
    for (file, content) in &files {
        let seal = if content.len() > HEADER { FRAME + 8 } else { 0 };
        for at in bytes_to_flip(content.len()) {
            for bit in 0..8 {
                let outcome = opened(&with(&files, file, |bytes| bytes[at] ^= 1 << bit), options());
                if at >= content.len() - seal {
                    let (recovery, left) = outcome.expect("nothing is lost");
                    assert_eq!(left, frames);
                    let [bad] = &recovery.bad_seals[..] else { panic!("{file}, byte {at}: {recovery:?}") };
                    assert_eq!((bad.path.clone(), bad.at), (dir().join(file), (content.len() - seal) as u64));
                } else {
                    assert!(is_corruption(&outcome), "{file}, byte {at}, bit {bit}: {outcome:?}");
                }
            }
        }
    }
}

/// All bytes except most of the zeros in the header, whose sum is tested by itself.
fn bytes_to_flip(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(|at| *at < 120 || *at >= HEADER - 8 || at % 61 == 0)
}

#[test]
fn damage_to_a_log_that_was_not_closed_takes_at_most_what_nothing_testifies_to() {
    let (files, frames) = build(false, 64);
    let newest = name(3);
    let known = Options { durable_floor: frames[6].last_lsn(), ..options() };
    let content = &files[&newest];
    let first_lsn = u64::from_le_bytes(content[48..56].try_into().expect("8 bytes"));
    let mut ends = vec![HEADER];
    for frame in frames.iter().filter(|f| f.first_lsn >= first_lsn) {
        ends.push(ends[ends.len() - 1] + (FRAME + frame.payload.len()).next_multiple_of(8));
    }
    let used = ends[ends.len() - 1];
    for len in 0..used {
        let cut = with(&files, &newest, |bytes| bytes.truncate(len));
        assert!(is_corruption(&opened(&cut, known.clone())), "cut at {len}");
        let outcome = opened(&cut, options());
        if len < HEADER {
            assert!(is_corruption(&outcome), "cut at {len}");
            continue;
        }
        let (recovery, left) = outcome.expect("a log that ends early");
        let whole = ends.iter().filter(|end| **end <= len).count() - 1;
        assert_eq!(left, frames[..frames.len() + 1 - ends.len() + whole], "cut at {len}");
        assert_eq!(recovery.torn, !ends.contains(&len), "cut at {len}");
        assert_eq!(recovery.torn, recovery.dropped_tail_bytes > 0, "cut at {len}");
    }
    for at in bytes_to_flip(used) {
        let flipped = with(&files, &newest, |bytes| bytes[at] ^= 4);
        assert!(is_corruption(&opened(&flipped, known.clone())), "byte {at}");
        match opened(&flipped, options()) {
            // The frames before were testified to by those behind them, even by ones behind the damage.
            Ok((recovery, left)) => {
                assert_eq!((left.len(), recovery.torn), (6, true), "byte {at}");
                assert!(frames.starts_with(&left));
            }
            Err(e) => assert!(is_corruption::<()>(&Err(e)), "byte {at}"),
        }
    }
}

#[test]
fn misplaced_content_never_passes() {
    let (files, frames) = build(false, 0);
    // A file under another's name.
    let swapped = with(&files, &name(2), |bytes| bytes.clone_from(&files[&name(1)]));
    assert!(is_corruption(&opened(&swapped, options())));
    // The newest file's last frame once more behind itself: right salt, wrong place.
    let len = (FRAME + frames[6].payload.len()).next_multiple_of(8);
    let again = with(&files, &name(3), |bytes| bytes.extend_from_within(bytes.len() - len..));
    let (recovery, left) = opened(&again, options()).expect("stale bytes");
    assert_eq!(
        (left, recovery.torn, recovery.dropped_tail_bytes > 0, recovery.dropped_frames),
        (frames.clone(), true, true, 0)
    );
    // A frame of an older file at the place where it stood there: right place, wrong salt.
    let old = files[&name(1)][HEADER..].to_vec();
    let recycled = with(&files, &name(3), |bytes| bytes.splice(HEADER.., old).for_each(drop));
    let (recovery, left) =
        opened(&recycled, options()).expect("nothing testifies to the frames that stood there");
    assert!(recovery.torn && recovery.dropped_frames == 0 && frames.starts_with(&left));
}

/// Changes the newest file's last frame and makes its header sum right again.
fn forged(files: &Files, last: &Owned, change: impl FnOnce(&mut [u8])) -> Files {
    with(files, &name(3), |bytes| {
        let at = bytes.len() - (FRAME + last.payload.len()).next_multiple_of(8);
        let salt = bytes[56..64].to_vec();
        let frame = &mut bytes[at..];
        change(frame);
        let covered = [&salt[..], &(at as u64).to_le_bytes(), &frame[..4], &frame[8..FRAME]].concat();
        let sum = vectra_core::codec::crc32c(&covered);
        frame[4..8].copy_from_slice(&sum.to_le_bytes());
    })
}

#[test]
fn a_valid_frame_that_does_not_follow_is_stale() {
    let (files, frames) = build(false, 0);
    let same = opened(&forged(&files, &frames[6], |_| ()), options()).expect("nothing changed");
    assert_eq!(same.1, frames);
    // Another LSN, or other bytes before it: left behind by a group that a power cut took apart.
    for change in [16, 40] {
        let stale = forged(&files, &frames[6], |frame| frame[change] += 1);
        let (recovery, left) = opened(&stale, options()).expect("a torn tail");
        assert_eq!(
            (&left[..], recovery.torn, recovery.dropped_frames),
            (&frames[..6], true, 1),
            "byte {change}"
        );
    }
}

#[test]
fn what_was_replayed_counts_as_durable_ever_after() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (env, _) = sim_env(4);
    let log = FileLog::create(Arc::clone(&fs), &dir(), &env, options()).expect("memory");
    for i in 0..2 {
        let ticket = log.enqueue(i, 1, vec![i; 20]).expect("open");
        log.commit(&ticket, Durability::None, &|_| ()).expect("no faults");
    }
    drop(log);
    assert_eq!(
        opened(&with(&read(&*fs), &name(1), |b| b.truncate(b.len() - 1)), options()).expect("torn").1.len(),
        1
    );
    drop(open(Arc::clone(&fs), &dir(), &env, options()).expect("intact"));
    assert!(is_corruption(&opened(&with(&read(&*fs), &name(2), |b| b.truncate(b.len() - 1)), options())));
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let (files, _) = build(true, 0);
    let newer = with(&files, &name(4), |bytes| {
        bytes[8] = 2;
        let sum = vectra_core::codec::crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
    });
    assert!(matches!(opened(&newer, options()), Err(OpenError::Unsupported { .. })));
}

#[test]
fn an_open_that_finds_corruption_changes_nothing() {
    let (files, _) = build(true, 0);
    let damaged = with(&files, &name(2), |bytes| bytes[HEADER + 20] ^= 1);
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.mkdir(&dir()).expect("memory");
    for (name, content) in &damaged {
        fs.create_new(&dir().join(name)).expect("memory").write_all_at(content, 0).expect("memory");
    }
    for _ in 0..2 {
        assert!(is_corruption(&open(Arc::clone(&fs), &dir(), &sim_env(5).0, options())));
        assert_eq!(read(&*fs), damaged);
    }
    // Repaired, it opens.
    let file = fs.open(&dir().join(name(2)), Access::ReadWrite).expect("memory");
    file.write_all_at(&files[&name(2)], 0).expect("memory");
    assert_eq!(open(fs, Path::new("/wal"), &sim_env(5).0, options()).expect("intact").2.len(), 7);
}
