//! The models that explore every interleaving of a lock-free part.

use crate::run;
use crate::workspace;
use anyhow::Result;

/// Runs `tests/loom.rs` of each crate that has one.
pub(super) fn run() -> Result<()> {
    let members = workspace::members()?;
    let with_models = members
        .iter()
        .filter(|member| member.targets("test").any(|t| t == "loom"));
    let mut command = workspace::cargo(["test", "--release", "--test", "loom"]);
    command
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", "target/loom");
    let mut names = Vec::new();
    for member in with_models {
        names.push(member.name.as_str());
        command.args(["--package", &member.name]);
    }
    if names.is_empty() {
        run::skip("loom", "no crate has models");
        return Ok(());
    }
    run::step("loom models", &mut command)
}
