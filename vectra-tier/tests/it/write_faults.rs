//! A disk that fails while a part is written or published.

use std::path::Path;
use std::sync::Arc;

use vectra_core::env::SeededRng;
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_tier::container::{WriteError, Writer};
use vectra_tier::{LocalStore, Mode, PartRef, PartStore, Role, SectionKind, StoreError};

use crate::material::{PATH, header, pattern, small};
use crate::probe::Probe;

fn write(fs: &Arc<dyn Fs>) -> Result<PartRef, WriteError> {
    let mut writer = Writer::create(fs, Path::new(PATH), header())?;
    for (kind, field, bytes) in small() {
        writer.section(SectionKind(kind), field, &bytes)?;
    }
    writer.finish()
}

#[test]
fn whichever_write_fails_there_is_no_reference() {
    let mut failed = 0;
    for left in 0.. {
        let probe = Probe::default();
        probe.limit_changes(Some(left));
        let fs: Arc<dyn Fs> = Arc::new(probe.clone());
        match write(&fs) {
            Err(WriteError::Io { file, source }) => {
                assert_eq!((&*file, source.kind()), (Path::new(PATH), std::io::ErrorKind::StorageFull));
                failed += 1;
            }
            Err(other) => panic!("{other}"),
            Ok(_) => break,
        }
    }
    assert_eq!(failed, 5, "header, two pages with their padding, footer, sync");
}

#[test]
fn a_writer_that_failed_stays_failed_and_removes_its_file() {
    let probe = Probe::default();
    let fs: Arc<dyn Fs> = Arc::new(probe.clone());
    let mut writer = Writer::create(&fs, Path::new(PATH), header()).expect("free");
    probe.limit_changes(Some(0));
    assert!(matches!(writer.section(SectionKind(1), 0, &pattern(1, 100_000)), Err(WriteError::Io { .. })));
    probe.limit_changes(None);
    writer.begin(SectionKind(1), 0);
    assert!(matches!(writer.write(&[1]), Err(WriteError::Failed { .. })));
    assert!(matches!(writer.end(), Err(WriteError::Failed { .. })));
    assert!(fs.exists(Path::new(PATH)).expect("memory does not fail"));
    assert!(matches!(writer.finish(), Err(WriteError::Failed { .. })));
    assert!(!fs.exists(Path::new(PATH)).expect("memory does not fail"));
}

#[test]
fn a_path_that_is_taken_is_refused_and_left_alone() {
    let fs = crate::material::holding(b"precious");
    assert!(matches!(write(&fs), Err(WriteError::Io { .. })));
    assert_eq!(fs.read(Path::new(PATH), 100).expect("still there"), b"precious");
}

#[test]
#[should_panic(expected = "written twice")]
fn a_section_written_twice_is_a_bug() {
    let fs = crate::material::memory();
    let mut writer = Writer::create(&fs, Path::new(PATH), header()).expect("free");
    writer.section(SectionKind(1), 0, &[]).expect("memory does not fail");
    writer.begin(SectionKind(1), 0);
}

#[test]
fn a_failed_publish_says_so_and_a_failed_clean_up_does_not() {
    let probe = Probe::default();
    let fs: Arc<dyn Fs> = Arc::new(probe.clone());
    let store = LocalStore::new(fs, Path::new("/"), Arc::new(SeededRng::new(1)), Mode::Read);
    store.prepare().expect("memory does not fail");
    let parts: Vec<PartRef> = (0..3)
        .map(|_| store.writer(Role::Meta, 0, 0).expect("free").finish().expect("memory does not fail"))
        .collect();
    probe.limit_changes(Some(0));
    assert!(matches!(store.publish(&parts[0]), Err(StoreError::Io { action: "publish", .. })));
    assert_eq!(store.list().expect("memory does not fail").parts, []);
    probe.limit_changes(Some(1));
    assert!(matches!(store.publish(&parts[1]), Err(StoreError::Io { action: "sync", .. })));
    probe.limit_changes(Some(2));
    store.publish(&parts[2]).expect("linked and synced; only the old name could not be removed");
    probe.limit_changes(None);
    assert_eq!(store.clear_tmp().expect("memory does not fail"), 3, "each of the three old names");
    store.open(&parts[2]).expect("published").verify().expect("whole");
}

#[test]
fn a_full_disk_refuses_a_part_and_gives_the_space_back() {
    let disk = SimFs::new(1, CrashModel::Ext4Ordered);
    let fs: Arc<dyn Fs> = Arc::new(disk.clone());
    let store = LocalStore::new(fs, Path::new("/"), Arc::new(SeededRng::new(1)), Mode::Read);
    store.prepare().expect("there is space");
    let write = |len: usize| -> Result<PartRef, WriteError> {
        let mut writer = store.writer(Role::Rows, 0, 0)?;
        writer.section(SectionKind(1), 0, &pattern(7, len))?;
        writer.finish()
    };
    let kept = write(10_000).expect("there is space");
    store.publish(&kept).expect("a name takes no space");
    disk.quota(200_000);
    for _ in 0..5 {
        let Err(WriteError::Io { source, .. }) = write(300_000) else { panic!("the disk is too small") };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    }
    let small = write(100_000).expect("what failed took no space for good");
    store.publish(&small).expect("a name takes no space");
    for part in [kept, small] {
        store.open(&part).expect("published").verify().expect("whole");
    }
}
