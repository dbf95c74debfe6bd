//! Sections copied into memory of our own: what was checked is what is used.

use std::path::Path;

use vectra_core::io::Fs;
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
