//! The format document is tied to the code that writes the bytes: a line
//! `<!-- tied: PATH HASH -->` in docs/format.md for each file that defines a layout.
//!
//! Change the layout and the hash no longer matches; read the document, correct it, then run
//! `cargo xtask tidy --bless-format`.

use super::{Findings, Tree};
use crate::Outcome;
use std::fmt::Write as _;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// The document.
const DOCUMENT: &str = "docs/format.md";
/// Names of the files that define layouts.
const LAYOUT_FILES: [&str; 4] = ["format.rs", "frame.rs", "toc.rs", "header.rs"];
/// Members that read other people's formats but define none of ours.
const PROGRAMS: [&str; 3] = ["vectra-cli", "vectra-bench", "xtask"];
const TIE_START: &str = "<!-- tied: ";
const TIE_END: &str = " -->";

/// Checks that each layout file has exactly its own tie and that no tie is left over.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let expected = expected_ties(tree);
    let Some(document) = tree.text(DOCUMENT) else {
        if !expected.is_empty() {
            findings.problem(DOCUMENT, 0, "missing, though there are files that define formats");
        }
        return;
    };
    for tie in &expected {
        let found: Vec<Tie> = ties(document).filter(|found| found.path == tie.path).collect();
        match found.as_slice() {
            [] => {
                let message = format!("{} is not described: add a section with '{}'", tie.path, tie.line());
                findings.problem(DOCUMENT, 0, message);
            }
            [one] if one.hash == tie.hash => {}
            [one] => {
                let message = format!(
                    "{} has changed since this was written: read both, correct the text, then run \
                     `cargo xtask tidy --bless-format`",
                    tie.path
                );
                findings.problem(DOCUMENT, one.at, message);
            }
            [_, second, ..] => findings.problem(DOCUMENT, second.at, format!("{} is tied twice", tie.path)),
        }
    }
    for tie in ties(document).filter(|tie| expected.iter().all(|other| other.path != tie.path)) {
        findings.problem(DOCUMENT, tie.at, format!("{} does not exist: remove its tie", tie.path));
    }
}

/// Rewrites the ties of the document in `root`; returns what it did, one line each.
pub(super) fn bless(root: &Path, tree: &Tree) -> Outcome<String> {
    let document = tree.text(DOCUMENT).ok_or_else(|| format!("{DOCUMENT} is missing: write it first"))?;
    let (text, report) = blessed(document, &expected_ties(tree));
    std::fs::write(root.join(DOCUMENT), text).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    Ok(report)
}

/// The document with every tie made true: hashes rewritten in place, dead ties removed, missing ones added
/// at the end, each with a line of the report.
fn blessed(document: &str, expected: &[Tie]) -> (String, String) {
    let mut text = String::new();
    let mut report = String::new();
    for line in document.lines() {
        let Some(tie) = parse_tie(line, 0) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        match expected.iter().find(|other| other.path == tie.path) {
            Some(now) => {
                text.push_str(&now.line());
                text.push('\n');
                if now.hash != tie.hash {
                    let _ = writeln!(report, "blessed: {}", tie.path);
                }
            }
            None => {
                let _ = writeln!(report, "removed: {} is gone", tie.path);
            }
        }
    }
    for tie in expected.iter().filter(|tie| ties(document).all(|old| old.path != tie.path)) {
        text.push_str(&tie.line());
        text.push('\n');
        let _ =
            writeln!(report, "added at the end: {}; move the tie to the section that describes it", tie.path);
    }
    if report.is_empty() {
        report.push_str("format: every tie was true already");
    }
    (text, report.trim_end().to_owned())
}

/// A line of the document, or the line that should be there.
struct Tie {
    path: String,
    hash: String,
    at: usize,
}

impl Tie {
    fn line(&self) -> String {
        format!("{TIE_START}{} {}{TIE_END}", self.path, self.hash)
    }
}

fn parse_tie(line: &str, at: usize) -> Option<Tie> {
    let (path, hash) = line.trim().strip_prefix(TIE_START)?.strip_suffix(TIE_END)?.trim().rsplit_once(' ')?;
    Some(Tie { path: path.trim().to_owned(), hash: hash.to_owned(), at })
}

