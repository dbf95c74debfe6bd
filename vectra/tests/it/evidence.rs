//! How much a fault test does, and the record of what it did.
//!
//! `cargo xtask faults` sets the variables read here and keeps the records; without them the tests do what fits into
//! every day's run, and record nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

/// `long` selects the counts of the long run.
const COUNTS: &str = "VECTRA_FAULTS";
/// A folder for records.
const OUT: &str = "VECTRA_FAULTS_OUT";
/// After so many seconds a test in a long run begins nothing new, to learn its rate.
const SECONDS: &str = "VECTRA_FAULTS_SECONDS";

/// One test's account of itself.
#[derive(Debug)]
pub(crate) struct Evidence {
    id: &'static str,
    test: &'static str,
    what: String,
    began: Instant,
    limit: Option<Duration>,
    counts: BTreeMap<&'static str, u64>,
    traces: BTreeMap<u64, String>,
    findings: BTreeMap<String, String>,
}

/// Whether this is the long run.
pub(crate) fn is_long() -> bool {
    std::env::var(COUNTS).is_ok_and(|counts| counts == "long")
}

/// How many of something: every day, or in the long run.
pub(crate) fn target(everyday: u64, long: u64) -> u64 {
    if is_long() { long } else { everyday }
}

impl Evidence {
    /// Begins the record of `test`, which belongs to the goal `id` and does `what`.
    pub(crate) fn begin(id: &'static str, test: &'static str, what: impl Into<String>) -> Self {
        let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
        let limit = seconds.filter(|_| is_long()).map(Duration::from_secs);
        let (counts, traces, findings) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { id, test, what: what.into(), began: Instant::now(), limit, counts, traces, findings }
    }

    /// Counts `n` more of something.
    pub(crate) fn add(&mut self, name: &'static str, n: u64) {
        *self.counts.entry(name).or_default() += n;
    }

    /// How many there are so far.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Keeps the trace hash of one of the first seeds.
    pub(crate) fn trace(&mut self, seed: u64, hash: u64) {
        if self.traces.len() < 3 {
            self.traces.insert(seed, format!("{hash:016x}"));
        }
    }

    /// Keeps what was found out about one of the things that the test looks at.
    pub(crate) fn find(&mut self, thing: impl Into<String>, finding: impl Into<String>) {
        self.findings.insert(thing.into(), finding.into());
    }

    /// Whether the time given is over.
    pub(crate) fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.began.elapsed() > limit)
    }

    /// Runs `act` with 0, 1, 2... until `enough` of `name` are counted or the time is over.
    pub(crate) fn until(&mut self, name: &str, enough: u64, mut act: impl FnMut(&mut Self, u64)) {
        let first = self.count(name);
        for seed in 0.. {
            if self.count(name) - first >= enough || self.is_over() {
                self.add("seeds", seed);
                return;
            }
            act(self, seed);
        }
    }

    /// Ends the record: nothing failed, or the test would not have come here.
    pub(crate) fn end(self) {
        let seconds = self.began.elapsed().as_secs_f64();
        println!("{}: {}: {:?} in {seconds:.1} s", self.id, self.what, self.counts);
        let Ok(folder) = std::env::var(OUT) else { return };
        let mut record = json!({
            "id": self.id,
            "test": self.test,
            "what": self.what,
            "profile": if cfg!(debug_assertions) { "debug assertions" } else { "release" },
            "long": is_long(),
            "cut_short_after_seconds": self.is_over().then_some(self.limit.map(|limit| limit.as_secs())),
            "counts": self.counts,
            "failures": 0,
            "traces_of_first_seeds": self.traces,
            "wall_seconds": (seconds * 10.0).round() / 10.0,
        });
        if !self.findings.is_empty() {
            record["findings"] = json!(self.findings);
        }
        let path = Path::new(&folder).join(format!("{}.{}.json", self.id, self.test));
        std::fs::write(path, format!("{record:#}\n")).expect("the folder for records");
    }
}
