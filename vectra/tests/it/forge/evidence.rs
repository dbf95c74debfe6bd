//! What a run proved, as a small file for the record.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Whether the long counts are asked for (`VECTRA_FAULTS=long`).
pub(crate) fn is_long() -> bool {
    std::env::var("VECTRA_FAULTS").is_ok_and(|text| text == "long")
}

/// A run that is being recorded. Written to `$VECTRA_EVIDENCE/<id>.json` if that variable names a folder.
#[derive(Debug)]
pub(crate) struct Evidence {
    id: &'static str,
    what: &'static str,
    test: &'static str,
    begun: Instant,
}

impl Evidence {
    /// Begins the run `id`, which says `what`; `test` is the test's full name.
    pub(crate) fn begin(id: &'static str, what: &'static str, test: &'static str) -> Self {
        Self { id, what, test, begun: Instant::now() }
    }

    /// Ends it: the first and last seed, and what was counted.
    pub(crate) fn end(self, seeds: (u64, u64), counts: &[(&str, u64)], failures: u64) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let counted: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
        println!("{}: {} in {seconds:.1} s", self.id, counted.join(", "));
        let Some(dir) = std::env::var_os("VECTRA_EVIDENCE").map(PathBuf::from) else { return };
        let git = Command::new("git").args(["rev-parse", "HEAD"]).output().expect("git tells the commit");
        let commit = String::from_utf8_lossy(&git.stdout).trim().to_owned();
        let length = if is_long() { "VECTRA_FAULTS=long " } else { "" };
        let command = format!("{length}cargo test -p vectradb --test it {} -- --exact", self.test);
        let counts: serde_json::Map<_, _> =
            counts.iter().map(|(name, n)| ((*name).to_owned(), (*n).into())).collect();
        let record = serde_json::json!({
            "id": self.id, "what": self.what, "command": command, "seeds": [seeds.0, seeds.1], "counts": counts,
            "failures": failures, "wall_s": (seconds * 10.0).round() / 10.0, "commit": commit,
        });
        let text = serde_json::to_string_pretty(&record).expect("plain JSON") + "\n";
        std::fs::create_dir_all(&dir).expect("the folder for evidence");
        std::fs::write(dir.join(format!("{}.json", self.id)), text).expect("the folder for evidence");
    }
}
