//! An index compared with its model, by every road a reader can take.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use vectra::{Error, ErrorKind, Hit, Item, Metric, Snapshot, mongo};
use vectra_core::testing::oracle::Dice;

use super::{DIM, Model, id, version_of};

/// Where the index lives on the simulated disk.
pub(crate) fn index_dir() -> &'static Path {
    Path::new("/index")
}

/// A model after an operation, or the kind of its refusal.
pub(crate) type Outcome = Result<Model, ErrorKind>;

/// Why a run does not go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The engine refused; fine if the world gave it a reason.
    Engine(Error),
    /// The engine answered, and wrongly: never fine.
    Wrong(String),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => write!(f, "the engine failed: {error:?}"),
            Self::Wrong(text) => f.write_str(text),
        }
    }
}

fn wrong<T>(text: String) -> Result<T, Broken> {
    Err(Broken::Wrong(text))
}

/// Everything a snapshot lists, page by page.
pub(crate) fn collect(snapshot: &Snapshot) -> Result<Model, Broken> {
    let mut found: Vec<Item> = Vec::new();
    let mut after = None;
    loop {
        let page = snapshot.list_items(after.as_ref(), 7)?;
        found.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if !found.is_sorted_by(|a, b| a.id < b.id) {
        return wrong("the pages are not in ascending order of ids".to_owned());
    }
    Ok(found.into_iter().map(|item| (item.id.clone(), Arc::new(item))).collect())
}

/// Counts, pages and single look-ups against the model.
pub(crate) fn check_items(snapshot: &Snapshot, model: &Model) -> Result<(), Broken> {
    if snapshot.len() != model.len() as u64 {
        return wrong(format!("len() is {}, the model has {}", snapshot.len(), model.len()));
    }
    let found = collect(snapshot)?;
    if found != *model {
        return wrong(format!("the pages differ from the model: {found:?} against {model:?}"));
    }
    for key in 0..48 {
        let got = snapshot.get_item(id(key))?;
        if got.as_ref() != model.get(&id(key)).map(|item| &**item) {
            return wrong(format!("get_item({}) is {got:?}, not {:?}", id(key), model.get(&id(key))));
        }
    }
    Ok(())
}

/// Filters with what they mean, said again in Rust.
type Filter = (&'static str, fn(&Item) -> bool);

fn tag(item: &Item) -> Option<&str> {
    item.metadata.get("tag").and_then(|value| value.as_str())
}

const FILTERS: [Filter; 4] = [
    (r#"{"tag": "red"}"#, |item| tag(item) == Some("red")),
    (r#"{"tag": {"$ne": "red"}}"#, |item| tag(item) != Some("red")),
    (r#"{"n": {"$gte": 9}}"#, |item| version_of(&item.metadata).is_some_and(|n| n >= 9)),
    (r#"{"tag": {"$in": ["blue", "green"]}, "n": {"$lt": 14}}"#, |item| {
        matches!(tag(item), Some("blue" | "green")) && version_of(&item.metadata).is_some_and(|n| n < 14)
    }),
];

/// Queries of all kinds against a look at everything.
pub(crate) fn check_queries(
    snapshot: &Snapshot,
    model: &Model,
    metric: Metric,
    seed: u64,
) -> Result<(), Broken> {
    let mut dice = Dice::new(seed);
    for k in [1, 4, 60] {
        let query: Vec<f32> = (0..DIM).map(|_| dice.uniform()).collect();
        let all: Vec<(&Item, f64)> =
            model.values().map(|item| (&**item, distance(metric, &query, &item.vector))).collect();
        let exact = snapshot.query(&query).top_k(k).exact().with_vectors().run()?;
        compare(&exact, &all, k, true)?;
        compare(&snapshot.query(&query).top_k(k).with_vectors().run()?, &all, k, false)?;
        let (text, admits) = FILTERS[dice.below(FILTERS.len())];
        let admitted: Vec<_> = all.iter().copied().filter(|(item, _)| admits(item)).collect();
        let filter = mongo(text)?;
        let found = snapshot.query(&query).top_k(k).filter(filter.clone()).exact().with_vectors().run()?;
        compare(&found, &admitted, k, true).map_err(|e| Broken::Wrong(format!("filter {text}: {e}")))?;
        let found = snapshot.query(&query).top_k(k).filter(filter).with_vectors().run()?;
        compare(&found, &admitted, k, false).map_err(|e| Broken::Wrong(format!("filter {text}: {e}")))?;
    }
    Ok(())
}

/// Both.
pub(crate) fn check(snapshot: &Snapshot, model: &Model, metric: Metric, seed: u64) -> Result<(), Broken> {
    check_items(snapshot, model)?;
    check_queries(snapshot, model, metric, seed)
}

/// `exact`: the hits must be the nearest; otherwise as many, live, distinct, and told truly.
fn compare(hits: &[Hit], all: &[(&Item, f64)], k: usize, exact: bool) -> Result<(), Broken> {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
    if hits.len() != k.min(all.len()) {
        return wrong(format!("{} hits, {} asked for, {} there", hits.len(), k, all.len()));
    }
    let mut distances: Vec<f64> = all.iter().map(|(_, distance)| *distance).collect();
    distances.sort_by(f64::total_cmp);
    for (i, hit) in hits.iter().enumerate() {
        let Some((item, distance)) = all.iter().find(|(item, _)| item.id == hit.id) else {
            return wrong(format!("{} is no answer", hit.id));
        };
        if hits[..i].iter().any(|other| other.id == hit.id) {
            return wrong(format!("{} is answered twice", hit.id));
        }
        if !near(hit.distance.into(), *distance) {
            return wrong(format!("{} is at {}, not at {}", hit.id, distance, hit.distance));
        }
        if exact && !near(*distance, distances[i]) {
            return wrong(format!(
                "hit {i} is {} at {distance}, but there is one at {}",
                hit.id, distances[i]
            ));
        }
        if hit.metadata.as_ref() != Some(&item.metadata) || hit.vector.as_ref() != Some(&item.vector) {
            return wrong(format!("the hit {} has other content than the item", hit.id));
        }
    }
    if !hits.is_sorted_by(|a, b| a.distance <= b.distance) {
        return wrong("the hits are not in ascending order of distance".to_owned());
    }
    Ok(())
}

fn distance(metric: Metric, q: &[f32], x: &[f32]) -> f64 {
    let pairs = || q.iter().zip(x).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::Cosine => 1.0 - dot / (norm(q) * norm(x)),
        Metric::Dot => -dot,
        Metric::L2 => pairs().map(|(a, b)| (a - b).powi(2)).sum(),
        Metric::L1 => pairs().map(|(a, b)| (a - b).abs()).sum(),
    }
}
