//! `cargo xtask ci`: exactly what continuous integration runs, one step after the other.
//!
//! Everything builds in the dev profile, so that clippy, tests and examples share what they compile. The
//! tests come last: their runner's own summary, passed through unmodified, ends the output.

use crate::workspace::Workspace;
use crate::{Outcome, bench, neon, process, tidy};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The target that the facade must build for without default features.
const WASM: &str = "wasm32-unknown-unknown";

/// What this machine has beyond the toolchain.
struct Tools {
    nextest: bool,
    wasm: bool,
    /// Why the tests of the NEON kernels are not emulated, if they are not.
    neon: Option<String>,
}

/// One step: what it is called, what it does.
struct Step {
    name: &'static str,
    action: Action,
}

enum Action {
    /// A cargo command, perhaps with variables set.
    Cargo { arguments: Vec<&'static str>, variables: Vec<(&'static str, &'static str)> },
    /// The architecture's rules.
    Tidy,
    /// Builds every example and runs those of the libraries.
    Examples,
    /// Compares counters with those recorded.
    Gate,
    /// Nothing, for a reason.
    Skip(String),
}

/// Runs every step; the first failure ends it with what to run next.
pub(crate) fn run() -> Outcome<()> {
    let workspace = Workspace::load()?;
    let start = Instant::now();
    let mut timings = Vec::new();
    for step in plan(&Tools::detect(&workspace.root)) {
        if let Action::Skip(reason) = &step.action {
            println!("ci: {}: skipped: {reason}", step.name);
            timings.push(format!("{} skipped", step.name));
            continue;
        }
        println!("ci: {}: {}", step.name, step.retry());
        let begun = Instant::now();
        let outcome = step.action.run(&workspace);
        let took = seconds(begun.elapsed());
        if let Err(error) = outcome {
            println!("ci: FAILED: {} after {took}: {error}", step.name);
            println!("ci: run next: {}", step.retry());
            return Err(format!("ci failed at {}", step.name).into());
        }
        println!("ci: {}: ok in {took}", step.name);
        timings.push(format!("{} {took}", step.name));
    }
    println!("ci: passed in {} ({})", seconds(start.elapsed()), timings.join(", "));
    Ok(())
}

/// The steps in order: cheap and telling ones first, the tests last.
fn plan(tools: &Tools) -> Vec<Step> {
    let step = |name, arguments: &[&'static str]| Step {
        name,
        action: Action::Cargo { arguments: arguments.to_vec(), variables: Vec::new() },
    };
    let bare = ["check", "-p", "vectradb", "--no-default-features"];
    let wasm = ["check", "-p", "vectradb", "--no-default-features", "--target", WASM];
    let docs = vec!["doc", "--workspace", "--no-deps"];
    vec![
        step("fmt", &["fmt", "--all", "--check"]),
        Step { name: "tidy", action: Action::Tidy },
        step("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        step("no-default-features", &bare),
        if tools.wasm {
            step("wasm", &wasm)
        } else {
            Step {
                name: "wasm",
                action: Action::Skip("the target wasm32-unknown-unknown is not installed".into()),
            }
        },
        Step {
            name: "docs",
            action: Action::Cargo { arguments: docs, variables: vec![("RUSTDOCFLAGS", "-D warnings")] },
        },
        Step { name: "examples", action: Action::Examples },
        Step { name: "gate", action: Action::Gate },
        step("doctests", &["test", "--workspace", "--doc"]),
        models("models of the log", &["-p", "vectra-wal", "--test", "it"]),
        models("models of the facade", &["-p", "vectradb", "--lib"]),
        emulated(tools.neon.as_ref()),
        if tools.nextest {
            step("tests", &["nextest", "run", "--workspace"])
        } else {
            step("tests", &["test", "--workspace", "--lib", "--bins", "--tests"])
        },
    ]
}

/// What loom tries in every order of the threads. In a folder of its own: the flag makes everything be built anew.
fn models(name: &'static str, tests: &[&'static str]) -> Step {
    let arguments = [&["test"], tests, &["--target-dir", "target/loom", "interleavings"]].concat();
    Step { name, action: Action::Cargo { arguments, variables: vec![("RUSTFLAGS", "--cfg loom")] } }
}

/// The tests of the NEON kernels, emulated where the machine has other registers.
fn emulated(obstacle: Option<&String>) -> Step {
    let variables = neon::VARIABLES.to_vec();
    let action = match obstacle {
        Some(reason) => Action::Skip(reason.clone()),
        None => Action::Cargo { arguments: neon::tests(), variables },
    };
    Step { name: "neon", action }
}

impl Tools {
    fn detect(root: &Path) -> Self {
        let nextest = process::succeeds(process::cargo(root).args(["nextest", "--version"]));
        Self { nextest, wasm: neon::has_target(root, WASM), neon: neon::obstacle(root) }
    }
}

impl Step {
    /// The command that repeats this step alone.
    fn retry(&self) -> String {
        match &self.action {
            Action::Cargo { arguments, variables } => {
                let set = variables.iter().map(|(name, value)| format!("{name}='{value}' "));
                format!("{}cargo {}", set.collect::<String>(), arguments.join(" "))
            }
            Action::Tidy => "cargo xtask tidy".to_owned(),
            Action::Examples => "cargo build --workspace --examples".to_owned(),
            Action::Gate => "cargo xtask bench --gate".to_owned(),
            Action::Skip(_) => String::new(),
        }
    }
}

impl Action {
    fn run(&self, workspace: &Workspace) -> Outcome<()> {
        match self {
            Self::Cargo { arguments, variables } => {
                let mut command = process::cargo(&workspace.root);
                command.args(arguments).envs(variables.iter().copied());
                process::pass_through(&mut command)
            }
            Self::Tidy => tidy::run(false),
            Self::Examples => run_examples(workspace),
            Self::Gate => bench::gate::run(workspace, false),
            Self::Skip(_) => Ok(()),
        }
    }
}

/// An example that was built.
#[derive(Debug, PartialEq)]
struct Program {
    package: String,
    name: String,
    file: PathBuf,
}

/// Builds all examples in one go, which unifies features as the tests do, then starts the programs directly:
/// `cargo run -p` would compile their dependencies once more for each package's own features.
fn run_examples(workspace: &Workspace) -> Outcome<()> {
    let mut build = process::cargo(&workspace.root);
    build.args(["build", "--workspace", "--examples", "--message-format=json-render-diagnostics"]);
    let programs = example_programs(&process::capture(&mut build)?, workspace);
    for program in &programs {
        println!("ci: examples: cargo run -p {} --example {}", program.package, program.name);
        let mut command = Command::new(&program.file);
        process::pass_through(command.current_dir(&workspace.root)).map_err(|error| {
            let Program { package, name, .. } = program;
            format!("{error}; run it alone with: cargo run -p {package} --example {name}")
        })?;
    }
    println!("ci: examples: {} ran", programs.len());
    Ok(())
}

/// The example programs of library crates among cargo's messages, sorted by package and name.
fn example_programs(messages: &str, workspace: &Workspace) -> Vec<Program> {
    let mut programs: Vec<Program> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "example")
        .filter_map(|message| {
            let manifest = Path::new(message["manifest_path"].as_str()?).parent()?;
            let mut libraries = workspace.members.iter().filter(|member| member.is_library);
            let owner = libraries.find(|member| workspace.root.join(&member.folder) == manifest)?;
            Some(Program {
                package: owner.name.clone(),
                name: message["target"]["name"].as_str()?.to_owned(),
                file: PathBuf::from(message["executable"].as_str()?),
            })
        })
        .collect();
    programs.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    programs
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;
    use serde_json::json;

