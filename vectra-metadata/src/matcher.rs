//! A filter made ready for many rows: lists become sets, and the members it needs are known.
//!
//! The meaning is that of [`crate::matches`]; tests compare the two.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use vectra_core::filter::Test;
use vectra_core::{Filter, Value};

use crate::eval::satisfies;
use crate::traverse::any_at;

/// A list shorter than this is searched from front to end.
const LIST_SEARCHED_MAX: usize = 8;

/// A filter ready for many rows.
pub(crate) enum Matcher<'f> {
    All(Vec<Matcher<'f>>),
    Any(Vec<Matcher<'f>>),
    Not(Box<Matcher<'f>>),
    Among { path: &'f str, values: Among<'f> },
    Test { path: &'f str, test: &'f Test },
}

/// The values of a long list: scalars in one order over all types, arrays and objects apart.
pub(crate) struct Among<'f> {
    scalars: Vec<&'f Value>,
    others: Vec<&'f Value>,
}

impl<'f> Matcher<'f> {
    pub(crate) fn new(filter: &'f Filter) -> Self {
        let each = |parts: &'f [Filter]| parts.iter().map(Self::new).collect();
        match filter {
            Filter::And(parts) => Self::All(each(parts)),
            Filter::Or(parts) => Self::Any(each(parts)),
            Filter::Not(inner) => Self::Not(Box::new(Self::new(inner))),
            Filter::Field { path, test: Test::In(values) } if values.len() > LIST_SEARCHED_MAX => {
                Self::Among { path, values: Among::new(values) }
            }
            Filter::Field { path, test } => Self::Test { path, test },
        }
    }

    /// Whether `row` satisfies the filter.
    pub(crate) fn matches(&self, row: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(row)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(row)),
            Self::Not(inner) => !inner.matches(row),
            Self::Among { path, values } => any_at(row, path, |found| values.contains(found)),
            Self::Test { path, test: Test::Exists(wanted) } => {
                any_at(row, path, |found| found.is_some()) == *wanted
            }
            Self::Test { path, test } => any_at(row, path, |found| satisfies(test, found)),
        }
    }

    /// Adds the members of a row that the filter looks at.
    pub(crate) fn members(&self, members: &mut BTreeSet<&'f str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.members(members)),
            Self::Not(inner) => inner.members(members),
            Self::Among { path, .. } | Self::Test { path, .. } => {
                members.insert(path.split_once('.').map_or(*path, |(first, _)| first));
            }
        }
    }
}

impl<'f> Among<'f> {
    fn new(values: &'f [Value]) -> Self {
        let (mut scalars, others): (Vec<_>, Vec<_>) = values.iter().partition(|value| rank(value).is_some());
        scalars.sort_by(|a, b| order(a, b));
        Self { scalars, others }
    }

    fn contains(&self, found: Option<&Value>) -> bool {
        let value = found.unwrap_or(&Value::Null);
        if rank(value).is_none() {
            return self.others.contains(&value);
        }
        self.scalars.binary_search_by(|other| order(other, value)).is_ok()
    }
}

/// Scalars by type first, then by value.
fn order(a: &Value, b: &Value) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| a.compare(b).unwrap_or(Ordering::Equal))
}

/// The place of a scalar's type; `None` for arrays and objects.
fn rank(value: &Value) -> Option<u8> {
    match value {
        Value::Null => Some(0),
        Value::Bool(_) => Some(1),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => Some(2),
        Value::Str(_) => Some(3),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::testing::any_value;

    use super::*;
    use crate::eval::matches;

    proptest! {
        #[test]
        fn long_lists_mean_what_short_ones_do(
            values in prop::collection::vec(any_value(), 9..40), row in any_value(), negated in any::<bool>()
        ) {
            let listed = Value::from([("a", values[3].clone())]);
            let mut filter = Filter::field("a", Test::In(values));
            if negated {
                filter = filter.not();
            }
            let matcher = Matcher::new(&filter);
            prop_assert_eq!(matcher.matches(&listed), !negated);
            for row in [Value::from([("a", row.clone())]), row, Value::object()] {
                prop_assert_eq!(matcher.matches(&row), matches(&filter, &row), "{:?}", row);
            }
        }
    }

    #[test]
    fn members_are_the_first_parts_of_paths() {
        let filter = Filter::And(vec![
            Filter::eq("a.b.c", 1),
            Filter::Or(vec![Filter::eq("d", 1).not(), Filter::eq("a", 2)]),
            Filter::field("e.0", Test::In((0..20).map(Value::from).collect())),
        ]);
        let mut members = BTreeSet::new();
        Matcher::new(&filter).members(&mut members);
        assert_eq!(members, BTreeSet::from(["a", "d", "e"]));
    }
}
