//! What was measured: as a table for people, as JSON for programs.

use std::fmt::{Display, Formatter, Write as _};

use serde::Serialize;

use crate::measure::{Resident, median};

/// Everything one run measured. Times are seconds, sizes bytes; `null` is what was not, or cannot be, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// From creating the index until it was optimized; `None` if it was reused.
    pub(crate) build_s: Option<f64>,
    /// The part of it that wrote rows.
    pub(crate) build_write_s: Option<f64>,
    /// The most memory resident until then.
    pub(crate) build_peak_rss_bytes: Option<u64>,
    /// All files in the index folder.
    pub(crate) index_bytes: u64,
    /// Opening the finished index.
    pub(crate) open_s: f64,
    /// From the start of opening to the first answer.
    pub(crate) first_answer_s: f64,
    /// Memory resident after all queries were asked once with default effort.
    pub(crate) rss_bytes: Option<u64>,
    /// The same, by what is behind it.
    pub(crate) resident: Option<Resident>,
    /// Rows in the index.
    pub(crate) items: u64,
    /// One per setting, in the order asked for.
    pub(crate) points: Vec<Point>,
    /// How well the exact scan uses the machine, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exact_scan: Option<ExactScan>,
}

/// One setting. Counts are means per query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Point {
    /// `default`, `ef=N`, `recall=R`, `reach=R` or `exact`.
    pub(crate) setting: String,
    /// The effort behind it, where one was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ef: Option<usize>,
    /// The recall that was asked for, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<f32>,
    /// The share of right rows among those asked for.
    pub(crate) recall: f64,
    /// Queries per second, all threads together.
    pub(crate) qps: f64,
    /// Median time of a query in microseconds.
    pub(crate) p50_us: f64,
    /// The time in microseconds that 99 of 100 queries stay below.
    pub(crate) p99_us: f64,
    /// Distances computed while looking for candidates.
    pub(crate) distances: f64,
    /// Graph nodes expanded.
    pub(crate) hops: f64,
    /// Distances computed on stored vectors.
    pub(crate) exact_reads: f64,
}

/// The exact scan against plain reading of as many bytes, both by one thread; medians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ExactScan {
    /// Size of the stored vectors.
    pub(crate) bytes: u64,
    /// In turns, so that neither finds anything in a cache that has no room for both.
    pub(crate) by_turns: Rates,
    /// Each after its own kind, as queries that follow each other.
    pub(crate) repeated: Rates,
}

/// What is read in a second, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Rates {
    /// By a query, of stored vectors.
    pub(crate) scan: f64,
    /// Of a buffer, in the way that is the fastest.
    pub(crate) reading: f64,
}

impl ExactScan {
    /// The medians of some measurements, of which there is at least one.
    pub(crate) fn median(all: &[Self]) -> Self {
        let middle = |of: &dyn Fn(&Self) -> f64| median(all.iter().map(of).collect());
        Self {
            bytes: all[0].bytes,
            by_turns: Rates { scan: middle(&|s| s.by_turns.scan), reading: middle(&|s| s.by_turns.reading) },
            repeated: Rates { scan: middle(&|s| s.repeated.scan), reading: middle(&|s| s.repeated.reading) },
        }
    }
}

impl Display for ExactScan {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, by_turns, repeated } = self;
        write!(f, "exact scan of {}: {by_turns}; repeated {repeated}", mebibytes(Some(*bytes)))
    }
}

impl Display for Rates {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { scan, reading } = self;
        write!(
            f,
            "{:.1} GB/s, plain reading {:.1} ({:.0} %)",
            scan / 1e9,
            reading / 1e9,
            100.0 * scan / reading
        )
    }
}

