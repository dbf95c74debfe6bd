//! Files that were made to hurt: what they did to others they do not do here. Every sum in them is right.

use std::sync::Arc;

use vectra::{Error, ErrorKind, Hit, ItemId, Value};
use vectra_core::codec::{Writer, encode_value};

use crate::forge::{Folder, ForgedPart, Outcome, ROOT, Road, Sandbox, VECTOR, exercise, large, log, small};

// Roles of parts and kinds of sections, as docs/format.md has them.
const ROWS: u8 = 1;
const META: u8 = 2;
const INDEX: u8 = 3;
const DELETES: u8 = 4;
const OVERLAY: u8 = 5;
const ID_OFFSETS: u16 = 2;
const ID_ORDER: u16 = 3;
const VECTORS: u16 = 6;
const INVERSE_NORMS: u16 = 7;
const META_ROWS: u16 = 16;
const META_INDEXES: u16 = 18;
const CODES: u16 = 33;
const GRAPH: u16 = 34;
const TOMBSTONES: u16 = 48;
const OVERLAY_SECTION: u16 = 49;

/// `folder` with its largest part of a role changed.
fn forged(folder: &Folder, role: u8, forge: impl FnOnce(&mut ForgedPart)) -> Folder {
    let mut forged = folder.clone();
    let name = folder.part(role);
    forged.forge_part(&name, |part| {
        forge(part);
        part.repair_inner_sums();
    });
    forged
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Uses it in every way (a large one is only read, merging it takes long); nothing happens that never may.
fn survives(folder: &Folder, what: &str) -> Outcome {
    let road = if folder.bytes() < 400_000 { Road::Write } else { Road::Read };
    let outcome = exercise(folder, road);
    assert_eq!(outcome.broken, None, "{what}");
    outcome
}

/// It is not opened, and verify says why.
fn refused(folder: &Folder, what: &str) {
    let outcome = survives(folder, what);
    assert!(outcome.noticed && !outcome.opened, "{what}: {outcome:?}");
    assert!(outcome.errors.iter().all(|kind| *kind == ErrorKind::Corrupt), "{what}: {outcome:?}");
}

/// The nearest ten, exactly and as usual.
fn answers(folder: &Folder) -> Result<[Vec<Hit>; 2], Error> {
    let index = Sandbox::on(Arc::new(folder.to_fs()), 3).builder().open(ROOT)?;
    let exact = index.query(&VECTOR).top_k(10).exact().run()?;
    Ok([exact, index.query(&VECTOR).top_k(10).run()?])
}

/// An intact index with the distances of all its items, nearest first.
struct Genuine {
    folder: Folder,
    all: Vec<Hit>,
}

impl Genuine {
    fn new(folder: Folder) -> Self {
        let index = Sandbox::on(Arc::new(folder.to_fs()), 3).builder().open(ROOT).expect("intact");
        let all = index.query(&VECTOR).top_k(5000).exact().run().expect("intact");
        Self { folder, all }
    }

    /// The derived part may be as wrong as it likes: exact answers stay, and no distance is made up.
    fn is_answered_by(&self, forged: &Folder, what: &str) {
        if self.all.len() < 100 {
            survives(forged, what);
        }
        let [exact, near] = answers(forged).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(exact, self.all[..10], "{what}");
        for hit in near {
            assert!(self.all.contains(&hit), "{what}: {hit:?} is made up");
        }
    }
}

/// hnswlib sized its memory by one count of the file and filled it by another (a write beyond the heap block).
#[test]
fn regress_hnswlib_673_counts_of_a_graph() {
    let genuine = Genuine::new(large());
    for at in [12, 16, 20, 28, 40, 64, 68, 120] {
        for value in [0, 1059, 1061, u32::MAX] {
            let forged = forged(&genuine.folder, INDEX, |part| put(part.section(GRAPH), at, value));
            genuine.is_answered_by(&forged, &format!("{value} at byte {at} of the graph's header"));
        }
    }
}

/// usearch followed links, and FAISS walked graphs, to nodes that are not there (reads outside the memory).
#[test]
fn regress_usearch_776_links_that_lead_nowhere() {
    let genuine = Genuine::new(large());
    for value in [1060, 1061, 0x7fff_ffff, 0xffff_fffe, 0] {
        let everywhere = forged(&genuine.folder, INDEX, |part| {
            let graph = part.section(GRAPH);
            (128..graph.len()).step_by(4).for_each(|at| put(graph, at, value));
        });
        genuine.is_answered_by(&everywhere, &format!("every link leads to {value}"));
        if value == 1060 {
            survives(&everywhere, "every link leads to the row behind the last");
        }
    }
}

/// chroma believed rows and columns of an index file that its own settings contradicted.
#[test]
fn regress_chroma_7002_codes_of_other_rows_or_columns() {
    let genuine = Genuine::new(large());
    // Rows and stride of the codes, in step with the section's length and with the part's header.
    for rows in [0_u32, 1, 1059, 1061] {
        let codes = |part: &mut ForgedPart| {
            let codes = part.section(CODES);
            put(codes, 16, rows);
            codes.resize(64 + 64 * rows as usize, 1);
            put(&mut part.header, 48, rows);
        };
        let alone = forged(&genuine.folder, INDEX, |part| {
            codes(part);
            part.sections.retain(|section| section.kind() != GRAPH);
        });
        genuine.is_answered_by(&alone, &format!("codes of {rows} rows"));
    }
    for (at, value) in [(8, 1), (8, 64), (8, 65_536), (12, 0), (12, 128), (12, u32::MAX)] {
        let other = forged(&genuine.folder, INDEX, |part| put(part.section(CODES), at, value));
        genuine.is_answered_by(&other, &format!("{value} at byte {at} of the codes"));
    }
}

/// FAISS took memory by counts that nothing had been compared with.
#[test]
fn regress_faiss_5400_counts_without_content() {
    let genuine = small();
    for count in [u32::MAX, 0x7fff_ffff, 1 << 24] {
        for (role, kind, at) in [
            (DELETES, TOMBSTONES, 0),
            (OVERLAY, OVERLAY_SECTION, 0),
            (META, META_ROWS, 8),
            (META, META_ROWS, 4),
        ] {
            let forged = forged(&genuine, role, |part| put(part.section(kind), at, count));
            refused(&forged, &format!("{count} at byte {at} of section {kind}"));
        }
        let indexes = forged(&genuine, META, |part| put(part.section(META_INDEXES), 2, count));
        refused(&indexes, &format!("{count} fields"));
    }
}

/// FAISS added up the sizes of its lists and read where the sum pointed, behind the end of the file.
#[test]
fn regress_faiss_5312_offsets_behind_the_end() {
    let genuine = small();
    for value in [1 << 20, u32::MAX, 0x8000_0000] {
        // Every id but the first begins far behind the last.
        let ids = forged(&genuine, ROWS, |part| {
            let offsets = part.section(ID_OFFSETS);
            (4..offsets.len()).step_by(4).for_each(|at| put(offsets, at, value));
        });
        assert!(survives(&ids, "offsets of ids").noticed);
        let order = forged(&genuine, ROWS, |part| {
            let order = part.section(ID_ORDER);
            (0..order.len()).step_by(4).for_each(|at| put(order, at, value));
        });
        assert!(survives(&order, "order of ids").noticed);
        assert_eq!(answers(&ids).expect_err("no id can be read").kind(), ErrorKind::Corrupt);
        for at in [16, 20, 24] {
            let blocks = forged(&genuine, META, |part| put(part.section(META_ROWS), at, value));
            refused(&blocks, &format!("{value} at byte {at} of the directory of blocks"));
        }
    }
}

/// FAISS multiplied rows by their size without a look at the overflow, and the product fitted the little that was there.
#[test]
fn regress_faiss_5313_rows_times_size_wraps() {
    let genuine = Genuine::new(small());
    for rows in [1 << 28, 1 << 30, 1 << 31, u32::MAX, u32::MAX - 1] {
        for role in [ROWS, META] {
            let forged = forged(&genuine.folder, role, |part| put(&mut part.header, 48, rows));
            refused(&forged, &format!("{rows} rows in part {role}"));
        }
        for (kind, at) in [(CODES, 16), (GRAPH, 12)] {
            let forged = forged(&genuine.folder, INDEX, |part| {
                put(part.section(kind), at, rows);
                put(&mut part.header, 48, rows);
            });
            genuine.is_answered_by(&forged, &format!("{rows} rows in section {kind}"));
        }
    }
}

/// FAISS read one count from two places and reconciled them nowhere.
#[test]
fn regress_faiss_5485_one_count_in_two_places() {
    let genuine = small();
    for role in [ROWS, META] {
        for change in [-1_i32, 1] {
            let forged = forged(&genuine, role, |part| {
                let rows = u32::from_le_bytes(part.header[48..52].try_into().expect("four bytes"));
                put(&mut part.header, 48, rows.wrapping_add_signed(change));
            });
            refused(&forged, &format!("part {role} of {change} more rows"));
        }
    }
    // What the manifest says of tombstones, against what the part says.
    let none = forged(&genuine, DELETES, |part| *part.section(TOMBSTONES) = vec![0; 4]);
    refused(&none, "tombstones that name nobody");
}

/// One torn length in chroma's files made one of them grow until the host went down.
#[test]
fn regress_chroma_7510_a_length_that_makes_files_grow() {
    let genuine = small();
    let intact = survives(&genuine, "nothing is wrong").grown;
    for name in genuine.names("wal/") {
        for (frame, _) in log::frames(&genuine.files[&name]) {
            for len in [u32::MAX, 256 << 20, 1 << 20, 0] {
                let mut forged = genuine.clone();
                forged.forge_log(&name, |file| put(file, frame + 8, len));
                let grown = survives(&forged, "length of a payload").grown;
                assert!(grown <= 2 * intact + (1 << 20), "{grown} bytes more on disk, {intact} otherwise");
            }
        }
        for at in [64, 72, 80, 96, 104] {
            let mut forged = genuine.clone();
            forged.forge_log(&name, |file| put(file, at + 4, 1 << 8));
            let grown = survives(&forged, "header of the log").grown;
            assert!(grown <= 2 * intact + (1 << 20), "{grown} bytes more on disk, {intact} otherwise");
        }
    }
}

/// `RuVector` panicked on comparisons with NaN, in queries and in what it had stored.
#[test]
fn regress_ruvector_931_not_a_number() {
    for (genuine, values) in
        [(small(), &[f32::NAN, f32::NEG_INFINITY, f32::MAX][..]), (large(), &[f32::NAN][..])]
    {
        for value in values.iter().copied() {
            for (role, kind) in [(ROWS, VECTORS), (ROWS, INVERSE_NORMS), (INDEX, CODES)] {
                let header = if kind == CODES { 64 } else { 0 };
                let forged = forged(&genuine, role, |part| {
                    let bytes = part.section(kind);
                    for at in (header..bytes.len()).step_by(8) {
                        put(bytes, at, value.to_bits());
                    }
                });
                let outcome = survives(&forged, &format!("{value} in section {kind}"));
                assert!(
                    outcome.noticed || role == INDEX || value.to_bits() == f32::MAX.to_bits(),
                    "{value} in section {kind}"
                );
            }
        }
        let index = Sandbox::on(Arc::new(genuine.to_fs()), 3).builder().open(ROOT).expect("intact");
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = index.query(&[0.5, value, 0.0, 1.0]).run().expect_err("no number");
            assert_eq!(refused.kind(), ErrorKind::Invalid);
            let refused = index.upsert_item(vectra::Item::new(1_u64, [value; 4])).expect_err("no number");
            assert_eq!(refused.kind(), ErrorKind::Invalid);
        }
    }
}

