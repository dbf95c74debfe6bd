//! Whole files: log, container, manifest; and the shard map inside the manifest.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use vectra_core::codec::{Reader, Writer, crc32c, crc32c_append, digest};
use vectra_core::env::Env;
use vectra_core::io::{Fs, MemFs};
use vectra_shard::{HashRouter, RangeRouter, Router, ShardMap};
use vectra_tier::container::identify;
use vectra_tier::{Mode, PartHandle};
use vectra_wal::{FileLog, Log, Options};

use crate::builder::Builder;
use crate::manifest;
use crate::settings::Settings;

const LOG_HEADER: usize = 4096;
const FRAME_HEADER: usize = 56;
const DIR: &str = "/wal";
const LOG: &str = "/wal/00000000000000000001.wal";
const PART: &str = "/part";

fn holding(path: &str, bytes: &[u8]) -> Arc<MemFs> {
    let fs = MemFs::new();
    let made = fs.mkdir(Path::new(DIR)).and_then(|()| fs.create_new(Path::new(path)));
    let written = made.and_then(|file| file.write_all_at(bytes, 0));
    written.expect("an empty file system in memory");
    Arc::new(fs)
}

/// Makes the checksums of a log file right: of its header and of every frame that follows the one before.
fn repair_log(file: &mut [u8]) {
    if file.len() < LOG_HEADER {
        return;
    }
    let sum = crc32c(&file[..LOG_HEADER - 4]);
    file[LOG_HEADER - 4..LOG_HEADER].copy_from_slice(&sum.to_le_bytes());
    let salt = crc32c(&file[56..64]);
    let word =
        |file: &[u8], at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    let (mut at, mut chain) = (LOG_HEADER, word(file, 88));
    while at + FRAME_HEADER <= file.len() {
        let end = (at + FRAME_HEADER).saturating_add(word(file, at + 8) as usize).min(file.len());
        let payload_sum = crc32c(&file[at + FRAME_HEADER..end]);
        file[at + 28..at + 32].copy_from_slice(&payload_sum.to_le_bytes());
        file[at + 40..at + 44].copy_from_slice(&chain.to_le_bytes());
        let seed = crc32c_append(salt, &(at as u64).to_le_bytes());
        let sum = crc32c_append(crc32c_append(seed, &file[at..at + 4]), &file[at + 8..at + FRAME_HEADER]);
        file[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        (at, chain) = (end.next_multiple_of(8), payload_sum);
    }
}

/// Checks the log that this file is, then opens it for writing and appends to it.
fn use_log(file: &[u8]) {
    let index = file.get(16..32).map_or([0; 16], |id| id.try_into().expect("sixteen bytes"));
    let options = || Options { file_bytes_min: 4096, file_bytes_max: 8192, ..Options::new(index) };
    let fs = holding(LOG, file);
    let mut frames = 0_u64;
    let mut visit = |frame: vectra_wal::Frame<'_>| {
        frames += u64::from(frame.op_count);
        Ok(())
    };
    let checked = FileLog::check(&*fs, Path::new(DIR), options(), &mut visit).is_ok();
    let opened = FileLog::open(fs, Path::new(DIR), &Env::os(1), options(), &mut visit);
    assert_eq!(opened.is_ok(), checked, "a log is sound for the one who reads and for the one who writes");
    if let Ok((log, _)) = opened {
        let last = log.last_lsn();
        if let Ok(ticket) = log.enqueue(1, 1, b"more".to_vec()) {
            assert_eq!(ticket.first_lsn, last + 1, "LSNs go on where the log ended");
            _ = log.sync(&|_| {});
        }
        _ = log.close();
    }
}

/// A whole log file behind the byte that says whether sums are made right.
pub(super) fn log_file(bytes: &[u8]) {
    let Some((repair, file)) = bytes.split_first() else { return };
    let mut file = file.to_vec();
    if repair & 1 == 1 {
        repair_log(&mut file);
    }
    use_log(&file);
}

/// The fields of a log file's header; zeros and the checksum follow.
pub(super) fn log_header(bytes: &[u8]) {
    let mut file = bytes[..bytes.len().min(LOG_HEADER - 4)].to_vec();
    file.resize(LOG_HEADER, 0);
    repair_log(&mut file);
    use_log(&file);
}

