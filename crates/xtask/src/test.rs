//! `cargo xtask test`: everything that a change must pass by running it.
//!
//! Steps of equal profile and features share one target folder, so that nothing is compiled twice; loom
//! has its own, because its flag changes every crate.

mod examples;
mod loom;
mod miri;

use crate::run;
use crate::workspace;
use crate::{fuzz, setup};
use anyhow::Result;
use std::process::Command;

/// How long each fuzz target runs here; `cargo xtask fuzz` takes its time.
const FUZZ_SECONDS: u32 = 5;

/// Installs what is missing, then runs every kind of test.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    // The tests of the examples start them as programs, in the profile of the tests.
    let mut examples = workspace::cargo(["build", "--workspace", "--all-features", "--examples"]);
    run::step("build examples", &mut examples)?;
    run::step("unit and integration tests", &mut tests())?;
    let mut doc = workspace::cargo(["test", "--doc", "--workspace", "--all-features"]);
    run::step("doc tests", &mut doc)?;
    let mut harness = workspace::cargo(["test", "--package", "harness"]);
    harness.current_dir(workspace::root().join("benches"));
    run::step("tests of the bench harness", &mut harness)?;
    loom::run()?;
    miri::run()?;
    if fuzz::is_available() {
        fuzz::run(None, FUZZ_SECONDS)?;
    } else {
        run::skip("fuzz", "the nightly toolchain is not installed");
    }
    examples::run()
}

/// Libraries, binaries and tests; examples have a step of their own, in release.
fn tests() -> Command {
    let runner: &[&str] = if has_nextest() {
        &["nextest", "run", "--profile", "ci"]
    } else {
        &["test", "--no-fail-fast"]
    };
    let mut command = workspace::cargo(runner.iter().copied());
    command.args([
        "--workspace",
        "--all-features",
        "--lib",
        "--bins",
        "--tests",
    ]);
    command
}

/// Whether the faster runner is here, which also ends tests that hang.
pub(crate) fn has_nextest() -> bool {
    run::answers("cargo", &["nextest", "--version"])
}
