//! Documents that must exist and agree with the workspace.

use super::{Findings, Tree};

const README: &str = "README.md";
const GLOSSARY: &str = "docs/glossary.md";
const CI_SCRIPT: &str = ".ci/run";
const DECISIONS: &str = "docs/decisions/";

/// Libraries that need no example of their own: the core is shown by every other crate's.
const EXAMPLE_OPTIONAL: [&str; 1] = ["vectra-core"];

/// Checks the README's table and commands, each library's own README and example, the glossary, and the
/// numbers of the decisions.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    match tree.text(README) {
        Some(readme) => {
            check_table(tree, readme, findings);
            check_commands(tree, readme, findings);
        }
        None => findings.problem(README, 0, "missing"),
    }
    check_libraries(tree, findings);
    if tree.text(GLOSSARY).is_none() {
        findings.problem(GLOSSARY, 0, "missing");
    }
    check_decisions(tree, findings);
}

/// The rows of the README's crate table name the members' folders, each once, and nothing else.
fn check_table(tree: &Tree, readme: &str, findings: &mut Findings) {
    let rows = table_rows(readme);
    if rows.is_empty() {
        findings.problem(README, 0, "no table whose first column is headed 'crate'");
        return;
    }
    for member in &tree.members {
        match rows.iter().filter(|(_, name)| *name == member.folder).count() {
            0 => findings.problem(README, rows[0].0, format!("the crate table lacks `{}`", member.folder)),
            1 => {}
            _ => findings.problem(README, rows[0].0, format!("the crate table repeats `{}`", member.folder)),
        }
    }
    for (line, name) in rows {
        if tree.members.iter().all(|member| member.folder != name) {
            findings.problem(README, line, format!("`{name}` is not a workspace member"));
        }
    }
}

/// Line and first backticked word of each row of the table headed 'crate'.
fn table_rows(readme: &str) -> Vec<(usize, &str)> {
    let is_header = |line: &str| {
        let cell = line.strip_prefix('|').and_then(|rest| rest.split('|').next()).unwrap_or_default();
        cell.trim().trim_matches('`').eq_ignore_ascii_case("crate")
    };
    let mut lines = readme.lines().enumerate().skip_while(|(_, line)| !is_header(line)).skip(2);
    let mut rows = Vec::new();
    while let Some((at, line)) = lines.next().filter(|(_, line)| line.starts_with('|')) {
        let cell = line[1..].split('|').next().unwrap_or_default().trim();
        let name = cell.split('`').nth(1).unwrap_or(cell);
        rows.push((at + 1, name));
    }
    rows
}

/// The first two lines starting with `cargo ` are the demonstration and the tests; CI runs the second.
fn check_commands(tree: &Tree, readme: &str, findings: &mut Findings) {
    let mut commands = readme.lines().filter(|line| line.starts_with("cargo ")).map(str::trim_end);
    let (Some(_), Some(tests)) = (commands.next(), commands.next()) else {
        findings.problem(
            README,
            0,
            "fewer than two lines start with 'cargo ' (the demonstration, the tests)",
        );
        return;
    };
    let script = tree.text(CI_SCRIPT).unwrap_or_default();
    let runs = |line: &str| line.trim().trim_start_matches("exec ") == tests;
    if !script.lines().any(runs) {
        findings.problem(CI_SCRIPT, 0, format!("does not run the README's test command '{tests}'"));
    }
}

fn check_libraries(tree: &Tree, findings: &mut Findings) {
    for member in tree.members.iter().filter(|member| member.is_library) {
        let readme = format!("{}/README.md", member.folder);
        if tree.text(&readme).is_none() {
            findings.problem(&readme, 0, "missing: every library crate has one");
        }
        let examples = format!("{}/examples/", member.folder);
        let shown = tree.rust().any(|file| file.path.starts_with(&examples));
        if !shown && !EXAMPLE_OPTIONAL.contains(&member.name.as_str()) {
            findings.problem(&examples, 0, "no example: a library crate proves that it stands alone");
        }
    }
}

/// Decisions are `NNNN-title.md`, counted from 0001 without a gap or a double.
fn check_decisions(tree: &Tree, findings: &mut Findings) {
    let mut next = 1;
    for path in tree.paths.iter().filter(|path| path.starts_with(DECISIONS)) {
        let name = &path[DECISIONS.len()..];
        match decision_number(name) {
            Some(number) if number == next => next += 1,
            Some(number) => {
                findings.problem(path, 0, format!("decision {number:04} where {next:04} is due"));
                next = number + 1;
            }
            None => findings.problem(path, 0, "a decision is named NNNN-title-in-lower-case.md"),
        }
    }
}

