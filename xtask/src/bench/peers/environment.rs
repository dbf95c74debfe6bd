//! A Python environment with the peers in it, made once below `target`.

use crate::{Outcome, process};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python that makes the environment.
const PYTHON: &str = "python3";
/// The oldest Python that the pinned wheels are made for.
const VERSION_LEAST: (u32, u32) = (3, 11);
/// What to do when there is none.
const HINT: &str = "install Python 3.11 or later with venv and pip (Debian: apt install python3 python3-venv python3-pip), \
     or name an environment that has the peers with --python";

/// The interpreter of the environment in `folder`, which is made if it is not there.
///
/// Requirements are installed one by one: a peer that this machine cannot install is left out of the run, and tried
/// again by the next one. Only numpy must be there.
pub(super) fn ready(folder: &Path, requirements: &str) -> Outcome<PathBuf> {
    let python = folder.join("bin/python");
    let record = folder.join("installed.txt");
    if python.is_file() && std::fs::read_to_string(&record).is_ok_and(|text| text == requirements) {
        println!("bench: peers are installed: {}", folder.display());
        return Ok(python);
    }
    check_version(PYTHON)?;
    println!("bench: making a Python environment in {}", folder.display());
    let mut venv = Command::new(PYTHON);
    process::pass_through(venv.args(["-m", "venv"]).arg(folder))
        .map_err(|error| format!("{error}; {HINT}"))?;
    let mut missing = Vec::new();
    for requirement in packages(requirements) {
        println!("bench: installing {requirement}");
        if let Err(error) = process::pass_through(&mut install(&python, requirement)) {
            if requirement.starts_with("numpy") {
                return Err(format!("numpy could not be installed ({error}); {HINT}").into());
            }
            println!("bench: {requirement} could not be installed and is left out: {error}");
            missing.push(requirement);
        }
    }
    if missing.is_empty() {
        std::fs::write(&record, requirements).map_err(|error| format!("{}: {error}", record.display()))?;
    }
    Ok(python)
}

/// `python` itself if it has numpy, without which nothing can be measured.
pub(super) fn checked(python: PathBuf) -> Outcome<PathBuf> {
    if process::succeeds(Command::new(&python).args(["-c", "import numpy"])) {
        return Ok(python);
    }
    let python = python.display();
    Err(format!("{python} does not run or lacks numpy; its packages are bench/peers/requirements.txt").into())
}

/// The requirements without blank lines and comments.
fn packages(requirements: &str) -> impl Iterator<Item = &str> {
    requirements.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn install(python: &Path, requirement: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", requirement]);
    command
}

/// Refuses a Python that is missing or too old, and says what to install.
fn check_version(python: &str) -> Outcome<()> {
    let text = process::capture(Command::new(python).arg("--version"))
        .map_err(|error| format!("{python} is needed: {error}; {HINT}"))?;
    match version(&text) {
        Some(version) if version >= VERSION_LEAST => Ok(()),
        _ => Err(format!("{python} is {}; {HINT}", text.trim()).into()),
    }
}

/// Major and minor number in the answer to `--version`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("Python ")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_requirements() {
        let found: Vec<&str> = packages("# why\nnumpy==1\n\n  zvec==0.8.0 \n").collect();
        assert_eq!(found, ["numpy==1", "zvec==0.8.0"]);
    }

    #[test]
    fn the_tracked_requirements_are_pinned_and_begin_with_numpy() {
        let text = include_str!("../../../../bench/peers/requirements.txt");
        let found: Vec<&str> = packages(text).collect();
        assert!(found[0].starts_with("numpy=="), "{found:?}");
        assert!(found.iter().all(|line| line.split("==").count() == 2), "{found:?}");
    }

    #[test]
    fn each_requirement_is_one_command() {
        let command = install(Path::new("e/bin/python"), "zvec==0.8.0");
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(command.get_program(), "e/bin/python");
        assert_eq!(words[..3], ["-m", "pip", "install"]);
        assert_eq!(words.last().expect("there are words"), "zvec==0.8.0");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("Python 3.11.7\n"), Some((3, 11)));
        assert!(version("Python 3.9.2").expect("it is one") < VERSION_LEAST);
        assert!(version("Python 3.12.0rc1").is_some_and(|found| found >= VERSION_LEAST));
        for odd in ["", "3.11", "Python three", "Python 3"] {
            assert_eq!(version(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_missing_python_says_what_to_install() {
        let error = check_version("no-such-python-here").expect_err("it does not exist").to_string();
        assert!(error.contains("no-such-python-here") && error.contains("apt install python3"), "{error}");
    }

    #[test]
    fn a_python_that_cannot_measure_is_refused() {
        let error = checked(PathBuf::from("no-such-python-here")).expect_err("it does not exist").to_string();
        assert!(error.contains("no-such-python-here") && error.contains("requirements.txt"), "{error}");
    }

    #[test]
    fn an_environment_that_is_complete_is_kept() {
        let folder = std::env::temp_dir().join(format!("xtask-environment-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("bin")).expect("the temporary folder is writable");
        for (name, text) in [("bin/python", ""), ("installed.txt", "numpy==1\n")] {
            std::fs::write(folder.join(name), text).expect("the folder is there");
        }
        let python = ready(&folder, "numpy==1\n").map_err(|error| error.to_string());
        std::fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!(python, Ok(folder.join("bin/python")));
    }
}
