//! Every example, as a user runs it.

use crate::run;
use crate::workspace;
use anyhow::Result;

/// The package that holds them.
const PACKAGE: &str = "perfkit-examples";

/// Builds all, then runs each that needs no set-up; one that fails ends the task.
///
/// The others are run by tests of their own, which start what they need.
pub(super) fn run() -> Result<()> {
    // Both commands leave the package open, as the README's do: cargo unites features over the packages
    // that a command names, so naming one here would compile the dependencies twice.
    let mut build = workspace::cargo(["build", "--release", "--examples"]);
    run::step("build examples", &mut build)?;
    let members = workspace::members()?;
    for package in members.iter().filter(|member| member.name == PACKAGE) {
        for example in package.targets("example") {
            let name = format!("example {example}");
            if let Some(needed) = package.needs(example) {
                run::skip(&name, &format!("it needs {needed}"));
                continue;
            }
            let mut command = workspace::cargo(["run", "--release", "--example", example]);
            run::step(&name, &mut command)?;
        }
    }
    Ok(())
}