impl Report {
    /// The report as text, lines at most 100 wide.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        self.write_table(&mut out).expect("writing to a string does not fail");
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        match (self.build_s, self.build_write_s) {
            (Some(all), Some(writing)) => {
                write!(out, "built in {all:.2} s (writing {writing:.2}, optimizing {:.2})", all - writing)?;
                writeln!(out, ", peak memory {}", mebibytes(self.build_peak_rss_bytes))?;
            }
            _ => writeln!(out, "index reused")?,
        }
        write!(out, "{} on disk, {} resident", mebibytes(Some(self.index_bytes)), mebibytes(self.rss_bytes))?;
        if let Some(Resident { own, mapped }) = self.resident {
            let per_row = |bytes: u64| bytes as f64 / self.items.max(1) as f64;
            write!(out, " ({} own, {} mapped files", mebibytes(Some(own)), mebibytes(Some(mapped)))?;
            write!(out, ": {:.0} and {:.0} B per row)", per_row(own), per_row(mapped))?;
        }
        out.push('\n');
        let (open, first) = (self.open_s * 1e3, self.first_answer_s * 1e3);
        writeln!(out, "open in {open:.1} ms, first answer after {first:.1} ms")?;
        writeln!(
            out,
            "\n{:<14} {:>5} {:>7} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7}",
            "setting", "ef", "recall", "qps", "p50 us", "p99 us", "distances", "hops", "exact"
        )?;
        for point in &self.points {
            let Point { setting, recall, qps, p50_us, p99_us, distances, hops, exact_reads, .. } = point;
            let ef = point.ef.map_or_else(|| "-".to_owned(), |ef| ef.to_string());
            write!(out, "{setting:<14} {ef:>5} {recall:>7.4} {qps:>9.1} {p50_us:>9.1} {p99_us:>9.1} ")?;
            writeln!(out, "{distances:>9.0} {hops:>7.0} {exact_reads:>7.0}")?;
        }
        if self.points.iter().any(|point| point.setting.starts_with("reach=")) {
            writeln!(out, "\nreach=R: the first half of the queries chose ef, the second half measured it")?;
        }
        if let Some(scan) = &self.exact_scan {
            writeln!(out, "\n{scan}")?;
        }
        Ok(())
    }
}

/// A report as JSON text.
pub(crate) fn json(report: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(report).map(|text| text + "\n")
}

fn mebibytes(bytes: Option<u64>) -> String {
    bytes
        .map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let point = Point {
            setting: "ef=64".to_owned(),
            ef: Some(64),
            target: None,
            recall: 0.9876,
            qps: 5000.0,
            p50_us: 190.5,
            p99_us: 400.25,
            distances: 1234.5,
            hops: 70.2,
            exact_reads: 32.0,
        };
        Report {
            build_s: None,
            build_write_s: None,
            build_peak_rss_bytes: None,
            index_bytes: 3 << 20,
            open_s: 0.0125,
            first_answer_s: 0.02,
            rss_bytes: Some(5 << 20),
            resident: Some(Resident { own: 3 << 20, mapped: 2 << 20 }),
            items: 4096,
            points: vec![Point { setting: "default".to_owned(), ef: None, ..point.clone() }, point],
            exact_scan: None,
        }
    }

    #[test]
    fn the_json_has_the_agreed_names() {
        let text = json(&report()).expect("it is plain data");
        let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        for name in
            ["build_s", "build_peak_rss_bytes", "index_bytes", "open_s", "first_answer_s", "rss_bytes"]
        {
            assert!(json.get(name).is_some(), "{name} is missing");
        }
        assert_eq!(
            (&json["resident"]["own"], &json["resident"]["mapped"]),
            (&(3 << 20).into(), &(2 << 20).into())
        );
        assert!(json["build_s"].is_null() && json.get("exact_scan").is_none());
        for name in ["setting", "recall", "qps", "p50_us", "p99_us", "distances", "hops", "exact_reads"] {
            assert!(json["points"][1].get(name).is_some(), "{name} is missing");
        }
        assert!(json["points"][0].get("ef").is_none());
    }

    #[test]
    fn the_table_says_whether_it_was_built() {
        let mut report = report();
        let text = report.table();
        assert!(
            text.starts_with("index reused\n3.0 MiB on disk, 5.0 MiB resident (3.0 MiB own, 2.0 MiB mapped files: 768 and 512 B per row)\nopen in 12.5 ms"),
            "{text}"
        );
        assert!(text.contains("ef=64             64  0.9876    5000.0     190.5     400.2"), "{text}");
        (report.build_s, report.build_write_s) = (Some(10.0), Some(2.5));
        let text = report.table();
        let expected = "built in 10.00 s (writing 2.50, optimizing 7.50), peak memory unknown\n";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn the_scan_is_set_against_the_bandwidth() {
        let rates = |scan, reading| Rates { scan, reading };
        let scan = |by_turns| ExactScan { bytes: 1 << 20, by_turns, repeated: rates(6e9, 8e9) };
        let three = [4e9, 9e9, 5e9].map(|rate| scan(rates(rate, 10e9)));
        let text = Report { exact_scan: Some(ExactScan::median(&three)), ..report() }.table();
        let expected = "exact scan of 1.0 MiB: 5.0 GB/s, plain reading 10.0 (50 %); repeated 6.0 GB/s, plain reading 8.0 (75 %)";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("half of the queries"), "{text}");
    }

    #[test]
    fn points_by_recall_say_how_they_were_measured() {
        let mut report = report();
        report.points[0].setting = "reach=0.95".to_owned();
        assert!(report.table().contains("the first half of the queries chose ef"));
    }
}
