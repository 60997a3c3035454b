//! `cargo xtask check`: everything that a change must pass by being read.

use crate::run;
use crate::workspace;
use crate::{features, package, tidy};
use anyhow::Result;

/// The folders that hold a workspace each, seen from the root.
const WORKSPACES: [&str; 3] = ["", "benches", "fuzz"];

/// Runs the quickest checks first.
pub(crate) fn run() -> Result<()> {
    for folder in WORKSPACES {
        let mut format = workspace::cargo(["fmt", "--all", "--check"]);
        format.current_dir(workspace::root().join(folder));
        run::step("format", &mut format)?;
    }
    tidy::run()?;
    let mut clippy = workspace::cargo(["clippy", "--workspace", "--all-targets", "--all-features"]);
    run::step("clippy", clippy.args(["--", "-D", "warnings"]))?;
    features::run()?;
    package::run()?;
    let mut doc = workspace::cargo(["doc", "--no-deps", "--workspace", "--all-features"]);
    run::step("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    if run::answers("cargo", &["deny", "--version"]) {
        run::step(
            "licences and advisories",
            &mut workspace::cargo(["deny", "--all-features", "check"]),
        )
    } else {
        run::skip("licences and advisories", "cargo-deny is not installed");
        Ok(())
    }
}