fn ties(document: &str) -> impl Iterator<Item = Tie> {
    document.lines().enumerate().filter_map(|(at, line)| parse_tie(line, at + 1))
}

fn expected_ties(tree: &Tree) -> Vec<Tie> {
    let is_layout = |path: &str| {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        LAYOUT_FILES.contains(&file)
            && format!("{folder}/").contains("/src/")
            && tree.members.iter().any(|member| {
                !PROGRAMS.contains(&member.name.as_str())
                    && path.strip_prefix(&member.folder).is_some_and(|rest| rest.starts_with('/'))
            })
    };
    tree.rust()
        .filter(|file| is_layout(&file.path))
        .map(|file| Tie { path: file.path.clone(), hash: hash(&file.text), at: 0 })
        .collect()
}

/// The hash of what a file does: indentation, blank lines, comments and tests do not change it.
fn hash(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect();
    format!("{:016x}", xxh3_64(lines.join("\n").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    const PATH: &str = "vectra-wal/src/frame.rs";
    const CODE: &str = "const MAGIC: u32 = 1;\n";

    fn tree(code: &str, document: &str) -> Tree {
        let member =
            |name: &str| Member { name: name.to_owned(), folder: name.to_owned(), ..Member::default() };
        let files =
            [(PATH, code), (DOCUMENT, document), ("xtask/src/tidy/format.rs", ""), ("a/src/format.rs", "")];
        Tree::fixture(vec![member("vectra-wal"), member("xtask")], &files)
    }

    fn tie() -> String {
        format!("# Frames\n<!-- tied: {PATH} {} -->\ntext\n", hash(CODE))
    }

    #[test]
    fn a_true_tie_passes_and_only_members_formats_count() {
        assert!(Findings::of(check, &tree(CODE, &tie())).is_empty());
    }

    #[test]
    fn a_missing_tie_is_named_with_the_line_to_add() {
        let found = Findings::of(check, &tree(CODE, "# Frames\n"));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(&format!("<!-- tied: {PATH} {} -->", hash(CODE))), "{found:?}");
    }

    #[test]
    fn a_changed_layout_fails_and_comments_tests_and_blanks_do_not() {
        let same = "// why\n\n    const MAGIC: u32 = 1;\n#[cfg(test)]\nmod tests {}\n";
        assert!(Findings::of(check, &tree(same, &tie())).is_empty());
        let found = Findings::of(check, &tree("const MAGIC: u32 = 2;\n", &tie()));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/format.md:2: ") && found[0].contains("has changed"), "{found:?}");
    }

    #[test]
    fn dead_and_double_ties_fail() {
        let dead = format!("{}<!-- tied: gone.rs 00 -->\n", tie());
        assert!(Findings::of(check, &tree(CODE, &dead))[0].contains("gone.rs does not exist"));
        let double = format!("{}{}", tie(), tie());
        assert!(Findings::of(check, &tree(CODE, &double))[0].contains("tied twice"));
    }

    #[test]
    fn a_missing_document_fails() {
        let mut tree = tree(CODE, "");
        tree.texts.retain(|file| file.path != DOCUMENT);
        assert!(Findings::of(check, &tree)[0].starts_with("docs/format.md: missing"));
    }

    #[test]
    fn blessing_makes_every_tie_true_and_keeps_the_prose() {
        let stale = format!("# A\n<!-- tied: {PATH} 0123 -->\ntext\n<!-- tied: gone.rs 00 -->\n");
        for document in [stale.as_str(), "# A\ntext\n"] {
            let (text, report) = blessed(document, &expected_ties(&tree(CODE, document)));
            assert!(Findings::of(check, &tree(CODE, &text)).is_empty(), "{text}");
            assert!(text.starts_with("# A\n") && text.contains("\ntext\n"), "{text}");
            assert!(report.contains(PATH), "{report}");
        }
        let (text, report) = blessed(&tie(), &expected_ties(&tree(CODE, "")));
        assert_eq!((text, report.as_str()), (tie(), "format: every tie was true already"));
    }
}