/// weaviate asked for memory by an absurd length in its log and died at every start.
#[test]
fn regress_weaviate_1698_an_absurd_length() {
    let genuine = small();
    let name = genuine.names("wal/").into_iter().find(|name| !log::frames(&genuine.files[name]).is_empty());
    let name = name.expect("rows are in the log");
    for (frame, len) in log::frames(&genuine.files[&name]) {
        // Each byte of the payload as the first of a length that never ends.
        for at in (0..len.saturating_sub(10)).step_by(3) {
            let mut forged = genuine.clone();
            forged.forge_log(&name, |file| {
                file[frame + 56 + at..][..9].fill(0xff);
                file[frame + 56 + at + 9] = 1;
            });
            survives(&forged, &format!("a length of 2^64 at byte {at} of the frame at {frame}"));
        }
    }
    for name in genuine.names("manifest/") {
        for at in (8..genuine.files[&name].len() - 30).step_by(7) {
            let mut forged = genuine.clone();
            forged.forge_manifest(&name, |body| {
                body[at..at + 9].fill(0xff);
                body[at + 9] = 1;
            });
            survives(&forged, &format!("a length of 2^64 at byte {at} of {name}"));
        }
    }
}

/// An order of ids that is none: pages that come back to where they began would never end.
#[test]
fn pages_of_a_forged_order_come_to_an_end() {
    let genuine = small();
    for shift in 1..8 {
        let rotated = forged(&genuine, ROWS, |part| part.section(ID_ORDER).rotate_left(4 * shift));
        assert!(survives(&rotated, &format!("the order of ids begins {shift} later")).noticed);
        let repeated = forged(&genuine, ROWS, |part| {
            let order = part.section(ID_ORDER);
            let first = order[..4].to_vec();
            order.chunks_exact_mut(4).for_each(|slot| slot.copy_from_slice(&first));
        });
        assert!(survives(&repeated, "an order that names one row only").noticed);
    }
}