fn decision_number(name: &str) -> Option<u32> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let digits = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if digits && !title.is_empty() && title.bytes().all(plain) { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    const GOOD_README: &str = "# V\n\n    cargo no\ncargo run demo\ncargo xtask ci\ncargo more\n\n\
        | crate | what |\n|---|---|\n| [`vectra-wal`](vectra-wal) | log |\n| `xtask` | tasks |\n\n| `other` | table |\n";

    fn members() -> Vec<Member> {
        let member = |name: &str, is_library: bool| Member {
            name: name.to_owned(),
            folder: name.to_owned(),
            is_library,
            ..Member::default()
        };
        vec![member("vectra-wal", true), member("xtask", false)]
    }

    /// A tree that passes, with some files replaced; an empty text removes the file.
    fn problems(changes: &[(&str, &str)]) -> Vec<String> {
        let mut files = vec![
            (README, GOOD_README),
            (GLOSSARY, "words\n"),
            (CI_SCRIPT, "cd here\nexec cargo xtask ci\n"),
            ("docs/decisions/0001-one.md", "a\n"),
            ("docs/decisions/0002-two-more.md", "b\n"),
            ("vectra-wal/README.md", "log\n"),
            ("vectra-wal/examples/log.rs", "fn main() {}\n"),
        ];
        for change in changes {
            files.retain(|(path, _)| path != &change.0);
            files.extend(Some(*change).filter(|(_, text)| !text.is_empty()));
        }
        Findings::of(check, &Tree::fixture(members(), &files))
    }

    #[test]
    fn a_complete_set_passes() {
        assert_eq!(problems(&[]), Vec::<String>::new());
    }

    #[test]
    fn the_table_is_the_member_list() {
        let lacks = GOOD_README.replace("| `xtask` | tasks |\n", "");
        assert_eq!(problems(&[(README, &lacks)]), ["README.md:10: the crate table lacks `xtask`"]);
        let extra = GOOD_README.replace("| `xtask` |", "| `ghost` | x |\n| `xtask` |");
        assert_eq!(problems(&[(README, &extra)]), ["README.md:11: `ghost` is not a workspace member"]);
        let double = GOOD_README.replace("| `xtask` |", "| `xtask` | x |\n| `xtask` |");
        assert_eq!(problems(&[(README, &double)]).len(), 1);
        let none = GOOD_README.replace("| crate |", "| thing |");
        assert!(problems(&[(README, &none)])[0].contains("no table"));
    }

    #[test]
    fn the_second_command_is_what_ci_runs() {
        assert!(problems(&[(CI_SCRIPT, "cargo test\n")])[0].contains("cargo xtask ci"));
        assert_eq!(problems(&[(CI_SCRIPT, "")]).len(), 1);
        let one = GOOD_README.replace("cargo xtask ci\ncargo more\n", "");
        assert!(problems(&[(README, &one)])[0].contains("fewer than two"));
    }

    #[test]
    fn libraries_have_a_readme_and_an_example() {
        assert_eq!(problems(&[("vectra-wal/README.md", "")]).len(), 1);
        assert!(problems(&[("vectra-wal/examples/log.rs", "")])[0].contains("no example"));
    }

    #[test]
    fn missing_documents_are_named() {
        assert_eq!(problems(&[(README, "")]), ["README.md: missing"]);
        assert_eq!(problems(&[(GLOSSARY, "")]), ["docs/glossary.md: missing"]);
    }

    #[test]
    fn decisions_are_numbered_without_gaps() {
        assert!(problems(&[("docs/decisions/0001-one.md", "")])[0].contains("decision 0002 where 0001"));
        assert!(problems(&[("docs/decisions/0002-again.md", "x\n")])[0].contains("0002 where 0003"));
        for bad in ["3-short.md", "0003.md", "0003-.md", "0003-Upper.md", "0003-x.txt", "README.md"] {
            let path = format!("{DECISIONS}{bad}");
            assert_eq!(problems(&[(path.as_str(), "x\n")]).len(), 1, "{bad}");
        }
    }
}
