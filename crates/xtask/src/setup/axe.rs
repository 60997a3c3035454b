//! The rules of accessibility that the tests apply to pages: axe-core, which is not ours to keep in the
//! repository, as npm has it.

use crate::run;
use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

const PACKAGE: &str = "axe-core";
const VERSION: &str = "4.11.4";

/// Unpacks the package into the target folder, unless it is there.
pub(super) fn fetch() -> Result<()> {
    let folder = workspace::root().join("target").join(PACKAGE);
    if is_there(&folder) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut pack = Command::new("npm");
    pack.args([
        "pack",
        &format!("{PACKAGE}@{VERSION}"),
        "--silent",
        "--prefer-offline",
    ]);
    run::step("fetch axe-core", pack.current_dir(&folder))?;
    let mut unpack = Command::new("tar");
    unpack.args(["-xzf", &format!("{PACKAGE}-{VERSION}.tgz")]);
    run::step("unpack axe-core", unpack.current_dir(&folder))
}

/// Whether the folder has this version's script.
fn is_there(folder: &Path) -> bool {
    let has_version = fs::read_to_string(folder.join("package/package.json"))
        .is_ok_and(|text| text.contains(&format!("\"version\": \"{VERSION}\"")));
    has_version && folder.join("package/axe.min.js").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_or_half_a_package_is_fetched_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let package = folder.path().join("package");
        fs::create_dir(&package).expect("writable");
        let mut seen = vec![is_there(folder.path())];
        for (name, text) in [
            ("package.json", r#"{"version": "0.0.1"}"#.to_owned()),
            ("axe.min.js", String::new()),
            ("package.json", format!(r#"{{"version": "{VERSION}"}}"#)),
        ] {
            fs::write(package.join(name), text).expect("writable");
            seen.push(is_there(folder.path()));
        }
        assert_eq!(seen, [false, false, false, true]);
    }
}
