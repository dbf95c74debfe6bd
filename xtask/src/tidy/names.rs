//! Names that say nothing, and words that must not reach a reader.

use super::{Findings, TextFile, Tree};

/// Module names that collect whatever has no home.
const MODULES: [&str; 8] = ["utils", "util", "common", "helpers", "misc", "types", "base", "v2"];

/// Marks of unfinished work; written in two halves so that this file passes its own rule.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// An absolute path that exists on one machine only.
const MACHINE_PATH: &str = concat!("/wo", "rk/");

/// Data beside the checkout, which only tests and benchmarks may look for (and must do without).
const OUTSIDE_DATA: &str = concat!("../sha", "red");

/// Endings of data files, whose words are their authors'.
const DATA: [&str; 5] = [".jsonl", ".csv", ".tsv", ".json", ".lock"];

/// Checks module names, forbidden words and the characters of Rust files.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for file in &tree.texts {
        if file.is_rust() {
            check_module_name(&file.path, findings);
            check_inline_modules(file, findings);
            check_ascii(file, findings);
        }
        check_words(file, findings);
    }
}

fn check_module_name(path: &str, findings: &mut Findings) {
    for part in path.trim_end_matches(".rs").split('/') {
        if MODULES.contains(&part) {
            findings.problem(
                path,
                0,
                format!("module name '{part}' says nothing: name it after what it does"),
            );
        }
    }
}

fn check_inline_modules(file: &TextFile, findings: &mut Findings) {
    for (at, line) in file.text.lines().enumerate() {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let name = match (words.next(), words.next()) {
            (Some("mod"), Some(name)) => name.trim_end_matches(';').trim_end_matches('{'),
            _ => continue,
        };
        if MODULES.contains(&name) {
            findings.problem(&file.path, at + 1, format!("module name '{name}' says nothing"));
        }
    }
}

fn check_ascii(file: &TextFile, findings: &mut Findings) {
    for (at, line) in file.text.lines().enumerate() {
        if let Some(odd) = line.chars().find(|c| !c.is_ascii()) {
            findings.problem(&file.path, at + 1, format!("non-ASCII character U+{:04X}", u32::from(odd)));
        }
    }
}

fn check_words(file: &TextFile, findings: &mut Findings) {
    let data = DATA.iter().any(|ending| file.path.ends_with(ending));
    let may_look_outside = file.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
    for (at, line) in file.text.lines().enumerate() {
        let mut forbid =
            |word: &str| findings.problem(&file.path, at + 1, format!("forbidden text '{word}'"));
        if line.contains(MACHINE_PATH) {
            forbid(MACHINE_PATH);
        }
        if !may_look_outside && line.contains(OUTSIDE_DATA) {
            forbid(OUTSIDE_DATA);
        }
        for mark in MARKS.into_iter().filter(|mark| !data && has_word(line, mark)) {
            forbid(mark);
        }
    }
}

/// Whether `word` stands in `line` with no letter, digit or underscore next to it.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        Findings::of(check, &Tree::fixture(vec![], &[(path, text)]))
    }

    #[test]
    fn empty_names_fail_as_file_folder_and_inline_module() {
        for path in ["a/src/utils.rs", "a/src/common/one.rs", "a/tests/it/helpers.rs", "a/src/x/v2.rs"] {
            assert_eq!(problems(path, "").len(), 1, "{path}");
        }
        assert_eq!(
            problems("a.rs", "pub(crate) mod misc {\n}\n"),
            ["a.rs:1: module name 'misc' says nothing"]
        );
        assert_eq!(problems("a.rs", "mod types;\n").len(), 1);
        assert!(problems("a/src/database.rs", "mod basement;\nlet util = 1;\n").is_empty());
        assert!(problems("a/utils.md", "").is_empty(), "only modules are named");
    }

    #[test]
    fn marks_of_unfinished_work_fail_as_words_only() {
        for mark in MARKS {
            assert_eq!(problems("a.md", &format!("see {mark}: later")).len(), 1, "{mark}");
            assert!(problems("a.md", &format!("see {mark}S and a_{mark}")).is_empty(), "{mark}");
            assert!(problems("sample.jsonl", mark).is_empty(), "{mark}");
        }
    }

    #[test]
    fn paths_of_one_machine_fail_everywhere() {
        let text = format!("cd {MACHINE_PATH}here\n");
        assert_eq!(problems("a.sh", &text).len(), 1);
        assert_eq!(problems("a/tests/it/main.rs", &text).len(), 1);
        assert!(problems("a.md", "vectra-bench/src/workload/insert").is_empty());
    }

    #[test]
    fn data_outside_is_for_tests_and_benches() {
        let text = format!("let folder = \"{OUTSIDE_DATA}/data\";\n");
        assert_eq!(problems("a/src/lib.rs", &text).len(), 1);
        assert!(problems("a/tests/it/real.rs", &text).is_empty());
        assert!(problems("a/benches/scan.rs", &text).is_empty());
    }

    #[test]
    fn rust_is_ascii_and_prose_need_not_be() {
        assert_eq!(problems("a.rs", "// caf\u{e9}\n"), ["a.rs:1: non-ASCII character U+00E9"]);
        assert!(problems("a.md", "caf\u{e9}\n").is_empty());
    }
}
