//! Forging: real indexes taken apart, changed, and put together again so that every checksum is right.

mod exercise;
mod folder;
pub(crate) mod golden;
mod guard;
pub(crate) mod log;
mod material;
mod mutate;
mod part;

pub(crate) use exercise::{Outcome, Road, exercise};
pub(crate) use folder::{Folder, ROOT, writable};
pub(crate) use guard::Guarded;
pub(crate) use material::{Sandbox, VECTOR, large, minimal, small};
pub(crate) use mutate::mutate;
pub(crate) use part::ForgedPart;

/// Folders put together again without a change are the same to the byte: what is forged differs only where it should.
#[test]
fn repairing_what_is_intact_changes_nothing() {
    for folder in [small(), minimal()] {
        let mut same = folder.clone();
        for name in folder.names("seg/") {
            same.forge_part(&name, part::ForgedPart::repair_inner_sums);
        }
        for name in folder.names("manifest/") {
            same.forge_manifest(&name, |_| {});
        }
        for name in folder.names("wal/") {
            same.forge_log(&name, |_| {});
        }
        for (name, bytes) in &folder.files {
            let place = same.files[name].iter().zip(bytes).position(|(a, b)| a != b);
            assert_eq!((place, same.files[name].len()), (None, bytes.len()), "{name}");
        }
    }
}

/// A change in any kind of file passes every checksum: what is refused afterwards is refused for what it says.
#[test]
fn what_is_forged_passes_the_sums() {
    let mut folder = small();
    let rows = folder.part(1);
    folder.forge_part(&rows, |part| part.section(6)[0] ^= 1);
    let holds_frames = |name: &String| !log::frames(&folder.files[name]).is_empty();
    let wal = folder.names("wal/").into_iter().rfind(holds_frames).expect("a log");
    folder.forge_log(&wal, |file| {
        // The first byte of the vector of an item, or of its metadata.
        let (at, len) = log::frames(file)[0];
        file[at + 56 + len - 1] ^= 1;
    });
    let sandbox = Sandbox::on(std::sync::Arc::new(folder.to_fs()), 1);
    let index = sandbox.builder().open(ROOT).expect("every sum is right");
    assert_ne!(Folder::read(&small().to_fs()), folder);
    drop(index);
}
