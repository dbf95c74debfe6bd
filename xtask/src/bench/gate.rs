//! `cargo xtask bench --gate`: the counters of a fixed piece of work, against those in `bench/gate.json`.

use crate::workspace::Workspace;
use crate::{Outcome, process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program that does the work and compares.
const PROGRAM: &str = "vectra-bench";
/// What was recorded, relative to the root.
const BASELINE: &str = "bench/gate.json";

/// Builds the program in the dev profile, for the counters are the same in every one, and runs it.
pub(crate) fn run(workspace: &Workspace, bless: bool) -> Outcome<()> {
    let root = &workspace.root;
    let mut build = process::cargo(root);
    // All examples at once, as for the tests: alone, the program would be compiled with other features of its
    // dependencies, and these once more.
    build.args(["build", "--workspace", "--examples", "--bin", PROGRAM]);
    build.arg("--message-format=json-render-diagnostics");
    let program = executable(&process::capture(&mut build)?)
        .ok_or_else(|| format!("cargo built no program {PROGRAM}"))?;
    process::pass_through(&mut command(&program, root, bless)).map_err(|error| {
        format!("{error}; if what got worse is meant: cargo xtask bench --gate --bless").into()
    })
}

fn command(program: &Path, root: &Path, bless: bool) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).args(["gate", "--baseline", BASELINE]);
    if bless {
        command.arg("--bless");
    }
    command
}

/// The file of the program among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages
        .filter(|message| message["target"]["kind"][0] == "bin" && message["target"]["name"] == PROGRAM)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let message = |kind: &str, name: &str| {
            let file = format!("/t/{kind}/{name}");
            json!({"target": {"kind": [kind], "name": name}, "executable": file})
        };
        let library = json!({"target": {"kind": ["bin"], "name": PROGRAM}, "executable": null});
        let mut lines: Vec<String> = [message("example", PROGRAM), message("bin", "vectra"), library]
            .iter()
            .map(Value::to_string)
            .collect();
        lines.push("not json".to_owned());
        assert_eq!(executable(&lines.join("\n")), None);
        lines.push(message("bin", PROGRAM).to_string());
        assert_eq!(executable(&lines.join("\n")), Some(PathBuf::from("/t/bin/vectra-bench")));
    }

    #[test]
    fn the_gate_measures_its_own_data_and_nothing_else() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: super::super::Options,
        }
        let parse = |line: &str| {
            let words = ["bench"].into_iter().chain(line.split_whitespace());
            <Line as clap::Parser>::try_parse_from(words).map(|line| line.options)
        };
        assert!(parse("--gate").is_ok_and(|options| options.gate && !options.bless));
        assert!(parse("--gate --bless").is_ok_and(|options| options.bless));
        for line in
            ["--bless", "--gate --rows 5", "--gate --query-count 5", "--gate --peers", "--gate -- --ef 10"]
        {
            assert!(parse(line).is_err(), "{line} passed");
        }
    }

    #[test]
    fn the_record_lies_in_the_repository() {
        let line = |bless| {
            let command = command(Path::new("p"), Path::new("r"), bless);
            command.get_args().map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line(false), "gate --baseline bench/gate.json");
        assert_eq!(line(true), "gate --baseline bench/gate.json --bless");
        let workspace = Workspace::load().expect("cargo knows it");
        assert!(workspace.root.join(BASELINE).is_file(), "{BASELINE} is tracked");
    }
}
