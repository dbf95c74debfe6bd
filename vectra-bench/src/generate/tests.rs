use std::collections::BTreeMap;

use vectra_core::testing::oracle::Oracle;

use super::*;

const KINDS: [Kind; 4] = [Kind::Ood768, Kind::L2, Kind::Dot, Kind::Clustered128];

fn drawn(dim: usize, count: u64, draw: impl Fn(u64, &mut [f32])) -> Vec<Vec<f32>> {
    let one = |n| {
        let mut out = vec![0.0; dim];
        draw(n, &mut out);
        out
    };
    (0..count).map(one).collect()
}

/// The first rows of a set.
pub(super) fn rows(source: &dyn Source, count: u64) -> Vec<Vec<f32>> {
    drawn(source.dim(), count, |n, out| source.row(n, out))
}

/// The first queries of a set.
pub(super) fn queries(source: &dyn Source, count: u64) -> Vec<Vec<f32>> {
    drawn(source.dim(), count, |n, out| source.query(n, out))
}

fn args(kind: Kind, rows: u64, seed: u64, out: &Path) -> GenerateArgs {
    GenerateArgs { kind, rows, query_count: 7, seed, out: out.to_owned(), threads: Some(2) }
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let read = |path: PathBuf| std::fs::read(path).expect("a file");
    entries.map(|e| (e.file_name().into_string().expect("plain names"), read(e.path()))).collect()
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    for kind in KINDS {
        let made = |seed| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            generate(&args(kind, 150, seed, folder.path())).expect("room for a small set");
            files(folder.path())
        };
        let (once, other) = (made(1), made(2));
        assert_eq!(once, made(1), "{kind:?}");
        assert!(once.iter().all(|(name, bytes)| other[name] != *bytes), "{kind:?}");
        assert_eq!(once.contains_key("fields.jsonl"), kind == Kind::Ood768);
        assert!(!once.keys().any(|name| name.ends_with(".partial")), "{:?}", once.keys());
    }
}

#[test]
fn a_row_depends_on_its_number_and_not_on_how_many_there_are() {
    for kind in KINDS {
        let bytes = |rows| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let made = generate(&args(kind, rows, 5, folder.path())).expect("room for a small set");
            let mut base = Array::open(&made.base).expect("just written");
            base.vectors(0, 20).expect("there are more")
        };
        assert_eq!(bytes(20), bytes(33), "{kind:?}");
    }
}

#[test]
fn the_truth_is_that_of_the_stored_rows() {
    for kind in KINDS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = generate(&args(kind, 400, 3, folder.path())).expect("room for a small set");
        let read = |path: &Path| {
            let mut array = Array::open(path).expect("just written");
            (array.rows(), array.vectors(0, array.rows()).expect("floats"))
        };
        let ((rows, base), (asked, queries)) = (read(&made.base), read(&made.query_file));
        let mut truth = Array::open(&made.truth).expect("just written");
        assert_eq!((rows, asked, truth.rows(), truth.columns()), (400, 7, 7, NEIGHBOURS), "{kind:?}");
        let oracle = Oracle::new(&base, made.dim, kind.metric());
        for (n, query) in queries.chunks_exact(made.dim).enumerate() {
            let named = truth.integers(n, 1).expect("there");
            let naive = oracle.nearest(query, NEIGHBOURS, |_| true);
            assert!(named.iter().copied().eq(naive.iter().map(|exact| i64::from(exact.slot))), "{kind:?}");
        }
    }
}

#[test]
fn a_set_of_few_rows_names_them_all() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = generate(&args(Kind::L2, 3, 1, folder.path())).expect("room for a small set");
    assert_eq!(Array::open(&made.truth).expect("just written").columns(), 3);
    assert!(made.to_string().starts_with("3 rows and 7 queries of 128 components, metric l2\n"), "{made}");
}

#[test]
fn more_rows_than_numbers_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = generate(&args(Kind::Dot, 1 << 31, 1, folder.path())).expect_err("too many");
    assert!(refused.to_string().contains("at most 2147483647"), "{refused}");
    assert!(files(folder.path()).is_empty(), "nothing was begun");
}