    /// All tools, or none.
    fn tools(there: bool) -> Tools {
        let neon = (!there).then(|| "no emulator".to_owned());
        Tools { nextest: there, wasm: there, neon }
    }

    fn named(tools: &Tools, name: &str) -> String {
        let step = plan(tools).into_iter().find(|step| step.name == name);
        step.expect("the step is planned").retry()
    }

    #[test]
    fn the_plan_covers_everything_and_ends_with_the_tests() {
        let names: Vec<&str> = plan(&tools(true)).iter().map(|step| step.name).collect();
        let expected = [
            "fmt",
            "tidy",
            "clippy",
            "no-default-features",
            "wasm",
            "docs",
            "examples",
            "gate",
            "doctests",
            "models of the log",
            "models of the facade",
            "neon",
            "tests",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn missing_tools_change_the_plan_and_nothing_is_dropped_silently() {
        let (rich, poor) = (&tools(true), &tools(false));
        assert_eq!(named(rich, "tests"), "cargo nextest run --workspace");
        assert_eq!(named(poor, "tests"), "cargo test --workspace --lib --bins --tests");
        assert!(named(rich, "wasm").ends_with("--target wasm32-unknown-unknown"));
        let skipped = plan(poor).into_iter().filter_map(|step| match step.action {
            Action::Skip(reason) => Some((step.name, reason)),
            _ => None,
        });
        let skipped: Vec<(&str, String)> = skipped.collect();
        assert_eq!(skipped[0].0, "wasm");
        assert_eq!(skipped[1..], [("neon", "no emulator".to_owned())]);
        assert_eq!(plan(poor).len(), plan(rich).len());
    }

    #[test]
    fn the_hint_repeats_the_step_with_its_variable() {
        let tools = &tools(true);
        assert_eq!(named(tools, "docs"), "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps");
        let neon = named(tools, "neon");
        for (name, value) in neon::VARIABLES {
            assert!(neon.contains(&format!("{name}='{value}' ")), "{neon}");
        }
        assert!(neon.contains("' cargo test -p vectra-core -p vectra-quant "), "{neon}");
        assert_eq!(named(tools, "tidy"), "cargo xtask tidy");
        assert_eq!(named(tools, "gate"), "cargo xtask bench --gate");
        assert_eq!(named(tools, "clippy"), "cargo clippy --workspace --all-targets -- -D warnings");
    }

    #[test]
    fn examples_of_libraries_are_found_among_the_messages() {
        let message = |folder: &str, kind: &str, name: &str| {
            let target = json!({"kind": [kind], "name": name});
            let manifest = format!("/r/{folder}/Cargo.toml");
            json!({"manifest_path": manifest, "target": target, "executable": format!("/t/{name}")})
                .to_string()
        };
        let messages = [
            message("log", "example", "two"),
            message("log", "example", "one"),
            message("log", "lib", "log"),
            message("tool", "example", "three"),
            "not json".to_owned(),
        ]
        .join("\n");
        let member = |name: &str, is_library: bool| Member {
            name: format!("v-{name}"),
            folder: name.to_owned(),
            is_library,
            ..Member::default()
        };
        let members = vec![member("log", true), member("tool", false)];
        let workspace = Workspace { root: PathBuf::from("/r"), members };
        let program = |name: &str| Program {
            package: "v-log".to_owned(),
            name: name.to_owned(),
            file: PathBuf::from(format!("/t/{name}")),
        };
        assert_eq!(example_programs(&messages, &workspace), [program("one"), program("two")]);
    }

    #[test]
    fn a_step_that_cannot_start_is_an_error() {
        let run = |root: &str| {
            let workspace = Workspace { root: PathBuf::from(root), members: Vec::new() };
            let action = Action::Cargo { arguments: vec!["--version"], variables: vec![("A", "b")] };
            action.run(&workspace)
        };
        assert!(run(".").is_ok());
        assert!(run("no/such/folder").is_err());
    }
}
