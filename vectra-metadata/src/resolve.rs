//! Filters over a whole segment: indexes first, rows last, and only rows that are still open.

use std::collections::BTreeSet;

use vectra_core::Filter;
use vectra_core::admit::Bits;

use crate::error::FormatError;

use crate::index::insert_all;
use crate::matcher::Matcher;
use crate::view::MetadataView;

/// The answer to a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    /// The slots that satisfy it, over all slots of the segment.
    pub bits: Bits,
    /// How many rows had to be decoded and looked at.
    pub evaluated: u64,
}

/// How a filter is answered, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    /// By indexes alone.
    Indexes,
    /// By indexes for some rows or parts.
    Both,
    /// By looking at rows.
    Rows,
}

/// Answers `filter` over all slots of `view`.
pub(crate) fn resolve_all(view: &MetadataView, filter: &Filter) -> Result<Filtered, FormatError> {
    let mut resolver = Resolver { view, evaluated: 0 };
    let bits = resolver.resolve(filter, &Bits::all(view.row_count))?;
    Ok(Filtered { bits, evaluated: resolver.evaluated })
}

/// How `filter` will be answered.
pub(crate) fn means(view: &MetadataView, filter: &Filter) -> Means {
    match filter {
        Filter::Not(inner) => means(view, inner),
        Filter::Field { path, test } => match view.index(path) {
            Some(index) if index.answers(test) => Means::Indexes,
            Some(_) => Means::Both,
            None => Means::Rows,
        },
        Filter::And(parts) | Filter::Or(parts) => {
            let all = || parts.iter().map(|part| means(view, part));
            match (all().min(), all().max()) {
                (Some(Means::Rows), _) => Means::Rows,
                (Some(_), Some(Means::Both | Means::Rows)) => Means::Both,
                _ => Means::Indexes,
            }
        }
    }
}

struct Resolver<'v> {
    view: &'v MetadataView,
    evaluated: u64,
}

impl Resolver<'_> {
    /// The slots of `scope` that satisfy `filter`.
    fn resolve(&mut self, filter: &Filter, scope: &Bits) -> Result<Bits, FormatError> {
        if means(self.view, filter) == Means::Rows {
            return self.look(scope, &Matcher::new(filter));
        }
        match filter {
            Filter::And(parts) => self.all(parts, scope),
            Filter::Or(parts) => self.any(parts, scope),
            Filter::Not(inner) => {
                let mut left = scope.clone();
                left.and_not(&self.resolve(inner, scope)?);
                Ok(left)
            }
            Filter::Field { path, test } => {
                let index = self.view.index(path).expect("a field without index is answered by rows");
                let answer = index.answer(test)?;
                let mut found = answer.bits;
                found.and(scope);
                if answer.open {
                    let mut open = Bits::none(self.view.row_count);
                    insert_all(&index.coverage.uncovered, &mut open);
                    open.and(scope);
                    open.and_not(&found);
                    found.or(&self.look(&open, &Matcher::new(filter))?);
                }
                Ok(found)
            }
        }
    }

    /// Every part: each narrows the scope of the next; the parts that need rows come last and look at each row once.
    fn all(&mut self, parts: &[Filter], scope: &Bits) -> Result<Bits, FormatError> {
        let (indexed, by_rows) = self.split(parts);
        let mut left = scope.clone();
        for part in indexed {
            left = self.resolve(part, &left)?;
        }
        if by_rows.is_empty() {
            return Ok(left);
        }
        self.look(&left, &Matcher::All(ready(&by_rows)))
    }

    /// Some part: what one has found need not be asked of the next.
    fn any(&mut self, parts: &[Filter], scope: &Bits) -> Result<Bits, FormatError> {
        let (indexed, by_rows) = self.split(parts);
        let mut found = Bits::none(self.view.row_count);
        let mut left = scope.clone();
        for part in indexed {
            let more = self.resolve(part, &left)?;
            left.and_not(&more);
            found.or(&more);
        }
        if !by_rows.is_empty() {
            found.or(&self.look(&left, &Matcher::Any(ready(&by_rows)))?);
        }
        Ok(found)
    }

    /// Parts with some index, cheapest first, and parts that need every row.
    fn split<'f>(&self, parts: &'f [Filter]) -> (Vec<&'f Filter>, Vec<&'f Filter>) {
        let (by_rows, mut indexed): (Vec<_>, Vec<_>) =
            parts.iter().partition(|part| means(self.view, part) == Means::Rows);
        indexed.sort_by_key(|part| means(self.view, part));
        (indexed, by_rows)
    }

    /// The slots of `scope` whose rows satisfy `matcher`.
    fn look(&mut self, scope: &Bits, matcher: &Matcher<'_>) -> Result<Bits, FormatError> {
        let mut found = Bits::none(self.view.row_count);
        let mut members = BTreeSet::new();
        matcher.members(&mut members);
        self.view.rows.scan(scope, Some(&members), |slot, row| {
            self.evaluated += 1;
            if matcher.matches(&row) {
                found.insert(slot);
            }
        })?;
        Ok(found)
    }
}

fn ready<'f>(parts: &[&'f Filter]) -> Vec<Matcher<'f>> {
    parts.iter().map(|part| Matcher::new(part)).collect()
}

#[cfg(test)]
mod tests;
