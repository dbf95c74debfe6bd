//! Sections copied into memory of our own: what was checked is what is used.

use std::path::Path;

use vectra_core::io::{Access, Fs};
use vectra_core::memory::HUGE_PAGE;
use vectra_tier::container::PAGE;
use vectra_tier::{Mode, PartHandle, SectionKind};

use crate::material::{PATH, file_of, holding, memory, overwrite, pattern, write_part};

#[test]
fn the_copy_is_owned_aligned_and_the_same() -> Result<(), Box<dyn std::error::Error>> {
    let lengths = [0, 1, 300, PAGE, PAGE + 1, HUGE_PAGE + 3 * PAGE + 77];
    let sections: Vec<_> =
        lengths.iter().zip(1..).map(|(len, kind)| (kind, 0, pattern(u64::from(kind), *len))).collect();
    let fs = memory();
    let part = write_part(&fs, Path::new(PATH), &sections);
    for mode in [Mode::Map, Mode::Read] {
        let handle = PartHandle::open(&*fs, Path::new(PATH), &part, mode)?;
        for (kind, field, bytes) in &sections {
            let section = handle.section(SectionKind(*kind), *field)?;
            let copy = section.owned_verified()?;
            assert!(copy.is_owned() && *copy == bytes[..]);
            assert_eq!(copy.as_ptr() as usize % 64, 0);
            assert_eq!(section.page_checks(), section.pages());
            assert_eq!(
                copy.as_ptr(),
                section.bytes().as_ptr(),
                "nothing is copied that is in memory already"
            );
        }
    }
    Ok(())
}

/// A real file, really mapped: the only place where bytes can change under a reader.
#[test]
fn what_changes_in_the_file_is_caught_before_and_kept_out_after() -> Result<(), Box<dyn std::error::Error>> {
    let content = pattern(1, HUGE_PAGE + 3 * PAGE + 5);
    let (bytes, part) = file_of(&[(1, 0, content.clone())]);
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("a.part");
    let fs: std::sync::Arc<dyn Fs> = std::sync::Arc::new(vectra_core::io::OsFs::new());
    let file = fs.create_new(&path)?;
    file.write_all_at(&bytes, 0)?;
    let section = PartHandle::open(&*fs, &path, &part, Mode::Map)?.section(SectionKind(1), 0)?;
    assert!(!section.bytes().is_owned(), "mapped");
    let copy = section.owned_verified()?;
    assert!(copy.is_owned() && (copy.as_ptr() as usize).is_multiple_of(HUGE_PAGE));
    let at = 4096 + 2 * PAGE + 9;
    file.write_all_at(&[!bytes[at]], at as u64)?;
    assert_eq!(section.bytes()[at - 4096], !bytes[at], "the map shows what the file has become");
    assert!(*copy == content[..], "the copy does not");
    // That the map was verified once is no reason to believe it now.
    let damage = section.owned_verified().err().and_then(|e| e.damage().cloned()).ok_or("not caught")?;
    assert_eq!((damage.offset, damage.length, damage.what), (4096 + 2 * PAGE as u64, PAGE as u64, "page"));
    Ok(())
}

#[test]
fn every_page_of_a_copy_is_checked() -> Result<(), Box<dyn std::error::Error>> {
    let (bytes, part) = file_of(&[(1, 0, pattern(2, 2 * PAGE + 40))]);
    for at in [0, PAGE - 1, PAGE, 2 * PAGE, 2 * PAGE + 39] {
        let fs = holding(&bytes);
        let handle = PartHandle::open(&*fs, Path::new(PATH), &part, Mode::Map)?;
        overwrite(&*fs, 4096 + at, &[!bytes[4096 + at]]);
        let damaged = handle.section(SectionKind(1), 0)?.owned_verified();
        let damage = damaged.err().and_then(|e| e.damage().cloned()).ok_or("not caught")?;
        assert_eq!(damage.offset, 4096 + (at / PAGE * PAGE) as u64);
    }
    Ok(())
}

/// Of a file longer than one huge page, its folder and its section, mapped.
fn mapped() -> (tempfile::TempDir, std::sync::Arc<PartHandle>, Vec<u8>) {
    let content = pattern(3, HUGE_PAGE + 5);
    let (bytes, part) = file_of(&[(1, 0, content.clone())]);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.part");
    let fs = vectra_core::io::OsFs::new();
    fs.create_new(&path).and_then(|file| file.write_all_at(&bytes, 0)).expect("space");
    let handle = PartHandle::open(&fs, &path, &part, Mode::Map).expect("own file");
    (dir, handle, content)
}

/// What the system says of the map of `handle`'s file: how many KiB of it are resident, if there is one.
#[cfg(target_os = "linux")]
#[allow(
    clippy::disallowed_methods,
    reason = "what the kernel tells of this process is in no file system of ours"
)]
fn resident_kib(handle: &PartHandle) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("the system tells");
    let path = handle.path().to_str().expect("a plain path").to_owned();
    let mut lines = maps.lines().skip_while(|line| !line.ends_with(&path));
    let resident = lines.find_map(|line| line.strip_prefix("Rss:"))?;
    resident.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(target_os = "linux")]
#[test]
fn a_copy_makes_nothing_of_the_map_resident_and_the_map_can_be_given_up() {
    let (_dir, handle, content) = mapped();
    assert_eq!(resident_kib(&handle), None, "nothing was asked for yet");
    let section = handle.section(SectionKind(1), 0).expect("there");
    let copy = section.owned_verified().expect("sound");
    assert_eq!(resident_kib(&handle), Some(0), "mapped but not touched");
    section.verified().expect("sound");
    assert!(resident_kib(&handle).is_some_and(|kib| kib >= 2048), "read through the map");
    handle.unmap();
    assert!(resident_kib(&handle).is_some(), "somebody holds a section");
    assert!(**section.bytes() == content[..]);
    drop(section);
    assert_eq!(resident_kib(&handle), None);
    assert!(*copy == content[..]);
    let again = handle.section(SectionKind(1), 0).expect("there");
    assert_eq!(again.page_checks(), 0, "it is verified anew");
    assert!(**again.verified().expect("sound") == content[..]);
}

#[test]
fn a_copy_of_a_file_that_was_cut_is_an_error_and_no_signal() {
    let (dir, handle, _) = mapped();
    let section = handle.section(SectionKind(1), 0).expect("there");
    let file = vectra_core::io::OsFs::new().open(&dir.path().join("a.part"), Access::ReadWrite);
    file.and_then(|file| file.set_len(4096 + 3 * PAGE as u64 + 10)).expect("own file");
    let damage = section.owned_verified().err().and_then(|e| e.damage().cloned()).expect("it is too short");
    assert_eq!((damage.offset, damage.what), (4096 + 3 * PAGE as u64, "page"));
}

#[test]
fn what_was_read_into_memory_is_not_given_up() {
    let fs = memory();
    let part = write_part(&fs, Path::new(PATH), &[(1, 0, pattern(6, 900))]);
    let handle = PartHandle::open(&*fs, Path::new(PATH), &part, Mode::Read).expect("own file");
    let before =
        handle.section(SectionKind(1), 0).and_then(|section| section.owned_verified()).expect("sound");
    handle.unmap();
    let after = handle.section(SectionKind(1), 0).expect("there");
    assert_eq!((before.as_ptr(), after.page_checks()), (after.bytes().as_ptr(), 1), "the same memory");
}