/// Makes the checksums of header and footer of a container right, wherever its trailer says they are.
fn repair_container(file: &mut [u8]) {
    let len = file.len();
    if len < 4096 + 64 {
        return;
    }
    let sum = crc32c(&file[..4092]);
    file[4092..4096].copy_from_slice(&sum.to_le_bytes());
    file[len - 44..len - 40].copy_from_slice(&sum.to_le_bytes());
    let footer = u64::from_le_bytes(file[len - 64..len - 56].try_into().expect("eight bytes"));
    let footer = usize::try_from(footer).unwrap_or(len).min(len - 16);
    let sum = crc32c(&file[footer..len - 16]);
    file[len - 16..len - 12].copy_from_slice(&sum.to_le_bytes());
}

/// A whole container file behind the byte that says whether sums are made right.
pub(super) fn container(bytes: &[u8]) {
    let Some((repair, file)) = bytes.split_first() else { return };
    let mut file = file.to_vec();
    if repair & 1 == 1 {
        repair_container(&mut file);
    }
    let fs = holding(PART, &file);
    let Ok(part) = identify(&*fs, Path::new(PART)) else { return };
    let handle = PartHandle::open(&*fs, Path::new(PART), &part, Mode::Read);
    let Ok(handle) = handle else { return };
    let sound = handle.verify().is_ok();
    for (kind, field, length) in handle.sections() {
        if let Ok(section) = handle.section(kind, field) {
            assert_eq!(section.len() as u64, length, "a section is as long as the directory says");
            assert!(section.verified().is_ok() || !sound, "what the full check passes can be read");
        }
    }
}

/// A manifest without its digest.
pub(super) fn manifest(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    file.extend_from_slice(&digest(bytes).to_le_bytes());
    if let Ok(manifest) = manifest::decode(&file) {
        let again = manifest::decode(&manifest::encode(&manifest));
        assert_eq!(again.ok().as_ref(), Some(&manifest), "what is read is written the same");
    }
}

/// A shard map.
pub(super) fn shard_map(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let Ok(map) = ShardMap::decode(&mut reader) else { return };
    let mut out = Writer::new();
    map.encode(&mut out);
    assert_eq!(out.as_bytes(), &bytes[..reader.position()], "one map has one encoding");
    assert!(map.route(reader.rest()) < map.shards(), "every id has a shard");
}

/// Files of a small index.
pub(super) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let root = Path::new("/index");
    let mut settings = Settings::new(2).with_shards(2).with_seal_rows(4);
    settings.log_bytes_min = 4096;
    let index = Builder::new().fs(Arc::clone(&fs)).create(root, settings).expect("an empty disk");
    let items = (0..6_u64).map(|n| crate::Item::new(n, [n as f32 + 1.0, 2.0])).collect();
    index.insert_items(items).and_then(|_| index.flush()).expect("a healthy disk");
    index.insert_item(crate::Item::new("last", [3.0, 1.0])).expect("a healthy disk");
    drop(index);
    let behind = |flag: u8, bytes: &[u8]| [&[flag], bytes].concat();
    let mut seeds = Vec::new();
    for (dir, target) in [("wal", "log_file"), ("seg", "container"), ("manifest", "manifest")] {
        let names = fs.list(&root.join(dir)).expect("it was made");
        let path = root.join(dir).join(&names.last().expect("it holds something").name);
        let file = fs.read(&path, 1 << 20).expect("small");
        match target {
            "manifest" => seeds.push((target, "newest", file[..file.len() - 16].to_vec())),
            "container" => seeds.push((target, "part", behind(1, &file))),
            _ => {
                seeds.push(("log_header", "first", file[..120].to_vec()));
                seeds.push((target, "last", behind(1, &file)));
            }
        }
    }
    let maps = [
        ("hash", ShardMap::new(HashRouter::new(NonZero::new(7).expect("not zero")))),
        (
            "range",
            ShardMap::new(RangeRouter::new(vec![vec![1; 9].into(), vec![3, 60].into()]).expect("ascending")),
        ),
    ];
    for (name, map) in maps {
        let mut out = Writer::new();
        map.encode(&mut out);
        out.bytes(&[1; 9]);
        seeds.push(("shard_map", name, out.into_bytes()));
    }
    seeds
}