/// An overlay from the future would hide every update that is still to come.
#[test]
fn an_overlay_beyond_the_log_hides_no_update() {
    let genuine = small();
    let mut out = Writer::new();
    out.u32(1).u32(0).u64(u64::MAX - 1);
    encode_value(&Value::Null, &mut out);
    let overlay = forged(&genuine, OVERLAY, |part| *part.section(OVERLAY_SECTION) = out.into_bytes());
    refused(&overlay, "an overlay of an LSN that is still far away");
}

/// Numbers that leave no room for the next one are refused before anybody counts on.
#[test]
fn numbers_at_the_end_of_their_range_are_refused() {
    let genuine = small();
    let (newest, bytes) =
        genuine.files.range("manifest/".to_owned().."seg/".to_owned()).next_back().expect("two");
    let (mut met, mut tried) = (0, 0);
    for at in (8..bytes.len() - 24).step_by(3) {
        let mut forged = genuine.clone();
        forged.forge_manifest(newest, |body| body[at..at + 8].fill(0xff));
        met += u64::from(survives(&forged, &format!("the largest number at byte {at}")).noticed);
        tried += 1;
    }
    assert!(met > tried / 2, "{met} of {tried}");
}

/// Ids of a key are found again: what the tests above call intact is.
#[test]
fn what_is_not_forged_is_answered() {
    let outcome = survives(&small(), "nothing is wrong");
    // Among the writes are an insert of what is there and updates of what is gone.
    assert!(outcome.opened && !outcome.noticed, "{outcome:?}");
    let refused = |kind: &ErrorKind| matches!(kind, ErrorKind::Conflict | ErrorKind::NotFound);
    assert!(outcome.errors.iter().all(refused), "{outcome:?}");
    let [exact, near] = answers(&small()).expect("intact");
    assert_eq!((exact.len(), near.len()), (10, 10));
    assert!(exact.iter().all(|hit| hit.id != ItemId::from(4_u64)), "it was deleted");
}
