//! How many slots a filter will leave, for the planner: without decoding any row.

use vectra_core::Filter;
use vectra_core::filter::Test;

use crate::index::insert_all;
use crate::resolve::{Means, means, resolve_all};
use crate::view::MetadataView;

/// A number of slots: bounds that hold, and a guess between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cardinality {
    /// At least this many.
    pub min: u32,
    /// At most this many.
    pub max: u32,
    /// Probably this many.
    pub likely: u32,
}

/// Guesses where nothing is known: the fractions of System R (Selinger and others, SIGMOD 1979, table 1).
const EQUAL_FRACTION: f64 = 0.1;
const RANGE_FRACTION: f64 = 1.0 / 3.0;
/// A list is guessed at no more than half.
const LIST_FRACTION_MAX: f64 = 0.5;
/// A named field is usually there.
const EXISTS_FRACTION: f64 = 0.9;

impl Cardinality {
    /// Known exactly.
    pub fn exact(count: u32) -> Self {
        Self { min: count, max: count, likely: count }
    }

    /// Whether nothing is guessed.
    pub fn is_exact(&self) -> bool {
        self.min == self.max
    }

    fn of(min: f64, max: f64, likely: f64) -> Self {
        let (min, max) = (min.max(0.0), max.max(0.0));
        Self { min: min as u32, max: max as u32, likely: likely.clamp(min, max.max(min)).round() as u32 }
    }
}

/// How many slots of `view` satisfy `filter`.
pub(crate) fn estimate(view: &MetadataView, filter: &Filter) -> Cardinality {
    let rows = f64::from(view.row_count);
    if means(view, filter) == Means::Indexes {
        // A damaged index knows nothing; the query itself will report it.
        let unknown = Cardinality::of(0.0, rows, rows);
        return resolve_all(view, filter).map_or(unknown, |found| Cardinality::exact(found.bits.count()));
    }
    match filter {
        Filter::Not(inner) => {
            let inner = estimate(view, inner);
            let left = |count: u32| view.row_count - count.min(view.row_count);
            Cardinality { min: left(inner.max), max: left(inner.min), likely: left(inner.likely) }
        }
        Filter::Field { path, test } => field(view, path, test),
        Filter::And(parts) => {
            let parts = joined(view, parts, Filter::And);
            let missing: f64 = parts.iter().map(|part| rows - f64::from(part.min)).sum();
            let max = parts.iter().map(|part| part.max).min().unwrap_or(view.row_count);
            let share: f64 = parts.iter().map(|part| f64::from(part.likely) / rows.max(1.0)).product();
            Cardinality::of(rows - missing, max.into(), rows * share)
        }
        Filter::Or(parts) => {
            let parts = joined(view, parts, Filter::Or);
            let min = parts.iter().map(|part| part.min).max().unwrap_or(0);
            let max: f64 = parts.iter().map(|part| f64::from(part.max)).sum();
            let none: f64 = parts.iter().map(|part| 1.0 - f64::from(part.likely) / rows.max(1.0)).product();
            Cardinality::of(min.into(), max.min(rows), rows * (1.0 - none))
        }
    }
}

/// Estimates of the parts; those that indexes answer alone are joined first and count as one exact part.
fn joined(view: &MetadataView, parts: &[Filter], join: fn(Vec<Filter>) -> Filter) -> Vec<Cardinality> {
    let (exact, rest): (Vec<&Filter>, Vec<&Filter>) =
        parts.iter().partition(|part| means(view, part) == Means::Indexes);
    let mut estimates: Vec<Cardinality> = rest.into_iter().map(|part| estimate(view, part)).collect();
    if !exact.is_empty() {
        estimates.push(estimate(view, &join(exact.into_iter().cloned().collect())));
    }
    estimates
}

/// A test that no index answers alone.
fn field(view: &MetadataView, path: &str, test: &Test) -> Cardinality {
    let fraction = match test {
        Test::Eq(_) => EQUAL_FRACTION,
        Test::In(values) => (EQUAL_FRACTION * values.len() as f64).min(LIST_FRACTION_MAX),
        Test::Exists(true) => EXISTS_FRACTION,
        Test::Exists(false) => 1.0 - EXISTS_FRACTION,
        _ => RANGE_FRACTION,
    };
    let rows = f64::from(view.row_count);
    let unknown = Cardinality::of(0.0, rows, rows * fraction);
    let Some(index) = view.index(path) else { return unknown };
    let Ok(answer) = index.answer(test) else { return unknown };
    let min = answer.bits.count();
    let mut with_open = answer.bits;
    insert_all(&index.coverage.uncovered, &mut with_open);
    let open = f64::from(with_open.count() - min);
    Cardinality::of(min.into(), f64::from(min) + open, f64::from(min) + open * fraction)
}

#[cfg(test)]
mod tests;
