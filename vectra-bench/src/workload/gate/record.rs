//! What a run of the gate found, and whether it is worse than what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A counter may rise by so many hundredths.
const RISE_PERCENT: u64 = 1;
/// Recall may fall by so much: half a point.
const FALL: f64 = 0.005;
/// What two equal recalls may differ by after they were text.
const EPSILON: f64 = 1e-9;
/// The end of the names of counters that may not fall either: a sync too few is a promise that is not kept.
const SYNCS: &str = "/syncs";

/// Counters and recalls by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(super) counters: BTreeMap<String, u64>,
    pub(super) recall: BTreeMap<String, f64>,
}

impl Record {
    /// Adds a counter.
    ///
    /// # Panics
    /// If there is one of this name.
    pub(super) fn count(&mut self, name: String, value: u64) {
        let before = self.counters.insert(name, value);
        assert!(before.is_none(), "every counter has a name of its own");
    }

    /// Adds a recall, as [`Record::count`].
    pub(super) fn recall(&mut self, name: String, value: f64) {
        let before = self.recall.insert(name, value);
        assert!(before.is_none(), "every recall has a name of its own");
    }

    /// Compares `self` with what was recorded.
    pub(super) fn against(&self, recorded: &Self) -> Verdict {
        let mut lines = Vec::new();
        for (name, old, new) in pairs(&recorded.counters, &self.counters) {
            let judged = judge(old, new, |old, new| counter(name, old, new));
            let percent = old.zip(new).map(|(old, new)| (new as f64 / old.max(1) as f64 - 1.0) * 100.0);
            let texts = [old, new].map(|value| value.map(|value| value.to_string()));
            lines.push(Line::new(name, texts, percent.map(|percent| format!("{percent:+.2} %")), judged));
        }
        for (name, old, new) in pairs(&recorded.recall, &self.recall) {
            let judged = judge(old, new, recall);
            let points = old.zip(new).map(|(old, new)| format!("{:+.2} points", (new - old) * 100.0));
            let texts = [old, new].map(|value| value.map(|value| format!("{value:.4}")));
            lines.push(Line::new(&format!("{name}/recall"), texts, points, judged));
        }
        Verdict { lines }
    }
}

/// Every name of either map, with what both say.
fn pairs<'a, T: Copy>(
    old: &'a BTreeMap<String, T>,
    new: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a str, Option<T>, Option<T>)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().map(|name| (name.as_str(), old.get(name).copied(), new.get(name).copied()))
}

/// How a figure stands to the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Same,
    /// Different, within the tolerance.
    Near,
    Better,
    Worse,
    /// Fewer syncs.
    Fewer,
    /// Not recorded.
    Unknown,
    /// Recorded, not found.
    Missing,
}

impl Change {
    /// Whether the gate stays closed.
    fn fails(self) -> bool {
        matches!(self, Self::Worse | Self::Fewer | Self::Unknown | Self::Missing)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Near => "within tolerance",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Fewer => "FEWER SYNCS",
            Self::Unknown => "NOT RECORDED",
            Self::Missing => "NOT FOUND",
        }
    }
}

fn judge<T>(old: Option<T>, new: Option<T>, judge: impl Fn(T, T) -> Change) -> Change {
    match (old, new) {
        (Some(old), Some(new)) => judge(old, new),
        (None, _) => Change::Unknown,
        (_, None) => Change::Missing,
    }
}

fn counter(name: &str, old: u64, new: u64) -> Change {
    let near = u128::from(old.abs_diff(new)) * 100 <= u128::from(old) * u128::from(RISE_PERCENT);
    match (new < old, near) {
        _ if new == old => Change::Same,
        (_, true) => Change::Near,
        (false, false) => Change::Worse,
        (true, false) if name.ends_with(SYNCS) => Change::Fewer,
        (true, false) => Change::Better,
    }
}

fn recall(old: f64, new: f64) -> Change {
    let rise = new - old;
    if rise.abs() <= EPSILON {
        Change::Same
    } else if rise.abs() <= FALL + EPSILON {
        Change::Near
    } else if rise > 0.0 {
        Change::Better
    } else {
        // Also what is no number.
        Change::Worse
    }
}

/// One figure, compared.
#[derive(Debug)]
struct Line {
    name: String,
    texts: [String; 2],
    by: String,
    change: Change,
}

impl Line {
    fn new(name: &str, texts: [Option<String>; 2], by: Option<String>, change: Change) -> Self {
        let texts = texts.map(|text| text.unwrap_or_else(|| "-".to_owned()));
        Self { name: name.to_owned(), texts, by: by.unwrap_or_default(), change }
    }
}

/// All figures, compared.
#[derive(Debug)]
pub(super) struct Verdict {
    lines: Vec<Line>,
}

impl Verdict {
    /// How many figures changed in this way.
    pub(super) fn count(&self, change: Change) -> usize {
        self.lines.iter().filter(|line| line.change == change).count()
    }

    /// How many figures keep the gate closed.
    pub(super) fn failures(&self) -> usize {
        self.lines.iter().filter(|line| line.change.fails()).count()
    }

    /// Every figure that is not as recorded, and how many are.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let changed: Vec<&Line> = self.lines.iter().filter(|line| line.change != Change::Same).collect();
        if !changed.is_empty() {
            _ = writeln!(text, "{:40} {:>12} {:>12} {:>14}", "", "recorded", "found", "by");
        }
        for Line { name, texts: [old, new], by, change } in changed {
            _ = writeln!(text, "{name:40} {old:>12} {new:>12} {by:>14}  {}", change.word());
        }
        let count = |change| self.count(change);
        _ = writeln!(
            text,
            "{} figures: {} as recorded, {} within tolerance, {} better, {} that fail",
            self.lines.len(),
            count(Change::Same),
            count(Change::Near),
            count(Change::Better),
            self.failures(),
        );
        text
    }
}

#[cfg(test)]
mod tests;
