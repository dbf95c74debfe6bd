//! What cargo and git say about this repository: members, targets, dependencies, files.

use crate::{Outcome, process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace as `cargo metadata --no-deps` describes it.
pub(crate) struct Workspace {
    /// Absolute path of the folder with the root manifest.
    pub(crate) root: PathBuf,
    /// The member packages, sorted by folder.
    pub(crate) members: Vec<Member>,
}

/// One member package.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Package name, which may differ from the folder's.
    pub(crate) name: String,
    /// Folder relative to the root, with forward slashes.
    pub(crate) folder: String,
    /// Whether it has a library target.
    pub(crate) is_library: bool,
    /// Crate roots (library and programs) relative to the workspace root.
    pub(crate) roots: Vec<String>,
    /// Names of all its declared dependencies: normal, build and dev.
    pub(crate) dependencies: Vec<String>,
}

impl Workspace {
    /// Asks cargo about the workspace that this program was compiled in.
    pub(crate) fn load() -> Outcome<Self> {
        let start = Path::new(env!("CARGO_MANIFEST_DIR"));
        let start = if start.is_dir() { start } else { Path::new(".") };
        let mut command = process::cargo(start);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&process::capture(&mut command)?)?;
        Self::from_metadata(&metadata).ok_or_else(|| "cargo metadata has an unexpected shape".into())
    }

    /// Reads the JSON of `cargo metadata`; `None` when a field is missing.
    fn from_metadata(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let packages = metadata["packages"].as_array()?;
        let mut members: Vec<Member> =
            packages.iter().map(|package| Member::from_metadata(package, &root)).collect::<Option<_>>()?;
        members.sort_by(|a, b| a.folder.cmp(&b.folder));
        Some(Self { root, members })
    }

    /// Every file that git tracks or would track, relative to the root, sorted; removed ones are left out.
    pub(crate) fn files(&self) -> Outcome<Vec<String>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["ls-files", "-z", "-co", "--exclude-standard"]);
        let listing = process::capture(&mut git)?;
        let mut files: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

impl Member {
    fn from_metadata(package: &Value, root: &Path) -> Option<Self> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let mut member = Self {
            name: package["name"].as_str()?.to_owned(),
            folder: relative(manifest.parent()?, root)?,
            ..Self::default()
        };
        for target in package["targets"].as_array()? {
            let is =
                |kind: &str| target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == kind));
            member.is_library |= is("lib");
            if is("lib") || is("bin") {
                member.roots.push(relative(Path::new(target["src_path"].as_str()?), root)?);
            }
        }
        for dependency in package["dependencies"].as_array()? {
            member.dependencies.push(dependency["name"].as_str()?.to_owned());
        }
        Some(member)
    }
}

/// `path` below `root` with forward slashes on every system.
fn relative(path: &Path, root: &Path) -> Option<String> {
    let parts: Vec<_> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_read_with_targets_and_dependencies() {
        let metadata = json!({
            "workspace_root": "/r",
            "packages": [
                {"name": "zeta", "manifest_path": "/r/z/Cargo.toml", "dependencies": [], "targets": []},
                {
                    "name": "alphadb",
                    "manifest_path": "/r/alpha/Cargo.toml",
                    "targets": [
                        {"kind": ["lib"], "src_path": "/r/alpha/src/lib.rs"},
                        {"kind": ["example"], "src_path": "/r/alpha/examples/one.rs"},
                    ],
                    "dependencies": [{"name": "zeta", "kind": null}, {"name": "tempfile", "kind": "dev"}],
                },
            ],
        });
        let workspace = Workspace::from_metadata(&metadata).expect("the shape is cargo's");
        assert_eq!(workspace.members.len(), 2);
        let alpha = &workspace.members[0];
        assert_eq!(
            (alpha.name.as_str(), alpha.folder.as_str(), alpha.is_library),
            ("alphadb", "alpha", true)
        );
        assert_eq!(alpha.roots, ["alpha/src/lib.rs"]);
        assert_eq!(alpha.dependencies, ["zeta", "tempfile"]);
    }

    #[test]
    fn a_foreign_shape_is_refused() {
        assert!(Workspace::from_metadata(&json!({"packages": []})).is_none());
        let no_name = json!({"workspace_root": "/r", "packages": [{"manifest_path": "/r/a/Cargo.toml"}]});
        assert!(Workspace::from_metadata(&no_name).is_none());
    }

    #[test]
    fn this_workspace_loads_and_lists_this_file() {
        let workspace = Workspace::load().expect("cargo metadata works here");
        assert!(workspace.members.iter().any(|member| member.name == "xtask" && !member.is_library));
        let files = workspace.files().expect("git lists files");
        assert!(files.iter().any(|path| path == "xtask/src/workspace.rs"));
        assert!(!files.iter().any(|path| path.starts_with("target/")));
    }
}
