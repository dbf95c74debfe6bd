//! Memory, blobs and mapped files: alignment, slicing, lifetime.

use std::path::Path;

use proptest::prelude::*;
use vectra_core::io::{Access, Blob, Fs, MemFs, OsFs};
use vectra_core::memory::{AlignedBuf, HUGE_PAGE, LINE};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn every_small_length_is_aligned_and_kept() {
    let mut live = Vec::new();
    for len in (0..=2 * LINE + 1).chain([1000, 4095, 4096, 4097, 100_000]) {
        let source = pattern(len);
        let buf = AlignedBuf::from_slice(&source);
        assert_eq!(buf.as_ptr() as usize % LINE, 0, "{len}");
        assert_eq!((buf.len(), &buf[..], buf.as_ref()), (len, &source[..], &source[..]));
        live.push((buf, source));
    }
    // All at once: none lies over another.
    for (buf, source) in &live {
        assert_eq!(&buf[..], &source[..]);
    }
}

#[test]
fn lengths_around_a_huge_page_are_zero_to_the_end() {
    for len in [HUGE_PAGE - LINE, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, 2 * HUGE_PAGE] {
        let mut buf = AlignedBuf::zeroed(len);
        assert!(buf.iter().rev().take(5000).all(|byte| *byte == 0), "{len}");
        buf.fill(0xa5);
        assert!(buf.iter().all(|byte| *byte == 0xa5), "{len}");
    }
}

#[test]
fn values_are_seen_in_place_and_only_where_they_fit() {
    for (len, u16s, u32s, f64s) in [(0, true, true, true), (6, true, false, false), (7, false, false, false)]
    {
        let buf = AlignedBuf::zeroed(len);
        assert_eq!(buf.as_pod::<u16>().is_some(), u16s, "{len}");
        assert_eq!(buf.as_pod::<u32>().is_some(), u32s, "{len}");
        assert_eq!(buf.as_pod::<f64>().is_some(), f64s, "{len}");
    }
    let mut buf = AlignedBuf::zeroed(24);
    buf.as_pod_mut::<f64>().expect("three of them")[2] = -1.5;
    assert_eq!(buf[16..], (-1.5_f64).to_ne_bytes());
}

proptest! {
    #[test]
    fn slices_of_slices_are_the_bytes_between(
        len in 0..300_usize, cuts in prop::collection::vec((0..310_usize, 0..310_usize), 1..5)
    ) {
        let source = pattern(len);
        let mut blob = Blob::copy_of(&source);
        let mut expected = &source[..];
        for (start, end) in cuts {
            let cut = blob.slice(start..end);
            let valid = start <= end && end <= expected.len();
            prop_assert_eq!(cut.is_some(), valid, "{}..{} of {}", start, end, expected.len());
            if let Some(cut) = cut {
                expected = &expected[start..end];
                blob = cut;
            }
            prop_assert_eq!(&*blob, expected);
        }
        let aligned = (blob.as_ptr() as usize).is_multiple_of(4);
        prop_assert_eq!(blob.as_pod::<u32>().is_some(), aligned && blob.len().is_multiple_of(4));
        prop_assert_eq!(&*blob.to_owned_memory(), expected);
    }
}

#[test]
fn slices_share_the_memory_and_keep_it_alive() {
    let blob = Blob::copy_of(&pattern(1000));
    let (clone, slice) = (blob.clone(), blob.slice(64..128).expect("inside"));
    assert_eq!(clone.as_ptr(), blob.as_ptr());
    assert_eq!(slice.as_ptr(), blob[64..].as_ptr());
    assert_eq!(slice.to_owned_memory().as_ptr(), slice.as_ptr(), "owned memory is not copied");
    let at = slice.as_ptr();
    drop((blob, clone));
    assert_eq!((slice.as_ptr(), &*slice), (at, &pattern(1000)[64..128]));
    assert!(
        slice.slice(1..1).expect("empty").as_pod::<u32>().is_none(),
        "alignment counts without bytes, too"
    );
    assert!(slice.slice(64..64).expect("the empty end").is_empty());
    assert!(Blob::default().is_empty() && Blob::default().slice(0..1).is_none());
    #[allow(clippy::reversed_empty_ranges, reason = "a range the wrong way round is the case in question")]
    let reversed = slice.slice(5..4);
    assert!(reversed.is_none());
    assert!(slice.slice(0..usize::MAX).is_none() && slice.slice(usize::MAX..usize::MAX).is_none());
}

/// Files of many lengths, mapped or read by any file system, are their content, aligned.
fn maps_are_the_content(fs: &dyn Fs, dir: &Path) {
    for len in [0, 1, 63, 64, 4095, 4096, 4097, 70_000] {
        let path = dir.join(format!("file-{len}"));
        let source = pattern(len);
        let file = fs.create_new(&path).expect("a new name");
        file.write_all_at(&source, 0).expect("space");
        file.sync_all().expect("synced");
        let file = fs.open(&path, Access::Read).expect("it is there");
        let blob = file.map().expect("mapped or read");
        assert_eq!(&*blob, &source[..], "{len}");
        assert_eq!(blob.as_ptr() as usize % LINE, 0, "{len}");
        drop(file);
        fs.remove(&path).expect("it is there");
        let middle = len / 3..len - len / 4;
        let slice = blob.slice(middle.clone()).expect("inside");
        drop(blob);
        assert_eq!(&*slice, &source[middle], "{len}: a slice outlives the whole, the file and its name");
        let owned = slice.to_owned_memory();
        assert!(owned.is_owned() && *owned == *slice);
    }
}

#[test]
fn maps_of_any_file_system_are_the_content() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    maps_are_the_content(&OsFs::new(), dir.path());
    maps_are_the_content(&MemFs::new(), Path::new("/"));
}

#[test]
fn a_map_in_memory_is_a_picture_of_its_moment() {
    let fs = MemFs::new();
    let file = fs.create_new(Path::new("a")).expect("a new name");
    file.write_all_at(b"before", 0).expect("space");
    let blob = file.map().expect("in memory");
    file.write_all_at(b"after!", 0).expect("space");
    file.set_len(1).expect("shorter");
    assert_eq!(&*blob, b"before");
    assert!(blob.is_owned());
}
