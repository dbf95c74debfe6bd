//! What it takes to run the NEON kernels on a machine of another kind: a target, a linker and an emulator.

use crate::process;
use std::path::Path;
use std::process::Command;

/// The target whose processors have NEON.
pub(crate) const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Programs of the target are linked and run with these.
pub(crate) const VARIABLES: [(&str, &str); 2] = [
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER),
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu"),
];

const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
/// What the linker needs of the target's C library; what runs needs the rest of that folder.
const LIBRARY: &str = "/usr/aarch64-linux-gnu/lib/crt1.o";
const INSTALL: &str = "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user, \
    rustup target add aarch64-unknown-linux-gnu";

/// The tests that are run: kernels against each other and against sums by hand, and bytes that files count on.
/// Everything else does the same on every processor, and emulation is slow.
pub(crate) fn tests() -> Vec<&'static str> {
    let what = ["test", "-p", "vectra-core", "-p", "vectra-quant", "--lib", "--test", "it"];
    let how = ["--profile", "emulated", "--target", TARGET, "--"];
    let names = ["kernel", "codes", "determinism", "golden", "document", "of_the_table", "count_on_the_bits"];
    [&what[..], &how, &names].concat()
}

/// Why the tests cannot, or need not, be emulated on this machine.
pub(crate) fn obstacle(root: &Path) -> Option<String> {
    if cfg!(target_arch = "aarch64") {
        return Some("this machine has NEON itself: all tests use it".to_owned());
    }
    let has = [
        ("the Rust target", has_target(root, TARGET)),
        (LINKER, process::succeeds(Command::new(LINKER).arg("--version"))),
        (LIBRARY, Path::new(LIBRARY).is_file()),
        (EMULATOR, process::succeeds(Command::new(EMULATOR).arg("--version"))),
    ];
    lacking(&has)
}

/// One line that names what is not there and how to get it.
fn lacking(has: &[(&str, bool)]) -> Option<String> {
    let missing: Vec<&str> = has.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    (!missing.is_empty()).then(|| {
        format!("the NEON kernels run nowhere here, missing: {}; to get it: {INSTALL}", missing.join(", "))
    })
}

/// Whether the standard library of `target` is installed: its folder exists exactly then.
pub(crate) fn has_target(root: &Path, target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root).args(["--print", "target-libdir", "--target", target]);
    process::capture(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_how_to_get_it() {
        let line = lacking(&[("one", true), ("two", false), ("three", false)]).expect("two are missing");
        assert!(line.contains("missing: two, three; "), "{line}");
        assert!(line.contains("qemu-user") && line.contains("rustup target add"), "{line}");
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(lacking(&[("one", true), ("two", true)]), None);
    }

    #[test]
    fn a_target_that_is_not_installed_is_not_there() {
        assert!(!has_target(Path::new("."), "no-such-target"));
        assert!(!has_target(Path::new("no/such/folder"), TARGET));
    }

    #[test]
    fn both_crates_with_kernels_are_tested_and_names_come_last() {
        let arguments = tests();
        let dashes = arguments.iter().position(|argument| *argument == "--").expect("there are names");
        let (cargo, names) = arguments.split_at(dashes);
        for name in ["vectra-core", "vectra-quant", TARGET] {
            assert!(cargo.contains(&name), "{name} in {cargo:?}");
        }
        assert_eq!(names[1..4], ["kernel", "codes", "determinism"]);
    }

    #[test]
    fn the_variables_are_those_of_the_target() {
        let infix = TARGET.to_uppercase().replace('-', "_");
        let names = ["LINKER", "RUNNER"].map(|end| format!("CARGO_TARGET_{infix}_{end}"));
        assert_eq!(VARIABLES.map(|(name, _)| name.to_owned()), names);
        assert!(VARIABLES[1].1.starts_with(EMULATOR));
        let folder = VARIABLES[1].1.rsplit(' ').next().expect("it ends with the folder");
        assert!(Path::new(LIBRARY).starts_with(folder));
    }
}
