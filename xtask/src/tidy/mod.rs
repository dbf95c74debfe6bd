//! `cargo xtask tidy`: the architecture's rules, executed. Each rule is one file and one function
//! `check(&Tree, &mut Findings)`.

mod arrows;
mod docs;
mod format;
mod names;
mod regressions;
mod sizes;
mod tokens;
mod unsafety;

use crate::Outcome;
use crate::workspace::{Member, Workspace};
use std::fmt;
use std::path::Path;

/// A rule's name and its check.
type Rule = (&'static str, fn(&Tree, &mut Findings));

/// The rules in the order in which they run.
const RULES: [Rule; 7] = [
    ("arrows", arrows::check),
    ("sizes", sizes::check),
    ("unsafety", unsafety::check),
    ("names", names::check),
    ("format", format::check),
    ("docs", docs::check),
    ("regressions", regressions::check),
];

/// Everything that the rules look at.
pub(crate) struct Tree {
    members: Vec<Member>,
    /// All paths, sorted.
    paths: Vec<String>,
    /// Those of them that are text, sorted by path.
    texts: Vec<TextFile>,
}

/// One file of UTF-8 text.
pub(crate) struct TextFile {
    path: String,
    text: String,
}

/// What the rules found.
#[derive(Default)]
pub(crate) struct Findings {
    problems: Vec<Finding>,
    warnings: Vec<Finding>,
    notes: Vec<String>,
}

/// One place that breaks a rule.
pub(crate) struct Finding {
    path: String,
    /// Counted from 1; 0 means the file as a whole.
    line: usize,
    message: String,
}

/// Runs every rule on the checkout; problems make it fail, warnings do not.
///
/// With `bless_format` the hashes in the format document are rewritten first.
pub(crate) fn run(bless_format: bool) -> Outcome<()> {
    let workspace = Workspace::load()?;
    let mut tree = Tree::load(&workspace)?;
    if bless_format {
        let report = format::bless(&workspace.root, &tree)?;
        println!("{report}");
        tree = Tree::load(&workspace)?;
    }
    let mut failed = 0;
    for (name, check) in RULES {
        let mut findings = Findings::default();
        check(&tree, &mut findings);
        print_findings(name, &findings);
        failed += findings.problems.len();
    }
    println!("tidy: {} rules, {} files, {failed} problems", RULES.len(), tree.paths.len());
    if failed == 0 { Ok(()) } else { Err(format!("tidy found {failed} problems").into()) }
}

fn print_findings(rule: &str, findings: &Findings) {
    for note in &findings.notes {
        println!("tidy: {rule}: {note}");
    }
    for warning in &findings.warnings {
        println!("warning: [{rule}] {warning}");
    }
    for problem in &findings.problems {
        println!("error: [{rule}] {problem}");
    }
}

impl Tree {
    fn load(workspace: &Workspace) -> Outcome<Self> {
        let paths = workspace.files()?;
        let mut texts = Vec::new();
        for path in &paths {
            let bytes =
                std::fs::read(workspace.root.join(path)).map_err(|error| format!("{path}: {error}"))?;
            if bytes.contains(&0) {
                continue;
            }
            if let Ok(text) = String::from_utf8(bytes) {
                texts.push(TextFile { path: path.clone(), text });
            }
        }
        Ok(Self { members: workspace.members.clone(), paths, texts })
    }

    /// The text at `path`.
    fn text(&self, path: &str) -> Option<&str> {
        let at = self.texts.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        Some(&self.texts[at].text)
    }

    /// The Rust files.
    fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.texts.iter().filter(|file| file.is_rust())
    }

    #[cfg(test)]
    fn fixture(members: Vec<Member>, files: &[(&str, &str)]) -> Self {
        let mut texts: Vec<TextFile> = files
            .iter()
            .map(|(path, text)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        Self { members, paths: texts.iter().map(|file| file.path.clone()).collect(), texts }
    }
}

impl TextFile {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

impl Findings {
    fn problem(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.problems.push(Finding { path: path.to_owned(), line, message: message.into() });
    }

    fn warning(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Finding { path: path.to_owned(), line: 0, message: message.into() });
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// The problems as lines, for assertions.
    #[cfg(test)]
    fn of(check: fn(&Tree, &mut Self), tree: &Tree) -> Vec<String> {
        let mut findings = Self::default();
        check(tree, &mut findings);
        findings.problems.iter().map(Finding::to_string).collect()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.message)
        } else {
            write!(f, "{}:{}: {}", self.path, self.line, self.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_path() {
        let tree = Tree::fixture(Vec::new(), &[("b.md", "two"), ("a.rs", "one"), ("c/d.rs", "three")]);
        assert_eq!(tree.text("b.md"), Some("two"));
        assert_eq!(tree.text("absent"), None);
        assert_eq!(tree.rust().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.rs", "c/d.rs"]);
    }

    #[test]
    fn findings_name_file_and_line() {
        let mut findings = Findings::default();
        findings.problem("a.rs", 7, "too long");
        findings.problem("a.rs", 0, "missing");
        let shown: Vec<String> = findings.problems.iter().map(Finding::to_string).collect();
        assert_eq!(shown, ["a.rs:7: too long", "a.rs: missing"]);
    }
}
