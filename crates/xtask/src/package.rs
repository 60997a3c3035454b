//! What users of a published crate download: all that they need, and nothing that strayed in.
//!
//! The packages are not compiled here. They hold the same files as the workspace, and what a file reads from
//! outside of its crate stands behind `cfg(doctest)`, which is off for users.

use crate::run;
use crate::workspace::{self, Package};
use anyhow::{Context, Result, bail, ensure};

/// Files that each package has.
const NEEDED: [&str; 3] = ["Cargo.toml", "LICENSE", "README.md"];
/// Files that cargo adds.
const ADDED: [&str; 3] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];
/// Folders of code.
const FOLDERS: [&str; 2] = ["src/", "tests/"];

/// Packages every published crate, and looks at what is in it.
pub(crate) fn run() -> Result<()> {
    let (published, private): (Vec<_>, Vec<_>) = workspace::members()?
        .into_iter()
        .partition(Package::is_published);
    let mut package = workspace::cargo(["package", "--workspace", "--no-verify", "--allow-dirty"]);
    for member in &private {
        package.args(["--exclude", &member.name]);
    }
    run::step("package", &mut package)?;
    let mut complaints = Vec::new();
    for member in &published {
        complaints.extend(complaints_about(&member.name, &files(&member.name)?));
    }
    if !complaints.is_empty() {
        bail!(
            "packages are not as they should be:\n{}",
            complaints.join("\n")
        );
    }
    Ok(())
}

/// The files of a crate's package, a line each.
fn files(name: &str) -> Result<String> {
    let output = workspace::cargo(["package", "--list", "--allow-dirty", "--package", name])
        .output()
        .context("cannot run cargo package")?;
    ensure!(output.status.success(), "cannot list the package of {name}");
    String::from_utf8(output.stdout).context("a path is not UTF-8")
}

fn complaints_about(name: &str, files: &str) -> Vec<String> {
    let is_missing = |needed: &&str| !files.lines().any(|file| file == *needed);
    let missing = NEEDED.iter().copied().filter(is_missing);
    let is_stray = |file: &&str| {
        let known = NEEDED.contains(file) || ADDED.contains(file);
        !known && !FOLDERS.iter().any(|folder| file.starts_with(folder))
    };
    let stray = files.lines().filter(is_stray);
    missing
        .map(|file| format!("{name}: {file} is missing"))
        .chain(stray.map(|file| format!("{name}: {file} strayed in")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_package_is_fine() {
        let files = "Cargo.lock\nCargo.toml\nCargo.toml.orig\nLICENSE\nREADME.md\nsrc/lib.rs\ntests/it/main.rs";
        assert_eq!(complaints_about("perf-x", files), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_and_what_strayed_in_is_told() {
        let files = "Cargo.toml\nREADME.md\nsrc/lib.rs\nnotes.txt";
        let complaints = complaints_about("perf-x", files);
        assert_eq!(
            complaints,
            ["perf-x: LICENSE is missing", "perf-x: notes.txt strayed in"]
        );
    }
}
