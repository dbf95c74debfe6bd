//! Sizes that a reader can hold in mind: files, functions, and tests against production.

use super::tokens::{each_level, group, is_word, item_end, lex, line};
use super::{Findings, TextFile, Tree};
use proc_macro2::{Delimiter, TokenTree};
use std::ops::RangeInclusive;

/// The most lines in a file.
const FILE_LINES_MAX: usize = 600;
/// The most lines in a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// The median file length to aim at.
const MEDIAN_GOAL: usize = 150;
/// Test lines per production line to aim at.
const TEST_RATIO_GOAL: f64 = 0.8;

/// Checks every Rust file; prints the median and, per library crate, the share of tests.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let mut lengths = Vec::new();
    let mut counts = vec![Count::default(); tree.members.len()];
    for file in tree.rust() {
        let length = file.text.lines().count();
        lengths.push(length);
        if length > FILE_LINES_MAX {
            findings.problem(&file.path, 0, format!("{length} lines, at most {FILE_LINES_MAX}: split it"));
        }
        let tokens = match lex(&file.text) {
            Ok(tokens) => tokens,
            Err(error) => {
                findings.problem(&file.path, 0, error);
                continue;
            }
        };
        for function in long_functions(&tokens) {
            findings.problem(&file.path, function.line, function.message());
        }
        let owner = tree.members.iter().position(|member| below(&file.path, &member.folder));
        if let Some(at) = owner {
            counts[at].add(file, &tree.members[at].folder, &tokens);
        }
    }
    for (member, count) in tree.members.iter().zip(&counts).filter(|(member, _)| member.is_library) {
        let ratio = count.test as f64 / count.production.max(1) as f64;
        if ratio < TEST_RATIO_GOAL {
            let message = format!(
                "{} test lines for {} production lines: {ratio:.2}, aim at {TEST_RATIO_GOAL}",
                count.test, count.production
            );
            findings.warning(&member.folder, message);
        }
    }
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    let longest = lengths.last().copied().unwrap_or(0);
    findings.note(format!("file median {median} lines (aim at <= {MEDIAN_GOAL}), longest {longest}"));
}

/// A function over the limit.
struct LongFunction {
    name: String,
    line: usize,
    lines: usize,
}

impl LongFunction {
    fn message(&self) -> String {
        format!("function {} has {} lines, at most {FUNCTION_LINES_MAX}", self.name, self.lines)
    }
}

fn long_functions(tokens: &[TokenTree]) -> Vec<LongFunction> {
    let mut long = Vec::new();
    each_level(tokens, &mut |level| {
        for (at, pair) in level.windows(2).enumerate() {
            // A function pointer type has a parenthesis after `fn`, an item its name.
            let [keyword, TokenTree::Ident(name)] = pair else { continue };
            if !is_word(keyword, "fn") {
                continue;
            }
            let Some((end, true)) = item_end(&level[at..]) else { continue };
            let lines = end + 1 - line(keyword);
            if lines > FUNCTION_LINES_MAX {
                long.push(LongFunction { name: name.to_string(), line: line(keyword), lines });
            }
        }
    });
    long
}

/// Lines of one crate that are neither blank nor outside both kinds (benches, examples).
#[derive(Clone, Copy, Default)]
struct Count {
    production: usize,
    test: usize,
}

impl Count {
    fn add(&mut self, file: &TextFile, folder: &str, tokens: &[TokenTree]) {
        let inside = file.path.strip_prefix(folder).unwrap_or(&file.path).trim_start_matches('/');
        if inside.starts_with("examples/") || inside.starts_with("benches/") {
            return;
        }
        let all_test = inside.split('/').any(|part| matches!(part, "tests" | "testing" | "tests.rs"));
        let spans = if all_test { Vec::new() } else { test_spans(tokens) };
        for (at, _) in file.text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            if all_test || spans.iter().any(|span| span.contains(&(at + 1))) {
                self.test += 1;
            } else {
                self.production += 1;
            }
        }
    }
}

