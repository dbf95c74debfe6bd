use std::path::Path;

use proptest::prelude::*;
use vectra_core::codec::crc32c;
use vectra_core::io::{Fs, MemFs};

use super::*;
use crate::header::FILE_HEADER_LEN;
use crate::writer::Tail;

const SALT: u64 = 99;

fn frame(lsn: Lsn, durable_lsn: Lsn, payload: &[u8], at: u64) -> Vec<u8> {
    let header = FrameHeader {
        payload_len: payload.len() as u32,
        kind: 1,
        control: false,
        first_lsn: lsn,
        op_count: 1,
        payload_crc: crc32c(payload),
        durable_lsn,
        prev_payload_crc: 0,
        hlc: 0,
    };
    let mut bytes = Vec::new();
    header.encode(payload, SALT, at, &mut bytes);
    bytes
}

fn file_with(content: &[u8]) -> Box<dyn File> {
    let fs = MemFs::new();
    let file = fs.create_new(Path::new("/f")).expect("a fresh file system");
    file.write_all_at(content, 0).expect("memory");
    file
}

proptest! {
    #[test]
    fn reading_any_file_never_panics(content in proptest::collection::vec(any::<u8>(), 0..600), at in 0..700_u64) {
        let file = file_with(&content);
        let mut reader = FrameReader::new(file, SALT).expect("memory");
        prop_assert!(reader.frame(at).expect("memory").is_err());
        let survey = reader.survey(at).expect("memory");
        prop_assert_eq!(survey.frames, 0);
        prop_assert!(survey.bytes <= content.len() as u64);
    }
}

#[test]
fn frames_larger_than_the_window_and_across_its_edge_are_read() {
    let mut content = vec![0; FILE_HEADER_LEN as usize];
    let lens = [WINDOW as usize - 5000, 3000, WINDOW as usize * 2 + 13, 0, 1];
    let mut places = Vec::new();
    for (i, len) in lens.iter().enumerate() {
        let at = content.len() as u64;
        places.push(at);
        content.extend(frame(i as u64 + 1, i as u64, &vec![i as u8 + 1; *len], at));
    }
    let file = file_with(&content);
    let mut reader = FrameReader::new(file, SALT).expect("memory");
    for (i, len) in lens.iter().enumerate() {
        let (header, payload) = reader.frame(places[i]).expect("memory").expect("a valid frame");
        assert_eq!((header.first_lsn, payload.len()), (i as u64 + 1, *len));
        assert!(payload.iter().all(|b| *b == i as u8 + 1));
    }
    assert_eq!(reader.frame(content.len() as u64).expect("memory"), Err(FrameFault::Short));
}

#[test]
fn a_survey_finds_frames_behind_garbage_and_ignores_trailing_zeros() {
    let mut content = vec![0; FILE_HEADER_LEN as usize];
    content.extend([0xaa; 104]);
    content.extend(frame(9, 8, b"survivor", content.len() as u64));
    let used = content.len() as u64 - FILE_HEADER_LEN;
    content.resize(content.len() + 2 * WINDOW as usize, 0);
    let file = file_with(&content);
    let mut reader = FrameReader::new(file, SALT).expect("memory");
    let survey = reader.survey(FILE_HEADER_LEN).expect("memory");
    assert_eq!(survey, Survey { frames: 1, durable_lsn: 8, bytes: used, ..Survey::default() });
    assert_eq!(reader.survey(FILE_HEADER_LEN + used).expect("memory"), Survey::default());
}

#[test]
fn a_survey_finds_what_the_log_noted() {
    let mut content = vec![0; FILE_HEADER_LEN as usize];
    content.extend([0xaa; 8]);
    let tail = Tail { last_lsn: 3, chain_crc: 0, hlc: 0 };
    let older = Anchor { generation: 4, digest: [4; 16] };
    let newer = Anchor { generation: 5, ..older };
    let (mut notes, mut places) = (Vec::new(), Vec::new());
    for control in [Control::Anchor(newer), Control::Anchor(older), Control::Mark] {
        notes.push(control);
        places.push(content.len());
        content.extend(control.encode(tail, 3, SALT, content.len() as u64));
    }
    let survey_of = |content: &[u8]| {
        let file = file_with(content);
        let mut reader = FrameReader::new(file, SALT).expect("memory");
        reader.survey(FILE_HEADER_LEN).expect("memory")
    };
    let survey = survey_of(&content);
    assert_eq!((survey.marked, survey.anchor, survey.frames), (true, Some(newer), 0));
    let without_mark = survey_of(&content[..places[2]]);
    assert_eq!((without_mark.marked, without_mark.anchor), (false, Some(newer)));
    content[places[0] + FRAME_HEADER_LEN] ^= 1;
    assert_eq!(survey_of(&content).anchor, Some(older), "a damaged note is none");
}

#[test]
fn regress_chroma_7510_torn_length_allocates_nothing() {
    // A header with a right sum that promises the largest payload in a tiny file.
    let header = FrameHeader {
        payload_len: crate::frame::PAYLOAD_BYTES_CEILING,
        kind: 1,
        control: false,
        first_lsn: 1,
        op_count: 1,
        payload_crc: 0,
        durable_lsn: 0,
        prev_payload_crc: 0,
        hlc: 0,
    };
    let mut content = Vec::new();
    header.encode(&vec![0; header.payload_len as usize], SALT, 0, &mut content);
    content.truncate(200);
    let file = file_with(&content);
    let mut reader = FrameReader::new(file, SALT).expect("memory");
    assert_eq!(reader.frame(0).expect("memory"), Err(FrameFault::Short));
    assert!(reader.window.capacity() <= 200);
}
