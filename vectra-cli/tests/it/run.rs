//! Running the program and reading what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use tempfile::TempDir;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output, of a run that must have gone well.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        assert!(self.err.is_empty(), "no progress or errors where nobody watches: {self:?}");
        self.out
    }

    /// The JSON on standard output, of a run that must have gone well.
    pub(crate) fn json(self) -> Json {
        serde_json::from_str(&self.ok()).expect("one JSON object")
    }

    /// Checks a refusal: the code, two lines on standard error with these words, nothing on standard output.
    pub(crate) fn refused(&self, code: i32, error: &str, hint: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 2, "{self:?}");
        assert!(lines[0].starts_with("error: ") && lines[0].contains(error), "{error}: {self:?}");
        assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{hint}: {self:?}");
        assert!(!self.err.contains('\x1b'), "no colours where there is no terminal");
    }
}

/// A folder in which the program runs.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("written");
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Runs `vectra` with these arguments, in this folder.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vectra"));
        let output = command.args(args).current_dir(self.dir.path()).output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("it was not killed");
        Ran { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `vectra` with arguments that are separated by spaces.
    pub(crate) fn vectra(&self, args: &str) -> Ran {
        self.run(&args.split_whitespace().collect::<Vec<_>>())
    }

    /// How many items the index `name` holds.
    pub(crate) fn items(&self, name: &str) -> u64 {
        self.run(&["info", name, "--json"]).json()["items"].as_u64().expect("a count")
    }
}

/// Every file below `path` with its bytes, for comparing before and after.
pub(crate) fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files.extend(tree(&entry));
        } else {
            files.push((entry.clone(), std::fs::read(&entry).expect("readable")));
        }
    }
    files.sort();
    files
}
