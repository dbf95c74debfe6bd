//! `unsafe` only where the architecture allows it, each use with its reason, forbidden everywhere else.

use super::tokens::{each_level, group, is_word, lex, line};
use super::{Findings, Tree};
use proc_macro2::{Delimiter, TokenTree};

/// Lines above an `unsafe` block in which its comment must stand.
const COMMENT_REACH: usize = 8;

/// Crates that hold some of the allowed files; all others forbid `unsafe` at their root.
const CRATES_WITH_UNSAFE: [&str; 2] = ["vectra-core", "vectra-quant"];

/// Checks every Rust file and every crate root.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust() {
        // What cannot be lexed is reported by the rule on sizes.
        let Ok(tokens) = lex(&file.text) else { continue };
        let lines: Vec<&str> = file.text.lines().collect();
        for use_of in uses(&tokens) {
            if !allowed(&file.path) {
                findings.problem(&file.path, use_of.line, "unsafe outside the allowed files");
            } else if use_of.needs_comment && !has_comment(&lines, use_of.line) {
                let message = format!("unsafe without a SAFETY comment in the {COMMENT_REACH} lines before");
                findings.problem(&file.path, use_of.line, message);
            }
        }
    }
    for member in tree.members.iter().filter(|member| !CRATES_WITH_UNSAFE.contains(&member.name.as_str())) {
        for root in &member.roots {
            let text = tree.text(root).unwrap_or_default();
            if !text.lines().any(|text| text.trim() == "#![forbid(unsafe_code)]") {
                findings.problem(root, 0, "the crate root lacks #![forbid(unsafe_code)]");
            }
        }
    }
}

/// The one list of places.
fn allowed(path: &str) -> bool {
    const FILES: [&str; 4] = [
        "vectra-core/src/distance/kernel.rs",
        "vectra-core/src/memory.rs",
        "vectra-core/src/io/os.rs",
        "vectra-core/src/vector/chunk.rs",
    ];
    let quant_kernel = path.strip_prefix("vectra-quant/src/").is_some_and(|inside| {
        let (folders, file) = inside.rsplit_once('/').unwrap_or(("", inside));
        file.starts_with("kernel") || folders.split('/').any(|folder| folder == "kernel")
    });
    FILES.contains(&path) || path.starts_with("vectra-core/src/distance/kernel/") || quant_kernel
}

/// One `unsafe` in the code.
struct Use {
    line: usize,
    /// Blocks and impls assert something; `unsafe fn` only asks it of the caller.
    needs_comment: bool,
}

fn uses(tokens: &[TokenTree]) -> Vec<Use> {
    let mut found = Vec::new();
    each_level(tokens, &mut |level| {
        for (at, token) in level.iter().enumerate().filter(|(_, token)| is_word(token, "unsafe")) {
            let next = level.get(at + 1);
            let block = next.and_then(|token| group(token, Delimiter::Brace)).is_some();
            let implementation = next.is_some_and(|token| is_word(token, "impl"));
            // `#[unsafe(no_mangle)]` is as much an assertion as a block.
            let attribute = next.and_then(|token| group(token, Delimiter::Parenthesis)).is_some();
            found.push(Use { line: line(token), needs_comment: block || implementation || attribute });
        }
    });
    found
}

fn has_comment(lines: &[&str], line: usize) -> bool {
    let last = line.min(lines.len());
    let first = line.saturating_sub(COMMENT_REACH + 1);
    lines[first..last].iter().any(|text| text.contains("// SAFETY:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    const KERNEL: &str = "vectra-core/src/distance/kernel/x86_64.rs";

    fn problems(path: &str, text: &str) -> Vec<String> {
        Findings::of(check, &Tree::fixture(vec![], &[(path, text)]))
    }

    #[test]
    fn places_are_the_list_and_nothing_else() {
        for path in [
            KERNEL,
            "vectra-core/src/memory.rs",
            "vectra-core/src/io/os.rs",
            "vectra-core/src/vector/chunk.rs",
            "vectra-quant/src/sq/kernel_avx2.rs",
            "vectra-quant/src/sq/kernel/avx2.rs",
            "vectra-quant/src/kernel.rs",
        ] {
            assert!(allowed(path), "{path}");
        }
        for path in [
            "vectra-core/src/io/mem.rs",
            "vectra-core/src/distance/kernels.rs",
            "vectra-quant/src/sq/encode.rs",
            "vectra-quant/tests/it/kernel.rs",
            "vectra-hnsw/src/kernel.rs",
            "vectra-core/tests/src/memory.rs",
        ] {
            assert!(!allowed(path), "{path}");
        }
    }

    #[test]
    fn unsafe_elsewhere_fails_even_with_a_comment() {
        let found = problems("vectra-wal/src/log.rs", "fn a() {\n    // SAFETY: no\n    unsafe { b() }\n}\n");
        assert_eq!(found, ["vectra-wal/src/log.rs:3: unsafe outside the allowed files"]);
    }

    #[test]
    fn blocks_and_impls_need_a_comment_and_declarations_do_not() {
        assert_eq!(problems(KERNEL, "fn a() {\n    unsafe { b() }\n}\n").len(), 1);
        assert_eq!(problems(KERNEL, "unsafe impl Send for A {}\n").len(), 1);
        assert!(
            problems(KERNEL, "fn a() {\n    // SAFETY: b has no demand\n    unsafe { b() }\n}\n").is_empty()
        );
        assert!(problems(KERNEL, "/// # Safety\nunsafe fn a() {}\n").is_empty());
    }

    #[test]
    fn a_comment_too_far_up_does_not_count() {
        let gap = |lines: usize| {
            format!("fn a() {{\n    // SAFETY: far\n{}    unsafe {{ b() }}\n}}\n", "    c();\n".repeat(lines))
        };
        assert!(problems(KERNEL, &gap(COMMENT_REACH - 1)).is_empty());
        assert_eq!(problems(KERNEL, &gap(COMMENT_REACH)).len(), 1);
    }

    #[test]
    fn words_in_comments_strings_and_attributes_are_not_uses() {
        let text = "//! unsafe { }\n#![forbid(unsafe_code)]\nconst A: &str = \"unsafe { }\";\n";
        assert!(problems("vectra-wal/src/lib.rs", text).is_empty());
    }

    #[test]
    fn roots_outside_the_list_forbid_unsafe() {
        let member = |name: &str| Member {
            name: name.to_owned(),
            roots: vec![format!("{name}/src/lib.rs")],
            ..Member::default()
        };
        let files = [
            ("vectra-wal/src/lib.rs", "#![forbid(unsafe_code)]\n"),
            ("vectra-tier/src/lib.rs", "// #![forbid(unsafe_code)]\n"),
            ("vectra-core/src/lib.rs", ""),
        ];
        let members = vec![member("vectra-wal"), member("vectra-tier"), member("vectra-core")];
        let found = Findings::of(check, &Tree::fixture(members, &files));
        assert_eq!(found, ["vectra-tier/src/lib.rs: the crate root lacks #![forbid(unsafe_code)]"]);
    }
}
