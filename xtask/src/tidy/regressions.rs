//! The page of regressions: every test it names exists, and every test named as a regression is on it.

use std::collections::BTreeMap;

use super::{Findings, Tree};

const PAGE: &str = "docs/regressions.md";
/// How the names of such tests begin.
const PREFIX: &str = "regress_";

/// Checks that the last column of each row names tests that are in the source, and that none is left out.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let Some(page) = tree.text(PAGE) else {
        findings.problem(PAGE, 0, "missing");
        return;
    };
    let tests = tests(tree);
    let mut named = Vec::new();
    for (at, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let cell = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let is_head = cell.trim() == "test" || cell.trim().trim_matches('-').is_empty();
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !is_head {
            findings.problem(PAGE, at + 1, "the row names no test");
        }
        for name in &names {
            if !tests.contains_key(name) {
                findings.problem(PAGE, at + 1, format!("there is no test `{name}`"));
            }
        }
        named.extend(names);
    }
    for (name, (path, line)) in tests {
        if name.starts_with(PREFIX) && !named.contains(&name) {
            findings.problem(path, line, format!("`{name}` is not on {PAGE}"));
        }
    }
}

/// The functions behind `#[test]`, with their places.
fn tests(tree: &Tree) -> BTreeMap<&str, (&str, usize)> {
    let mut found = BTreeMap::new();
    for file in tree.rust() {
        let mut is_test = false;
        for (at, line) in file.text.lines().enumerate() {
            let line = line.trim_start();
            is_test |= line == "#[test]";
            if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.insert(&rest[..end], (file.path.as_str(), at + 1));
                is_test = false;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "fn helper() {}\n#[test]\nfn regress_a_1() {}\n    #[test]\n    #[ignore]\n    fn plain() {}\n";

    fn problems(page: &str) -> Vec<String> {
        Findings::of(check, &Tree::fixture(Vec::new(), &[(PAGE, page), ("a/tests/it/x.rs", SOURCE)]))
    }

    #[test]
    fn tests_on_the_page_exist_and_regressions_are_on_it() {
        let page = "# T\n\n| report | why | test |\n|---|---|---|\n| A 1 | `x` | `regress_a_1`, `plain` |\n";
        assert_eq!(problems(page), Vec::<String>::new());
        let gone = page.replace("`plain`", "`helper`");
        assert_eq!(problems(&gone), [format!("{PAGE}:5: there is no test `helper`")]);
        let unnamed = page.replace("`regress_a_1`, ", "");
        assert_eq!(problems(&unnamed), [format!("a/tests/it/x.rs:3: `regress_a_1` is not on {PAGE}")]);
        let empty = format!("{page}| B 2 | why | none |\n");
        assert_eq!(problems(&empty), [format!("{PAGE}:6: the row names no test")]);
    }

    #[test]
    fn the_page_is_missed() {
        assert_eq!(Findings::of(check, &Tree::fixture(Vec::new(), &[])), [format!("{PAGE}: missing")]);
    }
}
