//! Every example, as a user runs it.

use crate::run;
use crate::workspace;
use anyhow::Result;

/// The package that holds them.
const PACKAGE: &str = "perfkit-examples";

/// Builds all, then runs each; one that fails ends the task.
pub(super) fn run() -> Result<()> {
    let mut build = workspace::cargo(["build", "--release", "--examples", "--package", PACKAGE]);
    run::step("build examples", &mut build)?;
    let members = workspace::members()?;
    let examples = members
        .iter()
        .filter(|member| member.name == PACKAGE)
        .flat_map(|member| member.targets("example"));
    for example in examples {
        // As the README says it, from the root and without naming the package.
        let mut command = workspace::cargo(["run", "--release", "--example", example]);
        run::step(&format!("example {example}"), &mut command)?;
    }
    Ok(())
}
