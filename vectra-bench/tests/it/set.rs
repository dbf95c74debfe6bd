//! A small set of vectors on disk, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const ROWS: usize = 500;
pub(crate) const QUERIES: usize = 60;
pub(crate) const DIM: usize = 8;
const K: usize = 10;

/// The files of a set in a folder that goes away with it.
pub(crate) struct Set {
    folder: TempDir,
    pub(crate) metric: &'static str,
}

impl Set {
    /// Uniform vectors (the same every time) with their true neighbours under `metric`, `l2` or `cosine`.
    pub(crate) fn new(metric: &'static str) -> Self {
        let set = Self { folder: tempfile::tempdir().expect("a temporary folder"), metric };
        let mut state = 1_u64;
        let mut draw = |count: usize| -> Vec<f32> { (0..count * DIM).map(|_| uniform(&mut state)).collect() };
        let (base, queries) = (draw(ROWS), draw(QUERIES));
        let truth: Vec<i32> =
            queries.chunks_exact(DIM).flat_map(|query| nearest(metric, &base, query)).collect();
        set.write("base.npy", "<f4", ROWS, DIM, &bytes(&base, f32::to_le_bytes));
        set.write("queries.npy", "<f4", QUERIES, DIM, &bytes(&queries, f32::to_le_bytes));
        set.write("truth.npy", "<i4", QUERIES, K, &bytes(&truth, i32::to_le_bytes));
        set
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, descr: &str, rows: usize, columns: usize, data: &[u8]) {
        let fields =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((fields.len() as u16).to_le_bytes());
        file.extend(fields.as_bytes());
        file.extend(data);
        std::fs::write(self.path(name), file).expect("the folder is writable");
    }

    /// Runs `ann` on the set; `more` follows the arguments that every run has.
    pub(crate) fn run(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vectra-bench"));
        command.args(["ann", "--metric", self.metric, "--k", "10"]);
        for (name, file) in [("--index", "index"), ("--queries", "queries.npy"), ("--truth", "truth.npy")] {
            command.arg(name).arg(self.path(file));
        }
        command.args(more).output().expect("the program starts")
    }

    /// Runs `ann` with `--json`, which has to succeed, and returns the report and what was printed.
    pub(crate) fn report(&self, more: &[&str]) -> (Value, String) {
        let json = self.path("report.json");
        let output = self.run(&[more, &["--json", text(&json)]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert_eq!(errors, "", "progress is for terminals");
        let report = std::fs::read(&json).expect("the report was written");
        let report = serde_json::from_slice(&report).expect("it is JSON");
        (report, String::from_utf8(output.stdout).expect("the table is text"))
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

fn bytes<T: Copy>(values: &[T], encode: impl Fn(T) -> [u8; 4]) -> Vec<u8> {
    values.iter().flat_map(|value| encode(*value)).collect()
}

/// Uniform in [-1, 1), from Knuth's MMIX generator.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
}

fn nearest(metric: &str, base: &[f32], query: &[f32]) -> Vec<i32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let distance = |row: &[f32]| match metric {
        "cosine" => -dot(row, query) / dot(row, row).sqrt(),
        _ => dot(row, row) - 2.0 * dot(row, query),
    };
    let mut rows: Vec<(f64, i32)> = base.chunks_exact(DIM).map(distance).zip(0..).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows[..K].iter().map(|(_, row)| *row).collect()
}
