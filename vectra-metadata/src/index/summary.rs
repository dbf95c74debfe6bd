//! Statistics of what an index holds.

use std::cmp::Reverse;

use vectra_core::Value;
use vectra_core::codec::DecodeError;

use super::field::{FieldIndex, Values};
use crate::stats::{FieldStats, QUANTILE_PARTS, TOP_VALUES};

impl FieldIndex {
    /// Fills in what only the values know.
    pub(crate) fn add_values(&self, stats: &mut FieldStats) -> Result<(), DecodeError> {
        match &self.values {
            Values::Keyword(index) => {
                stats.distinct = index.len() as u32;
                let mut by_count: Vec<usize> = (0..index.len()).collect();
                let key = |at: &usize| (Reverse(index.count(*at)), *at);
                if by_count.len() > TOP_VALUES {
                    by_count.select_nth_unstable_by_key(TOP_VALUES, key);
                    by_count.truncate(TOP_VALUES);
                }
                by_count.sort_by_key(key);
                for at in by_count {
                    let text = std::str::from_utf8(index.text(at)?);
                    let text = text.map_err(|_| DecodeError::new(at, "text of an index"))?;
                    stats.top.push((Value::from(text), index.count(at)));
                }
            }
            Values::Number(index) => {
                stats.distinct = index.distinct();
                if let Some(last) = index.len().checked_sub(1) {
                    let place = |part: usize| (last as u64 * part as u64 / QUANTILE_PARTS as u64) as usize;
                    let quantile = |part: usize| index.value(place(part));
                    stats.quantiles = (0..=QUANTILE_PARTS).map(quantile).collect::<Result<_, _>>()?;
                    stats.min = stats.quantiles.first().cloned();
                    stats.max = stats.quantiles.last().cloned();
                }
            }
            Values::Bool(index) => {
                let counts = [false, true].map(|value| (Value::from(value), index.slots(value).len() as u32));
                stats.top = counts.into_iter().filter(|(_, count)| *count > 0).collect();
                stats.top.sort_by_key(|(_, count)| Reverse(*count));
                stats.distinct = stats.top.len() as u32;
            }
        }
        Ok(())
    }
}
