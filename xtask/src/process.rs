//! Starting other programs: always an argument list, never a shell line.

use crate::Outcome;
use std::path::Path;
use std::process::{Command, Stdio};

/// A cargo command in `root`, with the variables removed that `cargo run` set for this program itself.
///
/// Build scripts may watch those variables; leaving them in would rebuild their crates each time that cargo
/// is called from here and again each time that it is called by hand.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
        });
        if own {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` with both of its streams on this program's standard output, unmodified and in order.
///
/// One stream for both keeps the summary of a test runner (some print it to standard error) beside the
/// output that it sums up.
pub(crate) fn pass_through(command: &mut Command) -> Outcome<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(std::io::stdout())
        .status()
        .map_err(|error| format!("cannot start {}: {error}", program(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", program(command)).into()) }
}

/// Runs `command` and returns its standard output; its standard error goes to this program's output.
pub(crate) fn capture(command: &mut Command) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(std::io::stdout())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", program(command)))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", program(command), output.status).into());
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("{} printed bytes that are not UTF-8", program(command)).into())
}

/// Whether `command` can be started and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_answers_and_its_output_is_captured() {
        let text = capture(cargo(Path::new(".")).arg("--version")).expect("cargo runs the tests");
        assert!(text.starts_with("cargo "), "{text}");
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = pass_through(&mut Command::new("no-such-program-here")).expect_err("it does not exist");
        assert!(error.to_string().contains("no-such-program-here"), "{error}");
        assert!(!succeeds(&mut Command::new("no-such-program-here")));
    }

    #[test]
    fn a_failing_program_is_an_error() {
        let mut command = cargo(Path::new("."));
        command.args(["metadata", "--manifest-path", "no/such/Cargo.toml"]);
        assert!(!succeeds(&mut command));
    }
}
