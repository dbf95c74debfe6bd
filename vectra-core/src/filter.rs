//! The boolean filter tree over metadata: pure words, no parsing and no evaluation.

use crate::value::Value;

/// A condition on an item's metadata.
///
/// `And([])` is true for every item, `Or([])` for none.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every part holds.
    And(Vec<Filter>),
    /// At least one part holds.
    Or(Vec<Filter>),
    /// The inner filter does not hold.
    Not(Box<Filter>),
    /// A test on the value at a dotted path.
    Field {
        /// Member names joined by dots, e.g. `author.name`.
        path: String,
        /// What the value has to satisfy.
        test: Test,
    },
}

/// What one value has to satisfy. Comparisons across types are false; an array satisfies a test if an element does.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal by value; `null` also matches a missing field.
    Eq(Value),
    /// Greater.
    Gt(Value),
    /// Greater or equal.
    Gte(Value),
    /// Less.
    Lt(Value),
    /// Less or equal.
    Lte(Value),
    /// Equal to one of these.
    In(Vec<Value>),
    /// Present (a `null` is present) or, with `false`, missing.
    Exists(bool),
}

impl Filter {
    /// A test on the value at `path`.
    pub fn field(path: impl Into<String>, test: Test) -> Self {
        Self::Field { path: path.into(), test }
    }

    /// `path = value`.
    pub fn eq(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::field(path, Test::Eq(value.into()))
    }

    /// The negation; a double negation cancels.
    #[allow(clippy::should_implement_trait, reason = "reads as the dialect's $not; `!filter` would surprise")]
    pub fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// How many nodes the tree has.
    pub fn nodes(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => 1 + parts.iter().map(Self::nodes).sum::<usize>(),
            Self::Not(inner) => 1 + inner.nodes(),
            Self::Field { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn double_negation_cancels_and_nodes_are_counted() {
        let filter = Filter::eq("a", 1);
        assert_eq!(filter.clone().not().not(), filter);
        assert_eq!(Filter::And(vec![filter.clone(), Filter::Or(vec![filter.clone().not()])]).nodes(), 5);
    }
}
