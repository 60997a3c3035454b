//! Every example, as a user runs it.

use crate::run;
use crate::workspace;
use anyhow::Result;

/// The package that holds them.
const PACKAGE: &str = "perfkit-examples";

/// Builds all, then runs each; one that fails ends the task.
pub(super) fn run() -> Result<()> {
    // Both commands leave the package open, as the README's do: cargo unites features over the packages
    // that a command names, so naming one here would compile the dependencies twice.
    let mut build = workspace::cargo(["build", "--release", "--examples"]);
    run::step("build examples", &mut build)?;
    let members = workspace::members()?;
    let examples = members
        .iter()
        .filter(|member| member.name == PACKAGE)
        .flat_map(|member| member.targets("example"));
    for example in examples {
        let mut command = workspace::cargo(["run", "--release", "--example", example]);
        run::step(&format!("example {example}"), &mut command)?;
    }
    Ok(())
}
