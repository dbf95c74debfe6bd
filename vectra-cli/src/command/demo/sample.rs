//! The sample that is part of the program: see `sample/README.md`.

use std::io::Read;

use flate2::read::GzDecoder;
use vectra::{ElementKind, Item};

use crate::input;

const BASE: &[u8] = include_bytes!("../../../sample/base.f16.npy");
const QUERIES: &[u8] = include_bytes!("../../../sample/queries.f16.npy");
const METADATA: &[u8] = include_bytes!("../../../sample/metadata.jsonl.gz");

/// The sample, ready to be inserted and queried.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) dim: u32,
    pub(super) element: ElementKind,
    /// Ids are package names.
    pub(super) items: Vec<Item>,
    pub(super) queries: Vec<Vec<f32>>,
}

impl Sample {
    /// Unpacks the sample.
    pub(super) fn read() -> Result<Self, String> {
        let rows = input::npy_rows(BASE)?;
        let queries = input::npy_rows(QUERIES)?;
        let dim = rows.first().map_or(0, Vec::len) as u32;
        let mut text = String::new();
        GzDecoder::new(METADATA).read_to_string(&mut text).map_err(|e| e.to_string())?;
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() != rows.len() {
            return Err(format!("{} lines of metadata for {} rows", lines.len(), rows.len()));
        }
        let items = rows.into_iter().zip(lines).map(|(vector, line)| item(vector, line));
        Ok(Self { dim, element: ElementKind::F16, items: items.collect::<Result<_, _>>()?, queries })
    }
}

fn item(vector: Vec<f32>, line: &str) -> Result<Item, String> {
    let json: serde_json::Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let name = json["package"].as_str().ok_or("a row without a package name")?.to_owned();
    Item::new(name, vector).with_json(json).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_whole() {
        let sample = Sample::read().expect("readable");
        assert_eq!((sample.dim, sample.items.len(), sample.queries.len()), (384, 8000, 40));
        let lengths = sample.queries.iter().map(|q| q.iter().map(|x| x * x).sum::<f32>());
        assert!(lengths.into_iter().all(|n| (n - 1.0).abs() < 0.01));
    }
}