/// The lines of items under `#[cfg(test)]` or `#[test]`.
fn test_spans(tokens: &[TokenTree]) -> Vec<RangeInclusive<usize>> {
    let mut spans = Vec::new();
    each_level(tokens, &mut |level| {
        for (at, pair) in level.windows(2).enumerate() {
            let attribute = group(&pair[1], Delimiter::Bracket);
            let marked = attribute.is_some_and(|group| {
                let text = group.stream().to_string().replace(' ', "");
                text == "test" || text == "cfg(test)" || text.starts_with("cfg(all(test")
            });
            if marked && let Some((end, _)) = item_end(&level[at + 2..]) {
                spans.push(line(&pair[0])..=end);
            }
        }
    });
    spans
}

fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    fn function(body_lines: usize) -> String {
        format!("fn big() {{\n{}}}\n", "    step();\n".repeat(body_lines))
    }

    #[test]
    fn a_function_of_seventy_lines_passes_and_one_more_fails() {
        let passes = function(FUNCTION_LINES_MAX - 2);
        let fails = function(FUNCTION_LINES_MAX - 1);
        assert!(Findings::of(check, &Tree::fixture(vec![], &[("a.rs", &passes)])).is_empty());
        let found = Findings::of(check, &Tree::fixture(vec![], &[("a.rs", &fails)]));
        assert_eq!(found, ["a.rs:1: function big has 71 lines, at most 70"]);
    }

    #[test]
    fn functions_inside_impls_and_macros_count() {
        let text = format!("impl A {{\nproptest! {{\n#[test]\n{}}}\n}}\n", function(100));
        let found = Findings::of(check, &Tree::fixture(vec![], &[("a.rs", &text)]));
        assert_eq!(found, ["a.rs:4: function big has 102 lines, at most 70"]);
    }

    #[test]
    fn pointer_types_and_words_in_text_do_not_count() {
        let body = "    // fn big() {\n    \"fn big() {\";\n".repeat(60);
        let text = format!("const C: fn(u8) -> u8 = id;\nmod m {{\n{body}}}\n");
        assert!(Findings::of(check, &Tree::fixture(vec![], &[("a.rs", &text)])).is_empty());
    }

    #[test]
    fn a_long_file_fails() {
        let text = "// line\n".repeat(FILE_LINES_MAX + 1);
        let found = Findings::of(check, &Tree::fixture(vec![], &[("a.rs", &text)]));
        assert_eq!(found, ["a.rs: 601 lines, at most 600: split it"]);
    }

    #[test]
    fn test_lines_are_told_from_production() {
        let text =
            "fn a() {}\n\nfn b() {}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n\n}\n#[cfg(test)]\nmod d;\n";
        let mut count = Count::default();
        let add = |count: &mut Count, path: &str| {
            let file = TextFile { path: path.to_owned(), text: text.to_owned() };
            count.add(&file, "crate", &lex(text).expect("it is Rust"));
        };
        add(&mut count, "crate/src/a.rs");
        assert_eq!((count.production, count.test), (2, 6));
        add(&mut count, "crate/tests/it/main.rs");
        add(&mut count, "crate/src/a/tests.rs");
        assert_eq!((count.production, count.test), (2, 22));
        add(&mut count, "crate/examples/e.rs");
        assert_eq!((count.production, count.test), (2, 22));
    }

    #[test]
    fn few_tests_are_a_warning_only() {
        let member = Member { folder: "c".to_owned(), is_library: true, ..Member::default() };
        let mut findings = Findings::default();
        check(&Tree::fixture(vec![member], &[("c/src/lib.rs", "fn a() {}\n")]), &mut findings);
        assert!(findings.problems.is_empty());
        assert_eq!(findings.warnings.len(), 1);
        assert_eq!(findings.notes, ["file median 1 lines (aim at <= 150), longest 1"]);
    }
}
