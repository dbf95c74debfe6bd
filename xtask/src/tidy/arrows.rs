//! Arrows between crates go only downward: four levels, siblings never meet.

use super::{Findings, Tree};

/// Where a crate stands; the arrows out of it follow from this alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    /// L0: words, kernels, seams.
    Core,
    /// L1: siblings, each on the core only.
    Part,
    /// L2: the database.
    Facade,
    /// L3: a program on the facade.
    Program,
    /// L3: measures, which also look inside the parts.
    Bench,
    /// Drives cargo, links none of ours.
    Task,
}

/// Every package of the workspace with its level.
const LEVELS: [(&str, Level); 11] = [
    ("vectra-core", Level::Core),
    ("vectra-wal", Level::Part),
    ("vectra-hnsw", Level::Part),
    ("vectra-quant", Level::Part),
    ("vectra-metadata", Level::Part),
    ("vectra-shard", Level::Part),
    ("vectra-tier", Level::Part),
    ("vectradb", Level::Facade),
    ("vectra-cli", Level::Program),
    ("vectra-bench", Level::Bench),
    ("xtask", Level::Task),
];

/// Checks every declared dependency between members, dev and build ones included.
pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for member in &tree.members {
        let manifest = format!("{}/Cargo.toml", member.folder);
        let Some(from) = level(&member.name) else {
            findings.problem(&manifest, 0, format!("{} has no level; give it one in arrows.rs", member.name));
            continue;
        };
        for dependency in &member.dependencies {
            let Some(to) = level(dependency) else { continue };
            // The core, the facade and some parts enable features of their own in their own tests.
            let own_tests =
                matches!(from, Level::Core | Level::Part | Level::Facade) && dependency == &member.name;
            if !own_tests && !allowed(from, to) {
                let message = format!("forbidden arrow {} -> {dependency} ({from:?} -> {to:?})", member.name);
                findings.problem(&manifest, 0, message);
            }
        }
    }
}

fn level(package: &str) -> Option<Level> {
    LEVELS.iter().find(|(name, _)| *name == package).map(|(_, level)| *level)
}

fn allowed(from: Level, to: Level) -> bool {
    match from {
        Level::Core | Level::Task => false,
        Level::Part => to == Level::Core,
        Level::Facade => matches!(to, Level::Core | Level::Part),
        Level::Program => to == Level::Facade,
        Level::Bench => matches!(to, Level::Core | Level::Part | Level::Facade),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    fn problems(name: &str, dependencies: &[&str]) -> Vec<String> {
        let member = Member {
            name: name.to_owned(),
            folder: name.to_owned(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Member::default()
        };
        Findings::of(check, &Tree::fixture(vec![member], &[]))
    }

    #[test]
    fn downward_arrows_and_foreign_crates_pass() {
        assert!(problems("vectra-core", &["vectra-core", "wide"]).is_empty());
        assert!(problems("vectra-wal", &["vectra-core", "tempfile"]).is_empty());
        assert!(problems("vectra-tier", &["vectra-core", "vectra-tier"]).is_empty());
        assert!(problems("vectradb", &["vectra-core", "vectra-wal", "vectra-tier"]).is_empty());
        assert!(problems("vectra-cli", &["vectradb", "clap"]).is_empty());
        assert!(problems("vectra-bench", &["vectradb", "vectra-core", "vectra-hnsw"]).is_empty());
        assert!(problems("xtask", &["clap"]).is_empty());
    }

    #[test]
    fn sideways_and_upward_arrows_fail() {
        let sibling = problems("vectra-hnsw", &["vectra-core", "vectra-quant"]);
        assert_eq!(sibling.len(), 1);
        assert!(sibling[0].contains("vectra-hnsw -> vectra-quant"), "{sibling:?}");
        for (from, to) in [
            ("vectra-core", "vectra-wal"),
            ("vectra-tier", "vectradb"),
            ("vectra-cli", "vectra-core"),
            ("vectra-bench", "vectra-cli"),
            ("xtask", "vectra-core"),
            ("vectra-wal", "vectra-tier"),
        ] {
            assert_eq!(problems(from, &[to]).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn a_new_member_needs_a_level() {
        assert!(problems("vectra-new", &[])[0].contains("no level"));
    }
}
